"""Commands of ``stimuli/``: look at a stimulus set and check it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.manifest import StimulusSet

if TYPE_CHECKING:
    from rich.table import Table

PLAIN_WIDTH = 140
"""Columns of a table that is not written to a terminal."""

app = typer.Typer(no_args_is_help=True, help="Look at stimulus sets and check them.")


@app.command("list", epilog="Example: duchenne stimuli list my-pictures/manifest.tsv")
def list_(
    manifest: Annotated[
        str | None,
        typer.Argument(help="A manifest.tsv or its folder; the bundled set by default."),
    ] = None,
) -> None:
    """Show the stimuli of a set with their norms."""
    stimuli = StimulusSet.bundled() if manifest is None else StimulusSet.load(manifest)
    _print_table(_table(stimuli))
    typer.echo(f"{len(stimuli)} stimuli in {stimuli.folder}")


@app.command(epilog="Example: duchenne stimuli check my-pictures/manifest.tsv")
def check(
    manifest: Annotated[str, typer.Argument(help="A manifest.tsv or its folder.")],
) -> None:
    """Check the manifest and every file of a set; exit 1 if anything is wrong."""
    from rich.progress import track

    from duchenne.stimuli.checks import media_problems
    from duchenne.stimuli.reading import read_manifest

    found = read_manifest(Path(manifest))
    problems = list(found.problems)
    faulty = {problem.id for problem in problems}
    for stimulus in track(
        found.stimuli, description="Checking", transient=True, disable=not sys.stdout.isatty()
    ):
        if stimulus.id not in faulty:
            problems += media_problems([stimulus])
    if problems:
        for problem in problems:
            typer.echo(str(problem), err=True)
        noun = "problem" if len(problems) == 1 else "problems"
        raise DuchenneError(f"{len(problems)} {noun} in {found.folder}; correct the lines above")
    typer.echo(f"{len(found.stimuli)} stimuli are in order in {found.folder}")


def _table(stimuli: StimulusSet) -> Table:
    from rich.table import Table

    table = Table(title=stimuli.name)
    for name in ("id", "kind", "category"):
        table.add_column(name, no_wrap=True)
    for name in ("valence", "arousal", "scale", "seconds", "luminance"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("licence", no_wrap=True)
    table.add_column("file")
    for s in stimuli:
        scale = "" if s.norm_min is None or s.norm_max is None else f"{s.norm_min:g}–{s.norm_max:g}"
        numbers = [_shown(v) for v in (s.valence, s.arousal)]
        facts = [_shown(v) for v in (s.duration_s, s.luminance)]
        table.add_row(s.id, s.kind, s.category, *numbers, scale, *facts, s.licence or "", s.file)
    return table


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _print_table(table: Table) -> None:
    from rich.console import Console

    console = Console()
    (console if console.is_terminal else Console(width=PLAIN_WIDTH)).print(table)
