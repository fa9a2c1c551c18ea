"""Measuring a whole set: every file, in threads, into a table and into the manifest."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.measures import CODEBOOK, image_measures
from duchenne.stimuli.measures_film import FRAME_COLUMNS, film_measures, sound_measures
from duchenne.stimuli.pixels import load_rgb
from duchenne.stimuli.reading import read_cells, read_codebook
from duchenne.stimuli.writing import DESCRIPTIONS, table_text, write_manifest, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from duchenne.stimuli.display_profile import Monitor
    from duchenne.stimuli.stimulus import Stimulus

FRAMES_FOLDER = "measures"


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of one stimulus.

    Attributes
    ----------
    id : str
        The stimulus.
    values : mapping of str to float
        By measure; empty where it could not be measured.
    frames : mapping of str to ndarray
        Of a film, a column for each measure of its frames.
    problem : str or None
        Why it could not be measured.
    """

    id: str
    values: Mapping[str, float]
    frames: Mapping[str, Any]
    problem: str | None = None


def measure_one(
    stimulus: Stimulus,
    *,
    monitor: Monitor | None = None,
    pixels_per_degree: float | None = None,
    faces: bool = True,
) -> Measured:
    """Measure one stimulus; a file that cannot be read gives a problem, not an error."""
    try:
        if stimulus.kind == "image":
            found = image_measures(
                load_rgb(stimulus.path),
                monitor=monitor,
                pixels_per_degree=pixels_per_degree,
                faces=faces,
            )
            return Measured(stimulus.id, found, {})
        if stimulus.kind == "video":
            film = film_measures(stimulus.path, monitor=monitor)
            return Measured(stimulus.id, film.whole, film.frames)
        if stimulus.kind == "audio":
            return Measured(stimulus.id, sound_measures(stimulus.path).whole, {})
    except (DuchenneError, OSError) as error:
        return Measured(stimulus.id, {}, {}, str(error))
    return Measured(stimulus.id, {}, {})


def measure_set(
    stimuli: Sequence[Stimulus], one: Callable[[Stimulus], Measured], workers: int | None = None
) -> Iterator[Measured]:
    """Measure stimuli, several at a time.

    Parameters
    ----------
    stimuli : sequence of Stimulus
        What to measure.
    one : callable
        Measures one of them.
    workers : int, optional
        Threads; as many as there are processors by default. Decoding and arithmetic let other threads run.

    Yields
    ------
    Measured
        In the order of `stimuli`.
    """
    n = workers or os.cpu_count() or 1
    if n == 1:
        yield from map(one, stimuli)
        return
    with ThreadPoolExecutor(n) as pool:
        # A few at a time, lest the frames of all films wait in memory.
        for start in range(0, len(stimuli), 4 * n):
            yield from pool.map(one, stimuli[start : start + 4 * n])


def write_frames(folder: Path, measured: Measured) -> Path | None:
    """Write the frames of a film to ``measures/ID.tsv`` beside its manifest; None for other stimuli."""
    if not measured.frames:
        return None
    place = folder / FRAMES_FOLDER
    names = [name for name in FRAME_COLUMNS if name in measured.frames]
    columns = [np.asarray(measured.frames[name]) for name in names]
    rows = (dict(zip(names, map(_rounded, row), strict=True)) for row in zip(*columns, strict=True))
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in measured.id)
    write_text(place / f"{safe}.tsv", table_text(names, rows))
    write_text(place / "frames.json", json.dumps(_FRAMES, indent=2, ensure_ascii=False) + "\n")
    return place / f"{safe}.tsv"


def measures_table(measured: Iterable[Measured]) -> tuple[str, dict[str, Any]]:
    """Return the table of measures, one row for each stimulus, and its codebook."""
    rows = [{"id": m.id, **_rounded_all(m.values)} for m in measured]
    present = {name for row in rows for name in row}
    columns = ["id", *(name for name in CODEBOOK if name in present)]
    return table_text(columns, rows), {
        name: CODEBOOK.get(name, DESCRIPTIONS.get(name)) for name in columns
    }


def merge(manifest: Path, measured: Iterable[Measured], settings: Mapping[str, Any]) -> None:
    """Put measures into a manifest and its codebook; both are kept as ``.bak`` first.

    Cells of stimuli that could not be measured are left as they are.
    """
    path, rows = read_cells(manifest)
    by_id = {m.id: m.values for m in measured}
    merged = [row | _rounded_all(by_id.get(row["id"], {})) for row in rows]
    names = {name for values in by_id.values() for name in values}
    columns = [*rows[0], *(name for name in CODEBOOK if name in names and name not in rows[0])]
    codebook = read_codebook(path)
    about = codebook.setdefault("StimulusSet", {})
    if isinstance(about, dict):
        about["Measures"] = {k: v for k, v in settings.items() if v is not None}
    codebook |= {name: CODEBOOK[name] for name in columns if name in names}
    write_manifest(path.parent, table_text(columns, merged), codebook)


def _rounded_all(values: Mapping[str, float]) -> dict[str, float]:
    return {name: _rounded(value) for name, value in values.items()}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


_FRAMES = {
    "frame": {"Description": "Number of the frame, from 0"},
    "time_s": {"Description": "When it is due, from the first frame", "Units": "s"},
    "luminance": {"Description": "Mean relative luminance, linearised sRGB, 0 to 1"},
    "rms_contrast": {"Description": "Standard deviation of relative luminance"},
    "motion_energy": {
        "Description": "Mean absolute change of grey level (0 to 1) from the frame before"
    },
    "cut": {"Description": "1 at the first frame of a new shot, else 0"},
    "sound_dbfs": {
        "Description": "Root mean square of the sound during the frame",
        "Units": "dBFS",
    },
}
