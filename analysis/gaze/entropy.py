"""Gaze entropy: how widely gaze is spread, and how predictably it moves, over a grid or AOIs.

Entropy estimated from few fixations is biased downwards: with n fixations it cannot exceed log2(n),
however wide a person would look with more time. Compare windows of equal length only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.geometry import to_stimulus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

ENTROPY_COLUMNS = 4
ENTROPY_ROWS = 4
"""Grid of the gaze entropy over the stimulus: at most log2(16) = 4 bits."""
ENTROPY_MIN_FIXATIONS = 3
ENTROPY_MIN_TRANSITIONS = 3


def grid_cells(
    x_px: ArrayLike,
    y_px: ArrayLike,
    rect_px: Sequence[float],
    *,
    n_columns: int = ENTROPY_COLUMNS,
    n_rows: int = ENTROPY_ROWS,
) -> NDArray[np.intp]:
    """Return the grid cell of each position, row by row from 0 at the top left; −1 beside the stimulus.

    Parameters
    ----------
    x_px, y_px : array_like, shape (m,)
        Screen pixels; NaN is beside the stimulus.
    rect_px : sequence of 4 floats
        Left, top, right, bottom of the stimulus, screen pixels.
    n_columns, n_rows : int
        The grid.
    """
    x, y = to_stimulus(x_px, y_px, rect_px)
    on = (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
    cells = np.full(x.shape, -1, dtype=np.intp)
    cells[on] = (y[on] * n_rows).astype(np.intp) * n_columns + (x[on] * n_columns).astype(np.intp)
    return cells


def stationary_entropy(cells: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the entropy of where gaze rested, in bits.

    Parameters
    ----------
    cells : array_like of int, shape (m,)
        Cell or AOI of each fixation; negative ones are left out.
    weights : array_like, shape (m,), optional
        Fixation durations; every fixation counts 1 without.

    Returns
    -------
    float
        0 (one cell) to log2(cells). NaN for fewer than 3 fixations in cells.

    References
    ----------
    Shiferaw, Downey & Crewther 2019, Neuroscience & Biobehavioral Reviews 96, 353–366.
    """
    cell = np.asarray(cells, dtype=np.intp)
    weight = np.ones(cell.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    inside = cell >= 0
    if np.count_nonzero(inside) < ENTROPY_MIN_FIXATIONS:
        return float("nan")
    return _entropy(np.bincount(cell[inside], weights=weight[inside]).astype(np.float64))


def miller_madow_entropy(cells: ArrayLike, n_cells: int) -> float:
    """Return the entropy of fixation counts with the first-order correction of its bias, in bits.

    Parameters
    ----------
    cells : array_like of int, shape (m,)
        Cell of each fixation; negative ones are left out.
    n_cells : int
        Cells there are; the result is at most log2 of it.

    Returns
    -------
    float
        The plain estimate plus (cells visited − 1) / (2 × fixations × ln 2). NaN below 3 fixations.

    References
    ----------
    Miller 1955, Note on the bias of information estimates; Paninski 2003, Neural Computation 15,
    1191–1253 (what the correction leaves: much, when fixations are fewer than cells).
    """
    cell = np.asarray(cells, dtype=np.intp)
    cell = cell[cell >= 0]
    if cell.size < ENTROPY_MIN_FIXATIONS:
        return float("nan")
    counts = np.bincount(cell).astype(np.float64)
    visited = np.count_nonzero(counts)
    corrected = _entropy(counts) + (visited - 1) / (2 * cell.size * np.log(2))
    return float(min(corrected, np.log2(n_cells)))


def transition_counts(cells: ArrayLike, n_cells: int) -> NDArray[np.int64]:
    """Return how often gaze went from cell i (row) to cell j (column), itself included.

    Parameters
    ----------
    cells : array_like of int, shape (m,)
        Cell of consecutive fixations; a negative one (beside all cells) breaks the chain.
    n_cells : int
        Cells there are.
    """
    cell = np.asarray(cells, dtype=np.intp)
    both = (cell[:-1] >= 0) & (cell[1:] >= 0)
    counts = np.zeros((n_cells, n_cells), dtype=np.int64)
    np.add.at(counts, (cell[:-1][both], cell[1:][both]), 1)
    return counts


def transition_entropy(counts: ArrayLike) -> float:
    """Return the entropy of where gaze goes next, given where it is, in bits.

    −Σᵢ πᵢ Σⱼ pᵢⱼ log₂ pᵢⱼ, where pᵢⱼ is the share of the transitions from i that go to j, and πᵢ the
    share of all transitions that start in i.

    Parameters
    ----------
    counts : array_like of int, shape (n, n)
        From :func:`transition_counts`.

    Returns
    -------
    float
        0 (each place is always left for the same one) to log2(n). NaN for fewer than 3 transitions.

    References
    ----------
    Krejtz, Szmidt, Duchowski & Krejtz 2014, ETRA, 159–166.
    """
    number = np.asarray(counts, dtype=np.float64)
    total = number.sum()
    if total < ENTROPY_MIN_TRANSITIONS:
        return float("nan")
    rows = number.sum(axis=1)
    return float(sum(rows[i] / total * _entropy(number[i]) for i in np.flatnonzero(rows)))


def gaze_entropy(
    x_px: ArrayLike,
    y_px: ArrayLike,
    duration_s: ArrayLike,
    rect_px: Sequence[float],
    *,
    n_columns: int = ENTROPY_COLUMNS,
    n_rows: int = ENTROPY_ROWS,
) -> float:
    """Return the stationary gaze entropy: how widely dwell time is spread over the stimulus.

    Parameters
    ----------
    x_px, y_px : array_like, shape (m,)
        Fixation positions, screen pixels; those beside the stimulus are left out.
    duration_s : array_like, shape (m,)
        Fixation durations, the weights.
    rect_px : sequence of 4 floats
        Left, top, right, bottom of the stimulus, screen pixels.
    n_columns, n_rows : int
        The grid.

    Returns
    -------
    float
        Bits, 0 (all in one cell) to log2(cells). NaN for fewer than 3 fixations on the stimulus.

    References
    ----------
    Shiferaw, Downey & Crewther 2019; dwell time as weight after Krejtz et al. 2014 (ETRA).
    """
    cells = grid_cells(x_px, y_px, rect_px, n_columns=n_columns, n_rows=n_rows)
    return stationary_entropy(cells, duration_s)


def _entropy(weights: NDArray[np.float64]) -> float:
    share = weights[weights > 0]
    if share.size == 0:
        return float("nan")
    share = share / share.sum()
    return abs(float(-np.sum(share * np.log2(share))))
