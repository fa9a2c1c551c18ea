"""The shape of a face as a few numbers that tell persons apart, to test that it was not carried over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.frames import N_LANDMARKS

if TYPE_CHECKING:
    from duchenne.analysis.face.backends.base import AUBackend
    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray

EYES = (33, 263)
MAX_TURN_DEG = 15.0
# Points of the bones and of the nose, which expressions hardly move: outline, temples, eyes' corners,
# nose, and the points between brows and lids.
STABLE = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288),
    *(109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58),
    *(33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 129, 358),
)


class ShapeWitness:
    """An AU backend that hands on to another and takes note of the mean shape of the face.

    Only the sums are kept, no frame.

    Parameters
    ----------
    backend : AUBackend
    """

    def __init__(self, backend: AUBackend) -> None:
        self._backend = backend
        self.name = backend.name
        self.au_names: tuple[str, ...] = backend.au_names
        self.feature_names: tuple[str, ...] = backend.feature_names
        self.needs_images = backend.needs_images
        self.typical_neutral: FloatArray = backend.typical_neutral
        self.personal: BoolArray = backend.personal
        self.reliability: dict[str, float] = backend.reliability
        none = np.zeros(len(backend.au_names))
        self.resting_threshold: FloatArray = getattr(backend, "resting_threshold", none)
        self._sum = np.zeros((len(STABLE), 3))
        self._n = 0

    @property
    def shape(self) -> FloatArray | None:
        """Mean shape of the frontal frames: (n, 3), NaN-free; None where there were none."""
        return self._sum / self._n if self._n else None

    def features(self, frames: FaceFrames) -> FloatArray:
        """Return the other backend's features; take note of the shapes."""
        for shape in frontal_shapes(frames):
            self._sum += shape
            self._n += 1
        return self._backend.features(frames)

    def intensities(self, features: FloatArray, neutral: FloatArray) -> FloatArray:
        """Return the other backend's intensities."""
        return self._backend.intensities(features, neutral)


def frontal_shapes(frames: FaceFrames) -> list[FloatArray]:
    """Return the stable points of each frontal face, upright, in units of the eyes' distance.

    Returns
    -------
    list of (len(STABLE), 3) float64
    """
    shapes = []
    points = frames.landmarks.reshape(-1, N_LANDMARKS, 3)
    for i in range(len(frames)):
        pose = frames.pose_deg[i]
        if not np.isfinite(pose).all() or np.abs(pose[:2]).max() > MAX_TURN_DEG:
            continue
        face = points[i]
        upright = (face - face[list(EYES)].mean(axis=0)) * [1, -1, -1] @ frames.rotation[i]
        size = np.linalg.norm(face[EYES[1]] - face[EYES[0]])
        if size > 0 and np.isfinite(upright).all():
            shapes.append(upright[list(STABLE)] / size)
    return shapes


def shape_distance(first: FloatArray, second: FloatArray) -> float:
    """Return how far two shapes differ: RMS over the points, after the best shift, turn and scale.

    Parameters
    ----------
    first, second : (n, 3) float64
        Of :func:`frontal_shapes`.

    Returns
    -------
    float
        In units of the distance between the outer corners of the eyes; 0 for the same face.
    """
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    u, singular, vt = np.linalg.svd(a.T @ b)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn = u * sign @ vt
    scale = float((singular * sign).sum())
    unit = float(np.linalg.norm(first - first.mean(axis=0)) / np.sqrt(len(first)))
    return float(np.linalg.norm(a @ turn * scale - b)) * unit
