"""The main sequence: how the peak velocity of saccades grows with their amplitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

MIN_SACCADES = 5
MIN_AMPLITUDE_RATIO = 2.0
"""Amplitudes must differ by this factor, or nothing can be said about how velocity grows with them."""
SCALE_BOUNDS_DEG = (0.2, 60.0)
"""Where the scale of the exponential is looked for; a fit at an end is a straight line or a constant."""


@dataclass(frozen=True)
class MainSequence:
    """A fit of ``peak velocity = v_max × (1 − exp(−amplitude / scale))``.

    Parameters
    ----------
    v_max_deg_s : float
        Velocity that large saccades approach, degrees per second.
    scale_deg : float
        Amplitude at which 63 % of it is reached, degrees.
    r_squared : float
        Share of the variance of peak velocity that the fit explains, at most 1.
    n : int
        Saccades that took part.
    """

    v_max_deg_s: float
    scale_deg: float
    r_squared: float
    n: int


def fit_main_sequence(amplitude_deg: ArrayLike, peak_velocity_deg_s: ArrayLike) -> MainSequence:
    """Fit the main sequence by least squares.

    Parameters
    ----------
    amplitude_deg, peak_velocity_deg_s : array_like, shape (m,)
        One value per saccade; pairs with NaN and amplitudes of 0 are left out.

    Returns
    -------
    MainSequence
        NaN throughout for fewer than 5 saccades, amplitudes within a factor of 2, or a best scale at
        an end of 0.2–60°: velocities that do not bend (``v_max`` is then beyond the data) or do not
        grow.

    References
    ----------
    Bahill, Clark & Stark 1975, Mathematical Biosciences 24, 191–204 (the main sequence);
    Baloh, Sills, Kumley & Honrubia 1975, Neurology 25, 1065–1070 (the exponential).
    """
    amplitude = np.asarray(amplitude_deg, dtype=np.float64)
    peak = np.asarray(peak_velocity_deg_s, dtype=np.float64)
    known = np.isfinite(amplitude) & np.isfinite(peak) & (amplitude > 0)
    amplitude, peak = amplitude[known], peak[known]
    n, nan = int(amplitude.size), float("nan")
    if n < MIN_SACCADES or amplitude.max() < MIN_AMPLITUDE_RATIO * amplitude.min():
        return MainSequence(nan, nan, nan, n)
    # For a given scale the best v_max is linear, which leaves one unknown: searched on a log grid,
    # then around its best point.
    low, high = np.log(SCALE_BOUNDS_DEG)
    best = low
    for width, centre in (((high - low) / 2, (high + low) / 2), (0.2, None), (0.004, None)):
        middle = best if centre is None else centre
        grid = np.clip(np.linspace(middle - width, middle + width, 101), low, high)
        best = float(grid[np.argmin([_fit(amplitude, peak, np.exp(s))[1] for s in grid])])
    if not low + 1e-6 < best < high - 1e-6:
        return MainSequence(nan, nan, nan, n)
    v_max, error = _fit(amplitude, peak, float(np.exp(best)))
    total = float(np.sum((peak - peak.mean()) ** 2))
    return MainSequence(v_max, float(np.exp(best)), 1 - error / total if total > 0 else nan, n)


def _fit(amplitude: Floats, peak: Floats, scale_deg: float) -> tuple[float, float]:
    """Return the best v_max for a scale, and the sum of squares that it leaves."""
    shape = -np.expm1(-amplitude / scale_deg)
    v_max = float(shape @ peak / (shape @ shape))
    return v_max, float(np.sum((peak - v_max * shape) ** 2))
