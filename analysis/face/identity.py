"""Who the participant is among the faces of a film, and whether a face found again is the same one.

Nothing but place, size and proportions is compared; no embedding of a face is made. The participant is
the largest and most central face of the first second. Two faces of one person photographed from the front
differ in proportions by 0.018 (median; 95 % below 0.029), two persons by 0.044 (95 % above 0.025), measured
on 51 persons; strong expressions and turned heads move the proportions as much as another person's do, so
that place and size are asked first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.face.frames import FloatArray

# A face that moves by more than this share of its size, or grows or shrinks by more than this factor,
# from one frame to the next, is another face.
MAX_JUMP = 1.0
MAX_GROWTH = 1.6
# Difference in proportions up to which a face is taken for the participant's: at the old place and size,
# and elsewhere.
SAME_PLACE_LIMIT = 0.07
ELSEWHERE_LIMIT = 0.035
# A face this far from the middle (in half diagonals) counts half as large as one in the middle.
_EDGE_SHARE = 0.5
# Corners of the eyes, bridge, tip and base of the nose, cheek bones, forehead and chin.
_POINTS = (33, 263, 133, 362, 168, 6, 4, 2, 127, 356, 234, 454, 10, 151, 9, 152)
_PAIRS = np.array(list(combinations(_POINTS, 2)))
# Proportions are remembered for each direction of the head, in steps of this many degrees.
_DIRECTION_DEG = 12.0
_MEMORY = 0.05


def box_of(points: FloatArray) -> FloatArray:
    """Return centre x, centre y and size of a face, in the unit of its points: (3,)."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.array([*(low + high) / 2, float(np.max(high - low))])


def jumps(boxes: FloatArray, last: FloatArray) -> FloatArray:
    """Return how far faces are from a place, in the size of the face there; infinite if grown too much.

    Parameters
    ----------
    boxes : (n, 3) float64
    last : (3,) float64
        Centre x, centre y, size.
    """
    distance = np.hypot(*(boxes[:, :2] - last[:2]).T) / last[2]
    growth = np.abs(np.log(boxes[:, 2] / last[2]))
    return np.where(growth > np.log(MAX_GROWTH), np.inf, distance)


def prominence(boxes: FloatArray, size_px: tuple[float, float]) -> FloatArray:
    """Return how large and central faces are: size in pixels, up to halved towards the corners: (n,)."""
    middle = np.array(size_px) / 2
    off = np.hypot(*(boxes[:, :2] - middle).T) / np.hypot(*middle)
    return np.asarray(boxes[:, 2] * (1 - _EDGE_SHARE * np.clip(off, 0, 1)), np.float64)


def choose(looks: Sequence[FloatArray], size_px: tuple[float, float]) -> FloatArray | None:
    """Return the place of the most prominent face (by its area) over several looks at a film's beginning.

    Parameters
    ----------
    looks : sequence of (n, 3) float64
        The faces of each picture looked at.
    size_px : (width, height)

    Returns
    -------
    (3,) float64 or None
        Where the face is when it is first seen; None where there is no face.
    """
    first: list[FloatArray] = []
    last: list[FloatArray] = []
    votes: list[float] = []
    for boxes in looks:
        worth = prominence(boxes, size_px) ** 2
        for box, vote in zip(boxes, worth, strict=True):
            near = [float(jumps(box[None], known)[0]) for known in last]
            if near and min(near) <= MAX_JUMP:
                k = int(np.argmin(near))
                last[k], votes[k] = box, votes[k] + float(vote)
            else:
                first.append(box)
                last.append(box)
                votes.append(float(vote))
    return first[int(np.argmax(votes))] if votes else None


def proportions(landmarks: FloatArray) -> FloatArray:
    """Return logarithms of the distances between rigid points, without the size: (120,) float64.

    Parameters
    ----------
    landmarks : (478, 3) float64
    """
    ends = landmarks[_PAIRS]
    lengths = np.log(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1) + 1e-9)
    return np.asarray(lengths - lengths.mean(), np.float64)


@dataclass
class Likeness:
    """The participant's proportions, remembered for each direction of the head."""

    _known: dict[tuple[int, int], FloatArray] = field(default_factory=dict)

    def learn(self, landmarks: FloatArray, pose_deg: FloatArray) -> None:
        """Take in one more frame of the participant."""
        key = _direction(pose_deg)
        seen = proportions(landmarks)
        known = self._known.get(key)
        self._known[key] = seen if known is None else known + _MEMORY * (seen - known)

    def difference(self, landmarks: FloatArray, pose_deg: FloatArray) -> float:
        """Return the root mean square difference from what is known in the nearest direction.

        NaN where nothing is known.
        """
        if not self._known:
            return np.nan
        key = _direction(pose_deg)
        nearest = min(self._known, key=lambda k: (k[0] - key[0]) ** 2 + (k[1] - key[1]) ** 2)
        return float(np.sqrt(np.mean((proportions(landmarks) - self._known[nearest]) ** 2)))


def _direction(pose_deg: FloatArray) -> tuple[int, int]:
    pitch, yaw = (round(float(angle) / _DIRECTION_DEG) for angle in pose_deg[:2])
    return pitch, yaw
