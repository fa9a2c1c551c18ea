"""What is left of a participant who was forgotten: a label that is never used again.

A tombstone is ``STUDY/forgotten/sub-LABEL.json``. It is written before anything is removed and completed
after it, so that a removal that broke off is seen by everybody.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "forgotten"
BEGUN, DONE = "begun", "done"


@dataclass(frozen=True)
class Tombstone:
    """What is known of a participant who was forgotten; nothing personal but the label.

    Attributes
    ----------
    label : str
        Without ``sub-``.
    date : str
        Day on which it was asked for, ``YYYY-MM-DD``.
    reason : str
        A code such as ``withdrawal``.
    state : {"begun", "done"}
    n_files : int
        Files that were removed.
    n_bytes : int
        Their size.
    rows : dict of str to int
        Rows removed from each table, by its name.
    key_destroyed : bool
        Whether the key of the participant's face video was destroyed.
    """

    label: str
    date: str
    reason: str
    state: str = BEGUN
    n_files: int = 0
    n_bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    key_destroyed: bool = False

    @property
    def is_done(self) -> bool:
        """Whether everything was removed."""
        return self.state == DONE

    def to_text(self) -> str:
        """Return the content of its file."""
        return json.dumps(asdict(self), indent=2) + "\n"


def tombstone_path(study: Path, label: str) -> Path:
    """Return where the tombstone of a participant lies."""
    return study / FOLDER / f"sub-{label}.json"


def read_tombstone(study: Path, label: str) -> Tombstone | None:
    """Return the tombstone of a participant, None where there is none.

    Raises
    ------
    DuchenneError
        If the file cannot be read.
    """
    path = tombstone_path(study, label)
    if not path.exists():
        return None
    try:
        return Tombstone(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DuchenneError(
            f"{path} cannot be read ({error}): it says that sub-{label} was forgotten; restore it."
        ) from error


def forgotten_labels(study: Path) -> dict[str, bool]:
    """Return the labels that were forgotten; False where the removal broke off.

    A tombstone that cannot be read counts as one that broke off.
    """
    found: dict[str, bool] = {}
    for path in sorted((study / FOLDER).glob("sub-*.json")):
        label = path.stem.removeprefix("sub-")
        try:
            tombstone = read_tombstone(study, label)
        except DuchenneError:
            tombstone = None
        found[label] = tombstone is not None and tombstone.is_done
    return found


def refuse_forgotten(study: Path, label: str) -> None:
    """Refuse a label that was forgotten, in whatever case its letters are.

    Raises
    ------
    DuchenneError
    """
    for known in forgotten_labels(study):
        if known.lower() == label.lower():
            raise DuchenneError(
                f"sub-{known} was forgotten ({tombstone_path(study, known)}): a label is never used "
                "again; choose another --participant."
            )
