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
# Added to the scores before their log-odds, so that what is nearly 0 is not minus infinity.
_LEAST_SCORE = 0.003

# Where each kind of measure lies in a row.
_SIZES = {
    "pose": 3,
    "blendshapes": len(LIVE_BLENDSHAPES),
    "distances": len(CUE_NAMES),
    "mesh": 3 * N_LANDMARKS,
    "contrast": len(REGIONS),
    "log_odds": len(LIVE_BLENDSHAPES),
}
N_MEASURES = sum(_SIZES.values())
_ENDS = np.cumsum(list(_SIZES.values()))
BLOCKS = {
    name: slice(int(end) - size, int(end))
    for (name, size), end in zip(_SIZES.items(), _ENDS, strict=True)
}


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
    (n, 1566) float64
        Head pose in units of 20 degrees, live blendshapes, distances on the face, coordinates of the
        aligned mesh, fine contrast of the skin, log-odds of the blendshapes (which tell faint
        actions apart that the scores put close to 0). NaN where no face was found.
    """
    return join_measures(frames, contrasts(frames.images, frames.landmarks), reference)


def join_measures(frames: FaceFrames, contrast: FloatArray, reference: FloatArray) -> FloatArray:
    """Return the measures of faces whose fine contrast is known: (n, 1566) float64."""
    mesh = align_meshes(frames.landmarks, reference)
    scores = frames.blendshapes[:, list(LIVE_BLENDSHAPES)]
    return np.column_stack(
        [
            frames.pose_deg / POSE_UNIT_DEG,
            scores,
            landmark_cues(frames),
            mesh.reshape(len(frames), -1),
            contrast,
            log_odds(scores),
        ]
    )


def log_odds(scores: FloatArray) -> FloatArray:
    """Return the log-odds of scores from 0 to 1, between about −6 and 6."""
    return np.asarray(np.log((scores + _LEAST_SCORE) / (1.0 - scores + _LEAST_SCORE)), np.float64)


def measure_names() -> tuple[str, ...]:
    """Return the names of the measures, in their order."""
    shapes = [BLENDSHAPE_NAMES[i] for i in LIVE_BLENDSHAPES]
    return (
        *("pose_pitch", "pose_yaw", "pose_roll"),
        *shapes,
        *CUE_NAMES,
        *(f"mesh_{i:04d}" for i in range(3 * N_LANDMARKS)),
        *(f"contrast_{region}" for region in REGIONS),
        *(f"log_odds_{name}" for name in shapes),
    )
