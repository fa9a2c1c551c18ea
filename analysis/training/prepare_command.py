"""The command ``duchenne prepare``."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duchenne.analysis.training.prepare import Outcome

EPILOG = "Example: duchenne prepare disfa DISFA --out disfa-a2 --align A2 --every 5"
SOUND = "sound"
_NOTES_SHOWN = 10
_WIDTH_WITHOUT_TERMINAL = 120


def prepare(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Data set, such as disfa; `list` names all. `sound` adds the sound of the films in SOURCE "
            "to a set that is prepared already.",
        ),
    ],
    source: Annotated[
        Path | None, typer.Argument(metavar="SOURCE", help="Folder of your copy.")
    ] = None,
    *,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder to make.")] = None,
    align: Annotated[
        str,
        typer.Option(
            metavar="A1 | A2 | A3 | A4 | crop | procrustes", help="How faces are brought in."
        ),
    ] = "A2",
    px: Annotated[
        int, typer.Option(help="Side of the pictures; 0 takes the alignment's own.", min=0)
    ] = 0,
    every: Annotated[
        int, typer.Option(help="Of films and sequences, take every N-th frame.", min=1)
    ] = 1,
    limit: Annotated[int, typer.Option(help="Take at most N pictures; 0 takes all.", min=0)] = 0,
    only: Annotated[
        str,
        typer.Option(metavar="TEXT", help="Only what has this in its subject or condition."),
    ] = "",
    classes: Annotated[
        int, typer.Option(help="Classes of expression: 8, or 7 without contempt.", min=7, max=8)
    ] = 8,
) -> None:
    """Find and align the faces of a data set, for `duchenne train`; go on where it was broken off."""
    if name == "list":
        _list()
        return
    if name == SOUND:
        _hear(source, out)
        return
    if source is None or out is None:
        raise UsageError("prepare needs the folder of the data and --out FOLDER.")
    from duchenne.analysis.training.alignment import alignment
    from duchenne.analysis.training.datasets.base import dataset_entry
    from duchenne.analysis.training.prepare import Order
    from duchenne.analysis.training.prepare import prepare as run

    entry = dataset_entry(name)
    order = Order(align, px or alignment(align).px, every, limit, only, classes)
    notes: list[str] = []
    try:
        with _progress() as progress:
            outcome = run(entry, source, out, order, tell=notes.append, progress=progress)
    finally:
        _echo_notes(notes)
    typer.echo(
        f"{outcome.written} faces written, {outcome.without_face} pictures without a face that was found, "
        f"{outcome.unreadable} unreadable."
    )
    typer.echo(f"Terms of the data: {entry.licence}.")
    typer.echo(f"Prepared faces: {out}")


def _hear(source: Path | None, out: Path | None) -> None:
    if source is None or out is None:
        raise UsageError(
            "prepare sound needs the folder of the films and --out FOLDER, a prepared set."
        )
    from duchenne.analysis.command_progress import counted
    from duchenne.analysis.training.film_sound import hear_films

    notes: list[str] = []
    with counted("reading the labels") as told:
        n = hear_films(
            out, source, tell=notes.append, progress=lambda done, all_: told(done, all_, "films")
        )
    _echo_notes(notes)
    typer.echo(f"{n} pictures with sound.")
    typer.echo(f"Prepared faces: {out}")


def _echo_notes(notes: list[str]) -> None:
    for note in notes[:_NOTES_SHOWN]:
        typer.echo(note, err=True)
    if len(notes) > _NOTES_SHOWN:
        typer.echo(f"… and {len(notes) - _NOTES_SHOWN} more of the kind.", err=True)


def _list() -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from duchenne.analysis.training.datasets.base import dataset_entries

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("name", "labels"):
        table.add_column(heading, no_wrap=True)
    table.add_column("data set, and the files that it is known by", overflow="fold")
    for entry in dataset_entries().values():
        known_by = Text(entry.title).append(f"\n{entry.layout}", style="dim")
        table.add_row(entry.name, entry.kind, known_by)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL)
    console.print(table)


@contextmanager
def _progress() -> Iterator[Callable[[Outcome, int], None]]:
    from duchenne.analysis.command_progress import counted

    with counted("reading the labels") as told:

        def tell(outcome: Outcome, total: int) -> None:
            lost = outcome.without_face + outcome.unreadable
            text = "faces" if not lost else f"faces ({lost} left out)"
            told(outcome.done, total, text)

        yield tell
