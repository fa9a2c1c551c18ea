"""The command ``duchenne au``: Action Units of videos and pictures, written as one table."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from duchenne.analysis.affect.registry import (
    DEFAULT_AFFECT_BACKEND,
    AffectSpec,
    affect_hash,
    load_affect_backend,
)
from duchenne.analysis.affect.table import AFFECT_STYLE
from duchenne.analysis.face.backends.files import backend_hash
from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND, load_backend
from duchenne.analysis.face.batch import (
    Outcome,
    Settings,
    Unit,
    expected_frames,
    measure_unit,
    run_batch,
    units_of,
)
from duchenne.analysis.face.decode import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from duchenne.analysis.face.model import face_model_path
from duchenne.analysis.face.table_file import SEPARATORS, STYLES, TableInParts, join_tables
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd


def run_au_command(
    videos: Sequence[Path | str],
    out: Path | str,
    backend: str = DEFAULT_BACKEND,
    neutral: str | Sequence[str] | None = None,
    style: str = "tidy",
    *,
    workers: int = 1,
    affect: str = DEFAULT_AFFECT_BACKEND,
) -> int:
    """Measure videos, pictures and folders of pictures and write one table.

    With several videos (or more than 50 pictures), each is first written into a folder
    ``OUT.parts``; what is there already and unchanged is not measured again.

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
    workers : int, default 1
        Videos measured at the same time.
    affect : str
        What tells valence and arousal: ``rule``, or ``checkpoint:FILE``.

    Returns
    -------
    int
        Exit code: 0 where every input was measured; 1 where one could not be read or shows no
        usable face. What could be measured is written in either case, with n/a where there was no
        face; each problem is told in one line on the standard error stream.

    Raises
    ------
    UsageError
        For a wrong name, style, ending or phase, where nothing was given to measure, or where the
        backend reads the table of one film and there are several.
    DuchenneError
        When nothing could be read at all, or the table cannot be written.
    """
    out = Path(out)
    _check_output(out, style, videos, backend)
    if workers < 1:
        raise UsageError(f"--workers {workers} must be at least 1.")
    settings = Settings(
        backend, style, parse_neutral(neutral), out.suffix.lower(),
        affect=affect, affect_sha256=affect_hash(affect), backend_sha256=backend_hash(backend),
    )  # fmt: skip
    inputs = _expand([Path(video) for video in videos])
    units = units_of(inputs)
    check_backend(backend, len(inputs), several=len(units) > 1)
    for line in getattr(load_affect_backend(affect), "told", ()):
        sys.stderr.write(f"duchenne: {AffectSpec.parse(affect).file}: {line}\n")
    face_model_path()
    _make_folder(out.parent)
    many = len(inputs) > 1 or any(_is_folder(Path(video)) for video in videos)
    with _progress_bar(units) as progress:
        if len(units) == 1:
            outcomes = [_single(units[0], settings, out, progress, with_input=many)]
        else:
            folder = out.with_name(f"{out.name}.parts")
            outcomes = run_batch(units, settings, folder, workers=workers, progress=progress)
            parts = [outcome.part for outcome in outcomes if outcome.part is not None]
            if parts:
                join_tables(parts, out)
    return _told(outcomes, out, n_inputs=len(inputs), many=many)


def run_compare_command(
    videos: Sequence[Path | str],
    out: Path | str,
    sources: tuple[str, str],
    neutral: str | Sequence[str] | None = None,
) -> int:
    """Compare two measurements of one film: a page (HTML) and a table (TSV) beside it.

    Parameters
    ----------
    videos : sequence of path
        The film; may be absent where both sources are tables.
    out : path
        Ends with ``.html``.
    sources : (str, str)
        Tables, of ``duchenne au`` or OpenFace, or names of backends.
    neutral : str or sequence of str, optional
        ``START:END`` in seconds: the neutral phase, for backends.

    Returns
    -------
    int
        0.

    Raises
    ------
    UsageError
        For a wrong ending, several films, a source that is neither a table nor a backend, or a page
        that would be written over what is compared.
    DuchenneError
        When something cannot be read, or the two have nothing in common.
    """
    from duchenne.analysis.face.compare import (  # noqa: PLC0415  (only for this)
        compare,
        measure_source,
        refuse_overwriting,
        write_comparison,
    )

    out = Path(out)
    if out.suffix.lower() != ".html":
        raise UsageError(f"--out {out} must end with .html where --compare is given.")
    if len(videos) > 1 or any(Path(video).is_dir() for video in videos):
        raise UsageError("--compare takes one film.")
    refuse_overwriting(sources, out)
    windows = parse_neutral(neutral)
    film = Path(videos[0]) if videos else None
    units = [Unit((film,), (film.name,), still=False)] * 2 if film else []
    with _progress_bar(units) as progress:

        def measured(side: int) -> pd.DataFrame:
            return measure_source(sources[side], film, windows, lambda n: progress(side, n))

        tables = measured(0), measured(1)
    comparison = compare((_shown(sources[0]), _shown(sources[1])), tables)
    table = write_comparison(comparison, out, film)
    sys.stdout.write(f"Agreement: {table}\n{out}\n")
    return 0


def _shown(source: str) -> str:
    return Path(source).name if Path(source).is_file() else source


def _single(
    unit: Unit,
    settings: Settings,
    out: Path,
    progress: Callable[[int, int], object],
    *,
    with_input: bool,
) -> Outcome:
    with TableInParts(out, settings.style) as table:

        def write(part: pd.DataFrame) -> None:
            table.add(part if with_input else part.drop(columns="input"))

        outcome = measure_unit(unit, settings, write, lambda n: progress(0, n))
    return replace(outcome, part=out) if table.written else outcome


def _told(outcomes: Sequence[Outcome], out: Path, *, n_inputs: int, many: bool) -> int:
    """Tell problems and notes, and return the exit code."""
    problems = [line for outcome in outcomes for line in outcome.problems]
    notes = [line for outcome in outcomes for line in outcome.notes]
    for line in (*notes, *problems):
        sys.stderr.write(f"duchenne: {line}\n")
    if all(outcome.part is None for outcome in outcomes):
        if n_inputs == 1:
            return 1
        raise DuchenneError(f"None of the {n_inputs} inputs could be read: nothing was written.")
    if problems and many:
        sys.stderr.write(f"duchenne: {len(problems)} of {n_inputs} inputs had problems.\n")
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


def check_backend(backend: str, n_inputs: int, *, several: bool) -> None:
    """Refuse a backend that cannot be loaded, or that reads the table of one film where there are several.

    Raises
    ------
    UsageError
        When there is none of this name, or the table is that of one film.
    DuchenneError
        When its file cannot be read.
    """
    if getattr(load_backend(backend), "one_film", False) and several:
        raise UsageError(
            f"The AU backend {backend} is about one film, but there are {n_inputs} inputs: "
            "give each film by itself, with its own table."
        )


def _check_output(out: Path, style: str, videos: Sequence[Path | str], backend: str) -> None:
    if style not in {*STYLES, AFFECT_STYLE}:
        raise UsageError(f"There is no style '{style}'; there are: {', '.join(STYLES)}.")
    if out.suffix.lower() not in SEPARATORS:
        raise UsageError(f"--out {out} must end with .csv or .tsv.")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder: give the name of a file.")
    _, _, read = backend.partition(":")
    written = {out.resolve(), out.with_suffix(".json").resolve()}
    if any(Path(given).resolve() in written for given in (*videos, *([read] if read else []))):
        raise UsageError(f"--out {out} is also an input: give another name.")


def _make_folder(folder: Path) -> None:
    """Make the folder of the table, so that a wrong one is told before anything is measured."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DuchenneError(f"{folder} could not be made ({error.strerror or error}).") from error


