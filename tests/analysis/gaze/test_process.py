from __future__ import annotations

import math

import numpy as np
import pytest
from support.synthetic_gaze import TrueGaze, make_gaze

from duchenne.analysis.gaze.codebook import BLINKS, FEATURES, FIXATIONS, SACCADES, SAMPLES
from duchenne.analysis.gaze.features import gaze_entropy, gaze_features
from duchenne.analysis.gaze.geometry import ScreenGeometry
from duchenne.analysis.gaze.process import GazeResult, analyse_gaze
from duchenne.stimuli.errors import DuchenneError

SCREEN = ScreenGeometry(1280, 720, 53.0, 30.0, 60.0)
RECT = (160.0, 60.0, 1120.0, 660.0)


def _columns(gaze: TrueGaze, eyes: tuple[str, ...] = ("left", "right")) -> dict[str, np.ndarray]:
    x, y = SCREEN.to_normalized(*SCREEN.deg_to_px(gaze.x_deg, gaze.y_deg))
    columns: dict[str, np.ndarray] = {}
    for eye in eyes:
        columns |= {
            f"{eye}_x": x,
            f"{eye}_y": y,
            f"{eye}_pupil": np.where(np.isnan(x), np.nan, 3.0),
        }
    return columns


def _analyse(gaze: TrueGaze, **options: str) -> GazeResult:
    return analyse_gaze(gaze.times_s, _columns(gaze), SCREEN, 600.0, **options)


@pytest.mark.parametrize("rate_hz", [250, 600, 1200])
@pytest.mark.parametrize("direction_deg", [0.0, 90.0, -135.0])
def test_a_saccade_of_5_degrees_comes_back(rate_hz: float, direction_deg: float) -> None:
    gaze = make_gaze(
        [5.0], rate_hz=rate_hz, directions_deg=[direction_deg], fixation_s=0.5, drift_deg_s=0.0
    )
    result = analyse_gaze(gaze.times_s, _columns(gaze), SCREEN, rate_hz)
    saccade = result.saccades.iloc[0]
    assert len(result.saccades) == 1
    assert saccade["amplitude_deg"] == pytest.approx(5.0, abs=0.1)
    assert saccade["direction_deg"] == pytest.approx(direction_deg, abs=1.0)
    assert saccade["peak_velocity_deg_s"] == pytest.approx(gaze.peak_velocity_deg_s[0], rel=0.1)
    assert saccade["onset"] == pytest.approx(0.5, abs=0.005)
    assert not saccade["clipped"]


def test_many_saccades_come_back_on_the_main_sequence() -> None:
    amplitudes = np.random.default_rng(5).uniform(1, 15, 200)
    gaze = make_gaze(amplitudes, seed=5)
    result = _analyse(gaze)
    saccades = result.saccades
    assert len(saccades) == 200
    assert len(result.fixations) == gaze.n_fixations
    assert np.median(np.abs(saccades["amplitude_deg"] - amplitudes)) < 0.05
    ratio = saccades["peak_velocity_deg_s"] / gaze.peak_velocity_deg_s
    assert np.median(ratio) == pytest.approx(1.0, abs=0.06)
    assert result.quality["std_deg"] == pytest.approx(0.06, abs=0.03)


def test_peak_velocity_is_not_stated_below_250_hz() -> None:
    gaze = make_gaze([8.0] * 5, rate_hz=120)
    result = _analyse(gaze)
    assert len(result.saccades) == 5
    assert result.saccades["peak_velocity_deg_s"].isna().all()
    assert math.isnan(gaze_features(result, 0, 2)["saccade_peak_velocity_deg_s"])  # type: ignore[arg-type]


def test_fixations_have_place_and_spread() -> None:
    gaze = make_gaze([6.0], directions_deg=[0.0], fixation_s=1.0, drift_deg_s=0.0)
    fixations = _analyse(gaze).fixations
    assert fixations["x_deg"].to_numpy() == pytest.approx([0, 6], abs=0.01)
    assert fixations["y_deg"].to_numpy() == pytest.approx([0, 0], abs=0.01)
    assert fixations["dispersion_deg"].to_numpy() == pytest.approx(0.03 * math.sqrt(2), rel=0.1)
    assert fixations["duration"].to_numpy() == pytest.approx([1, 1], abs=0.01)
    assert fixations["clipped"].tolist() == [True, True]  # they touch the ends of the recording
    x_px, _ = SCREEN.deg_to_px(fixations["x_deg"], fixations["y_deg"])
    np.testing.assert_allclose(fixations["x_px"], x_px, atol=0.5)


def test_blinks_come_back_as_measured() -> None:
    blinks = [(1.0, 0.15), (2.5, 0.2), (4.0, 0.03), (5.0, 0.7)]
    result = _analyse(make_gaze([], fixation_s=7.0, blinks_s=blinks))
    assert result.blinks["onset"].to_numpy() == pytest.approx([1.0, 2.5], abs=0.003)
    assert result.blinks["duration"].to_numpy() == pytest.approx([0.15, 0.2], abs=0.003)
    assert set(result.blinks["source"]) == {"pupil_loss"}
    assert result.quality["valid_fraction"] == pytest.approx(1 - 1.08 / 7, abs=0.005)
    assert result.fixations["clipped"].all()


def test_one_eye_is_enough() -> None:
    gaze = make_gaze([5.0, 4.0])
    result = analyse_gaze(gaze.times_s, _columns(gaze, ("right",)), SCREEN)
    assert len(result.saccades) == 2
    assert set(result.fixations["eye"]) == {"right"}
    assert result.samples["left_x"].isna().all()


