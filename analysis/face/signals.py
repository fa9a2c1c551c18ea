"""What the temporal measures read from each frame besides Action Units: eyes, lips and head."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.cues import frontalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray

# Points of the upper lid and, in the same order, of the lower lid; the participant's own sides.
_UPPER_LID = {"L": (385, 386, 387), "R": (158, 159, 160)}
_LOWER_LID = {"L": (380, 374, 373), "R": (153, 145, 144)}
_EYE_CORNERS = {"L": (263, 362), "R": (33, 133)}
_UPPER_INNER_LIP, _LOWER_INNER_LIP = (82, 13, 312), (87, 14, 317)
_MOUTH_CORNERS = (61, 291)


@dataclass(frozen=True)
class FaceSignals:
    """Distances on the face and the pose of the head, one value per frame, NaN where not measured.

    Parameters
    ----------
    eye_left, eye_right : (n,) float64
        Distance between the lids, in units of that eye's width; about 0.3 open, below 0.1 shut.
    lip_gap : (n,) float64
        Distance between the inner edges of the lips, in units of the outer eye-corner distance;
        0 when closed.
    mouth_width : (n,) float64
        Distance between the corners of the mouth, in the same unit.
    pose_deg : (n, 3) float64
        Pitch, yaw and roll of the head, degrees.
    """

    eye_left: FloatArray
    eye_right: FloatArray
    lip_gap: FloatArray
    mouth_width: FloatArray
    pose_deg: FloatArray

    def __len__(self) -> int:
        return len(self.lip_gap)

    @classmethod
    def of(cls, frames: FaceFrames) -> FaceSignals:
        """Return the signals of a batch of tracked frames."""
        mesh = frontalise(frames)
        height = mesh[..., 1]
        eyes = {}
        for side in "LR":
            opening = height[:, _UPPER_LID[side]] - height[:, _LOWER_LID[side]]
            outer, inner = _EYE_CORNERS[side]
            width = np.linalg.norm(mesh[:, outer] - mesh[:, inner], axis=1)
            eyes[side] = opening.mean(axis=1) / width
        lips = height[:, _UPPER_INNER_LIP] - height[:, _LOWER_INNER_LIP]
        right, left = _MOUTH_CORNERS
        return cls(
            eye_left=eyes["L"],
            eye_right=eyes["R"],
            lip_gap=lips.mean(axis=1),
            mouth_width=np.linalg.norm(mesh[:, left] - mesh[:, right], axis=1),
            pose_deg=frames.pose_deg,
        )

    @classmethod
    def joined(cls, parts: Sequence[FaceSignals]) -> FaceSignals:
        """Return the signals of consecutive batches as one."""
        if not parts:
            none = np.zeros(0)
            return cls(none, none, none, none, np.zeros((0, 3)))
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def where(self, usable: BoolArray) -> FaceSignals:
        """Return the same with NaN in frames that are not usable."""
        return FaceSignals(
            *(
                np.where(usable if values.ndim == 1 else usable[:, None], values, np.nan)
                for values in (getattr(self, f.name) for f in fields(self))
            )
        )
