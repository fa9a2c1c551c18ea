from __future__ import annotations

import numpy as np
import pytest

from duchenne.analysis.gaze.pupil_clean import (
    bridge,
    clean_pupil,
    cut_blinks,
    dilation_speed,
    low_pass,
    regress_eyes,
    reject_artefacts,
)

RATE = 500.0
T = np.arange(int(20 * RATE)) / RATE
TRUTH = 3.5 + 0.2 * np.sin(2 * np.pi * 0.2 * T)
NOTHING = np.full(T.size, np.nan)


def _noisy(seed: int = 0, sd: float = 0.01) -> np.ndarray:
    return TRUTH + np.random.default_rng(seed).normal(0, sd, T.size)


def _blink(
    size: np.ndarray, onset_s: float, *, closing_s: float = 0.1, shut_s: float = 0.15
) -> None:
    since = T - onset_s
    opening_s = 1.5 * closing_s
    closing = (since >= 0) & (since < closing_s)
    shut = (since >= closing_s) & (since < closing_s + shut_s)
    opening = (since >= closing_s + shut_s) & (since < closing_s + shut_s + opening_s)
    size[closing] *= np.linspace(1, 0.5, np.count_nonzero(closing))
    size[opening] *= np.linspace(0.5, 1, np.count_nonzero(opening))
    size[shut] = np.nan


def test_a_blink_is_cut_to_where_its_slopes_begin_and_end() -> None:
    size = _noisy()
    _blink(size, 5.0)
    cut = cut_blinks(size, RATE)
    lost = T[np.isnan(cut)]
    assert lost.min() == pytest.approx(5.0, abs=0.03)
    assert lost.max() == pytest.approx(5.4, abs=0.03)
    short = _noisy()
    _blink(short, 5.0, closing_s=0.03)
    assert np.count_nonzero(np.isnan(cut_blinks(short, RATE))) < lost.size  # not one pad for all


def test_the_trace_through_blinks_is_the_true_one() -> None:
    left, right = _noisy(1), _noisy(2)
    for onset_s in (3.0, 5.1, 5.4, 11.0, 14.7):
        _blink(left, onset_s)
        _blink(right, onset_s)
    clean = clean_pupil(left, right, RATE)
    assert np.isfinite(clean.size).all()
    assert np.abs(clean.size - TRUTH).max() < 0.03
    assert not clean.measured[(T > 3.12) & (T < 3.22)].any()
    assert 0.85 < clean.measured.mean() < 0.95
    assert clean.eyes == "both"


def test_loss_longer_than_a_second_stays_missing() -> None:
    size = _noisy()
    size[(T > 8) & (T < 9.5)] = np.nan
    clean = clean_pupil(size, size, RATE)
    assert np.isnan(clean.size[(T > 8) & (T < 9.5)]).all()
    assert np.isfinite(clean.size[T < 7.9]).all()


@pytest.mark.parametrize("spike", [0.0, -1.0, 9.0, 1.0, np.inf])
def test_what_no_pupil_does_is_removed(spike: float) -> None:
    size = _noisy()
    size[2000] = spike
    kept = reject_artefacts(size, RATE)
    assert np.isnan(kept[2000])
    assert np.count_nonzero(np.isnan(kept)) < 0.01 * T.size


def test_an_island_between_losses_is_dropped() -> None:
    size = _noisy()
    size[2000:2200] = np.nan
    size[2090:2100] = 3.5
    assert np.isnan(reject_artefacts(size, RATE)[2000:2200]).all()


def test_a_slow_wrong_plateau_is_far_from_the_trend() -> None:
    size = _noisy()
    size[3000:3020] = 2.5
    assert np.isnan(reject_artefacts(size, RATE)[3002:3018]).all()


def test_speed_is_the_larger_of_both_sides_and_bridges_what_is_missing() -> None:
    speed = dilation_speed(np.array([1.0, 1.0, np.nan, 3.0, 3.0]), 10.0)
    np.testing.assert_allclose(speed, [0.0, 10.0, np.nan, 10.0, 0.0])
    assert np.isnan(dilation_speed(np.array([np.nan, 1.0]), 10.0)).all()


def test_one_eye_predicts_the_other() -> None:
    left, right = _noisy(1), 0.3 + 0.8 * _noisy(2)
    right[T > 10] = np.nan
    combined, eyes = regress_eyes(left, right, RATE)
    assert eyes == "both"
    expected = (TRUTH + 0.3 + 0.8 * TRUTH) / 2
    assert np.abs(low_pass(combined, RATE) - expected)[100:-100].max() < 0.02
    assert regress_eyes(left, NOTHING, RATE)[1] == "left"
    assert regress_eyes(NOTHING, right, RATE)[1] == "right"
    assert regress_eyes(NOTHING, NOTHING, RATE)[1] == "none"


def test_eyes_without_a_common_course_are_shifted_not_regressed() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(3.2, 0.01, T.size), rng.normal(3.0, 0.01, T.size)
    right[T > 10] = np.nan
    combined, eyes = regress_eyes(left, right, RATE)
    assert eyes == "both shifted"
    assert combined[T > 10].mean() == pytest.approx(3.1, abs=0.005)


def test_the_filter_has_no_delay_and_stops_at_4_hz() -> None:
    slow, fast = np.sin(2 * np.pi * 0.5 * T), np.sin(2 * np.pi * 20 * T)
    inner = slice(500, -500)
    assert np.abs(low_pass(slow, RATE) - slow)[inner].max() < 0.01
    assert np.abs(low_pass(fast, RATE))[inner].max() < 0.01
    np.testing.assert_array_equal(low_pass(slow, 8.0), slow)


def test_bridging_does_not_overshoot_and_leaves_the_ends() -> None:
    size = TRUTH.copy()
    size[:100] = size[2000:2150] = size[-100:] = np.nan
    filled = bridge(size, RATE)
    assert np.isnan(filled[:100]).all()
    assert np.isnan(filled[-100:]).all()
    assert np.abs(filled - TRUTH)[100:-100].max() < 0.01


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_hardly_any_samples(n: int) -> None:
    few = np.full(n, 3.0)
    clean = clean_pupil(few, few, RATE)
    assert clean.size.shape == clean.measured.shape == (n,)


def test_no_pupil_no_rate_and_a_constant_pupil() -> None:
    assert np.isnan(clean_pupil(NOTHING, NOTHING, RATE).size).all()
    assert np.isnan(clean_pupil(TRUTH, TRUTH, float("nan")).size).all()
    flat = np.full(T.size, 3.0)
    np.testing.assert_allclose(clean_pupil(flat, flat, RATE).size, 3.0)


@pytest.mark.parametrize("rate_hz", [30.0, 60.0, 125.0, 1200.0])
def test_every_rate(rate_hz: float) -> None:
    t = np.arange(int(20 * rate_hz)) / rate_hz
    truth = 3.5 + 0.2 * np.sin(2 * np.pi * 0.2 * t)
    size = truth + np.random.default_rng(0).normal(0, 0.01, t.size)
    size[(t > 5) & (t < 5.2)] = np.nan
    clean = clean_pupil(size, size, rate_hz)
    assert np.abs(clean.size - truth).max() < 0.05


def test_a_quiet_device_keeps_its_light_reflex() -> None:
    size = (
        4.0
        - 1.2 / (1 + np.exp(-(T - 10) / 0.06))
        + np.random.default_rng(0).normal(0, 1e-4, T.size)
    )
    assert np.isfinite(reject_artefacts(size, RATE)).all()
