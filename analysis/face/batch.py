"""Many videos and pictures, one after the other or in several processes; what is done is not done again.

Each video, and each group of pictures, is measured into a table of its own in the folder
``TABLE.parts`` beside the table to write, together with a stamp of its inputs and settings. A part whose
stamp still fits is taken as it is; the parts are joined when all are there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duchenne import __version__
from duchenne.analysis.affect.registry import DEFAULT_AFFECT_BACKEND
from duchenne.analysis.face.decode import (
    IMAGE_SUFFIXES,
    frame_count,
    image_frame,
    video_frames,
)
from duchenne.analysis.face.film import measure_faces
from duchenne.analysis.face.landmarks import MAX_SIDE_PX
from duchenne.analysis.face.process import FaceResult, analyse_pictures
from duchenne.analysis.face.table_file import TableInParts
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from duchenne.analysis.affect.hearing import Heard
    from duchenne.analysis.face.frames import Image

# Pictures are measured in groups of this many, so that the model is loaded once for all of them.
PICTURES_AT_ONCE = 50
# A film is told to be cut off when fewer than this share of the frames it promises can be read.
WHOLE_SHARE = 0.9


@dataclass(frozen=True)
class Settings:
    """What the result depends on besides the inputs."""

    backend: str
    style: str
    neutral: tuple[tuple[float, float], ...] = ()
    suffix: str = ".csv"
    version: str = __version__
    affect: str = DEFAULT_AFFECT_BACKEND
    affect_sha256: str = ""
    backend_sha256: str = ""


@dataclass(frozen=True)
class Unit:
    """One video, or pictures that are measured together."""

    paths: tuple[Path, ...]
    labels: tuple[str, ...]
    still: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a unit.

    Parameters
    ----------
    part : Path or None
        Its table; None where nothing could be read.
    problems, notes : tuple of str
        One line each.
    n_frames : int
        Frames or pictures measured.
    """

    part: Path | None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    n_frames: int = 0


def units_of(paths: Sequence[Path]) -> list[Unit]:
    """Return the inputs in their order; consecutive pictures in groups of 50."""
    names = Counter(path.name for path in paths)
    units: list[Unit] = []

    def add(group: Sequence[Path], *, still: bool) -> None:
        labels = tuple(_printable(p.name if names[p.name] == 1 else str(p)) for p in group)
        units.append(Unit(tuple(group), labels, still))

    for still, group in groupby(paths, key=is_picture):
        members = list(group)
        step = PICTURES_AT_ONCE if still else 1
        for start in range(0, len(members), step):
            add(members[start : start + step], still=still)
    return units


def _printable(name: str) -> str:
    """Return a file name that any table can hold: bytes that are no UTF-8 are spelt out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_picture(path: Path) -> bool:
    """Return whether a file is a picture by its name."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def expected_frames(unit: Unit) -> int:
    """Return how many frames a unit says it has; 0 where it does not say."""
    if unit.still:
        return len(unit.paths)
    return (frame_count(unit.paths[0]) or 0) if unit.paths[0].is_file() else 0


def measure_unit(
    unit: Unit,
    settings: Settings,
    write: Callable[[pd.DataFrame], object],
    progress: Callable[[int], object] | None = None,
) -> Outcome:
    """Measure one unit; problems with a file are told, not raised.

    Parameters
    ----------
    unit : Unit
    settings : Settings
    write : callable
        Given the table with a column ``input``, in parts that follow each other; not called where
        nothing could be read.
    progress : callable, optional
        Told the number of frames done.

    Returns
    -------
    Outcome
        Without its part.
    """
    if unit.still:
        return _measure_pictures(unit, settings, write, progress)
    path = unit.paths[0]
    frames = video_frames(path, max_side_px=MAX_SIDE_PX)
    try:
        film = measure_faces(
            frames, backend=settings.backend, affect=settings.affect, progress=progress
        )
    except DuchenneError as error:
        return Outcome(None, (str(error),))
    with film:
        quality = film.quality
        problem = _problem(path, quality["face_fraction"], quality["usable_fraction"])
        note = None
        for result in film.results(settings.neutral, listen=partial(_listen, path)):
            write(result.table.assign(input=unit.labels[0]))
            note = _note(path, result, settings)
    return Outcome(
        None, (problem,) if problem else (), (note,) if note else (), quality["n_frames"]
    )


def _listen(path: Path) -> Heard | None:
    from duchenne.analysis.affect.hearing import film_sound  # noqa: PLC0415 (scipy)

    return film_sound(path)


def _measure_pictures(
    unit: Unit,
    settings: Settings,
    write: Callable[[pd.DataFrame], object],
    progress: Callable[[int], object] | None,
) -> Outcome:
    problems: dict[int, str] = {}

    def pictures() -> Iterator[tuple[int, float, Image | None]]:
        for i, path in enumerate(unit.paths):
            try:
                yield i, 0.0, image_frame(path)
            except DuchenneError as error:
                problems[i] = str(error)

    table = analyse_pictures(
        pictures(), backend=settings.backend, affect=settings.affect, progress=progress
    ).table
    if not len(table):
        return Outcome(None, tuple(problems.values()))
    at = table["frame"].to_numpy(int)
    for i, found, usable in zip(at, table["face"], table["usable"], strict=True):
        problem = _problem(unit.paths[i], float(found), float(usable))
        if problem:
            problems[i] = problem
    write(table.assign(input=[unit.labels[i] for i in at], frame=0))
    told = tuple(problems[i] for i in sorted(problems))
    return Outcome(None, told, (), len(table))


