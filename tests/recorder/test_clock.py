"""Clock correction with known answers."""

from __future__ import annotations

import numpy as np

from duchenne.recorder.clock import correct, dejitter, fit_offsets


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


def test_a_step_of_the_senders_clock_starts_a_new_segment() -> None:
    time_s = np.arange(0, 200, 5.0)
    offset = np.where(time_s < 100, 1.0, -40.0)
    fitted = fit_offsets(_measure(time_s, offset))
    assert len(fitted) == 2
    np.testing.assert_allclose(correct(time_s - offset, fitted), time_s, atol=1e-9)


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
