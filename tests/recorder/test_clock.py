"""Clock correction with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from duchenne.recorder.clock import correct, fit_offsets
from duchenne.recorder.dejitter import dejitter


def _measure(time_s, offset_s):
    return np.column_stack([time_s, offset_s])


def test_without_measurements_the_stamps_stand() -> None:
    stamps = np.array([1.0, 2.0])
    np.testing.assert_array_equal(correct(stamps, fit_offsets(np.empty((0, 3)))), stamps)


def test_a_drifting_clock_with_outliers_is_followed_within_20_microseconds() -> None:
    rng = np.random.default_rng(1)
    time_s = np.arange(0, 1800, 5.0)
    truth = -3.0 + 50e-6 * time_s
    measured = truth + rng.normal(0, 20e-6, time_s.size)
    measured[::17] += 0.004
    fitted = fit_offsets(_measure(time_s, measured))
    sender = time_s - truth
    error = correct(sender, fitted) - time_s
    assert np.abs(error).max() < 20e-6
    assert abs(fitted[0].drift - 50e-6) < 1e-6


def _arrivals(times, latency_s=0.01, chunk=50):
    starts = np.arange(0, len(times), chunk)
    last = np.minimum(starts + chunk, len(times)) - 1
    return np.column_stack([starts, times[last] + latency_s])


@pytest.mark.parametrize("step_s", [10.0, -10.0, -3600.0, 0.5])
def test_a_step_of_the_senders_clock_moves_no_sample(step_s: float) -> None:
    times = np.arange(0, 200, 0.01)
    offset = np.where(times < 98.3, 1.0, 1.0 - step_s)
    probe = np.arange(0, 200, 5.0)
    probes = _measure(probe, np.where(probe < 98.3, 1.0, 1.0 - step_s))
    fitted = fit_offsets(probes)
    assert len(fitted) == 2
    found = correct(times - offset, fitted, _arrivals(times))
    wrong = np.abs(found - times) > 1e-6
    assert wrong.sum() <= 50  # at most the chunk in which the clock stepped


def test_one_bad_measurement_is_no_step() -> None:
    probe = np.arange(0, 100, 5.0)
    offsets = np.full(probe.size, 2.0)
    offsets[7] = 2.4
    assert len(fit_offsets(_measure(probe, offsets))) == 1
    slow = np.column_stack([probe, offsets, np.where(offsets > 2.1, 0.9, 1e-4)])
    slow[-1, 1:] = 2.4, 0.9
    assert len(fit_offsets(slow)) == 1


@pytest.mark.parametrize(
    ("rate_hz", "lost", "at", "n"),
    [(1000, 15, 200, 100_000), (60, 1, 40, 6000), (250, 4, 2000, 90_000)],
)
def test_samples_lost_near_an_end_keep_their_stamps(
    rate_hz: int, lost: int, at: int, n: int
) -> None:
    truth = np.delete(np.arange(n), np.arange(at, at + lost)) / rate_hz
    np.testing.assert_allclose(dejitter(truth, float(rate_hz)), truth, atol=0.3 / rate_hz)


def test_odd_boundaries_and_stamps_are_survived() -> None:
    stamps = np.arange(500) / 100
    stamps[7] = np.nan
    stamps[9] = np.inf
    assert len(dejitter(stamps, 100.0, boundaries=(0, 250, 9999))) == 500


def test_jitter_of_an_equidistant_stream_is_removed() -> None:
    rng = np.random.default_rng(2)
    truth = 100 + np.arange(20_000) / 250
    smooth = dejitter(truth + rng.normal(0, 0.0005, truth.size), 250.0)
    assert np.abs(smooth - truth).max() < 5e-5


def test_a_gap_is_not_bridged_and_video_would_not_move() -> None:
    truth = np.concatenate([np.arange(300) / 30, 16 + np.arange(300) / 30])
    np.testing.assert_allclose(dejitter(truth, 30.0), truth, atol=1e-9)


def test_silently_lost_samples_keep_their_stamps() -> None:
    index = np.arange(3000)
    truth = np.delete(index, np.arange(1000, 1006)) / 600
    np.testing.assert_allclose(dejitter(truth, 600.0), truth, atol=1e-4)


def test_irregular_streams_are_left_alone() -> None:
    stamps = np.sort(np.random.default_rng(3).uniform(0, 10, 500))
    np.testing.assert_array_equal(dejitter(stamps, 0.0), stamps)
