"""The simulated eyes and pupils as pure functions of seed and script."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from duchenne.recorder.sources.gaze_plan import CLEAR_OF_BLINKS_S, GazePlan
from duchenne.recorder.sources.gaze_signal import DEVICE_TIME, EyeTrackerSignal
from duchenne.recorder.sources.listener import Cue
from duchenne.recorder.sources.oculomotor import (
    Blink,
    Saccade,
    SlowNoise,
    exploration,
    gaze_position,
    minimum_jerk,
    saccade_duration_s,
    spontaneous_blinks,
    tremor,
)
from duchenne.recorder.sources.participant import Participant, Traits
from duchenne.recorder.sources.pupil_response import (
    AROUSAL,
    LIGHT,
    PupilPlan,
    Step,
    pupil_diameter,
    settle,
    steady_diameter_mm,
)
from duchenne.recorder.sources.screen import RegionDeg, Screen
from duchenne.recorder.sources.truth import fixation_table

RATE_HZ = 600.0
REGION = RegionDeg(-12.0, 12.0, -8.0, 8.0)
RECT_PX = (480.0, 216.0, 1440.0, 864.0)


def test_saccade_follows_main_sequence_and_profile() -> None:
    saccade = Saccade(1.0, 0.0, 0.0, 3.0, 4.0)
    assert saccade.amplitude_deg == pytest.approx(5.0)
    assert saccade.duration_s == pytest.approx(0.032)
    assert saccade.direction_deg == pytest.approx(math.degrees(math.atan2(4, 3)))
    times = np.arange(0.9, 1.2, 1e-5)
    x, y = gaze_position([saccade], (0.0, 0.0), times)
    speed = np.hypot(np.gradient(x, times), np.gradient(y, times))
    assert speed.max() == pytest.approx(saccade.peak_velocity_deg_s, rel=1e-3)
    assert speed.max() == pytest.approx(1.875 * 5.0 / 0.032, rel=1e-3)
    assert (x[0], y[0]) == (0.0, 0.0)
    assert (x[-1], y[-1]) == pytest.approx((3.0, 4.0))
    moving = times[speed > 1e-6]
    assert moving[-1] - moving[0] == pytest.approx(saccade.duration_s, abs=5e-4)


def test_minimum_jerk_is_clipped_and_symmetric() -> None:
    u = np.linspace(0, 1, 11)
    assert minimum_jerk(np.array([-1.0, 0.0, 0.5, 1.0, 2.0])).tolist() == [0, 0, 0.5, 1, 1]
    assert minimum_jerk(u) + minimum_jerk(1 - u) == pytest.approx(np.ones(11))


def test_oscillation_dies_out_and_is_off_by_default() -> None:
    saccade = Saccade(0.0, 0.0, 0.0, 10.0, 0.0)
    after = np.array([saccade.offset_s + 0.01, saccade.offset_s + 0.3])
    assert gaze_position([saccade], (0.0, 0.0), after)[0] == pytest.approx([10.0, 10.0])
    swinging, _ = gaze_position([saccade], (0.0, 0.0), after, oscillation=0.1)
    assert abs(swinging[0] - 10.0) > 0.2
    assert swinging[1] == pytest.approx(10.0, abs=1e-3)


def test_exploration_is_deterministic_and_stays_inside() -> None:
    def script(key: str) -> list[tuple[float, float, float]]:
        return list(itertools.islice(exploration(REGION, (0.0, 0.0), 7, key), 300))

    first = script("P01-01-01-001")
    assert first == script("P01-01-01-001")
    assert first != script("P01-01-01-002")
    points = np.array([(0.0, 0.0, 0.0), *first])
    assert all(REGION.contains(x, y) for x, y, _ in first)
    amplitudes = np.hypot(*np.diff(points[:, :2], axis=0).T)
    assert amplitudes.min() >= 2.0 - 1e-9
    assert amplitudes.max() <= 12.0 + 1e-9
    assert 3.0 < np.median(amplitudes) < 5.0
    assert points[1:, 2].min() >= 0.2
    assert points[1:, 2].max() <= 0.45
    assert np.median(points[1:, 2]) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("half_width", [0.2, 0.8])
def test_exploration_of_a_tiny_or_distant_region(half_width: float) -> None:
    region = RegionDeg(10 - half_width, 10 + half_width, -half_width, half_width)
    for x, y, _ in itertools.islice(exploration(region, (-30.0, 0.0), 1, "x"), 20):
        assert region.contains(x, y)


def test_blinks_come_at_a_human_rate() -> None:
    blinks = list(itertools.takewhile(lambda b: b.onset_s < 6000.0, spontaneous_blinks(0.0, 3)))
    assert 5.0 <= len(blinks) / 100.0 <= 10.0
    assert all(0.12 <= b.duration_s <= 0.2 for b in blinks)


def test_noise_does_not_depend_on_how_it_is_asked_for() -> None:
    whole = tremor(5, 550, 120, 6, {})
    cache: dict[int, np.ndarray] = {}
    parts = [tremor(5, first, 12, 6, cache) for first in range(550, 670, 12)]
    assert np.array_equal(whole, np.concatenate(parts))
    curve = SlowNoise.draw(1, "x", sd=0.5, band_hz=(0.1, 1.0))
    assert np.std(curve.at(np.arange(0, 2000, 0.05))) == pytest.approx(0.5, rel=0.05)


def test_screen_geometry_is_exact() -> None:
    screen = Screen(1920, 1080, 53.0, 29.8, 60.0)
    x, y = screen.point_deg(1920, 0)
    assert x == pytest.approx(math.degrees(math.atan(26.5 / 60)))
    assert y == pytest.approx(math.degrees(math.atan(14.9 / 60)))
    normalized = screen.to_normalized(np.array([x, 0.0, np.nan]), np.array([y, 0.0, np.nan]))
    assert normalized[0][:2] == pytest.approx([1.0, 0.5])
    assert normalized[1][:2] == pytest.approx([0.0, 0.5])
    assert np.isnan(normalized[0][2])
    assert screen.covered_fraction((0, 0, 960, 540)) == pytest.approx(0.25)
    assert Screen.from_fields({"width_px": 800}) is None
    assert Screen.from_fields({**vars(screen), "distance_cm": 0}) is None


def _run(
    plan: GazePlan, signal: EyeTrackerSignal, cues: list[Cue], seconds: float, chunk: int = 6
) -> np.ndarray:
    """Play a session at its real pace: each cue is heard 10 ms after it happened."""
    participant = Participant()
    pupil = PupilPlan(participant)
    pending, rows = list(cues), []
    for first in range(0, round(seconds * RATE_HZ), chunk):
        now_s = signal.start_s + first / RATE_HZ
        while pending and pending[0].time_s + 0.01 <= now_s:
            cue = pending.pop(0)
            plan.hear(cue, now_s)
            pupil.hear(cue, now_s)
        plan.advance(now_s + chunk / RATE_HZ)
        rows.append(signal.chunk(plan, pupil, participant.screen, first, chunk).samples)
    return np.concatenate(rows)


def _session(*, blinking: bool, seed: int = 4, chunk: int = 6) -> tuple[GazePlan, np.ndarray]:
    participant = Participant(seed=seed)
    plan = GazePlan(participant, 100.0, blinking=blinking)
    signal = EyeTrackerSignal(100.0, RATE_HZ, seed=seed, noise_deg=0.03)
    cues = []
    for trial in range(4):
        onset = 101.0 + 6.0 * trial
        key = f"P-{trial}"
        cues += [
            Cue(onset, "fixation_onset", presentation_id=key, position_px=(960, 540)),
            Cue(onset + 1, "stimulus_onset", presentation_id=key, rect_px=RECT_PX),
            Cue(onset + 4, "stimulus_offset", presentation_id=key),
        ]
    return plan, _run(plan, signal, cues, 26.0, chunk)


def test_the_eyes_answer_cues_with_human_latencies() -> None:
    plan, _ = _session(blinking=False)
    answers = [a for a in plan.answers if a.event == "stimulus_onset"]
    assert [a.presentation_id for a in answers] == ["P-0", "P-1", "P-2", "P-3"]
    for answer in answers:
        assert 0.19 <= answer.onset_s - answer.cue_time_s <= 0.3
    crosses = [a for a in plan.answers if a.event == "fixation_onset"]
    assert all(0.16 <= a.onset_s - a.cue_time_s <= 0.3 for a in crosses)
    region = Screen().region_deg(RECT_PX)
    for answer in answers:
        during = [s for s in plan.saccades if answer.onset_s <= s.onset_s < answer.cue_time_s + 3]
        assert 6 <= len(during) <= 14
        assert all(region.contains(s.x1_deg, s.y1_deg) for s in during)
        first = next(s for s in plan.saccades if s.onset_s == answer.onset_s)
        assert (first.x0_deg, first.y0_deg) == pytest.approx((0.0, 0.0))


def test_the_same_presentation_is_explored_in_the_same_way() -> None:
    def targets(start_s: float) -> list[tuple[float, float]]:
        plan = GazePlan(Participant(seed=2), start_s, blinking=False)
        plan.advance(start_s + 1.0)
        cross = Cue(start_s + 1.0, "fixation_onset", presentation_id="P-1", position_px=(960, 540))
        onset = Cue(start_s + 2.0, "stimulus_onset", presentation_id="P-1", rect_px=RECT_PX)
        plan.hear(cross, start_s + 1.01)
        plan.advance(start_s + 2.0)
        plan.hear(onset, start_s + 2.01)
        plan.advance(start_s + 7.0)
        return [(s.x1_deg, s.y1_deg) for s in plan.saccades if s.onset_s > start_s + 2.1]

    assert targets(50.0) == targets(7000.3)


def test_saccades_and_blinks_keep_apart() -> None:
    plan, _ = _session(blinking=True)
    assert len(plan.blinks) >= 3
    for blink in plan.blinks:
        for saccade in plan.saccades:
            apart = saccade.offset_s < blink.onset_s or saccade.onset_s > blink.offset_s
            assert apart
    rests = fixation_table(plan.saccades, plan.blinks, 100.0, 126.0)
    assert min(row[1] for row in rests[:-1]) >= CLEAR_OF_BLINKS_S - 0.07


def test_samples_reproduce_the_scripted_saccades() -> None:
    plan, samples = _session(blinking=True)
    screen = Screen()
    x_cm = (samples[:, [0, 2]].mean(axis=1) - 0.5) * screen.width_cm
    y_cm = (0.5 - samples[:, [1, 3]].mean(axis=1)) * screen.height_cm
    x, y = (np.degrees(np.arctan2(v, screen.distance_cm)) for v in (x_cm, y_cm))
    times = 100.0 + np.arange(len(samples)) / RATE_HZ
    errors = []
    for s in plan.saccades:
        before = (times > s.onset_s - 0.05) & (times < s.onset_s)
        after = (times > s.offset_s) & (times < s.offset_s + 0.05)
        if before.any() and after.sum() > 20:
            dx = x[after].mean() - x[before].mean()
            dy = y[after].mean() - y[before].mean()
            errors.append(math.hypot(dx, dy) - s.amplitude_deg)
    assert len(errors) > 50
    assert np.median(np.abs(errors)) < 0.05
    assert np.max(np.abs(errors)) < 0.3


def test_noise_closed_eyes_and_device_clock() -> None:
    plan, samples = _session(blinking=True)
    steps = np.diff(samples[:, DEVICE_TIME])
    assert steps == pytest.approx(np.full(len(steps), 1 / RATE_HZ), rel=1e-3)
    times = 100.0 + np.arange(len(samples)) / RATE_HZ
    closed = np.zeros(len(samples), dtype=bool)
    for blink in plan.blinks:
        closed |= (times >= blink.onset_s) & (times < blink.offset_s)
    assert closed.any()
    assert np.isnan(samples[closed, :6]).all()
    assert (samples[closed, 6:8] == 0).all()
    assert np.isfinite(samples[~closed]).all()
    assert (samples[~closed, 6:8] == 1).all()
    distance_cm, width_cm = 60.0, 53.0
    x = np.degrees(np.arctan((samples[:, 0] - 0.5) * width_cm / distance_cm))
    y = np.degrees(np.arctan((0.5 - samples[:, 1]) * 29.8 / distance_cm))
    distance = np.hypot(np.diff(x), np.diff(y))
    still = distance < 0.4
    assert 0.05 < np.sqrt(np.nanmean(distance[still] ** 2)) < 0.1


def test_samples_do_not_depend_on_the_size_of_the_chunks() -> None:
    plan = GazePlan(Participant(seed=9), 10.0)
    signal = EyeTrackerSignal(10.0, RATE_HZ, seed=9, noise_deg=0.03)
    plan.advance(20.0)
    pupil = PupilPlan(Participant())
    whole = signal.chunk(plan, pupil, Screen(), 0, 1000).samples
    parts = [signal.chunk(plan, pupil, Screen(), first, 8).samples for first in range(0, 1000, 8)]
    assert np.allclose(whole, np.concatenate(parts), equal_nan=True, atol=1e-9)


def test_pupil_constricts_to_light_and_dilates_to_arousal() -> None:
    times = np.arange(0.0, 15.0, 0.01)
    light = pupil_diameter([Step(1.0, -0.5, LIGHT)], 4.0, times)
    assert light[times < 1.22] == pytest.approx(4.0)
    assert light[-1] == pytest.approx(3.5, abs=1e-6)
    arousal = pupil_diameter([Step(1.0, 0.4, AROUSAL)], 4.0, times)
    assert arousal[times <= 1.5] == pytest.approx(4.0)
    halfway = times[np.argmax(arousal > 4.2)]
    assert 0.9 < halfway - 1.0 < 1.4
    assert steady_diameter_mm(0.9) < steady_diameter_mm(0.2) < steady_diameter_mm(0.0) < 8.0
    steps, rest = settle([Step(1.0, -0.5, LIGHT), Step(14.0, 0.1, LIGHT)], 4.0, 14.0)
    assert (len(steps), rest) == (1, 3.5)


def test_pupil_returns_to_the_background_after_a_presentation() -> None:
    traits = {"bright": Traits(luminance=0.9, arousal_scaled=-1.0)}
    plan = PupilPlan(Participant(traits=traits))
    rest = plan.diameter_mm(np.array([0.0]))[0]
    plan.hear(Cue(1.0, "stimulus_onset", stimulus="bright", rect_px=RECT_PX), 1.0)
    shown = plan.diameter_mm(np.array([5.0]))[0]
    plan.hear(Cue(5.0, "stimulus_offset", stimulus="bright"), 5.0)
    plan.hear(Cue(8.0, "fixation_onset"), 8.0)
    assert shown < rest - 0.1
    assert plan.diameter_mm(np.array([30.0]))[0] == pytest.approx(rest, abs=1e-6)


def test_truth_splits_fixations_at_blinks() -> None:
    saccades = [Saccade(1.0, 0.0, 0.0, 5.0, 0.0), Saccade(2.0, 5.0, 0.0, 0.0, 0.0)]
    rows = fixation_table(saccades, [Blink(1.4, 0.15)], 0.0, 3.0)
    landed = 1.0 + saccade_duration_s(5.0)
    assert [row[0] for row in rows] == pytest.approx([0.0, landed, 1.55, 1.0 + landed])
    assert [row[1] for row in rows] == pytest.approx([1.0, 1.4 - landed, 0.45, 2.0 - landed])
    assert rows[1][2:] == (5.0, 0.0)
