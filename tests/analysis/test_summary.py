from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from tests.analysis.constructed import (
    DURATION_S,
    END_S,
    PUPIL_MM,
    PUPIL_STEPS_MM,
    RATE_HZ,
    STEP_DEG,
    constructed_session,
    gaze,
)

from duchenne.analysis.paths import AnalysisPaths
from duchenne.analysis.session import session_tables, write_session_tables
from duchenne.analysis.summary import ExclusionRules, summarise, summary_codebook
from duchenne.analysis.tables import read_table
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.session import SessionTables

CONTRACT = tuple(
    """
    participant session task run trial block stimulus_id category onset duration rating_valence
    rating_arousal rating_dominance rating_rt_s norm_valence norm_arousal norm_valence_scaled
    norm_arousal_scaled gaze_valid_fraction n_fixations mean_fixation_duration_s n_saccades
    mean_saccade_amplitude_deg saccade_peak_velocity_deg_s n_blinks blink_rate_hz pupil_baseline
    pupil_change_mean pupil_change_peak pupil_unit pupil_measure gaze_entropy face_usable_fraction
    speaking_fraction AU01_mean AU01_peak AU01_change_mean AU12_mean AU12_peak AU12_change_mean
    expr_prototype_top expr_valence_mean expr_arousal_mean n_microexpression_candidates excluded
    exclusion_reason
    """.split()  # noqa: SIM905 -- as the architecture writes them
)


def tables_of(path: Path) -> SessionTables:
    with Recording.open(path) as recording:
        return session_tables(recording)


def test_values_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    tables = tables_of(constructed_session(tmp_path / "s.h5"))
    first, second = tables.summary.to_dict("records")
    assert first["onset"] == pytest.approx(4.0)
    assert first["duration"] == pytest.approx(DURATION_S)
    assert (first["rating_valence"], first["rating_arousal"]) == (7, 3)
    assert first["rating_rt_s"] == pytest.approx((0.5 + 0.7) / 2)
    assert second["rating_rt_s"] == pytest.approx(0.4)
    assert (first["norm_valence"], first["norm_arousal"]) == (7, 2)
    assert first["norm_valence_scaled"] == pytest.approx(0.5)
    assert first["norm_arousal_scaled"] == pytest.approx(-0.75)
    assert second["norm_arousal_scaled"] == pytest.approx(1.0)
    for row, change in zip((first, second), PUPIL_STEPS_MM, strict=True):
        assert row["gaze_valid_fraction"] == pytest.approx(1.0)
        assert row["n_saccades"] == 1
        assert row["n_fixations"] == 1
        assert row["mean_saccade_amplitude_deg"] == pytest.approx(STEP_DEG, abs=0.15)
        assert row["n_blinks"] == 0
        assert row["pupil_baseline"] == pytest.approx(PUPIL_MM, abs=0.01)
        assert row["pupil_change_mean"] == pytest.approx(change, abs=0.03)
        assert (row["pupil_unit"], row["pupil_measure"]) == ("mm", "diameter")
        assert row["excluded"] is False or not row["excluded"]
    assert tables.notes[0].startswith("No face video was recorded")


def test_fixations_know_their_place_in_the_stimulus(tmp_path: Path) -> None:
    fixations = tables_of(constructed_session(tmp_path / "s.h5")).fixations
    assert fixations is not None
    shown = fixations[fixations["phase"] == "stimulus"]
    # 5° to the right of the centre at 60 cm on 1280 px across 53 cm, in a picture 640 px wide.
    x_px = 640 + 60 * np.tan(np.radians(STEP_DEG)) / 53 * 1280
    np.testing.assert_allclose(shown["x_stim"], (x_px - 320) / 640, atol=0.01)
    np.testing.assert_allclose(shown["y_stim"], 0.5, atol=0.01)
    assert fixations.loc[fixations["phase"] == "neutral", "x_stim"].isna().all()
    assert shown["t_from_onset_s"].between(1.0, 1.1).all()


def test_a_session_without_gaze_has_its_columns_empty(tmp_path: Path) -> None:
    tables = tables_of(constructed_session(tmp_path / "s.h5", gaze=None))
    assert tables.fixations is None
    assert tables.gaze is None
    assert tables.summary[["n_fixations", "pupil_baseline", "gaze_entropy"]].isna().all(axis=None)
    assert tables.summary["AU12_mean"].isna().all()
    assert tables.summary["rating_valence"].tolist() == [7, 2]
    assert not tables.summary["excluded"].any()
    assert any("No gaze was recorded" in note for note in tables.notes)


def test_a_session_without_screen_says_why_gaze_is_missing(tmp_path: Path) -> None:
    tables = tables_of(constructed_session(tmp_path / "s.h5", screen=None))
    assert tables.gaze is None
    assert any("screen" in note.lower() for note in tables.notes)