def _problem(path: Path, found: float, usable: float) -> str | None:
    if found == 0:
        return f"No face was found in {path}: its Action Units are n/a."
    if usable == 0:
        return (
            f"The face in {path} is too small, turned away, cut off, covered, too dark, too bright or "
            "blurred: its Action Units are n/a."
        )
    return None


def _note(path: Path, result: FaceResult, settings: Settings) -> str | None:
    notes = []
    if result.quality["n_undecodable"]:
        notes.append(f"{result.quality['n_undecodable']} frames could not be decoded")
    promised, n_frames = frame_count(path) or 0, result.quality["n_frames"]
    if n_frames < WHOLE_SHARE * promised:
        notes.append(f"cut off: only {n_frames} of {promised} frames could be read")
    if settings.neutral and result.calibration.source != "neutral phase":
        notes.append("the neutral phase has too few usable frames and was not used")
    return f"{path}: {'; '.join(notes)}." if notes else None


def run_batch(
    units: Sequence[Unit],
    settings: Settings,
    folder: Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> list[Outcome]:
    """Measure units into part tables; those that are done already are taken as they are.

    Parameters
    ----------
    units : sequence of Unit
    settings : Settings
    folder : Path
        Where the parts are.
    workers : int, default 1
        Processes at a time.
    progress : callable, optional
        Told the number of a unit and how many of its frames are done.

    Returns
    -------
    list of Outcome
        In the order of the units.

    Raises
    ------
    DuchenneError
        When the folder cannot be written, or a process died.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DuchenneError(f"{folder} could not be made ({error.strerror or error}).") from error
    outcomes: dict[int, Outcome] = {}
    for i, unit in enumerate(units):
        done = _done(unit, settings, folder)
        if done is not None:
            outcomes[i] = done
            if progress is not None:
                progress(i, done.n_frames)
    rest = [i for i in range(len(units)) if i not in outcomes]
    if workers > 1 and len(rest) > 1:
        outcomes |= _in_processes(units, rest, settings, folder, workers=workers, progress=progress)
    else:
        for i in rest:
            tell = None if progress is None else _teller(progress, i)
            outcomes[i] = _to_part(units[i], settings, folder, tell)
    return [outcomes[i] for i in range(len(units))]


def _teller(progress: Callable[[int, int], object], i: int) -> Callable[[int], object]:
    return lambda n: progress(i, n)


def _in_processes(
    units: Sequence[Unit],
    rest: Sequence[int],
    settings: Settings,
    folder: Path,
    *,
    workers: int,
    progress: Callable[[int, int], object] | None,
) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    pool = ProcessPoolExecutor(min(workers, len(rest)), mp_context=get_context("spawn"))
    try:
        jobs = {pool.submit(_to_part, units[i], settings, folder): i for i in rest}
        for job in as_completed(jobs):
            i = jobs[job]
            outcomes[i] = job.result()
            if progress is not None:
                progress(i, outcomes[i].n_frames)
    except BrokenProcessPool as error:
        raise DuchenneError(
            f"A process died ({len(outcomes)} of {len(rest)} inputs were done); run the same command "
            "again to go on, with fewer --workers if memory was short."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return outcomes


def _to_part(
    unit: Unit,
    settings: Settings,
    folder: Path,
    progress: Callable[[int], object] | None = None,
) -> Outcome:
    part, stamp = _names(unit, settings, folder)
    # The table stays until the new one is whole: another run may read it.
    with suppress(OSError):
        stamp.unlink(missing_ok=True)
    wanted = _stamp(unit, settings)
    with TableInParts(part, settings.style) as table:
        outcome = measure_unit(unit, settings, table.add, progress)
    if not table.written:
        return outcome
    told = {
        "inputs": wanted,
        "problems": outcome.problems,
        "notes": outcome.notes,
        "n_frames": outcome.n_frames,
    }
    try:
        stamp.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise DuchenneError(f"{stamp} could not be written ({error.strerror or error}).") from error
    return Outcome(part, outcome.problems, outcome.notes, outcome.n_frames)


def _done(unit: Unit, settings: Settings, folder: Path) -> Outcome | None:
    """Return what came of a unit that was measured before, unless something changed since."""
    part, stamp = _names(unit, settings, folder)
    try:
        told: dict[str, Any] = json.loads(stamp.read_text("utf-8"))
        if told["inputs"] != _stamp(unit, settings) or not part.is_file():
            return None
        return Outcome(part, tuple(told["problems"]), tuple(told["notes"]), int(told["n_frames"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stamp(unit: Unit, settings: Settings) -> dict[str, Any]:
    """Return what must be the same for a part to be taken as it is, as it comes out of JSON."""
    files = []
    _, _, read = settings.backend.partition(":")  # the table of openface-csv
    for path in (*unit.paths, *([Path(read)] if read else [])):
        with suppress(OSError):
            about = path.stat()
            files.append([str(path.resolve()), about.st_size, about.st_mtime_ns])
    stamp = {"settings": asdict(settings), "labels": unit.labels, "files": files}
    fresh: dict[str, Any] = json.loads(json.dumps(stamp))
    return fresh


def _names(unit: Unit, settings: Settings, folder: Path) -> tuple[Path, Path]:
    """Return table and stamp of a unit; those of other settings have other names."""
    told = [json.dumps(asdict(settings)), *(str(path.resolve()) for path in unit.paths)]
    key = "\n".join(told).encode("utf-8", "replace")
    name = f"{unit.paths[0].stem[:40]}-{hashlib.sha256(key).hexdigest()[:12]}"
    part = folder / f"{name}{settings.suffix}"
    return part, folder / f"{name}.stamp.json"
