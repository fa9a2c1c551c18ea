"""Videos in which nobody can be known again: blurred, pixelated, or acted out by a generic head."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND, load_backend
from duchenne.analysis.face.deidentify_check import Check, check_avatar, check_covered
from duchenne.analysis.face.deidentify_cover import HIDE_CONFIDENCES, cover_faces
from duchenne.analysis.face.deidentify_draw import draw_avatar, draw_nobody
from duchenne.analysis.face.deidentify_finder import FaceFinder
from duchenne.analysis.face.deidentify_parts import Expression
from duchenne.analysis.face.deidentify_shape import ShapeWitness
from duchenne.analysis.face.deidentify_video import Mp4Writer, VideoInput, add_sound, new_file
from duchenne.analysis.face.process import analyse_face
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from duchenne.analysis.face.deidentify_cover import Cover
    from duchenne.analysis.face.frames import Image

Method = Literal["blur", "pixelate", "avatar"]
METHODS: tuple[str, ...] = get_args(Method)
PITCH_SHARE = 0.5
"""Nods are drawn smaller: a drawn head shows the shift of brows and lips more than a real one does."""


@dataclass(frozen=True)
class Deidentified:
    """What was written.

    Attributes
    ----------
    video : Path
    times : Path or None
        Table of the frames' times in the session, for a session file.
    n_frames : int
    n_whole : int
        Frames covered as a whole, or, with the avatar, frames in which the face was not measured.
    has_sound : bool
    check : Check or None
        Outcome of the re-identification check; None where it was not asked for.
    """

    video: Path
    times: Path | None
    n_frames: int
    n_whole: int
    has_sound: bool
    check: Check | None


@dataclass(frozen=True)
class _Drawn:
    index: int
    time_s: float
    image: Image
    whole: bool


def deidentify(
    given: VideoInput,
    out: Path,
    *,
    method: str = "blur",
    keep_sound: bool = False,
    backend: str = DEFAULT_BACKEND,
    neutral: Sequence[tuple[float, float]] = (),
    check: bool = True,
    progress: Callable[[str, int], object] | None = None,
) -> Deidentified:
    """Write a video from which the person's face is gone.

    Every frame keeps its time. Metadata and, unless it is kept, the sound are left out. The avatar
    is drawn from measured Action Units and head pose alone: no pixel and no landmark of the video
    reaches it.

    Parameters
    ----------
    given : VideoInput
    out : Path
        An MP4 file that does not exist; for a session, neither does the ``.tsv`` beside it.
    method : {"blur", "pixelate", "avatar"}
    keep_sound : bool
        Of a video file; a voice identifies a person.
    backend : str
        What measures the Action Units for the avatar.
    neutral : sequence of (start, end)
        Neutral phase in seconds, for the avatar; by default that of the session's markers.
    check : bool
        Read the output again and try to know the person again.
    progress : callable, optional
        Told the stage and the frames done.

    Raises
    ------
    UsageError
        For an unknown method, or sound of a session file.
    DuchenneError
        Where the input cannot be read, or the output or its table of times exists.
    """
    if method not in METHODS:
        raise UsageError(f"There is no method '{method}'; there are: {', '.join(METHODS)}.")
    if keep_sound and given.is_session:
        raise UsageError("A session's face video has no sound to keep: leave --keep-audio out.")
    tell = progress or (lambda _stage, _done: None)
    with new_file(out, given.path) as part:
        times = out.with_suffix(".tsv")
        if given.is_session and times.exists():
            raise DuchenneError(
                f"{times} exists and is never overwritten: choose another name for --out."
            )
        silent = part.with_name(part.name + ".silent")
        try:
            if method == "avatar":
                made = _as_avatar(given, silent, backend, neutral, check=check, tell=tell)
            else:
                cover: Cover = "pixelate" if method == "pixelate" else "blur"
                made = _as_covered(given, silent, cover, check=check, tell=tell)
            has_sound = keep_sound and add_sound(silent, given.path, part)
            if not has_sound:
                silent.rename(part)
        finally:
            silent.unlink(missing_ok=True)
    if given.is_session:
        _write_times(times, made.times)
    sidecar = times if given.is_session else None
    return Deidentified(out, sidecar, len(made.times), made.n_whole, has_sound, made.check)


@dataclass(frozen=True)
class _Made:
    """A video without sound: frame, time and time in the video of each picture, and its check."""

    times: list[tuple[int, float, float]]
    n_whole: int
    check: Check | None


def _as_covered(
    given: VideoInput,
    silent: Path,
    cover: Cover,
    *,
    check: bool,
    tell: Callable[[str, int], object],
) -> _Made:
    """Cover faces; where one is still found after encoding, do it again more coarsely."""
    with FaceFinder() as finder:
        for confidence in HIDE_CONFIDENCES:
            covered = cover_faces(given.frames(), finder, cover, confidence=confidence)
            drawn = (_Drawn(c.index, c.time_s, c.image, c.whole) for c in covered)
            times, n_whole = _write(drawn, silent, tell, given)
            outcome = check_covered(silent, lambda n: tell("checking", n)) if check else None
            if outcome is None or outcome.passed:
                break
    return _Made(times, n_whole, outcome)


def _as_avatar(
    given: VideoInput,
    silent: Path,
    backend: str,
    neutral: Sequence[tuple[float, float]],
    *,
    check: bool,
    tell: Callable[[str, int], object],
) -> _Made:
    witness = ShapeWitness(load_backend(backend))
    table = _measured(given, witness, neutral or given.neutral_windows(), tell)
    times, n_whole = _write(_acted(table), silent, tell, given)
    outcome = check_avatar(silent, witness, lambda n: tell("checking", n)) if check else None
    return _Made(times, n_whole, outcome)


def expression_of(row: dict[str, float]) -> Expression:
    """Return what the head shows for one row of the table of Action Units.

    Parameters
    ----------
    row : mapping of str to float
        Columns ``AUxx_r``, ``AUxxL_r`` … and ``pose_pitch_deg pose_yaw_deg pose_roll_deg``.
    """
    units = {
        name[:-2]: value
        for name, value in row.items()
        if name.startswith("AU") and name.endswith("_r") and np.isfinite(value)
    }
    pose = [row.get(f"pose_{axis}_deg", 0.0) for axis in ("pitch", "yaw", "roll")]
    pitch, yaw, roll = (float(angle) if np.isfinite(angle) else 0.0 for angle in pose)
    return Expression(units, (pitch, yaw, roll))


def _measured(
    given: VideoInput,
    witness: ShapeWitness,
    windows: Sequence[tuple[float, float]],
    tell: Callable[[str, int], object],
) -> pd.DataFrame:
    result = analyse_face(
        given.frames(),
        backend=witness,
        neutral=windows,
        progress=lambda done: tell("measuring", done),
    )
    return result.table


def _acted(table: pd.DataFrame) -> Iterator[_Drawn]:
    """Yield the generic head's picture for every row of a table of Action Units."""
    wanted = [str(c) for c in table.columns if str(c).endswith("_r") or str(c).startswith("pose_")]
    resting_pitch = float(np.nanmedian(table["pose_pitch_deg"])) if table["usable"].any() else 0.0
    columns = {name: table[name].to_numpy(np.float64) for name in wanted}
    usable = table["usable"].to_numpy(np.bool_)
    frames, times_s = table["frame"].to_numpy(), table["time"].to_numpy(np.float64)
    for i, is_usable in enumerate(usable):
        if not is_usable:
            yield _Drawn(int(frames[i]), float(times_s[i]), draw_nobody(), whole=True)
            continue
        row = {name: float(values[i]) for name, values in columns.items()}
        row["pose_pitch_deg"] = PITCH_SHARE * (row["pose_pitch_deg"] - resting_pitch)
        image = draw_avatar(expression_of(row))
        yield _Drawn(int(frames[i]), float(times_s[i]), image, whole=False)


def _write(
    drawn: Iterator[_Drawn], part: Path, tell: Callable[[str, int], object], given: VideoInput
) -> tuple[list[tuple[int, float, float]], int]:
    times: list[tuple[int, float, float]] = []
    n_whole = 0
    with Mp4Writer(part) as writer:
        for frame in drawn:
            video_s = writer.add(frame.time_s, frame.image)
            times.append((frame.index, frame.time_s, video_s))
            n_whole += frame.whole
            tell("writing", len(times))
    if not times:
        raise DuchenneError(f"{given.path} holds no frame: nothing was written.")
    return times, n_whole


def _write_times(path: Path, times: list[tuple[int, float, float]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["frame", "time_s", "video_time_s"])
        for index, time_s, video_s in times:
            told = f"{time_s:.6f}" if np.isfinite(time_s) else "n/a"
            writer.writerow([index, told, f"{video_s:.6f}"])
