"""Light on a face: one lamp that casts a shadow, a weaker one, one from behind, and the room."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float64]


_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
# How far a camera's own exposure makes up for the strength of the light.
_EXPOSED_SHARE = 0.75
# It measures the face by this share, and for the rest a scene that is as bright as this.
_OF_FACE, _OF_SCENE = 0.6, 0.3


@dataclass(frozen=True)
class Light:
    """Light on a face.

    Parameters
    ----------
    directions : (3, 3) float64
        Unit vectors towards the lamp, the second lamp and the lamp behind.
    colours : (3, 3) float64
        Linear RGB of each.
    above, below : (3,) float64
        Linear RGB of the light of the room from above and below.
    hardness : float
        0 (a bright sky) to 1 (the sun): how dark and how sharp the lamp's shadow is.
    """

    directions: Vectors
    colours: Vectors
    above: Vectors
    below: Vectors
    hardness: float


def direction(azimuth_deg: float, elevation_deg: float) -> Vectors:
    """Return the unit vector of a direction: 0, 0 is the camera's, left is the person's left."""
    azimuth, elevation = np.radians([azimuth_deg, elevation_deg])
    flat = np.cos(elevation)
    return np.array([np.sin(azimuth) * flat, np.sin(elevation), np.cos(azimuth) * flat])


def plain_light() -> Light:
    """Return soft light from the front and above."""
    return Light(
        directions=np.stack([direction(30, 30), direction(-35, 10), direction(-150, 35)]),
        colours=np.array([[1.6] * 3, [0.55] * 3, [0.3] * 3]),
        above=np.array([0.45, 0.47, 0.5]),
        below=np.array([0.26, 0.22, 0.2]),
        hardness=0.6,
    )


def random_light(rng: np.random.Generator) -> Light:
    """Return the light of a random room, street or screen."""
    azimuth = float(rng.normal(0, 42))
    elevation = float(rng.uniform(-12, 68))
    warmth = float(rng.normal(0, 0.12))
    warm = np.array([1 + warmth, 1.0, 1 - warmth])
    cold = np.array([1 - warmth / 2, 1.0, 1 + warmth / 2])
    strength = float(np.exp(rng.normal(np.log(1.6), 0.3)))
    room = float(rng.uniform(0.25, 1.15))
    behind = float(rng.uniform(0, 1.6)) if rng.random() < 0.4 else 0.1
    side = -1.0 if azimuth > 0 else 1.0
    tint = np.exp(rng.normal(0, 0.05, 3))
    return Light(
        directions=np.stack(
            [
                direction(azimuth, elevation),
                direction(-0.8 * azimuth + float(rng.normal(0, 20)), float(rng.uniform(-10, 30))),
                direction(side * float(rng.uniform(120, 160)), float(rng.uniform(15, 50))),
            ]
        ),
        colours=np.stack(
            [strength * warm, float(rng.uniform(0.05, 0.9)) * cold, behind * np.ones(3)]
        ),
        above=room * np.array([0.62, 0.66, 0.72]) * tint,
        below=room * np.array([0.36, 0.3, 0.27]) * float(rng.uniform(0.6, 1.5)),
        hardness=float(rng.uniform(0.1, 1.0)),
    )


def exposed(light: Light, skin: tuple[float, float, float], brightness: float) -> Light:
    """Return the light at the strength at which a camera's own exposure shows a face.

    Parameters
    ----------
    light : Light
    skin : (3,) float
        sRGB.
    brightness : float
        Linear brightness of the skin where it faces the camera half way up; 0.25 is usual.
    """
    own = float((np.array(skin) ** 2.2) @ _LUMINANCE)
    skin_linear = own**_OF_FACE * _OF_SCENE ** (1 - _OF_FACE)
    normals = np.array([[0.0, 0.0, 1.0], [0.5, 0.0, 0.87], [-0.5, 0.0, 0.87]])
    facing = (normals @ light.directions.T).clip(0, None).mean(axis=0)
    falling = (light.above + light.below) / 2 + facing @ light.colours
    factor = (brightness / max(skin_linear * float(falling @ _LUMINANCE), 1e-3)) ** _EXPOSED_SHARE
    return replace(
        light,
        colours=light.colours * factor,
        above=light.above * factor,
        below=light.below * factor,
    )


def flickered(light: Light, rng: np.random.Generator, size: float) -> Light:
    """Return the light as it is under another picture on the screen; size 0 leaves it as it is."""
    tint = np.exp(rng.normal(0, size * 0.3, 3))
    common = float(np.exp(rng.normal(0, size)))
    lamps = np.exp(rng.normal(0, size, (3, 1)))
    return replace(
        light,
        colours=light.colours * lamps * tint,
        above=light.above * common,
        below=light.below * common,
    )
