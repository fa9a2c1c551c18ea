"""The command ``duchenne render-faces``."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EPILOG = "Example: duchenne render-faces --head ICT-FaceKit/FaceXModel --identities 600 --out faces"


def render_faces(
    *,
    head: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Head model (.npz), or FaceXModel of an ICT-FaceKit clone."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to make.")],
    identities: Annotated[int, typer.Option(help="How many people.", min=1)] = 100,
    first: Annotated[int, typer.Option(help="Number of the first person.", min=0)] = 0,
    pictures: Annotated[int, typer.Option(help="Pictures of each person.", min=1)] = 24,
    px: Annotated[int, typer.Option(help="Side of the pictures.", min=16, max=1024)] = 160,
    align: Annotated[
        str, typer.Option(metavar="eyes | A1 | A2 | A3 | A4 | crop", help="How faces lie in them.")
    ] = "eyes",
    wrinkles: Annotated[
        str,
        typer.Option(
            metavar="linked | independent | none | personal",
            help="Whether folds follow the actions.",
        ),
    ] = "linked",
    props: Annotated[
        bool, typer.Option(help="Glasses, masks, scarves, hands and cups may occur.")
    ] = True,
    grey: Annotated[
        bool, typer.Option("--grey", help="Grey pictures, as the student backend sees faces.")
    ] = False,
    expressions: Annotated[
        str,
        typer.Option(
            metavar="standard | distress",
            help="Or with a quarter of faces that cry or are in pain.",
        ),
    ] = "standard",
    seed: Annotated[int, typer.Option(help="Other people for another number.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
) -> None:
    """Render faces with known Action Units, for `duchenne train`; go on where it was broken off."""
    from duchenne.analysis.rendering.dataset import render_set
    from duchenne.analysis.rendering.head_files import head_file
    from duchenne.analysis.rendering.identity import RenderOrder

    file = head_file(head, lambda text: typer.echo(text, err=True))
    order = RenderOrder(str(file), px, seed, pictures, align, wrinkles, props, grey, expressions)
    begun_s = time.monotonic()
    with _progress() as progress:
        n = render_set(
            order, out, identities=identities, first=first, workers=workers, progress=progress
        )
    typer.echo(f"{n} pictures of {identities} people, {time.monotonic() - begun_s:.0f} s.")
    typer.echo(f"Rendered faces: {out}")


@contextmanager
def _progress() -> Iterator[Callable[[int, int, int], None]]:
    from duchenne.analysis.command_progress import counted

    begun_s = time.monotonic()
    with counted("people") as told:

        def tell(done: int, total: int, n_pictures: int) -> None:
            rate_hz = n_pictures / (time.monotonic() - begun_s)
            told(done, total, f"people, {rate_hz:.1f} pictures/s")

        yield tell
