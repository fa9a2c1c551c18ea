"""Distances on the face that MediaPipe's blendshapes miss, measured on the frontalised mesh.

The mesh is turned back by the head's rotation, so that a turned or tilted head changes the
distances little, and divided by the distance between the outer corners of the eyes, so that
neither the distance to the camera nor the resolution matters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.face.frames import FaceFrames, FloatArray

# Landmark indices of the MediaPipe face mesh; R and L are the participant's own sides.
_EYE_OUTER = {"R": 33, "L": 263}
_EYE_INNER = {"R": 133, "L": 362}
_EYE_UPPER = {"R": (160, 159, 158), "L": (387, 386, 385)}
_EYE_LOWER = {"R": (144, 145, 153), "L": (373, 374, 380)}
_BROW_INNER = {"R": (55, 107), "L": (285, 336)}
_BROW_OUTER = {"R": (70, 63, 105), "L": (300, 293, 334)}
_MOUTH_CORNER = {"R": 61, "L": 291}
_NOSE_WING = {"R": 129, "L": 358}
_UPPER_LIP_SIDE = {"R": 37, "L": 267}
_CHEEK = {"R": (117, 118, 119), "L": (346, 347, 348)}
_NOSE_BASE = 2
_UPPER_LIP, _LOWER_LIP = 0, 17
_UPPER_INNER_LIP, _LOWER_INNER_LIP = (82, 13, 312), (87, 14, 317)
_CHIN, _CHIN_BOSS = 152, 199

CUE_NAMES = (
    "brow_inner_height",
    "brow_outer_height",
    "brow_gap",
    "eye_opening",
    "cheek_height",
    "nose_wing_height",
    "upper_lip_height",
    "mouth_width",
    "mouth_corner_height_L",
    "mouth_corner_height_R",
    "mouth_half_width_L",
    "mouth_half_width_R",
    "lip_gap",
    "lip_thickness",
    "jaw_drop",
    "chin_boss_height",
    "mouth_protrusion",
)


def frontalise(frames: FaceFrames) -> FloatArray:
    """Turn each mesh back to face the camera, in units of the outer eye-corner distance.

    Returns
    -------
    (n, 478, 3) float64
        x to the image's right (the participant's left), y up, z towards the camera; the origin is
        the middle of the four eye corners. NaN where no face was found.
    """
    camera = frames.landmarks * np.array([1.0, -1.0, -1.0])
    head = np.einsum("nij,nki->nkj", frames.rotation, camera)
    corners = [*_EYE_OUTER.values(), *_EYE_INNER.values()]
    head = head - head[:, corners].mean(axis=1, keepdims=True)
    scale = np.linalg.norm(head[:, _EYE_OUTER["L"]] - head[:, _EYE_OUTER["R"]], axis=1)
    return np.asarray(head / scale[:, None, None], np.float64)


def landmark_cues(frames: FaceFrames) -> FloatArray:
    """Return distances on the face in units of the outer eye-corner distance.

    Returns
    -------
    (n, 17) float64
        In the order of ``CUE_NAMES``; NaN where no face was found. Heights are signed, up is
        positive; heights of brows, cheeks and nose wings are taken from the eye corners, those of the
        mouth's corners from the middle of the lips, that of the upper lip and the drop of the
        jaw from the base of the nose.
    """
    mesh = frontalise(frames)
    x, y, z = mesh[..., 0], mesh[..., 1], mesh[..., 2]

    def at(values: FloatArray, index: int | tuple[int, ...]) -> FloatArray:
        chosen = values[:, [index] if isinstance(index, int) else list(index)]
        return np.asarray(chosen.mean(axis=1), np.float64)

    def both(values: FloatArray, index: Mapping[str, int | tuple[int, ...]]) -> FloatArray:
        return np.asarray((at(values, index["L"]) + at(values, index["R"])) / 2, np.float64)

    lips_middle = (y[:, _UPPER_LIP] + y[:, _LOWER_LIP]) / 2
    lip_gap = at(y, _UPPER_INNER_LIP) - at(y, _LOWER_INNER_LIP)
    columns = [
        both(y, _BROW_INNER),
        both(y, _BROW_OUTER),
        at(x, _BROW_INNER["L"]) - at(x, _BROW_INNER["R"]),
        both(y, _EYE_UPPER) - both(y, _EYE_LOWER),
        both(y, _CHEEK),
        both(y, _NOSE_WING),
        both(y, _UPPER_LIP_SIDE) - y[:, _NOSE_BASE],
        x[:, _MOUTH_CORNER["L"]] - x[:, _MOUTH_CORNER["R"]],
        y[:, _MOUTH_CORNER["L"]] - lips_middle,
        y[:, _MOUTH_CORNER["R"]] - lips_middle,
        x[:, _MOUTH_CORNER["L"]] - x[:, _NOSE_BASE],
        x[:, _NOSE_BASE] - x[:, _MOUTH_CORNER["R"]],
        lip_gap,
        y[:, _UPPER_LIP] - y[:, _LOWER_LIP] - lip_gap,
        y[:, _NOSE_BASE] - y[:, _CHIN],
        y[:, _CHIN_BOSS] - y[:, _NOSE_BASE],
        (z[:, _UPPER_LIP] + z[:, _LOWER_LIP]) / 2 - z[:, _NOSE_BASE],
    ]
    return np.column_stack(columns)
