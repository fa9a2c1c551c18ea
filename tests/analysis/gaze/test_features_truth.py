"""Features of a window against synthetic gaze whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.synthetic_gaze import TrueGaze, make_gaze

from duchenne.analysis.gaze.codebook import AOIS, FEATURES, QUALITY
from duchenne.analysis.gaze.features import gaze_features
from duchenne.analysis.gaze.geometry import ScreenGeometry
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.limits import MIN_RATE_HZ, not_measured, reasons_text
from duchenne.analysis.gaze.process import GazeResult, analyse_gaze
from duchenne.analysis.gaze.quality import fixation_precision
from duchenne.analysis.gaze.tabulate import event_table
from duchenne.analysis.gaze.validation import Target, validate
from duchenne.stimuli.errors import DuchenneError

SCREEN = ScreenGeometry(1920, 1080, 53.0, 30.0, 60.0)
RECT = (460.0, 40.0, 1460.0, 1040.0)


def columns_of(gaze: TrueGaze, eyes: tuple[str, ...] = ("left", "right")) -> dict[str, np.ndarray]:
    x, y = SCREEN.to_normalized(*SCREEN.deg_to_px(gaze.x_deg, gaze.y_deg))
    return {f"{eye}_{axis}": v for eye in eyes for axis, v in (("x", x), ("y", y))}


def analyse(gaze: TrueGaze, **options: object) -> GazeResult:
    return analyse_gaze(gaze.times_s, columns_of(gaze), SCREEN, **options)  # type: ignore[arg-type]


def measure(result: GazeResult, onset_s: float, offset_s: float) -> dict[str, float]:
    found = gaze_features(result, onset_s, offset_s, rect_px=RECT)
    return {k: float(v) for k, v in found.items() if isinstance(v, int | float)}


@pytest.mark.parametrize("rate_hz", [300, 600, 1000])
def test_what_was_made_comes_back(rate_hz: float) -> None:
    amplitudes = np.random.default_rng(8).uniform(1.5, 9, 60)
    gaze = make_gaze(amplitudes, rate_hz=rate_hz, seed=8, noise_deg=0.02)
    found = measure(analyse(gaze), 0, gaze.times_s[-1])
    onset, took = gaze.saccade_onset_s, gaze.saccade_duration_s
    fixation_s = onset[1:] - onset[:-1] - took[:-1]
    assert found["n_saccades"] == 60
    assert found["first_saccade_latency_s"] == pytest.approx(onset[0], abs=0.005)
    assert found["median_fixation_duration_s"] == pytest.approx(np.median(fixation_s), abs=0.01)
    assert found["sd_fixation_duration_s"] == pytest.approx(fixation_s.std(ddof=1), rel=0.05)
    assert found["mean_saccade_amplitude_deg"] == pytest.approx(amplitudes.mean(), rel=0.03)
    assert found["median_saccade_amplitude_deg"] == pytest.approx(np.median(amplitudes), rel=0.03)
    assert found["mean_saccade_duration_s"] == pytest.approx(took.mean(), abs=0.006)
    mean = np.exp(1j * np.radians(gaze.direction_deg)).mean()
    assert found["saccade_direction_resultant"] == pytest.approx(abs(mean), abs=0.02)
    assert found["scanpath_length_deg"] == pytest.approx(amplitudes.sum(), rel=0.03)
    assert found["main_sequence_r2"] > 0.95
    assert found["gaze_valid_fraction"] == pytest.approx(1, abs=0.001)
    assert abs(found["coefficient_k"]) < 0.05  # of the whole recording against itself


def test_latencies_of_one_look() -> None:
    gaze = make_gaze([6.0], directions_deg=[0.0], fixation_s=1.0, drift_deg_s=0.0, noise_deg=0.01)
    found = measure(analyse(gaze), 0.5, 1.9)
    assert found["first_saccade_latency_s"] == pytest.approx(0.5, abs=0.005)
    landing = 1.0 + gaze.saccade_duration_s[0] - 0.5
    assert found["first_fixation_latency_s"] == pytest.approx(landing, abs=0.015)
    assert found["first_fixation_on_stimulus_latency_s"] == found["first_fixation_latency_s"]
    assert found["on_stimulus_fraction"] == 1
    assert found["centre_bias_deg"] == pytest.approx(6, abs=0.05)
    assert found["saccade_horizontal_share"] == 1
    assert found["saccade_direction_mean_deg"] == pytest.approx(0, abs=1)
    assert math.isnan(found["main_sequence_vmax_deg_s"])
    assert math.isnan(found["coefficient_k"])
    assert math.isnan(found["scanpath_length_deg"])
    aside = gaze_features(analyse(gaze), 0.5, 1.9, rect_px=(0, 0, 400, 400))
    assert aside["on_stimulus_fraction"] == 0
    assert math.isnan(aside["first_fixation_on_stimulus_latency_s"])  # type: ignore[arg-type]
    nowhere = gaze_features(analyse(gaze), 0.5, 1.9)
    assert math.isnan(nowhere["centre_bias_deg"])  # type: ignore[arg-type]


def test_blinks_have_a_duration() -> None:
    gaze = make_gaze([], fixation_s=7.0, blinks_s=[(1.0, 0.15), (2.5, 0.2)])
    found = measure(analyse(gaze), 0, 7)
    assert found["n_blinks"] == 2
    assert found["mean_blink_duration_s"] == pytest.approx(0.175, abs=0.004)


def test_the_spread_of_gaze() -> None:
    gaze = make_gaze([6.0] * 9, directions_deg=[0, 180] * 4 + [0], fixation_s=0.4, drift_deg_s=0)
    found = measure(analyse(gaze), 0, gaze.times_s[-1])
    assert found["gaze_dispersion_deg"] == pytest.approx(3, abs=0.02)
    # two clouds 6° apart: σx = 3°, σy = the noise of 0.03°
    assert found["gaze_bcea_deg2"] == pytest.approx(2 * 1.1394 * math.pi * 3 * 0.03, rel=0.1)
    assert found["gaze_entropy_normalised"] == pytest.approx(found["gaze_entropy"] / 4)
    # the middle of the screen is a corner of four cells of the grid: move the stimulus a little
    lower = gaze_features(analyse(gaze), 0, gaze.times_s[-1], rect_px=(460, 100, 1460, 1100))
    assert lower["gaze_transition_entropy"] == 0  # always to the other side
    assert found["centre_bias_deg"] == pytest.approx(3, abs=0.2)


def test_microsaccades_are_counted_where_they_can_be() -> None:
    gaze = make_gaze(
        [5.0, 0.5, 0.5, 0.5, 5.0],
        rate_hz=1000,
        directions_deg=[0, 0, 180, 0, 180],
        noise_deg=0.005,
        fixation_s=0.5,
        drift_deg_s=0.02,
    )
    found = measure(analyse(gaze), 0, gaze.times_s[-1])
    assert found["n_microsaccades"] == 3
    assert found["microsaccade_rate_hz"] == pytest.approx(3 / 3.0, rel=0.15)
    slow = make_gaze([5.0, 0.5], rate_hz=250, noise_deg=0.005)
    assert math.isnan(measure(analyse(slow), 0, slow.times_s[-1])["microsaccade_rate_hz"])
    noisy = make_gaze([5.0, 0.5], rate_hz=1000, noise_deg=0.2)
    assert math.isnan(measure(analyse(noisy), 0, noisy.times_s[-1])["microsaccade_rate_hz"])


def test_pursuit_is_told_where_the_detector_labels_it() -> None:
    times = np.arange(2000) / 500
    x = np.where(times < 2, 0, 5 * (times - 2)) - 5
    gaze = replace(
        make_gaze([], fixation_s=4.0, rate_hz=500), times_s=times, x_deg=x, y_deg=np.zeros(2000)
    )
    result = analyse(gaze)
    labels = np.where(times < 2, Label.FIXATION, Label.PURSUIT)
    result = replace(result, samples=result.samples.assign(label=labels))
    found = gaze_features(result, 0, 4, target=(times, x / 0.8, np.zeros(2000)))
    assert found["pursuit_fraction"] == pytest.approx(0.5, abs=0.01)
    assert found["pursuit_speed_deg_s"] == pytest.approx(5, rel=0.02)
    assert found["pursuit_gain"] == pytest.approx(0.8, rel=0.02)
    without = replace(
        result, samples=result.samples.assign(label=int(Label.FIXATION)), detector="ivt"
    )
    assert math.isnan(gaze_features(without, 0, 4)["pursuit_fraction"])  # type: ignore[arg-type]


def test_precision_agrees_with_etdqualitizer() -> None:
    tool = pytest.importorskip("ETDQualitizer")
    result = analyse(make_gaze([4.0, 5.0, 6.0], noise_deg=0.05, seed=4))
    samples = result.samples
    events = event_table(samples["label"], samples["time"])
    each = [
        samples.iloc[a:b] for a, b in events.loc[events["label"] == 1, ["start", "stop"]].to_numpy()
    ]
    pairs = [(part["x_deg"].to_numpy(), part["y_deg"].to_numpy()) for part in each]
    expected = (
        np.median([tool.rms_s2s(x, y)[0] for x, y in pairs]),
        np.median([tool.std(x, y)[0] for x, y in pairs]),
        np.median([tool.bcea(x, y)[0] for x, y in pairs]),
    )
    assert fixation_precision(samples, events) == pytest.approx(expected, rel=1e-6)
    quality = result.quality
    assert quality["effective_rate_hz"] == pytest.approx(
        tool.effective_frequency(
            samples["x_deg"].to_numpy(), samples["y_deg"].to_numpy(), quality["duration_s"]
        )
    )
    assert quality["bcea_deg2"] == pytest.approx(expected[2])


def test_a_validation_tells_the_accuracy() -> None:
    gaze = make_gaze([6.0], directions_deg=[0.0], fixation_s=2.0, drift_deg_s=0, noise_deg=0.02)
    first, second = (SCREEN.deg_to_px(x, 0.0) for x in (0.5, 6.0))
    end = gaze.times_s[-1]
    table = validate(
        analyse(gaze),
        [
            Target(0, 2, float(first[0]), float(first[1])),
            Target(2, end, float(second[0]), float(second[1])),
            Target(end + 1, end + 3, 100, 100),
        ],
    )
    assert table["accuracy_deg"][0] == pytest.approx(0.5, abs=0.01)
    assert table["offset_x_deg"][0] == pytest.approx(-0.5, abs=0.01)
    assert table["accuracy_deg"][1] == pytest.approx(0, abs=0.01)
    assert table["std_deg"][0] == pytest.approx(0.02 * math.sqrt(2), rel=0.1)
    assert math.isnan(table["accuracy_deg"][2])
    assert table["loss_fraction"].tolist() == pytest.approx([0, 0, 1], abs=0.01)


def test_one_eye_can_be_chosen() -> None:
    gaze = make_gaze([5.0])
    columns = columns_of(gaze)
    columns["left_x"] = columns["left_x"] - 0.02
    both = analyse_gaze(gaze.times_s, columns, SCREEN)
    left = analyse_gaze(gaze.times_s, columns, SCREEN, eye="left")
    right = analyse_gaze(gaze.times_s, columns, SCREEN, eye="right")
    assert (both.eye, left.eye, right.quality["eye"]) == ("both", "left", "right")
    shift = right.samples["x_px"] - left.samples["x_px"]
    assert shift.to_numpy() == pytest.approx(0.02 * 1920, abs=1e-3)
    middle = (right.samples["x_px"] + left.samples["x_px"]) / 2
    np.testing.assert_allclose(both.samples["x_px"], middle)
    assert set(left.fixations["eye"]) == {"left"}
    assert left.samples["right_x"].notna().all()
    with pytest.raises(DuchenneError, match="no gaze of the left eye; found that of the right"):
        analyse_gaze(gaze.times_s, columns_of(gaze, ("right",)), SCREEN, eye="left")
    with pytest.raises(DuchenneError, match="not one of both"):
        analyse_gaze(gaze.times_s, columns, SCREEN, eye="third")
    alone = {"x": columns["right_x"], "y": columns["right_y"]}
    assert analyse_gaze(gaze.times_s, alone, SCREEN).eye == "unknown"
    with pytest.raises(DuchenneError, match="no eye in particular"):
        analyse_gaze(gaze.times_s, alone, SCREEN, eye="right")


def test_the_measured_distance_makes_degrees() -> None:
    gaze = make_gaze([8.0], directions_deg=[0.0], fixation_s=1.0, drift_deg_s=0)
    n = gaze.times_s.size
    columns = columns_of(gaze) | {"left_distance": np.full(n, 1200.0)}
    columns["left_distance"][::3] = np.nan
    columns["left_distance"][1] = 0.0
    near = analyse_gaze(gaze.times_s, columns, SCREEN)
    far = analyse_gaze(gaze.times_s, columns, SCREEN, distance="measured")
    assert near.quality["distance_source"] == "declared"
    assert near.saccades["amplitude_deg"][0] == pytest.approx(8, abs=0.1)
    expected = math.degrees(math.atan(math.tan(math.radians(8)) / 2))
    assert far.saccades["amplitude_deg"][0] == pytest.approx(expected, abs=0.1)
    assert far.quality["distance_cm"] == 120
    assert far.distance_source == "measured"
    with pytest.raises(DuchenneError, match="was not measured"):
        analyse_gaze(gaze.times_s, columns_of(gaze), SCREEN, distance="measured")
    columns["left_distance"][: n * 2 // 3] = np.nan
    with pytest.raises(DuchenneError, match="less than half"):
        analyse_gaze(gaze.times_s, columns, SCREEN, distance="measured")


def test_a_webcam_gives_what_its_rate_carries() -> None:
    gaze = make_gaze([6.0] * 8, rate_hz=30, fixation_s=0.6, noise_deg=0.1)
    result = analyse(gaze)
    found = measure(result, 0, gaze.times_s[-1])
    assert result.sampling_rate_hz == pytest.approx(30)
    assert {name for name in MIN_RATE_HZ if not math.isnan(found[name])} == set()
    assert found["n_fixations"] > 3
    assert found["gaze_valid_fraction"] == 1
    assert "microsaccade_rate_hz: needs 300 Hz, it was 30 Hz" in result.quality["not_measured"]
    assert reasons_text(1000) is None
    assert not_measured(249.7).keys() == {"n_microsaccades", "microsaccade_rate_hz"}
    assert set(MIN_RATE_HZ) <= set(FEATURES)


def test_a_changing_rate_is_told() -> None:
    gaze = make_gaze([5.0] * 20, rate_hz=500)
    columns = columns_of(gaze)
    keep = np.arange(gaze.times_s.size)
    keep = keep[(gaze.times_s > 4) | (keep % 2 == 0)]
    columns = {name: values[keep] for name, values in columns.items()}
    result = analyse_gaze(gaze.times_s[keep], columns, SCREEN)
    assert result.quality["rate_varies"]
    assert result.quality["sampling_rate_max_hz"] == pytest.approx(500, rel=0.01)
    assert result.quality["sampling_rate_min_hz"] == pytest.approx(250, rel=0.01)
    steady = analyse(gaze)
    assert not steady.quality["rate_varies"]


def test_duplicated_stamps_are_counted_and_harmless() -> None:
    gaze = make_gaze([5.0, 4.0], fixation_s=0.6)
    times = gaze.times_s.copy()
    times[100:1000:50] = times[99:999:50]
    result = analyse_gaze(times, columns_of(gaze), SCREEN)
    assert result.quality["n_duplicate_stamps"] == 18
    assert len(result.saccades) == 2
    assert result.sampling_rate_hz == pytest.approx(600, rel=0.01)


def test_constant_gaze_is_one_fixation() -> None:
    n = 1200
    gaze = {"left_x": np.full(n, 0.4), "left_y": np.full(n, 0.6)}
    result = analyse_gaze(np.arange(n) / 600, gaze, SCREEN)
    found = measure(result, 0, 2)
    assert found["n_saccades"] == 0
    assert len(result.fixations) == 1
    assert result.quality["rms_s2s_deg"] == pytest.approx(0, abs=1e-9)
    assert result.quality["bcea_deg2"] == pytest.approx(0, abs=1e-9)
    assert found["gaze_bcea_deg2"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 600])
@pytest.mark.parametrize("value", [np.nan, 0.5])
def test_hardly_any_samples(n: int, value: float) -> None:
    gaze = {"left_x": np.full(n, value), "left_y": np.full(n, value)}
    result = analyse_gaze(np.arange(n) / 600, gaze, SCREEN)
    found = gaze_features(result, 0, 1, rect_px=RECT)
    assert list(found) == list(FEATURES)
    if np.isnan(value) or n == 0:
        numbers = {k: v for k, v in found.items() if isinstance(v, float) and not math.isnan(v)}
        assert numbers == {"gaze_valid_fraction": 0.0}


def test_the_codebook_describes_every_measure() -> None:
    result = analyse(make_gaze([5.0]))
    named = set(result.quality) - {"gaps", "nominal_rate_hz"}
    assert named <= set(QUALITY)
    for book in (FEATURES, QUALITY, AOIS):
        assert all(column.description.strip() for column in book.values())
    row = pd.DataFrame([gaze_features(result, 0, 1)])
    assert list(row.columns) == list(FEATURES)


def test_the_detector_is_told_what_was_shown_when() -> None:
    """Slow drift is pursuit while a film is shown and fixation while an image is."""
    times = np.arange(4000) / 500
    sweep = 8 * (np.arange(500) / 500) - 4
    x = np.tile(sweep, 8) + np.random.default_rng(1).normal(0, 0.01, 4000)
    gaze = replace(
        make_gaze([], fixation_s=8.0, rate_hz=500), times_s=times, x_deg=x, y_deg=np.zeros(4000)
    )
    result = analyse(gaze, shown=[(0.0, 4.0, "image"), (4.0, 8.0, "video")])
    assert measure(result, 0, 4)["pursuit_fraction"] == 0
    assert measure(result, 0, 4)["n_fixations"] >= 4
    assert measure(result, 4, 8)["pursuit_fraction"] > 0.9
    assert measure(result, 4, 8)["pursuit_speed_deg_s"] == pytest.approx(8, rel=0.05)


def test_a_window_without_gaze_in_a_good_recording() -> None:
    gaze = make_gaze([5.0] * 12, fixation_s=0.5)
    lost = (gaze.times_s > 2) & (gaze.times_s < 4)
    gaze = replace(gaze, x_deg=np.where(lost, np.nan, gaze.x_deg))
    result = analyse(gaze)
    found = gaze_features(result, 2.1, 3.9, rect_px=RECT)
    numbers = {k: v for k, v in found.items() if isinstance(v, float) and not math.isnan(v)}
    assert numbers == {"gaze_valid_fraction": 0.0}
    assert measure(result, 0, 2)["n_saccades"] == 3
    assert measure(result, 0, 2)["pursuit_fraction"] == 0
