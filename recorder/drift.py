"""Fit a slowly changing drift: a line that may bend, through measurements with outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

HUBER_C = 1.345
"""Huber's tuning constant (95 % efficiency for normal errors; Huber 1981, Robust Statistics)."""
MAX_KNOTS = 200
MIN_POINTS_FOR_SCALE = 8
"""With fewer measurements their own scatter says too little, and the stated one is used."""
MAX_ITERATIONS = 30


def bending_line(
    x_s: Floats,
    y_s: Floats,
    sigma_s: Floats,
    *,
    knot_s: float,
    bend_ppm: float,
    slope_ppm: float = np.inf,
) -> tuple[Floats, Floats]:
    """Fit a continuous line that changes its slope a little from knot to knot.

    Parameters
    ----------
    x_s, y_s : ndarray, shape (n,), n >= 1
        Seconds.
    sigma_s : ndarray, shape (n,)
        Expected error of each y, seconds, > 0; only the proportions count once n >= 8.
    knot_s : float
        Distance of the knots; more where the data span more than 200 of them.
    bend_ppm : float
        Standard deviation of the change of slope from knot to knot.
    slope_ppm : float
        Standard deviation of the mean slope before anything was measured: few or noisy measurements
        pull towards no slope. Infinite for none.

    Returns
    -------
    knots_s, values_s : ndarray, shape (k,)
        Ascending; one knot where all x are equal.

    Notes
    -----
    Penalised least squares with Huber weights, which is the posterior mode of a random-walk drift. Over less
    than one knot distance it is a straight line.
    """
    span = float(np.ptp(x_s))
    if span <= 0:
        return np.array([x_s[0]]), np.array([float(np.median(y_s))])
    intervals = int(np.clip(np.ceil(span / knot_s), 1, MAX_KNOTS))
    knots = np.linspace(float(x_s.min()), float(x_s.max()), intervals + 1)
    width = span / intervals
    level = float(np.median(y_s))
    y_us, sigma_us = 1e6 * (y_s - level), 1e6 * sigma_s
    position = np.clip((x_s - knots[0]) / width, 0, intervals)
    left = np.minimum(position.astype(np.intp), intervals - 1)
    share = position - left
    bend = bend_ppm * np.sqrt(width / knot_s)
    penalty = _penalty(intervals, width, bend, slope_ppm)
    weights = np.ones_like(y_us)
    scale = 1.0
    values = np.zeros(intervals + 1)
    for _ in range(MAX_ITERATIONS):
        precision = weights / (scale * sigma_us) ** 2
        updated = _solve(left, share, precision, y_us, penalty)
        converged = np.abs(updated - values).max() < 1e-3
        values = updated
        residual = (y_us - values[left] * (1 - share) - values[left + 1] * share) / sigma_us
        if len(y_us) >= MIN_POINTS_FOR_SCALE:
            scale = float(np.clip(1.4826 * np.median(np.abs(residual)), 1e-3, 1e3))
        ratio = np.abs(residual) / (HUBER_C * scale)
        weights = 1 / np.maximum(ratio, 1)
        if converged:
            break
    return knots, level + 1e-6 * values


def evaluate(x_s: Floats, knots_s: Floats, values_s: Floats) -> Floats:
    """Return the fitted line at x; beyond its ends the outermost slopes go on."""
    found = np.interp(x_s, knots_s, values_s)
    if len(knots_s) > 1:
        slopes = np.diff(values_s) / np.diff(knots_s)
        found = found + slopes[0] * np.minimum(x_s - knots_s[0], 0)
        found = found + slopes[-1] * np.maximum(x_s - knots_s[-1], 0)
    return np.asarray(found)


def _penalty(intervals: int, width_s: float, bend_ppm: float, slope_ppm: float) -> Floats:
    """Return the quadratic form of what is known of slopes beforehand, per microsecond squared."""
    size = intervals + 1
    matrix = np.zeros((size, size))
    if intervals > 1:
        second = np.zeros((intervals - 1, size))
        rows = np.arange(intervals - 1)
        for offset, factor in ((0, 1.0), (1, -2.0), (2, 1.0)):
            second[rows, rows + offset] = factor / (width_s * bend_ppm)
        matrix += second.T @ second
    if np.isfinite(slope_ppm):
        mean = np.zeros(size)
        mean[0], mean[-1] = -1.0, 1.0
        mean /= width_s * intervals * slope_ppm
        matrix += np.outer(mean, mean)
    return matrix


def _solve(
    left: npt.NDArray[np.intp], share: Floats, precision: Floats, y: Floats, penalty: Floats
) -> Floats:
    size = len(penalty)
    near, far = 1 - share, share

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(left, values, minlength=size), dtype=np.float64)

    normal = penalty.copy()
    rows = np.arange(size - 1)
    normal[np.diag_indices(size)] += total(precision * near * near)
    normal[rows + 1, rows + 1] += total(precision * far * far)[:-1]
    cross = total(precision * near * far)[:-1]
    normal[rows, rows + 1] += cross
    normal[rows + 1, rows] += cross
    right = total(precision * near * y)
    right[1:] += total(precision * far * y)[:-1]
    return np.asarray(np.linalg.lstsq(normal, right, rcond=None)[0])
