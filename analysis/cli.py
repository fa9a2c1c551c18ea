"""Commands of ``analysis/``: analyze and report sessions, measure a video or a gaze table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duchenne.analysis.affect.command import EPILOG as AFFECT_EPILOG
from duchenne.analysis.affect.command import affect
from duchenne.analysis.affect.registry import DEFAULT_AFFECT_BACKEND
from duchenne.analysis.analyze_command import EPILOG as ANALYZE_EPILOG
from duchenne.analysis.analyze_command import Affect, Backend, analyze
from duchenne.analysis.analyze_command import say_notes as _say_notes
from duchenne.analysis.command_progress import progress_bars as _progress
from duchenne.analysis.console.command import EPILOG as CONSOLE_EPILOG
from duchenne.analysis.console.command import console
from duchenne.analysis.contrasts_command import EPILOG as CONTRASTS_EPILOG
from duchenne.analysis.contrasts_command import contrasts
from duchenne.analysis.export.command import EPILOG as EXPORT_EPILOG
from duchenne.analysis.export.command import export
from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND
from duchenne.analysis.face.deidentify_command import deidentify
from duchenne.analysis.face.validation_command import EPILOG as VALIDATE_EPILOG
from duchenne.analysis.face.validation_command import au_validate
from duchenne.analysis.gaze import cli as gaze_cli
from duchenne.analysis.models.command import app as models_app
from duchenne.analysis.privacy.commands import register as register_privacy
from duchenne.analysis.rendering.command import EPILOG as RENDER_EPILOG
from duchenne.analysis.rendering.command import render_faces
from duchenne.analysis.report_command import EPILOG as REPORT_EPILOG
from duchenne.analysis.report_command import report
from duchenne.analysis.simulation.command import EPILOG as SIMULATE_EPILOG
from duchenne.analysis.simulation.command import simulate_study
from duchenne.analysis.training.command import TRAIN_EXAMPLE, train
from duchenne.analysis.training.evaluate_command import EVALUATE_EXAMPLE, evaluate
from duchenne.analysis.training.prepare_command import EPILOG as PREPARE_EPILOG
from duchenne.analysis.training.prepare_command import prepare
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import pandas as pd


app = typer.Typer(no_args_is_help=True)

WIDTH_WITHOUT_TERMINAL = 110

app.command(epilog=ANALYZE_EPILOG)(analyze)


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
    affect_backend: Affect = DEFAULT_AFFECT_BACKEND,
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
        videos or [], out, backend=backend, neutral=neutral, style=style, workers=workers,
        affect=affect_backend,
    )  # fmt: skip
    if code:
        raise typer.Exit(code)


@app.command(epilog="Example: duchenne demo --out demo-study")
def demo(
    out: Annotated[Path, typer.Option(help="Study folder to write to.")] = Path("demo-study"),
    au_backend: Backend = DEFAULT_BACKEND,
    affect_backend: Affect = DEFAULT_AFFECT_BACKEND,
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
        paths = analyze_session(
            session_file,
            au_backend=au_backend,
            affect_backend=affect_backend,
            progress=start(session_file),
        )
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


app.command(epilog=AFFECT_EPILOG)(affect)
app.command(name="gaze", epilog=gaze_cli.EPILOG)(gaze_cli.gaze)
register_privacy(app)
app.command(epilog=CONSOLE_EPILOG)(console)
app.command(epilog=EXPORT_EPILOG)(export)
app.command(epilog=REPORT_EPILOG)(report)
app.command(name="simulate-study", epilog=SIMULATE_EPILOG)(simulate_study)
app.command(epilog=CONTRASTS_EPILOG)(contrasts)
app.command(epilog=PREPARE_EPILOG)(prepare)
app.command(name="render-faces", epilog=RENDER_EPILOG)(render_faces)
app.command(epilog=TRAIN_EXAMPLE)(train)
app.command(epilog=EVALUATE_EXAMPLE)(evaluate)
app.add_typer(models_app, name="models")
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
