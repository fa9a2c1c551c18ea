"""The command ``duchenne au``: Action Units of videos and pictures, written as one table."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.codebooks import AU_FRAME, au_columns
from duchenne.analysis.face.backends.registry import load_backend
from duchenne.analysis.face.decode import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    frame_count,
    image_frame,
    video_frames,
)
from duchenne.analysis.face.landmarks import face_model_path
from duchenne.analysis.face.openface import OPENFACE_COLUMNS, openface_table
from duchenne.analysis.face.process import (
    DEFAULT_BACKEND,
    FaceResult,
    analyse_face,
    analyse_pictures,
)
from duchenne.analysis.tables import Column, replacing, write_codebook, write_table
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STYLES = ("tidy", "openface")
SEPARATORS = {".csv": ",", ".tsv": "\t"}
DECIMALS = 4


@dataclass(frozen=True)
class _Outcome:
    """The table of one input, and what there is to say about it."""

    table: pd.DataFrame | None
    problem: str | None = None
    note: str | None = None


def run_au_command(
    videos: Sequence[Path | str],
    out: Path | str,
    backend: str = DEFAULT_BACKEND,
    neutral: str | Sequence[str] | None = None,
    style: str = "tidy",
) -> int:
    """Measure videos, pictures and folders of pictures and write one table.

    Parameters
    ----------
    videos : sequence of path
        Video files, picture files, or folders, whose pictures (or, where there are none, videos)
        are taken and whose other files are ignored.
    out : path
        Ends with ``.csv`` (comma) or ``.tsv`` (tab). A JSON codebook is written beside it.
    backend : str
        Name of the Action Unit estimator.
    neutral : str or sequence of str, optional
        ``START:END`` in seconds of each video: its neutral phase.
    style : {"tidy", "openface"}

    Returns
    -------
    int
        Exit code: 0 where every input was measured; 1 where one could not be read or shows no
        usable face. What could be measured is written in either case, with n/a where there was no
        face; each problem is told in one line on the standard error stream.

    Raises
    ------
    UsageError
        For a wrong name, style, ending or phase, or where nothing was given to measure.
    DuchenneError
        When nothing could be read at all, or the table cannot be written.
    """
    out = Path(out)
    separator = _check_output(out, style, videos)
    windows = parse_neutral(neutral)
    inputs = _expand([Path(video) for video in videos])
    load_backend(backend)
    face_model_path()
    many = len(inputs) > 1 or any(Path(video).is_dir() for video in videos)
    outcomes = []
    for i, path in enumerate(inputs, start=1):
        title = f"{path.name} ({i} of {len(inputs)})" if many else path.name
        with _progress_bar(title, path) as progress:
            outcome = _measure(path, backend, windows, progress)
        outcomes.append(outcome)
        for line in (outcome.problem, outcome.note):
            if line:
                sys.stderr.write(f"duchenne: {line}\n")
    tables = [
        outcome.table.assign(input=_label(path, inputs))
        for path, outcome in zip(inputs, outcomes, strict=True)
        if outcome.table is not None
    ]
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    if not tables:
        if len(inputs) == 1:
            return 1
        raise DuchenneError(f"None of the {len(inputs)} inputs could be read: nothing was written.")
    _write(pd.concat(tables, ignore_index=True), out, separator, style, with_input=many)
    if problems and many:
        sys.stderr.write(f"duchenne: {len(problems)} of {len(inputs)} inputs had problems.\n")
    sys.stdout.write(f"{out}\n")
    return 1 if problems else 0


def parse_neutral(neutral: str | Sequence[str] | None) -> tuple[tuple[float, float], ...]:
    """Return the windows of ``START:END`` texts, in seconds.

    Raises
    ------
    UsageError
        When a text is not two numbers of which the second is larger.
    """
    texts = [neutral] if isinstance(neutral, str) else list(neutral or ())
    windows = []
    for text in texts:
        match = re.fullmatch(r"\s*([\d.]+)\s*:\s*([\d.]+)\s*", text)
        try:
            start, end = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
        except ValueError:
            start = end = 0.0
        if end <= start:
            raise UsageError(
                f"--neutral {text!r} is not START:END in seconds, such as --neutral 0:3."
            )
        windows.append((start, end))
    return tuple(windows)


def _check_output(out: Path, style: str, videos: Sequence[Path | str]) -> str:
    if style not in STYLES:
        raise UsageError(f"There is no style '{style}'; there are: {', '.join(STYLES)}.")
    if out.suffix.lower() not in SEPARATORS:
        raise UsageError(f"--out {out} must end with .csv or .tsv.")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder: give the name of a file.")
    if any(out.resolve() == Path(video).resolve() for video in videos):
        raise UsageError(f"--out {out} is also an input: give another name.")
    return SEPARATORS[out.suffix.lower()]


def _expand(paths: Sequence[Path]) -> list[Path]:
    """Return the files to measure; those of folders in the order of their names."""
    if not paths:
        raise UsageError("Nothing to measure: name a video, a picture, or a folder of pictures.")
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
        pictures = [p for p in inside if p.suffix.lower() in IMAGE_SUFFIXES]
        chosen = pictures or [p for p in inside if p.suffix.lower() in VIDEO_SUFFIXES]
        if not chosen:
            raise DuchenneError(f"The folder {path} holds no pictures and no videos.")
        files.extend(chosen)
    return files


def _measure(
    path: Path,
    backend: str,
    windows: Sequence[tuple[float, float]],
    progress: Callable[[int], object],
) -> _Outcome:
    still = path.suffix.lower() in IMAGE_SUFFIXES
    try:
        if still:
            picture = (0, 0.0, image_frame(path))
            result = analyse_pictures([picture], backend=backend, progress=progress)
        else:
            result = analyse_face(
                video_frames(path), backend=backend, neutral=windows, progress=progress
            )
    except DuchenneError as error:
        return _Outcome(None, str(error))
    return _Outcome(result.table, _problem(path, result), _note(path, result, windows, still=still))


def _problem(path: Path, result: FaceResult) -> str | None:
    quality = result.quality
    if quality["face_fraction"] == 0:
        return f"No face was found in {path}: its Action Units are n/a."
    if quality["usable_fraction"] == 0:
        return f"The face in {path} is too small, turned away or cut off: its Action Units are n/a."
    return None


def _note(
    path: Path, result: FaceResult, windows: Sequence[tuple[float, float]], *, still: bool
) -> str | None:
    notes = []
    if result.quality["n_undecodable"]:
        notes.append(f"{result.quality['n_undecodable']} frames could not be decoded")
    if windows and not still and result.calibration.source != "neutral phase":
        notes.append("the neutral phase has too few usable frames and was not used")
    return f"{path}: {'; '.join(notes)}." if notes else None


def _label(path: Path, inputs: Sequence[Path]) -> str:
    """Return the file's name, or its path where another input has the same name."""
    same = sum(other.name == path.name for other in inputs)
    return path.name if same == 1 else str(path)


