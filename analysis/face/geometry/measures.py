"""Everything that is measured on a face before the network: one row of numbers per frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.cues import CUE_NAMES, landmark_cues
from duchenne.analysis.face.frames import N_LANDMARKS
from duchenne.analysis.face.geometry.align import align_meshes
from duchenne.analysis.face.geometry.texture import REGIONS, contrasts
from duchenne.analysis.face.landmarks import BLENDSHAPE_NAMES

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import FaceFrames, FloatArray

# MediaPipe's outputs that are constant are left out.
_DEAD = ("_neutral", "cheekSquint", "noseSneer")
LIVE_BLENDSHAPES = tuple(i for i, name in enumerate(BLENDSHAPE_NAMES) if not name.startswith(_DEAD))
POSE_UNIT_DEG = 20.0


N_MEASURES = 3 + len(LIVE_BLENDSHAPES) + len(CUE_NAMES) + 3 * N_LANDMARKS + len(REGIONS)


def measures(frames: FaceFrames, reference: FloatArray) -> FloatArray:
    """Measure a batch of faces.

    Parameters
    ----------
    frames : FaceFrames
        With their pictures.
    reference : (478, 3) float64
        Mesh that the faces are aligned with.

    Returns
    -------
    (n, 1519) float64
        Head pose in units of 20 degrees, live blendshapes, distances on the face, coordinates of the
        aligned mesh, fine contrast of the skin. NaN where no face was found.
    """
    return join_measures(frames, contrasts(frames.images, frames.landmarks), reference)


def join_measures(frames: FaceFrames, contrast: FloatArray, reference: FloatArray) -> FloatArray:
    """Return the measures of faces whose fine contrast is known: (n, 1519) float64."""
    mesh = align_meshes(frames.landmarks, reference)
    return np.column_stack(
        [
            frames.pose_deg / POSE_UNIT_DEG,
            frames.blendshapes[:, list(LIVE_BLENDSHAPES)],
            landmark_cues(frames),
            mesh.reshape(len(frames), -1),
            contrast,
        ]
    )
