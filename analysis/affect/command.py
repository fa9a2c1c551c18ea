"""The command ``duchenne affect``: valence, arousal and quadrant of any film of a face, as one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from duchenne.analysis.affect.registry import (
    CHECKPOINT,
    DEFAULT_AFFECT_BACKEND,
    AffectSpec,
    weights_in,
)
from duchenne.stimuli.errors import UsageError

EPILOG = (
    "Example: duchenne affect interview.mp4 --out affect.csv --neutral 0:5   "
    "(with a model of yours: --model best.safetensors)"
)


def affect(
    videos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="VIDEO ...", help="Videos, pictures or folders of pictures."),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="Table to write (.csv or .tsv); VIDEO-affect.csv, here, where absent."),
    ] = None,
    affect_backend: Annotated[
        str,
        typer.Option(metavar="NAME", help="What tells valence and arousal: rule, or checkpoint."),
    ] = DEFAULT_AFFECT_BACKEND,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="CHECKPOINT",
            help="Weights of `duchenne train`, their folder, or your copy of the published file of EmoFAN.",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(metavar="HZ", help="Ask the model about so many frames per second at most."),
    ] = None,
    neutral: Annotated[
        list[str] | None,
        typer.Option(
            metavar="START:END", help="Seconds in which the face is neutral; may be repeated."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Videos measured at the same time.")] = 1,
) -> None:
    """Measure valence, arousal and quadrant of the expression in videos or pictures.

    Without a model, valence follows a rule on Action Units and arousal is n/a.
    """
    from duchenne.analysis.affect.table import AFFECT_STYLE  # noqa: PLC0415
    from duchenne.analysis.face.command import run_au_command  # noqa: PLC0415

    asked = asked_for(affect_backend, model, rate)
    inputs = videos or []
    table = out or Path(f"{inputs[0].stem}-affect.csv" if len(inputs) == 1 else "affect.csv")
    code = run_au_command(
        inputs, table, neutral=neutral, style=AFFECT_STYLE, workers=workers, affect=asked
    )
    if code:
        raise typer.Exit(code)


def asked_for(backend: str, model: Path | None, rate_hz: float | None) -> str:
    """Return the backend, its file and its rate as one text.

    Raises
    ------
    UsageError
        When two files are named, or a rate without a model.
    """
    spec = AffectSpec.parse(backend)
    if model is not None:
        if spec.file:
            raise UsageError("--model and --affect-backend both name a file: give one of them.")
        name = CHECKPOINT if spec.name == DEFAULT_AFFECT_BACKEND else spec.name
        spec = AffectSpec(name, weights_in(str(model)), spec.rate_hz)
    if rate_hz is not None:
        if not spec.file:
            raise UsageError("--rate is for a model: name one with --model.")
        if rate_hz <= 0:
            raise UsageError(f"--rate {rate_hz:g} must be above 0 frames per second.")
        spec = AffectSpec(spec.name, spec.file, rate_hz)
    return str(spec)
