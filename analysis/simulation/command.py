"""The command ``simulate-study``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import Annotated

import typer

EPILOG = (
    "Example: duchenne simulate-study --participants 12 --effect AU12=1.0 --effect pupil=0.15 --null AU04 "
    "--out try && duchenne analyze try"
)


def simulate_study(
    *,
    out: Annotated[Path, typer.Option(help="Folder of the study to write; new or empty.")],
    participants: Annotated[int, typer.Option(help="How many participants.")] = 12,
    effect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEASURE[@FACTOR]=SIZE",
            help="Plant an effect, such as AU12=1.0, pupil=0.15, rating_valence=3 or AU04@arousal=0.5; may "
            "be repeated. Factors: valence, arousal (difference of two groups of stimuli), norm_valence, "
            "norm_arousal (slope per unit of the norm, which runs from -1 to 1).",
        ),
    ] = None,
    null: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEASURE[@FACTOR]",
            help="Declare a contrast of which nothing is true on average; may be repeated.",
        ),
    ] = None,
    trials: Annotated[int, typer.Option(help="Stimuli, each shown once: a multiple of 4.")] = 24,
    stimulus_s: Annotated[
        float, typer.Option(min=1.0, max=60.0, help="Seconds that each stimulus is shown.")
    ] = 4.0,
    rate_hz: Annotated[
        float, typer.Option(min=30.0, max=1000.0, help="Sampling rate of the eye tracker.")
    ] = 120.0,
    seed: Annotated[int, typer.Option(help="Same seed, same study.")] = 0,
) -> None:
    """Write a whole study of simulated participants, with effects that are known.

    Sealed session files with markers, gaze, pupil, Action Units and ratings;
    contrasts declared in study.yaml before the first session; and what is
    true in truth.json, which no analysis reads.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from duchenne.analysis.simulation.effects import read_effects  # noqa: PLC0415
    from duchenne.analysis.simulation.study import Wish  # noqa: PLC0415
    from duchenne.analysis.simulation.study import simulate_study as simulate  # noqa: PLC0415
    from duchenne.recorder.lsl_config import lsl_on_this_host  # noqa: PLC0415

    wish = Wish(
        out,
        read_effects(effect or (), null or ()),
        participants=participants,
        n_trials=trials,
        stimulus_s=stimulus_s,
        gaze_rate_hz=rate_hz,
        seed=seed,
    )
    console = Console(stderr=True)
    with (
        lsl_on_this_host("simulated"),  # nothing is sent; it only keeps liblsl quiet
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("Sessions", total=participants)
        study = simulate(wish, lambda done, n: bar.update(task, completed=done, total=n))
    typer.echo(f"{participants} sessions of {trials} trials; the truth: {study / 'truth.json'}")
    typer.echo(f"Study: {study}")
