"""What every reader of gaze files gives and takes, and the registry that finds the right one."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HEAD_BYTES = 65_536
MIN_CONFIDENCE = 0.6
"""Pupil Core: samples below this confidence are lost (the default threshold of Pupil Player)."""


@dataclass(frozen=True)
class Presentation:
    """One stimulus and when it was on the screen.

    Parameters
    ----------
    stimulus : str
        Name as in the file.
    onset_s, offset_s : float
        In the recording's seconds.
    rect_px : tuple of 4 floats, optional
        Left, top, right, bottom edge on the screen, pixels; None where the file does not say.
    kind : {"image", "video"}, optional
        Where the file says what was shown.
    """

    stimulus: str
    onset_s: float
    offset_s: float
    rect_px: tuple[float, float, float, float] | None = None
    kind: str | None = None


@dataclass(frozen=True)
class GazeRecording:
    """One recording of one participant, as a reader found it.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        Seconds, as the file counts them; ascending.
    columns : dict of str to ndarray, each of shape (n,)
        ``left_x left_y right_x right_y left_pupil right_pupil left_valid right_valid``, or ``x y pupil
        valid`` where no eye is named; NaN where lost. Origin top left, y down.
    position_unit : {"normalized", "px"}
        0–1 across the screen, or screen pixels.
    participant, recording : str, optional
        As named in the file.
    screen : dict of str to float
        What the file knows of ``width_px height_px width_cm height_cm distance_cm``.
    presentations : tuple of Presentation
        In order of time; empty where the file names no stimuli.
    pupil_unit, pupil_measure : str, optional
        Such as ``mm`` and ``diameter``.
    head_referenced : bool
        Gaze is relative to the head; the screen is then a plane before the scene camera.
    notes : tuple of str
        One sentence each about what was taken for granted, for the user.
    """

    times_s: Floats
    columns: dict[str, Floats]
    position_unit: str
    participant: str | None = None
    recording: str | None = None
    screen: dict[str, float] = field(default_factory=dict)
    presentations: tuple[Presentation, ...] = ()
    pupil_unit: str | None = None
    pupil_measure: str | None = None
    head_referenced: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadOptions:
    """What the user says about a file.

    Parameters
    ----------
    columns : Mapping of str to str
        Our column names to the table's (plain tables only).
    time_unit : str, optional
        ``s ms us ns``; None is the format's own.
    position_unit : str, optional
        ``normalized`` or ``px``; None is the format's own.
    stimulus_start, stimulus_end : str, optional
        Regular expressions for the messages or events that begin and end a stimulus; a group in the
        first one is the stimulus's name, otherwise the message is.
    min_confidence : float
        Samples with less are lost, where the format has a confidence.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    time_unit: str | None = None
    position_unit: str | None = None
    stimulus_start: str | None = None
    stimulus_end: str | None = None
    min_confidence: float = MIN_CONFIDENCE


@dataclass(frozen=True)
class Head:
    """The beginning of a file, for recognising its format.

    Parameters
    ----------
    path : Path
        The file, or the folder.
    text : str
        The first 64 KiB, decompressed; empty for binary files and folders.
    columns : tuple of str
        Cells of the first line, split at tabs, semicolons or commas.
    """

    path: Path
    text: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Reader:
    """How to recognise and read one format.

    Parameters
    ----------
    name : str
        For ``--format``.
    title : str
        For people.
    recognise : callable
        Takes a :class:`Head`; returns what gave the format away, or None.
    read : callable
        Takes the path and :class:`ReadOptions`; returns the recordings in it.
    """

    name: str
    title: str
    recognise: Callable[[Head], str | None]
    read: Callable[[Path, ReadOptions], list[GazeRecording]]


_READERS: dict[str, Reader] = {}


def register_reader(reader: Reader) -> Reader:
    """Register a reader; those registered first are asked first.

    Raises
    ------
    ValueError
        When the name is taken.
    """
    if reader.name in _READERS:
        raise ValueError(f"a reader of gaze files named {reader.name} is registered already")
    _READERS[reader.name] = reader
    return reader


def reader_names() -> list[str]:
    """Return the names of the registered formats."""
    return list(_READERS)


def get_reader(name: str) -> Reader:
    """Return a registered reader.

    Raises
    ------
    UsageError
        Naming those that exist.
    """
    try:
        return _READERS[name]
    except KeyError:
        raise UsageError(f"--format {name} is none of auto, {', '.join(reader_names())}.") from None


def detect_reader(path: Path) -> tuple[Reader, str]:
    """Return the reader for a file and what gave its format away.

    Raises
    ------
    DuchenneError
        When there is no such file, or a folder holds nothing known.
    """
    head = read_head(path)
    for reader in _READERS.values():
        evidence = reader.recognise(head)
        if evidence is not None:
            return reader, evidence
    if path.is_dir():
        raise DuchenneError(
            f"{path} is a folder without an export that is known ({', '.join(reader_names())}); name "
            "the file itself."
        )
    return _READERS["plain"], "no export format was recognised"


def read_head(path: Path) -> Head:
    """Return the beginning of a file.

    Raises
    ------
    DuchenneError
        When there is no such file or folder.
    """
    if path.is_dir():
        return Head(path, "", ())
    if not path.is_file():
        raise DuchenneError(f"No table at {path}.")
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.open(path) as packed:
                raw = packed.read(HEAD_BYTES)
        else:
            with path.open("rb") as file:
                raw = file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error):
        return Head(path, "", ())
    text = raw.decode(encoding_of(raw), errors="replace")
    if "\x00" in text:
        return Head(path, "", ())
    first = text.lstrip("\ufeff").splitlines()[0] if text.strip("\ufeff\r\n") else ""
    return Head(path, text, tuple(cell.strip().strip('"') for cell in re.split("[\t;,]", first)))


def encoding_of(raw: bytes) -> str:
    """Return the encoding that a byte order mark tells, else UTF-8."""
    return "utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"


def presentations_from_messages(
    times_s: Sequence[float],
    messages: Sequence[str],
    end_s: float,
    start: str,
    end: str | None,
) -> tuple[Presentation, ...]:
    """Turn messages into presentations.

    Parameters
    ----------
    times_s : sequence of float
        When the messages came, ascending.
    messages : sequence of str
        Their text.
    end_s : float
        End of the recording, where the last stimulus has no end message.
    start, end : str
        Regular expressions; see :class:`ReadOptions`. Without `end`, or where it does not come, a
        stimulus lasts until the next one.

    Raises
    ------
    UsageError
        When an expression is not valid.
    """
    begins = _expression("--stimulus-start", start)
    ends = _expression("--stimulus-end", end) if end else None
    found: list[Presentation] = []
    name, onset = None, 0.0
    for time, message in [*zip(times_s, messages, strict=True), (end_s, None)]:
        begin = None if message is None else begins.search(message)
        finish = message is not None and ends is not None and ends.search(message)
        if name is not None and (begin or finish or message is None) and time > onset:
            found.append(Presentation(name, onset, float(time)))
            name = None
        if begin and message is not None:
            group = next((part for part in begin.groups() if part), None)
            name, onset = (group or message).strip(), float(time)
    return tuple(found)


def _expression(flag: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(f"{flag} {pattern} is no regular expression: {error}.") from None
