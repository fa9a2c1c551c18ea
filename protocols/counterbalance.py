"""Counterbalancing by participant number: Latin squares and all orders.

A balanced Latin square puts each condition once at each position and, over its rows, lets each condition
follow every other one equally often (Williams, 1949, Aust. J. Sci. Res. A 2, 149-168). An odd number of
conditions needs the square and its mirror image for that.
"""

from __future__ import annotations

import re
from math import factorial

from duchenne.stimuli.errors import DuchenneError

MAX_FULL = 8
"""All orders of more conditions than this (40,320) are of no practical use."""
_NUMBER = re.compile(r"(\d+)\D*$")


def latin_square(n: int) -> tuple[tuple[int, ...], ...]:
    """Return the rows of a balanced Latin square of `n` conditions.

    Parameters
    ----------
    n : int
        Number of conditions, 1 or more.

    Returns
    -------
    tuple of tuple of int
        `n` rows for even `n` (and 1), else ``2 n``; each a permutation of ``range(n)``.
    """
    first = [(step + 1) // 2 if step % 2 else (n - step // 2) % n for step in range(n)]
    rows = [tuple((value + shift) % n for value in first) for shift in range(n)]
    if n % 2 and n > 1:
        rows += [tuple(reversed(row)) for row in rows]
    return tuple(rows)


def nth_order(n: int, index: int) -> tuple[int, ...]:
    """Return one of all orders of ``range(n)``, counted lexicographically and starting over after the last.

    Parameters
    ----------
    n : int
        Number of conditions, 1 to 8.
    index : int
        From 0.

    Raises
    ------
    ValueError
        More than 8 conditions.
    """
    if n > MAX_FULL:
        raise ValueError(
            f"{n} conditions have {factorial(n)} orders, more than there will be participants; "
            "use latin_square"
        )
    left, rest = list(range(n)), index % factorial(n)
    order = []
    for size in range(n, 0, -1):
        place, rest = divmod(rest, factorial(size - 1))
        order.append(left.pop(place))
    return tuple(order)


def participant_number(participant: str) -> int:
    """Return the number in a participant's label: 7 for ``P07``.

    Raises
    ------
    DuchenneError
        The label has no number, or the number 0.
    """
    found = _NUMBER.search(participant)
    number = int(found[1]) if found else 0
    if number < 1:
        raise DuchenneError(
            f"participant {participant!r} has no number to counterbalance by; use labels such as P01, "
            "or an allocation table"
        )
    return number
