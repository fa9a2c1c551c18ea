"""Labels of participants, sessions, runs and tasks: they become parts of file names."""

from __future__ import annotations

import re

from duchenne.stimuli.errors import UsageError

LABEL_PATTERN = r"[A-Za-z0-9]+"
MAX_LABEL_LENGTH = 64


def check_label(kind: str, label: str) -> str:
    """Return a label that is safe in a file name, as BIDS asks.

    Parameters
    ----------
    kind : str
        What it names, for the message: ``"participant"``, ``"session"``, ``"run"``.
    label : str
        Letters A-Z, a-z and digits alone, at most 64.

    Raises
    ------
    UsageError
        The label is empty, too long or holds anything else, such as ``/``, ``..`` or a space.

    Examples
    --------
    >>> check_label("participant", "P01")
    'P01'
    """
    if not label:
        raise UsageError(f"the {kind} label is empty; use letters and digits, such as P01")
    if not re.fullmatch(LABEL_PATTERN, label):
        raise UsageError(
            f"the {kind} label {label!r} may hold letters and digits only; write it like P01"
        )
    if len(label) > MAX_LABEL_LENGTH:
        raise UsageError(
            f"the {kind} label has {len(label)} characters; use at most {MAX_LABEL_LENGTH}"
        )
    return label
