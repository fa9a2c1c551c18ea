"""The command ``duchenne video``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)


def video(
    file: Annotated[Path, typer.Argument(help="Session file.")],
    out: Annotated[Path, typer.Option(help="Video to write (….mp4 or ….mkv).")],
    stream: Annotated[
        str | None, typer.Option(help="Video stream; FaceVideo, or the only one.")
    ] = None,
) -> None:
    """Copy a recorded video into an MP4 or MKV file, with its frame times beside it (.tsv)."""
    from duchenne.recorder.recording import Recording  # noqa: PLC0415 -- heavy
    from duchenne.recorder.video_export import export_video  # noqa: PLC0415 -- heavy

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with (
        Recording.open(file) as recording,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("copying frames", total=None)
        result = export_video(
            recording,
            out,
            stream_name=stream,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    typer.echo(f"{result.n_frames} frames; their times: {result.sidecar}")
    if result.n_undecodable:
        typer.echo(
            f"{result.n_undecodable} frames cannot be decoded (column decodes in the table); "
            f"{result.n_empty} of them are empty and in the table only."
        )
    if result.n_moved:
        typer.echo(
            f"{result.n_moved} frames have another time in the video than in the table, because "
            "their stamps do not rise."
        )
    typer.echo(f"Wrote {result.video}")
