"""Random orders under constraints, drawn directly rather than by trial and error."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from duchenne.stimuli.manifest import Stimulus


T = TypeVar("T")


def random_order(
    stimuli: Sequence[Stimulus], max_repeats: int | None, rng: np.random.Generator
) -> tuple[Stimulus, ...]:
    """Return the stimuli in random order, with no category too often in a row.

    The order grows one stimulus at a time; each is drawn with equal chance from those after which
    the rest can still be ordered, so no attempt is ever thrown away. Without `max_repeats`, all orders
    are equally likely.

    Parameters
    ----------
    stimuli : sequence of Stimulus
        What to order.
    max_repeats : int or None
        At most so many of one category in a row; None for no limit.
    rng : numpy.random.Generator
        Source of the draws.

    Raises
    ------
    ValueError
        No order meets the constraint; the message says which category is too frequent.
    """
    left = list(stimuli)
    counts = Counter(s.category for s in left)
    limit = max_repeats if max_repeats is not None else len(left)
    _refuse_impossible(counts, limit)
    order: list[Stimulus] = []
    last, run = "", 0
    while left:
        allowed = [s for s in left if _may_follow(s.category, counts, last, run, limit)]
        chosen = _pick(allowed, rng)
        left.remove(chosen)
        counts[chosen.category] -= 1
        run = run + 1 if chosen.category == last else 1
        last = chosen.category
        order.append(chosen)
    return tuple(order)


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


def _refuse_impossible(counts: Mapping[str, int], limit: int) -> None:
    total = sum(counts.values())
    for category, n in counts.items():
        others = total - n
        if n > limit * (others + 1):
            raise ValueError(
                f"{n} of {total} stimuli are {category!r}, and {others} others can only part them into "
                f"{others + 1} runs of at most {limit}; raise max_repeats_of_category to "
                f"{-(-n // (others + 1))} or add other categories"
            )


def _may_follow(category: str, counts: Mapping[str, int], last: str, run: int, limit: int) -> bool:
    """Tell whether taking `category` next leaves an order for the rest.

    The rest of a category fits if it can be cut into runs of at most `limit` by the other stimuli:
    n <= limit × (others + 1), where the first run is shorter for the category just shown.
    """
    run_after = run + 1 if category == last else 1
    if run_after > limit:
        return False
    total = sum(counts.values()) - 1
    for name, count in counts.items():
        n = count - (name == category)
        others = total - n
        first_run = limit - run_after if name == category else limit
        if n > first_run + limit * others:
            return False
    return True
