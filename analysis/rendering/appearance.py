"""How a person looks: skin, hair, brows, lips, eyes, beard, glasses and what covers the face.

All colours are sRGB from 0 to 1. Brows vary widely in height, thickness and shape between persons, also where
nothing raises or lowers them, so that a brow's place alone does not tell of an action.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

Colour = tuple[float, float, float]

# From light to dark.
_SKINS = np.array(
    [
        (236, 200, 180),
        (228, 186, 160),
        (214, 168, 140),
        (198, 150, 118),
        (178, 128, 96),
        (150, 104, 76),
        (124, 84, 60),
        (98, 64, 46),
        (78, 52, 40),
    ]
)
_HAIRS = np.array(
    [
        (28, 22, 20),
        (46, 32, 24),
        (74, 48, 30),
        (104, 72, 42),
        (150, 114, 70),
        (186, 152, 104),
        (120, 60, 34),
        (140, 136, 132),
        (205, 202, 198),
    ]
)
_HAIR_SHARES_LIGHT = (0.22, 0.2, 0.17, 0.12, 0.08, 0.06, 0.05, 0.06, 0.04)
_HAIR_SHARES_DARK = (0.62, 0.22, 0.05, 0.0, 0.0, 0.0, 0.01, 0.07, 0.03)
_IRISES = np.array(
    [(70, 44, 24), (92, 60, 32), (110, 90, 50), (84, 106, 78), (88, 120, 150), (110, 130, 142)]
)
_LIGHT_TONES = 3.5
BUZZ, SHORT, FULL, BALD, LONG = range(5)
HAIR_STYLES = ("buzz", "short", "full", "bald", "long")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "rim", "half-rim", "thin", "dark")
COVERS = ("none", "mask", "headscarf")


@dataclass(frozen=True)
class Brows:
    """Brows of a face at rest, in units of the texture (0.01 is about 3 mm).

    Parameters
    ----------
    height : float
        Against the model's own; people's lie about 0.022 lower.
    thickness, density, length : float
        1 is usual.
    arch : float
        0 is straight.
    slant : float
        How much higher the outer end lies than the inner one.
    asymmetry : float
        How much higher the left one lies.
    """

    height: float = -0.022
    thickness: float = 1.0
    density: float = 0.8
    length: float = 1.0
    arch: float = 0.3
    slant: float = 0.0
    asymmetry: float = 0.0


@dataclass(frozen=True)
class Look:
    """How a person looks.

    Parameters
    ----------
    seed : int
        Of what has no name: pores, strands, spots.
    tone : float
        0 (light skin) to 8 (dark skin).
    skin, hair, brow_hair, iris, lips, cloth, cover_colour, frame : tuple of float
    male : bool
        Chances of hair style, beard and colours.
    age, redness, eye_bags, freckles, shine, shadow, lashes : float
        0 (none) to 1 (much).
    hair_style : int
        One of `HAIR_STYLES` by number.
    hairline : float
        How far the hair recedes.
    beard, glasses, cover : str
        One of `BEARDS`, `GLASSES`, `COVERS`.
    beard_length : float
        0 to 1.
    wrinkles : float
        Depth of the folds that actions make.
    fold_width : float
        Their width, of 0.9 mm.
    brows : Brows
    resting : mapping of str to float
        Facial shapes of this face at rest.
    asymmetry : float
        −1 to 1.
    pupil : float
        Radius in shares of the iris.
    """

    seed: int = 0
    tone: float = 2.0
    skin: Colour = (0.84, 0.66, 0.55)
    hair: Colour = (0.18, 0.13, 0.1)
    brow_hair: Colour = (0.16, 0.11, 0.09)
    iris: Colour = (0.36, 0.24, 0.13)
    lips: Colour = (0.66, 0.36, 0.34)
    cloth: Colour = (0.3, 0.35, 0.45)
    cover_colour: Colour = (0.5, 0.65, 0.8)
    frame: Colour = (0.05, 0.05, 0.05)
    male: bool = False
    age: float = 0.3
    redness: float = 0.5
    eye_bags: float = 0.4
    freckles: float = 0.0
    shine: float = 0.8
    shadow: float = 0.0
    lashes: float = 0.7
    hair_style: int = SHORT
    hairline: float = 0.0
    beard: str = "none"
    beard_length: float = 0.0
    glasses: str = "none"
    cover: str = "none"
    wrinkles: float = 0.5
    fold_width: float = 1.0
    brows: Brows = field(default_factory=Brows)
    resting: Mapping[str, float] = field(default_factory=dict)
    asymmetry: float = 0.0
    pupil: float = 0.42


def random_look(rng: np.random.Generator, *, props: bool = True) -> Look:
    """Return a random person's look.

    Parameters
    ----------
    rng : numpy.random.Generator
    props : bool
        Glasses, masks and headscarves may occur.
    """
    male = bool(rng.random() < 0.5)
    tone = float(rng.uniform(0, len(_SKINS) - 1))
    is_light = tone < _LIGHT_TONES
    skin = _along(_SKINS, tone) + rng.normal(0, 0.016, 3)
    skin = skin.mean() + rng.uniform(0.65, 1.0) * (skin - skin.mean())
    hair_colour = int(
        rng.choice(len(_HAIRS), p=_HAIR_SHARES_LIGHT if is_light else _HAIR_SHARES_DARK)
    )
    hair = _HAIRS[hair_colour] / 255.0 * rng.uniform(0.8, 1.2)
    brow_hair = hair * rng.uniform(0.6, 1.0)
    if rng.random() < 0.15:
        brow_hair = _HAIRS[0] / 255.0
    iris = int(rng.integers(len(_IRISES)) if is_light else rng.integers(2))
    age = float(rng.uniform(0, 1))
    styles, shares = (
        ((BUZZ, SHORT, FULL, BALD), (0.26, 0.39, 0.25, 0.10))
        if male
        else ((SHORT, FULL, LONG), (0.2, 0.25, 0.55))
    )
    look = Look(
        seed=int(rng.integers(2**31)),
        tone=tone,
        skin=_colour(skin),
        hair=_colour(hair),
        brow_hair=_colour(brow_hair),
        iris=_colour(_IRISES[iris] / 255.0 * rng.uniform(0.8, 1.2)),
        lips=_colour(_lips(skin, male, rng)),
        cloth=_colour(rng.uniform(0.05, 0.8) + rng.uniform(-0.12, 0.12, 3)),
        male=male,
        age=age,
        redness=float(rng.uniform(0, 1)),
        eye_bags=float(np.clip(rng.normal(0.25 + 0.4 * age, 0.25), 0, 1)),
        freckles=float(max(0.0, rng.uniform(-1.2, 0.8))),
        shine=float(rng.uniform(0.35, 1.3)),
        shadow=0.0 if male or rng.random() < 0.6 else float(rng.uniform(0.2, 1.0)),
        lashes=float(rng.uniform(0.3, 0.6) if male else rng.uniform(0.55, 1.1)),
        hair_style=int(rng.choice(styles, p=shares)),
        hairline=float(rng.uniform(-0.7, 0.9)),
        wrinkles=float(rng.uniform(0.15, 0.6) + 0.7 * age * rng.uniform(0.3, 1.0)),
        brows=random_brows(rng, male=male),
        resting=random_resting(rng),
        asymmetry=float(rng.uniform(-1, 1)),
        pupil=float(rng.uniform(0.28, 0.58)),
    )
    look = _bearded(look, rng) if male else look
    return _worn(look, rng) if props else look


def random_brows(rng: np.random.Generator, *, male: bool) -> Brows:
    """Return random brows: around people's height, spread twice as far as is usual."""
    return Brows(
        height=float(np.clip(rng.normal(-0.022, 0.010), -0.044, 0.002)),
        thickness=float(np.exp(rng.normal(0.12 if male else -0.1, 0.28)).clip(0.45, 1.9)),
        density=float(rng.uniform(0.3, 1.15)),
        length=float(np.clip(rng.normal(1.0, 0.07), 0.8, 1.15)),
        arch=float(rng.normal(0.3, 0.8)),
        slant=float(rng.normal(0.0, 0.006)),
        asymmetry=float(rng.normal(0.0, 0.003)),
    )


