"""Things beside the head: meshes of one material, and the shapes they are built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from duchenne.analysis.rendering.head import Float32, Int

    Points = NDArray[np.float64]


@dataclass(frozen=True)
class Thing:
    """A mesh of one material.

    Parameters
    ----------
    vertices, normals : (n, 3) float32
        In the space of the head at rest.
    colours : (n, 3) float32
        Linear RGB.
    triangles : (t, 3) int32
    gloss, sharp : float
        Strength and sharpness of the glints.
    glow : float
        1 for skin: light goes on below the surface.
    opacity : float
        1 is solid.
    glare : float
        How much of a window it mirrors.
    turns : bool
        It turns with the head.
    """

    vertices: Float32
    normals: Float32
    colours: Float32
    triangles: Int
    gloss: float = 0.2
    sharp: float = 30.0
    glow: float = 0.0
    opacity: float = 1.0
    glare: float = 0.0
    turns: bool = True


Mesh = tuple["Points", "Int"]
"""Vertices (n, 3) and triangles (t, 3)."""


def grid(points: Points, *, closed: bool = False) -> Mesh:
    """Return the mesh of a sheet of points (rows, columns, 3); closed joins last and first column."""
    rows, columns = points.shape[:2]
    across = np.arange(columns if closed else columns - 1)
    corner = (np.arange(rows - 1)[:, None] * columns + across).ravel()
    beside = (np.arange(rows - 1)[:, None] * columns + (across + 1) % columns).ravel()
    first = np.stack([corner, beside, beside + columns], axis=1)
    second = np.stack([corner, beside + columns, corner + columns], axis=1)
    return points.reshape(-1, 3), np.concatenate([first, second]).astype(np.int32)


def tube(path: Points, radius: Points | float, sides: int = 8) -> Mesh:
    """Return a tube around a path (n, 3), its ends rounded off."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    reference = np.array([0.0, 0.0, 1.0])
    if abs(along[:, 2]).max() > 0.95:
        reference = np.array([0.0, 1.0, 0.0])
    one = np.cross(along, reference)
    one /= np.linalg.norm(one, axis=1, keepdims=True) + 1e-9
    other = np.cross(along, one)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)[None, :, None]
    thick = np.broadcast_to(np.asarray(radius, float), (len(path),))[:, None, None]
    ring = one[:, None] * np.cos(angle) + other[:, None] * np.sin(angle)
    return grid(path[:, None] + thick * ring, closed=True)


def capsule(
    begin: Points | Sequence[float],
    end: Points | Sequence[float],
    radius: float,
    taper: float = 0.9,
) -> Mesh:
    """Return a rounded rod, thinner towards its end."""
    a, b = np.asarray(begin, float), np.asarray(end, float)
    axis = (b - a) / (np.linalg.norm(b - a) + 1e-9)
    cap = np.linspace(0, np.pi / 2, 5)
    back = a - axis * radius * np.cos(cap)[:, None]
    front = b + axis * radius * taper * np.sin(cap)[:, None]
    path = np.concatenate([back, front])
    thick = np.concatenate([radius * np.sin(cap), radius * taper * np.cos(cap)])
    return tube(path, thick.clip(0.02, None), sides=12)


def ellipsoid(centre: Points | Sequence[float], half: Sequence[float]) -> Mesh:
    """Return an ellipsoid along the axes."""
    down, around = np.meshgrid(
        np.linspace(0, np.pi, 12), np.linspace(0, 2 * np.pi, 24), indexing="ij"
    )
    unit = np.stack(
        [np.sin(down) * np.cos(around), np.cos(down), np.sin(down) * np.sin(around)], axis=-1
    )
    return grid(unit * np.asarray(half) + np.asarray(centre))


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Return several meshes as one."""
    shifts = np.cumsum([0, *(len(points) for points, _ in meshes)])
    triangles = [t + shift for (_, t), shift in zip(meshes, shifts, strict=False)]
    return (
        np.concatenate([points for points, _ in meshes]),
        np.concatenate(triangles).astype(np.int32),
    )


def normals_of(mesh: Mesh) -> Points:
    """Return the normals of the vertices: (n, 3)."""
    points, triangles = mesh
    a, b, c = (points[triangles[:, i]] for i in range(3))
    across = np.cross(b - a, c - a)
    summed = np.zeros_like(points)
    for i in range(3):
        np.add.at(summed, triangles[:, i], across)
    return np.asarray(summed / (np.linalg.norm(summed, axis=1, keepdims=True) + 1e-9))


def thing(mesh: Mesh, colour: Points | Sequence[float], **material: float | bool) -> Thing:
    """Return a thing from a mesh.

    Parameters
    ----------
    mesh : Mesh
    colour : (3,) or (n, 3) float
        sRGB, 0 to 1.
    **material
        Of `Thing`.
    """
    points, triangles = mesh
    linear = np.asarray(colour, float).clip(0, 1) ** 2.2
    settings = dict(material)
    turns = bool(settings.pop("turns", True))
    return Thing(
        vertices=points.astype(np.float32),
        normals=normals_of(mesh).astype(np.float32),
        colours=np.broadcast_to(linear, points.shape).astype(np.float32),
        triangles=triangles,
        turns=turns,
        **{name: float(value) for name, value in settings.items()},
    )
