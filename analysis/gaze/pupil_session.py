"""The pupil of a whole session: one clean trace, what light did to it, and where gaze was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.pupil_clean import clean_pupil
from duchenne.analysis.gaze.pupil_geometry import (
    correct_foreshortening,
    correct_position,
    fit_position,
)
from duchenne.analysis.gaze.pupil_light import (
    LightModel,
    average_diameter_mm,
    fit_light,
    light_response,
    population_light,
)
from duchenne.analysis.gaze.pupil_luminance import grey_steps, luminance_series
from duchenne.analysis.gaze.signal import interpolate_nan
from duchenne.analysis.phases import phases
from duchenne.analysis.values import records, text
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.gaze.process import GazeResult
    from duchenne.analysis.gaze.pupil_luminance import LuminanceSeries
    from duchenne.recorder.recording import Recording
    from duchenne.stimuli.manifest import StimulusSet

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

COURSE_HZ = 50.0
CLEAN_HZ = 250.0
"""Faster pupils are averaged down to no less than this before they are cleaned."""
CARRY_OVER_S = 3.0
"""How long after an emotional stimulus the pupil is still its."""
RECOVERY_S = 1.5
"""How long after a neutral stimulus its light is followed."""
CALM_PHASES = ("neutral", "baseline", "fixation")
NON_EMOTIONAL = frozenset({"neutral"})
CALIBRATION_LEVELS = 3
_UNSEEN_S = 0.1


@dataclass(frozen=True)
class SessionPupil:
    """A session's pupil at 50 Hz, as measured and corrected.

    All arrays have shape (n,). Sizes are in the unit of the device; NaN is "not known".

    Parameters
    ----------
    times_s : ndarray
        Seconds from ``session_start``.
    size : ndarray
        Cleaned, bridged and smoothed; see :func:`~duchenne.analysis.gaze.pupil_clean.clean_pupil`.
    measured : ndarray of bool
        False where bridged or missing.
    light, light_local : ndarray
        The part that the screen's light explains, against the empty screen: of the whole screen, and
        of 2° around gaze. ``size - light`` is the pupil without it.
    by_geometry, by_regression : ndarray
        ``size`` corrected for gaze position in the two ways.
    luminance, luminance_local : ndarray
        Displayed relative luminance, 0–1.
    fit_mask : ndarray of bool
        Where light and position were fitted.
    model, model_local : LightModel
    position_reason : str
        Why the regression on gaze position was not possible; empty where it was.
    eyes : str
        See :class:`~duchenne.analysis.gaze.pupil_clean.CleanPupil`.
    unit, measure : str or None
        Of the device.
    notes : tuple of str
        What had to be assumed or could not be done, one sentence each.
    """

    times_s: Floats
    size: Floats
    measured: Bools
    light: Floats
    light_local: Floats
    by_geometry: Floats
    by_regression: Floats
    luminance: Floats
    luminance_local: Floats
    fit_mask: Bools
    model: LightModel
    model_local: LightModel
    position_reason: str
    eyes: str
    unit: str | None
    measure: str | None
    notes: tuple[str, ...]


def correct_pupil(
    recording: Recording,
    result: GazeResult,
    shown: pd.DataFrame,
    *,
    stimuli: StimulusSet | Path | None = None,
    non_emotional: Collection[str] = NON_EMOTIONAL,
    camera_cm: tuple[float, float, float] | None = None,
) -> SessionPupil:
    """Clean a session's pupil and separate it from light and gaze position.

    Parameters
    ----------
    recording : Recording
        An open session.
    result : GazeResult
        Its gaze.
    shown : DataFrame
        From :func:`~duchenne.analysis.presentations.presentations`.
    stimuli : StimulusSet or Path, optional
        Where the stimuli are; by default where the session says.
    non_emotional : collection of str
        Categories whose stimuli may be used to fit the response to light.
    camera_cm : (x, y, z), optional
        See :func:`~duchenne.analysis.gaze.pupil_geometry.foreshortening`.

    Returns
    -------
    SessionPupil
        Without a description of the screen, light and geometry are NaN, with a note.

    Notes
    -----
    The response to light is fitted on the light-reflex calibration; where there is none or it does
    not suffice, on neutral stimuli and empty screens; where these do not suffice, a diameter in
    millimetres gets the average pupil's response. Emotional stimuli and the 3 s after them are never
    used.
    """
    times, size, measured, eyes = _course(result)
    notes: list[str] = []
    calibrated = calibration_mask(times, recording)
    calm = calm_mask(times, phases(recording), shown, non_emotional)
    light = _light(recording, stimuli, shown, result, notes)
    models, parts, levels = [], [], []
    masks = {"calibration": calibrated, "non-emotional": calm}
    for local in (False, True):
        model, part, seen = _separate(result, (times, size), light, masks, local=local)
        models.append(model)
        parts.append(part)
        levels.append(seen)
    if light is not None and models[0].source not in {"calibration", "non-emotional"}:
        notes.append(
            f"The participant's response to light could not be fitted ({models[0].reason})."
        )
    mask = calibrated if models[0].source == "calibration" else calm
    geometric, regressed, reason = _positions(
        result, (times, size, parts[0]), mask | calibrated | calm, camera_cm
    )
    return SessionPupil(
        times, size, measured, parts[0], parts[1], geometric, regressed, levels[0], levels[1], mask,
        models[0], models[1], reason, eyes, result.pupil_unit, result.pupil_measure, tuple(notes),
    )  # fmt: skip


def calm_mask(
    times_s: Floats,
    spans: pd.DataFrame,
    shown: pd.DataFrame,
    non_emotional: Collection[str] = NON_EMOTIONAL,
) -> Bools:
    """Return where nothing emotional is shown, nor was in the last 3 s.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        Seconds, ascending.
    spans : DataFrame
        ``phase onset_s offset_s``; used are neutral, baseline and fixation.
    shown : DataFrame
        ``category onset_s offset_s`` of the presentations. One without a category counts as emotional.
    non_emotional : collection of str
        Categories that are not.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    calm: Bools = np.zeros(times_s.shape, dtype=bool)
    for row in records(spans[spans["phase"].isin(CALM_PHASES)]):
        calm[slice(*np.searchsorted(times_s, [row["onset_s"], row["offset_s"]]))] = True
    marked = [(text(row["category"]) in non_emotional, row) for row in records(shown)]
    for neutral, row in sorted(marked, key=lambda pair: not pair[0]):
        after = RECOVERY_S if neutral else CARRY_OVER_S
        span = np.searchsorted(times_s, [row["onset_s"], row["offset_s"] + after])
        calm[slice(*span)] = neutral
    return calm


