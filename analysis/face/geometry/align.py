"""Face meshes and grey crops brought into one place, size and direction.

Reference
---------
Umeyama (1991), Least-squares estimation of transformation parameters between two point patterns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import FloatArray, Image

# Points that no Action Unit moves much: eye corners, bridge and base of the nose, temples.
STABLE_POINTS = (
    *(33, 133, 362, 263),
    *(168, 6, 197, 195, 5, 4, 1, 2),
    *(127, 356, 234, 454, 162, 389, 93, 323),
)
_RIGHT_EYE, _LEFT_EYE = (33, 133), (263, 362)
CROP_PX = 160
# Where the middle between the eyes lies in the crop, and how far they are apart, in crop sides.
_EYES_AT = np.array([0.5, 0.38])
_EYES_APART = 0.40


def align_meshes(landmarks: FloatArray, reference: FloatArray) -> FloatArray:
    """Return meshes turned, scaled and shifted onto a reference by their stable points.

    Parameters
    ----------
    landmarks : (n, 478, 3) float64
        MediaPipe's mesh in pixels (x to the right, y down, z away from the camera).
    reference : (478, 3) float64
        Mesh in the unit and direction wanted (y up, z towards the camera).

    Returns
    -------
    (n, 478, 3) float64
        In the unit of the reference; NaN where the landmarks are.
    """
    points = landmarks * np.array([1.0, -1.0, -1.0])
    found = np.isfinite(points).all(axis=(1, 2))
    points = np.where(found[:, None, None], points, reference)
    stable, target = points[:, list(STABLE_POINTS)], reference[list(STABLE_POINTS)]
    middle, target_middle = stable.mean(axis=1, keepdims=True), target.mean(axis=0)
    stable, target = stable - middle, target - target_middle
    u, singular, vt = np.linalg.svd(np.einsum("nki,kj->nij", stable, target))
    flip = np.ones((len(points), 3))
    flip[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation = (u * flip[:, None, :]) @ vt
    scale = (singular * flip).sum(axis=1) / (stable**2).sum(axis=(1, 2))
    aligned = scale[:, None, None] * ((points - middle) @ rotation) + target_middle
    return np.where(found[:, None, None], aligned, np.nan)


def crop_matrix(landmarks: FloatArray) -> FloatArray:
    """Return the 2×3 matrix that brings the eyes of one face to their places in the crop.

    Parameters
    ----------
    landmarks : (478, 3) float64
        In pixels of the picture.
    """
    right, left = (landmarks[list(p), :2].mean(axis=0) for p in (_RIGHT_EYE, _LEFT_EYE))
    across = left - right
    distance = max(float(np.hypot(*across)), 1e-6)
    cosine, sine = (_EYES_APART * CROP_PX / distance) * (across / distance)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    return np.column_stack([turn, _EYES_AT * CROP_PX - turn @ ((left + right) / 2)])


def grey_crop(image: Image, landmarks: FloatArray) -> Image:
    """Return one face as a grey picture of 160 px with the eyes at fixed places.

    Parameters
    ----------
    image : (height, width, 3) uint8
        RGB.
    landmarks : (478, 3) float64
        In pixels of the picture.
    """
    import cv2  # noqa: PLC0415  (heavy; loaded when the first face is measured)

    crop = cv2.warpAffine(
        image, crop_matrix(landmarks), (CROP_PX, CROP_PX), borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)
