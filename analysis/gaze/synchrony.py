"""How alike several people look at one film: inter-subject correlation and NSS, over film time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    others = _others_mean(gaze)
    found: Floats = np.full(len(gaze), np.nan)
    for i, own in enumerate(gaze):
        each = [_correlation(own[:, axis], others[i, :, axis]) for axis in range(gaze.shape[2])]
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
    return saliency_against_chance(x_deg, y_deg, sigma_deg=sigma_deg, window=window)[0]


def saliency_against_chance(
    x_deg: ArrayLike,
    y_deg: ArrayLike,
    *,
    sigma_deg: float = NSS_SIGMA,
    window: int = 1,
    shifts: Sequence[int] = (),
    frames: ArrayLike | None = None,
) -> tuple[Floats, Floats]:
    """Return the NSS of each person, and that of their gaze from other times of the film.

    Parameters
    ----------
    x_deg, y_deg, sigma_deg, window
        As for :func:`normalized_scanpath_saliency`.
    shifts : sequence of int
        Frames by which each person's gaze is moved around the film, as a circle, against the others'.
    frames : array_like of int, optional
        Where to measure; all frames by default.

    Returns
    -------
    saliency : ndarray, shape (people, frames measured)
    chance : ndarray, shape (shifts, people, frames measured)
        NaN where the person's own gaze (of the shifted time) or all others' is lost.

    Notes
    -----
    Mean and variance of a map are those of its sum of separable Gaussians on the grid, in closed form;
    no map is drawn.
    """
    x, y = np.asarray(x_deg, dtype=np.float64), np.asarray(y_deg, dtype=np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    n_people, n_frames = x.shape
    chosen = np.arange(n_frames) if frames is None else np.asarray(frames, dtype=np.intp)
    result: Floats = np.full((1 + len(shifts), n_people, chosen.size), np.nan)
    if not known.any():
        return result[0], result[1:]
    grids = [_grid(axis[known], sigma_deg) for axis in (x, y)]
    n_cells = grids[0].size * grids[1].size
    half = window // 2
    for at, frame in enumerate(chosen.tolist()):
        span = slice(max(0, frame - half), frame + half + 1)
        who, where = np.nonzero(known[:, span])
        px, py = x[:, span][who, where], y[:, span][who, where]
        bells = [
            _gauss(g[:, None] - p[None, :], sigma_deg) for g, p in zip(grids, (px, py), strict=True)
        ]
        # others[p, q]: point q is not of person p
        others = (who[None, :] != np.arange(n_people)[:, None]).astype(np.float64)
        mean = others @ (bells[0].sum(axis=0) * bells[1].sum(axis=0)) / n_cells
        products = (bells[0].T @ bells[0]) * (bells[1].T @ bells[1])
        square = np.einsum("pq,qr,pr->p", others, products, others, optimize=True) / n_cells
        spread = np.sqrt(np.maximum(square - mean**2, 0.0))
        usable = (others.sum(axis=1) > 0) & (spread > 0)
        for row, shift in enumerate((0, *shifts)):
            own = (frame + shift) % n_frames
            near = _gauss(x[:, own, None] - px, sigma_deg) * _gauss(y[:, own, None] - py, sigma_deg)
            value = (near * others).sum(axis=1) - mean
            valid = usable & known[:, own]
            result[row, valid, at] = value[valid] / spread[valid]
    return result[0], result[1:]


def circular_shifts(n_samples: int, least: int, n: int, seed: int = 0) -> list[int]:
    """Return shifts that move a trace around itself by at least so many samples either way.

    Parameters
    ----------
    n_samples : int
        Of the trace.
    least : int
        Smallest shift; a quarter of the trace where that is less.
    n : int
        How many, at most; without repetition, always the same for one seed.
    """
    low = max(1, min(least, n_samples // 4))
    possible = np.arange(low, n_samples - low + 1)
    if possible.size <= n:
        return [int(shift) for shift in possible]
    drawn = np.random.default_rng(seed).choice(possible, n, replace=False)
    return [int(shift) for shift in np.sort(drawn)]


def correlation_by_chance(traces: ArrayLike, shifts: Sequence[int]) -> Floats:
    """Return the correlation of each person's trace, moved around in time, with the others' mean.

    Parameters
    ----------
    traces : array_like, shape (people, samples)
        As for :func:`inter_subject_correlation`.
    shifts : sequence of int
        From :func:`circular_shifts`.

    Returns
    -------
    ndarray, shape (shifts, people)
        What is left when nobody shares a time: slow drift and a liking for the centre. NaN as in
        :func:`inter_subject_correlation`.
    """
    values = np.asarray(traces, dtype=np.float64)
    others = _others_mean(values[:, :, None])[:, :, 0]
    found: Floats = np.full((len(shifts), len(values)), np.nan)
    for row, shift in enumerate(shifts):
        moved = np.roll(values, shift, axis=1)
        found[row] = [_correlation(a, b) for a, b in zip(moved, others, strict=True)]
    return found


def _others_mean(gaze: Floats) -> Floats:
    """Return the mean over all other people at each sample; NaN where there is none."""
    known = np.isfinite(gaze)
    filled = np.where(known, gaze, 0.0)
    count = known.sum(axis=0) - known
    total = filled.sum(axis=0) - filled
    mean: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


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
