from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.synthetic_gaze import TrueGaze, make_gaze

from duchenne.analysis.gaze.detectors import adaptive
from duchenne.analysis.gaze.detectors.adaptive import AdaptiveSettings, detect_adaptive
from duchenne.analysis.gaze.detectors.pursuit import pursuit_score
from duchenne.analysis.gaze.events import label_samples
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.signal import runs
from duchenne.analysis.gaze.velocity import burst_noise_speed, slow_velocity

CODES = {int(label) for label in Label}


def _count(labels: np.ndarray, label: Label) -> int:
    return int(runs(labels == label)[0].size)


def _found(gaze: TrueGaze, labels: np.ndarray) -> tuple[float, int]:
    """Return the share of true saccades that a found one covers, and the number of false ones."""
    starts, stops = runs(labels == Label.SACCADE)
    middle = gaze.saccade_onset_s + gaze.saccade_duration_s / 2
    period = gaze.times_s[1] - gaze.times_s[0]
    inside = (gaze.times_s[starts][:, None] - period <= middle) & (
        middle <= gaze.times_s[stops - 1][:, None] + period
    )
    return float(inside.any(axis=0).mean()), int((~inside.any(axis=1)).sum())


def pursue(
    speed_deg_s: float, *, rate_hz: float = 500.0, noise_deg: float = 0.02, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gaze that follows a target to and fro for 10 s, with a catch-up saccade twice a second."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(10 * rate_hz)) / rate_hz
    path = 2.5 * speed_deg_s * (2 / np.pi) * np.arcsin(np.sin(2 * np.pi * t / 10))
    lag = np.zeros_like(t)
    for onset in np.arange(0.25, 10, 0.5):  # slips back slowly, catches up by 0.8° within 25 ms
        lag += 0.8 * np.clip((t - onset) / 0.025, 0, 1)
    x = path + lag - 1.6 * t + rng.normal(0, noise_deg, t.size)
    return x, rng.normal(0, noise_deg, t.size), t


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    rate_hz=st.sampled_from([60.0, 90.0, 120.0, 125.0, 200.0, 250.0, 300.0, 500.0, 1000.0, 1200.0]),
    noise_deg=st.floats(0, 0.5),
    times_least=st.floats(1, 20),
    seed=st.integers(0, 999),
)
def test_saccades_well_above_the_noise_are_recovered(
    rate_hz: float, noise_deg: float, times_least: float, seed: int
) -> None:
    """Expected recovery, 60–1200 Hz, noise up to 0.5° per axis: at least 95 % of the saccades that
    are 16 times the noise and at least 1° (0.5° from 250 Hz), and at most 2 false ones among 20.
    """
    least = max(0.5 if rate_hz >= 250 else 1.0, 16 * noise_deg)
    amplitude = min(20.0, least * times_least)
    gaze = make_gaze([amplitude] * 20, rate_hz=rate_hz, noise_deg=noise_deg, seed=seed)
    labels = label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s, stimulus="image")
    share, false = _found(gaze, labels)
    assert share >= 0.95
    assert false <= 2


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    rate_hz=st.floats(30, 1200),
    amplitude_deg=st.floats(0.2, 20),
    noise_deg=st.floats(0, 0.5),
    lost=st.floats(0, 0.5),
    stimulus=st.sampled_from(["image", "dots", "video", None]),
)
def test_any_gaze_gets_one_known_code_per_sample(
    rate_hz: float, amplitude_deg: float, noise_deg: float, lost: float, stimulus: str | None
) -> None:
    gaze = make_gaze([amplitude_deg] * 5, rate_hz=rate_hz, noise_deg=noise_deg)
    rng = np.random.default_rng(6)
    gone = np.repeat(rng.random(gaze.times_s.size) < lost, 7)[: gaze.times_s.size]
    x, y = np.where(gone, np.nan, gaze.x_deg), np.where(gone, np.nan, gaze.y_deg)
    kept = x.copy()
    labels = label_samples(x, y, gaze.times_s, stimulus=stimulus)
    assert labels.shape == gaze.times_s.shape
    assert set(labels.tolist()) <= CODES
    np.testing.assert_array_equal(x, kept)  # the input is left alone
    shifted = label_samples(x + 3, y - 2, gaze.times_s + 1000, stimulus=stimulus)
    # Neither place nor clock matters, but for rounding where a speed meets a threshold.
    assert np.sum(shifted != labels) <= 3 + 0.02 * labels.size


