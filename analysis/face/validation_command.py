"""The command ``duchenne au-validate``."""

from __future__ import annotations

import csv
import math
from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from duchenne.analysis.command_progress import counted
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from duchenne.analysis.face.validation import Measured

EPILOG = "Example: duchenne au-validate study --out coding; later: duchenne au-validate coding --read anna"


def au_validate(  # noqa: PLR0917 -- typer makes options of them
    given: Annotated[
        list[Path],
        typer.Argument(
            metavar="STUDY | FILE ...",
            help="A study, session files or videos to draw from; with --read, the folder of the draw.",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder to make, with clips and sheets.")] = None,
    read: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER", help="Files of one coder, to be evaluated; may be repeated."
        ),
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="How many clips to draw.")] = 60,
    clip_s: Annotated[float, typer.Option(min=0.1, help="Length of a clip in seconds.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same clips.")] = 0,
    participants: Annotated[
        Path | None,
        typer.Option(
            help="Table with participant_id and skin_tone, glasses, beard; by default the study's."
        ),
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="What measures Action Units in videos.")
    ] = None,
) -> None:
    """Let your own FACS coders judge the measured Action Units: draw clips, then read the codings back.

    Clips are drawn evenly over conditions and intensities and get names that say nothing. Give the
    folder `coders` to the coders; keep the folder `key`.
    """
    if read:
        _evaluate(given, read, participants)
        return
    if out is None:
        raise UsageError("Say where to write: --out FOLDER (or --read FOLDER to evaluate codings).")
    from duchenne.analysis.face.validation import prepare  # noqa: PLC0415 -- heavy
    from duchenne.analysis.face.validation_text import CODED_AUS  # noqa: PLC0415 -- heavy

    if out.exists():
        raise DuchenneError(f"{out} exists and is never overwritten: choose another name.")
    recordings = _recordings(given, backend)
    measured = [set(recording.table.columns) for recording in recordings]
    au_names = [au for au in CODED_AUS if all(f"{au}_r" in columns for columns in measured)]
    with counted("clips") as tell:
        drawn = prepare(
            recordings,
            out,
            n_clips=clips,
            clip_s=clip_s,
            au_names=au_names,
            seed=seed,
            progress=lambda done: tell(done, clips, "clips"),
        )
    copy = participants or _participants_of(given)
    if copy is not None:
        (drawn.key / "participants.tsv").write_bytes(copy.read_bytes())
    if drawn.n_clips < clips:
        typer.echo(f"There are only {drawn.n_clips} clips of {clip_s:g} s.", err=True)
    typer.echo(f"For the coders: {drawn.coders}; keep aside: {drawn.key}")
    typer.echo(f"Wrote {drawn.n_clips} clips to {out}")


def _evaluate(given: list[Path], read: list[Path], participants: Path | None) -> None:
    from rich.console import Console  # noqa: PLC0415 -- only for the command
    from rich.table import Table  # noqa: PLC0415

    from duchenne.analysis.face.validation import KEY, evaluate  # noqa: PLC0415 -- heavy

    if len(given) != 1:
        raise UsageError("With --read, name one folder: that of the draw.")
    kept = given[0] / KEY / "participants.tsv"
    told = participants or (kept if kept.is_file() else None)
    written, table, counts = evaluate(
        given[0],
        read,
        _texts(told) if told else None,
        tell=lambda line: typer.echo(f"{told}: {line}", err=True),
    )
    shown = Table(box=None, pad_edge=False)
    for heading in ("AU", "compared", "clips", "ICC(3,1)", "95 %", "κ", "95 % "):
        shown.add_column(heading, justify="left" if heading in {"AU", "compared"} else "right")
    whole = table[table["group_by"] == "all"]
    second = "coders" if (whole["second"] == "coders").any() else next(iter(counts))
    for row in whole[(whole["first"] == "measured") & (whole["second"] == second)].to_dict(
        "records"
    ):
        cells = [_span(row, name) for name in ("icc", "kappa")]
        values = [_number(row["icc_3_1"]), cells[0], _number(row["kappa"]), cells[1]]
        shown.add_row(row["au"], f"measured – {second}", str(row["n"]), *values)
    Console().print(shown)
    for name, n in counts.items():
        typer.echo(f"{name}: {n} clips coded.")
    typer.echo(f"Wrote {written}")


