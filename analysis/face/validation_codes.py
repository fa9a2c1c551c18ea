"""What coders may enter for a clip, and what it means as a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CODED = "coded"
CODED_VALUES = {"yes": "this clip has been coded: what is empty is absent"}
_YES = frozenset({"yes", "y", "ja", "j", "true", "1"})
_NO = frozenset({"no", "n", "nein", "false", "0", ""})
INTENSITIES = {
    "0": "absent",
    "A": "trace",
    "B": "slight",
    "C": "marked or pronounced",
    "D": "severe or extreme",
    "E": "maximum",
    "X": "cannot be scored",
}
"""Intensities of the Facial Action Coding System; A to E count as 1 to 5."""
_NUMBERS = {"0": 0.0, "X": float("nan")} | {
    key: float(i) for i, pair in enumerate(("A1", "B2", "C3", "D4", "E5"), 1) for key in pair
}


def intensities_of(
    entered: Mapping[str, Sequence[str]], au_names: Sequence[str], where: str
) -> dict[str, float] | None:
    """Return a coder's intensities of one clip.

    Parameters
    ----------
    entered : mapping of str to texts
        Tier or column to what was entered there.
    au_names : sequence of str
    where : str
        The file, for messages.

    Returns
    -------
    dict of str to float, or None
        0 (absent) to 5 for each Action Unit, the strongest of several entries; NaN where it cannot
        be scored. None where the clip has not been coded.

    Raises
    ------
    DuchenneError
        For an entry that is none of 0, A to E (or 1 to 5) and X, or where it is neither yes nor no
        whether the clip has been coded.
    """
    marks = {text.strip().lower(): text for text in entered.get(CODED, ())}
    for mark, text in marks.items():
        if mark not in _YES | _NO:
            raise DuchenneError(
                f"{where}: {CODED} is '{text}'; enter yes, or nothing where the clip is not coded."
            )
    if not _YES.intersection(marks):
        return None
    found = {}
    for name in au_names:
        numbers = []
        for text in entered.get(name, ()):
            key = text.strip().upper()
            if key not in _NUMBERS:
                raise DuchenneError(
                    f"{where}: {name} is '{text}'; enter one of {' '.join(INTENSITIES)}."
                )
            numbers.append(_NUMBERS[key])
        known = [number for number in numbers if np.isfinite(number)]
        found[name] = max(known) if known else (np.nan if numbers else 0.0)
    return found
