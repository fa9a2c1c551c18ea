"""Faces, eyes and mouth found in a stimulus itself: still in a picture, moving in a film."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import pandas as pd

from duchenne.analysis.gaze.aoi import AoiSet, frame_aois, static_aois
from duchenne.analysis.values import number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FaceFrames, Image

EYES = (33, 133, 159, 145, 263, 362, 386, 374, 70, 300, 105, 334)
"""Corners and lids of both eyes and the brows above, in MediaPipe's face mesh."""
MOUTH = (61, 291, 0, 17, 37, 267, 84, 314)
"""Corners of the mouth and rims of the lips."""
_AREAS = (("eyes", list(EYES)), ("mouth", list(MOUTH)), ("face", list(range(468))))


_CORNERS = (("left", "top"), ("right", "bottom"))
FRAMES_HZ = 30.0
"""Frames of a film looked at per second, at most; a faster film shows each face twice."""


@lru_cache(maxsize=64)
def _found(path: Path, kind: str, _mtime_ns: int, _size: int) -> AoiSet:
    if kind != "video":
        return picture_aois(path)
    return aois_from_film(path, every=max(1, round(_rate_hz(path) / FRAMES_HZ)))


def aois_in(path: Path, kind: str) -> AoiSet:
    """Return eyes, mouth and face of a stimulus; remembered while the program runs.

    Parameters
    ----------
    path : Path
        A picture or a film.
    kind : str
        ``image`` or ``video``.

    Raises
    ------
    DuchenneError
        When the file cannot be read, or the face tracker is not installed.
    """
    about = path.stat()
    return _found(path, kind, about.st_mtime_ns, about.st_size)


def picture_aois(path: Path) -> AoiSet:
    """Return the eyes, mouth and face of a picture, the largest face of several; empty: no face."""
    from duchenne.analysis.face.decode import image_frame  # noqa: PLC0415  (heavy)
    from duchenne.analysis.face.landmarks import FaceTracker  # noqa: PLC0415  (heavy)

    with FaceTracker(still=True) as tracker:
        rows = _rows(tracker.track([(0, 0.0, image_frame(path))]))
    boxes = {
        str(row["aoi"]): [[number(row[edge]) for edge in corner] for corner in _CORNERS]
        for row in rows
        if row["aoi"] is not None
    }
    return static_aois(boxes)


def film_aoi_table(path: Path | str, *, every: int = 1) -> pd.DataFrame:
    """Find the face in each frame of a film.

    Parameters
    ----------
    path : path
        Any film that FFmpeg reads.
    every : int
        Look at every n-th frame; the areas hold until the next one that was looked at.

    Returns
    -------
    DataFrame
        ``media_time_s aoi left top right bottom``: boxes (0–1 in the picture) named ``eyes``, ``mouth``
        and ``face``, in the order of precedence; a frame without a face has one row without a name.
        One face is followed, the largest: other people in the film have no area.

    Raises
    ------
    DuchenneError
        When the film cannot be read, or the face tracker is not installed.
    """
    from duchenne.analysis.face.decode import video_frames  # noqa: PLC0415  (heavy)
    from duchenne.analysis.face.landmarks import FaceTracker  # noqa: PLC0415  (heavy)

    def chosen() -> Iterator[tuple[int, float, Image | None]]:
        return (frame for i, frame in enumerate(video_frames(path)) if i % every == 0)

    rows: list[dict[str, float | str | None]] = []
    with FaceTracker() as tracker:
        batch: list[tuple[int, float, Image | None]] = []
        for frame in chosen():
            batch.append(frame)
            if len(batch) == 32:
                rows += _rows(tracker.track(batch))
                batch = []
        if batch:
            rows += _rows(tracker.track(batch))
    columns = ["media_time_s", "aoi", "left", "top", "right", "bottom"]
    return pd.DataFrame(rows, columns=columns)


def aois_from_film(path: Path | str, *, every: int = 1) -> AoiSet:
    """Return the eyes, mouth and face of a film as moving areas; see :func:`film_aoi_table`."""
    return frame_aois(film_aoi_table(path, every=every))


def _rate_hz(path: Path) -> float:
    import av  # noqa: PLC0415  (heavy)

    try:
        with av.open(str(path)) as film:
            return float(film.streams.video[0].average_rate or FRAMES_HZ)
    except (av.error.FFmpegError, IndexError, OSError):
        return FRAMES_HZ  # what is wrong with the file is told when its frames are read


def _rows(faces: FaceFrames) -> list[dict[str, float | str | None]]:
    rows: list[dict[str, float | str | None]] = []
    for i, time_s in enumerate(faces.time_s):
        if not faces.found[i]:
            rows.append({"media_time_s": float(time_s), "aoi": None})
            continue
        points = faces.landmarks[i, :, :2] / faces.size_px[i]
        for name, which in _AREAS:
            left, top, right, bottom = _box(points[which])
            rows.append(
                {
                    "media_time_s": float(time_s),
                    "aoi": name,
                    "left": left,
                    "top": top,
                    "right": right,
                    "bottom": bottom,
                }
            )
    return rows


def _box(points: NDArray[np.float64]) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)
