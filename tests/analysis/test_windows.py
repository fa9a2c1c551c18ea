"""Measures in windows of time, with known answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.studies import (
    CHEEK,
    SMILE,
    SMILE_AFTER_S,
    SMILE_LASTS_S,
    STIMULUS_S,
    onsets_s,
    study_session,
)

from duchenne.analysis.face.recorded import recorded_face
from duchenne.analysis.session import session_tables
from duchenne.analysis.summary import measured_aus
from duchenne.analysis.window_plan import (
    DEFAULT_PLAN,
    DeclaredWindow,
    SlidingWindows,
    WindowPlan,
    read_window_plan,
)
from duchenne.analysis.windows import windows_codebook
from duchenne.analysis.windows_face import FaceSeries, standard_errors
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.session import SessionTables


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> SessionTables:
    """Four presentations of 4 s; the odd ones make smiles from 1 s to 3 s."""
    file = study_session(tmp_path_factory.mktemp("windows"), "P01", n_trials=4)
    plan = WindowPlan(
        windows=(
            DeclaredWindow(name="first_second", start_s=0, stop_s=1),
            DeclaredWindow(name="smile", start_s=SMILE_AFTER_S, stop_s=3),
            DeclaredWindow(name="after", start_s=0, stop_s=0.5, relative_to="offset"),
        )
    )
    with Recording.open(file) as recording:
        return session_tables(recording, windows=plan)


def test_recorded_action_units_are_taken_as_they_are(tables: SessionTables) -> None:
    assert tables.au is not None
    assert tables.configuration["face"]["backend"] == "recorded"
    assert any("recorded stream AU (backend recorded)" in note for note in tables.notes)
    smiling = tables.summary[tables.summary["category"] == "HVHA"]
    share = SMILE_LASTS_S / STIMULUS_S
    assert smiling["AU12_mean"].to_numpy() == pytest.approx([0.1 + SMILE * share] * 2, abs=0.05)
    assert smiling["AU06_change_mean"].to_numpy() == pytest.approx(
        [CHEEK * SMILE * share] * 2, abs=0.1
    )
    # Speech and lids are not in the stream: nothing is said of them.
    assert tables.summary["speaking_fraction"].isna().all()
    assert tables.summary["face_n_blinks"].isna().all()


def test_the_summary_says_how_much_how_long_and_when(tables: SessionTables) -> None:
    row = tables.summary.iloc[0]
    assert row["AU12_latency_s"] == pytest.approx(SMILE_AFTER_S, abs=0.1)
    assert row["AU12_active_fraction"] == pytest.approx(SMILE_LASTS_S / STIMULUS_S, abs=0.02)
    assert row["AU12_area"] == pytest.approx(SMILE * SMILE_LASTS_S + 0.1 * STIMULUS_S, abs=0.15)
    assert row["AU12_baseline"] == pytest.approx(0.1, abs=0.05)
    assert row["AU12_change_peak"] == pytest.approx(row["AU12_peak"] - row["AU12_baseline"])
    assert row["AU12_coverage"] == pytest.approx(1.0, abs=0.02)
    assert row["AU12_mean_se"] > 0.1
    assert row["expr_happiness_fraction"] == pytest.approx(0.5, abs=0.05)
    assert 0 < row["mean_fixation_duration_se_s"] < 0.1
    assert np.isnan(tables.summary["AU04_latency_s"]).all()


def test_a_window_holds_what_was_in_it(tables: SessionTables) -> None:
    rows = tables.windows[tables.windows["category"] == "HVHA"].set_index("window")
    assert rows.loc["first_second", "AU12_mean"].to_numpy() == pytest.approx([0.1] * 2, abs=0.05)
    assert rows.loc["smile", "AU12_mean"].to_numpy() == pytest.approx([3.1] * 2, abs=0.05)
    assert rows.loc["smile", "AU12_active_fraction"].to_numpy() == pytest.approx([1.0] * 2)
    # Smoothed, the smile begins a frame before its first second is over.
    latency = rows.loc["first_second", "AU12_latency_s"].to_numpy()
    assert latency == pytest.approx([SMILE_AFTER_S] * 2, abs=0.1)
    assert rows.loc["smile", "AU12_latency_s"].isna().all()
    assert rows.loc["after", "shown_fraction"].tolist() == [0.0, 0.0]
    assert rows.loc["after", "window_start_s"].to_numpy() == pytest.approx([STIMULUS_S] * 2)
    sliding = rows.loc["sliding"]
    assert sliding["window_number"].tolist() == [1, 2, 3, 4] * 2
    means = sliding["AU12_mean"].to_numpy()[:4]
    assert means == pytest.approx([0.1, 3.1, 3.1, 0.1], abs=0.1)
    assert (sliding["gaze_valid_fraction"] > 0.95).all()
    assert sliding["n_fixations"].sum() == pytest.approx(
        tables.summary.loc[tables.summary["category"] == "HVHA", "n_fixations"].sum()
    )
    assert list(tables.windows.columns) == list(
        windows_codebook(measured_aus(tables.windows.columns))
    )


def test_neighbouring_frames_do_not_count_as_many() -> None:
    rng = np.random.default_rng(1)
    white = rng.normal(0, 1, (900, 1))
    assert standard_errors(white)[0] == pytest.approx(1 / 30, rel=0.15)
    slow = np.zeros((900, 1))
    for i in range(1, 900):
        slow[i] = 0.9 * slow[i - 1] + rng.normal(0, np.sqrt(1 - 0.81))
    # (1 + r) / (1 - r) = 19 times fewer independent frames.
    assert standard_errors(slow)[0] == pytest.approx(np.sqrt(19) / 30, rel=0.3)
    assert np.isnan(standard_errors(white[:7])[0])
    white[::2] = np.nan
    assert standard_errors(white)[0] == pytest.approx(1 / np.sqrt(450), rel=0.15)


def test_no_frames_are_no_measures(tmp_path: Path) -> None:
    file = study_session(tmp_path, "P01", n_trials=1)
    with Recording.open(file) as recording:
        series = FaceSeries.of(recorded_face(recording.of_type("ActionUnits")[0]))
    row = series.measures(1000.0, 1001.0, 1000.0)
    assert row["face_usable_fraction"] == 0.0
    assert np.isnan(row["AU12_mean"])
    assert np.isnan(row["AU12_peak"])
    assert np.isnan(row["expr_neutral_fraction"])
    within = series.measures(onsets_s(1)[0], onsets_s(1)[0] + 4, onsets_s(1)[0], sides=False)
    assert within["AU12_coverage"] == pytest.approx(1.0, abs=0.02)


def test_a_smile_that_was_there_when_measurement_began_has_no_latency(tmp_path: Path) -> None:
    file = study_session(tmp_path, "P01", n_trials=1)
    onset_s = onsets_s(1)[0]
    smiles_s = onset_s + SMILE_AFTER_S
    with Recording.open(file) as recording:
        whole = recorded_face(recording.of_type("ActionUnits")[0])
    seen = FaceSeries.of(whole).measures(onset_s, onset_s + STIMULUS_S, onset_s)
    assert seen["AU12_latency_s"] == pytest.approx(SMILE_AFTER_S, abs=0.1)
    assert whole.dynamics is not None
    events = whole.dynamics.events
    late = (events["au"] == "AU12") & (abs(events["onset_s"] - smiles_s) < 0.2)
    assert late.sum() == 1
    events = events.assign(rise_time_s=events["rise_time_s"].mask(late))
    unseen = replace(whole, dynamics=replace(whole.dynamics, events=events))
    row = FaceSeries.of(unseen).measures(onset_s, onset_s + STIMULUS_S, onset_s)
    assert np.isnan(row["AU12_latency_s"])
    assert row["AU12_peak"] == seen["AU12_peak"]


def test_sliding_windows_stay_within_the_stimulus() -> None:
    plan = WindowPlan(windows=(), sliding_windows=SlidingWindows(width_s=1.0, step_s=0.5))
    starts = [start for _, _, start, _ in plan.spans(10.0, 12.0)]
    assert starts == pytest.approx([10.0, 10.5, 11.0])
    # A screen that ends a frame early still has its last window.
    assert len(plan.spans(10.0, 11.98)) == 3
    assert plan.spans(10.0, 10.5) == []


def test_windows_are_declared_in_the_study_file(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    assert read_window_plan(None) is DEFAULT_PLAN
    assert read_window_plan(path) is DEFAULT_PLAN
    path.write_text("name: x\n")
    assert read_window_plan(path) == DEFAULT_PLAN
    path.write_text("windows: {late: {start_s: 2}}\nsliding_windows: null\n")
    plan = read_window_plan(path)
    assert plan.spans(10.0, 15.0) == [("first_second", 1, 10.0, 11.0), ("late", 1, 12.0, 15.0)]
    path.write_text("windows: [{name: a, start_s: -1, stop_s: 0, relative_to: offset}]\n")
    assert read_window_plan(path).spans(10.0, 15.0)[1] == ("a", 1, 14.0, 15.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("windows: [{name: a, start_s: 2, stop_s: 1}]", "ends before it begins"),
        ("windows: [{name: a, start: 2}]", "Extra inputs"),
        ("windows: [{name: sliding, start_s: 0, stop_s: 1}]", "taken"),
        ("windows: {a: {stop_s: 1}, b: 3}", "windows.1"),
        ("sliding_windows: {width_s: 0}", "sliding_windows.width_s"),
        ("windows: [", "cannot be read"),
    ],
)
def test_a_wrong_window_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(DuchenneError) as caught:
        read_window_plan(path)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
