"""``duchenne gaze``: from a plain table of gaze samples to tables of eye movements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console

from duchenne.analysis.gaze import codebook
from duchenne.analysis.gaze.events import DEFAULT_DETECTOR, get_detector
from duchenne.analysis.gaze.geometry import ScreenGeometry
from duchenne.analysis.gaze.plain_table import read_gaze_table
from duchenne.analysis.gaze.process import GazeResult, analyse_gaze
from duchenne.analysis.tables import write_parquet, write_table
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

POSITION_UNITS = ("normalized", "px")
OUTPUTS = ("fixations.tsv", "saccades.tsv", "blinks.tsv", "quality.tsv", "gaze.parquet")


def run_gaze_command(
    table: Path,
    out: Path,
    *,
    columns: Mapping[str, str] | None = None,
    width_px: float | None = None,
    height_px: float | None = None,
    width_cm: float | None = None,
    height_cm: float | None = None,
    distance_cm: float | None = None,
    time_unit: str = "s",
    position_unit: str = "normalized",
    detector: str = DEFAULT_DETECTOR,
    pupil_unit: str | None = None,
    pupil_measure: str | None = None,
) -> list[Path]:
    """Analyse a table of gaze samples and write what was found.

    Parameters
    ----------
    table : Path
        CSV, TSV or Parquet, one row per sample.
    out : Path
        Folder for ``fixations.tsv``, ``saccades.tsv``, ``blinks.tsv``, ``quality.tsv`` and
        ``gaze.parquet``, each with a JSON codebook; made where missing.
    columns : Mapping of str to str, optional
        Our column names (``time left_x left_y …``, or ``x y pupil valid``) to the table's.
    width_px, height_px, width_cm, height_cm, distance_cm : float
        The screen and how far it was; all are needed.
    time_unit : {"s", "ms", "us", "ns"}
        Unit of the time column.
    position_unit : {"normalized", "px"}
        0–1 across the screen, or screen pixels; the origin is top left in both.
    detector : str
        Name of a registered event detector.
    pupil_unit, pupil_measure : str, optional
        Stored with the results.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    DuchenneError
        In one line, for anything wrong with the table or the geometry.
    """
    if position_unit not in POSITION_UNITS:
        raise UsageError(f"--unit {position_unit} is none of {', '.join(POSITION_UNITS)}.")
    screen = ScreenGeometry.from_mapping(
        {
            "width_px": width_px,
            "height_px": height_px,
            "width_cm": width_cm,
            "height_cm": height_cm,
            "distance_cm": distance_cm,
        }
    )
    get_detector(detector)
    if any((out / name).resolve() == table.resolve() for name in OUTPUTS):
        raise DuchenneError(f"{table} would be overwritten by the result; choose another --out.")
    with Console(stderr=True).status(f"Reading {table.name}") as status:
        times_s, data = read_gaze_table(table, columns or {}, time_unit)
        if position_unit == "px":
            data = _normalized(data, screen)
        status.update("Finding eye movements")
        result = analyse_gaze(
            times_s,
            data,
            screen,
            detector=detector,
            pupil_unit=pupil_unit,
            pupil_measure=pupil_measure,
        )
        status.update(f"Writing {out}")
        return write_result(result, out)


def write_result(result: GazeResult, out: Path) -> list[Path]:
    """Write the tables of one analysed recording, each with its codebook, into a folder."""
    written = [
        write_table(frame, out / name, book)
        for name, frame, book in (
            ("fixations.tsv", result.fixations, codebook.FIXATIONS),
            ("saccades.tsv", result.saccades, codebook.SACCADES),
            ("blinks.tsv", result.blinks, codebook.BLINKS),
            ("quality.tsv", quality_row(result), codebook.QUALITY),
        )
    ]
    write_parquet(result.samples, out / "gaze.parquet", codebook.SAMPLES)
    return [*written, out / "gaze.parquet"]


def quality_row(result: GazeResult) -> pd.DataFrame:
    """Return the quality of a recording as a table of one row."""
    row = {name: value for name, value in result.quality.items() if name in codebook.QUALITY}
    row |= {
        "n_fixations": len(result.fixations),
        "n_saccades": len(result.saccades),
        "n_blinks": len(result.blinks),
        "detector": result.detector,
        "pupil_unit": result.pupil_unit,
        "pupil_measure": result.pupil_measure,
    }
    return pd.DataFrame([row])


def _normalized(
    data: Mapping[str, NDArray[np.float64]], screen: ScreenGeometry
) -> dict[str, NDArray[np.float64]]:
    size = {"x": screen.width_px, "y": screen.height_px}
    return {
        name: values / size[name[-1]] if name in {"x", "y"} or name[-2:] in {"_x", "_y"} else values
        for name, values in data.items()
    }
