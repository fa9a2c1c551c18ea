"""The command ``duchenne deidentify``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import Annotated

import typer

from duchenne.stimuli.errors import DuchenneError


def deidentify(  # noqa: PLR0917 -- typer makes options of them
    video: Annotated[
        Path, typer.Argument(metavar="VIDEO", help="A video, or a session file (….h5).")
    ],
    out: Annotated[Path, typer.Option(help="Video to write (….mp4).")],
    method: Annotated[
        str, typer.Option(metavar="blur | pixelate | avatar", help="How the face is hidden.")
    ] = "blur",
    stream: Annotated[
        str | None, typer.Option(help="Video stream of a session; FaceVideo, or the only one.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="What measures Action Units, for the avatar.")
    ] = None,
    neutral: Annotated[
        list[str] | None,
        typer.Option(
            metavar="START:END",
            help="Seconds in which the face is neutral, for the avatar; may be repeated.",
        ),
    ] = None,
    keep_audio: Annotated[
        bool, typer.Option("--keep-audio", help="Keep the sound; a voice identifies a person.")
    ] = False,
    check: Annotated[
        bool, typer.Option(help="Read the output again and try to know the person again.")
    ] = True,
) -> None:
    """Write a video in which the person cannot be known again; frame times are kept.

    Metadata and sound are left out. A frame in which no face was found is hidden as a whole.
    """
    from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND  # noqa: PLC0415
    from duchenne.analysis.face.batch import WHOLE_SHARE  # noqa: PLC0415 -- heavy
    from duchenne.analysis.face.command import parse_neutral  # noqa: PLC0415 -- heavy
    from duchenne.analysis.face.deidentify import deidentify as work  # noqa: PLC0415 -- heavy
    from duchenne.analysis.face.deidentify_video import VideoInput  # noqa: PLC0415 -- heavy

    given = VideoInput(video, stream)
    windows = parse_neutral(neutral)
    with _Bar(given) as bar:
        result = work(
            given,
            out,
            method=method,
            keep_sound=keep_audio,
            backend=backend or DEFAULT_BACKEND,
            neutral=windows,
            check=check,
            progress=bar.show,
        )
    if result.has_sound:
        typer.echo("The sound is kept: a voice identifies a person.", err=True)
    elif keep_audio:
        typer.echo(f"{video} has no sound.", err=True)
    promised = given.count() or 0
    if result.n_frames < WHOLE_SHARE * promised:
        typer.echo(f"{video} is cut off: only {result.n_frames} of {promised} frames.", err=True)
    hidden = "without a measured face" if method == "avatar" else "hidden as a whole"
    typer.echo(f"{result.n_frames} frames, {result.n_whole} of them {hidden}.")
    if result.times is not None:
        typer.echo(f"Times of the frames: {result.times}")
    if result.check is not None:
        typer.echo(f"Check: {result.check.what}.")
        if not result.check.passed:
            raise DuchenneError(
                f"{out} does not pass the check; hide the face otherwise (--method)."
            )
    typer.echo(f"Wrote {out}")


class _Bar:
    """A progress bar on the standard error stream, one line for each stage."""

    def __init__(self, given: object) -> None:
        from rich.console import Console  # noqa: PLC0415 -- only for the command
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._given = given
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._tasks: dict[str, int] = {}

    def __enter__(self) -> _Bar:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__(None, None, None)

    def show(self, stage: str, done: int) -> None:
        """Show how many frames of a stage are done."""
        from rich.progress import TaskID  # noqa: PLC0415 -- only for the command

        if self._bar.disable:
            return
        if stage not in self._tasks:
            from duchenne.analysis.face.deidentify_video import VideoInput  # noqa: PLC0415

            given = self._given
            total = given.count() if isinstance(given, VideoInput) else None
            self._tasks[stage] = int(self._bar.add_task(f"{stage} frames", total=total))
        self._bar.update(TaskID(self._tasks[stage]), completed=done)
