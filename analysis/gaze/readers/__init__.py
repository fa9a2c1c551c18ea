"""Readers of other programs' gaze files, one file each; :func:`read_gaze_file` finds the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.gaze.readers import (
    bids_physio,
    eyelink_asc,
    plain,
    pupil_labs,
    tobii_pro_lab,
)
from duchenne.analysis.gaze.readers.base import (
    GazeRecording,
    Head,
    Presentation,
    Reader,
    ReadOptions,
    detect_reader,
    get_reader,
    read_head,
    reader_names,
    register_reader,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "GazeRecording",
    "Head",
    "Presentation",
    "ReadOptions",
    "Reader",
    "detect_reader",
    "get_reader",
    "read_gaze_file",
    "read_head",
    "reader_names",
    "register_reader",
]

# Asked in this order; a plain table is what is left.
for _reader in (
    tobii_pro_lab.READER,
    eyelink_asc.READER,
    bids_physio.READER,
    pupil_labs.READER,
    plain.READER,
):
    register_reader(_reader)


def read_gaze_file(
    path: Path, options: ReadOptions | None = None, *, file_format: str = "auto"
) -> tuple[list[GazeRecording], str]:
    """Read a gaze file of any known format.

    Parameters
    ----------
    path : Path
        The file; for Pupil Labs also the folder of the export.
    options : ReadOptions, optional
        What is known about it.
    file_format : str
        ``auto`` or the name of a reader.

    Returns
    -------
    recordings : list of GazeRecording
        At least one.
    read_as : str
        One line: which format, how it was recognised, and how much was found.

    Raises
    ------
    DuchenneError
        In one line, when the file is not of that format or holds no gaze.
    UsageError
        When there is no such format.
    """
    if file_format == "auto":
        reader, evidence = detect_reader(path)
    else:
        reader, evidence = get_reader(file_format), "as told"
        read_head(path)
    recordings = reader.read(path, options or ReadOptions())
    return recordings, f"Read as {reader.title} ({evidence}): {_contents(recordings)}."


def _contents(recordings: list[GazeRecording]) -> str:
    participants = {r.participant for r in recordings if r.participant is not None}
    shown = sum(len(r.presentations) for r in recordings)
    parts = [
        _count(len(participants), "participant") if participants else "",
        _count(len(recordings), "recording"),
        _count(sum(r.times_s.size for r in recordings), "sample"),
        _count(shown, "stimulus presentation") if shown else "no stimuli named",
    ]
    return ", ".join(part for part in parts if part)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
