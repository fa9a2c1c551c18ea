"""Makes the head model's file from a clone of ICT-FaceKit, whose shapes are OBJ files.

The numbers of the parts and landmarks are those that ICT-FaceKit (MIT licence, © 2020 USC Institute for
Creative Technologies) documents for its light model.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.rendering.action_units import SHAPES
from duchenne.analysis.rendering.head import head_from_arrays
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Parts = Mapping[str, tuple[int, int, int, int]]

MADE = "ict_face.npz"
NEUTRAL = "generic_neutral_mesh"
_IDENTITY = "identity"
PARTS: Parts = MappingProxyType(
    {
        "face": (0, 9409, 0, 9230),
        "head_neck": (9409, 11248, 9230, 11144),
        "mouth_socket": (11248, 13294, 11144, 13226),
        "eye_socket_l": (13294, 13678, 13226, 13630),
        "eye_socket_r": (13678, 14062, 13630, 14034),
        "gums_tongue": (14062, 17039, 14034, 17006),
        "teeth": (17039, 21451, 17006, 21496),
        "sclera_l": (21451, 22221, 21496, 22296),
        "iris_l": (22221, 23021, 22296, 23094),
        "sclera_r": (23021, 23791, 23094, 23894),
        "iris_r": (23791, 24591, 23894, 24692),
        "lacrimal_l": (24591, 24795, 24692, 24855),
        "lacrimal_r": (24795, 24999, 24855, 25018),
        "eye_blend_l": (24999, 25023, 25018, 25033),
        "eye_blend_r": (25023, 25047, 25033, 25048),
        "eye_occl_l": (25047, 25199, 25048, 25176),
        "eye_occl_r": (25199, 25351, 25176, 25304),
        "lashes_l": (25351, 26035, 25304, 25844),
        "lashes_r": (26035, 26719, 25844, 26384),
    }
)
"""First and after the last vertex, first and after the last polygon of each part."""
LANDMARKS = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443,
    268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509,
    978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360,
    1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732,
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841,
    5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)  # fmt: skip
"""Vertices of the 68 landmarks."""


@dataclass(frozen=True)
class Obj:
    """What an OBJ file holds.

    Parameters
    ----------
    vertices : (n, 3) float32
    uv : (k, 2) float32
    faces, uv_faces : (m, 4) int32
        From 0; −1 as the fourth corner of a triangle.
    """

    vertices: NDArray[np.float32]
    uv: NDArray[np.float32]
    faces: NDArray[np.int32]
    uv_faces: NDArray[np.int32]


def head_file(path: Path, tell: Callable[[str], None] = lambda _text: None) -> Path:
    """Return the file of the head model that a path names; make it where the path is a clone's folder.

    Parameters
    ----------
    path : Path
        ``.npz``, or the folder ``FaceXModel`` (or the clone around it), where the file is kept.
    tell : callable
        Gets a sentence when the file is being made.

    Raises
    ------
    DuchenneError
        When the folder holds no head model, or cannot be written to.
    """
    if not path.is_dir():
        return path
    folder = path / "FaceXModel" if (path / "FaceXModel").is_dir() else path
    made = folder / MADE
    if not made.is_file():
        tell(f"Making {made} from the shapes of the clone; this is done once.")
        arrays = convert(folder)
        partial = folder / f".{MADE}.part"
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
            partial.replace(made)
        except OSError as error:
            raise DuchenneError(f"{made} cannot be written ({error.strerror or error}).") from error
    return made


def convert(
    folder: Path, parts: Parts = PARTS, landmarks: tuple[int, ...] = LANDMARKS
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a head model from a folder of OBJ files.

    Parameters
    ----------
    folder : Path
        With ``generic_neutral_mesh.obj``, ``identity000.obj`` … and one file per facial shape.
    parts : mapping of str to (int, int, int, int)
    landmarks : tuple of int

    Raises
    ------
    DuchenneError
        When a file is missing, is damaged, or has another number of vertices.
    """
    neutral = read_obj(folder / f"{NEUTRAL}.obj")
    names = sorted(path.stem for path in folder.glob("*.obj") if path.stem != NEUTRAL)
    identities = [name for name in names if name.startswith(_IDENTITY)]
    shapes = [name for name in names if not name.startswith(_IDENTITY)]
    needed = {shape for mixed in SHAPES.values() for shape in mixed}
    missing = sorted(needed - set(shapes))
    if missing or not identities:
        lost = ", ".join(missing) or f"{_IDENTITY}000 and others"
        raise DuchenneError(f"{folder} is no whole copy of FaceXModel: without {lost}.")

    def moves(shape: str) -> NDArray[np.float16]:
        vertices = read_vertices(folder / f"{shape}.obj")
        if vertices.shape != neutral.vertices.shape:
            raise DuchenneError(
                f"{folder / shape}.obj has {len(vertices)} vertices, not {len(neutral.vertices)}."
            )
        return (vertices - neutral.vertices).astype(np.float16)

    arrays: dict[str, NDArray[Any]] = {
        "vertices": neutral.vertices,
        "faces": neutral.faces,
        "uv": neutral.uv,
        "uv_faces": neutral.uv_faces,
        "identity": np.stack([moves(name) for name in identities]),
        "expression": np.stack([moves(name) for name in shapes]),
        "expression_names": np.array(shapes),
        "part_names": np.array(list(parts)),
        "part_ranges": np.array(list(parts.values()), np.int32),
        "landmarks68": np.array(landmarks, np.int32),
        "licence": np.array("ICT-FaceKit, MIT, (c) 2020 USC Institute for Creative Technologies"),
    }
    head_from_arrays(arrays, str(folder))  # tells what does not fit
    return arrays


def read_vertices(path: Path) -> NDArray[np.float32]:
    """Return the vertices of an OBJ file: (n, 3).

    Raises
    ------
    DuchenneError
        When it cannot be read.
    """
    return _numbers(path, _lines(path), "v ", 3)


def read_obj(path: Path) -> Obj:
    """Return vertices, places in the texture and polygons of an OBJ file.

    Raises
    ------
    DuchenneError
        When it cannot be read, or has polygons of more than four corners or without texture.
    """
    lines = _lines(path)
    faces, uv_faces = [], []
    for line in lines:
        if not line.startswith("f "):
            continue
        corners = [corner.split("/") for corner in line.split()[1:]]
        try:
            vertex = [int(corner[0]) - 1 for corner in corners]
            place = [int(corner[1]) - 1 for corner in corners]
        except (ValueError, IndexError) as error:
            raise DuchenneError(f"{path} has a polygon without texture: {line}") from error
        if len(vertex) not in {3, 4}:
            raise DuchenneError(f"{path} has a polygon of {len(vertex)} corners: {line}")
        pad = [-1] * (4 - len(vertex))
        faces.append(vertex + pad)
        uv_faces.append(place + pad)
    return Obj(
        vertices=_numbers(path, lines, "v ", 3),
        uv=_numbers(path, lines, "vt ", 2),
        faces=np.array(faces, np.int32).reshape(-1, 4),
        uv_faces=np.array(uv_faces, np.int32).reshape(-1, 4),
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DuchenneError(f"{path} cannot be read ({error.strerror or error}).") from error


def _numbers(path: Path, lines: list[str], key: str, n: int) -> NDArray[np.float32]:
    rows = [line.split()[1 : n + 1] for line in lines if line.startswith(key)]
    try:
        return np.array(rows, np.float32).reshape(-1, n)
    except ValueError as error:
        raise DuchenneError(
            f"{path} is damaged: its {key.strip()} lines are no numbers."
        ) from error
