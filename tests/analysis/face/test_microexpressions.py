"""Brief bursts in curves that are made by hand: what is found, what is left out, and how sure it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.face.flow import NAMES
from duchenne.analysis.face.flow_evidence import FlowEvidence
from duchenne.analysis.face.microexpressions import COLUMNS, fast_enough, spot

RATE_HZ = 60.0
SECONDS = 60.0


def film(rate_hz=RATE_HZ, seconds=SECONDS):
    return np.arange(round(seconds * rate_hz)) / rate_hz


def bump(times, start_s, duration_s=0.2, size=2.0):
    phase = (times - start_s) / duration_s
    return np.where(
        (phase > 0) & (phase < 1), size * np.sin(np.pi * np.clip(phase, 0, 1)) ** 2, 0.0
    )


def noise(times, size=0.05, seed=0):
    """Return slow and fast noise as an Action Unit that rests has it, not below 0."""
    rng = np.random.default_rng(seed)
    slow = 0.15 * np.sin(times * 2.1 + seed) + 0.1
    return np.clip(slow + rng.normal(0, size, len(times)), 0, 5)


def look(times, aus, *, blinks=(), talking=None, turning=None, flow=None):
    n = len(times)
    return spot(
        times,
        aus,
        speaking=np.zeros(n) if talking is None else talking.astype(float),
        blinks=pd.DataFrame(blinks, columns=["onset", "duration"], dtype=float),
        head_speed_deg_s=np.zeros(n) if turning is None else turning,
        flow=flow,
    )


def scores(found, truth, duration_s=0.2):
    """Return precision and recall: the apex lies within a true burst."""
    apexes = found.candidates["apex_s"].to_numpy()
    hits = [any(t <= a <= t + duration_s for t in truth) for a in apexes]
    seen = [any(t <= a <= t + duration_s for a in apexes) for t in truth]
    return np.mean(hits) if hits else 1.0, np.mean(seen) if seen else 1.0


@pytest.mark.parametrize("rate_hz", [59.94, 60.0, 120.0, 200.0])
@pytest.mark.parametrize("size", [1.0, 3.0])
def test_bursts_of_200_ms_are_found_in_noise(rate_hz, size):
    times = film(rate_hz)
    rng = np.random.default_rng(4)
    truth = np.arange(2.0, 58.0, 2.3) + rng.uniform(0, 0.5, 25)
    curve = noise(times) + sum(bump(times, t, size=size) for t in truth)
    found = look(times, {"AU04": curve, "AU12": noise(times, seed=1)})
    precision, recall = scores(found, truth)
    assert (precision, recall) == (1.0, 1.0)
    assert list(found.candidates.columns) == list(COLUMNS)
    assert (found.candidates["aus"] == "AU04").all()
    np.testing.assert_allclose(found.candidates["apex_s"], truth + 0.1, atol=0.035)
    np.testing.assert_array_equal(times[found.candidates["apex_frame"]], found.candidates["apex_s"])


def test_noise_alone_gives_no_candidates():
    times = film()
    aus = {f"AU{i:02d}": noise(times, size=0.1, seed=i) for i in (1, 2, 4, 9, 12, 15)}
    assert not len(look(times, aus).candidates)


@pytest.mark.parametrize(
    ("duration_s", "is_found"),
    [(0.05, True), (0.1, True), (0.2, True), (0.5, True), (0.8, False), (1.5, False)],
)
def test_only_brief_bursts_count(duration_s, is_found):
    times = film(200.0, 20.0)
    curve = bump(times, 10.0, duration_s, 3.0)
    assert len(look(times, {"AU12": curve}).candidates) == is_found


@pytest.mark.parametrize("rise_s", [0.05, 0.2, 0.5])
def test_held_expressions_and_their_edges_are_no_candidates(rise_s):
    times = film(seconds=20.0)
    held = np.interp(times, [5, 5 + rise_s, 8, 8 + rise_s], [0, 4, 4, 0]) + noise(times)
    assert not len(look(times, {"AU12": held}).candidates)


def test_units_that_burst_together_are_one_candidate():
    times = film(seconds=20.0)
    aus = {"AU01": bump(times, 5.0), "AU02": bump(times, 5.03, size=3.0), "AU12": bump(times, 9.0)}
    found = look(times, aus).candidates
    assert found["aus"].tolist() == ["AU01+AU02", "AU12"]
    assert found["peak"].tolist() == pytest.approx([3.0, 2.0], abs=0.1)


def test_blinks_speech_and_turns_are_left_out():
    times = film(seconds=20.0)
    brow, mouth = bump(times, 5.0), bump(times, 5.0)
    at = (times > 4.5) & (times < 5.5)
    both = {"AU04": brow, "AU12": mouth, "AU45": bump(times, 9.0)}
    assert look(times, both).candidates["aus"].tolist() == ["AU04+AU12"]
    blinked = look(times, both, blinks=[(5.05, 0.12)])
    assert (blinked.candidates["aus"].tolist(), blinked.excluded["blink"]) == (["AU12"], 1)
    spoken = look(times, both, talking=at)
    assert (spoken.candidates["aus"].tolist(), spoken.excluded["speech"]) == (["AU04"], 1)
    turned = look(times, both, turning=np.where(at, 60.0, 3.0))
    assert (len(turned.candidates), turned.excluded["head"]) == (0, 2)


@pytest.mark.parametrize(("size", "is_found"), [(0.9, False), (2.0, True)])
def test_lids_and_cheeks_alone_have_to_be_clear(size, is_found):
    times = film(seconds=20.0)
    lids = {"AU05": bump(times, 5.0, size=size)}
    assert len(look(times, lids).candidates) == is_found
    together = look(times, {**lids, "AU01": bump(times, 5.0, size=0.9)}).candidates
    assert together["aus"].tolist() == ["AU01+AU05"]


def test_below_60_frames_per_second_nothing_is_looked_for_and_why():
    times = film(30.0)
    found = look(times, {"AU12": bump(times, 5.0)})
    assert not len(found.candidates)
    assert "60" in str(found.not_measured)
    assert "30.0" in str(found.not_measured)
    assert fast_enough(film(59.94))
    assert not fast_enough(film(50.0))
    assert not fast_enough(np.zeros(1))


def test_missing_frames_make_no_bursts():
    times = film(seconds=20.0)
    curve = np.where((times > 5) & (times < 7), 3.0, 0.0)
    for missing in ((4.9, 5.1), (6.9, 7.1)):
        curve[(times > missing[0]) & (times < missing[1])] = np.nan
    assert not len(look(times, {"AU12": curve}).candidates)
    assert not len(look(times, {"AU12": np.full(len(times), np.nan)}).candidates)


def moving(times, region, direction, path, seed=5):
    """Return flow in which both sides of a region follow a path; a steady drift and noise on it."""
    rng = np.random.default_rng(seed)
    flow = rng.normal(0, 0.001, (len(times), len(NAMES), 2))
    flow[..., 0] += 0.0005
    step = np.diff(path, prepend=path[0])
    for name in NAMES:
        if name.startswith(region):
            sign = -1 if name.endswith("_R") else 1
            flow[:, NAMES.index(name)] += step[:, None] * [sign * direction[0], direction[1]]
    return FlowEvidence(flow)


def test_flow_supports_weak_bursts_and_refutes_those_without_movement():
    times = film(seconds=20.0)
    weak = {"AU12": bump(times, 10.0, size=0.5)}
    strong = {"AU12": bump(times, 10.0, size=3.0)}
    agrees = moving(times, "mouth", (0.7, -0.7), bump(times, 10.0, size=0.05))
    still = moving(times, "mouth", (0.7, -0.7), 0 * times)
    away = moving(times, "mouth", (-0.7, 0.7), bump(times, 10.0, size=0.05))
    assert not len(look(times, weak).candidates)
    assert len(look(times, weak, flow=agrees).candidates) == 1
    assert not len(look(times, weak, flow=still).candidates)
    assert not len(look(times, strong, flow=away).candidates)
    alone = look(times, strong).candidates
    both = look(times, strong, flow=agrees).candidates
    assert np.isnan(alone["flow_agreement"][0])
    assert both["flow_agreement"][0] > 5
    assert 0 < alone["confidence"][0] < both["confidence"][0] <= 1


def test_flow_that_was_not_read_or_does_not_tell_the_unit_is_unknown():
    times = film(seconds=10.0)
    nothing = FlowEvidence(np.full((len(times), len(NAMES), 2), np.nan))
    assert np.isnan(nothing.agreement("AU12", 100, 106, 112))
    known = moving(times, "mouth", (1, 0), 0 * times)
    assert np.isnan(known.agreement("AU05", 100, 106, 112))
    assert np.isnan(known.agreement("AU12", 106, 106, 112))
