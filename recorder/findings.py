"""What an audit found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Level = Literal["ok", "note", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes
    ----------
    level : {"ok", "note", "warn", "fail"}
        A note is nothing to act on, but to know when the data are used.
    what : str
        In one sentence.
    about : str
        ``stream``, ``recording``, ``signal``, ``video`` or ``markers``.
    """

    level: Level
    what: str
    about: str = ""


def verdict_of(findings: Sequence[Finding]) -> Literal["pass", "warn", "fail"]:
    """Return the worst of the levels; ``ok`` and ``note`` pass."""
    levels = {finding.level for finding in findings}
    return "fail" if "fail" in levels else "warn" if "warn" in levels else "pass"
