"""Finds hands and other things before a face: a small convolutional network on its grey picture.

The network sees 80 × 80 pixels of the aligned face and tells for each of 10 × 10 cells whether something
covers it. It was trained on rendered and photographed faces onto which drawn hands and things were pasted
(``tests/benchmarks/occlusion_train.py``); hair, beards and glasses were added as what does not count.
"""

from __future__ import annotations

import base64
import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FloatArray, Image

    Weights = dict[str, NDArray[np.float32]]

INPUT_PX = 80
CELLS = 10
_MODEL = "occlusion_model.json"
# The brightness of this part of the picture is brought to mean 0 and variance 1.
_NORM = (slice(16, 72), slice(14, 66))
_FLOOR, _LEAST = 12.0, 0.1
_STRIDES = (2, 2, 2, 1, 1)


def covered_cells(crops: Image, inside: FloatArray) -> FloatArray:
    """Return the share of each face that is covered.

    Parameters
    ----------
    crops : (n, 80, 80) uint8
        Grey pictures of aligned faces.
    inside : (n, 10, 10) float64
        How much of each cell lies within the face's outline, 0 to 1.

    Returns
    -------
    (n,) float64
        0 to 1; NaN where there is no model.
    """
    weights = _weights()
    if weights is None:
        return np.full(len(crops), np.nan)
    face = inside > 0.5
    hidden = (probabilities(crops, weights) > 0.5) & face
    return np.asarray(hidden.sum((1, 2)) / np.maximum(face.sum((1, 2)), 1), np.float64)


def probabilities(crops: Image, weights: Weights) -> NDArray[np.float32]:
    """Return the probability that a cell is covered: (n, 10, 10) float32."""
    light = np.log(crops.astype(np.float32) + np.float32(_FLOOR))
    part = light[:, _NORM[0], _NORM[1]]
    mean = part.mean((1, 2), keepdims=True)
    values = ((light - mean) / (part.std((1, 2), keepdims=True) + np.float32(_LEAST)))[..., None]
    for i, stride in enumerate(_STRIDES):
        values = _convolve(values, weights[f"conv{i}"], weights[f"bias{i}"], stride)
    whole = np.maximum(values.mean((1, 2)) @ weights["whole"] + weights["whole_bias"], 0)
    n, height, width, _ = values.shape
    whole = np.broadcast_to(whole[:, None, None, :], (n, height, width, whole.shape[1]))
    hidden = np.concatenate([values, whole], axis=3) @ weights["hidden"] + weights["hidden_bias"]
    output = np.maximum(hidden, 0) @ weights["output"] + weights["output_bias"]
    return np.asarray(1 / (1 + np.exp(-output[..., 0])), np.float32)


def _convolve(
    values: NDArray[np.float32],
    kernel: NDArray[np.float32],
    bias: NDArray[np.float32],
    stride: int,
) -> NDArray[np.float32]:
    """Return a 3 × 3 convolution with a rim of zeros, followed by a rectifier."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = values.shape[1], values.shape[2]
    taps = [
        padded[:, y : y + height : stride, x : x + width : stride]
        for y in range(3)
        for x in range(3)
    ]
    patches = np.concatenate(taps, axis=3)
    return np.asarray(np.maximum(patches @ kernel + bias, 0), np.float32)


@cache
def _weights() -> Weights | None:
    file = files(__package__).joinpath(_MODEL)
    if not file.is_file():
        return None
    table: dict[str, Any] = json.loads(file.read_text("utf-8"))["weights"]
    return {
        name: np.frombuffer(base64.b64decode(row["data"]), "<f2")
        .reshape(row["shape"])
        .astype(np.float32)
        for name, row in table.items()
    }
