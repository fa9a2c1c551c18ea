"""The command ``duchenne export``."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

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
    with_video: Annotated[
        bool,
        typer.Option(
            "--with-video",
            help="BIDS: the face video, of sessions that record consent to share it.",
        ),
    ] = False,
) -> None:
    """Write a study as BIDS, CSV, Parquet or DuckDB; pilots and withdrawn participants stay."""
    from duchenne.analysis.export.base import ExportOptions, export_study  # noqa: PLC0415

    options = ExportOptions(na=na, with_text=with_text, with_video=with_video)
    with _bar() as tell:
        result = export_study(
            study, out, format_name, options=options, replace=replace, progress=tell
        )
    for note in result.notes:
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
