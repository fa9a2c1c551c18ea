"""How well the face could be measured in each frame: ``confidence`` from 0 to 1, and ``usable``.

Confidence is the smallest of three shares, each 1 where the landmark network works well and
falling linearly to 0 where it does not: size of the face, turn of the head, and share of the
measured points inside the picture. Blur, darkness and a hand before the face are not judged here:
the landmark network guesses what it cannot see, so such frames must be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray

# Points of brows, eyes, nose and mouth that the measures need inside the picture.
_NEEDED = (
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(33, 133, 159, 145, 362, 263, 386, 374),
    *(1, 2, 129, 358),
    *(0, 13, 14, 17, 61, 291, 199),
)


@dataclass(frozen=True)
class QualityLimits:
    """Where the confidence is full and where it ends.

    Parameters
    ----------
    eye_distance_px : (none, full)
        Distance between the outer corners of the eyes, in pixels of the picture.
    yaw_deg, pitch_deg : (full, none)
        Turn away from the camera, and up or down from the resting pitch of 0.
    inside : (none, full)
        Share of the needed points inside the picture.
    usable : float
        Confidence from which a frame is used.
    """

    eye_distance_px: tuple[float, float] = (20.0, 45.0)
    yaw_deg: tuple[float, float] = (25.0, 50.0)
    pitch_deg: tuple[float, float] = (25.0, 45.0)
    inside: tuple[float, float] = (0.85, 1.0)
    usable: float = 0.5


DEFAULT_LIMITS = QualityLimits()


def confidence(frames: FaceFrames, limits: QualityLimits = DEFAULT_LIMITS) -> FloatArray:
    """Return how well each face could be measured.

    Returns
    -------
    (n,) float64
        0 to 1; 0 where no face was found.
    """
    points = frames.landmarks[:, list(_NEEDED), :2]
    width, height = frames.size_px[:, 0, None], frames.size_px[:, 1, None]
    within = (
        (points[..., 0] >= 0)
        & (points[..., 0] < width)
        & (points[..., 1] >= 0)
        & (points[..., 1] < height)
    )
    eyes = frames.landmarks[:, 263, :] - frames.landmarks[:, 33, :]
    shares = np.column_stack(
        [
            _rise(np.linalg.norm(eyes, axis=1), *limits.eye_distance_px),
            1 - _rise(np.abs(frames.pose_deg[:, 1]), *limits.yaw_deg),
            1 - _rise(np.abs(frames.pose_deg[:, 0]), *limits.pitch_deg),
            _rise(within.mean(axis=1), *limits.inside),
        ]
    )
    return np.where(frames.found, np.nan_to_num(shares.min(axis=1)), 0.0)


def usable(
    frames: FaceFrames, confidences: FloatArray, limits: QualityLimits = DEFAULT_LIMITS
) -> BoolArray:
    """Return which frames are measured; all others are NaN in every result: (n,) bool."""
    return np.asarray(frames.found & (confidences >= limits.usable), np.bool_)


def _rise(values: FloatArray, low: float, high: float) -> FloatArray:
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0), np.float64)
