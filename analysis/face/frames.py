"""A batch of video frames with what the face tracker found in them: the input of every AU backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
Image: TypeAlias = NDArray[np.uint8]

N_LANDMARKS = 478
N_BLENDSHAPES = 52

# Landmarks whose mean positions fix an aligned crop: the corners of the right eye, of the left
# eye, and the base of the nose. "Right" and "left" are the participant's own.
_RIGHT_EYE = (33, 133)
_LEFT_EYE = (263, 362)
_NOSE = (2, 168)
_CROP_TARGETS = np.array([[0.32, 0.37], [0.68, 0.37], [0.5, 0.475]])


@dataclass(frozen=True)
class FaceFrames:
    """Tracked faces of consecutive frames, one row per frame, NaN where no face was found.

    A backend takes what it needs: landmarks and blendshapes are always there, pixels come as
    aligned crops made only when they are asked for.

    Parameters
    ----------
    frame : (n,) int64
        Index of the frame in its video, from 0.
    time_s : (n,) float64
        Time of the frame on the caller's clock, in seconds.
    size_px : (n, 2) float64
        Width and height of the image.
    landmarks : (n, 478, 3) float64
        MediaPipe's face mesh in pixels: x to the right, y down, z away from the camera, on the
        same scale as x.
    blendshapes : (n, 52) float64
        MediaPipe's blendshape scores, 0 to 1, in the order of ``blendshape_names``.
    rotation : (n, 3, 3) float64
        Rotation of the head: takes head coordinates (x to the image's right, y up, z towards the
        camera) to camera coordinates.
    pose_deg : (n, 3) float64
        Pitch (up is positive), yaw (to the participant's left is positive), roll (the head tilts
        to the participant's right is positive), in degrees.
    images : sequence of (height, width, 3) uint8 arrays, or None where not readable
        The RGB frames themselves, kept only as long as this batch.
    surface : (n, 4) float64, optional
        What the picture of the face is like, in the order of
        :data:`duchenne.analysis.face.surface.SURFACE_NAMES`; NaN where no face was found.
    still : bool
        The frames are pictures that have nothing to do with each other.
    """

    frame: NDArray[np.int64]
    time_s: FloatArray
    size_px: FloatArray
    landmarks: FloatArray
    blendshapes: FloatArray
    rotation: FloatArray
    pose_deg: FloatArray
    images: Sequence[Image | None] = ()
    surface: FloatArray | None = None
    still: bool = False

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def found(self) -> BoolArray:
        """Return, for each frame, whether a face was found: (n,) bool."""
        return np.isfinite(self.landmarks[:, 0, 0])

    def crops(self, size_px: int = 224) -> Image:
        """Return faces rotated, scaled and shifted so that eyes and nose lie at fixed places.

        Parameters
        ----------
        size_px : int
            Side of the square crops.

        Returns
        -------
        (n, size_px, size_px, 3) uint8
            RGB crops; black where no face was found.
        """
        import cv2  # noqa: PLC0415  (heavy; backends without pixels never need it)

        crops = np.zeros((len(self), size_px, size_px, 3), np.uint8)
        for i in np.flatnonzero(self.found):
            image = self.images[i]
            if image is not None:
                crops[i] = cv2.warpAffine(
                    image,
                    _similarity(self.landmarks[i, :, :2], size_px),
                    (size_px, size_px),
                    flags=cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_REPLICATE,
                )
        return crops


def _similarity(landmarks: FloatArray, size_px: int) -> FloatArray:
    """Return the 2×3 matrix of the least-squares similarity from a face to its aligned crop."""
    source = np.stack([landmarks[list(p)].mean(axis=0) for p in (_RIGHT_EYE, _LEFT_EYE, _NOSE)])
    target = _CROP_TARGETS * size_px
    source_0, target_0 = source - source.mean(axis=0), target - target.mean(axis=0)
    u, singular, vt = np.linalg.svd(source_0.T @ target_0)
    flip = np.array([1.0, np.sign(np.linalg.det(vt.T @ u.T))])
    rotation = vt.T @ np.diag(flip) @ u.T
    scale = (singular * flip).sum() / (source_0**2).sum()
    shift = target.mean(axis=0) - scale * rotation @ source.mean(axis=0)
    return np.column_stack([scale * rotation, shift])
