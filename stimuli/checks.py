"""Checks of a stimulus set: what would spoil a session, found before it starts."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from duchenne.stimuli.checked_media import CheckedMedia
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.film_checks import notes_of, played_fault, size_mismatch
from duchenne.stimuli.pixels import load_rgb
from duchenne.stimuli.stimulus import EXPRESSIONS
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duchenne.stimuli.stimulus import Stimulus

MAX_DURATION_S = 4 * 3600.0
"""No film or sound of an experiment is longer; more is a slip of the pen."""
MAX_TEXT_CHARACTERS = 20_000


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

    Every file is read to see whether its content is the manifest's. Films and sounds that were found
    good before are not decoded again.

    Returns
    -------
    list of Problem
        At most one for each stimulus: a missing, changed or undecodable file, or one of another
        size or length than declared.
    """
    found = []
    checked = CheckedMedia()
    for stimulus in stimuli:
        what = _media_fault(stimulus, checked)
        if what is not None:
            found.append(Problem(stimulus.id, what, str(stimulus.path)))
    return found


def media_notes(stimuli: Iterable[Stimulus]) -> list[Problem]:
    """Look for what is rarely meant; a session that would show it is refused (`StimulusSet.check`).

    Returns
    -------
    list of Problem
        Films of a variable frame rate, unless the manifest's ``variable_frame_rate`` says 1; films without
        sound, unless its ``has_sound`` says 0. Films that cannot be opened are left to `media_problems`.
    """
    return [Problem(s.id, what, str(s.path)) for s, what in notes_of(stimuli)]


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


def _media_fault(stimulus: Stimulus, checked: CheckedMedia) -> str | None:
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
        return None if stimulus in checked else _played_fault(stimulus, checked)
    except ImportError as error:
        raise DuchenneError(
            f"checking {stimulus.kind} files needs {error.name}: pip install 'duchenne[lab]'"
        ) from None


def _played_fault(stimulus: Stimulus, checked: CheckedMedia) -> str | None:
    fault = played_fault(stimulus)
    if fault is None:
        checked.add(stimulus)
    return fault


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
    return size_mismatch(stimulus, width_px, height_px)
