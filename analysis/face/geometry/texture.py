"""Fine wrinkles in regions that are fixed to the face mesh.

Brightness is taken as its logarithm and only what is finer than 1.5 px of the crop counts, so that
neither the exposure nor the side that the light comes from matters much. Landmarks do not see folds of
the skin: the glabella's of AU04, the nose's of AU09, the forehead's of AU01 and AU02, the chin's of AU17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.geometry.align import crop_matrix, grey_crop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FloatArray, Image

# Regions whose fine contrast is measured: landmark indices (R and L: the participant's sides).
REGIONS: dict[str, tuple[int, ...]] = {
    "forehead_middle": (151, 108, 337, 9),
    "forehead_R": (69, 104, 67, 103),
    "forehead_L": (299, 333, 297, 332),
    "glabella": (9, 8, 107, 336, 55, 285),
    "nose_root": (168, 6, 122, 351, 193, 417),
    "nose_side_R": (236, 198, 131, 49),
    "nose_side_L": (456, 420, 360, 279),
    "eye_corner_R": (226, 113, 124, 35, 143, 111),
    "eye_corner_L": (446, 342, 353, 265, 372, 340),
    "under_eye_R": (229, 230, 231, 118, 119),
    "under_eye_L": (449, 450, 451, 347, 348),
    "nasolabial_R": (203, 206, 216, 36, 92),
    "nasolabial_L": (423, 426, 436, 266, 322),
    "mouth_corner_R": (57, 186, 212, 43),
    "mouth_corner_L": (287, 410, 432, 273),
    "upper_lip": (164, 37, 267, 0),
    "lower_lip": (17, 84, 314, 16),
    "chin": (199, 200, 18, 175, 201, 421, 208, 428),
}
# Brightness added before the logarithm, so that noise in the dark counts little.
_FLOOR = 12.0
_FINE_PX = 1.5
# Added before the logarithm of the contrast, so that smooth skin is not minus infinity.
_LEAST = 0.005


def contrast(crop: Image, points: FloatArray) -> FloatArray:
    """Return the fine contrast of each region of one face.

    Parameters
    ----------
    crop : (160, 160) uint8
        Grey picture of :func:`duchenne.analysis.face.geometry.align.grey_crop`.
    points : (478, 2) float64
        The mesh in pixels of the crop.

    Returns
    -------
    (18,) float64
        In the order of ``REGIONS``: logarithm of the mean absolute difference between the logarithm of
        brightness and its mean over a neighbourhood of 1.5 px.
    """
    import cv2  # noqa: PLC0415  (heavy; loaded when the first face is measured)

    light = np.asarray(cv2.LUT(crop, _LOGARITHMS), np.float32)
    difference = np.abs(light - cv2.GaussianBlur(light, (7, 7), _FINE_PX))
    fine = np.asarray(cv2.blur(difference, (7, 7)), np.float32)
    values = np.log(_sample(fine, points[_REGION_POINTS]) + _LEAST)
    return np.asarray(np.add.reduceat(values, _REGION_STARTS) / _REGION_SIZES, np.float64)


def contrasts(images: Sequence[Image | None], landmarks: FloatArray) -> FloatArray:
    """Return :func:`contrast` of each face in its picture: (n, 18) float64; NaN without a face."""
    rows = np.full((len(landmarks), len(REGIONS)), np.nan)
    for i, (image, points) in enumerate(zip(images, landmarks, strict=True)):
        if image is not None and np.isfinite(points).all():
            rows[i] = contrast(grey_crop(image, points), points_in_crop(points))
    return rows


def points_in_crop(landmarks: FloatArray) -> FloatArray:
    """Return where the landmarks of one face lie in its crop: (478, 2), in pixels."""
    matrix = crop_matrix(landmarks)
    return np.asarray(landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2], np.float64)


def _sample(field: NDArray[np.float32], points: FloatArray) -> FloatArray:
    """Return the values of a picture between its pixels; beyond its rim, those of the rim."""
    import cv2  # noqa: PLC0415  (heavy; loaded when the first face is measured)

    x, y = np.ascontiguousarray(points.T, np.float32)
    values = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, np.float64).ravel()


_LOGARITHMS = np.log(np.arange(256, dtype=np.float32) + np.float32(_FLOOR))
_REGION_POINTS = np.concatenate([np.array(points) for points in REGIONS.values()])
_REGION_SIZES = np.array([len(points) for points in REGIONS.values()])
_REGION_STARTS = np.concatenate([[0], np.cumsum(_REGION_SIZES)[:-1]])