def calibration_mask(times_s: Floats, recording: Recording) -> Bools:
    """Return where grey steps were shown; nowhere with fewer than 3 different ones."""
    mask: Bools = np.zeros(times_s.shape, dtype=bool)
    steps = grey_steps(recording)
    if len({round(step[2], 4) for step in steps}) >= CALIBRATION_LEVELS:
        for onset_s, offset_s, _ in steps:
            mask[slice(*np.searchsorted(times_s, [onset_s, offset_s]))] = True
    return mask


def _course(result: GazeResult) -> tuple[Floats, Floats, Bools, str]:
    """Return times at 50 Hz, the clean trace at them, where it was measured, and the eyes."""
    samples, rate_hz = result.samples, result.sampling_rate_hz
    given = samples["time"].to_numpy(dtype=np.float64)
    if given.size < 2 or not np.isfinite(rate_hz):
        empty = np.empty(0)
        return empty, empty, empty.astype(bool), "none"
    thin = max(1, int(rate_hz // CLEAN_HZ))
    block = np.round((given - given[0]) * rate_hz).astype(np.intp) // thin
    raw = []
    for name in ("left_pupil", "right_pupil"):
        values = samples[name].to_numpy(dtype=np.float64)
        known = np.isfinite(values) & (np.nan_to_num(values) > 0)
        count = np.bincount(block[known], minlength=block[-1] + 1).astype(np.float64)
        total = np.bincount(block[known], values[known], minlength=block[-1] + 1)
        raw.append(np.where(count > 0, total / np.maximum(count, 1.0), np.nan))
    clean = clean_pupil(raw[0], raw[1], rate_hz / thin)
    times = given[0] + np.arange(round((given[-1] - given[0]) * COURSE_HZ) + 1) / COURSE_HZ
    at = ((times - given[0]) * rate_hz - (thin - 1) / 2) / thin
    nearest = np.clip(np.round(at).astype(np.intp), 0, block[-1])
    known = np.isfinite(clean.size)
    if not known.any():
        return times, np.full(times.shape, np.nan), clean.measured[nearest], clean.eyes
    size = np.interp(at, np.arange(clean.size.size), interpolate_nan(clean.size, known))
    return times, np.where(known[nearest], size, np.nan), clean.measured[nearest], clean.eyes


def _light(
    recording: Recording,
    stimuli: StimulusSet | Path | None,
    shown: pd.DataFrame,
    result: GazeResult,
    notes: list[str],
) -> LuminanceSeries | None:
    try:
        series = luminance_series(recording, stimuli, shown, result.samples)
    except DuchenneError as error:
        notes.append(str(error))
        return None
    notes.extend(series.notes)
    return series


def _separate(
    result: GazeResult,
    course: tuple[Floats, Floats],
    light: LuminanceSeries | None,
    masks: Mapping[str, Bools],
    *,
    local: bool,
) -> tuple[LightModel, Floats, Floats]:
    """Return the model, the part of the trace that light explains, and the luminance."""
    times, size = course
    unknown = np.full(times.shape, np.nan)
    screen = result.screen
    if light is None or screen is None or times.size == 0:
        return LightModel(reason="the light of the screen is not known"), unknown, unknown
    seen = np.interp(times, light.times_s, light.local if local else light.overall)
    shown = np.interp(times, light.times_s, light.shown.astype(np.float64))
    sides = [
        2 * np.degrees(np.arctan(s / 2 / screen.distance_cm))
        for s in (screen.width_cm, screen.height_cm)
    ]
    optics = {
        "area_deg2": float(np.prod(sides)),
        "white_cd_m2": light.white_cd_m2,
    }
    drive = average_diameter_mm(seen, **optics)
    reference = float(average_diameter_mm(light.background, **optics))
    reasons = []
    model = None
    for source, mask in masks.items():
        if source == "calibration" and not mask.any():
            continue
        model = fit_light(
            times, size, drive, mask, source=source, reference_mm=reference,
            shown=shown if source == "non-emotional" else None,
        )  # fmt: skip
        if model.source != "none":
            break
        reasons.append(model.reason)
    if model is None or model.source == "none":
        why = "; ".join(reasons)
        model = (
            LightModel(
                reference_mm=reference, reason=f"{why}; the average response is to whole screens"
            )
            if local
            else population_light(
                reference, unit=result.pupil_unit, measure=result.pupil_measure, reason=why
            )
        )
    return model, light_response(model, drive, COURSE_HZ), seen


def _positions(
    result: GazeResult,
    course: tuple[Floats, Floats, Floats],
    mask: Bools,
    camera_cm: tuple[float, float, float] | None,
) -> tuple[Floats, Floats, str]:
    """Return the trace corrected for gaze position by geometry and by regression."""
    times, size, light = course
    unknown = np.full(times.shape, np.nan)
    if times.size == 0 or result.screen is None:
        return unknown, unknown, "no gaze or no screen"
    given = result.samples["time"].to_numpy(dtype=np.float64)
    places = {}
    for name in ("x_px", "y_px", "x_deg", "y_deg"):
        values = result.samples[name].to_numpy(dtype=np.float64)
        known = np.isfinite(values)
        places[name] = (
            np.interp(times, given, interpolate_nan(values, known)) if known.any() else unknown
        )
    geometric = correct_foreshortening(
        size, places["x_px"], places["y_px"], result.screen,
        measure=result.pupil_measure, camera_cm=camera_cm,
    )  # fmt: skip
    lit = np.where(np.isfinite(light), light, 0.0)
    model = fit_position(size - lit, places["x_deg"], places["y_deg"], mask, COURSE_HZ)
    return geometric, correct_position(size, places["x_deg"], places["y_deg"], model), model.reason
