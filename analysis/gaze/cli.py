"""The command ``duchenne gaze``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- typer reads the annotations at run time
from typing import Annotated

import typer

EPILOG = (
    "Example: duchenne gaze samples.csv --out results --width-px 1920 --height-px 1080 --width-cm 53 "
    "--height-cm 30 --distance-cm 65 --time-unit ms --unit px --column x=GazeX --column y=GazeY"
)


def gaze(
    table: Annotated[Path, typer.Argument(help="CSV, TSV or Parquet, one row per gaze sample.")],
    out: Annotated[Path, typer.Option(help="Folder for the tables.")],
    width_px: Annotated[float | None, typer.Option(help="Screen width in pixels.")] = None,
    height_px: Annotated[float | None, typer.Option(help="Screen height in pixels.")] = None,
    width_cm: Annotated[float | None, typer.Option(help="Screen width in centimetres.")] = None,
    height_cm: Annotated[float | None, typer.Option(help="Screen height in centimetres.")] = None,
    distance_cm: Annotated[float | None, typer.Option(help="Eye to screen in centimetres.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=COLUMN, repeatable. Names: time left_x left_y right_x right_y left_pupil "
            "right_pupil left_valid right_valid, or x y pupil valid."
        ),
    ] = None,
    unit: Annotated[
        str, typer.Option(help="Unit of positions, origin top left: normalized (0-1) or px.")
    ] = "normalized",
    time_unit: Annotated[str, typer.Option(help="Unit of time: s, ms, us or ns.")] = "s",
    detector: Annotated[str, typer.Option(help="Event detector.")] = "ivt",
    pupil_unit: Annotated[str | None, typer.Option(help="Stored with the results.")] = None,
    pupil_measure: Annotated[
        str | None, typer.Option(help="diameter or area; stored with the results.")
    ] = None,
) -> None:
    """Find fixations, saccades and blinks in a plain table of gaze samples."""
    from duchenne.analysis.gaze.command import run_gaze_command
    from duchenne.analysis.gaze.plain_table import parse_columns

    written = run_gaze_command(
        table,
        out,
        columns=parse_columns(column or []),
        width_px=width_px,
        height_px=height_px,
        width_cm=width_cm,
        height_cm=height_cm,
        distance_cm=distance_cm,
        time_unit=time_unit,
        position_unit=unit,
        detector=detector,
        pupil_unit=pupil_unit,
        pupil_measure=pupil_measure,
    )
    typer.echo(f"Wrote {', '.join(path.name for path in written)} to {out}")