def test_an_unnamed_eye() -> None:
    gaze = make_gaze([5.0])
    columns = {name.removeprefix("left_"): v for name, v in _columns(gaze, ("left",)).items()}
    del columns["pupil"]
    result = analyse_gaze(gaze.times_s, columns, SCREEN)
    assert len(result.saccades) == 1
    assert set(result.fixations["eye"]) == {"unknown"}
    assert result.samples["left_x"].isna().all()


def test_validity_flags_are_believed() -> None:
    gaze = make_gaze([], fixation_s=2.0)
    flags = (gaze.times_s < 1) | (gaze.times_s > 1.2)
    columns = _columns(gaze) | {"left_valid": flags, "right_valid": flags}
    result = analyse_gaze(gaze.times_s, columns, SCREEN)
    assert len(result.blinks) == 1
    assert result.samples["left_x"].isna().sum() == np.count_nonzero(~flags)


@pytest.mark.parametrize("n", [0, 1, 600])
def test_nothing_measured_gives_empty_tables_and_no_numbers(n: int) -> None:
    nothing = np.full(n, np.nan)
    columns = {"left_x": nothing, "left_y": nothing, "left_pupil": nothing}
    result = analyse_gaze(np.arange(n) / 600, columns, SCREEN, 600)
    assert len(result.samples) == n
    assert result.fixations.empty
    assert result.saccades.empty
    assert result.blinks.empty
    features = gaze_features(result, 0, 1, rect_px=RECT)
    assert features["gaze_valid_fraction"] == 0
    assert math.isnan(features["n_fixations"])  # type: ignore[arg-type]
    assert math.isnan(features["pupil_baseline"])  # type: ignore[arg-type]


def test_one_valid_sample() -> None:
    result = analyse_gaze([0.0], {"x": [0.5], "y": [0.5]}, SCREEN)
    assert result.samples["label"].tolist() == [0]
    assert math.isnan(result.sampling_rate_hz)


def test_backward_stamps_are_sorted_and_counted() -> None:
    gaze = make_gaze([5.0])
    order = np.arange(gaze.times_s.size)
    order[[100, 101]] = [101, 100]
    columns = {name: values[order] for name, values in _columns(gaze).items()}
    result = analyse_gaze(gaze.times_s[order], columns, SCREEN)
    assert result.quality["n_backward_stamps"] == 1
    assert (np.diff(result.samples["time"]) > 0).all()
    assert len(result.saccades) == 1


def test_wrong_input_is_named() -> None:
    gaze = make_gaze([5.0])
    with pytest.raises(DuchenneError, match="No screen geometry"):
        analyse_gaze(gaze.times_s, _columns(gaze), None)
    with pytest.raises(DuchenneError, match="found pupil"):
        analyse_gaze(gaze.times_s, {"pupil": gaze.times_s}, SCREEN)
    pixels = {name: 1000 * values for name, values in _columns(gaze).items()}
    with pytest.raises(DuchenneError, match="looks like pixels"):
        analyse_gaze(gaze.times_s, pixels, SCREEN)
    with pytest.raises(ValueError, match="shape"):
        analyse_gaze(gaze.times_s[1:], _columns(gaze), SCREEN)


def test_the_codebooks_cover_all_columns() -> None:
    result = _analyse(make_gaze([5.0]))
    assert set(result.samples) == set(SAMPLES)
    assert set(result.fixations) == set(FIXATIONS) - {"x_stim", "y_stim"}
    assert set(result.saccades) == set(SACCADES)
    assert set(result.blinks) == set(BLINKS)
    assert set(gaze_features(result, 0, 1)) == set(FEATURES)


def test_events_belong_to_the_window_in_which_they_begin() -> None:
    gaze = make_gaze([5.0, 5.0, 5.0, 5.0], fixation_s=0.5, directions_deg=[0, 180, 0, 180])
    result = _analyse(gaze, pupil_unit="mm", pupil_measure="diameter")
    # saccades near 0.5, 1.03, 1.56 and 2.1 s; the last fixation outlasts the window
    features = gaze_features(result, 0.25, 1.75, rect_px=RECT)
    assert features["n_saccades"] == 3
    assert features["n_fixations"] == 3
    assert features["mean_fixation_duration_s"] == pytest.approx(0.5, abs=0.01)
    assert features["fixation_rate_hz"] == pytest.approx(2.0)
    assert features["mean_saccade_amplitude_deg"] == pytest.approx(5.0, abs=0.1)
    assert features["n_blinks"] == 0
    assert features["gaze_valid_fraction"] == 1
    assert (features["pupil_unit"], features["pupil_measure"]) == ("mm", "diameter")
    assert features["pupil_change_mean"] == pytest.approx(0)
    with pytest.raises(ValueError, match="does not last"):
        gaze_features(result, 1.0, 1.0)


def test_a_stream_that_stopped_counts_as_loss() -> None:
    result = _analyse(make_gaze([], fixation_s=2.0))
    assert gaze_features(result, 1.0, 3.0)["gaze_valid_fraction"] == pytest.approx(0.5, abs=0.01)
    after = gaze_features(result, 5.0, 6.0)
    assert after["gaze_valid_fraction"] == 0
    assert math.isnan(after["n_blinks"])  # type: ignore[arg-type]


def test_entropy_is_the_spread_of_dwell_time() -> None:
    x, y = np.meshgrid([200, 500, 700, 1000], [100, 300, 400, 600])
    assert gaze_entropy(x.ravel(), y.ravel(), np.ones(16), RECT) == pytest.approx(4.0)
    assert gaze_entropy([200, 210, 220], [100] * 3, [1, 2, 3], RECT) == 0
    assert gaze_entropy([200, 200, 1000], [100] * 3, [0.5, 0.5, 1], RECT) == pytest.approx(1.0)
    assert math.isnan(gaze_entropy([200, 210, 5000], [100] * 3, [1, 1, 1], RECT))
