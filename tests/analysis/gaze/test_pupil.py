from __future__ import annotations

import numpy as np
import pytest

from duchenne.analysis.gaze.pupil import clean_eye, combine_pupils, pupil_response

RATE = 600.0
T = np.arange(int(10 * RATE)) / RATE
ONSET, OFFSET = 4.0, 8.0


def _trace(change: float = 0.4, noise: float = 0.01) -> np.ndarray:
    rng = np.random.default_rng(0)
    grown = np.clip((T - ONSET - 0.25) / 0.5, 0, 1)
    return 3.0 + change * grown + rng.normal(0, noise, T.size)


def test_the_response_is_the_change_from_baseline() -> None:
    response = pupil_response(T, _trace(), ONSET, OFFSET)
    assert response.baseline == pytest.approx(3.0, abs=0.005)
    assert response.change_peak == pytest.approx(0.4, abs=0.01)
    assert response.change_mean == pytest.approx(0.4 * (1 - 0.28 / 3.78), abs=0.01)
    assert response.early_change == pytest.approx(0.0, abs=0.005)
    assert response.valid_fraction == 1


def test_change_before_the_latency_is_flagged_and_not_counted() -> None:
    early = (T >= ONSET) & (T < ONSET + 0.22)
    response = pupil_response(T, np.where(early, 5.0, 3.0), ONSET, OFFSET)
    assert response.early_change == pytest.approx(2.0)
    assert response.change_mean == pytest.approx(0.0)
    assert response.change_peak == pytest.approx(0.0)


def test_constriction_has_a_negative_mean() -> None:
    assert pupil_response(T, _trace(-0.5), ONSET, OFFSET).change_mean < -0.4


@pytest.mark.parametrize(("lost_s", "measured"), [(0.2, True), (0.3, False)])
def test_half_of_the_baseline_must_be_valid(lost_s: float, measured: bool) -> None:
    trace = _trace()
    trace[(ONSET - lost_s <= T) & (T < ONSET)] = np.nan
    response = pupil_response(T, trace, ONSET, OFFSET)
    assert np.isfinite(response.baseline) == measured
    assert np.isfinite(response.change_mean) == measured


def test_samples_that_never_arrived_are_not_valid() -> None:
    trace = _trace()
    came = (ONSET - 0.2 > T) | (T >= ONSET)  # the tracker fell silent for 0.2 s of the baseline
    response = pupil_response(T[came], trace[came], ONSET, OFFSET, rate_hz=RATE)
    assert response.baseline_valid_fraction == pytest.approx(0.6, abs=0.01)
    came = ((ONSET - 0.45 > T) | (T >= ONSET)) & (T < 7)
    response = pupil_response(T[came], trace[came], ONSET, OFFSET, rate_hz=RATE)
    assert np.isnan([response.baseline, response.change_mean]).all()
    came = T < 5.5  # it stopped while the stimulus was shown
    response = pupil_response(T[came], trace[came], ONSET, OFFSET, rate_hz=RATE)
    assert response.valid_fraction == pytest.approx(1.28 / 3.78, abs=0.01)
    assert np.isnan(response.change_mean)
    assert response.baseline == pytest.approx(3.0, abs=0.005)


def test_an_implausibly_small_baseline_is_refused() -> None:
    trace = _trace()
    trace[(T >= ONSET - 0.5) & (T < ONSET)] = 1.2
    assert np.isnan(pupil_response(T, trace, ONSET, OFFSET, usual_size=3.0).baseline)
    as_area = pupil_response(T, trace, ONSET, OFFSET, usual_size=3.0, measure="area")
    assert as_area.baseline == pytest.approx(1.2)


def test_too_little_after_onset_gives_no_change() -> None:
    trace = _trace()
    trace[(T > 5.5) & (T < 8)] = np.nan
    response = pupil_response(T, trace, ONSET, OFFSET)
    assert np.isfinite(response.baseline)
    assert np.isnan(response.change_mean)


def test_blinks_are_removed_with_the_lids_around_them() -> None:
    size = _trace(0.0)
    size[(T >= 2.0) & (T < 2.15)] = 0.0
    size[(T >= 1.93) & (T < 2.0)] *= 0.6  # the lid comes down
    cleaned = clean_eye(size, np.ones(T.size, dtype=bool), RATE)
    assert np.nanmin(cleaned) > 2.9
    lost_s = T[np.isnan(cleaned)]
    assert lost_s.min() == pytest.approx(1.9, abs=0.01)
    assert lost_s.max() == pytest.approx(2.25, abs=0.01)
    trace = combine_pupils(cleaned, np.full(T.size, np.nan), RATE)
    assert np.isnan(trace[np.isnan(cleaned)]).all()  # a blink is not interpolated


def test_short_loss_is_interpolated() -> None:
    size = _trace(0.0, noise=0.0)
    size[600:606] = np.nan
    cleaned = clean_eye(size, np.isfinite(size), RATE)
    trace = combine_pupils(cleaned, cleaned, RATE)
    np.testing.assert_allclose(trace, 3.0)


def test_pupils_slower_than_gaze_are_kept() -> None:
    size = _trace(0.0)
    size[np.arange(size.size) % 5 != 0] = np.nan  # 120 Hz within 600 Hz
    cleaned = clean_eye(size, np.ones(T.size, dtype=bool), RATE)
    assert np.isfinite(combine_pupils(cleaned, cleaned, RATE)[10:-10]).all()


def test_spikes_are_removed() -> None:
    size = _trace(0.0)
    size[1000] = 6.0
    assert np.nanmax(clean_eye(size, np.ones(T.size, dtype=bool), RATE)) < 3.1


def test_losing_one_eye_does_not_move_the_pupil() -> None:
    left, right = np.full(T.size, 3.2), np.full(T.size, 3.0)
    left[3000:] = np.nan
    np.testing.assert_allclose(combine_pupils(left, right, RATE), 3.1)


def test_no_pupil_at_all() -> None:
    nothing = np.full(T.size, np.nan)
    assert np.isnan(clean_eye(nothing, np.zeros(T.size, dtype=bool), RATE)).all()
    response = pupil_response(T, nothing, ONSET, OFFSET)
    assert np.isnan([response.baseline, response.change_mean, response.early_change]).all()
