"""Commands of ``analysis/``: analyze and report sessions, measure a video or a gaze table."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from duchenne.analysis.export.command import EPILOG as EXPORT_EPILOG
from duchenne.analysis.export.command import export
from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND
from duchenne.analysis.face.deidentify_command import deidentify
from duchenne.analysis.face.validation_command import EPILOG as VALIDATE_EPILOG
from duchenne.analysis.face.validation_command import au_validate
from duchenne.analysis.gaze import cli as gaze_cli
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from duchenne.analysis.paths import AnalysisPaths

app = typer.Typer(no_args_is_help=True)

WIDTH_WITHOUT_TERMINAL = 110
_STAGES = {"gaze": "Gaze", "face": "Face", "areas": "Areas", "tables": "Tables", "report": "Report"}

Target = Annotated[
    Path,
    typer.Argument(metavar="FILE.h5 | STUDY", help="A session file, or the folder of a study."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder to write to; by default the study's derivatives, or beside the file."
    ),
]
Backend = Annotated[
    str, typer.Option("--au-backend", metavar="NAME", help="What measures Action Units.")
]

Aois = Annotated[
    str | None,
    typer.Option(
        metavar="FILE | auto",
        help="Areas of interest; `auto` finds eyes, mouth and face in the stimuli. By default aois.tsv "
        "or aois.json beside the manifest.",
    ),
]

Eye = Annotated[
    str,
    typer.Option(
        metavar="both | left | right",
        help="What gaze rests on: the mean of both eyes (also called cyclopean), or one of them.",
    ),
]

KeepSpeech = Annotated[
    bool,
    typer.Option(
        "--keep-speech",
        help="Count the mouth's Action Units in the summary also while the participant speaks.",
    ),
]


@app.command(epilog="Example: duchenne analyze study --aois auto")
def analyze(
    target: Target,
    out: Out = None,
    au_backend: Backend = DEFAULT_BACKEND,
    aois: Aois = None,
    eye: Eye = "both",
    keep_speech: KeepSpeech = False,
) -> None:
    """Analyze a session, or every session of a study: tables, codebooks and reports."""
    gaze_cli.check_eye(eye)
    if target.is_dir():
        _analyze_study(target, out, au_backend, aois, eye, leave_out_speech=not keep_speech)
        return
    from duchenne.analysis.session import analyze_session

    with _progress() as start:
        paths = analyze_session(
            target,
            out,
            au_backend=au_backend,
            aois=aois,
            eye=eye,
            leave_out_speech=not keep_speech,
            progress=start(target),
        )
    _say_notes(paths)
    typer.echo(f"Tables and report: {paths.folder}")


@app.command(epilog="Example: duchenne report study/sourcedata/sub-P01/ses-01/…_session.h5")
def report(target: Target, out: Out = None) -> None:
    """Draw the reports again from the tables; sessions not analyzed yet are analyzed first."""
    from duchenne.analysis.paths import session_files, session_folder
    from duchenne.analysis.session import report_session

    if not target.is_dir():
        with _progress() as start:
            paths = report_session(target, out, progress=start(target))
        _say_notes(paths)
        typer.echo(f"Report: {paths.report}")
        return
    written, failed = [], []
    with _progress() as start:
        for file in session_files(target):
            try:
                folder = session_folder(out, file) if out else None
                written.append(report_session(file, folder, progress=start(file)).report)
            except DuchenneError as error:
                failed.append((file, str(error)))
    _say_failures(failed)
    for path in written:
        typer.echo(f"Report: {path}")
    if failed:
        raise typer.Exit(1)


@app.command(epilog="Example: duchenne au interview.mp4 --out au.csv --neutral 0:5")
def au(
    videos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="VIDEO ...", help="Videos, pictures or folders of pictures."),
    ] = None,
    *,
    out: Annotated[
        Path, typer.Option(help="Table to write (.csv or .tsv); with --compare a page (.html).")
    ],
    backend: Annotated[str, typer.Option(help="What measures Action Units.")] = DEFAULT_BACKEND,
    neutral: Annotated[
        list[str] | None,
        typer.Option(
            metavar="START:END", help="Seconds in which the face is neutral; may be repeated."
        ),
    ] = None,
    style: Annotated[str, typer.Option(help="Columns: tidy or openface.")] = "tidy",
    workers: Annotated[int, typer.Option(help="Videos measured at the same time.")] = 1,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            help="Compare two measurements of the film: backends, tables of ours or of OpenFace.",
        ),
    ] = None,
) -> None:
    """Measure facial Action Units in videos or pictures; go on where a batch was interrupted."""
    from duchenne.analysis.face.command import run_au_command, run_compare_command

    if compare is not None:
        run_compare_command(videos or [], out, compare, neutral)
        return
    code = run_au_command(
        videos or [], out, backend=backend, neutral=neutral, style=style, workers=workers
    )
    if code:
        raise typer.Exit(code)


@app.command(epilog="Example: duchenne demo --out demo-study")
def demo(
    out: Annotated[Path, typer.Option(help="Study folder to write to.")] = Path("demo-study"),
    au_backend: Backend = DEFAULT_BACKEND,
) -> None:
    """Run a whole simulated session, from stimulus to report; no hardware, no display."""
    import time

    from duchenne.analysis.demo import demo_request
    from duchenne.analysis.session import analyze_session
    from duchenne.analysis.tables import read_table
    from duchenne.recorder.cli import run_session
    from duchenne.recorder.lsl_config import lsl_on_this_host

    begun = time.monotonic()
    with lsl_on_this_host("demo"):
        session_file = run_session(demo_request(out))
    recorded = time.monotonic()
    with _progress() as start:
        paths = analyze_session(session_file, au_backend=au_backend, progress=start(session_file))
    _say_notes(paths)
    print_summary_table(read_table(paths.summary))
    typer.echo(
        f"Session {recorded - begun:.0f} s, analysis {time.monotonic() - recorded:.0f} s. "
        f"Tables: {paths.folder}"
    )
    typer.echo(f"Report: {paths.report}")


@app.command(epilog="Example: duchenne doctor")
def doctor() -> None:
    """Show what works on this machine, what is missing, and how to get it."""
    from rich.console import Console

    from duchenne.analysis.doctor import Check, examine

    console = Console(highlight=False)
    marks = {
        "ok": "[green]ok[/green]     ",
        "missing": "[red]missing[/red]",
        "absent": "[yellow]absent[/yellow] ",
    }

    def show(check: Check) -> None:
        console.print(f"{marks[check.state]}  {check.area:9} {check.what:14} ", end="")
        console.print(check.detail, markup=False)

    checks = examine(show)
    missing = [check.what for check in checks if check.state == "missing"]
    if missing:
        raise DuchenneError(
            f"missing on this machine: {', '.join(missing)} (how to get it: see above)"
        )
    typer.echo("Everything that a simulated session and its analysis need is here.")


app.command(name="gaze", epilog=gaze_cli.EPILOG)(gaze_cli.gaze)
app.command(epilog=EXPORT_EPILOG)(export)
app.command(name="au-validate", epilog=VALIDATE_EPILOG)(au_validate)
app.command(
    epilog="Example: duchenne deidentify interview.mp4 --out shown.mp4 --method avatar --neutral 0:5"
)(deidentify)


def print_summary_table(summary: pd.DataFrame) -> None:
    """Print the summary of a session, one line per presentation.

    Parameters
    ----------
    summary : pandas.DataFrame
        As `duchenne.analysis.summary.summarise` returns it, or as read from ``…_summary.tsv``.
    """
    from rich.console import Console
    from rich.table import Table

    from duchenne.analysis.reports.cards import strongest_aus, summary_cells
    from duchenne.analysis.reports.words import NOTHING
    from duchenne.analysis.values import integer, records, text

    headings = {
        "Valence": "val",
        "Arousal": "aro",
        "Fixations": "fix",
        "Saccade amplitude": "ampl",
        "Pupil change": "pupil",
        "Main AUs (mean)": "main AUs",
        "Prototype match": "prototype",
    }
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_WITHOUT_TERMINAL)
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("stimulus", overflow="fold")
    table.add_column("category", no_wrap=True)
    for name, heading in headings.items():
        is_number = name not in {"Main AUs (mean)", "Prototype match"}
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    for row in records(summary):
        cells = summary_cells(row)
        cells["Main AUs (mean)"] = ", ".join(strongest_aus(row, at_most=2)) or NOTHING
        flag = " *" if text(row.get("exclusion_reason")) else ""
        table.add_row(
            str(integer(row["trial"]) or NOTHING),
            f"{text(row['stimulus_id']) or NOTHING}{flag}",
            text(row["category"]) or NOTHING,
            *(cells[name] for name in headings),
        )
    console.print(table)
    for row in records(summary):
        reason = text(row.get("exclusion_reason"))
        if reason:
            console.print(f"* {text(row['stimulus_id'])}: {reason}", style="dim")
    console.print("Prototype match: what the face did, not what was felt.", style="dim")


def _analyze_study(
    study: Path,
    out: Path | None,
    au_backend: str,
    aois: str | None,
    eye: str,
    *,
    leave_out_speech: bool,
) -> None:
    from duchenne.analysis.study import analyze_study

    with _progress() as start:
        result = analyze_study(
            study,
            out,
            au_backend=au_backend,
            aois=aois,
            eye=eye,
            leave_out_speech=leave_out_speech,
            progress=start,
        )
    for paths in result.sessions:
        _say_notes(paths)
    _say_failures(list(result.failed))
    done, total = len(result.sessions), len(result.sessions) + len(result.failed)
    typer.echo(f"{done} of {total} sessions analyzed.")
    if result.summary is not None:
        for table in (result.synchrony, result.scanpath_similarity):
            if table is not None:
                typer.echo(f"Over participants: {table}")
        typer.echo(f"Summary of the study: {result.summary}")
    if result.failed:
        raise typer.Exit(1)


def _say_notes(paths: AnalysisPaths) -> None:
    for note in paths.notes:
        typer.echo(f"{paths.stem}: {note}", err=True)


def _say_failures(failed: list[tuple[Path, str]]) -> None:
    for file, reason in failed:
        typer.echo(f"FAILED {file.name}: {reason}", err=True)


@contextmanager
def _progress() -> Iterator[Callable[[Path], Callable[[str, int, int], None]]]:
    """Show one bar for the stage at hand; give a function that starts a session's stages."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:

        def start(file: Path) -> Callable[[str, int, int], None]:
            task = bar.add_task(file.stem, total=None)

            def tell(stage: str, done: int, total: int) -> None:
                name = f"{file.stem}: {_STAGES.get(stage, stage)}"
                bar.update(task, description=name, completed=done, total=total or None)

            return tell

        yield start