def test_lost_gaze_is_flagged_and_kept(tmp_path: Path) -> None:
    times, columns = gaze()
    lost = (times >= 10.3) & (times < 11.8)
    changed = {name: np.where(lost, np.nan, values) for name, values in columns.items()}
    for eye in ("left", "right"):
        changed[f"{eye}_valid"] = (~lost).astype(float)
    summary = tables_of(constructed_session(tmp_path / "s.h5", gaze=(times, changed))).summary
    assert summary["excluded"].tolist() == [False, True]
    assert summary["exclusion_reason"][1] == "gaze valid in 25.0% of the stimulus, less than 50%"
    assert summary["gaze_valid_fraction"][1] == pytest.approx(0.25, abs=0.01)


def test_a_gaze_stream_that_stops_leaves_later_rows_empty(tmp_path: Path) -> None:
    times, columns = gaze()
    until = times < 8
    cut = {name: values[until] for name, values in columns.items()}
    summary = tables_of(constructed_session(tmp_path / "s.h5", gaze=(times[until], cut))).summary
    assert summary["gaze_valid_fraction"].tolist() == [pytest.approx(1.0), 0.0]
    assert pd.isna(summary["n_fixations"][1])
    assert summary["excluded"].tolist() == [False, True]


def test_quality_counts_what_is_missing(tmp_path: Path) -> None:
    times, columns = gaze()
    kept = np.ones(times.size, dtype=bool)
    kept[3000:3120] = False
    with_gap = {name: values[kept] for name, values in columns.items()}
    quality = tables_of(
        constructed_session(tmp_path / "s.h5", gaze=(times[kept], with_gap))
    ).quality.set_index("stream")
    assert quality.loc["Gaze", "missing_samples"] == 120
    assert quality.loc["Gaze", "n_gaps"] == 1
    assert quality.loc["Gaze", "effective_rate_hz"] == pytest.approx(RATE_HZ, rel=1e-3)
    assert quality.loc["Gaze", "valid_fraction"] == pytest.approx(1 - 0.2 / END_S, abs=0.002)
    assert quality.loc["Gaze", "grade"] == "poor"
    assert "120 samples lost" in quality.loc["Gaze", "reasons"]
    assert quality.loc["Markers", "grade"] == "good"


def test_every_column_of_every_table_is_described(tmp_path: Path) -> None:
    tables = tables_of(constructed_session(tmp_path / "s.h5"))
    write_session_tables(tables, AnalysisPaths(tmp_path, "x"))
    written = sorted(tmp_path.glob("x_*.tsv"))
    assert [p.stem for p in written] == [
        f"x_{name}" for name in ("blinks", "events", "fixations", "quality", "saccades", "summary")
    ]
    for path in written:
        book = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        columns = list(read_table(path).columns)
        assert columns == list(book)
        assert all(entry["Description"].strip() for entry in book.values())
        if "summary" not in path.name and "quality" not in path.name:
            place = "participant session run presentation_id stimulus_id phase t_from_onset_s"
            assert {*place.split(), "media_time_s"} <= set(columns)
    book = json.loads((tmp_path / "x_gaze.json").read_text(encoding="utf-8"))
    assert list(book) == list(pd.read_parquet(tmp_path / "x_gaze.parquet").columns)


def test_the_summary_has_the_columns_of_the_contract_in_order() -> None:
    columns = list(summary_codebook())
    assert [name for name in columns if name in CONTRACT] == list(CONTRACT)


def test_thresholds_are_stated_in_the_codebook() -> None:
    book = summary_codebook(ExclusionRules(min_gaze_valid_fraction=0.65))
    assert "gaze_valid_fraction is below 0.65" in book["excluded"].description


def test_face_features_come_through(tmp_path: Path) -> None:
    with Recording.open(constructed_session(tmp_path / "s.h5", gaze=None)) as recording:
        from duchenne.analysis.align import presentations

        shown = presentations(recording)
    face = [
        {"AU12_mean": 2.5, "AU12_peak": 3.0, "AU12_change_mean": 2.0, "face_usable_fraction": 0.4},
        {
            "AU12_mean": 0.1,
            "AU12_peak": 0.3,
            "AU12_change_mean": np.nan,
            "face_usable_fraction": 1.0,
        },
    ]
    table = summarise(shown, pd.DataFrame(), face=face)
    assert table["AU12_mean"].tolist() == [2.5, 0.1]
    assert pd.isna(table["AU12_change_mean"][1])
    assert table["excluded"].tolist() == [True, False]
    assert "AU01_mean" not in table.columns
    assert table["norm_valence"].isna().all()
