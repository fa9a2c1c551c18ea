"""Areas of interest: static polygons, or shapes that move from frame to frame of a film."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

UNITS = ("normalized", "px")
MAX_FRAME_AGE_S = 0.1
"""An AOI of a film holds from its frame until the next, at most this long past its frame's time."""
OUTSIDE = "none"
"""What gaze beside all areas is called."""


@dataclass(frozen=True)
class Aoi:
    """One area of interest, in stimulus coordinates (0–1, origin top left, y down).

    Parameters
    ----------
    name : str
        Its label; in film AOIs the same name appears on many frames.
    polygon : ndarray, shape (k, 2)
        Corners in order, at least 3; need not be convex and is closed by itself.
    media_time_s : float, optional
        Time in the film of the frame that shows it; None holds always, also among moving areas.
    """

    name: str
    polygon: Floats
    media_time_s: float | None = None


@dataclass(frozen=True)
class AoiSet:
    """The areas of interest of one stimulus.

    Parameters
    ----------
    aois : tuple of Aoi
        Static, of frames, or both. Where they overlap, their order decides: the first that contains a
        position has it (eyes before face). Several static ones of one name are one area in parts.
    frames_s : ndarray, shape (f,), optional
        Times of all frames that were looked at, ascending, also of those without any AOI.
    """

    aois: tuple[Aoi, ...]
    frames_s: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def names(self) -> list[str]:
        """Return the names in the order of their precedence."""
        return list(dict.fromkeys(aoi.name for aoi in self.aois))

    @property
    def moving(self) -> bool:
        """Return whether the areas move, so that dwell is counted by samples."""
        return any(aoi.media_time_s is not None for aoi in self.aois)

    def at(self, media_time_s: float) -> list[Aoi]:
        """Return the areas that hold at a time of the film, in order of precedence."""
        if not self.moving:
            return list(self.aois)
        frame = _frame_at(self.frames_s, np.array([media_time_s]))[0]
        return [] if frame < 0 else self._of_frame(self.frames_s[frame])

    def _of_frame(self, time_s: float) -> list[Aoi]:
        order = {name: i for i, name in enumerate(self.names)}
        here = [aoi for aoi in self.aois if aoi.media_time_s in {None, time_s}]
        return sorted(here, key=lambda aoi: order[aoi.name])


def static_aois(
    polygons: Mapping[str, ArrayLike], *, size_px: tuple[float, float] | None = None
) -> AoiSet:
    """Build static areas from polygons.

    Parameters
    ----------
    polygons : mapping of str to array_like of shape (k, 2)
        Corners by name, or a box as two corners; 0–1, or pixels of the stimulus with ``size_px``.
    size_px : tuple of float, optional
        Width and height of the stimulus, when corners are pixels.

    Raises
    ------
    DuchenneError
        For a polygon with fewer than 3 corners or no area, and for pixels where 0–1 was declared.
    """
    return AoiSet(tuple(Aoi(name, _polygon(name, p, size_px)) for name, p in polygons.items()))


def read_aois(path: Path) -> AoiSet:
    """Read static areas from a JSON or YAML file.

    The file holds ``unit`` (``normalized``, the default, or ``px`` with ``width_px`` and
    ``height_px`` of the stimulus) and ``aois``: names with lists of corners ``[x, y]``, or a box
    as two corners::

        unit: normalized
        aois:
          eyes: [[0.3, 0.3], [0.7, 0.45]]
          mouth: [[0.4, 0.6], [0.6, 0.6], [0.5, 0.75]]

    Raises
    ------
    DuchenneError
        For a file that cannot be read or understood, naming it.
    """
    import yaml  # noqa: PLC0415

    try:
        raw = path.read_text(encoding="utf-8")
        data = json.loads(raw) if path.suffix.lower() == ".json" else yaml.safe_load(raw)
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        raise DuchenneError(f"{path}: cannot read areas of interest: {error}") from None
    if not isinstance(data, dict) or not isinstance(data.get("aois"), dict) or not data["aois"]:
        raise DuchenneError(f"{path}: needs `aois`: names with lists of corners [x, y].")
    unit = data.get("unit", UNITS[0])
    if unit not in UNITS:
        raise DuchenneError(f"{path}: unit is {unit}, not one of {', '.join(UNITS)}.")
    size = None
    if unit == "px":
        try:
            size = (float(data["width_px"]), float(data["height_px"]))
        except (KeyError, TypeError, ValueError):
            raise DuchenneError(f"{path}: unit px needs width_px and height_px.") from None
    try:
        return static_aois(data["aois"], size_px=size)
    except DuchenneError as error:
        raise DuchenneError(f"{path}: {error}") from None


