"""The command ``duchenne export``."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from duchenne.analysis.privacy.encrypt_command import KeyToRead, use_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EPILOG = "Example: duchenne export study --format bids --out study-bids"


def export(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY", help="The folder of an analyzed study.")
    ],
    *,
    format_name: Annotated[
        str,
        typer.Option("--format", metavar="bids | csv | parquet | duckdb", help="What to write."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to make.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an earlier export in DIR.")
    ] = False,
    na: Annotated[str, typer.Option(help="CSV: what stands for a missing value.")] = "NA",
    with_text: Annotated[
        bool, typer.Option("--with-text", help="Export what participants typed, too.")
    ] = False,
    video: Annotated[
        str,
        typer.Option(
            metavar="none | deidentified | original",
            help="Face video, where the session records consent to it; `original` gives those who agreed "
            "to less a hidden face.",
        ),
    ] = "none",
    method: Annotated[
        str,
        typer.Option(metavar="avatar | blur | pixelate", help="How --video hides a face."),
    ] = "avatar",
    style: Annotated[
        str,
        typer.Option(
            metavar="tidy | imotions | openface",
            help="CSV: also one file per session in the columns of another program.",
        ),
    ] = "tidy",
    asked_only: Annotated[
        bool,
        typer.Option(
            "--asked-only", help="Leave out who was never asked whether measures may be passed on."
        ),
    ] = False,
    key: KeyToRead = None,
) -> None:
    """Write a study as BIDS, CSV, Parquet or DuckDB.

    Pilots, withdrawn participants and whatever a participant did not agree to stay, and are named.
    """
    from duchenne.analysis.export.base import (  # noqa: PLC0415
        ExportOptions,
        export_study,
        grouped_notes,
    )

    use_key(key)
    options = ExportOptions(
        na=na,
        with_text=with_text,
        video=video,
        method=method,
        style=style,
        asked_only=asked_only,
    )
    with _bar() as tell:
        result = export_study(
            study, out, format_name, options=options, replace=replace, progress=tell
        )
    for note in grouped_notes(result.notes):
        typer.echo(note, err=True)
    sessions = "session" if result.n_sessions == 1 else "sessions"
    typer.echo(f"Export of {result.n_sessions} {sessions}: {result.path}")


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Export", total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"Export: {what}", completed=done, total=total or None)

        yield tell
