"""How alike several people look at one film: inter-subject correlation and NSS, over film time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

MIN_SHARED_SAMPLES = 10
NSS_SIGMA = 1.0
"""Degrees: about the fovea's radius (Dorr, Martinetz, Gegenfurtner & Barth 2010)."""


def on_film_time(
    media_time_s: ArrayLike, values: ArrayLike, grid_s: ArrayLike, *, max_gap_s: float = 0.1
) -> Floats:
    """Return values at given times of the film: linear between samples, NaN across loss.

    Parameters
    ----------
    media_time_s : array_like, shape (n,)
        Time in the film of each sample; need not be sorted; NaN is left out.
    values : array_like, shape (n,)
        Gaze position; NaN where lost.
    grid_s : array_like, shape (m,)
        Times wanted, such as those of the frames.
    max_gap_s : float
        Known samples further apart are not joined.
    """
    times = np.asarray(media_time_s, dtype=np.float64)
    value = np.asarray(values, dtype=np.float64)
    known = np.isfinite(times) & np.isfinite(value)
    order = np.argsort(times[known], kind="stable")
    times, value = times[known][order], value[known][order]
    grid = np.asarray(grid_s, dtype=np.float64)
    result: Floats = np.full(grid.shape, np.nan)
    if times.size < 2:
        return result
    after = np.clip(np.searchsorted(times, grid), 1, times.size - 1)
    near = (times[after] - times[after - 1] <= max_gap_s) & (grid >= times[0]) & (grid <= times[-1])
    result[near] = np.interp(grid[near], times, value)
    return result


def inter_subject_correlation(traces: ArrayLike) -> Floats:
    """Return the correlation of each person's gaze with the mean gaze of all others.

    Parameters
    ----------
    traces : array_like, shape (people, samples) or (people, samples, 2)
        Gaze of each person at the same times of the film; NaN where lost. With two axes (x, y) the
        correlation is the mean of both.

    Returns
    -------
    ndarray, shape (people,)
        −1 to 1. NaN for fewer than two people, fewer than 10 shared samples, or gaze without variance.

    References
    ----------
    Hasson, Nir, Levy, Fuhrmann & Malach 2004, Science 303, 1634–1640 (ISC); leave-one-out form and
    its use with gaze: Madsen, Júlio, Gucik, Steinberg & Parra 2021, PNAS 118, e2016980118.
    """
    gaze = np.asarray(traces, dtype=np.float64)
    if gaze.ndim == 2:
        gaze = gaze[:, :, None]
    known = np.isfinite(gaze)
    total = np.where(known, gaze, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    found: Floats = np.full(len(gaze), np.nan)
    for i, own in enumerate(gaze):
        others_n = count - known[i]
        others = np.where(
            others_n > 0,
            (total - np.where(known[i], own, 0.0)) / np.maximum(others_n, 1),
            np.nan,
        )
        each = [_correlation(own[:, axis], others[:, axis]) for axis in range(gaze.shape[2])]
        found[i] = float(np.mean(each))
    return found


def normalized_scanpath_saliency(
    x_deg: ArrayLike, y_deg: ArrayLike, *, sigma_deg: float = NSS_SIGMA, window: int = 1
) -> Floats:
    """Return how well the gaze of the others predicts each person's gaze (NSS), frame by frame.

    The others' gaze points, each a Gaussian, make a map; the map is standardised over the area that
    anybody looked at in the film, and read at the person's own point. Positive: where others look.
    0: chance.

    Parameters
    ----------
    x_deg, y_deg : array_like, shape (people, frames)
        Gaze at each frame; NaN where lost.
    sigma_deg : float
        Standard deviation of the Gaussian.
    window : int
        Frames (odd) that make one map together: some smoothing over time helps with few people.

    Returns
    -------
    ndarray, shape (people, frames)
        NaN where the person's own gaze or all others' is lost.

    Notes
    -----
    Mean and standard deviation of each map are taken over a grid of half a sigma that covers all gaze
    of the film and 3 sigma around it, as NSS is defined over the whole stimulus.

    References
    ----------
    Peters, Iyer, Itti & Koch 2005, Vision Research 45, 2397–2416 (NSS); Dorr, Martinetz, Gegenfurtner
    & Barth 2010, Journal of Vision 10(10), 28 (people against people, over time).
    """
    x, y = np.asarray(x_deg, dtype=np.float64), np.asarray(y_deg, dtype=np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    result: Floats = np.full(x.shape, np.nan)
    if not known.any():
        return result
    axes = [_grid(axis[known], sigma_deg) for axis in (x, y)]
    half = window // 2
    for frame in range(x.shape[1]):
        span = slice(max(0, frame - half), frame + half + 1)
        for person in np.flatnonzero(known[:, frame]):
            near = known[:, span].copy()
            near[person] = False
            if not near.any():
                continue
            px, py = x[:, span][near], y[:, span][near]
            gx = _gauss(axes[0][:, None] - px[None, :], sigma_deg)
            gy = _gauss(axes[1][:, None] - py[None, :], sigma_deg)
            chart = gx @ gy.T
            spread = float(chart.std())
            own = _gauss(x[person, frame] - px, sigma_deg) * _gauss(
                y[person, frame] - py, sigma_deg
            )
            if spread > 0:
                result[person, frame] = (float(own.sum()) - float(chart.mean())) / spread
    return result


def _correlation(first: Floats, second: Floats) -> float:
    both = np.isfinite(first) & np.isfinite(second)
    a, b = first[both], second[both]
    if a.size < MIN_SHARED_SAMPLES or a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _grid(values: Floats, sigma: float) -> Floats:
    low, high = float(values.min()) - 3 * sigma, float(values.max()) + 3 * sigma
    grid: Floats = np.linspace(low, high, max(2, int(np.ceil((high - low) / (sigma / 2)))))
    return grid


def _gauss(distance: Floats, sigma: float) -> Floats:
    bell: Floats = np.exp(-0.5 * (distance / sigma) ** 2)
    return bell
