"""Which facial shapes make which Action Unit, and what a picture's labels are.

The intensity of a label is five times the weight of the action (0 to 1). AU25 is the larger of its weight and
the parting of the lips that is rendered, as FACS codes it whenever the lips part.

Reference
---------
Ekman, Friesen & Hager (2002), Facial Action Coding System; Friesen & Ekman (1983), EMFACS-7.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.rendering.head import Float32, HeadModel

SIDES = ("L", "R")


def _both(shape: str, weight: float = 1.0) -> dict[str, float]:
    return {f"{shape}_{side}": weight for side in SIDES}


SHAPES: Mapping[int, Mapping[str, float]] = MappingProxyType(
    {
        1: _both("browInnerUp"),
        2: _both("browOuterUp"),
        4: _both("browDown"),
        5: _both("eyeWide"),
        6: _both("cheekSquint") | _both("eyeSquint", 0.35),  # the same muscle narrows the eye
        7: _both("eyeSquint") | _both("eyeBlink", 0.12),
        # The brow comes down with the nose; part of the shape's own lift of the lip is taken back.
        9: _both("noseSneer") | _both("browDown", 0.25) | _both("mouthUpperUp", -0.45),
        10: _both("mouthUpperUp"),
        12: _both("mouthSmile"),
        14: _both("mouthDimple"),
        15: _both("mouthFrown"),
        16: _both("mouthLowerDown"),
        17: {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.35},
        18: {"mouthPucker": 1.0},
        20: _both("mouthStretch"),
        22: {"mouthFunnel": 0.7},
        23: {"mouthRollUpper": 0.38, "mouthRollLower": 0.38, "mouthPucker": 0.15},
        24: _both("mouthPress")
        | {"mouthRollUpper": 0.18, "mouthRollLower": 0.18, "mouthPucker": 0.1},
        25: {"mouthClose": -0.14, "jawOpen": 0.05},  # the lips part, the jaw stays
        26: {"jawOpen": 0.45},
        28: {"mouthRollUpper": 0.95, "mouthRollLower": 0.95, "jawOpen": 0.1, "mouthClose": 0.1},
        45: _both("eyeBlink"),
    }
)
"""Weights of the facial shapes at full intensity, by Action Unit."""
UNITS = tuple(SHAPES)
SIDED_UNITS = (12, 14)
"""Units that are labelled for each side as well."""

PROTOTYPES: Mapping[str, Mapping[int, float]] = MappingProxyType(
    {
        "happiness": {6: 0.8, 12: 0.9, 25: 0.5},
        "sadness": {1: 0.9, 4: 0.6, 15: 0.8, 17: 0.5},
        "surprise": {1: 0.9, 2: 0.9, 5: 0.8, 26: 0.8},
        "fear": {1: 0.8, 2: 0.6, 4: 0.6, 5: 0.9, 7: 0.3, 20: 0.8, 26: 0.45},
        "disgust": {9: 0.9, 10: 0.5, 17: 0.4, 15: 0.4},
        "anger": {4: 1.0, 5: 0.5, 7: 0.7, 23: 0.7, 24: 0.3},
        "contempt": {12: 0.5, 14: 0.8},
    }
)
"""Weights of the actions that show an emotion at its strongest; contempt is shown on one side."""

# The other side of a one-sided action moves along a little.
_OTHER_SIDE = 0.08
_ASYMMETRY = 0.1
GAZE_DEG = 30.0
"""Turn of the eyes at gaze 1: as far as the lids of the model follow."""
_LIPS_CLOSED, _LIPS_APART = 0.06, 0.70
_MIDDLE_OF_LIPS = (62, 66)
_LIP_PAIRS = ((61, 67), _MIDDLE_OF_LIPS, (63, 65))
_CLOSES = "mouthClose"


@dataclass(frozen=True)
class Act:
    """What a face does in one picture.

    Parameters
    ----------
    units : mapping of int to float
        Weight 0 to 1 of each Action Unit that acts.
    side : mapping of int to str
        ``L`` or ``R`` (the person's own) for units that act on one side.
    gaze : (float, float)
        Towards the person's left and up; 1 is 30 degrees.
    other : mapping of str to float
        Facial shapes that no Action Unit of ours describes, such as ``jawLeft``.
    """

    units: Mapping[int, float] = field(default_factory=dict)
    side: Mapping[int, str] = field(default_factory=dict)
    gaze: tuple[float, float] = (0.0, 0.0)
    other: Mapping[str, float] = field(default_factory=dict)


def shape_weights(
    act: Act, resting: Mapping[str, float] = MappingProxyType({}), asymmetry: float = 0.0
) -> dict[str, float]:
    """Return the weight of each facial shape.

    Parameters
    ----------
    act : Act
    resting : mapping of str to float
        Shapes of this person's face at rest; no label tells of them.
    asymmetry : float
        −1 to 1: up to 10 % more on the left side and less on the right one.
    """
    weights: dict[str, float] = {}

    def add(shape: str, weight: float) -> None:
        weights[shape] = weights.get(shape, 0.0) + weight

    for unit, strength in act.units.items():
        for shape, full in SHAPES[unit].items():
            side = shape[-1] if shape[-2:] in {"_L", "_R"} else ""
            weight = strength * full
            if side and act.side.get(unit, side) != side:
                weight *= _OTHER_SIDE
            tilt = {"L": 1.0, "R": -1.0}.get(side, 0.0)
            add(shape, weight * (1.0 + _ASYMMETRY * asymmetry * tilt))
    for shape, weight in _lids_of_gaze(*act.gaze).items():
        add(shape, weight)
    for shape, weight in (*act.other.items(), *resting.items()):
        add(shape, weight)
    return _lids_agree(weights)


def lip_gap(head: HeadModel, base: Float32, weights: Mapping[str, float]) -> float:
    """Return how far the inner lips of a face are apart, in the head's unit; negative where pressed.

    Parameters
    ----------
    head : HeadModel
    base : (n, 3) float32
        The person, without the shapes.
    weights : mapping of str to float
        Of the shapes.
    """
    return _gap(head, base, weights, _MIDDLE_OF_LIPS)


def _gap(
    head: HeadModel, base: Float32, weights: Mapping[str, float], pair: tuple[int, int]
) -> float:
    """Return how far the vertices of two landmarks are apart in height."""
    upper, lower = head.landmarks[list(pair)].tolist()
    gap = float(base[upper, 1] - base[lower, 1])
    for shape, weight in weights.items():
        rows, offsets = head.shapes[shape]
        for vertex, sign in ((upper, 1.0), (lower, -1.0)):
            at = int(np.searchsorted(rows, vertex))
            if at < len(rows) and rows[at] == vertex:
                gap += sign * weight * float(offsets[at, 1])
    return gap


def closed_lips(
    head: HeadModel, base: Float32, resting: Mapping[str, float], gap: float = 0.0
) -> dict[str, float]:
    """Return the resting shapes with lips that meet, so that parted lips are always an action.

    Parameters
    ----------
    head : HeadModel
    base : (n, 3) float32
    resting : mapping of str to float
    gap : float
        Of the inner lips at rest, where they are farthest apart.
    """
    now = max(_gap(head, base, resting, pair) for pair in _LIP_PAIRS)
    closing = dict(resting) | {_CLOSES: 1.0}
    per_weight = lip_gap(head, base, closing) - lip_gap(head, base, resting)
    if _CLOSES in resting or abs(per_weight) < 1e-3:
        return dict(resting)
    return dict(resting) | {_CLOSES: float(np.clip((gap - now) / per_weight, -0.2, 0.2))}


def _lids_of_gaze(left: float, up: float) -> dict[str, float]:
    moves = {
        "eyeLookOut_L": left,
        "eyeLookIn_R": left,
        "eyeLookIn_L": -left,
        "eyeLookOut_R": -left,
        **_both("eyeLookUp", up),
        **_both("eyeLookDown", -up),
    }
    return {shape: weight for shape, weight in moves.items() if weight > 0}


def _lids_agree(weights: dict[str, float]) -> dict[str, float]:
    """Let a closing lid win over a widened, narrowed or lowered one."""
    for side in SIDES:
        closed = min(1.0, max(0.0, weights.get(f"eyeBlink_{side}", 0.0)))
        weights[f"eyeBlink_{side}"] = closed
        for shape, given_up in (("eyeWide", 1.0), ("eyeSquint", 0.8), ("eyeLookDown", 0.8)):
            if f"{shape}_{side}" in weights:
                weights[f"{shape}_{side}"] *= 1.0 - given_up * closed
    return weights


def labels(act: Act, lip_gap: float, rest_gap: float) -> dict[str, float]:
    """Return the intensities 0 to 5 of a picture: ``AU01`` … ``AU45``, ``AU12L``, ``AU12R`` ….

    Parameters
    ----------
    act : Act
    lip_gap, rest_gap : float
        Distance of the inner lips in this picture and of the same person at rest.

    Notes
    -----
    A one-sided action counts as strong as its stronger side.
    """
    apart = (lip_gap - rest_gap - _LIPS_CLOSED) / _LIPS_APART
    weights = {unit: float(act.units.get(unit, 0.0)) for unit in UNITS}
    weights[25] = max(weights[25], float(np.clip(apart, 0.0, 1.0)))
    found = {f"AU{unit:02d}": 5.0 * weight for unit, weight in weights.items()}
    for unit in SIDED_UNITS:
        acting = act.side.get(unit)
        for side in SIDES:
            share = 1.0 if acting in {None, side} else _OTHER_SIDE
            found[f"AU{unit:02d}{side}"] = 5.0 * weights[unit] * share
    return found


LABEL_NAMES = tuple(labels(Act(), 0.0, 0.0))
"""Names of the labels, in their order."""