_RESTING_SPREAD = {
    "browInnerUp": 0.07,
    "browOuterUp": 0.07,
    "browDown": 0.10,
    "mouthSmile": 0.07,
    "mouthFrown": 0.10,
    "eyeSquint": 0.10,
    "eyeWide": 0.14,
    "eyeBlink": 0.035,
    "cheekSquint": 0.08,
    "mouthPress": 0.08,
    "mouthDimple": 0.06,
}


def random_resting(rng: np.random.Generator) -> dict[str, float]:
    """Return shapes of a face at rest: corners of the mouth, openings of the eyes, brows."""
    resting: dict[str, float] = {}
    for shape, spread in _RESTING_SPREAD.items():
        common = float(rng.normal(0, spread))
        for side in "LR":
            weight = common + float(rng.normal(0, spread * 0.25))
            resting[f"{shape}_{side}"] = float(np.clip(weight, -0.2, 0.3))
    return resting


def _along(colours: np.ndarray, place: float) -> np.ndarray:
    low = min(int(place), len(colours) - 2)
    share = place - low
    return np.asarray(((1 - share) * colours[low] + share * colours[low + 1]) / 255.0)


def _lips(skin: np.ndarray, male: bool, rng: np.random.Generator) -> np.ndarray:
    own = skin * np.array([0.86, 0.60, 0.60])
    paint = np.array([0.62, 0.2, 0.24]) + rng.normal(0, 0.06, 3)
    how_much = rng.uniform(0.0, 0.2) if male else rng.uniform(0.05, 0.75)
    return np.asarray((1 - how_much) * own + how_much * paint)


def _bearded(look: Look, rng: np.random.Generator) -> Look:
    beard = str(rng.choice(BEARDS, p=(0.36, 0.24, 0.10, 0.10, 0.20)))
    return replace(look, beard=beard, beard_length=float(rng.uniform(0.15, 1.0)))


def _worn(look: Look, rng: np.random.Generator) -> Look:
    glasses = str(rng.choice(GLASSES, p=(0.70, 0.14, 0.06, 0.09, 0.01)))
    frame = rng.uniform(0.02, 0.2) * np.ones(3)
    if rng.random() < 0.4:
        frame = rng.uniform(0.05, 0.75, 3)
    cover = "none"
    if rng.random() < 0.02:
        cover = "mask"
    elif not look.male and rng.random() < 0.1:
        cover = "headscarf"
    return replace(
        look,
        glasses=glasses,
        frame=_colour(frame),
        cover=cover,
        cover_colour=_colour(rng.uniform(0.05, 0.95, 3)),
    )


def _colour(rgb: np.ndarray) -> Colour:
    red, green, blue = np.clip(rgb, 0.02, 0.97).tolist()
    return (red, green, blue)
