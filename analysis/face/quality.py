"""How well the face could be measured in each frame: ``confidence`` from 0 to 1, and ``usable``.

Confidence is the smallest of several shares, each 1 where the landmark network works well and falling
linearly to 0 where it does not: size of the face, turn of the head, share of the measured points inside
the picture, brightness, share of the face that is black or white, sharpness, share of the face that a
hand or a thing covers, and trembling of the landmarks. The landmark network guesses what it cannot see,
so a frame that is not usable is missing in every result, never 0. ``docs/reference/face-quality.md``
says how the limits were found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.surface import SURFACE_NAMES

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray

# Points of brows, eyes, nose and mouth that the measures need inside the picture.
_NEEDED = (
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(33, 133, 159, 145, 362, 263, 386, 374),
    *(1, 2, 129, 358),
    *(0, 13, 14, 17, 61, 291, 199),
)
# Points that no expression moves much: corners of the eyes, bridge of the nose, cheek bones.
_RIGID = (33, 133, 263, 362, 168, 6, 197, 234, 454)
# Between frames further apart than this, a turning head departs from a straight path by itself.
MAX_STEP_S = 0.06


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
    brightness : (none, full)
        Median grey of the face, 0 to 255.
    clipped : (full, none)
        Share of the face that is black or white.
    sharpness : (none, full)
        Fine contrast of the face divided by its contrast.
    covered : (full, none)
        Share of the face that something covers.
    trembling : (full, none)
        How far rigid points depart from a straight path within three frames, in eye distances.
    usable : float
        Confidence from which a frame is used.
    """

    eye_distance_px: tuple[float, float] = (20.0, 45.0)
    yaw_deg: tuple[float, float] = (25.0, 50.0)
    pitch_deg: tuple[float, float] = (25.0, 45.0)
    inside: tuple[float, float] = (0.85, 1.0)
    brightness: tuple[float, float] = (6.0, 16.0)
    clipped: tuple[float, float] = (0.05, 0.35)
    sharpness: tuple[float, float] = (0.012, 0.05)
    covered: tuple[float, float] = (0.02, 0.07)
    trembling: tuple[float, float] = (0.008, 0.03)
    usable: float = 0.5


DEFAULT_LIMITS = QualityLimits()


def confidence(frames: FaceFrames, limits: QualityLimits = DEFAULT_LIMITS) -> FloatArray:
    """Return how well each face could be measured.

    Returns
    -------
    (n,) float64
        0 to 1; 0 where no face was found. What was not measured (no picture, too few frames) does not
        count.
    """
    shares = np.column_stack([*shares_by_reason(frames, limits).values()])
    worst = np.min(np.where(np.isfinite(shares), shares, 1.0), axis=1)
    return np.where(frames.found, worst, 0.0)


def shares_by_reason(
    frames: FaceFrames, limits: QualityLimits = DEFAULT_LIMITS
) -> dict[str, FloatArray]:
    """Return what the confidence is the smallest of: for each reason (n,) float64, 0 to 1 or NaN."""
    points = frames.landmarks[:, list(_NEEDED), :2]
    width, height = frames.size_px[:, 0, None], frames.size_px[:, 1, None]
    within = (
        (points[..., 0] >= 0)
        & (points[..., 0] < width)
        & (points[..., 1] >= 0)
        & (points[..., 1] < height)
    )
    shares = {
        "size": _rise(eye_distance_px(frames), *limits.eye_distance_px),
        "yaw": 1 - _rise(np.abs(frames.pose_deg[:, 1]), *limits.yaw_deg),
        "pitch": 1 - _rise(np.abs(frames.pose_deg[:, 0]), *limits.pitch_deg),
        "inside": _rise(within.mean(axis=1), *limits.inside),
        "trembling": 1 - _rise(trembling(frames), *limits.trembling),
    }
    if frames.surface is not None:
        surface = dict(zip(SURFACE_NAMES, frames.surface.T, strict=True))
        shares |= {
            "brightness": _rise(surface["brightness"], *limits.brightness),
            "clipped": 1 - _rise(surface["clipped"], *limits.clipped),
            "sharpness": _rise(surface["sharpness"], *limits.sharpness),
            "covered": 1 - _rise(surface["covered"], *limits.covered),
        }
    return shares


def usable(
    frames: FaceFrames, confidences: FloatArray, limits: QualityLimits = DEFAULT_LIMITS
) -> BoolArray:
    """Return which frames are measured; all others are NaN in every result: (n,) bool."""
    return np.asarray(frames.found & (confidences >= limits.usable), np.bool_)


def eye_distance_px(frames: FaceFrames) -> FloatArray:
    """Return the distance between the outer corners of the eyes: (n,) float64."""
    eyes = frames.landmarks[:, 263] - frames.landmarks[:, 33]
    return np.asarray(np.linalg.norm(eyes, axis=1), np.float64)


def trembling(frames: FaceFrames) -> FloatArray:
    """Return how far rigid points depart from a straight path, in eye distances: (n,) float64.

    The median over the points of half the second difference between consecutive frames, once the
    movement of the head as a whole in the picture is taken out. NaN in the first and last frame of the
    batch, beside a frame without a face, at fewer than 17 frames per second, and in pictures that have
    nothing to do with each other.
    """
    measure = np.full(len(frames), np.nan)
    if len(frames) < 3 or frames.still:
        return measure
    points = frames.landmarks[:, list(_RIGID), :2]
    points = (points - points.mean(axis=1, keepdims=True)) / eye_distance_px(frames)[:, None, None]
    bend = points[1:-1] - (points[:-2] + points[2:]) / 2
    is_dense = np.abs(np.diff(frames.time_s)) <= MAX_STEP_S
    known = is_dense[1:] & is_dense[:-1]
    measure[1:-1] = np.where(known, np.median(np.hypot(bend[..., 0], bend[..., 1]), axis=1), np.nan)
    return measure


def _rise(values: FloatArray, low: float, high: float) -> FloatArray:
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0), np.float64)
