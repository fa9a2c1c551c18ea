"""Light and arousal varied against each other: what is recovered, and what the raw pupil says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.gaze.pupil_clean import clean_pupil
from duchenne.analysis.gaze.pupil_features import measure_course
from duchenne.analysis.gaze.pupil_light import (
    LightKernel,
    LightModel,
    average_diameter_mm,
    fit_light,
    light_response,
    population_light,
    respond,
)
from duchenne.analysis.gaze.pupil_session import calm_mask
from duchenne.recorder.sources.oculomotor import SlowNoise
from duchenne.recorder.sources.pupil_response import (
    AROUSAL,
    LIGHT,
    Step,
    arousal_dilation_mm,
    pupil_diameter,
    steady_diameter_mm,
)

RATE, GRID = 250.0, 50.0
GREY = 0.214
AREA_DEG2 = 1300.0
STIMULUS_S, CYCLE_S = 5.0, 11.0
# Relative luminance of the whole screen and scaled arousal: the brightest are the most arousing.
EMOTIONAL = {
    "bright arousing": (0.45, 0.8),
    "bright calm": (0.45, -0.6),
    "dark arousing": (0.09, 0.8),
    "dark calm": (0.09, -0.6),
}
NEUTRAL = (0.10, 0.15, 0.30, 0.42)
NEUTRAL_AROUSAL = -0.5
REFLEX = (0.08, 0.5, 0.15, 0.35, GREY, 0.6, 0.05, GREY)


@dataclass
class Simulated:
    times_s: np.ndarray
    truth: np.ndarray
    size: np.ndarray
    measured: np.ndarray
    luminance: np.ndarray
    shown: np.ndarray
    spans: pd.DataFrame
    presentations: pd.DataFrame
    reflex: np.ndarray


@cache
def simulate(seed: int, *, reflex: bool, repeats: int = 5, light_gain: float = 1.0) -> Simulated:
    """Make a session of a participant with hippus, noise, lids and blinks."""
    rng = np.random.default_rng(seed)
    steps, levels, rows, spans = [], [(0.0, GREY)], [], []
    grey_mm = steady_diameter_mm(GREY)
    now, lit = 4.0, grey_mm

    def show(luminance: float) -> None:
        nonlocal lit
        wanted = grey_mm + light_gain * (steady_diameter_mm(luminance) - grey_mm)
        steps.append(Step(now, wanted - lit, LIGHT))
        levels.append((now, luminance))
        lit = wanted

    start = now
    for level in REFLEX if reflex else ():
        show(level)
        now += 4.0
    end = now
    now += 4.0
    trials = [(name, *traits) for name, traits in EMOTIONAL.items()] * repeats
    trials += [("neutral", level, NEUTRAL_AROUSAL) for level in NEUTRAL] * (repeats - 2)
    for index in rng.permutation(len(trials)):
        name, luminance, arousal = trials[index]
        spans.append(("fixation", now - 1.5, now))
        show(luminance)
        steps.append(Step(now, arousal_dilation_mm(arousal), AROUSAL))
        rows.append((name, luminance, arousal, now, now + STIMULUS_S))
        now += STIMULUS_S
        show(GREY)
        steps.append(Step(now, -arousal_dilation_mm(arousal), AROUSAL))
        now += CYCLE_S - STIMULUS_S
    times = np.arange(int(now * RATE)) / RATE
    slow = SlowNoise.draw(seed, "hippus", sd=0.04, band_hz=(0.05, 0.4)).at(times)
    truth = pupil_diameter(steps, grey_mm, times) + slow
    left, right = (truth + side + rng.normal(0, 0.01, times.size) for side in (0.05, -0.05))
    for onset in np.arange(3.0, now - 1, 4.7) + rng.uniform(
        0, 1.5, np.arange(3.0, now - 1, 4.7).size
    ):
        closing = (times >= onset - 0.06) & (times < onset)
        shut = (times >= onset) & (times < onset + 0.15)
        for eye in (left, right):
            eye[closing] *= np.linspace(1.0, 0.6, np.count_nonzero(closing))
            eye[shut] = np.nan
    clean = clean_pupil(left, right, RATE)
    grid = np.arange(int(now * GRID)) / GRID
    nearest = np.round(grid * RATE).astype(int)
    when, level = (np.array(part) for part in zip(*levels, strict=True))
    shown = pd.DataFrame(rows, columns=["category", "luminance", "arousal", "onset_s", "offset_s"])
    on = np.zeros(grid.size)
    for onset, offset in zip(shown["onset_s"], shown["offset_s"], strict=True):
        on[(grid >= onset) & (grid < offset)] = 1
    return Simulated(
        grid,
        truth[nearest],
        clean.size[nearest],
        clean.measured[nearest],
        level[np.searchsorted(when, grid, side="right") - 1],
        on,
        pd.DataFrame(spans, columns=["phase", "onset_s", "offset_s"]),
        shown,
        (grid >= start) & (grid < end) if reflex else np.zeros(grid.size, dtype=bool),
    )


def changes(made: Simulated, trace: np.ndarray) -> pd.Series:
    """Return the mean change of each emotional condition."""
    spans = zip(made.presentations["onset_s"], made.presentations["offset_s"], strict=True)
    found = [measure_course(made.times_s, trace, made.measured, *s).change_mean for s in spans]
    return pd.Series(found).groupby(made.presentations["category"].to_numpy()).mean()


def fitted(made: Simulated, source: str) -> tuple[LightModel, pd.Series]:
    drive = average_diameter_mm(made.luminance, area_deg2=AREA_DEG2)
    reference = float(average_diameter_mm(GREY, area_deg2=AREA_DEG2))
    mask = (
        made.reflex
        if source == "calibration"
        else calm_mask(made.times_s, made.spans, made.presentations)
    )
    shown = None if source == "calibration" else made.shown
    model = (
        population_light(reference, unit="mm", measure="diameter")
        if source == "population"
        else fit_light(
            made.times_s, made.size, drive, mask, source=source, reference_mm=reference, shown=shown
        )
    )
    return model, changes(made, made.size - light_response(model, drive, GRID))


def true_change(arousal: float) -> float:
    """Return the mean dilation by arousal alone, from 220 ms to the end of the stimulus."""
    since = np.linspace(0.22, STIMULUS_S, 500)
    return float(np.mean(AROUSAL.progress(since))) * arousal_dilation_mm(arousal)


CALM, AROUSED = true_change(-0.6), true_change(0.8)


@pytest.mark.parametrize(
    ("source", "tolerance_mm"),
    [("calibration", 0.08), ("non-emotional", 0.08), ("population", 0.15)],
)
@pytest.mark.parametrize("seed", [1, 5])
def test_arousal_is_recovered_against_light(seed: int, source: str, tolerance_mm: float) -> None:
    made = simulate(seed, reflex=source == "calibration")
    raw = changes(made, made.size)
    # The raw pupil has the contrast the wrong way round: bright and arousing looks smaller.
    assert raw["bright arousing"] < raw["dark calm"] - 0.05
    model, found = fitted(made, source)
    assert model.source == source
    for name, (_, arousal) in EMOTIONAL.items():
        assert found[name] == pytest.approx(true_change(arousal), abs=tolerance_mm)
    contrast = found["bright arousing"] - found["dark calm"]
    assert contrast > 0
    assert contrast == pytest.approx(AROUSED - CALM, abs=1.25 * tolerance_mm)
    if source == "calibration":
        assert (
            found[["bright calm", "dark calm"]].max()
            < found[["bright arousing", "dark arousing"]].min()
        )


@pytest.mark.parametrize("gain", [0.6, 1.5])
def test_the_gain_is_the_participants_own(gain: float) -> None:
    usual, _ = fitted(simulate(5, reflex=True), "calibration")
    model, found = fitted(simulate(5, reflex=True, light_gain=gain), "calibration")
    assert model.gain / usual.gain == pytest.approx(gain, rel=0.2)
    assert found["bright arousing"] - found["dark calm"] == pytest.approx(AROUSED - CALM, abs=0.06)


def test_emotional_trials_never_take_part_in_the_fit() -> None:
    made = simulate(1, reflex=False)
    mask = calm_mask(made.times_s, made.spans, made.presentations)
    assert mask.any()
    emotional = made.presentations[made.presentations["category"] != "neutral"]
    for onset, offset in zip(emotional["onset_s"], emotional["offset_s"], strict=True):
        assert not mask[(made.times_s >= onset) & (made.times_s < offset + 3.0)].any()
    changed = made.size.copy()
    changed[~mask] += 1.0
    drive = average_diameter_mm(made.luminance, area_deg2=AREA_DEG2)
    models = [
        fit_light(
            made.times_s,
            size,
            drive,
            mask,
            source="non-emotional",
            reference_mm=3.5,
            shown=made.shown,
        )
        for size in (made.size, changed)
    ]
    assert models[0] == models[1]


def test_light_that_does_not_vary_cannot_be_fitted() -> None:
    made = simulate(1, reflex=False)
    mask = calm_mask(made.times_s, made.spans, made.presentations) & (made.shown == 0)
    flat = np.full(made.times_s.size, 3.5)
    model = fit_light(made.times_s, made.size, flat, mask, source="non-emotional", reference_mm=3.5)
    assert model.source == "none"
    assert "level" in model.reason
    assert np.isnan(light_response(model, flat, GRID)).all()


def test_a_pupil_that_widens_in_light_is_not_believed() -> None:
    made = simulate(1, reflex=True)
    drive = average_diameter_mm(made.luminance, area_deg2=AREA_DEG2)
    model = fit_light(
        made.times_s, 7 - made.size, drive, made.reflex, source="calibration", reference_mm=3.5
    )
    assert model.source == "none"
    assert "cannot be told" in model.reason


def test_the_average_response_needs_millimetres() -> None:
    assert population_light(3.5, unit="mm", measure="diameter").gain == 1
    for unit, measure in (("arbitrary", "diameter"), ("mm", "area"), (None, None)):
        model = population_light(3.5, unit=unit, measure=measure, reason="no neutral stimuli")
        assert model.source == "none"
        assert model.reason.startswith("no neutral stimuli")


def test_the_average_pupil_is_that_of_watson_and_yellott() -> None:
    # Stanley & Davies' formula by hand: 100 cd/m² over 1000 square degrees.
    found = average_diameter_mm(0.5, area_deg2=1000.0, white_cd_m2=200.0, ambient=0.0)
    power = (100 * 1000 / 846) ** 0.41
    assert float(found) == pytest.approx(7.75 - 5.75 * power / (power + 2))
    levels = average_diameter_mm([0.0, 0.2, 1.0], area_deg2=1000.0)
    assert (np.diff(levels) < 0).all()
    assert ((levels > 2) & (levels < 8)).all()


def test_a_response_holds_its_start_and_settles_late() -> None:
    drive = np.where(np.arange(500) < 100, 1.0, 3.0)
    course = respond(drive, 50.0, LightKernel())
    np.testing.assert_allclose(course[:100], 1.0)
    assert course[110] == pytest.approx(1.0, abs=0.01)
    assert course[-1] == pytest.approx(3.0, abs=1e-6)
    assert course[135] == pytest.approx(2.0, abs=0.3)
    assert np.isnan(respond([np.nan, np.nan], 50.0, LightKernel())).all()
    assert respond([], 50.0, LightKernel()).size == 0