def _expand(paths: Sequence[Path]) -> list[Path]:
    """Return the files to measure; those of folders in the order of their names."""
    if not paths:
        raise UsageError("Nothing to measure: name a video, a picture, or a folder of pictures.")
    files: list[Path] = []
    for path in paths:
        if not _is_folder(path):
            files.append(path)
            continue
        try:
            inside = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
        except OSError as error:
            raise DuchenneError(f"{path} cannot be read ({error.strerror or error}).") from error
        pictures = [p for p in inside if p.suffix.lower() in IMAGE_SUFFIXES]
        chosen = pictures or [p for p in inside if p.suffix.lower() in VIDEO_SUFFIXES]
        if not chosen:
            raise DuchenneError(f"The folder {path} holds no pictures and no videos.")
        files.extend(chosen)
    return files


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder; False also where that cannot be told."""
    try:
        return path.is_dir()
    except OSError:
        return False


@contextmanager
def _progress_bar(units: Sequence[Unit]) -> Iterator[Callable[[int, int], object]]:
    """Show a bar on the standard error stream, so that the standard output ends with the result."""
    from rich.console import Console  # noqa: PLC0415  (only for the command)
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    shown = sys.stderr.isatty()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not shown,
    )
    if not shown:
        yield lambda _unit, _frames: None
        return
    expected = [expected_frames(unit) for unit in units]
    frames = [0] * len(units)
    with bar:
        task = bar.add_task("", total=sum(expected) or None)

        def tell(unit: int, done: int) -> None:
            frames[unit] = done
            expected[unit] = max(expected[unit], done)
            name = units[unit].paths[0].name
            title = name if len(units) == 1 else f"{name} ({unit + 1} of {len(units)})"
            bar.update(task, description=title, completed=sum(frames), total=sum(expected))

        yield tell