def test_pursuit_is_called_so_where_something_moves() -> None:
    x, y, t = pursue(8.0)
    for stimulus in ("dots", "video", None):
        labels = label_samples(x, y, t, stimulus=stimulus)
        assert np.mean(labels == Label.PURSUIT) > 0.8
        assert _count(labels, Label.SACCADE) == pytest.approx(20, abs=1)
    still = label_samples(x, y, t, stimulus="image")
    assert not (still == Label.PURSUIT).any()
    assert np.mean(still == Label.FIXATION) > 0.8


def test_unknown_stimuli_are_told_apart_within_a_session() -> None:
    gaze = make_gaze([4.0] * 100, rate_hz=500, seed=4)
    x, y, _ = pursue(8.0)
    n = gaze.times_s.size
    x = np.concatenate((gaze.x_deg, x, x))
    y = np.concatenate((gaze.y_deg, y, y))
    labels = label_samples(x, y, np.arange(x.size) / 500)
    assert np.mean(labels[: n - 5000] == Label.PURSUIT) < 0.01
    assert np.mean(labels[n + 1000 :] == Label.PURSUIT) > 0.8


def test_a_burst_of_noise_makes_no_saccades() -> None:
    gaze = make_gaze([5.0] * 20, rate_hz=500, noise_deg=0.02, fixation_s=0.5, seed=5)
    burst = (gaze.times_s > 3) & (gaze.times_s < 4)
    jumps = np.where(np.random.default_rng(1).random(burst.size) < 0.5, 0.5, 0.0)
    y = gaze.y_deg + np.where(burst, jumps, 0.0)  # a reflection that jumps between two places
    labels = label_samples(gaze.x_deg, y, gaze.times_s, stimulus="image")
    share, false = _found(gaze, labels)
    assert share == 1
    assert false <= 1


def test_a_second_smaller_movement_right_after_a_saccade_is_no_saccade() -> None:
    gaze = make_gaze([8.0], rate_hz=1000, noise_deg=0.005, fixation_s=0.5, directions_deg=[0.0])
    end = gaze.saccade_onset_s[0] + gaze.saccade_duration_s[0]
    for delay_s, expected in ((0.03, 1), (0.15, 2)):
        back = 1.0 * np.clip((gaze.times_s - end - delay_s) / 0.02, 0, 1)
        labels = label_samples(gaze.x_deg - back, gaze.y_deg, gaze.times_s, stimulus="image")
        assert _count(labels, Label.SACCADE) == expected


def test_no_oscillation_is_claimed_for_slow_trackers() -> None:
    gaze = make_gaze(np.linspace(2, 15, 30), rate_hz=60, noise_deg=0.1)
    assert not (label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s) == Label.PSO).any()


def test_smooth_saccades_have_no_oscillation() -> None:
    gaze = make_gaze(np.linspace(1, 15, 60), rate_hz=500, noise_deg=0.01)
    labels = label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s, stimulus="image")
    assert _count(labels, Label.PSO) <= 3


def test_impossible_speed_is_no_saccade() -> None:
    t = np.arange(1000) / 500
    x = np.where(t < 1, 0.0, 60.0) + np.random.default_rng(0).normal(0, 0.02, t.size)
    labels = label_samples(x, np.zeros_like(x), t)
    assert not (labels == Label.SACCADE).any()
    assert (labels == Label.UNDEFINED).any()


def test_a_short_loss_is_labelled_blink_and_long_or_clipped_loss_is_not() -> None:
    gaze = make_gaze([], fixation_s=3.0, blinks_s=[(0.0, 0.1), (0.8, 0.024), (1.5, 0.6)])
    labels = label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s)
    starts, stops = runs(labels == Label.BLINK)
    assert gaze.times_s[starts] == pytest.approx([0.75], abs=0.004)
    assert gaze.times_s[stops] == pytest.approx([0.904], abs=0.004)
    assert _count(labels, Label.UNDEFINED) == 2


