"""When the comparisons of a study were declared, as its statistics tell it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.analysis.statistics.results import AFTER, BEFORE, Declaration
from duchenne.recorder.declarations import note_declarations

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.recorder.declarations import Declared

COMPARISONS = ("contrasts", "curves", "multiverse")
_KINDS = {
    "contrasts": "contrast",
    "curves": "curve",
    "multiverse": "multiverse of",
    "windows": "window",
    "statistics": "settings of the statistics",
}
NOTHING = "nothing is declared"
ALL_BEFORE = "declared before the data"
SOME_AFTER = "declared after data"


@dataclass(frozen=True)
class Declarations:
    """What a study declares now, with when it was first seen.

    Attributes
    ----------
    entries : tuple of Declared
    """

    entries: tuple[Declared, ...] = ()

    @classmethod
    def of_study(cls, study: Path, *, write: bool = True) -> Declarations:
        """Look at the study file, and note what is new in it (unless `write` is False).

        Raises
        ------
        DuchenneError
            The notes are damaged or cannot be written.
        """
        return cls(note_declarations(study, write=write))

    def about(self, kind: str, name: str, window: str | None = None) -> tuple[str, str]:
        """Return whether a comparison was declared before the data, and when (ISO 8601, UTC).

        Parameters
        ----------
        kind : {"contrasts", "curves", "multiverse"}
        name : str
        window : str, optional
            The window that it uses: a window that was changed changes the comparison.
        """
        used = [one for one in self.entries if (one.kind, one.name) == (kind, name)]
        if not used:
            return AFTER, ""
        used += [one for one in self.entries if (one.kind, one.name) == ("windows", window)]
        used += [one for one in self.entries if one.kind == "statistics"]
        late = any(one.after_data for one in used)
        return AFTER if late else BEFORE, max(one.declared_utc for one in used)

    def together(self) -> Declaration:
        """Return what is to be said of all of it."""
        if not any(one.kind in COMPARISONS for one in self.entries):
            return Declaration("", "", after_data=False, status=NOTHING, changes=())
        late = [one for one in self.entries if one.after_data]
        changes = tuple(
            f"{_KINDS[one.kind]} {one.name}".rstrip()
            + f": {SOME_AFTER}, on {one.declared_utc[:10]}, when there were {one.n_sessions} sessions"
            for one in late
        )
        text = "\n".join(f"{one.kind} {one.name} {one.sha256}" for one in self.entries)
        newest = max(one.declared_utc for one in self.entries)
        status = ALL_BEFORE
        if late:
            n, of = len(late), len(self.entries)
            status = SOME_AFTER if n == of else f"{n} of {of} parts {SOME_AFTER}"
        return Declaration(
            hashlib.sha256(text.encode()).hexdigest(), newest, bool(late), status, changes
        )
