"""From a session file to the pupil columns: light of the screen, fit, features, flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from support.sessions import SCREEN, write_session

from duchenne.analysis.gaze.process import analyse_gaze
from duchenne.analysis.gaze.pupil_features import (
    PUPIL_FEATURES,
    measure_course,
    plausible_baselines,
    pupil_features,
)
from duchenne.analysis.gaze.pupil_luminance import grey_steps, luminance_series
from duchenne.analysis.gaze.pupil_screen import linear_grey
from duchenne.analysis.gaze.pupil_session import correct_pupil
from duchenne.analysis.presentations import presentations
from duchenne.recorder.recording import Recording
from duchenne.recorder.sources.pupil_response import (
    AROUSAL,
    LIGHT,
    Step,
    pupil_diameter,
    steady_diameter_mm,
)
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.manifest import StimulusSet

if TYPE_CHECKING:
    from pathlib import Path

RATE = 120.0
RECT = (256.0, 72.0, 1024.0, 648.0)
COVERED = 768 * 576 / (1280 * 720)
GREY = linear_grey(0.5)
REFLEX = (0.2, 0.8, 0.35, 0.65, 0.5)
SHOWN = ("confetti", "wilted", "spider", "hills", "mug", "chair", "balloons")
DILATION_MM = {"confetti": 0.4, "spider": 0.4, "balloons": 0.4}


def build(
    path: Path, *, reflex: bool, screen: dict[str, Any] | None = None, rows: Any = None
) -> Path:
    """Write a session whose pupil answers light and the arousing pictures."""
    stimuli = StimulusSet.bundled()
    told: list[tuple[float, str, dict[str, Any]]] = []
    steps: list[Step] = []
    lit, now = steady_diameter_mm(GREY), 2.0

    def light(luminance: float, at_s: float) -> None:
        nonlocal lit
        wanted = steady_diameter_mm(luminance)
        steps.append(Step(at_s, wanted - lit, LIGHT))
        lit = wanted

    if reflex:
        told.append((now, "calibration_start", {}))
        for level in REFLEX * 2:
            told.append((now, "note", {"grey_level": level}))
            light(linear_grey(level), now)
            now += 3.0
        told.append((now, "calibration_end", {}))
        light(GREY, now)
    now += 5.0
    for trial, name in enumerate(SHOWN, 1):
        stimulus = stimuli[name]
        names = {"trial": trial, "stimulus": name, "presentation_id": f"P01-01-01-{trial:03d}"}
        facts = {
            "kind": stimulus.kind, "category": stimulus.category, "file": stimulus.file,
            "rect_px": list(RECT), "planned_duration_s": 5.0,
        }  # fmt: skip
        told += [
            (now - 1, "fixation_onset", names), (now, "fixation_offset", names),
            (now, "stimulus_onset", names | facts), (now + 5, "stimulus_offset", names),
        ]  # fmt: skip
        assert stimulus.luminance is not None
        light(COVERED * stimulus.luminance + (1 - COVERED) * GREY, now)
        dilation = DILATION_MM.get(name, 0.05)
        steps.append(Step(now, dilation, AROUSAL))
        now += 5.0
        light(GREY, now)
        steps.append(Step(now, -dilation, AROUSAL))
        now += 6.0
    times = np.arange(int(now * RATE)) / RATE
    rng = np.random.default_rng(0)
    size = pupil_diameter(steps, steady_diameter_mm(GREY), times) + rng.normal(0, 0.01, times.size)
    lost = (times % 4.3) < 0.15
    columns = {f"{eye}_pupil": np.where(lost, np.nan, size) for eye in ("left", "right")}
    where = np.where((times // 0.5) % 2 == 0, 0.45, 0.55)
    for eye in ("left", "right"):
        columns |= {f"{eye}_{axis}": np.where(lost, np.nan, where) for axis in "xy"}
        columns[f"{eye}_valid"] = np.where(lost, 0.0, 1.0)
    manifest = stimuli.to_frame() if rows is None else rows
    return write_session(
        path,
        markers=told,
        gaze=(times, columns),
        gaze_rate_hz=RATE,
        stimuli={"id": manifest["id"].tolist(), "luminance": manifest["luminance"].tolist()},
        screen=SCREEN | {"background_grey": 0.5} if screen is None else screen,
    )


def measured(recording: Recording, **options: Any) -> tuple[Any, Any, pd.DataFrame]:
    stream = recording.of_type("Gaze")[0]
    samples = stream.samples()
    columns = {channel.label: samples[:, i] for i, channel in enumerate(stream.info.channels)}
    result = analyse_gaze(
        stream.times_s, columns, recording.screen, pupil_unit="mm", pupil_measure="diameter"
    )
    shown = presentations(recording)
    pupil = correct_pupil(recording, result, shown, **options)
    found = pd.DataFrame(pupil_features(pupil, shown), index=shown["stimulus_id"].to_numpy())
    return result, pupil, found


def test_a_calibrated_session_separates_arousal_from_light(tmp_path: Path) -> None:
    with Recording.open(build(tmp_path / "a.h5", reflex=True)) as recording:
        _, pupil, found = measured(recording, stimuli=StimulusSet.bundled())
    assert set(found.columns) == set(PUPIL_FEATURES)
    assert pupil.model.source == "calibration"
    assert (found["pupil_light_source"] == "calibration").all()
    assert (found["pupil_flag"] == "ok").all()
    raw, corrected = found["pupil_change_clean_mean"], found["pupil_change_mean_light_corrected"]
    assert raw["confetti"] < raw["wilted"]  # bright and arousing against dark and calm: wrong
    assert raw["balloons"] < raw["wilted"]
    arousing = list(DILATION_MM)
    assert corrected[arousing].min() > corrected.drop(arousing).max() + 0.15
    dilated = float(np.mean(AROUSAL.progress(np.linspace(0.22, 5, 500))))
    for name in SHOWN:
        assert corrected[name] == pytest.approx(DILATION_MM.get(name, 0.05) * dilated, abs=0.05)
    taken = found["pupil_light_change_mean"]
    np.testing.assert_allclose(raw - taken, corrected, atol=0.02)
    assert (found["pupil_peak_latency_s"] > 0.2).all()


def test_the_screen_is_as_bright_as_what_was_shown(tmp_path: Path) -> None:
    stimuli = StimulusSet.bundled()
    with Recording.open(build(tmp_path / "a.h5", reflex=True)) as recording:
        result, _, found = measured(recording, stimuli=stimuli)
        series = luminance_series(recording, stimuli, presentations(recording), result.samples)
        steps = grey_steps(recording)
    for name in SHOWN:
        expected = COVERED * stimuli[name].luminance + (1 - COVERED) * GREY
        assert found.loc[name, "luminance_mean"] == pytest.approx(expected, abs=0.003)
    assert len(steps) == 2 * len(REFLEX)
    at = np.searchsorted(series.times_s, 3.0)
    assert series.overall[at] == pytest.approx(linear_grey(0.2))
    assert series.local[at] == pytest.approx(linear_grey(0.2))
    assert series.overall[-1] == pytest.approx(GREY)
    assert not series.notes
    assert (
        abs(found.loc["hills", "luminance_local_mean"] - found.loc["hills", "luminance_mean"])
        > 0.01
    )


def test_light_around_gaze_is_that_of_the_place(tmp_path: Path) -> None:
    path = build(tmp_path / "a.h5", reflex=False)
    with Recording.open(path) as recording:
        shown = presentations(recording)
        sky = shown[shown["stimulus_id"] == "spider"]
        times = np.arange(0, 90, 0.02)
        levels = []
        for x_px in (640.0, 10.0):
            samples = pd.DataFrame({"time": times, "x_px": x_px, "y_px": 360.0})
            series = luminance_series(recording, StimulusSet.bundled(), shown, samples)
            on = (series.times_s > sky["onset_s"].item()) & (
                series.times_s < sky["offset_s"].item()
            )
            levels.append(series.local[on].mean())
    assert levels[0] < 0.1  # the dark picture
    assert levels[1] == pytest.approx(GREY, abs=0.01)  # the grey beside it


def test_without_files_the_mean_luminance_stands_in(tmp_path: Path) -> None:
    with Recording.open(build(tmp_path / "a.h5", reflex=True)) as recording:
        _, pupil, found = measured(recording, stimuli=tmp_path / "nowhere")
    assert any("mean luminance stands in" in note for note in pupil.notes)
    expected = COVERED * StimulusSet.bundled()["spider"].luminance + (1 - COVERED) * GREY
    assert found.loc["spider", "luminance_mean"] == pytest.approx(expected, abs=1e-4)
    assert np.isfinite(found["pupil_change_mean_light_corrected"]).all()


def test_luminance_that_nobody_knows_is_not_made_up(tmp_path: Path) -> None:
    rows = pd.DataFrame({"id": ["confetti"], "luminance": [0.72]})
    with Recording.open(build(tmp_path / "a.h5", reflex=True, rows=rows)) as recording:
        _, pupil, found = measured(recording)
    assert any("its luminance is not known" in note for note in pupil.notes)
    assert np.isnan(found.loc["spider", "luminance_mean"])
    assert np.isnan(found.loc["spider", "pupil_change_mean_light_corrected"])
    assert np.isfinite(found.loc["confetti", "pupil_change_mean_light_corrected"])


def test_too_few_neutral_pictures_fall_back_on_the_average_pupil(tmp_path: Path) -> None:
    with Recording.open(build(tmp_path / "a.h5", reflex=False)) as recording:
        _, pupil, found = measured(recording, stimuli=StimulusSet.bundled())
        shown = presentations(recording)
    assert pupil.model.source == "population"
    assert pupil.model.reason
    assert any("could not be fitted" in note for note in pupil.notes)
    assert np.isfinite(found["pupil_change_mean_light_corrected"]).all()
    assert np.isnan(found["pupil_change_mean_local_light_corrected"]).all()
    for row in shown[shown["category"] != "neutral"].itertuples():
        late = (pupil.times_s >= row.onset_s) & (pupil.times_s < row.offset_s + 3)
        assert not pupil.fit_mask[late].any()


def test_a_background_that_is_not_told_is_assumed_and_said(tmp_path: Path) -> None:
    with Recording.open(build(tmp_path / "a.h5", reflex=False, screen=dict(SCREEN))) as recording:
        _, pupil, _ = measured(recording, stimuli=StimulusSet.bundled())
    assert any("middle grey" in note for note in pupil.notes)


def test_an_undescribed_screen_has_no_light(tmp_path: Path) -> None:
    path = write_session(tmp_path / "a.h5", screen=None)
    nothing = pd.DataFrame({"time": [], "x_px": [], "y_px": []})
    with Recording.open(path) as recording, pytest.raises(DuchenneError, match="screen"):
        luminance_series(recording, None, presentations(recording), nothing)


T = np.arange(0, 20, 0.02)


def test_a_course_is_measured_against_its_baseline() -> None:
    size = 3.0 + 0.3 * np.clip((T - 10.5) / 0.5, 0, 1)
    course = measure_course(T, size, np.ones(T.size, dtype=bool), 10.0, 14.0)
    assert course.baseline == pytest.approx(3.0)
    assert course.change_peak == pytest.approx(0.3)
    assert course.peak_latency_s == pytest.approx(1.0, abs=0.03)
    assert course.change_area == pytest.approx(0.3 * 3.25, abs=0.02)
    assert course.change_mean == pytest.approx(0.3 * 3.25 / 3.78, abs=0.01)


def test_bridged_samples_do_not_count_as_measured() -> None:
    seen = np.ones(T.size, dtype=bool)
    seen[(T > 11) & (T < 13.5)] = False
    course = measure_course(T, np.full(T.size, 3.0), seen, 10.0, 14.0)
    assert course.coverage < 0.5
    assert np.isnan([course.change_mean, course.change_peak, course.change_area]).all()
    assert course.baseline == 3.0


def test_a_trace_that_ends_early_covers_only_what_it_saw() -> None:
    some = T[T < 11]
    course = measure_course(some, np.full(some.size, 3.0), np.ones(some.size, bool), 10.0, 14.0)
    assert course.coverage == pytest.approx(0.78 / 3.78, abs=0.01)
    assert np.isnan(course.change_mean)
    late = T[T >= 9.9]
    course = measure_course(late, np.full(late.size, 3.0), np.ones(late.size, bool), 10.0, 14.0)
    assert course.baseline_coverage == pytest.approx(0.2)
    assert np.isnan(course.baseline)


def test_implausible_baselines_are_told_from_the_sessions_own() -> None:
    baselines = np.array([3.0, 3.1, 2.9, 3.05, np.nan, 5.0, 0.8])
    expected = [True] * 5 + [False, False]
    assert plausible_baselines(baselines, unit="mm").tolist() == expected
    assert plausible_baselines(baselines[:2], unit="mm").all()
    assert not plausible_baselines(np.array([0.9]), unit="mm").any()
    assert plausible_baselines(np.array([0.9]), unit="arbitrary").all()
    assert plausible_baselines(np.full(8, 3.0) + np.arange(8) * 1e-6).all()  # not too strict


def test_a_lost_trial_is_flagged_and_stays_in_the_table(tmp_path: Path) -> None:
    with Recording.open(build(tmp_path / "a.h5", reflex=False)) as recording:
        result, pupil, _ = measured(recording, stimuli=StimulusSet.bundled())
        shown = presentations(recording)
        size, measured_ = pupil.size.copy(), pupil.measured.copy()
        first, second, third = (shown["onset_s"].iloc[i] for i in range(3))
        size[(pupil.times_s > first + 1) & (pupil.times_s < first + 5)] = np.nan
        measured_ &= np.isfinite(size)
        measured_[(pupil.times_s > second - 0.6) & (pupil.times_s < second)] = False
        size[(pupil.times_s > third - 0.6) & (pupil.times_s < third + 5)] *= 0.4
        from dataclasses import replace

        found = pupil_features(replace(pupil, size=size, measured=measured_), shown)
    flags = [row["pupil_flag"] for row in found]
    assert flags == ["low_coverage", "low_baseline_coverage", "implausible_baseline", *["ok"] * 4]
    assert all(np.isnan(row["pupil_change_mean_light_corrected"]) for row in found[:3])
    assert len(found) == len(shown)
    assert result.pupil_unit == "mm"


@pytest.mark.parametrize("n", [0, 1, 2, 40])
def test_a_session_with_hardly_any_gaze(tmp_path: Path, n: int) -> None:
    with Recording.open(build(tmp_path / "a.h5", reflex=False)) as recording:
        shown = presentations(recording)
        few = np.full(n, 0.5)
        columns = {"left_x": few, "left_y": few, "left_pupil": 6 * few}
        result = analyse_gaze(np.arange(n) / RATE, columns, recording.screen, pupil_unit="mm")
        pupil = correct_pupil(recording, result, shown, stimuli=StimulusSet.bundled())
        found = pupil_features(pupil, shown)
    assert len(found) == len(shown)
    assert all(row["pupil_flag"] != "ok" for row in found)
    assert all(np.isnan(row["pupil_change_mean_light_corrected"]) for row in found)


def test_a_fast_tracker_gives_the_same_course(tmp_path: Path) -> None:
    times = np.arange(0, 30, 1 / 1000)
    size = 3.5 + 0.2 * np.sin(times)
    size[(times > 4) & (times < 4.2)] = np.nan
    half = np.full(times.size, 0.5)
    columns = {"left_x": half, "left_y": half, "left_pupil": size}
    with Recording.open(build(tmp_path / "a.h5", reflex=False)) as recording:
        result = analyse_gaze(times, columns, recording.screen)
        pupil = correct_pupil(
            recording, result, presentations(recording), stimuli=StimulusSet.bundled()
        )
    assert np.abs(pupil.size - 3.5 - 0.2 * np.sin(pupil.times_s)).max() < 0.005
    assert pupil.model.source == "none"  # no unit, and nothing to fit on
    assert "not diameters in mm" in pupil.model.reason
