"""Progress of the analysis of a study: sessions done, the time that is left, and what is being done."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STAGES = {
    "gaze": "gaze",
    "face": "face",
    "areas": "areas",
    "films": "films",
    "tables": "tables",
    "report": "report",
}


@contextmanager
def study_progress(study: Path) -> Iterator[Callable[[Path], Callable[[str, int, int], None]]]:
    """Show a bar of the sessions, with the time that is left, and one of the stage at hand.

    Parameters
    ----------
    study : Path

    Yields
    ------
    callable
        Starts a session file, or a table of the study: the progress of
        `duchenne.analysis.study.analyze_study`.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    n = len(list((study / "sourcedata").glob("sub-*/ses-*/*_session.h5")))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        whole = bar.add_task(study.resolve().name, total=n or None)
        begun: set[Path] = set()

        def start(file: Path) -> Callable[[str, int, int], None]:
            is_session = file.suffix == ".h5"
            task = bar.add_task(file.stem, total=None)

            def tell(stage: str, done: int, total: int) -> None:
                said = STAGES.get(stage, stage)
                ended = stage == "ended" or (stage == "done" and done == total)
                if ended:
                    if is_session and file not in begun:
                        begun.add(file)
                        bar.update(whole, completed=len(begun))
                    bar.update(task, visible=False)
                    return
                bar.update(
                    task, description=f"{file.stem}: {said}", completed=done, total=total or None
                )

            return tell

        yield start
