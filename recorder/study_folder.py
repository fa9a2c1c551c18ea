"""The study folder: its description and its list of participants."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from duchenne import __version__
from duchenne.recorder.label_check import label_warning
from duchenne.recorder.retention import retention_warnings
from duchenne.recorder.tombstones import refuse_forgotten
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from duchenne.recorder.layout import SessionName

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def start_study(study: Path, name: SessionName) -> None:
    """Make the study folder, its description and its list of participants, where they are missing.

    Raises
    ------
    DuchenneError
        If the folder cannot be written, its ``participants.tsv`` is not a list of participants, or the
        participant was forgotten (`duchenne forget`).
    """
    refuse_forgotten(study, name.participant)
    try:
        name.source_folder(study).mkdir(parents=True, exist_ok=True)
        description = study / "study.yaml"
        if not description.exists():
            text = yaml.safe_dump({"name": study.resolve().name, "duchenne_version": __version__})
            description.write_text(text, encoding="utf-8")
        add_participant(study / "participants.tsv", f"sub-{name.participant}")
    except OSError as error:
        raise DuchenneError(f"cannot write the study folder {study}: {error}") from error


def study_warnings(study: Path, participant: str) -> list[str]:
    """Return what an operator should know before a session: a telling label, a passed retention date.

    Parameters
    ----------
    study : Path
        Need not exist.
    participant : str
        Label without ``sub-``.

    Raises
    ------
    DuchenneError
        If the participant was forgotten (`duchenne forget`).
    """
    refuse_forgotten(study, participant)
    about_label = label_warning(participant)
    return [*([about_label] if about_label else []), *retention_warnings(study)]


def add_participant(table: Path, label: str) -> None:
    """Append one participant to a ``participants.tsv``, unless it is listed.

    The table belongs to the user: what is in it stays byte for byte, in whatever encoding and with
    whatever columns; the new line holds ``n/a`` in all of them but ``participant_id``.

    Parameters
    ----------
    table : Path
        Made where it is missing.
    label : str
        Such as ``sub-P01``.

    Raises
    ------
    DuchenneError
        If the table has no column ``participant_id``.
    OSError
        If it cannot be read or written; it is then as it was.
    """
    table = table.resolve()  # a link stays a link
    content = table.read_bytes() if table.exists() else b""
    if not content.removeprefix(BYTE_ORDER_MARK).strip():
        content = b"participant_id\n"
    lines = content.removeprefix(BYTE_ORDER_MARK).splitlines(keepends=True)
    columns = _cells(lines[0])
    if b"participant_id" not in columns:
        raise DuchenneError(
            f"{table} has no column participant_id (tab-separated): name its first column so, or move "
            "the file away."
        )
    place = columns.index(b"participant_id")
    if any(label.encode() in _cells(line)[place : place + 1] for line in lines[1:]):
        return
    ending = b"\r\n" if lines[0].endswith(b"\r\n") else b"\n"
    gap = b"" if content.endswith((b"\n", b"\r")) else ending
    cells = [b"n/a"] * len(columns)
    cells[place] = label.encode()
    replace_file(table, content + gap + b"\t".join(cells) + ending)


def _cells(line: bytes) -> list[bytes]:
    return [cell.strip(b'" ') for cell in line.rstrip(b"\r\n").split(b"\t")]


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that it is the old one or the new one, never half of it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, fresh)
        else:
            fresh.chmod(0o666 & ~_umask())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