def _write(table: pd.DataFrame, out: Path, separator: str, style: str, *, with_input: bool) -> None:
    columns = [str(c) for c in table.columns if c != "input"]
    table = table[(["input"] if with_input else []) + columns]
    if style == "openface":
        table = openface_table(table)
    table = _rounded(table)
    codebook = _codebook([str(c) for c in table.columns], style)
    if separator == "\t":
        write_table(table, out, codebook)
        return
    kinds = {name: column.kind or "number" for name, column in codebook.items()}
    for name, kind in kinds.items():
        if kind == "integer":
            table[name] = table[name].astype("Int64")
        elif kind == "boolean":
            table[name] = table[name].map({True: "true", False: "false"})
    write_codebook(codebook, out.with_suffix(".json"), kinds)
    with replacing(out) as aside:
        table.to_csv(aside, sep=separator, index=False, na_rep="n/a")


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    table = table.copy()
    for name in table.columns:
        if table[name].dtype == np.float64 and name not in {"time", "timestamp"}:
            table[name] = table[name].round(DECIMALS) + 0.0
        elif name in {"time", "timestamp"}:
            table[name] = table[name].round(6)
    return table


def _codebook(names: Sequence[str], style: str) -> dict[str, Column]:
    book: dict[str, Column] = dict(AU_FRAME)
    book["input"] = Column("Name of the file that the row is about.", kind="string")
    book["time"] = Column("Time of the frame from the start of the video.", "s", kind="number")
    if style == "openface":
        book |= OPENFACE_COLUMNS
    book |= au_columns(names)
    return {name: book[name] for name in names}


@contextmanager
def _progress_bar(title: str, path: Path) -> Iterator[Callable[[int], object]]:
    """Show a bar on the standard error stream, so that the standard output ends with the result."""
    from rich.console import Console  # noqa: PLC0415  (only for the command)
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    total = 1 if path.suffix.lower() in IMAGE_SUFFIXES else frame_count(path)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)
