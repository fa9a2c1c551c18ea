"""Orders in which every category follows every other one equally often.

The numbers of transitions are fixed first, as even as they can be; an order with exactly these transitions
is then a trail through the graph that has one edge per transition, and every such graph has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

ENOUGH = 40
"""Draws among which the most even is taken."""
ATTEMPTS = 400
"""Draws of both ends and of the rounding before an order is given up; each takes about a millisecond."""


def balanced_sequence(
    counts: Sequence[int],
    rng: np.random.Generator,
    *,
    max_run: int | None = None,
) -> tuple[int, ...]:
    """Return a random sequence of categories with balanced first-order transitions.

    Parameters
    ----------
    counts : sequence of int
        How often each category occurs, 1 or more each.
    rng : numpy.random.Generator
        Source of the draws.
    max_run : int or None
        At most so many of one category in a row; 1 leaves out transitions to itself.

    Returns
    -------
    tuple of int
        Indices into `counts`, `sum(counts)` long. Each transition occurs as often as its expectation,
        rounded up or down where that is possible; with `max_run`, transitions of a category to itself are
        as many as that allows.

    Raises
    ------
    ValueError
        There is no such sequence; the message says why.
    """
    numbers = np.asarray(counts, dtype=np.int64)
    if len(numbers) == 1:
        if max_run is not None and numbers[0] > max_run:
            raise ValueError(f"all {numbers[0]} stimuli are of one category; name others too")
        return (0,) * int(numbers[0])
    runs = _runs(numbers, max_run)
    best: tuple[float, list[int]] | None = None
    for attempt in range(ATTEMPTS):
        first, last = (int(i) for i in rng.choice(len(runs), 2, p=runs / runs.sum()))
        found = _transitions(runs, first, last, rng)
        trail = _trail(found[0], first, rng) if found is not None else []
        if found is None or len(trail) != runs.sum():
            continue
        if best is None or found[1] < best[0]:
            best = (found[1], trail)
        if best[0] <= 1 or attempt >= ENOUGH:
            break
    if best is not None:
        return _with_lengths(best[1], numbers, runs, max_run, rng)
    raise ValueError(
        f"found no order of categories that occur {', '.join(map(str, counts))} times with balanced "
        "transitions"
        + (f" and runs of at most {max_run}" if max_run is not None else "")
        + "; make the categories equally frequent or allow longer runs"
    )


def _runs(numbers: npt.NDArray[np.int64], max_run: int | None) -> npt.NDArray[np.int64]:
    """Return into how many runs each category is cut: as chance would, within the longest allowed."""
    to_itself = np.rint(numbers * (numbers - 1) / max(1, numbers.sum() - 1)).astype(np.int64)
    fewest = np.ones_like(numbers) if max_run is None else -(-numbers // max_run)
    runs: npt.NDArray[np.int64] = np.maximum(numbers - to_itself, fewest)
    largest = int(np.argmax(fewest))
    others = np.arange(len(numbers)) != largest
    if fewest[largest] > numbers[others].sum() + 1:
        raise ValueError(
            f"{numbers[largest]} of {numbers.sum()} stimuli are of one category, and the others cannot part "
            f"them into runs of at most {max_run}; allow longer runs or add other categories"
        )
    # Between the runs of the most frequent category, there must be others.
    runs[largest] = min(runs[largest], numbers[others].sum() + 1)
    while runs[largest] > runs[others].sum() + 1:
        runs[int(np.argmax(np.where(others, numbers - runs, -1)))] += 1
    return runs


def _with_lengths(
    trail: Sequence[int],
    numbers: npt.NDArray[np.int64],
    runs: npt.NDArray[np.int64],
    max_run: int | None,
    rng: np.random.Generator,
) -> tuple[int, ...]:
    """Give the runs of a trail random lengths that add up to the numbers."""
    limit = int(numbers.max()) if max_run is None else max_run
    lengths = []
    for number, n_runs in zip(numbers, runs, strict=True):
        parts = np.ones(n_runs, np.int64)
        for _ in range(number - n_runs):
            open_parts = np.flatnonzero(parts < limit)
            parts[open_parts[int(rng.random() * len(open_parts))]] += 1
        lengths.append(parts.tolist())
    return tuple(category for category in trail for _ in range(lengths[category].pop()))


def transition_table(sequence: Sequence[int], n: int) -> npt.NDArray[np.int64]:
    """Count how often each of `n` categories (rows) is followed by each (columns)."""
    table = np.zeros((n, n), np.int64)
    steps = np.asarray(sequence, dtype=np.int64)
    np.add.at(table, (steps[:-1], steps[1:]), 1)
    return table


def _transitions(
    numbers: npt.NDArray[np.int64],
    first: int,
    last: int,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.int64], float] | None:
    """Return even counts for a trail of runs from `first` to `last` and how uneven they are.

    Unevenness is the range of what separates the counts from their expectation over all ends; up to
    1 it comes from rounding alone. None where rounding fails.
    """
    leaving, entering = numbers.copy(), numbers.copy()
    leaving[last] -= 1
    entering[first] -= 1
    weights = 1.0 - np.eye(len(numbers))
    expected = _scaled(weights, leaving, entering)
    if expected is None:
        return None
    table: npt.NDArray[np.int64] = np.floor(expected + 1e-9).astype(np.int64)
    rows, columns = leaving - table.sum(1), entering - table.sum(0)
    for _ in range(int(rows.sum())):
        gain = np.where(table > expected, -1.0, expected - table) + 0.5 * rng.random(table.shape)
        gain[(rows <= 0)[:, None] | (columns <= 0)[None, :] | (weights == 0)] = -np.inf
        i, j = np.unravel_index(np.argmax(gain), gain.shape)
        if not np.isfinite(gain[i, j]):
            return None
        table[i, j] += 1
        rows[i] -= 1
        columns[j] -= 1
    ideal = _scaled(weights, numbers * (numbers.sum() - 1) / numbers.sum())
    rest = (table - np.rint(ideal if ideal is not None else expected))[weights > 0]
    return table, float(np.ptp(rest))


def _scaled(
    weights: npt.NDArray[np.float64],
    leaving: npt.NDArray[Any],
    entering: npt.NDArray[Any] | None = None,
) -> npt.NDArray[np.float64] | None:
    """Scale weights to given row and column sums (iterative proportional fitting)."""
    entering = leaving if entering is None else entering
    table = weights.astype(np.float64)
    for _ in range(200):
        for axis, sums in ((1, leaving), (0, entering)):
            now = table.sum(axis, keepdims=True)
            target = sums[:, None] if axis == 1 else sums[None, :]
            table = table * np.divide(target, now, out=np.zeros_like(now), where=now > 0)
    fits = np.allclose(table.sum(1), leaving, atol=0.5) and np.allclose(
        table.sum(0), entering, atol=0.5
    )
    return table if fits else None


def _trail(table: npt.NDArray[np.int64], first: int, rng: np.random.Generator) -> list[int]:
    """Return a random trail that uses every transition once (Hierholzer's algorithm)."""
    followers = []
    for row in table:
        edges = np.repeat(np.arange(len(row)), row)
        rng.shuffle(edges)
        followers.append(edges.tolist())
    stack, trail = [first], []
    while stack:
        here = followers[stack[-1]]
        if here:
            stack.append(here.pop())
        else:
            trail.append(stack.pop())
    return trail[::-1]
