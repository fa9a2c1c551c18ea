"""Peaks of a curve, their prominence and their width, without loading scipy (a second of start-up).

The definitions are those of ``scipy.signal.find_peaks`` and ``peak_widths``, and so are the results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FloatArray

    Indices = NDArray[np.int64]
    Prominences = tuple[FloatArray, Indices, Indices]


def find_peaks(values: FloatArray, *, prominence: float, wlen: int) -> tuple[Indices, Prominences]:
    """Return the peaks that rise by at least ``prominence`` above both sides.

    Parameters
    ----------
    values : (n,) float64
        None missing.
    prominence : float
        Above 0: least rise above the higher of the two valleys beside a peak.
    wlen : int
        Frames, at least 2, within which valleys are looked for; the peak is in the middle.

    Returns
    -------
    (k,) int64
        Peaks; of a flat top its middle.
    (prominences, left_bases, right_bases)
        (k,) each.
    """
    half = wlen // 2
    kept: list[int] = []
    rises: list[float] = []
    bases: list[tuple[int, int]] = []
    for peak in _likely(values, prominence, half):
        top = values[peak]
        left = _base(values[max(0, peak - half) : peak + 1][::-1], top)
        right = _base(values[peak : peak + half + 1], top)
        rise = float(top - max(values[peak - left], values[peak + right]))
        if rise >= prominence:
            kept.append(peak)
            rises.append(rise)
            bases.append((peak - left, peak + right))
    about = np.array(bases, np.int64).reshape(-1, 2)
    peaks, heights = np.array(kept, np.int64), np.array(rises, np.float64)
    return peaks, (heights, about[:, 0], about[:, 1])


def peak_ends(
    values: FloatArray,
    peaks: Indices,
    *,
    rel_height: float,
    prominence_data: Prominences,
) -> tuple[FloatArray, FloatArray]:
    """Return where a curve crosses a level before and after each peak, in frames: (k,) float64 each.

    Parameters
    ----------
    values : (n,) float64
    peaks : (k,) int64
    rel_height : float
        How far below the peak the level lies, as a share of the prominence.
    prominence_data : (prominences, left_bases, right_bases)
    """
    before, after = [], []
    for peak, rise, low, high in zip(peaks, *prominence_data, strict=True):
        level = values[peak] - rise * rel_height
        before.append(peak - _crossing(values[low : peak + 1][::-1], level))
        after.append(peak + _crossing(values[peak : high + 1], level))
    return np.array(before, np.float64), np.array(after, np.float64)


def _likely(values: FloatArray, prominence: float, half: int) -> list[int]:
    """Return the local maxima from which the curve falls by enough somewhere on both sides."""
    if len(values) < 3:
        return []
    change = np.diff(values)
    steps = np.flatnonzero(change)
    falls = (change[steps[:-1]] > 0) & (change[steps[1:]] < 0)
    peaks = (steps[:-1][falls] + 1 + steps[1:][falls]) // 2
    if not len(peaks):
        return []
    padded = np.concatenate([np.full(half, np.inf), values, np.full(half, np.inf)])
    lowest = np.lib.stride_tricks.sliding_window_view(padded, half + 1).min(axis=1)
    valley = np.maximum(lowest[peaks], lowest[peaks + half])
    return [int(peak) for peak in peaks[values[peaks] - valley >= prominence]]


def _base(side: FloatArray, top: float) -> int:
    """Return the steps from a peak to the lowest point before the curve rises above the peak."""
    higher = np.flatnonzero(side > top)
    return int(np.argmin(side[: higher[0]] if len(higher) else side))


def _crossing(side: FloatArray, level: float) -> float:
    """Return the steps from a peak to where the curve falls to a level, between frames."""
    below = np.flatnonzero(side <= level)
    i = int(below[0]) if len(below) else len(side) - 1
    if side[i] < level:
        return i - float((level - side[i]) / (side[i - 1] - side[i]))
    return float(i)
