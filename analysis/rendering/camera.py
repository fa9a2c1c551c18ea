"""Matrices of the camera, of the lamp's view and of the head's turn; points are columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

FRAME_PX = 1000.0
"""Side of the picture in which landmarks are placed before they are aligned."""
LOOKED_AT = (0.0, 1.2, 4.0)
_UP = (0.0, 1.0, 0.0)
# Half the height that the camera sees where it looks.
_HALF_VIEW = 20.0


@dataclass(frozen=True)
class Camera:
    """Where the camera stands.

    Parameters
    ----------
    distance : float
        From the face; 30 to 120 is a telephone at arm's length to a camera behind a screen.
    height, across : float
        How far it stands above and to the person's left of the eyes.
    """

    distance: float = 70.0
    height: float = 0.0
    across: float = 0.0

    @property
    def place(self) -> tuple[float, float, float]:
        """Where it stands."""
        x, y, z = LOOKED_AT
        return (x + self.across, y + self.height, z + self.distance)

    def matrix(self) -> Matrix:
        """Return the (4, 4) matrix from the head's space to that of the square frame."""
        seen_deg = 2.0 * np.degrees(np.arctan(_HALF_VIEW / self.distance))
        near = max(4.0, self.distance - 24.0)
        return perspective(seen_deg, near, self.distance + 60.0) @ look_at(self.place, LOOKED_AT)


def perspective(seen_deg: float, near: float, far: float) -> Matrix:
    """Return the projection of a square frame that sees so many degrees."""
    scale = 1.0 / np.tan(np.radians(seen_deg) / 2.0)
    depth = near - far
    return np.array(
        [
            [scale, 0.0, 0.0, 0.0],
            [0.0, scale, 0.0, 0.0],
            [0.0, 0.0, (far + near) / depth, 2.0 * far * near / depth],
            [0.0, 0.0, -1.0, 0.0],
        ]
    )


def parallel(half_width: float, near: float, far: float) -> Matrix:
    """Return the projection of a lamp that is far away."""
    matrix = np.diag([1.0 / half_width, 1.0 / half_width, -2.0 / (far - near), 1.0])
    matrix[2, 3] = -(far + near) / (far - near)
    return matrix


def look_at(
    place: tuple[float, ...], target: tuple[float, ...], up: tuple[float, ...] = _UP
) -> Matrix:
    """Return the matrix of an eye at a place that looks at a target."""
    eye = np.asarray(place, float)
    forward = np.asarray(target, float) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(right, forward), -forward])
    matrix[:3, 3] = -matrix[:3, :3] @ eye
    return matrix


def turn(yaw_deg: float, pitch_deg: float, roll_deg: float) -> Matrix:
    """Return the (3, 3) turn of a head: towards its left, upwards, and towards its left shoulder."""
    yaw, pitch, roll = np.radians([yaw_deg, -pitch_deg, -roll_deg])
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    return np.asarray(np.array(about_z) @ np.array(about_y) @ np.array(about_x))


def projected(points: NDArray[np.floating], matrix: Matrix, side_px: float = FRAME_PX) -> Matrix:
    """Return where points lie in a square picture.

    Parameters
    ----------
    points : (n, 3) float
    matrix : (4, 4) float64
    side_px : float

    Returns
    -------
    (n, 2) float64
        Pixels, x right and y down.
    """
    clip = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    flat = clip[:, :2] / clip[:, 3:]
    return np.asarray((flat * [0.5, -0.5] + 0.5) * side_px)


def aligned(matrix: Matrix, affine: Matrix, px: int) -> Matrix:
    """Return the camera's matrix such that it shows the aligned square instead of the frame.

    Parameters
    ----------
    matrix : (4, 4) float64
    affine : (2, 3) float64
        From pixels of the frame (`FRAME_PX`) to pixels of the square.
    px : int
        Side of the square.
    """
    to_frame = np.array([[0.5, 0.0, 0.5], [0.0, -0.5, 0.5], [0.0, 0.0, 1.0]])
    to_frame[:2] *= FRAME_PX
    whole = np.vstack([affine, [0.0, 0.0, 1.0]])
    from_square = np.array([[2.0 / px, 0.0, -1.0], [0.0, -2.0 / px, 1.0], [0.0, 0.0, 1.0]])
    flat = from_square @ whole @ to_frame
    place = np.eye(4)
    place[np.ix_([0, 1, 3], [0, 1, 3])] = flat
    return np.asarray(place @ matrix)
