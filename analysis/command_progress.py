"""Progress of commands that take longer than a glance."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.progress import Progress

_STAGES = {
    "gaze": "Gaze",
    "face": "Face",
    "areas": "Areas",
    "tables": "Tables",
    "curves": "Curves",
    "report": "Report",
}
_LINES_EVERY_S = 15.0


@contextmanager
def bar_with_time_left(*, shown: bool = True) -> Iterator[Progress]:
    """Show a bar, the number done and the time that remains; nothing where there is no terminal."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    hidden = not (shown and console.is_terminal)
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        yield bar


@contextmanager
def counted(description: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar with the time that remains; a line now and then where there is no terminal.

    Yields
    ------
    callable
        To be told how many are done, of how many, and what they are.
    """
    with bar_with_time_left() as bar:
        task = bar.add_task(description, total=None)
        begun_s = told_s = time.monotonic()
        begun_at: int | None = None

        def tell(done: int, total: int, text: str) -> None:
            nonlocal told_s, begun_at
            begun_at = done if begun_at is None else begun_at
            bar.update(task, description=text, completed=done, total=total)
            now_s, new = time.monotonic(), done - begun_at
            if bar.disable and new and now_s - told_s > _LINES_EVERY_S:
                told_s = now_s
                left_min = (now_s - begun_s) / new * (total - done) / 60
                line = f"{done} of {total} {text}, {left_min:.0f} min left"
                print(line, file=sys.stderr, flush=True)

        yield tell


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
