"""The key table: who is behind each label. It lies outside every study."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from duchenne.protocols.labels import check_label
from duchenne.recorder.locked_file import read_maybe_locked, write_private
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("label", "identity", "added")


@dataclass(frozen=True)
class Person:
    """Who is behind a label, and the day on which it was noted."""

    identity: str
    added: str


@dataclass(frozen=True)
class KeyTable:
    """Identities by label.

    Attributes
    ----------
    path : Path
    people : dict of str to Person
        By label, without ``sub-``.
    """

    path: Path
    people: dict[str, Person] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, passphrase: str | None = None) -> KeyTable:
        """Read the table; empty where there is none.

        Raises
        ------
        DuchenneError
            It cannot be read, is no key table, or the passphrase is missing or wrong.
        """
        if not path.exists():
            return cls(path)
        try:
            text = read_maybe_locked(path, passphrase).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DuchenneError(f"{path} is no key table: it is no UTF-8 text.") from error
        rows = csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
        if not {"label", "identity"} <= set(rows.fieldnames or ()):
            raise DuchenneError(f"{path} is no key table: it has no columns label and identity.")
        return cls(
            path,
            {row["label"]: Person(row["identity"] or "", row.get("added") or "") for row in rows},
        )

    def having(self, label: str, identity: str) -> KeyTable:
        """Return the table with one more person.

        Raises
        ------
        UsageError
            The label is no label, or belongs to somebody else already.
        """
        check_label("participant", label)
        known = self.people.get(label)
        if known is not None and known.identity != identity:
            raise UsageError(f"{label} is somebody else already ({self.path}): take another label.")
        today = datetime.now().astimezone().date().isoformat()
        one_line = " ".join(identity.split())
        return replace(self, people=self.people | {label: known or Person(one_line, today)})

    def without(self, label: str) -> KeyTable:
        """Return the table without a person.

        Raises
        ------
        DuchenneError
            It is not in it.
        """
        if label not in self.people:
            raise DuchenneError(f"{self.path} has no {label}.")
        left = {name: person for name, person in self.people.items() if name != label}
        return replace(self, people=left)

    def write(self, passphrase: str | None = None) -> None:
        """Write the table; its owner alone may read it.

        Raises
        ------
        DuchenneError
            If that fails; it is then as it was.
        """
        lines = ["\t".join(COLUMNS)]
        lines += [f"{name}\t{who.identity}\t{who.added}" for name, who in self.people.items()]
        write_private(self.path, ("\n".join(lines) + "\n").encode(), passphrase)
