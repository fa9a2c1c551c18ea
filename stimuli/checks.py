"""Checks of a stimulus set: what would spoil a session, found before it starts."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.pixels import load_rgb
from duchenne.stimuli.stimulus import EXPRESSIONS
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from duchenne.stimuli.stimulus import Stimulus

WHOLE_FILM_S = 60.0
"""Films up to this length are decoded whole; of longer ones the beginning and the end."""
TAIL_S = 2.0
MICROSECONDS = 1_000_000
DURATION_TOLERANCE_S = 0.5
MAX_DURATION_S = 4 * 3600.0
"""No film or sound of an experiment is longer; more is a slip of the pen."""
MAX_TEXT_CHARACTERS = 20_000
UNEVEN_SHARE, UNEVEN_BY = 0.005, 0.05
"""A film has a variable frame rate when more than 0.5 % of its frames last 5 % longer or
shorter than usual."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with one stimulus.

    Attributes
    ----------
    id : str
        The stimulus.
    what : str
        What is wrong and what to do, in one line.
    where : str
        A file, with the line where it is a manifest.
    """

    id: str
    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.where}: stimulus {self.id!r}: {self.what}"


def value_problems(stimuli: Iterable[Stimulus], where: str | None = None) -> list[Problem]:
    """Check what the manifest says, without opening any media file.

    Parameters
    ----------
    stimuli : iterable of Stimulus
        What to check.
    where : str, optional
        Where they were declared; the path of each file by default.

    Returns
    -------
    list of Problem
        A file outside the folder, a norm beyond its scale, a size or length that cannot be.
    """
    return [
        Problem(s.id, what, where or str(s.path))
        for s in stimuli
        for what in (*_file_faults(s), *_norm_faults(s), *_size_faults(s))
    ]


def media_problems(stimuli: Iterable[Stimulus]) -> list[Problem]:
    """Open every file and compare it with its manifest row.

    Returns
    -------
    list of Problem
        At most one for each stimulus: a missing, changed or undecodable file, or one of another
        size or length than declared.
    """
    found = []
    for stimulus in stimuli:
        what = _media_fault(stimulus)
        if what is not None:
            found.append(Problem(stimulus.id, what, str(stimulus.path)))
    return found


def media_notes(stimuli: Iterable[Stimulus]) -> list[Problem]:
    """Look for what does not stop a session but is rarely meant.

    Returns
    -------
    list of Problem
        Films of a variable frame rate; films without sound, unless the manifest's ``has_sound`` says 0; films
        that have sound although it says 0; films and sounds that cannot be opened are left to
        `media_problems`.
    """
    found = []
    for stimulus in stimuli:
        if stimulus.kind == "video" and stimulus.path.is_file():
            where = str(stimulus.path)
            found += [Problem(stimulus.id, what, where) for what in _film_notes(stimulus)]
    return found


def _film_notes(stimulus: Stimulus) -> Iterable[str]:
    import av  # noqa: PLC0415 - not part of the core install

    try:
        with av.open(str(stimulus.path)) as container:
            has_sound = bool(container.streams.audio)
            times, tick_s = _frame_times(container)
    except (av.error.FFmpegError, ValueError):
        return
    declared = stimulus.measures.get("has_sound")
    if not has_sound and declared != 0:
        yield "the film has no sound; if that is meant, write 0 in a column has_sound"
    if has_sound and declared == 0:
        yield "the film has sound although has_sound says 0; correct one of them"
    steps = [b - a for a, b in itertools.pairwise(times)]
    if len(steps) < 2:
        return
    usual = sorted(steps)[len(steps) // 2]
    uneven = sum(abs(step - usual) > UNEVEN_BY * usual + 1.01 * tick_s for step in steps)
    if uneven > UNEVEN_SHARE * len(steps):
        yield (
            f"the film has a variable frame rate ({uneven} of {len(steps)} intervals differ from "
            f"{1000 * usual:.1f} ms); re-encode it at a constant rate"
        )


def _frame_times(container: InputContainer) -> tuple[list[float], float]:
    """Return when the frames of a film are due (s), in order, and the tick of its clock (s)."""
    if not container.streams.video:
        return [], 0.0
    stream = container.streams.video[0]
    ticks = sorted(p.pts for p in container.demux(stream) if p.pts is not None)
    tick_s = float(stream.time_base or 0)
    return [tick * tick_s for tick in ticks], tick_s


def file_sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _file_faults(stimulus: Stimulus) -> Iterable[str]:
    relative = os.path.normpath(PurePosixPath(stimulus.file))
    absolute = Path(relative).is_absolute() or PureWindowsPath(stimulus.file).drive
    if absolute or relative.split(os.sep, 1)[0] == os.pardir:
        yield f"the file {stimulus.file!r} lies outside the folder of the manifest; move it inside"
    if not re.fullmatch(r"[0-9a-f]{64}", stimulus.sha256):
        yield f"sha256 is {stimulus.sha256!r}, not 64 hexadecimal digits"


def _norm_faults(stimulus: Stimulus) -> Iterable[str]:
    norms = {name: getattr(stimulus, name) for name in ("valence", "arousal", "dominance")}
    given = {name: value for name, value in norms.items() if value is not None}
    low, high = stimulus.norm_min, stimulus.norm_max
    if given and (low is None or high is None):
        yield f"{next(iter(given))} without norm_min and norm_max; give both ends of its scale"
    elif low is not None and high is not None:
        if low >= high:
            yield f"norm_min {low:g} is not below norm_max {high:g}"
        for name, value in given.items():
            if not low <= value <= high:
                yield f"{name} {value:g} is outside its scale {low:g} to {high:g}"
    expression = stimulus.target_expression
    if expression is not None and expression not in EXPRESSIONS:
        yield f"unknown target_expression {expression!r}{did_you_mean(expression, EXPRESSIONS)}"


def _size_faults(stimulus: Stimulus) -> Iterable[str]:
    for name in ("duration_s", "width_px", "height_px"):
        value = getattr(stimulus, name)
        if value is not None and value <= 0:
            yield f"{name} is {value:g}; it must be above 0"
    if stimulus.luminance is not None and not 0.0 <= stimulus.luminance <= 1.0:
        yield f"luminance is {stimulus.luminance:g}; it must be from 0 to 1"
    if stimulus.duration_s is not None and stimulus.duration_s > MAX_DURATION_S:
        yield f"duration_s is {stimulus.duration_s:g}; more than {MAX_DURATION_S:g} cannot be meant"
    if stimulus.kind in ("video", "audio") and stimulus.duration_s is None:
        yield f"no duration_s for this {stimulus.kind}; a schedule cannot be planned without it"


def _media_fault(stimulus: Stimulus) -> str | None:
    path = stimulus.path
    if not path.is_file():
        return "the file is missing; restore it or remove its row from the manifest"
    if file_sha256(path) != stimulus.sha256:
        return "the file has changed since the manifest was written (SHA-256 differs); restore it"
    try:
        if stimulus.kind == "text":
            return _text_fault(path)
        if stimulus.kind == "image":
            return _image_fault(stimulus)
        return _played_fault(stimulus)
    except ImportError as error:
        raise DuchenneError(
            f"checking {stimulus.kind} files needs {error.name}: pip install 'duchenne[lab]'"
        ) from None


def _text_fault(path: Path) -> str | None:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return (
            f"line {line} is not UTF-8 text (byte 0x{content[error.start]:02x}); save it as UTF-8"
        )
    if not text.strip() or "\0" in text:
        return "holds no words; write the text into it"
    if len(text) > MAX_TEXT_CHARACTERS:
        return f"has {len(text)} characters; more than {MAX_TEXT_CHARACTERS} do not fit a screen"
    return None


def _image_fault(stimulus: Stimulus) -> str | None:
    try:
        height_px, width_px = load_rgb(stimulus.path).shape[:2]
    except DuchenneError as error:
        return str(error).removeprefix(f"{stimulus.path}: ")
    return _size_mismatch(stimulus, width_px, height_px)


def _played_fault(stimulus: Stimulus) -> str | None:
    """Check a film or a sound."""
    import av  # noqa: PLC0415 - not part of the core install

    size = None
    try:
        with av.open(str(stimulus.path)) as container:
            video, audio = container.streams.video, container.streams.audio
            if stimulus.kind == "video" and not video:
                return "has no picture; declare it as audio or replace it"
            if stimulus.kind == "audio" and not audio:
                return "has no sound; replace it"
            if stimulus.kind == "video":
                size = (video[0].width, video[0].height)
            end_s = _decoded_end_s(container, video[0] if size else audio[0])
    except (av.error.FFmpegError, ValueError) as error:
        return f"cannot be decoded as {stimulus.kind} ({_one_line(error)}); replace it"
    declared_s = stimulus.duration_s
    if declared_s is not None and abs(end_s - declared_s) > DURATION_TOLERANCE_S:
        return f"ends after {end_s:.2f} s but duration_s says {declared_s:g}; correct one of them"
    return _size_mismatch(stimulus, *size) if size else None


def _decoded_end_s(container: InputContainer, stream: VideoStream | AudioStream) -> float:
    """Decode a film, or the beginning and the end of a long one; return when it ends (s)."""
    length_s = float(container.duration or 0) / MICROSECONDS
    if length_s > WHOLE_FILM_S:
        next(container.decode(stream))
        container.seek(int((length_s - TAIL_S) * MICROSECONDS))
    n_frames, end_s = 0, 0.0
    for packet in container.demux(stream):
        n_frames += len(packet.decode())
        if packet.pts is not None and packet.time_base is not None:
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return end_s if n_frames else 0.0


def _size_mismatch(stimulus: Stimulus, width_px: int, height_px: int) -> str | None:
    declared = (stimulus.width_px or width_px, stimulus.height_px or height_px)
    if declared == (width_px, height_px):
        return None
    return (
        f"is {width_px} × {height_px} pixels but the manifest says {declared[0]} × {declared[1]}; "
        "correct one of them"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
