"""The head model: vertices, identities and facial shapes of ICT-FaceKit, read from one file.

The file (``.npz``) is made from a clone of ICT-FaceKit by `duchenne.analysis.rendering.head_files`. Lengths
are the model's: about one centimetre, x towards the person's left, y up, z forward.

Reference
---------
Li et al. (2020), Learning formation of physically-based face attributes (ICT-FaceKit, MIT licence).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]
    Int = NDArray[np.int32]

KEYS = (
    "vertices",
    "faces",
    "uv",
    "uv_faces",
    "identity",
    "expression",
    "expression_names",
    "part_names",
    "part_ranges",
    "landmarks68",
)
# A vertex belongs to a shape when it moves farther than this.
_LEAST_MOVE = 2e-3
# Shapes of identities beyond these are too fine to see.
N_IDENTITY_SHAPES = 60
_IDENTITY_LIMIT = 1.8


@dataclass(frozen=True)
class HeadModel:
    """A head that identities and facial shapes deform.

    Parameters
    ----------
    vertices : (n, 3) float32
        The mean head at rest.
    faces, uv_faces : (m, 4) int32
        Corners of each polygon in ``vertices`` and in ``uv``; −1 as the fourth of a triangle.
    uv : (k, 2) float32
        Places in the texture; the whole part lies off 0 to 1 by the number of its tile.
    identity : (i, n * 3) float32
        How each identity shape moves the vertices.
    shapes : mapping of str to (indices, (len, 3) float32)
        How each facial shape moves the vertices that it moves.
    parts : mapping of str to (first vertex, after the last vertex, first face, after the last face)
    landmarks : (68,) int32
        Vertices of the landmarks, in the iBUG 300-W order.
    """

    vertices: Float32
    faces: Int
    uv: Float32
    uv_faces: Int
    identity: Float32
    shapes: Mapping[str, tuple[NDArray[np.intp], Float32]]
    parts: Mapping[str, tuple[int, int, int, int]]
    landmarks: Int

    def person(self, rng: np.random.Generator, spread: float = 0.8) -> Float32:
        """Return the coefficients of a random person.

        Parameters
        ----------
        rng : numpy.random.Generator
        spread : float
            Standard deviation; 1 is that of the scans that the model was made from.
        """
        drawn = rng.normal(size=len(self.identity)).clip(-_IDENTITY_LIMIT, _IDENTITY_LIMIT) * spread
        drawn[N_IDENTITY_SHAPES:] = 0.0
        return drawn.astype(np.float32)

    def at_rest(self, person: Float32) -> Float32:
        """Return the vertices (n, 3) of a person without any facial action."""
        return self.vertices + (person @ self.identity).reshape(-1, 3)

    def deformed(self, base: Float32, weights: Mapping[str, float]) -> Float32:
        """Return vertices (n, 3) moved by facial shapes.

        Parameters
        ----------
        base : (n, 3) float32
        weights : mapping of str to float
            Of the shapes, by name.
        """
        moved = base.copy()
        for name, weight in weights.items():
            if abs(weight) > 1e-4:
                rows, offsets = self.shapes[name]
                moved[rows] += np.float32(weight) * offsets
        return moved

    def triangles(self, part: str) -> tuple[Int, Int]:
        """Return the triangles of a part: (t, 3) into the vertices and (t, 3) into ``uv``."""
        if part not in self.parts:
            return np.zeros((0, 3), np.int32), np.zeros((0, 3), np.int32)
        first, last = self.parts[part][2:]
        corners, places = self.faces[first:last], self.uv_faces[first:last]
        four = corners[:, 3] >= 0
        second = [0, 2, 3]
        return (
            np.concatenate([corners[:, :3], corners[four][:, second]]),
            np.concatenate([places[:, :3], places[four][:, second]]),
        )


def read_head(path: Path) -> HeadModel:
    """Read a head model.

    Parameters
    ----------
    path : Path
        ``.npz`` with the arrays in `KEYS`.

    Raises
    ------
    DuchenneError
        When it is not there, is none, or its parts do not fit each other.
    """
    if not path.is_file():
        raise DuchenneError(
            f"there is no head model {path}. Clone ICT-FaceKit (MIT) and give --head its FaceXModel folder."
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in KEYS if key in file}
    except (OSError, ValueError, KeyError) as error:
        raise DuchenneError(f"{path} cannot be read as a head model: {error}") from error
    missing = [key for key in KEYS if key not in arrays]
    if missing:
        raise DuchenneError(f"{path} is no head model: {', '.join(missing)} missing.")
    return head_from_arrays(arrays, str(path))


def head_from_arrays(arrays: Mapping[str, NDArray[Any]], name: str = "the head model") -> HeadModel:
    """Return the head model that arrays describe.

    Parameters
    ----------
    arrays : mapping of str to array
        Those in `KEYS`.
    name : str
        For messages.

    Raises
    ------
    DuchenneError
        When they do not fit each other.
    """
    vertices = arrays["vertices"].astype(np.float32)
    n = len(vertices)
    moves = arrays["expression"].astype(np.float32)
    names = [str(shape) for shape in arrays["expression_names"]]
    if moves.shape != (len(names), n, 3) or arrays["identity"].shape[1:] != (n, 3):
        raise DuchenneError(f"{name}: the shapes do not fit its {n} vertices.")
    corners, landmarks = arrays["faces"], arrays["landmarks68"]
    if corners.max() >= n or landmarks.max() >= n or len(landmarks) != 68:
        raise DuchenneError(f"{name}: its faces or landmarks do not fit its {n} vertices.")
    shapes = {}
    for shape, move in zip(names, moves, strict=True):
        rows = np.flatnonzero(np.abs(move).max(axis=1) > _LEAST_MOVE)
        shapes[shape] = (rows, move[rows])
    ranges = arrays["part_ranges"].tolist()
    return HeadModel(
        vertices=vertices,
        faces=corners.astype(np.int32),
        uv=arrays["uv"].astype(np.float32),
        uv_faces=arrays["uv_faces"].astype(np.int32),
        identity=arrays["identity"].astype(np.float32).reshape(len(arrays["identity"]), -1),
        shapes=shapes,
        parts={
            str(part): (a, b, c, d)
            for part, (a, b, c, d) in zip(arrays["part_names"], ranges, strict=True)
        },
        landmarks=landmarks.astype(np.int32),
    )
