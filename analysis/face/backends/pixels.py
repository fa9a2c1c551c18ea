"""What the student sees: the grey crop of a face, brought to the size that it was trained with.

The training pictures were made from the same grey crops, stored smaller, and shrunk once more when they were
shown to the network. Both steps are repeated here, number by number, without the training's libraries.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.geometry.align import grey_crop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FaceFrames, Image


def student_input(crop: Image, stored_px: int, input_px: int) -> NDArray[np.float32]:
    """Return a grey crop as the network wants it.

    Parameters
    ----------
    crop : (160, 160) uint8
        Of :func:`duchenne.analysis.face.geometry.align.grey_crop`.
    stored_px : int
        Side of the pictures in the prepared set that the network was trained on.
    input_px : int
        Side of what the network sees.

    Returns
    -------
    (input_px, input_px) float32
        0 (black) to 1 (white).
    """
    import cv2  # noqa: PLC0415  (heavy; loaded when the first face is measured)

    picture = crop
    if crop.shape[0] != stored_px:
        picture = np.asarray(
            cv2.resize(crop, (stored_px, stored_px), interpolation=cv2.INTER_AREA), np.uint8
        )
    light = picture.astype(np.float32) / np.float32(255)
    if stored_px == input_px:
        return light
    weights = resize_weights(stored_px, input_px)
    return np.asarray(weights @ light @ weights.T, np.float32)


@cache
def resize_weights(from_px: int, to_px: int) -> NDArray[np.float32]:
    """Return the matrix that resizes one side of a picture, (to_px, from_px).

    A triangle filter, widened where the picture becomes smaller so that nothing is skipped; its weights at
    the rim sum to 1. This is what training calls bilinear with anti-aliasing.
    """
    scale = from_px / to_px
    width = max(scale, 1.0)
    middles = (np.arange(to_px) + 0.5) * scale
    away = (np.arange(from_px) + 0.5 - middles[:, None]) / width
    weights = np.maximum(1.0 - np.abs(away), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def grey_crops(frames: FaceFrames) -> tuple[list[int], list[Image]]:
    """Return which frames show a face (landmarks and a picture), and their grey crops of 160 px."""
    rows, crops = [], []
    for i in np.flatnonzero(frames.found):
        image = frames.images[i] if i < len(frames.images) else None
        if image is not None and bool(np.isfinite(frames.landmarks[i]).all()):
            rows.append(int(i))
            crops.append(grey_crop(image, frames.landmarks[i]))
    return rows, crops


def student_inputs(crops: Sequence[Image], stored_px: int, input_px: int) -> NDArray[np.float32]:
    """Return :func:`student_input` of each crop: (k, 1, input_px, input_px) float32."""
    pictures = np.empty((len(crops), 1, input_px, input_px), np.float32)
    for place, crop in enumerate(crops):
        pictures[place, 0] = student_input(crop, stored_px, input_px)
    return pictures
