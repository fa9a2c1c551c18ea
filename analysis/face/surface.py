"""What the picture of the face is like: how bright, how sharp, and whether something covers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.geometry.align import CROP_PX, crop_matrix
from duchenne.analysis.face.occlusion import CELLS, INPUT_PX, covered_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.face.frames import FloatArray, Image

SURFACE_NAMES = ("brightness", "clipped", "sharpness", "covered")
"""Median grey of the face (0–255); share of the face that is black or white; fine contrast divided by
contrast; share of the face that something covers (0–1)."""

# Landmarks of the face's outline.
# fmt: off
OUTLINE = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148,
    176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
# fmt: on
_BLACK, _WHITE = 4, 251
# Contrast over less than this distance (the eyes are 64 px apart) is fine.
_NEAR_PX = 5
_NOTHING = np.full(len(SURFACE_NAMES), np.nan)
_PASSED_OVER = np.full(len(SURFACE_NAMES), np.inf)
_WORSE_IF_LARGER = np.array([-1.0, 1.0, -1.0, 1.0])


class Surface:
    """Measures faces one by one; the search for what covers them runs once for a batch.

    Parameters
    ----------
    every : int, default 1
        In a film, look at every n-th frame; a frame between two takes the worse of both.
    """

    def __init__(self, *, every: int = 1) -> None:
        self._every = every
        self._passed = every
        self._crops: list[Image] = []
        self._masks: list[FloatArray] = []

    def of(self, image: Image | None, landmarks: FloatArray | None) -> FloatArray:
        """Return brightness, clipped share and sharpness of one face; what covers it comes later.

        Parameters
        ----------
        image : (height, width, 3) uint8, or None
        landmarks : (478, 3) float64, or None
            In pixels of the picture; None where there is no face.

        Returns
        -------
        (4,) float64
            NaN without a face; infinite for a frame that is passed over, until :meth:`finish`.
        """
        if image is None or landmarks is None:
            self._passed = self._every
            return _NOTHING
        self._passed += 1
        if self._passed < self._every:
            return _PASSED_OVER
        self._passed = 0
        import cv2  # noqa: PLC0415  (heavy; loaded when the first face is measured)

        matrix = crop_matrix(landmarks)
        crop = _grey_crop(image, matrix)
        small, inside = face_in_crop(crop, landmarks)
        skin = small[inside > 0]
        if not len(skin):
            return _NOTHING
        light = crop.astype(np.float32)
        near = cv2.blur(light, (_NEAR_PX, _NEAR_PX))
        self._crops.append(np.asarray(small, np.uint8))
        cells = cv2.resize(inside, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
        self._masks.append(np.asarray(cells, np.float64) / 255)
        return np.array(
            [
                float(np.median(skin)),
                clipped_share(skin),
                float((light - near).std()) / (float(light.std()) + 1.0),
                0.0,
            ]
        )

    def finish(self, rows: Sequence[FloatArray]) -> FloatArray:
        """Return the measures of a batch, one row of :meth:`of` for each frame: (n, 4) float64."""
        measures = np.array(rows, np.float64).reshape(-1, len(SURFACE_NAMES))
        looked_at = np.flatnonzero(np.isfinite(measures[:, 0]))
        if len(looked_at):
            crops, masks = np.array(self._crops), np.array(self._masks)
            measures[looked_at, 3] = covered_cells(crops, masks)
        for i in np.flatnonzero(np.isinf(measures[:, 0])):
            near = looked_at[np.abs(looked_at - i) < self._every]
            if len(near):
                measures[i] = (measures[near] * _WORSE_IF_LARGER).max(axis=0) * _WORSE_IF_LARGER
            else:
                measures[i] = _NOTHING
        self._crops, self._masks, self._passed = [], [], self._every
        return measures


def face_in_crop(crop: Image, landmarks: FloatArray) -> tuple[Image, Image]:
    """Return a face's crop made small, and where in it the face is.

    Parameters
    ----------
    crop : (160, 160) uint8
        Grey, as :func:`~duchenne.analysis.face.geometry.align.grey_crop` cuts it.
    landmarks : (478, 3) float64
        In pixels of the picture.

    Returns
    -------
    small, inside : (80, 80) uint8
        ``inside`` is 255 within the face's outline, else 0.
    """
    import cv2  # noqa: PLC0415  (heavy; loaded when the first face is measured)

    matrix = crop_matrix(landmarks)
    outline = landmarks[list(OUTLINE), :2] @ matrix[:, :2].T + matrix[:, 2]
    small = cv2.resize(crop, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA)
    inside = np.zeros((INPUT_PX, INPUT_PX), np.uint8)
    cv2.fillPoly(inside, [np.round(outline * (INPUT_PX / crop.shape[0])).astype(np.int32)], 255)
    return np.asarray(small, np.uint8), inside


def clipped_share(skin: Image) -> float:
    """Return the share of pixels that are black or white."""
    return float(((skin < _BLACK) | (skin > _WHITE)).mean())


def _grey_crop(image: Image, matrix: FloatArray) -> Image:
    """Return the aligned face in grey; only the part of the picture that is needed is converted."""
    import cv2  # noqa: PLC0415  (heavy; loaded when the first face is measured)

    back = cv2.invertAffineTransform(matrix)
    corners = _CORNERS @ back[:, :2].T + back[:, 2]
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0)) - 1, 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 2, 1, (width, height)).astype(int)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ np.array([left, top], np.float64)
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    crop = cv2.warpAffine(grey, shifted, (CROP_PX, CROP_PX), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


_CORNERS = np.array([[0, 0], [CROP_PX, 0], [0, CROP_PX], [CROP_PX, CROP_PX]], np.float64)
