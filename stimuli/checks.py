"""Checks of a stimulus set: what would spoil a session, found before it starts."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.stimulus import EXPRESSIONS
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from duchenne.stimuli.stimulus import Stimulus

MAX_IMAGE_MEGAPIXELS = 100.0
WHOLE_FILM_S = 60.0
"""Films up to this length are decoded whole; of longer ones the beginning and the end."""
TAIL_S = 2.0
MICROSECONDS = 1_000_000
DURATION_TOLERANCE_S = 0.5


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
    if stimulus.kind != "image" and stimulus.duration_s is None:
        yield f"no duration_s for this {stimulus.kind}; a schedule cannot be planned without it"


def _media_fault(stimulus: Stimulus) -> str | None:
    path = stimulus.path
    if not path.is_file():
        return "the file is missing; restore it or remove its row from the manifest"
    if file_sha256(path) != stimulus.sha256:
        return "the file has changed since the manifest was written (SHA-256 differs); restore it"
    try:
        if stimulus.kind == "image":
            return _image_fault(stimulus)
        return _played_fault(stimulus)
    except ImportError as error:
        raise DuchenneError(
            f"checking {stimulus.kind} files needs {error.name}: pip install 'duchenne[lab]'"
        ) from None


def _image_fault(stimulus: Stimulus) -> str | None:
    from PIL import Image  # noqa: PLC0415 - not part of the core install

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(stimulus.path) as image:
                size = image.size
                if size[0] * size[1] > MAX_IMAGE_MEGAPIXELS * 1e6:
                    return (
                        f"{size[0]} × {size[1]} pixels is too large to show; "
                        f"reduce it below {MAX_IMAGE_MEGAPIXELS:g} megapixels"
                    )
                image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"cannot be decoded as an image ({_one_line(error)}); replace it"
    return _size_mismatch(stimulus, *size)


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
