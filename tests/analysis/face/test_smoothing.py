"""The moving mean of video frames, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.face.smoothing import median_step_s, smooth
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
