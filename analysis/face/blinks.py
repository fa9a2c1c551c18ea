"""Blinks, from how far the lids of both eyes are apart in a film of the face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.face.peaks import find_pulses
from duchenne.analysis.face.smoothing import median_step_s

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import FloatArray
    from duchenne.analysis.face.signals import FaceSignals

# Lids that are shut still lie this far apart in the mesh, in units of the eye's width.
SHUT = 0.05
# The eye is as open as usual at this percentile of the recording.
USUAL_PERCENTILE = 90.0
# A shut eye that opens less than this is not measured (always closed, or hidden).
LEAST_USUAL = 0.12
MIN_CLOSURE = 0.5
MIN_RISE = 0.4
MIN_S, MAX_S = 0.05, 0.5
# Below this rate a blink of 150 ms may fall between frames.
MIN_RATE_HZ = 15.0
SEARCH_S = 1.5
# Frames may come this late within a blink.
BRIDGE_S = 0.1


def usual_openness(eye_left: FloatArray, eye_right: FloatArray) -> tuple[float, float]:
    """Return how open a person's eyes usually are: the 90th percentile of each; NaN where never seen.

    Parameters
    ----------
    eye_left, eye_right : (n,) float64
        As in :class:`~duchenne.analysis.face.signals.FaceSignals`.
    """
    usual = [np.nan, np.nan]
    for i, opening in enumerate((eye_left, eye_right)):
        known = opening[np.isfinite(opening)]
        if len(known):
            usual[i] = float(np.percentile(known, USUAL_PERCENTILE))
    return usual[0], usual[1]


def eye_closure(signals: FaceSignals, usual: tuple[float, float] | None = None) -> FloatArray:
    """Return how far the eyes are closed.

    Parameters
    ----------
    signals : FaceSignals
    usual : (left, right), optional
        How open they usually are, where the signals are part of a longer recording; otherwise their
        own 90th percentile (`usual_openness`).

    Returns
    -------
    (n,) float64
        0 as open as usual for this person or more, 1 shut; of the eye that is more open, so that a wink
        is none. NaN where not measured.
    """
    openings = (signals.eye_left, signals.eye_right)
    eyes = []
    for opening, open_eye in zip(openings, usual or usual_openness(*openings), strict=True):
        if not open_eye >= LEAST_USUAL:
            eyes.append(np.full(len(opening), np.nan))
            continue
        eyes.append(np.clip((open_eye - opening) / (open_eye - SHUT), 0.0, 1.0))
    return np.asarray(np.fmin(*eyes), np.float64)


def fast_enough_for_blinks(times_s: FloatArray) -> bool:
    """Return whether frames come often enough to see every blink."""
    return bool(0 < median_step_s(times_s) <= 1.05 / MIN_RATE_HZ)


def find_blinks(times_s: FloatArray, closure: FloatArray) -> pd.DataFrame:
    """Return the blinks: closures of both eyes that rise and end within half a second.

    Parameters
    ----------
    times_s : (n,) float64
    closure : (n,) float64
        As :func:`eye_closure` returns it, not smoothed.

    Returns
    -------
    pandas.DataFrame
        ``onset duration closure``: the time in which the lids are beyond half of their way (50 to
        500 ms) and the largest closure, 0.5 to 1. A lid that follows a downward gaze comes back too late
        or closes too little to count. Empty below 15 frames/s.
    """
    step_s = median_step_s(times_s)
    if not fast_enough_for_blinks(times_s):
        return pd.DataFrame({name: np.zeros(0) for name in ("onset", "duration", "closure")})
    found = find_pulses(
        times_s,
        closure,
        step_s,
        prominence=MIN_RISE,
        level=0.5,
        within_s=SEARCH_S,
        bridge_s=BRIDGE_S,
    )
    # A frame stands for its step: half-height crossings are as exact as a quarter of a frame.
    length_s = found.duration_s
    found = found.chosen(
        (found.height >= MIN_CLOSURE) & (length_s >= MIN_S - step_s / 2) & (length_s <= MAX_S)
    )
    return pd.DataFrame(
        {"onset": found.onset_s, "duration": found.duration_s, "closure": found.height}
    )
