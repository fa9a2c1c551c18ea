"""Pure measures against answers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from duchenne.analysis.gaze.directions import direction_statistics
from duchenne.analysis.gaze.entropy import (
    grid_cells,
    miller_madow_entropy,
    stationary_entropy,
    transition_counts,
    transition_entropy,
)
from duchenne.analysis.gaze.mainsequence import fit_main_sequence
from duchenne.analysis.gaze.microsaccades import find_microsaccades, microsaccade_onsets
from duchenne.analysis.gaze.pursuit import pursuit_gain, pursuit_speed_deg_s
from duchenne.analysis.gaze.quality import bcea_deg2, rate_range_hz
from duchenne.analysis.gaze.scanpath import (
    coefficient_k,
    following_amplitude_deg,
    multimatch,
    scanpath_length_deg,
)
from duchenne.analysis.gaze.validation import angle_between_deg

NAN = float("nan")


def test_the_main_sequence_comes_back() -> None:
    amplitude = np.array([0.5, 1, 2, 4, 8, 16, NAN])
    peak = 500 * (1 - np.exp(-amplitude / 6))
    fit = fit_main_sequence(amplitude, peak)
    assert fit.v_max_deg_s == pytest.approx(500, rel=1e-3)
    assert fit.scale_deg == pytest.approx(6, rel=1e-3)
    assert fit.r_squared == pytest.approx(1)
    assert fit.n == 6


@pytest.mark.parametrize(
    ("amplitude", "peak"),
    [
        ([], []),
        ([1, 2, 4, 8], [50, 100, 200, 300]),  # too few
        ([5, 5.1, 5.2, 5.3, 5.4], [300, 301, 302, 303, 304]),  # amplitudes alike
        ([1, 2, 3, 4, 8], [50, 100, 150, 200, 400]),  # a straight line: no maximum to be had
        ([1, 2, 4, 8, 16], [300, 300, 300, 300, 300]),  # a constant
    ],
)
def test_a_main_sequence_that_cannot_be_had_is_missing(amplitude: list, peak: list) -> None:
    fit = fit_main_sequence(amplitude, peak)
    assert math.isnan(fit.v_max_deg_s)
    assert math.isnan(fit.r_squared)
    assert fit.n == len(amplitude)


def test_directions_are_angles() -> None:
    around = direction_statistics([179, -179, NAN])
    assert abs(around.mean_deg) == pytest.approx(180)
    assert around.resultant == pytest.approx(math.cos(math.radians(1)))
    assert around.horizontal_share == 1
    cross = direction_statistics([0, 90, 180, -90])
    assert math.isnan(cross.mean_deg)
    assert cross.resultant == pytest.approx(0, abs=1e-12)
    assert cross.horizontal_share == 0.5
    assert math.isnan(direction_statistics([]).horizontal_share)


def test_entropy_of_place() -> None:
    assert stationary_entropy([0, 1, 2, 3]) == pytest.approx(2)
    assert stationary_entropy([0, 0, 0]) == 0
    assert stationary_entropy([0, 1, 1, -1], [2, 1, 1, 9]) == pytest.approx(1)
    assert math.isnan(stationary_entropy([0, 1, -1]))
    # 4 fixations in 4 cells: 2 bits + 3 / (8 ln 2); never above log2(cells)
    assert miller_madow_entropy([0, 1, 2, 3], 16) == pytest.approx(2 + 3 / (8 * math.log(2)))
    assert miller_madow_entropy([0, 1, 2, 3], 4) == 2
    assert math.isnan(miller_madow_entropy([0], 16))


def test_entropy_of_transitions() -> None:
    counts = transition_counts([0, 1, 0, 1, -1, 1, 1], 2)
    assert counts.tolist() == [[0, 2], [1, 1]]
    # from 0 always to 1 (0 bits), from 1 to either (1 bit), each half of the departures
    assert transition_entropy(counts) == pytest.approx(0.5)
    assert transition_entropy(np.ones((4, 4))) == pytest.approx(2)
    assert math.isnan(transition_entropy([[0, 2], [0, 0]]))


def test_cells_of_the_grid() -> None:
    rect = (100, 100, 500, 500)
    x, y = [100, 199, 200, 499, 500, 99, NAN], [100, 100, 100, 499, 300, 300, 300]
    assert grid_cells(x, y, rect).tolist() == [0, 0, 1, 15, -1, -1, -1]


def test_the_length_of_a_path() -> None:
    assert scanpath_length_deg([0, 3, NAN, 3], [0, 4, 0, 0]) == pytest.approx(9)
    assert math.isnan(scanpath_length_deg([0], [0]))


def test_the_saccade_after_each_fixation() -> None:
    amplitude = following_amplitude_deg([0, 1, 2], [0.9, 0.5, 0.5], [0.9, 2.5], [3, 4])
    np.testing.assert_array_equal(amplitude, [3, NAN, 4])


def test_coefficient_k() -> None:
    duration, amplitude = np.array([0.2, 0.3, 0.4]), np.array([6.0, 4.0, 2.0])
    assert coefficient_k(duration, amplitude, duration, amplitude) == pytest.approx(0)
    # longer by one SD (0.1 s) and shorter steps by one SD (2°): K = 1 + 1
    assert coefficient_k(duration + 0.1, amplitude - 2, duration, amplitude) == pytest.approx(2)
    assert math.isnan(coefficient_k(duration[:2], amplitude[:2], duration, amplitude))
    assert math.isnan(coefficient_k(duration, amplitude, duration, [1, 1, 1]))


def test_the_ellipse_of_gaze() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 0.5, 100_000), rng.normal(0, 0.2, 100_000)
    assert bcea_deg2(x, y) == pytest.approx(2 * 1.13943 * math.pi * 0.1, rel=0.01)
    assert bcea_deg2([1, 2, 3], [1, 2, 3]) == pytest.approx(0, abs=1e-6)
    assert math.isnan(bcea_deg2([1, 2, NAN], [1, 2, 3]))


def test_microsaccades_of_both_eyes() -> None:
    rng = np.random.default_rng(2)
    times = np.arange(5000) / 1000
    steps = sum(0.5 * np.clip((times - onset) / 0.015, 0, 1) for onset in (1.0, 2.0, 3.0, 4.0))
    eyes = [(steps + rng.normal(0, 0.01, 5000), rng.normal(0, 0.01, 5000)) for _ in range(2)]
    found = find_microsaccades(eyes, 1000.0)
    onsets = microsaccade_onsets(found, np.ones(5000, dtype=bool), 1000.0)
    assert onsets / 1000 == pytest.approx([1, 2, 3, 4], abs=0.005)
    assert found.amplitude_deg == pytest.approx(0.5, abs=0.06)
    # the other eye does not move: no microsaccade
    still = [eyes[0], (rng.normal(0, 0.01, 5000), rng.normal(0, 0.01, 5000))]
    assert len(find_microsaccades(still, 1000.0).onset) == 0
    # beside a larger saccade: its overshoot
    away = np.ones(5000, dtype=bool)
    away[980:999] = False
    assert len(microsaccade_onsets(found, away, 1000.0)) == 3
    for silent in ([], [(np.full(50, NAN), np.full(50, NAN))], [(np.zeros(50), np.zeros(50))]):
        assert len(find_microsaccades(silent, 1000.0).onset) == 0


def test_the_gain_of_pursuit() -> None:
    times = np.arange(1000) / 500
    target = (times, 10 * times, np.zeros(1000))
    eye = 9 * times + 0.3
    pursuing = np.ones(1000, dtype=bool)
    eye[500:] += 1.0  # a catch-up saccade between two stretches of pursuit
    pursuing[490:510] = False
    assert pursuit_gain(times, eye, np.zeros(1000), pursuing, target) == pytest.approx(0.9)
    assert pursuit_speed_deg_s(times, eye, np.zeros(1000), pursuing) == pytest.approx(9)
    still = (times, np.zeros(1000), np.zeros(1000))
    assert math.isnan(pursuit_gain(times, eye, np.zeros(1000), pursuing, still))
    assert math.isnan(pursuit_speed_deg_s(times, eye, eye, ~pursuing[:1].repeat(1000)))


def test_the_angle_between_lines_of_sight() -> None:
    assert angle_between_deg(0, 0, 3, 0) == pytest.approx(3)
    assert angle_between_deg(-2, 0, 1, 0) == pytest.approx(3)
    # two axes: atan(√2 tan 10°), less than 10√2
    both = math.degrees(math.atan(math.sqrt(2) * math.tan(math.radians(10))))
    assert angle_between_deg(0, 0, 10, 10) == pytest.approx(both)


def test_the_range_of_sampling_rates() -> None:
    slow, fast = np.arange(0, 20, 1 / 250), 20 + np.arange(0, 20, 1 / 500)
    assert rate_range_hz(np.concatenate([slow, fast])) == pytest.approx((250, 500))
    assert rate_range_hz(slow) == pytest.approx((250, 250))
    assert math.isnan(rate_range_hz(np.array([1.0]))[0])


def test_likeness_of_scan_paths() -> None:
    pytest.importorskip("multimatch_gaze")
    path = (np.array([100, 500, 300, 800]), np.array([100, 200, 600, 400]), np.full(4, 0.3))
    same = multimatch(path, path, (1280, 720))
    assert (same.shape, same.direction, same.length, same.position, same.duration) == (1,) * 5
    other = multimatch(path, (path[0][::-1], path[1], path[2] * 2), (1280, 720))
    assert other.position < 0.9
    assert other.duration == pytest.approx(0.5)
    assert math.isnan(multimatch(path, ([1, 2], [1, 2], [1, 1]), (1280, 720)).shape)


def test_precision_agrees_with_etdqualitizer() -> None:
    tool = pytest.importorskip("ETDQualitizer")
    rng = np.random.default_rng(3)
    x, y = rng.normal(2, 0.3, 4000), rng.normal(-1, 0.2, 4000)
    x[100:200] = np.nan
    y[100:200] = np.nan
    assert bcea_deg2(x, y) == pytest.approx(tool.bcea(x, y)[0])
    found = tool.accuracy(x, y, 0.0, 0.0)[0]
    assert angle_between_deg(float(np.nanmean(x)), float(np.nanmean(y)), 0, 0) == pytest.approx(
        found, abs=0.003
    )