@pytest.mark.parametrize("stimulus", ["image", "video", None])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 9])
def test_a_handful_of_samples(n: int, stimulus: str | None) -> None:
    t = np.arange(n) / 500
    assert label_samples(np.zeros(n), np.zeros(n), t, stimulus=stimulus).shape == (n,)
    lost = label_samples(np.full(n, np.nan), np.zeros(n), t, stimulus=stimulus)
    assert lost.shape == (n,)
    assert not np.isin(lost, (Label.FIXATION, Label.SACCADE, Label.PURSUIT)).any()


def test_stamps_that_repeat_are_taken_and_all_equal_ones_give_no_label() -> None:
    gaze = make_gaze([5.0] * 5, rate_hz=500)
    stamps = gaze.times_s.copy()
    stamps[1::2] = stamps[::2][: stamps[1::2].size]  # two samples per packet, one stamp
    labels = label_samples(gaze.x_deg, gaze.y_deg, stamps)
    assert _count(labels, Label.SACCADE) == 5
    assert (label_samples([0.0, 1.0], [0.0, 1.0], [5.0, 5.0]) == Label.NONE).all()


def test_backward_stamps_are_refused() -> None:
    with pytest.raises(ValueError, match="backwards"):
        label_samples(np.zeros(4), np.zeros(4), [0.0, 0.1, 0.05, 0.2])


def test_a_rate_that_changes_midway_is_survived() -> None:
    fast = make_gaze([6.0] * 20, rate_hz=500, seed=1)
    slow = make_gaze([6.0] * 20, rate_hz=250, seed=2)
    x = np.concatenate((fast.x_deg, slow.x_deg - slow.x_deg[0] + fast.x_deg[-1]))
    y = np.concatenate((fast.y_deg, slow.y_deg - slow.y_deg[0] + fast.y_deg[-1]))
    t = np.concatenate((fast.times_s, fast.times_s[-1] + 0.004 + slow.times_s))
    labels = label_samples(x, y, t, stimulus="image")
    assert _count(labels, Label.SACCADE) == pytest.approx(40, abs=2)


def test_a_webcam_still_sees_large_saccades() -> None:
    gaze = make_gaze([10.0] * 30, rate_hz=30, noise_deg=0.3, fixation_s=(0.4, 0.8))
    share, false = _found(gaze, label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s))
    assert share > 0.9
    assert false <= 2


def test_settings_are_used() -> None:
    gaze = make_gaze([1.0] * 10, rate_hz=500)
    blind = AdaptiveSettings(peak_floor_deg_s=300.0, peak_ceiling_deg_s=400.0)
    labels = detect_adaptive(gaze.x_deg, gaze.y_deg, gaze.times_s, settings=blind)
    assert not (labels == Label.SACCADE).any()


def test_slow_velocity_and_bursts() -> None:
    rng = np.random.default_rng(0)
    velocity = 5 + rng.normal(0, 1, 5000)
    velocity[1000:1020] = 300.0
    assert slow_velocity(velocity, 500.0) == pytest.approx(5, abs=1)
    speed = np.abs(rng.normal(0, 1, 5000))
    speed[2000:3000] *= 10
    noise = burst_noise_speed(speed, 500.0)
    assert noise[2200:2800].min() > 5 * np.median(noise[:1500])
    lost = np.full(10, np.nan)
    assert (slow_velocity(lost, 500.0) == 0).all()
    assert (burst_noise_speed(lost, 500.0) == 0).all()


@pytest.mark.parametrize("rate_hz", [125.0, 500.0])
def test_working_piece_by_piece_changes_nothing(
    rate_hz: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    gaze = make_gaze(np.linspace(0.5, 12, 300), rate_hz=rate_hz, noise_deg=0.05)
    whole = label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s)
    monkeypatch.setattr(adaptive, "PIECE_SAMPLES", 3000)
    np.testing.assert_array_equal(label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s), whole)


def test_unlabelled_and_lonely_samples_have_a_pursuit_score_of_nearly_nothing() -> None:
    x, y = np.array([0.0, 0.0, 5.0, np.nan, 1.0]), np.zeros(5)
    score = pursuit_score(x, y, np.array([0, 4]), np.array([2, 5]))
    assert np.isfinite(score).all()
    assert (score < 0.1).all()
