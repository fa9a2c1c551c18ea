"""Folds of the skin that actions make, or that chance makes where a pixel must not tell of the action."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from duchenne.analysis.rendering.appearance import Look
    from duchenne.analysis.rendering.head import Float32

LINKED, INDEPENDENT, NONE, PERSONAL = "linked", "independent", "none", "personal"
WRINKLES = (LINKED, INDEPENDENT, NONE, PERSONAL)
"""Depth of the folds: by the actions, drawn without regard to them, that of age alone, or by the actions as
far as each person's skin lets them (`personal_skin`)."""

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
# Skin of which the folds tell nothing of the actions, as that of the young or after botulinum toxin.
_SHARE_UNMOVED = 0.2
_DEEPER, _DEEPER_SPREAD, _DEEPEST = 2.2, 0.5, 4.0
_WIDEST = 2.4
_WIDTH = 0.09


def personal_skin(look: Look, rng: np.random.Generator) -> Look:
    """Return a person whose folds are as deep and as wide as chance has it.

    Folds that follow the actions in everybody alike are a shortcut, and those that :data:`LINKED` draws are
    narrower than a pixel of a small picture. Here a fifth of the people have none but those of age, the
    others folds of very different depth, some of them wide enough to be seen in small pictures.

    Parameters
    ----------
    look : Look
    rng : numpy.random.Generator
    """
    deeper = min(float(rng.lognormal(np.log(_DEEPER), _DEEPER_SPREAD)), _DEEPEST)
    unmoved = rng.random() < _SHARE_UNMOVED
    return replace(
        look,
        wrinkles=0.0 if unmoved else look.wrinkles * deeper,
        fold_width=float(rng.uniform(1.0, _WIDEST)),
    )


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
    if wrinkles in {LINKED, PERSONAL}:
        for unit, weight in units.items():
            made += weight * np.array(_DEPTH.get(unit, (0.0,) * 4))
    elif wrinkles == INDEPENDENT:
        made = rng.uniform(0, 1, 4) * (rng.random(4) > _SHARE_WITHOUT)
    return np.asarray(look.wrinkles * made.clip(0, 1) + _OF_AGE * look.age)


def paint_folds(places: Float32, rng: np.random.Generator, wide: float = 1.0) -> NDArray[np.uint8]:
    """Return the texture of the folds: (px, px, 4), 128 is even.

    Parameters
    ----------
    places : (px, px, 3) float32
        Place on the head at rest of each pixel.
    rng : numpy.random.Generator
    wide : float
        How wide they are, of 0.9 mm.
    """
    import cv2  # noqa: PLC0415  (heavy)

    px = len(places)
    half = px // 2
    small = cv2.resize(places, (half, half), interpolation=cv2.INTER_LINEAR)
    x, y, z = np.moveaxis(np.asarray(small, np.float32), -1, 0)
    groups = (
        _on_brow(x, y, rng, wide),
        _between_brows(x, y, wide),
        _around_eye(x, y, rng, wide),
        _on_nose(x, y, z, wide),
    )
    folds = cv2.resize(np.dstack(groups), (px, px), interpolation=cv2.INTER_CUBIC)
    return np.asarray((np.clip(folds * 0.5 + 0.5, 0, 1) * 255).astype(np.uint8))


def _crease(off: NDArray[Any], wide: float) -> Float32:
    """Return the relief of a crease by the distance to it: a groove between two ridges."""
    width = _WIDTH * wide
    ridges = np.exp(-(((np.abs(off) - 2.1 * width) / (1.2 * width)) ** 2))
    return np.asarray(0.45 * ridges - np.exp(-((off / width) ** 2)), np.float32)


def _on_brow(x: Float32, y: Float32, rng: np.random.Generator, wide: float) -> Float32:
    folds = np.zeros_like(x)
    phase = rng.uniform(0, 6, 5)
    heights = np.linspace(7.0, 9.2, 4) + rng.normal(0, 0.12, 4)
    for i, height in enumerate(heights):
        line = height + 0.12 * np.sin(0.8 * x + phase[i]) - 0.018 * x**2
        line = line + 0.1 * np.cos(2.1 * x + phase[-1])
        width = 4.2 + float(rng.normal(0, 0.4))
        folds += _crease(y - line, wide) * np.exp(-((x / width) ** 4)) * float(rng.uniform(0.5, 1))
    return folds


def _between_brows(x: Float32, y: Float32, wide: float) -> Float32:
    folds = np.zeros_like(x)
    for at, depth in ((0.62, 1.0), (-0.58, 0.9), (0.05, 0.35)):
        off = x - at - 0.10 * (y - 5.2) * np.sign(at)
        folds += depth * _crease(off, wide) * np.exp(-(((y - 5.3) / 1.0) ** 4))
    across = np.abs(x)
    root = _crease(y - 3.75 - 0.05 * across, wide) * np.exp(-((across / 0.8) ** 4))
    return np.asarray(folds + 0.6 * root, np.float32)


def _around_eye(x: Float32, y: Float32, rng: np.random.Generator, wide: float) -> Float32:
    across = np.abs(x)
    folds = np.zeros_like(x)
    for degrees in (-28, -6, 16, 36):
        angle = np.radians(degrees + float(rng.normal(0, 5)))
        dx, dy = across - 4.75, y - 3.35
        out = dx * np.cos(angle) + dy * np.sin(angle)
        off = -dx * np.sin(angle) + dy * np.cos(angle)
        reach = np.exp(-(((out - 0.95) / 0.75) ** 4)) * (out > 0)
        folds += 0.6 * float(rng.uniform(0.6, 1)) * _crease(off + 0.06 * out**2, wide) * reach
    below = _crease(y - 2.2 + 0.08 * (across - 3) ** 2, wide)
    return np.asarray(folds + 0.5 * below * np.exp(-(((across - 3.2) / 1.3) ** 4)), np.float32)


def _on_nose(x: Float32, y: Float32, z: Float32, wide: float) -> Float32:
    across = np.abs(x)
    reach = np.exp(-(((across - 0.75) / 0.55) ** 4)) * (z > 9)
    folds = sum((_crease(y - at - 0.55 * across, wide) for at in (3.3, 2.7, 2.1)), np.zeros_like(x))
    return np.asarray(0.8 * folds * reach, np.float32)
