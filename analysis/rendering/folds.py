"""Folds of the skin that actions make, or that chance makes where a pixel must not tell of the action."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from duchenne.analysis.rendering.appearance import Look
    from duchenne.analysis.rendering.head import Float32

LINKED, INDEPENDENT, NONE = "linked", "independent", "none"
WRINKLES = (LINKED, INDEPENDENT, NONE)
"""Depth of the folds: by the actions, drawn without regard to them, or that of age alone."""

# How deep each action makes the folds of the brow, between the brows, around the eye, of the nose.
_DEPTH: Mapping[int, tuple[float, float, float, float]] = MappingProxyType(
    {
        1: (0.45, 0.0, 0.0, 0.0),
        2: (0.75, 0.0, 0.0, 0.0),
        4: (0.0, 1.0, 0.0, 0.0),
        6: (0.0, 0.0, 0.9, 0.0),
        7: (0.0, 0.0, 0.2, 0.0),
        9: (0.0, 0.3, 0.0, 1.0),
        12: (0.0, 0.0, 0.3, 0.0),
    }
)
_OF_AGE = np.array([0.12, 0.10, 0.10, 0.0])
_SHARE_WITHOUT = 0.55


def fold_depths(
    units: Mapping[int, float], look: Look, wrinkles: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the depth of each of the four groups of folds: (4,).

    Parameters
    ----------
    units : mapping of int to float
        Weights of the Action Units.
    look : Look
    wrinkles : str
        One of `WRINKLES`.
    rng : numpy.random.Generator
    """
    made = np.zeros(4)
    if wrinkles == LINKED:
        for unit, weight in units.items():
            made += weight * np.array(_DEPTH.get(unit, (0.0,) * 4))
    elif wrinkles == INDEPENDENT:
        made = rng.uniform(0, 1, 4) * (rng.random(4) > _SHARE_WITHOUT)
    return np.asarray(look.wrinkles * made.clip(0, 1) + _OF_AGE * look.age)


def paint_folds(places: Float32, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the texture of the folds: (px, px, 4), 128 is even.

    Parameters
    ----------
    places : (px, px, 3) float32
        Place on the head at rest of each pixel.
    rng : numpy.random.Generator
    """
    import cv2  # noqa: PLC0415  (heavy)

    px = len(places)
    half = px // 2
    small = cv2.resize(places, (half, half), interpolation=cv2.INTER_LINEAR)
    x, y, z = np.moveaxis(np.asarray(small, np.float32), -1, 0)
    groups = (_on_brow(x, y, rng), _between_brows(x, y), _around_eye(x, y, rng), _on_nose(x, y, z))
    folds = cv2.resize(np.dstack(groups), (px, px), interpolation=cv2.INTER_CUBIC)
    return np.asarray((np.clip(folds * 0.5 + 0.5, 0, 1) * 255).astype(np.uint8))


def _crease(off: NDArray[Any], width: float = 0.09) -> Float32:
    """Return the relief of a crease by the distance to it: a groove between two ridges."""
    ridges = np.exp(-(((np.abs(off) - 2.1 * width) / (1.2 * width)) ** 2))
    return np.asarray(0.45 * ridges - np.exp(-((off / width) ** 2)), np.float32)


def _on_brow(x: Float32, y: Float32, rng: np.random.Generator) -> Float32:
    folds = np.zeros_like(x)
    phase = rng.uniform(0, 6, 5)
    heights = np.linspace(7.0, 9.2, 4) + rng.normal(0, 0.12, 4)
    for i, height in enumerate(heights):
        line = height + 0.12 * np.sin(0.8 * x + phase[i]) - 0.018 * x**2
        line = line + 0.1 * np.cos(2.1 * x + phase[-1])
        width = 4.2 + float(rng.normal(0, 0.4))
        folds += _crease(y - line) * np.exp(-((x / width) ** 4)) * float(rng.uniform(0.5, 1))
    return folds


def _between_brows(x: Float32, y: Float32) -> Float32:
    folds = np.zeros_like(x)
    for at, depth in ((0.62, 1.0), (-0.58, 0.9), (0.05, 0.35)):
        off = x - at - 0.10 * (y - 5.2) * np.sign(at)
        folds += depth * _crease(off) * np.exp(-(((y - 5.3) / 1.0) ** 4))
    across = np.abs(x)
    root = _crease(y - 3.75 - 0.05 * across) * np.exp(-((across / 0.8) ** 4))
    return np.asarray(folds + 0.6 * root, np.float32)


def _around_eye(x: Float32, y: Float32, rng: np.random.Generator) -> Float32:
    across = np.abs(x)
    folds = np.zeros_like(x)
    for degrees in (-28, -6, 16, 36):
        angle = np.radians(degrees + float(rng.normal(0, 5)))
        dx, dy = across - 4.75, y - 3.35
        out = dx * np.cos(angle) + dy * np.sin(angle)
        off = -dx * np.sin(angle) + dy * np.cos(angle)
        reach = np.exp(-(((out - 0.95) / 0.75) ** 4)) * (out > 0)
        folds += 0.6 * float(rng.uniform(0.6, 1)) * _crease(off + 0.06 * out**2) * reach
    below = _crease(y - 2.2 + 0.08 * (across - 3) ** 2)
    return np.asarray(folds + 0.5 * below * np.exp(-(((across - 3.2) / 1.3) ** 4)), np.float32)


def _on_nose(x: Float32, y: Float32, z: Float32) -> Float32:
    across = np.abs(x)
    reach = np.exp(-(((across - 0.75) / 0.55) ** 4)) * (z > 9)
    folds = sum((_crease(y - at - 0.55 * across) for at in (3.3, 2.7, 2.1)), np.zeros_like(x))
    return np.asarray(0.8 * folds * reach, np.float32)
