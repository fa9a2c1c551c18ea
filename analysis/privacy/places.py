"""Files that must not lie in a study: keys, and who is behind a label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SIGNS = ("study.yaml", "sourcedata", "participants.tsv")
"""What tells a study folder."""


def refuse_inside_study(file: Path, what: str, studies: Iterable[Path] = ()) -> None:
    """Refuse a place inside a study, named or found by its ``study.yaml``.

    Parameters
    ----------
    file : Path
        Need not exist; links are followed.
    what : str
        What it is, for the message.
    studies : iterable of Path
        Studies known to the caller.

    Raises
    ------
    UsageError
    """
    place = file.resolve()
    folders = {study.resolve() for study in studies}
    for folder in place.parents:
        if folder in folders or (
            (folder / "study.yaml").is_file()
            and any((folder / sign).exists() for sign in SIGNS[1:])
        ):
            raise UsageError(
                f"{file}: {what} never lies in a study folder ({folder}): whoever copies the study would "
                "have both. Name a file elsewhere, best on another disk."
            )
