"""AU43, eyes closed: a closure of the lids (AU45) that lasts longer than a blink."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.smoothing import GAP_STEPS, median_step_s

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import FloatArray

# FACS calls a closure of up to half a second a blink (AU45), a longer one closed eyes (AU43).
LEAST_S = 0.5
CLOSED, BLINK = "AU43", "AU45"


def sustained(times_s: FloatArray, intensity: FloatArray, occurs: FloatArray) -> FloatArray:
    """Return the intensity where it occurs without a break for at least half a second, else 0.

    Parameters
    ----------
    times_s : (n,) float64
        In order; a step of more than 1.9 median steps is a break.
    intensity : (n,) float64
        0 to 5; NaN = not measured, which is a break.
    occurs : (n,) float64
        0, 1 or NaN.

    Returns
    -------
    (n,) float64
        NaN where the intensity is.
    """
    result = np.where(np.isfinite(intensity), 0.0, np.nan)
    step_s = median_step_s(times_s)
    on = np.nan_to_num(occurs) > 0
    follows = on[1:] & on[:-1] & (np.diff(times_s) <= GAP_STEPS * step_s)
    firsts = np.flatnonzero(on & ~np.concatenate([[False], follows]))
    lasts = np.flatnonzero(on & ~np.concatenate([follows, [False]]))
    for first, last in zip(firsts, lasts, strict=True):
        if times_s[last] - times_s[first] + step_s >= LEAST_S - 1e-9:
            result[first : last + 1] = intensity[first : last + 1]
    return result


def add_closed_eyes(
    units: dict[str, FloatArray],
    occurs: dict[str, FloatArray],
    times_s: FloatArray,
    *,
    in_order: bool = True,
) -> None:
    """Add AU43 to intensities and occurrences that have AU45, in place.

    In pictures that do not follow one another it cannot be told and is NaN.
    """
    if BLINK not in units or CLOSED in units:
        return
    intensity = sustained(times_s, units[BLINK], occurs[BLINK])
    if not in_order:
        intensity = np.full(len(times_s), np.nan)
    units[CLOSED] = intensity
    occurs[CLOSED] = np.where(np.isfinite(intensity), (intensity > 0).astype(np.float64), np.nan)
