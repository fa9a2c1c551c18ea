"""The command ``duchenne gaze``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from duchenne.stimuli.errors import UsageError

EYES = ("both", "cyclopean", "left", "right")
EPILOG = (
    "Examples: duchenne gaze 'Data export.tsv' --out results --width-cm 53 --height-cm 30 --distance-cm 65"
    " | duchenne gaze samples.csv --out results --width-px 1920 --height-px 1080 --width-cm 53 "
    "--height-cm 30 --distance-cm 65 --time-unit ms --unit px --column x=GazeX --column y=GazeY"
)


def check_eye(eye: str) -> None:
    """Refuse what ``--eye`` does not know.

    Raises
    ------
    UsageError
        Naming what there is.
    """
    if eye not in EYES:
        raise UsageError(f"--eye {eye} is none of {', '.join(EYES)}.")


def gaze(
    table: Annotated[
        Path,
        typer.Argument(
            help="A plain table (CSV, TSV, Parquet; one row per sample), a Tobii Pro Lab export, an "
            "EyeLink ASC file, a Pupil Labs export (file or folder), or a BIDS recording "
            "(..._recording-eye1_physio.tsv.gz)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the tables.")],
    file_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="auto, plain, tobii-pro-lab, eyelink-asc, pupil-labs or bids-physio.",
        ),
    ] = "auto",
    width_px: Annotated[
        float | None, typer.Option(help="Screen width in pixels; before what the file says.")
    ] = None,
    height_px: Annotated[float | None, typer.Option(help="Screen height in pixels.")] = None,
    width_cm: Annotated[float | None, typer.Option(help="Screen width in centimetres.")] = None,
    height_cm: Annotated[float | None, typer.Option(help="Screen height in centimetres.")] = None,
    distance_cm: Annotated[float | None, typer.Option(help="Eye to screen in centimetres.")] = None,
    distance_mm: Annotated[
        float | None, typer.Option(help="The same in millimetres, instead of --distance-cm.")
    ] = None,
    eye: Annotated[
        str,
        typer.Option(
            metavar="both | left | right",
            help="What positions rest on: the mean of both eyes (also called cyclopean), or one eye.",
        ),
    ] = "both",
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="Plain tables: NAME=COLUMN, repeatable. Names: time left_x left_y right_x right_y "
            "left_pupil right_pupil left_valid right_valid, or x y pupil valid; and participant "
            "recording stimulus."
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            help="Unit of positions, origin top left: normalized (0-1; plain tables) or px."
        ),
    ] = None,
    time_unit: Annotated[
        str | None,
        typer.Option(
            help="Unit of time: s (plain tables), ms, us or ns; else as the format has it."
        ),
    ] = None,
    stimulus_start: Annotated[
        str | None,
        typer.Option(
            help="Regular expression for the messages or events that begin a stimulus, such as "
            "'SHOW (.*)'; its group is the name."
        ),
    ] = None,
    stimulus_end: Annotated[
        str | None, typer.Option(help="The same for those that end it; else the next one does.")
    ] = None,
    stimulus_kind: Annotated[
        str | None, typer.Option(help="image, dots or video: told to the event detector.")
    ] = None,
    min_confidence: Annotated[
        float | None, typer.Option(help="Pupil Core: samples below are lost (0.6).")
    ] = None,
    detector: Annotated[str | None, typer.Option(help="Event detector.")] = None,
    pupil_unit: Annotated[str | None, typer.Option(help="Stored with the results.")] = None,
    pupil_measure: Annotated[
        str | None, typer.Option(help="diameter or area; stored with the results.")
    ] = None,
) -> None:
    """Find fixations, saccades and blinks in gaze samples, of any tracker, and sum them up per stimulus."""
    check_eye(eye)
    if distance_mm is not None and distance_cm is not None:
        raise UsageError("Give --distance-cm or --distance-mm, not both.")
    from duchenne.analysis.gaze.command import run_gaze_command
    from duchenne.analysis.gaze.events import DEFAULT_DETECTOR
    from duchenne.analysis.gaze.plain_table import parse_columns

    written = run_gaze_command(
        table,
        out,
        file_format=file_format,
        columns=parse_columns(column or []),
        width_px=width_px,
        height_px=height_px,
        width_cm=width_cm,
        height_cm=height_cm,
        distance_cm=distance_cm if distance_mm is None else distance_mm / 10,
        eye=eye,
        time_unit=time_unit,
        position_unit=unit,
        stimulus_start=stimulus_start,
        stimulus_end=stimulus_end,
        stimulus_kind=stimulus_kind,
        min_confidence=min_confidence,
        detector=detector or DEFAULT_DETECTOR,
        pupil_unit=pupil_unit,
        pupil_measure=pupil_measure,
        say=typer.echo,
        note=lambda line: typer.echo(f"Note: {line}", err=True),
    )
    typer.echo(f"Wrote {', '.join(path.name for path in written)} to {out}")