def _recordings(given: list[Path], backend: str | None) -> list[Measured]:
    from duchenne.analysis.face.command import check_backend  # noqa: PLC0415 -- heavy
    from duchenne.analysis.paths import session_files  # noqa: PLC0415 -- heavy

    videos = [path for path in given if not path.is_dir() and path.suffix.lower() != ".h5"]
    if backend:
        check_backend(backend, len(videos), several=len(videos) > 1)
    found = []
    for path in given:
        if path.is_dir():
            found += [_session(file) for file in session_files(path)]
        elif path.suffix.lower() == ".h5":
            found.append(_session(path))
        else:
            found.append(_video(path, backend))
    return found


def _session(file: Path) -> Measured:
    from duchenne.analysis.face.deidentify_video import VideoInput  # noqa: PLC0415 -- heavy
    from duchenne.analysis.face.validation import Measured  # noqa: PLC0415
    from duchenne.analysis.paths import analysis_paths  # noqa: PLC0415

    paths = analysis_paths(file)
    if not paths.au.is_file():
        raise DuchenneError(
            f"{file} has no table of Action Units yet: run duchenne analyze {file}."
        )
    table = _table(paths.au)
    condition = table["phase"].astype(str)
    if paths.summary.is_file():
        summary = _table(paths.summary)
        category = dict(
            zip(summary["stimulus_id"].astype(str), summary["category"].astype(str), strict=True)
        )
        told = table["stimulus_id"].astype(str).map(category)
        condition = told.where(told.notna() & (told != "nan"), condition)
    participant = str(table["participant"].iloc[0]) if len(table) else ""
    return Measured(VideoInput(file), table, participant, condition.tolist())


def _video(path: Path, backend: str | None) -> Measured:
    from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND  # noqa: PLC0415
    from duchenne.analysis.face.deidentify_video import VideoInput  # noqa: PLC0415 -- heavy
    from duchenne.analysis.face.process import analyse_face  # noqa: PLC0415
    from duchenne.analysis.face.validation import Measured  # noqa: PLC0415

    video = VideoInput(path)
    count = video.count() or 0
    with counted(f"frames of {path.name}") as tell:
        table = analyse_face(
            video.frames(),
            backend=backend or DEFAULT_BACKEND,
            progress=lambda done: tell(done, max(count, done), f"frames of {path.name}"),
        ).table
    return Measured(video, table, path.stem, [path.stem] * len(table))


def _participants_of(given: list[Path]) -> Path | None:
    tables = [path / "participants.tsv" for path in given if (path / "participants.tsv").is_file()]
    return tables[0] if len(tables) == 1 else None


def _table(path: Path) -> pd.DataFrame:
    from duchenne.analysis.tables import read_table  # noqa: PLC0415 -- heavy

    if not path.is_file():
        raise DuchenneError(f"There is no table {path}.")
    return read_table(path)


def _texts(path: Path) -> pd.DataFrame:
    """Return a table with every column as text: 001 is a participant, and no number."""
    import pandas as pd  # noqa: PLC0415 -- heavy

    if not path.is_file():
        raise DuchenneError(f"There is no table {path}.")
    try:
        return pd.read_csv(
            path, sep="\t", dtype=str, na_values=["n/a", ""], keep_default_na=False,
            quoting=csv.QUOTE_NONE, encoding="utf-8-sig",
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise DuchenneError(
            f"{path} cannot be read as a table of tab-separated columns."
        ) from error


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}" if math.isfinite(value) else "n/a"


def _span(row: Mapping[Any, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{_number(low)} to {_number(high)}" if math.isfinite(low) else ""
