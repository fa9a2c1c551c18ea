"""Tracked faces as a system sees them: aligned squares, normalised as it was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.training.alignment import ALIGNMENTS, from_mesh, warped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FaceFrames, Image

EYES = "eyes"
"""Alignment of rendered training sets: grey, the eyes at fixed places (see ``face/geometry/align.py``)."""


def squares(
    faces: FaceFrames, rows: NDArray[np.intp], alignment: str, px: int
) -> NDArray[np.uint8]:
    """Return the aligned faces of some frames.

    Parameters
    ----------
    faces : FaceFrames
        With its images.
    rows : (m,) int
        Frames in which a face was found and whose picture is there.
    alignment : str
        Name of an alignment, or ``eyes``; ``crop`` for one that is not known.
    px : int

    Returns
    -------
    (m, px, px, 3) uint8
        RGB.
    """
    found = np.zeros((len(rows), px, px, 3), np.uint8)
    points = from_mesh(faces.landmarks[rows])
    for i, row in enumerate(rows):
        image = faces.images[row]
        assert image is not None
        if alignment == EYES:
            found[i] = _eyes(image, faces.landmarks[row], px)
        else:
            how = ALIGNMENTS.get(alignment, ALIGNMENTS["crop"])
            found[i] = warped(image, how.matrix(points[i], px), px, how.fill)
    return found


def _eyes(image: Image, landmarks: NDArray[np.float64], px: int) -> NDArray[np.uint8]:
    import cv2  # noqa: PLC0415 (heavy)

    from duchenne.analysis.face.geometry.align import grey_crop  # noqa: PLC0415

    grey = cv2.resize(grey_crop(image, landmarks), (px, px), interpolation=cv2.INTER_AREA)
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)
