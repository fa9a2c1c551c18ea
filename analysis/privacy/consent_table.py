"""The table ``consent.tsv``: scopes that participants withdrew after their sessions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from duchenne.analysis.privacy.scopes import CHANGES, COLUMNS, withdrawn_scopes
from duchenne.protocols.answers import SCOPES
from duchenne.recorder.study_folder import replace_file
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def withdraw(study: Path, label: str, scopes: Sequence[str]) -> Path:
    """Note that a participant does not agree to some scopes any more; what is noted already stays.

    Parameters
    ----------
    study : Path
    label : str
        Without ``sub-``.
    scopes : sequence of str

    Returns
    -------
    Path
        The table.

    Raises
    ------
    UsageError
        There is no such scope.
    DuchenneError
        The study has no such participant, or the table cannot be read or written.
    """
    for scope in scopes:
        if scope not in SCOPES:
            raise UsageError(
                f"no scope '{scope}'{did_you_mean(scope, SCOPES)}; there are {', '.join(SCOPES)}."
            )
    if not (study / "sourcedata" / f"sub-{label}").is_dir():
        raise DuchenneError(f"{study} holds nothing of sub-{label}.")
    path = study / CHANGES
    known = withdrawn_scopes(study).get(label, frozenset())
    today = datetime.now().astimezone().date().isoformat()
    lines = [f"sub-{label}\t{scope}\t{today}\n" for scope in scopes if scope not in known]
    if not lines:
        return path
    try:
        content = path.read_bytes() if path.exists() else ("\t".join(COLUMNS) + "\n").encode()
        gap = b"" if content.endswith(b"\n") else b"\n"
        replace_file(path, content + gap + "".join(lines).encode())
    except OSError as error:
        raise DuchenneError(f"{path} cannot be written: {error.strerror or error}.") from error
    return path
