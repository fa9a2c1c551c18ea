"""The face in a stimulus film, measured once for each film and kept by the film's hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne import __version__
from duchenne.analysis.crossmodal.reactions import whole_face_aus
from duchenne.analysis.face.backends.files import backend_hash
from duchenne.analysis.provenance import sha256_of
from duchenne.analysis.tables import Column, write_parquet
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from duchenne.analysis.face.frames import Image

    Frame = tuple[int, float, Image | None]

LOOKS = 24
"""Frames of a film in which a face is looked for before all of it is measured."""
MIN_FACE_FRACTION = 0.1
"""Films that show a face in a smaller share of their frames count as films without one."""


@dataclass(frozen=True)
class FilmFace:
    """Action Units of the face in a film.

    Parameters
    ----------
    table : pandas.DataFrame
        ``time`` (s in the film) and ``AUxx_r``, one row per frame; without rows where there is no face.
    reason : str
        Why there is none; empty otherwise.
    """

    table: pd.DataFrame
    reason: str = ""

    @property
    def aus(self) -> list[str]:
        """Return the Action Units that were measured, eyelids aside."""
        return whole_face_aus(self.table.columns)


NO_FACE = "no face in the film"


def film_face(
    path: Path,
    *,
    backend: str,
    cache: Path | None = None,
    sha256: str | None = None,
    progress: Callable[[int], object] | None = None,
) -> FilmFace:
    """Measure the face in a film, or read what was measured before.

    Parameters
    ----------
    path : Path
        The film.
    backend : str
        What measures Action Units; those of the face in the film are measured from its habitual face.
    cache : Path, optional
        Folder of what was measured, by film, backend and version; nothing is kept where absent.
    sha256 : str, optional
        Hash of the film; computed where absent.
    progress : callable, optional
        Told the number of frames done.

    Returns
    -------
    FilmFace
        One face is followed, the largest; a cut to another person goes on with that person.
    """
    kept = None
    if cache is not None:
        kept = cache / f"{_key(sha256 or sha256_of(path), backend)}_au.parquet"
        if (known := _read(kept)) is not None:
            return known
    try:
        table = _measured(path, backend, progress)
    except DuchenneError as error:
        return FilmFace(pd.DataFrame({"time": []}), f"the film was not measured: {error}")
    if kept is not None:
        write_parquet(table, kept, _book(table))
    return FilmFace(table) if len(table) else FilmFace(table, NO_FACE)


def _key(sha256: str, backend: str) -> str:
    """Return a name for film, backend with the content of its files, and version."""
    told = f"{backend} {backend_hash(backend)} {__version__}"
    of_backend = hashlib.sha256(told.encode()).hexdigest()[:8]
    return f"{sha256[:24]}-{of_backend}"


def _read(path: Path) -> FilmFace | None:
    """Return what was kept; None where nothing can be read."""
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError):
        return None
    return FilmFace(table, "" if len(table) else NO_FACE) if "time" in table.columns else None


def _measured(path: Path, backend: str, progress: Callable[[int], object] | None) -> pd.DataFrame:
    from duchenne.analysis.face.decode import video_frames  # noqa: PLC0415  (heavy)
    from duchenne.analysis.face.landmarks import MAX_SIDE_PX  # noqa: PLC0415  (heavy)
    from duchenne.analysis.face.process import analyse_face  # noqa: PLC0415  (heavy)

    empty = pd.DataFrame({"time": np.zeros(0)})
    if not _any_face(path):
        return empty
    result = analyse_face(
        video_frames(path, max_side_px=MAX_SIDE_PX), backend=backend, progress=progress
    )
    if not result.quality["usable_fraction"] >= MIN_FACE_FRACTION:
        return empty
    aus = [f"{au}_r" for au in whole_face_aus(result.table.columns)]
    return result.table[["time", *aus]].astype("float64").reset_index(drop=True)


def _any_face(path: Path) -> bool:
    """Return whether a face is found in some frames spread over a film."""
    from duchenne.analysis.face.decode import frame_count, video_frames  # noqa: PLC0415  (heavy)
    from duchenne.analysis.face.landmarks import MAX_SIDE_PX, FaceTracker  # noqa: PLC0415  (heavy)

    every = max(1, (frame_count(path) or LOOKS) // LOOKS)

    def some() -> Iterator[Frame]:
        return islice(video_frames(path, max_side_px=MAX_SIDE_PX), 0, None, every)

    frames = some()
    with FaceTracker(still=True) as tracker:
        while True:
            faces = tracker.track(islice(frames, 4))
            if not len(faces):
                return False
            if faces.found.any():
                return True


def _book(table: pd.DataFrame) -> dict[str, Column]:
    from duchenne.analysis.codebooks import au_columns  # noqa: PLC0415

    time = {"time": Column("Time in the film.", "s", kind="number")}
    return time | au_columns([str(name) for name in table.columns])
