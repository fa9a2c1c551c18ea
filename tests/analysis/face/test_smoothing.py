"""The moving mean of video frames, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.face.smoothing import bridged, local_fit, median_step_s, smooth
from duchenne.analysis.reports.drawing import au_lines


def test_frames_that_are_nan_stay_nan_and_are_left_out():
    values = np.array([0.0, 3.0, 0.0, np.nan, 6.0])
    times = np.arange(5) / 15  # 0.2 s are three frames
    np.testing.assert_allclose(smooth(times, values), [1.5, 1.0, 1.5, np.nan, 6.0])


@pytest.mark.parametrize(
    ("rate_hz", "n"), [(4, 1), (5, 1), (10, 1), (15, 3), (25, 5), (30, 5), (50, 9), (60, 11)]
)
def test_the_window_is_the_largest_odd_number_of_frames_that_fits(rate_hz, n):
    pulse = np.zeros(101)
    pulse[50] = 1.0
    for nearly in (0.99, 1.0, 1.01):
        smoothed = smooth(np.arange(101) / (nearly * rate_hz), pulse)
        assert (smoothed > 0).sum() == n
        assert smoothed.max() == pytest.approx(1 / n)


@pytest.mark.parametrize("gap_s", [4.8, 0.14, -3.0])
def test_the_mean_never_reaches_across_a_gap(gap_s):
    times = np.concatenate([np.arange(3) / 15, 2 / 15 + gap_s + np.arange(4) / 15])
    values = np.array([6.0, 6.0, 3.0, 0.0, 0.0, 3.0, 0.0])
    np.testing.assert_allclose(smooth(times, values), [6, 5, 4.5, 0, 1, 1, 1.5])


def test_one_lost_frame_of_jitter_is_no_gap():
    times = np.array([0, 1, 2, 3.8, 5, 6]) / 15
    np.testing.assert_allclose(
        smooth(times, np.array([0, 0, 0, 3.0, 3.0, 3.0])), [0, 0, 1, 2, 3, 3]
    )


def test_few_or_no_frames():
    assert np.isnan(median_step_s(np.zeros(1)))
    assert smooth(np.zeros(0), np.zeros(0), 1 / 30).size == 0
    np.testing.assert_array_equal(smooth(np.zeros(1), np.array([2.0])), [2.0])
    np.testing.assert_array_equal(smooth(np.zeros(2), np.array([2.0, 3.0])), [2.0, 3.0])


def test_the_lines_of_the_report_are_smoothed_alike():
    from matplotlib.figure import Figure

    times = np.concatenate([np.arange(5) / 30, 3 + np.arange(5) / 30])
    frames = pd.DataFrame({"AU12_r": [0.0] * 5 + [5.0] * 5})
    axes = Figure().subplots()
    au_lines(axes, times, frames, ["AU12"])
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), frames["AU12_r"])


def irregular(n=60, rate_hz=30.0):
    rng = np.random.default_rng(1)
    return np.arange(n) / rate_hz + rng.uniform(-0.004, 0.004, n)


def test_a_parabola_passes_unchanged_on_irregular_times():
    times = irregular()
    values = 1.0 + 2.0 * times - 1.5 * times**2
    fit = local_fit(times, values)
    np.testing.assert_allclose(fit.value, values, atol=1e-9)
    # The first and last frame have three frames in their window: a straight line.
    np.testing.assert_allclose(fit.slope_per_s[1:-1], (2.0 - 3.0 * times)[1:-1], atol=1e-7)


@pytest.mark.parametrize("rate_hz", [25.0, 30.0, 60.0, 120.0])
def test_onsets_and_peaks_keep_their_time_and_height(rate_hz):
    times = np.arange(round(2 * rate_hz)) / rate_hz
    phase = np.clip((times - 0.5) / 0.5, 0, 1)
    values = 4 * np.sin(np.pi * phase) ** 2
    local = local_fit(times, values).value
    blurred = smooth(times, values)
    assert 4 - local.max() < 0.1
    assert 4 - local.max() < (4 - blurred.max()) / 4
    assert local[times < 0.44] == pytest.approx(0, abs=0.05)


def test_noise_is_smoothed():
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 1, 2000)
    times = np.arange(2000) / 60
    assert local_fit(times, noise).value.std() < 0.5


@pytest.mark.parametrize(
    ("n_missing", "is_bridged"), [(1, True), (2, True), (3, False), (9, False)]
)
def test_what_is_not_measured_is_bridged_over_a_tenth_of_a_second_at_most(n_missing, is_bridged):
    times = np.arange(40) / 30
    values = np.full(40, 2.0)
    values[20 : 20 + n_missing] = np.nan
    fitted = local_fit(times, values).value
    assert np.isfinite(fitted[20 : 20 + n_missing]).all() == is_bridged
    assert np.isfinite(fitted[:20]).all()
    np.testing.assert_allclose(fitted[np.isfinite(fitted)], 2.0)
    ends = np.where(np.arange(40) < 2, np.nan, 2.0)
    assert np.isnan(bridged(times, ends, 0.1)[:2]).all()


@pytest.mark.parametrize("gap_s", [0.2, 4.8, -3.0])
def test_the_parabola_never_reaches_across_a_gap(gap_s):
    times = np.concatenate([np.arange(20) / 60, 19 / 60 + gap_s + np.arange(20) / 60])
    values = np.repeat([1.0, 4.0], 20)
    np.testing.assert_allclose(local_fit(times, values).value, values, atol=1e-9)
    jumps = np.flatnonzero(np.abs(local_fit(times, values).slope_per_s) > 1e-6)
    assert not len(jumps)


def test_few_or_no_frames_are_fitted_as_they_are():
    none = np.zeros(0)
    assert local_fit(none, none).value.size == 0
    one = local_fit(np.array([1.0]), np.array([3.0]))
    assert one.value[0] == 3.0
    assert np.isnan(one.slope_per_s[0])
    two = local_fit(np.array([0.0, 0.1]), np.array([3.0, 4.0]))
    np.testing.assert_allclose(two.slope_per_s, 10.0)
    assert np.isnan(local_fit(np.arange(5) / 30, np.full(5, np.nan)).value).all()
