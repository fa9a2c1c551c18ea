"""Pictures, films and greys as luminance on a coarse grid of the screen.

Relative luminance: 0 black to 1 white, linear (sRGB undone).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from duchenne.stimuli.luminance import BLUE, GREEN, RED, linearised

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LOCAL_SIGMA_DEG = 2.0
"""Standard deviation of the patch around gaze; half its weight lies within 2.4°."""
FILM_HZ = 10.0
"""Frames of a film that are looked at, per second; pupils follow no faster."""
_COLUMNS = 128
_MAX_SIDE = 1024


def linear_grey(level: float) -> float:
    """Return the relative luminance of an sRGB grey level, both 0–1 (IEC 61966-2-1)."""
    return level / 12.92 if level <= 0.04045 else float(((level + 0.055) / 1.055) ** 2.4)


def luminance_picture(rgb: NDArray[np.uint8]) -> Floats:
    """Return the relative luminance of each pixel, shape (height, width), of large pictures thinned."""
    step = max(1, max(rgb.shape[:2]) // _MAX_SIDE)
    linear = linearised(rgb[::step, ::step, :3])
    return np.asarray(linear @ np.array([RED, GREEN, BLUE]))


@dataclass(frozen=True)
class ScreenGrid:
    """The screen as a coarse grid of luminance."""

    width_px: float
    height_px: float
    background: float
    cells_per_px: float
    sigma_cells: float

    @classmethod
    def of(cls, screen: Mapping[str, Any], background: float) -> ScreenGrid:
        """Return the grid of a screen described by its size and distance."""
        width, height = float(screen["width_px"]), float(screen["height_px"])
        cells_per_px = _COLUMNS / width
        cm_per_deg = float(screen["distance_cm"]) * np.tan(np.radians(1.0))
        cells_per_deg = cm_per_deg / float(screen["width_cm"]) * _COLUMNS
        return cls(width, height, background, cells_per_px, LOCAL_SIGMA_DEG * cells_per_deg)

    def show(self, picture: Floats, rect_px: tuple[float, ...] | None) -> tuple[float, Floats]:
        """Return the screen's mean luminance and the blurred grid while a picture is shown."""
        if rect_px is None:
            rect_px = (0.0, 0.0, self.width_px, self.height_px)
        x0, y0, x1, y1 = rect_px
        left, right = max(x0, 0.0), min(x1, self.width_px)
        top, bottom = max(y0, 0.0), min(y1, self.height_px)
        grid = np.full((round(self.height_px * self.cells_per_px), _COLUMNS), self.background)
        if right <= left or bottom <= top:
            return self.background, grid
        rows, columns = picture.shape
        part = picture[
            int(rows * (top - y0) / (y1 - y0)) : max(1, round(rows * (bottom - y0) / (y1 - y0))),
            int(columns * (left - x0) / (x1 - x0)) : max(
                1, round(columns * (right - x0) / (x1 - x0))
            ),
        ]
        covered = (right - left) * (bottom - top) / (self.width_px * self.height_px)
        mean = covered * float(part.mean()) + (1.0 - covered) * self.background
        a, b, c, d = (round(edge * self.cells_per_px) for edge in (left, right, top, bottom))
        b, d = max(b, a + 1), max(d, c + 1)
        grid[c:d, a:b] = _shrunk(part, d - c, b - a)[: grid.shape[0] - c, : _COLUMNS - a]
        return mean, gaussian_filter(grid, self.sigma_cells, mode="nearest")


def _shrunk(picture: Floats, rows: int, columns: int) -> Floats:
    """Return block means of a picture; cells smaller than a pixel repeat it."""
    for axis, n in enumerate((rows, columns)):
        length = picture.shape[axis]
        starts = np.arange(n) * length // n
        counts = np.maximum(np.diff(np.append(starts, length)), 1)
        total = np.add.reduceat(picture, starts, axis=axis)
        picture = total / (counts[:, None] if axis == 0 else counts)
    return picture


def image_picture(path: Path) -> Floats:
    """Return the luminance of an image file; OSError where it cannot be read."""
    from PIL import Image  # noqa: PLC0415 -- only for sessions with pictures

    with Image.open(path) as image:
        return luminance_picture(np.asarray(image.convert("RGB"), dtype=np.uint8))


def film_pictures(path: Path, media_s: Floats) -> Iterator[tuple[NDArray[np.bool_], Floats]]:
    """Yield which of the places in a film (seconds) show which luminance picture."""
    import av  # noqa: PLC0415 -- only for sessions with films

    last: tuple[float, Floats] | None = None
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            at_s = float(frame.time or 0.0)
            if last is not None and at_s < last[0] + 1.0 / FILM_HZ - 1e-6:
                continue
            if last is not None:
                chosen = (media_s >= last[0]) & (media_s < at_s)
                if chosen.any():
                    yield chosen, last[1]
            picture = luminance_picture(frame.to_ndarray(format="rgb24").astype(np.uint8))
            last = (at_s if last is not None else -np.inf, picture)
    if last is not None and (media_s >= last[0]).any():
        yield media_s >= last[0], last[1]
