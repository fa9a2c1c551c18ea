"""Near misses: what a mistyped name was probably meant to be."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], *, most: int = 8) -> str:
    """Return the end of a sentence that names the nearest known name, or the known names.

    Parameters
    ----------
    name : str
        What was written.
    known : iterable of str
        What could have been written.
    most : int, default 8
        List all known names only if there are at most so many.

    Returns
    -------
    str
        ``"; did you mean 'duration_s'?"``, ``"; known: a, b"`` or an empty string.
    """
    names = sorted(set(known))
    folded = {n.casefold(): n for n in names}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {folded[close[0]]!r}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= most else ""
