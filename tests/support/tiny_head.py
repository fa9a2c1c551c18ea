"""A head of a few hundred vertices, made up, with all that the renderer asks of a head model."""

from __future__ import annotations

import numpy as np

from duchenne.analysis.rendering.action_units import SHAPES

_EXTRA = (
    "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeLookDown", "cheekPuff", "jawLeft", "jawRight",
    "jawForward", "mouthLeft", "mouthRight",
)  # fmt: skip
_SINGLE = ("jawLeft", "jawRight", "jawForward", "mouthLeft", "mouthRight")
EYES = ((3.1, 3.4, 8.0), (-3.1, 3.4, 8.0))
_ROWS, _COLUMNS = 25, 25


def _ball(centre, half, rows, columns):
    down, around = np.meshgrid(
        np.linspace(0.02, np.pi - 0.02, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij"
    )
    unit = np.stack(
        [np.sin(down) * np.sin(around), np.cos(down), np.sin(down) * -np.cos(around)], axis=-1
    )
    uv = np.stack([around / (2 * np.pi), 1 - down / np.pi], axis=-1)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    quads = np.stack([corner, corner + 1, corner + columns + 1, corner + columns], axis=1)
    points = unit.reshape(-1, 3) * half + centre
    return points, uv.reshape(-1, 2), quads


def _marks() -> np.ndarray:
    """Return where the 68 landmarks lie, seen from the front."""
    jaw = np.linspace(-1, 1, 17)
    marks = [(6.8 * s, -6.5 + 9.5 * s**2) for s in jaw]
    marks += [(s * x, 6.0) for s, xs in ((-1, (5.8, 4.9, 3.8, 2.4, 1.2)),) for x in xs]
    marks += [(x, 6.0) for x in (1.2, 2.4, 3.8, 4.9, 5.8)]
    marks += [(0, y) for y in (3.7, 2.6, 1.6, 0.4)] + [(x, -1.1) for x in (-1.2, -0.6, 0, 0.6, 1.2)]
    for centre in (-3.1, 3.1):
        marks += [
            (centre + 1.3 * np.cos(t), 3.4 + 0.5 * np.sin(t))
            for t in np.pi - np.arange(6) * np.pi / 3
        ]
    marks += [(2.5 * np.cos(t), -3.4 + 0.9 * np.sin(t)) for t in np.pi - np.arange(12) * np.pi / 6]
    marks += [(2.0 * np.cos(t), -3.4 + 0.3 * np.sin(t)) for t in np.pi - np.arange(8) * np.pi / 4]
    return np.array(marks)


def tiny_head_arrays() -> dict[str, np.ndarray]:
    """Return the arrays of a head model: a ball for a face, with two balls for eyes."""
    parts, points, places, polygons, ranges = [], [], [], [], []
    pieces = {
        "face": _ball((0, 1, 0), (7.5, 10.5, 9.0), _ROWS, _COLUMNS),
        "sclera_l": _ball(EYES[0], (1.3, 1.3, 1.3), 9, 9),
        "sclera_r": _ball(EYES[1], (1.3, 1.3, 1.3), 9, 9),
    }
    n, m = 0, 0
    for name, (own, uv, quads) in pieces.items():
        parts.append(name)
        points.append(own)
        places.append(uv)
        polygons.append(quads + n)
        ranges.append((n, n + len(own), m, m + len(quads)))
        n, m = n + len(own), m + len(quads)
    vertices = np.concatenate(points).astype(np.float32)
    names = sorted({shape for mixed in SHAPES.values() for shape in mixed})
    for name in _EXTRA:
        names += [name] if name in _SINGLE else [f"{name}_L", f"{name}_R"]
    rng = np.random.default_rng(0)
    moves = np.zeros((len(names), n, 3), np.float32)
    face = ranges[0][1]
    for i, name in enumerate(names):
        at = rng.uniform((-4, -5, 7), (4, 6, 9))
        near = np.exp(-(((vertices[:face] - at) / 2.0) ** 2).sum(axis=1))
        moves[i, :face] = near[:, None] * rng.normal(0, 0.4, 3)
        moves[i, :, 0] *= -1 if name.endswith("_R") else 1
    lower = (vertices[:, 1] < -3.4) & (vertices[:, 2] > 0) & (np.arange(n) < face)
    moves[names.index("jawOpen")][lower] = (0, -2.0, 0)
    moves[names.index("mouthClose")][lower] = (0, 4.0, 0)
    front = np.flatnonzero((vertices[:, 2] > 2) & (np.arange(n) < face))
    away = ((vertices[front, None, :2] - _marks()) ** 2).sum(axis=-1)
    landmarks = front[away.argmin(axis=0)]
    identity = rng.normal(0, 0.05, (3, n, 3))
    faces = np.concatenate(polygons).astype(np.int32)
    return {
        "vertices": vertices,
        "faces": faces,
        "uv": np.concatenate(places).astype(np.float32),
        "uv_faces": faces,
        "identity": identity.astype(np.float16),
        "expression": moves.astype(np.float16),
        "expression_names": np.array(names),
        "part_names": np.array(parts),
        "part_ranges": np.array(ranges, np.int32),
        "landmarks68": landmarks.astype(np.int32),
    }