def frame_aois(table: pd.DataFrame) -> AoiSet:
    """Build moving areas from a table with one row per frame and area.

    Parameters
    ----------
    table : DataFrame
        ``media_time_s``, ``aoi``, and the box ``left top right bottom`` or a column ``polygon`` (list
        of corners), 0–1 in the stimulus. A row without a name says only that the frame was looked at.

    Raises
    ------
    DuchenneError
        Naming the missing column.
    """
    boxes = {"left", "top", "right", "bottom"} <= set(table.columns)
    missing = [name for name in ("media_time_s", "aoi") if name not in table.columns]
    if missing or not (boxes or "polygon" in table.columns):
        missing += [] if boxes or "polygon" in table.columns else ["polygon"]
        raise DuchenneError(f"The table of areas lacks {', '.join(missing)}.")
    found = []
    for row in table.to_dict("records"):
        if not isinstance(row["aoi"], str) or not row["aoi"]:
            continue
        corners: Any = row.get("polygon")
        if boxes:
            corners = [[row["left"], row["top"]], [row["right"], row["bottom"]]]
        elif isinstance(corners, str):
            corners = json.loads(corners)
        polygon = _polygon(row["aoi"], corners, None)
        found.append(Aoi(row["aoi"], polygon, float(row["media_time_s"])))
    return AoiSet(tuple(found), np.unique(table["media_time_s"].to_numpy(dtype=np.float64)))


def aoi_of_positions(
    areas: AoiSet,
    x_stim: ArrayLike,
    y_stim: ArrayLike,
    *,
    margin: tuple[float, float] = (0.0, 0.0),
    media_time_s: ArrayLike | None = None,
) -> NDArray[np.intp]:
    """Return which area each position lies in.

    Parameters
    ----------
    areas : AoiSet
        The areas.
    x_stim, y_stim : array_like, shape (n,)
        Positions in the stimulus, 0–1; NaN lies in none.
    margin : tuple of float
        Added around each area, in the stimulus's width and height. A position in a margin belongs to
        the first area that holds it without margin, else to the nearest.
    media_time_s : array_like, shape (n,), optional
        Time in the film of each position; needed for moving areas. Where it is NaN, or no frame is
        known within 0.1 s before it, the position lies in none.

    Returns
    -------
    ndarray of int, shape (n,)
        Index into ``areas.names``; −1 in none, −2 where moving areas are not known.
    """
    x = np.atleast_1d(np.asarray(x_stim, dtype=np.float64))
    y = np.atleast_1d(np.asarray(y_stim, dtype=np.float64))
    code = {name: i for i, name in enumerate(areas.names)}
    found = np.full(x.shape, -1, dtype=np.intp)
    if not areas.moving:
        return _assign(areas.aois, code, x, y, margin)
    if media_time_s is None:
        raise ValueError("areas that move need the media time of each position")
    times = np.atleast_1d(np.asarray(media_time_s, dtype=np.float64))
    frames = _frame_at(areas.frames_s, times)
    found[frames < 0] = -2
    by_frame: dict[float, list[Aoi]] = {}
    still = [aoi for aoi in areas.aois if aoi.media_time_s is None]
    for aoi in areas.aois:
        if aoi.media_time_s is not None:
            by_frame.setdefault(float(aoi.media_time_s), []).append(aoi)
    for frame in np.unique(frames[frames >= 0]):
        here = frames == frame
        shapes = [*still, *by_frame.get(float(areas.frames_s[frame]), [])]
        shapes.sort(key=lambda aoi: code[aoi.name])
        found[here] = _assign(shapes, code, x[here], y[here], margin)
    return found


