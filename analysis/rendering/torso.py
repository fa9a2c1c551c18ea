"""Shoulders below the head, so that a picture does not end in a cut bust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from duchenne.analysis.rendering.head import Float32, Int

_AROUND, _DOWN = 48, 24
_HALF = np.array([21.5, 12.6, 8.6])
_CENTRE = np.array([0.0, -26.9, -2.0])


@dataclass(frozen=True)
class Torso:
    """The mesh of the shoulders.

    Parameters
    ----------
    vertices, normals : (n, 3) float32
    reached : (n,) float32
        Share of the light that reaches them.
    triangles : (t, 3) int32
    """

    vertices: Float32
    normals: Float32
    reached: Float32
    triangles: Int


def torso() -> Torso:
    """Return half a superellipsoid."""
    around, down = np.meshgrid(np.linspace(0, 2 * np.pi, _AROUND), np.linspace(0, 1.95, _DOWN))
    unit = np.stack(
        [
            _power(np.sin(down), 0.8) * _power(np.cos(around), 0.85),
            _power(np.cos(down), 0.95),
            _power(np.sin(down), 0.8) * _power(np.sin(around), 0.85),
        ],
        axis=-1,
    ).reshape(-1, 3)
    vertices = unit * _HALF + _CENTRE
    normals = unit / _HALF
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    corner = (np.arange(_DOWN - 1)[:, None] * _AROUND + np.arange(_AROUND - 1)).ravel()
    quads = np.stack([corner, corner + 1, corner + _AROUND + 1, corner + _AROUND], axis=1)
    return Torso(
        vertices=vertices.astype(np.float32),
        normals=normals.astype(np.float32),
        reached=(0.35 + np.abs(vertices[:, 0]) / 14).clip(0, 1).astype(np.float32),
        triangles=np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32),
    )


def _power(value: np.ndarray, exponent: float) -> np.ndarray:
    return np.asarray(np.sign(value) * np.abs(value) ** exponent)
