"""Drawing stimuli so that cells do not differ in what they must not differ in.

Cells are the categories, the lists, or both. What is drawn at random first is improved by exchanging stimuli
until the cells' means (and spreads) of the named measures agree within a tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

Across = Literal["categories", "lists", "both"]
EXCHANGES = 6000
"""Exchanges tried in one attempt; about a tenth of a second."""
ATTEMPTS = 3
SPREAD_WEIGHT = 0.5
"""Weight of a difference in standard deviation beside one in mean."""


@dataclass(frozen=True, eq=False)
class Match:
    """The outcome of a matched draw.

    Attributes
    ----------
    lists : tuple of tuple of int
        For each list, the indices drawn, in their original order.
    largest_difference_sd : float
        Largest difference between the means of two cells, in standard deviations of the measure over all
        candidates.
    measure : int
        Index of the measure in which it occurs.
    """

    lists: tuple[tuple[int, ...], ...]
    largest_difference_sd: float
    measure: int


def matched_draw(
    categories: Sequence[str],
    measures: npt.NDArray[np.float64],
    n: int,
    rng: np.random.Generator,
    *,
    n_lists: int = 1,
    across: Across = "categories",
    tolerance_sd: float = 0.2,
) -> Match:
    """Draw `n` candidates of each category for each list, matched on measures.

    Parameters
    ----------
    categories : sequence of str
        Category of each candidate.
    measures : ndarray, shape (candidates, measures)
        What to match on, finite.
    n : int
        How many of each category in each list.
    rng : numpy.random.Generator
        Source of the draws.
    n_lists : int, default 1
        Lists without a stimulus in common.
    across : {"categories", "lists", "both"}
        Which cells must agree.
    tolerance_sd : float, default 0.2
        The search ends as soon as no two cells differ by more; 0.2 standard deviations is a small effect
        (Cohen, 1988, Statistical Power Analysis for the Behavioral Sciences).

    Raises
    ------
    ValueError
        A category has too few candidates.
    """
    names = list(dict.fromkeys(categories))
    members = [np.flatnonzero(np.asarray(categories) == name) for name in names]
    for name, found in zip(names, members, strict=True):
        if len(found) < n * n_lists:
            raise ValueError(
                f"category {name!r} has {len(found)} stimuli but {n * n_lists} are to be drawn"
                + (f" ({n} for each of {n_lists} lists)" if n_lists > 1 else "")
            )
    spread = measures.std(axis=0)
    scaled = (measures - measures.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    best: Match | None = None
    for _ in range(ATTEMPTS):
        found_now = _Search(members, scaled, rng, n=n, n_lists=n_lists, across=across).run(
            tolerance_sd
        )
        if best is None or found_now.largest_difference_sd < best.largest_difference_sd:
            best = found_now
        if best.largest_difference_sd <= tolerance_sd:
            break
    assert best is not None
    return best


class _Search:
    """One attempt: a random draw, improved by exchanges."""

    def __init__(
        self,
        members: Sequence[npt.NDArray[np.intp]],
        scaled: npt.NDArray[np.float64],
        rng: np.random.Generator,
        *,
        n: int,
        n_lists: int,
        across: Across,
    ) -> None:
        self._scaled, self._n, self._n_lists = scaled, n, n_lists
        self._across, self._rng = across, rng
        # Per category one row: the first n * n_lists places are drawn, the rest is left over.
        self._rows = [rng.permutation(found) for found in members]
        self._drawn = n * n_lists

    def run(self, tolerance_sd: float) -> Match:
        """Exchange until the cells agree or the attempt is over."""
        cost = self._cost()
        draws = self._rng.random((EXCHANGES, 3))
        for step, (a, b, c) in enumerate(draws):
            row = self._rows[int(a * len(self._rows))]
            i, j = int(b * self._drawn), int(c * len(row))
            if i == j or (j < self._drawn and i // self._n == j // self._n):
                continue
            row[i], row[j] = row[j], row[i]
            now = self._cost()
            if now <= cost:
                cost = now
            else:
                row[i], row[j] = row[j], row[i]
            if step % 50 == 0 and self._largest()[0] <= 0.5 * tolerance_sd:
                break
        largest, measure = self._largest()
        return Match(self._lists(), largest, measure)

    def _cells(self) -> npt.NDArray[np.float64]:
        """Return the drawn values, shape (cells, stimuli, measures)."""
        drawn = np.stack([row[: self._drawn] for row in self._rows])
        values = self._scaled[drawn].reshape(len(self._rows), self._n_lists, self._n, -1)
        n_measures = values.shape[-1]
        if self._across == "both":
            values = values.reshape(-1, self._n, n_measures)
        elif self._across == "categories":
            values = values.reshape(len(self._rows), -1, n_measures)
        else:
            values = values.swapaxes(0, 1).reshape(self._n_lists, -1, n_measures)
        return np.asarray(values, dtype=np.float64)

    def _cost(self) -> float:
        cells = self._cells()
        means, spreads = cells.mean(axis=1), cells.std(axis=1)
        return float(means.var(axis=0).sum() + SPREAD_WEIGHT * spreads.var(axis=0).sum())

    def _largest(self) -> tuple[float, int]:
        ranges = np.ptp(self._cells().mean(axis=1), axis=0)
        measure = int(np.argmax(ranges))
        return float(ranges[measure]), measure

    def _lists(self) -> tuple[tuple[int, ...], ...]:
        return tuple(
            tuple(
                sorted(
                    int(index)
                    for row in self._rows
                    for index in row[number * self._n : (number + 1) * self._n]
                )
            )
            for number in range(self._n_lists)
        )