def polygon_area(polygon: ArrayLike) -> float:
    """Return the area of a simple polygon, in the square of its unit."""
    x, y = np.asarray(polygon, dtype=np.float64).T
    return abs(float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))) / 2


def in_polygon(polygon: ArrayLike, x: ArrayLike, y: ArrayLike) -> Bools:
    """Return which positions lie inside a polygon, by counting crossings (NaN: outside)."""
    px, py = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    inside: Bools = np.zeros(px.shape, dtype=bool)
    corners = np.asarray(polygon, dtype=np.float64)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > py) != (y1 > py)
        inside ^= crosses & (px < (x1 - x0) * (py - y0) / (y1 - y0) + x0)
    inside &= np.isfinite(px) & np.isfinite(py)
    return inside


def distance_to_polygon(
    polygon: ArrayLike, x: ArrayLike, y: ArrayLike, scale: tuple[float, float] = (1.0, 1.0)
) -> Floats:
    """Return the distance to the nearest edge, after dividing each axis by its scale."""
    sx, sy = scale
    corners = np.asarray(polygon, dtype=np.float64) / (sx, sy)
    point = np.stack([np.asarray(x, dtype=np.float64) / sx, np.asarray(y, dtype=np.float64) / sy])
    nearest: Floats = np.full(point.shape[1:], np.inf)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge = b - a
        length = float(edge @ edge)
        along = np.tensordot(edge, point - a[:, None], axes=1) / length if length > 0 else 0.0
        foot = a[:, None] + edge[:, None] * np.clip(along, 0, 1)
        nearest = np.fmin(nearest, np.hypot(*(point - foot)))
    return nearest


def _assign(
    shapes: Sequence[Aoi],
    code: Mapping[str, int],
    x: Floats,
    y: Floats,
    margin: tuple[float, float],
) -> NDArray[np.intp]:
    found = np.full(x.shape, -1, dtype=np.intp)
    for aoi in shapes:
        found[(found == -1) & in_polygon(aoi.polygon, x, y)] = code[aoi.name]
    if min(margin) > 0:
        near = np.full(x.shape, np.inf)
        free = found == -1
        for aoi in shapes:
            distance = distance_to_polygon(aoi.polygon, x, y, margin)
            closer = free & (distance <= 1) & (distance < near)
            found[closer] = code[aoi.name]
            near[closer] = distance[closer]
    return found


def _frame_at(frames_s: Floats, times_s: Floats) -> NDArray[np.intp]:
    """Return the last frame at or before each time; −1 where none is recent enough."""
    # Half a millisecond of tolerance: times of films are rounded when they are logged.
    frame = np.searchsorted(frames_s, times_s + 5e-4, side="right") - 1
    known = np.isfinite(times_s) & (frame >= 0)
    age = times_s - frames_s[np.maximum(frame, 0)] if frames_s.size else times_s
    return np.where(known & (age <= MAX_FRAME_AGE_S), frame, -1).astype(np.intp)


def _polygon(name: str, corners: ArrayLike, size_px: tuple[float, float] | None) -> Floats:
    try:
        polygon = np.asarray(corners, dtype=np.float64)
    except (TypeError, ValueError):
        polygon = np.empty(0)
    if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 2:
        raise DuchenneError(f"area {name} is no list of corners [x, y]")
    if size_px is not None:
        polygon = polygon / np.asarray(size_px)
    if len(polygon) == 2:
        (x0, y0), (x1, y1) = polygon
        polygon = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    if not np.isfinite(polygon).all() or polygon_area(polygon) <= 0:
        raise DuchenneError(f"area {name} has no area")
    if np.abs(polygon).max() > 2:
        raise DuchenneError(
            f"area {name} reaches to {np.abs(polygon).max():g} stimulus sizes, which looks like "
            "pixels; declare the unit px with the stimulus's width and height"
        )
    return polygon
