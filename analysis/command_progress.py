"""Progress of commands that take longer than a glance."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_STAGES = {
    "gaze": "Gaze",
    "face": "Face",
    "areas": "Areas",
    "tables": "Tables",
    "curves": "Curves",
    "report": "Report",
}


@contextmanager
def progress_bars() -> Iterator[Callable[[Path], Callable[[str, int, int], None]]]:
    """Show one bar for the stage at hand; give a function that starts a file's stages."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

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
