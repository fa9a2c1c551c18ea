"""Labels of participants that may say who somebody is."""

from __future__ import annotations

import re
from datetime import date

SHORTEST_NAME = 4
USUAL = frozenset(
    {
        "child", "children", "clinic", "control", "controls", "demo", "dummy", "example", "group",
        "healthy", "human", "infant", "nobody", "parent", "part", "partic", "participant", "patient",
        "person", "pilot", "practice", "proband", "prob", "sample", "session", "simulated", "subject",
        "subj", "teen", "test", "tester", "trial", "visit", "volunteer",
    }
)  # fmt: skip
"""Words that labels begin with although they are no names."""
_OLDEST, _YOUNGEST = 1900, 2035


def label_warning(label: str) -> str | None:
    """Return what is wrong with a label that looks like a name, an address or a date; None if nothing.

    A name: it begins with four letters or more, a vowel among them, that are no usual word such as
    ``pilot``. A date: eight or six digits together that are one (``19930214``, ``140293``). It is a guess,
    and only ever a warning.

    Parameters
    ----------
    label : str
        Without ``sub-``.

    Examples
    --------
    >>> label_warning("P07") is None
    True
    """
    what = _date_in(label) or _name_in(label)
    if what is None:
        return None
    return (
        f"the label {label} looks like {what}. Labels go into file names and exports: use one that says "
        "nothing, such as P07, and keep who it is in a key table (`duchenne participants`)."
    )


def _name_in(label: str) -> str | None:
    if "@" in label:
        return "an e-mail address"
    found = re.match(r"[^\W\d_]+", label)
    word = found[0].lower() if found else ""
    if len(word) < SHORTEST_NAME or not re.search(r"[aeiouyäöüéèáóíú]", word) or word in USUAL:
        return None
    return "a name"


def _date_in(label: str) -> str | None:
    for digits in re.findall(r"\d+", label):
        if len(digits) == 8 and (
            _is_date(digits[:4], digits[4:6], digits[6:])
            or _is_date(digits[4:], digits[2:4], digits[:2])
            or _is_date(digits[4:], digits[:2], digits[2:4])
        ):
            return "a date of birth"
        if len(digits) == 6 and (
            _is_date(f"19{digits[4:]}", digits[2:4], digits[:2])
            or _is_date(f"19{digits[:2]}", digits[2:4], digits[4:])
        ):
            return "a date of birth"
    return None


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        return _OLDEST <= date(int(year), int(month), int(day)).year <= _YOUNGEST
    except ValueError:
        return False
