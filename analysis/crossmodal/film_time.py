"""Curves of a participant over the time of a film, from the frames that were on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.dynamics import is_lower_face
from duchenne.analysis.face.smoothing import DEFAULT_SMOOTHING, local_fit
from duchenne.analysis.gaze.synchrony import on_film_time

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from duchenne.analysis.align import ShownFrames

    Floats = NDArray[np.float64]

FLIP_TOLERANCE_S = 0.005
MAX_GAP_S = 0.15
"""Frames of a camera or of a film that are further apart are not joined."""


def media_times(times_s: ArrayLike, flips: ShownFrames, onset_s: float, offset_s: float) -> Floats:
    """Return the time in the film at some moments of a presentation.

    Parameters
    ----------
    times_s : array_like, shape (n,)
        Moments, seconds from ``session_start``.
    flips : ShownFrames
        What was on the screen when.
    onset_s, offset_s : float
        The presentation.

    Returns
    -------
    ndarray, shape (n,)
        Between two frames of the film it runs on evenly; NaN before the first, after the last, and where
        a frame stayed on the screen for longer than 0.15 s.
    """
    times = np.asarray(times_s, dtype=np.float64)
    own = (flips.times_s >= onset_s - FLIP_TOLERANCE_S) & (flips.times_s < offset_s)
    own &= np.isfinite(flips.media_time_s)
    at, media = flips.times_s[own], flips.media_time_s[own]
    if not at.size:
        return np.full(times.shape, np.nan)
    new = np.concatenate(([True], np.diff(media) != 0))
    inside = (times >= onset_s - FLIP_TOLERANCE_S) & (times < offset_s)
    found = on_film_time(at[new], media[new], times, max_gap_s=MAX_GAP_S)
    return np.where(inside, found, np.nan)


def au_traces(
    table: pd.DataFrame, aus: list[str], media_s: Floats, grid_s: Floats, *, speech: bool = True
) -> dict[str, Floats]:
    """Return the smoothed intensity of Action Units at times of a film.

    Parameters
    ----------
    table : pandas.DataFrame
        Frames: ``time``, ``AUxx_r`` and, with ``speech=False``, ``speaking``.
    aus : list of str
        Those without a column are left out.
    media_s : ndarray, shape (n,)
        Time in the film of each frame; NaN: not shown then.
    grid_s : ndarray, shape (m,)
        Times of the film wanted.
    speech : bool
        Whether the mouth counts while it speaks; if not, it is NaN then.

    Returns
    -------
    dict of str to ndarray, shape (m,)
        NaN where not measured.
    """
    times_s = table["time"].to_numpy(np.float64)
    talks = None if speech else table["speaking"].to_numpy(np.float64) == 1.0
    found = {}
    for au in aus:
        if f"{au}_r" not in table.columns:
            continue
        values = table[f"{au}_r"].to_numpy(np.float64)
        if talks is not None and is_lower_face(au):
            values = np.where(talks, np.nan, values)
        smoothed = local_fit(times_s, values, smoothing=DEFAULT_SMOOTHING).value
        found[au] = on_film_time(media_s, smoothed, grid_s, max_gap_s=MAX_GAP_S)
    return found
