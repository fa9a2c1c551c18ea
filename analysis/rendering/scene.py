"""What a picture shows, and what comes out: values without any graphics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.rendering.action_units import Act
from duchenne.analysis.rendering.camera import Camera
from duchenne.analysis.rendering.lighting import Light, plain_light

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.face.frames import FloatArray, Image
    from duchenne.analysis.rendering.appearance import Look
    from duchenne.analysis.rendering.head import Float32
    from duchenne.analysis.rendering.thing import Thing


@dataclass(frozen=True)
class Shown:
    """Everything that one picture shows.

    Parameters
    ----------
    base : (n, 3) float32
        Vertices of the person at rest, of `HeadModel.at_rest`.
    look : Look
    act : Act
    yaw_deg, pitch_deg, roll_deg : float
        Turn of the head towards its left, upwards and towards its left shoulder.
    light : Light
    camera : Camera
    backdrop : (h, w, 3) uint8 or None
        None is grey.
    folds : (4,) float64
        Depth of the folds of the skin.
    things : sequence of Thing
    """

    base: Float32
    look: Look
    act: Act = field(default_factory=Act)
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    light: Light = field(default_factory=plain_light)
    camera: Camera = field(default_factory=Camera)
    backdrop: Image | None = None
    folds: FloatArray = field(default_factory=lambda: np.zeros(4))
    things: Sequence[Thing] = ()


@dataclass(frozen=True)
class Rendered:
    """A picture and what is true of it.

    Parameters
    ----------
    image : (px, px, 3) uint8
        RGB.
    landmarks : (68, 2) float64
        Pixels of the picture; those of the brows lie on the painted brows.
    lip_gap : float
        Between the inner lips, in the head's unit; negative where they are pressed.
    """

    image: Image
    landmarks: FloatArray
    lip_gap: float
