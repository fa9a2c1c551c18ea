"""``duchenne au --compare A B``: two measurements of one film side by side, as a table and as a page."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.codebooks import FACS_NAMES
from duchenne.analysis.face.agreement import (
    agreement_table,
    all_frames,
    common_units,
    paired,
)
from duchenne.analysis.face.backends.registry import backend_names
from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.landmarks import MAX_SIDE_PX
from duchenne.analysis.face.openface_csv import (
    read_openface,
    refuse_several_films,
    separator_of,
)
from duchenne.analysis.face.overlay import MAX_VIDEO_S, overlay_film
from duchenne.analysis.face.process import analyse_face
from duchenne.analysis.tables import Column, replacing, write_table
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from duchenne.analysis.face.frames import FloatArray

N_STILLS = 8
TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
# A page of a long film shows the mean over so many frames that this many points are left.
MAX_POINTS = 4000
AGREEMENT = {
    "au": Column("Action Unit.", kind="string"),
    "n_frames": Column("Frames in which both measured it.", kind="integer"),
    "r": Column("Pearson's correlation between A and B over those frames.", "1", kind="number"),
    "icc_3_1": Column(
        "Intraclass correlation ICC(3,1) (consistency, single ratings; Shrout & Fleiss 1979).",
        "1",
        kind="number",
    ),
    "mean_a": Column("Mean intensity of A, 0 to 5.", kind="number"),
    "mean_b": Column("Mean intensity of B, 0 to 5.", kind="number"),
    "mae": Column("Mean absolute difference, 0 to 5.", kind="number"),
}


@dataclass(frozen=True)
class Comparison:
    """Two measurements of a film.

    Parameters
    ----------
    names : (str, str)
    tables : (pandas.DataFrame, pandas.DataFrame)
        ``frame time usable AUxx_r …``
    agreement : pandas.DataFrame
        Of :func:`duchenne.analysis.face.agreement.agreement_table`.
    """

    names: tuple[str, str]
    tables: tuple[pd.DataFrame, pd.DataFrame]
    agreement: pd.DataFrame


def measure_source(
    source: str,
    film: Path | None,
    neutral: Sequence[tuple[float, float]] = (),
    progress: Callable[[int], object] | None = None,
) -> pd.DataFrame:
    """Return one side of a comparison.

    Parameters
    ----------
    source : str
        A table (of ``duchenne au``, or of OpenFace), or the name of a backend, which measures the film.
    film : Path, optional
    neutral : sequence of (start, end)
        The neutral phase in seconds, for a backend.
    progress : callable, optional
        Told the number of frames done.

    Returns
    -------
    pandas.DataFrame
        With ``frame`` (from 0), ``time`` (s), ``usable`` and intensities ``AUxx_r``.

    Raises
    ------
    UsageError
        When the source is neither, or there is no film to measure.
    DuchenneError
        When the table or the film cannot be read.
    """
    if _is_table(source):
        return read_measured(Path(source))
    if source.split(":", 1)[0] not in backend_names():
        known = ", ".join(backend_names())
        raise UsageError(f"--compare {source} is neither a table nor a backend ({known}).")
    if film is None:
        raise UsageError(
            f"--compare {source} needs a film to measure: duchenne au FILM --compare …"
        )
    frames = video_frames(film, max_side_px=MAX_SIDE_PX)
    return analyse_face(frames, backend=source, neutral=neutral, progress=progress).table


def refuse_overwriting(sources: Sequence[str], out: Path) -> None:
    """Refuse a page that would be written, with its table and codebook, over what is compared.

    Parameters
    ----------
    sources : sequence of str
        Tables and backends, as :func:`measure_source` takes them.
    out : Path
        The page.

    Raises
    ------
    UsageError
        When the page, or the ``.tsv`` or ``.json`` beside it, is a table that is compared, its
        codebook, or the file that a backend reads.
    """
    written = {path.resolve() for path in (out, out.with_suffix(".tsv"), out.with_suffix(".json"))}
    for source in sources:
        name = source if _is_table(source) else source.partition(":")[2]
        if not name:
            continue
        path = Path(name)
        is_table = path.suffix.lower() in TABLE_SUFFIXES
        for read in (path, path.with_suffix(".json")) if is_table else (path,):
            if read.resolve() in written:
                raise UsageError(
                    f"--out {out} would write over {read}, which belongs to what is compared: "
                    "give another name."
                )


def _is_table(source: str) -> bool:
    path = Path(source)
    is_backend = source.split(":", 1)[0] in backend_names()
    return path.is_file() or (path.suffix.lower() in TABLE_SUFFIXES and not is_backend)


def read_measured(path: Path) -> pd.DataFrame:
    """Return a table of ``duchenne au`` (either style) or of OpenFace about one film.

    Raises
    ------
    DuchenneError
        When the file is missing, or is no such table.
    """
    if not path.is_file():
        raise DuchenneError(f"There is no file {path}.")
    separator = separator_of(path)
    try:
        head = pd.read_csv(path, sep=separator, nrows=0, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise DuchenneError(f"{path} cannot be read as a table.") from error
    names = {str(name).strip() for name in head.columns}
    if "success" in names:
        return read_openface(path)
    if not {"frame", "time", "usable"} <= names:
        raise DuchenneError(f"{path} is neither a table of duchenne au nor one of OpenFace.")
    table = pd.read_csv(path, sep=separator, na_values=["n/a"])
    refuse_several_films(table, path)
    truth = {"true": True, "false": False}
    table["usable"] = table["usable"].astype(str).str.lower().map(truth).fillna(False)
    return table.astype({"usable": np.bool_})


def compare(names: tuple[str, str], tables: tuple[pd.DataFrame, pd.DataFrame]) -> Comparison:
    """Return how two measurements agree.

    Raises
    ------
    DuchenneError
        When they have no Action Unit, or no frame, in common.
    """
    if not common_units(*tables):
        raise DuchenneError(f"{names[0]} and {names[1]} have no Action Unit in common.")
    if not len(np.intersect1d(tables[0]["frame"], tables[1]["frame"])):
        raise DuchenneError(f"{names[0]} and {names[1]} have no frame in common.")
    return Comparison(names, tables, agreement_table(*tables))


def write_comparison(comparison: Comparison, out: Path, film: Path | None = None) -> Path:
    """Write the table of agreement (``OUT.tsv``) and a page that needs no network (``OUT.html``).

    Parameters
    ----------
    comparison : Comparison
    out : Path
        Ends with ``.html``.
    film : Path, optional
        Drawn on the page, with the face that was followed: as a film up to two minutes, else as a few
        pictures.
    """
    table = out.with_suffix(".tsv")
    write_table(comparison.agreement, table, AGREEMENT)
    page = files(__package__).joinpath("compare.html").read_text("utf-8")
    data = json.dumps(_page_data(comparison, film), allow_nan=False, separators=(",", ":"))
    with replacing(out) as aside:
        aside.write_text(page.replace("@DATA@", data.replace("<", "\\u003c")), "utf-8")
    return table


def _page_data(comparison: Comparison, film: Path | None) -> dict[str, Any]:
    a, b = comparison.tables
    frames = all_frames(a, b)
    times, _ = paired(a, b, "time")
    _, other = paired(a, b, "time")
    times = np.where(np.isfinite(times), times, other)
    usable = np.nan_to_num(paired(a, b, "usable")[0]) > 0
    step = max(1, -(-len(frames) // MAX_POINTS))
    kept = np.arange(0, len(frames), step)
    units = []
    for row in comparison.agreement.to_dict("records"):
        x, y = paired(a, b, f"{row['au']}_r")
        units.append(
            {
                "au": row["au"],
                "name": FACS_NAMES.get(int(str(row["au"])[2:4]), ""),
                "n": int(row["n_frames"]),
                **{key: _number(row[column], 3) for key, column in _FIGURES},
                "a": _numbers(_thinned(x, step)),
                "b": _numbers(_thinned(y, step)),
            }
        )
    drawn: dict[str, Any] = {"video": None, "stills": []}
    if film is not None:
        drawn = _drawn(film, usable, frames, times)
    return {
        "film": film.name if film else "one film",
        "a": comparison.names[0],
        "b": comparison.names[1],
        "summary": _summary(comparison),
        "time": _numbers(times[kept], 4),
        "frame": [int(frame) for frame in frames[kept]],
        "usable": [bool(value) for value in usable[kept]],
        "units": units,
        "begin": float(times[len(times) // 2]) if len(times) else 0.0,
        **drawn,
    }


_FIGURES = (("icc", "icc_3_1"), ("r", "r"), ("mae", "mae"))


def _drawn(
    film: Path, usable: Any, frames: np.ndarray[Any, Any], times: FloatArray
) -> dict[str, Any]:
    """Return the film and pictures with the face drawn in, packed for the page."""
    is_usable = np.zeros(int(frames.max()) + 1, np.bool_)
    is_usable[frames] = usable
    places = np.unique(np.linspace(0, len(frames) - 1, N_STILLS + 2).round().astype(int)[1:-1])
    moments = {int(frames[i]): float(times[i]) for i in places}
    video, pictures = overlay_film(
        video_frames(film, max_side_px=MAX_SIDE_PX),
        is_usable.tolist(),
        stills=moments,
        film=float(np.nanmax(times)) <= MAX_VIDEO_S,
    )
    return {
        "video": base64.b64encode(video).decode("ascii") if video else None,
        "stills": [
            {"frame": i, "time": moments[i], "jpeg": base64.b64encode(jpeg).decode("ascii")}
            for i, jpeg in sorted(pictures.items())
        ],
    }


def _summary(comparison: Comparison) -> str:
    table = comparison.agreement
    shares = [f"{100 * t['usable'].mean():.0f} % of {len(t)}" for t in comparison.tables]
    return (
        f"{len(table)} Action Units in both; mean ICC {table['icc_3_1'].mean():.2f}, "
        f"mean r {table['r'].mean():.2f}. Measured frames: A {shares[0]}, B {shares[1]}."
    )


def _thinned(values: FloatArray, step: int) -> FloatArray:
    """Return the mean of every `step` values; NaN where none is known."""
    if step == 1:
        return values
    padded = np.append(values, np.full(-len(values) % step, np.nan)).reshape(-1, step)
    known = np.isfinite(padded).sum(axis=1)
    total = np.nansum(padded, axis=1)
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)


def _numbers(values: FloatArray, digits: int = 2) -> list[float | None]:
    return [_number(value, digits) for value in values]


def _number(value: Any, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
