"""Random orders under constraints, drawn directly rather than by trial and error."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from duchenne.protocols.transitions import balanced_sequence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from duchenne.stimuli.manifest import Stimulus

T = TypeVar("T")
ATTEMPTS = 50
"""Orders begun before repetitions are said not to fit; without repetitions the first one always fits."""


def random_order(
    stimuli: Sequence[Stimulus],
    max_repeats: int | None,
    rng: np.random.Generator,
    *,
    repeats: int = 1,
    before: Sequence[str] = (),
) -> tuple[Stimulus, ...]:
    """Return the stimuli in random order, with no category too often in a row.

    The order grows one stimulus at a time; each is drawn with equal chance from those after which
    the rest can still be ordered, so no attempt is ever thrown away. Without constraints, all orders
    are equally likely.

    Parameters
    ----------
    stimuli : sequence of Stimulus
        What to order.
    max_repeats : int or None
        At most so many of one category in a row; None for no limit.
    rng : numpy.random.Generator
        Source of the draws.
    repeats : int, default 1
        How often each stimulus occurs; never twice in a row.
    before : sequence of str
        Categories of what was shown directly before, which runs count on from.

    Raises
    ------
    ValueError
        No order meets the constraints; the message says why.
    """
    _refuse_lonely(stimuli, repeats)
    n = len(stimuli) * repeats + len(before)
    names = [s.category for s in stimuli]
    # The only stimulus of a category cannot follow itself.
    limits = {
        name: 1 if repeats > 1 and names.count(name) == 1 else min(max_repeats or n, n)
        for name in names
    }
    for _ in range(ATTEMPTS):
        order = _grown(stimuli, limits, rng, repeats, before)
        if order is not None:
            return tuple(order)
    raise ValueError(
        "found no order that keeps apart both the repetitions of a stimulus and the categories; "
        "raise max_repeats_of_category or lower repeats"
    )


def _grown(
    stimuli: Sequence[Stimulus],
    limits: Mapping[str, int],
    rng: np.random.Generator,
    repeats: int,
    before: Sequence[str],
) -> list[Stimulus] | None:
    """Grow an order; None where repetitions, which are not looked ahead for, end it early."""
    left = [s for s in stimuli for _ in range(repeats)]
    counts = Counter(s.category for s in left)
    copies = Counter(s.id for s in left)
    last, run = _run_at_end(before)
    _refuse_impossible(counts, limits, last, run)
    order: list[Stimulus] = []
    while left:
        fits = {name for name in counts if _may_follow(name, counts, last, run, limits)}
        allowed = [s for s in left if s.category in fits]
        if repeats > 1:
            allowed = _without_repetition(allowed, copies, order, len(left))
        if not allowed:
            return None
        chosen = _pick(allowed, rng)
        left.remove(chosen)
        counts[chosen.category] -= 1
        copies[chosen.id] -= 1
        run = run + 1 if chosen.category == last else 1
        last = chosen.category
        order.append(chosen)
    return order


def balanced_order(
    stimuli: Sequence[Stimulus],
    max_repeats: int | None,
    rng: np.random.Generator,
    *,
    repeats: int = 1,
) -> tuple[Stimulus, ...]:
    """Return the stimuli in random order such that each category follows each one equally often.

    Parameters
    ----------
    stimuli, max_repeats, rng, repeats
        As in `random_order`; see `duchenne.protocols.transitions` for how even it gets.

    Raises
    ------
    ValueError
        No order meets the constraints; the message says why.
    """
    _refuse_lonely(stimuli, repeats)
    names = list(dict.fromkeys(s.category for s in stimuli))
    members = [[s for s in stimuli if s.category == name] for name in names]
    counts = [len(found) * repeats for found in members]
    sequence = balanced_sequence(counts, rng, max_run=max_repeats)
    drawn = [_apart(found, repeats, rng) for found in members]
    return tuple(drawn[category].pop() for category in sequence)


def _apart(stimuli: Sequence[Stimulus], repeats: int, rng: np.random.Generator) -> list[Stimulus]:
    """Return the stimuli of a category `repeats` times, in random order, none twice in a row."""
    if len(stimuli) == 1:  # other categories must part them
        return list(stimuli) * repeats
    return list(random_order(stimuli, None, rng, repeats=repeats))


def _refuse_lonely(stimuli: Sequence[Stimulus], repeats: int) -> None:
    if repeats > 1 and len(stimuli) == 1:
        raise ValueError(
            f"the only stimulus, {stimuli[0].id!r}, would be shown {repeats} times in a row; select more "
            "or remove repeats"
        )


def _without_repetition(
    allowed: Sequence[Stimulus],
    copies: Mapping[str, int],
    order: Sequence[Stimulus],
    n_left: int,
) -> list[Stimulus]:
    """Leave out the stimulus just shown, and what would make repetitions inevitable later."""
    just = order[-1].id if order else ""
    fresh = [s for s in allowed if s.id != just]
    # A stimulus that makes up more than half of the rest must come now to be kept apart.
    urgent = [s for s in fresh if 2 * copies[s.id] > n_left]
    return urgent or fresh


def _run_at_end(categories: Sequence[str]) -> tuple[str, int]:
    """Return the last category and how often it stands in a row."""
    run = 0
    for name in reversed(categories):
        if name != categories[-1]:
            break
        run += 1
    return (categories[-1], run) if run else ("", 0)


def draw_per_category(
    stimuli: Sequence[Stimulus], n: int, rng: np.random.Generator
) -> tuple[Stimulus, ...]:
    """Return `n` stimuli of each category, drawn without replacement, in their original order.

    Parameters
    ----------
    stimuli : sequence of Stimulus
        What to draw from; every category holds at least `n`.
    n : int
        How many of each category.
    rng : numpy.random.Generator
        Source of the draws.
    """
    kept: set[str] = set()
    for category in dict.fromkeys(s.category for s in stimuli):
        left = [s for s in stimuli if s.category == category]
        for _ in range(n):
            chosen = _pick(left, rng)
            left.remove(chosen)
            kept.add(chosen.id)
    return tuple(s for s in stimuli if s.id in kept)


def _pick(items: Sequence[T], rng: np.random.Generator) -> T:
    return items[int(rng.random() * len(items))]


def _refuse_impossible(
    counts: Mapping[str, int], limits: Mapping[str, int], last: str, run: int
) -> None:
    total = sum(counts.values())
    for category, n in counts.items():
        others, limit = total - n, limits[category]
        shown = min(run, limit) if category == last else 0
        if n > limit * (others + 1) - shown:
            raise ValueError(
                f"{n} of {total} stimuli are {category!r}, and {others} others can only part them into "
                f"{others + 1} runs of at most {limit}; raise max_repeats_of_category to "
                f"{-(-(n + shown) // (others + 1))} or add other categories"
            )


def _may_follow(
    category: str, counts: Mapping[str, int], last: str, run: int, limits: Mapping[str, int]
) -> bool:
    """Tell whether taking `category` next leaves an order for the rest.

    The rest of a category fits if it can be cut into runs of at most its limit by the other stimuli:
    n <= limit × (others + 1), where the first run is shorter for the category just shown.
    """
    run_after = run + 1 if category == last else 1
    if not counts[category] or run_after > limits[category]:
        return False
    total = sum(counts.values()) - 1
    for name, count in counts.items():
        n, limit = count - (name == category), limits[name]
        others = total - n
        first_run = limit - run_after if name == category else limit
        if n > first_run + limit * others:
            return False
    return True
