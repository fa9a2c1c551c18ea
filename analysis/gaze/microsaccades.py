"""Microsaccades: small fast movements of both eyes at once, within fixations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.signal import as_floats, pieces, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

MICROSACCADE_MIN_HZ = 300.0
"""Below this sampling rate a movement of 6–25 ms has too few samples to be told from noise."""
MICROSACCADE_MAX_DEG = 1.0
THRESHOLD_NOISE = 6.0
DURATION_MIN_S = 0.006
APART_S = 0.020
"""Nearer to the movement before than this, and it is that one's overshoot."""
THRESHOLD_MAX_DEG_S = 50.0
"""A microsaccade of 0.5° peaks near 40–50 °/s: a higher threshold would miss most of them."""


@dataclass(frozen=True)
class Microsaccades:
    """Movements found in one window.

    Parameters
    ----------
    onset, stop : ndarray of int, shape (m,)
        First sample, and the one after the last.
    amplitude_deg : ndarray, shape (m,)
        Largest extent, mean of the eyes.
    threshold_deg_s : float
        Mean velocity threshold (axes, eyes); NaN where none could be had.
    """

    onset: Ints
    stop: Ints
    amplitude_deg: Floats
    threshold_deg_s: float


def find_microsaccades(
    eyes_deg: Sequence[tuple[ArrayLike, ArrayLike]], rate_hz: float
) -> Microsaccades:
    """Find fast movements of any size that all given eyes make together.

    Parameters
    ----------
    eyes_deg : list of (x, y), each array_like of shape (n,)
        Position of each eye in degrees, evenly sampled; NaN where lost. Two eyes must agree
        (overlap in time), which removes most noise.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    Microsaccades
        All movements above threshold; microsaccades are those below 1° (:func:`microsaccade_onsets`).

    Notes
    -----
    Velocity over five samples; a movement leaves the ellipse of 6 median-based standard deviations
    of the velocity of each axis for at least 6 ms (and 3 samples).

    References
    ----------
    Engbert & Kliegl 2003, Vision Research 43, 1035–1045; Engbert & Mergenthaler 2006, PNAS 103,
    7192–7197 (lambda = 6).
    """
    found, thresholds, traces = [], [], []
    for x_deg, y_deg in eyes_deg:
        trace = (as_floats(x_deg), as_floats(y_deg))
        velocity = [_velocity(axis, rate_hz) for axis in trace]
        radius = THRESHOLD_NOISE * _spread(*velocity)
        if not (np.isfinite(radius).all() and (radius > 0).all()):
            continue
        fast = np.zeros(velocity[0].size, dtype=bool)
        with np.errstate(invalid="ignore"):
            for part in pieces(fast.size):
                across, up = (v[part] / r for v, r in zip(velocity, radius, strict=True))
                fast[part] = across**2 + up**2 > 1
        starts, stops = runs(fast)
        long = stops - starts >= max(3, round(DURATION_MIN_S * rate_hz))
        found.append((starts[long], stops[long]))
        thresholds.append(float(radius.mean()))
        traces.append(trace)
    nothing = np.empty(0, dtype=np.intp)
    if not found or len(found) < len(eyes_deg):
        return Microsaccades(nothing, nothing, np.empty(0), float("nan"))
    starts, stops = found[0] if len(found) == 1 else _together(found[0], found[1])
    amplitude = np.array(
        [
            np.mean([np.hypot(np.ptp(x[a:b]), np.ptp(y[a:b])) for x, y in traces])
            for a, b in zip(starts, stops, strict=True)
        ]
    )
    return Microsaccades(starts, stops, amplitude, float(np.mean(thresholds)))


def microsaccade_onsets(found: Microsaccades, fixating: ArrayLike, rate_hz: float) -> Ints:
    """Return the first samples of the microsaccades: below 1°, not after another movement.

    Parameters
    ----------
    found : Microsaccades
        All movements.
    fixating : array_like of bool, shape (n,)
        False in larger saccades, their oscillations, blinks and loss.
    rate_hz : float
        Sampling rate.
    """
    steady = np.asarray(fixating, dtype=bool)
    apart = max(1, round(APART_S * rate_hz))
    before = np.concatenate(([-apart], found.stop[:-1])) if found.onset.size else found.onset
    small = (found.amplitude_deg < MICROSACCADE_MAX_DEG) & (found.onset - before >= apart)
    calm = [bool(steady[max(0, a - apart) : a + 1].all()) for a in found.onset]
    chosen: Ints = found.onset[small & np.array(calm, dtype=bool)]
    return chosen


def _velocity(axis: Floats, rate_hz: float) -> Floats:
    velocity: Floats = np.full_like(axis, np.nan)
    for part in pieces(max(0, axis.size - 4)):
        near = axis[part.start : part.stop + 4].astype(np.float64)
        step = near[4:] + near[3:-1] - near[1:-3] - near[:-4]
        velocity[part.start + 2 : part.stop + 2] = step * rate_hz / 6
    return velocity


def _spread(*velocity: Floats) -> Floats:
    """Return the median-based standard deviation of each axis; NaN without samples."""
    known = np.isfinite(velocity[0]) & np.isfinite(velocity[1])
    if np.count_nonzero(known) < 10:
        return np.full(len(velocity), np.nan)
    spreads = []
    for axis in velocity:
        values = axis[known]
        middle = np.median(values)
        values -= middle
        values **= 2
        spreads.append(float(np.sqrt(np.median(values, overwrite_input=True))))
    return np.array(spreads)


def _together(first: tuple[Ints, Ints], second: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Return the movements of two eyes that overlap, each from the first onset to the last end."""
    pairs: list[tuple[int, int]] = []
    for a, b in zip(*first, strict=True):
        touching = (second[0] < b) & (second[1] > a)
        if not touching.any():
            continue
        begin, end = min(a, second[0][touching].min()), max(b, second[1][touching].max())
        if pairs and begin < pairs[-1][1]:
            begin, end = pairs[-1][0], max(end, pairs[-1][1])
            pairs.pop()
        pairs.append((int(begin), int(end)))
    return (
        np.array([a for a, _ in pairs], dtype=np.intp),
        np.array([b for _, b in pairs], dtype=np.intp),
    )
