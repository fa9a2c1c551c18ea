"""The parts of the generic head: what it shows, and the curves that its picture is made of.

Axes: x to the image's right (the head's own left), y up, z towards the camera.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duchenne.analysis.face.frames import FloatArray

MAX_INTENSITY = 5.0
_CURVE_STEPS = 8


@dataclass(frozen=True)
class Expression:
    """What the head shows.

    Parameters
    ----------
    units : mapping of str to float
        Action Units such as ``"AU12"``, or for one side ``"AU12L"`` (the head's own left), 0 to 5.
        Those that are absent or NaN are 0; a side that is absent takes the two-sided value.
    pose_deg : (pitch, yaw, roll)
        Up, to the own left, and towards the own right shoulder are positive.
    """

    units: Mapping[str, float] = field(default_factory=dict)
    pose_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def unit(self, name: str, side: str = "") -> float:
        """Return an intensity as a share of the maximum, 0 to 1."""
        value = self.units.get(name + side, np.nan)
        if not np.isfinite(value):
            value = self.units.get(name, np.nan)
        if not np.isfinite(value):
            value = 0.0
        return float(np.clip(value, 0.0, MAX_INTENSITY)) / MAX_INTENSITY


@dataclass(frozen=True)
class Side:
    """Curves of one side of the head, each (n, 2) in the plane of the picture, centimetres."""

    brow: FloatArray
    eye: FloatArray
    upper_lid: FloatArray
    crease: FloatArray
    lower_lid: FloatArray
    iris: FloatArray
    pupil: FloatArray
    glint: FloatArray
    fold: FloatArray
    cheek: FloatArray
    crow: tuple[FloatArray, ...]
    furrow: FloatArray
    nostril: FloatArray
    wing: FloatArray
    ear: FloatArray
    socket: FloatArray
    dimple: FloatArray


@dataclass(frozen=True)
class Head:
    """All curves of a head in the plane of the picture, y down, centimetres from the origin."""

    outline: FloatArray
    hair: FloatArray
    neck: FloatArray
    shoulders: FloatArray
    sides: tuple[Side, Side]
    bridge: FloatArray
    nose: FloatArray
    tip: FloatArray
    nose_wrinkles: tuple[FloatArray, ...]
    forehead_lines: tuple[FloatArray, ...]
    upper_lip: FloatArray
    lower_lip: FloatArray
    mouth: FloatArray
    teeth: FloatArray
    lip_line: FloatArray
    under_lip: FloatArray
    chin: FloatArray
    expression: Expression


def rotation(pose_deg: Sequence[float]) -> FloatArray:
    """Return the (3, 3) rotation of a head turned by yaw, then pitch, then roll."""
    pitch, yaw, roll = np.radians(np.asarray(pose_deg, np.float64))
    turn = np.array(
        [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]], np.float64
    )
    nod = np.array(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    )
    tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(tilt @ nod @ turn, np.float64)


def smooth_curve(points: Sequence[Sequence[float]] | FloatArray, *, closed: bool) -> FloatArray:
    """Return a Catmull–Rom curve through points: (m, d) float64."""
    knots = np.asarray(points, np.float64)
    n = len(knots)
    if closed:
        before, after, after2 = (np.roll(knots, shift, axis=0) for shift in (1, -1, -2))
        first, count = knots, n
    else:
        padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
        before, first, after, after2 = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
        count = n - 1
    t = np.linspace(0, 1, _CURVE_STEPS, endpoint=False)[None, :, None]
    b, p, q, r = (a[:count, None, :] for a in (before, first, after, after2))
    curve = 0.5 * (
        2 * p + (q - b) * t + (2 * b - 5 * p + 4 * q - r) * t**2 + (3 * p - b - 3 * q + r) * t**3
    )
    flat = curve.reshape(-1, knots.shape[1])
    return flat if closed else np.vstack([flat, knots[-1]])
