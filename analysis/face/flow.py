"""Optical flow in regions of the face between consecutive frames, cheap enough for 60 frames/s and more.

Both frames are brought into one small crop with the alignment of the later one, so that jitter of the
landmarks moves nothing. In each region one displacement is solved for by least squares (Lucas & Kanade
1981) with a change of brightness as third unknown; what the rigid parts of the face do together (head
motion) is fitted as a similarity and taken off everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.face.frames import FaceFrames, FloatArray, Image

CROP_PX = 96
# In the crop, the outer eye corners lie this far apart, and their middle here.
EYES_PX = 44.0
EYES_AT = (48.0, 36.0)
# Centre (x, y) and half width of each region, in eye-corner distances from the middle of the eyes, x to
# the image's right, y down.
REGIONS: dict[str, tuple[float, float, float]] = {
    "brow_inner_R": (-0.16, -0.22, 0.12),
    "brow_inner_L": (0.16, -0.22, 0.12),
    "brow_outer_R": (-0.42, -0.24, 0.12),
    "brow_outer_L": (0.42, -0.24, 0.12),
    "glabella": (0.0, -0.14, 0.1),
    "nose_R": (-0.17, 0.32, 0.1),
    "nose_L": (0.17, 0.32, 0.1),
    "cheek_R": (-0.4, 0.3, 0.14),
    "cheek_L": (0.4, 0.3, 0.14),
    "mouth_R": (-0.28, 0.72, 0.13),
    "mouth_L": (0.28, 0.72, 0.13),
    "upper_lip": (0.0, 0.6, 0.12),
    "lower_lip": (0.0, 0.84, 0.12),
    "chin": (0.0, 1.02, 0.12),
}
NAMES = tuple(REGIONS)
# Bone lies close under these: they move with the head alone.
_RIGID = ((0.0, 0.12, 0.1), (0.0, 0.34, 0.08), (-0.62, 0.12, 0.1), (0.62, 0.12, 0.1))
# Regularises regions without texture, in squared grey levels per pixel.
_DAMPING = 1.0
_CORNERS = (33, 263)


class FlowReader:
    """Reads flow from batches of tracked frames; keeps the last frame between batches.

    Examples
    --------
    >>> reader = FlowReader()
    >>> reader.read(faces).shape                                              # doctest: +SKIP
    (32, 14, 2)
    """

    def __init__(self) -> None:
        self._previous: Image | None = None
        places = [*REGIONS.values(), *_RIGID]
        self._centres = np.array([place[:2] for place in places])
        self._windows = [_window(place) for place in places]

    def read(self, faces: FaceFrames) -> FloatArray:
        """Return the displacement of each region since the frame before.

        Parameters
        ----------
        faces : FaceFrames
            With their images.

        Returns
        -------
        (n, 14, 2) float64
            x to the image's right and y down, in outer eye-corner distances; NaN where one of the two
            frames has no picture or the later one no face. Head motion is taken off.
        """
        moved = np.full((len(faces), len(REGIONS), 2), np.nan)
        found = faces.found
        for i, image in enumerate(faces.images):
            previous, self._previous = self._previous, image
            if previous is None or image is None or not found[i]:
                continue
            if previous.shape != image.shape:
                continue
            moved[i] = self._between(previous, image, faces.landmarks[i, _CORNERS, :2])
        return moved

    def _between(self, before: Image, after: Image, corners: FloatArray) -> FloatArray:
        transform = _to_crop(corners)
        flow = _region_flow(_crop(before, transform), _crop(after, transform), self._windows)
        flow /= EYES_PX
        n = len(REGIONS)
        return flow[:n] - _similarity_motion(self._centres[n:], flow[n:], self._centres[:n])


class _Window(NamedTuple):
    """A region of the crop: where it lies, and weights of its pixels that sum to 1."""

    rows: slice
    columns: slice
    weights: FloatArray


def _window(place: tuple[float, float, float]) -> _Window:
    x, y, half = (EYES_PX * value for value in place)
    x, y = x + EYES_AT[0], y + EYES_AT[1]
    reach = round(1.6 * half)
    columns = slice(max(1, round(x) - reach), min(CROP_PX - 1, round(x) + reach + 1))
    rows = slice(max(1, round(y) - reach), min(CROP_PX - 1, round(y) + reach + 1))
    bell_x = np.exp(-0.5 * ((np.arange(CROP_PX)[columns] - x) / (half / 1.5)) ** 2)
    bell_y = np.exp(-0.5 * ((np.arange(CROP_PX)[rows] - y) / (half / 1.5)) ** 2)
    weights = np.outer(bell_y, bell_x).ravel()
    return _Window(rows, columns, np.asarray(weights / weights.sum(), np.float32))


def _to_crop(corners: FloatArray) -> FloatArray:
    """Return the 2×3 similarity from the picture to the crop."""
    right, left = corners
    across = left - right
    scale = EYES_PX / max(float(across @ across), 1e-6)
    a, b = across * scale
    middle = (left + right) / 2
    rotation = np.array([[a, b], [-b, a]])
    return np.column_stack([rotation, np.array(EYES_AT) - rotation @ middle])


def _crop(image: Image, transform: FloatArray) -> FloatArray:
    import cv2  # noqa: PLC0415  (heavy)

    crop = cv2.warpAffine(image, transform, (CROP_PX, CROP_PX), borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (5, 5), 1.0))


def _region_flow(before: FloatArray, after: FloatArray, windows: Sequence[_Window]) -> FloatArray:
    """Return the displacement of each region in pixels of the crop: (regions, 2)."""
    middle = (before + after) / 2
    dx = np.zeros_like(middle)
    dy = np.zeros_like(middle)
    dx[:, 1:-1] = (middle[:, 2:] - middle[:, :-2]) / 2
    dy[1:-1] = (middle[2:] - middle[:-2]) / 2
    dt = after - before
    products = np.stack([dx, dy, dt, dx * dx, dx * dy, dy * dy, dx * dt, dy * dt])
    sums = [products[:, w.rows, w.columns].reshape(8, -1) @ w.weights for w in windows]
    mx, my, mt, xx, xy, yy, xt, yt = np.asarray(sums, np.float64).T
    # A common change of brightness is taken out with the means.
    xx, xy, yy = xx - mx * mx + _DAMPING, xy - mx * my, yy - my * my + _DAMPING
    xt, yt = xt - mx * mt, yt - my * mt
    determinant = xx * yy - xy * xy
    return np.column_stack([(xy * yt - yy * xt) / determinant, (xy * xt - xx * yt) / determinant])


def _similarity_motion(at: FloatArray, flow: FloatArray, where: FloatArray) -> FloatArray:
    """Fit shift, turn and scale to the flow at some points; return the flow they imply elsewhere."""
    middle, mean = at.mean(axis=0), flow.mean(axis=0)
    p, q = at - middle, flow - mean
    size = (p**2).sum()
    scale = (p * q).sum() / size
    turn = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum() / size
    r = where - middle
    return np.asarray(mean + scale * r + turn * np.column_stack([-r[:, 1], r[:, 0]]), np.float64)
