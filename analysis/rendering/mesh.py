"""The head's mesh as the graphics card wants it, its eyes, and the normals of a deformed head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.rendering.action_units import GAZE_DEG
from duchenne.analysis.rendering.camera import turn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.rendering.head import Float32, HeadModel, Int

PART_NUMBERS = {
    "face": 0,
    "head_neck": 1,
    "mouth_socket": 2,
    "eye_socket_l": 3,
    "eye_socket_r": 3,
    "gums_tongue": 5,
    "teeth": 6,
    "sclera_l": 7,
    "sclera_r": 7,
}
"""Numbers by which the shader tells the solid parts apart."""
SKIN_PARTS = (0, 1)
BALLS = ("sclera_l", "sclera_r")


@dataclass(frozen=True)
class Mesh:
    """The solid parts of the head.

    Parameters
    ----------
    rows : (k,) int32
        Vertex of the head of each corner of the mesh; one that has several places in the texture occurs
        several times.
    uv : (k, 2) float32
    part : (k,) float32
        Of `PART_NUMBERS`.
    triangles : (t, 3) int32
        Into ``rows``.
    corners : (t, 3) int32
        The same, into the vertices of the head.
    """

    rows: Int
    uv: Float32
    part: Float32
    triangles: Int
    corners: Int

    def triangles_of(self, *parts: int) -> Int:
        """Return the triangles of some parts."""
        return self.triangles[np.isin(self.part[self.triangles[:, 0]], parts)]


def solid_mesh(head: HeadModel) -> Mesh:
    """Return the solid parts of a head."""
    corners, places, parts = [], [], []
    for name, number in PART_NUMBERS.items():
        own, own_places = head.triangles(name)
        corners.append(own)
        places.append(own_places)
        parts.append(np.full(len(own), number, np.float32))
    all_corners = np.concatenate(corners)
    pairs = np.stack([all_corners, np.concatenate(places)], axis=-1).reshape(-1, 2)
    unique, back = np.unique(pairs, axis=0, return_inverse=True)
    triangles = back.reshape(-1, 3).astype(np.int32)
    part = np.zeros(len(unique), np.float32)
    part[triangles.ravel()] = np.repeat(np.concatenate(parts), 3)
    return Mesh(
        rows=unique[:, 0].astype(np.int32),
        uv=head.uv[unique[:, 1]],
        part=part,
        triangles=triangles,
        corners=all_corners.astype(np.int32),
    )


class Normals:
    """Normals of vertices: the mean of those of the triangles around, by their area.

    Parameters
    ----------
    corners : (t, 3) int32
        Triangles.
    n_vertices : int
    """

    def __init__(self, corners: Int, n_vertices: int) -> None:
        from scipy import sparse  # noqa: PLC0415  (heavy)

        t = len(corners)
        ones = np.ones(3 * t, np.float32)
        columns = np.repeat(np.arange(t), 3)
        self._corners = corners
        self._around = sparse.csr_matrix((ones, (corners.ravel(), columns)), (n_vertices, t))

    def of(self, vertices: Float32) -> Float32:
        """Return (n, 3) unit vectors; 0 where no triangle is."""
        first, second, third = (vertices[self._corners[:, i]] for i in range(3))
        a, b = second - first, third - first
        across = np.empty_like(a)
        across[:, 0] = a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]
        across[:, 1] = a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2]
        across[:, 2] = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        summed = self._around @ across
        length = np.sqrt(np.einsum("ij,ij->i", summed, summed))[:, None] + 1e-9
        return np.asarray(summed / length, np.float32)


@dataclass(frozen=True)
class Eyes:
    """Where the eyes of the head at rest are and look; the person's left one first.

    Parameters
    ----------
    centres, axes : (2, 3) float64
    """

    centres: NDArray[np.float64]
    axes: NDArray[np.float64]


def eyes_of(head: HeadModel) -> Eyes:
    """Return centres and directions of the eyes; the pupil is in the middle of the ball's texture."""
    centres, axes = [], []
    for name in BALLS:
        first, last, first_face, last_face = head.parts[name]
        centre = _ball_centre(head.vertices[first:last])
        corners, places = head.faces[first_face:last_face], head.uv_faces[first_face:last_face]
        there = corners >= 0
        off_middle = np.hypot(*(head.uv[places[there]] - 0.5).T)
        axis = head.vertices[corners[there][np.argmin(off_middle)]] - centre
        centres.append(centre)
        axes.append(axis / np.linalg.norm(axis))
    return Eyes(np.array(centres, float), np.array(axes, float))


def turn_eyes(head: HeadModel, vertices: Float32, gaze: tuple[float, float]) -> Float32:
    """Return vertices whose eyeballs look where the gaze goes: left and up, 1 is 30 degrees."""
    if not any(gaze):
        return vertices
    rotation = turn(GAZE_DEG * gaze[0], GAZE_DEG * gaze[1], 0.0).astype(np.float32)
    turned = vertices.copy()
    for name in BALLS:
        first, last = head.parts[name][:2]
        ball = vertices[first:last]
        centre = _ball_centre(ball)
        turned[first:last] = (ball - centre) @ rotation.T + centre
    return turned


def _ball_centre(ball: Float32) -> Float32:
    """Return the middle of an eyeball of which the back is missing."""
    low, high = ball.min(axis=0), ball.max(axis=0)
    centre = (low + high) / 2
    centre[2] = low[2] + (high[0] - low[0]) / 2
    return np.asarray(centre, np.float32)


def near_in_texture(
    head: HeadModel, places: NDArray[np.float64], part: str = "face"
) -> tuple[Int, Float32]:
    """Return the three vertices of a part around places of the texture (n, 2), and their shares.

    Returns
    -------
    ((n, 3) int32, (n, 3) float32)
    """
    first, last = head.parts[part][:2]
    uv = uv_of_vertices(head)[first:last].astype(float)
    away = ((uv[None] - places[:, None]) ** 2).sum(axis=-1)
    near = np.argsort(away, axis=1)[:, :3]
    share = 1.0 / (np.take_along_axis(away, near, axis=1) + 1e-9)
    share /= share.sum(axis=1, keepdims=True)
    return (near + first).astype(np.int32), share.astype(np.float32)


def uv_of_vertices(head: HeadModel) -> Float32:
    """Return one place in the texture for each vertex: (n, 2)."""
    places = np.zeros((len(head.vertices), 2), np.float32)
    there = head.faces >= 0
    places[head.faces[there]] = head.uv[head.uv_faces[there]]
    return places
