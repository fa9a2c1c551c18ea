from __future__ import annotations

import numpy as np
import pytest

from duchenne.analysis.gaze.signal import (
    combine_eyes,
    eye_of_samples,
    eye_valid,
    fill_runs,
    gap_starts,
    runs,
    sampling_rate_hz,
)


def test_runs_and_back() -> None:
    mask = np.array([1, 1, 0, 0, 1, 0, 1], dtype=bool)
    starts, stops = runs(mask)
    assert starts.tolist() == [0, 4, 6]
    assert stops.tolist() == [2, 5, 7]
    assert (fill_runs(starts, stops, mask.size) == mask).all()
    assert fill_runs([-3, 2], [2, 99], 5).all()


@pytest.mark.parametrize("rate", [30.0, 60.0, 200.0, 600.0, 1200.0])
def test_the_rate_comes_from_the_stamps(rate: float) -> None:
    t = 100 + np.arange(int(20 * rate)) / rate
    assert sampling_rate_hz(t) == pytest.approx(rate)
    jitter = np.random.default_rng(0).normal(0, 0.2 / rate, t.size)
    assert sampling_rate_hz(np.sort(t + jitter)) == pytest.approx(rate, rel=0.002)


def test_gaps_do_not_lower_the_rate() -> None:
    t = np.arange(6000) / 600
    t[3000:] += 4.0
    assert sampling_rate_hz(t) == pytest.approx(600, rel=1e-3)
    assert gap_starts(t, 600).tolist() == [2999]


def test_stamps_in_chunks_keep_the_rate() -> None:
    t = np.repeat(np.arange(300) * 20 / 600, 20)
    assert sampling_rate_hz(t) == pytest.approx(600, rel=0.01)


@pytest.mark.parametrize("t", [[], [1.0], [2.0, 2.0]])
def test_no_rate_without_time(t: list[float]) -> None:
    assert np.isnan(sampling_rate_hz(t))
    assert gap_starts(t, float("nan")).size == 0


def test_an_eye_is_valid_where_measured() -> None:
    x = [0.5, np.nan, 0.5, 0.5, 0.5]
    assert eye_valid(x, [0.5] * 5, [1, 1, 0, np.nan, 1], [3, 3, 3, np.nan, 0]).tolist() == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_losing_one_eye_is_not_a_movement() -> None:
    left, right = np.full(10, 0.52), np.full(10, 0.48)
    left[:3] = np.nan
    right[7:] = np.nan
    np.testing.assert_allclose(combine_eyes(left, right), 0.5)
    assert (
        eye_of_samples(np.isfinite(left), np.isfinite(right)).tolist()
        == [2] * 3 + [3] * 4 + [1] * 3
    )


def test_one_eye_alone_is_itself() -> None:
    right = np.array([0.1, np.nan, 0.3])
    np.testing.assert_array_equal(combine_eyes(np.full(3, np.nan), right), right)
