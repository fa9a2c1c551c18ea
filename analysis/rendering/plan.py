"""Who is rendered, and what each of their pictures shows.

An identity is one person in one place: face, look, lamp, backdrop, camera and the quality of its film
stay. The pictures hold neutral frames, frames without any action but with moving eyes, head and light,
single actions, smiles with and without AU6, prototypes of emotions, random combinations, and mouths that
talk. AU6 and AU12 are drawn without regard to each other in smiles, so that AU6 can only be read from the
eyes and the cheeks. Faces that cry or are in pain come on demand: brows, lids and a mouth that is drawn out,
down and up at once, which random combinations hardly ever bring together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.rendering.action_units import PROTOTYPES, SIDES, UNITS, Act, closed_lips
from duchenne.analysis.rendering.appearance import random_look
from duchenne.analysis.rendering.backdrops import random_backdrop
from duchenne.analysis.rendering.camera import Camera
from duchenne.analysis.rendering.degrade import random_film
from duchenne.analysis.rendering.lighting import exposed, random_light

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.face.frames import Image
    from duchenne.analysis.rendering.appearance import Look
    from duchenne.analysis.rendering.degrade import Film
    from duchenne.analysis.rendering.head import Float32, HeadModel
    from duchenne.analysis.rendering.lighting import Light

NEUTRAL, NO_ACTION, SINGLE, SMILE, PROTOTYPE, RANDOM, TALK, DISTRESS = (
    "neutral",
    "no-action",
    "single",
    "smile",
    "prototype",
    "random",
    "talk",
    "distress",
)
SHARES: Mapping[str, float] = MappingProxyType(
    {NEUTRAL: 2, NO_ACTION: 4, SINGLE: 4, SMILE: 3, PROTOTYPE: 4, RANDOM: 6, TALK: 1}
)
"""How many pictures of 24 are of each kind."""
STANDARD = "standard"
EXPRESSIONS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        STANDARD: SHARES,
        DISTRESS: MappingProxyType(
            {
                NEUTRAL: 2,
                NO_ACTION: 4,
                SINGLE: 3,
                SMILE: 3,
                PROTOTYPE: 2,
                RANDOM: 3,
                TALK: 1,
                DISTRESS: 6,
            }
        ),
    }
)
"""Shares of the kinds: the usual ones, or with a quarter of faces that cry or are in pain."""
OCCLUDERS = ("hand", "cup")

_TALKING = (25, 26, 18, 22, 16, 17, 20, 24)
# Actions that exclude each other in one face.
_EXCLUDES: Mapping[int, tuple[int, ...]] = MappingProxyType(
    {
        28: (25, 26, 22, 18, 10, 16, 23, 24),
        24: (25, 26, 22, 18, 23),
        23: (25, 26, 22),
        18: (20, 12, 22),
        12: (15, 20),
        45: (5,),
    }
)
_CORNERS_UP = 12
# Crying and pain: chance and least weight of each action (Prkachin 1992, Pain 51; Prkachin & Solomon 2008).
_IN_DISTRESS: Mapping[int, tuple[float, float]] = MappingProxyType(
    {
        1: (0.6, 0.2),
        4: (0.9, 0.3),
        6: (0.6, 0.2),
        7: (0.6, 0.2),
        9: (0.3, 0.1),
        10: (0.35, 0.1),
        12: (0.4, 0.1),
        15: (0.5, 0.2),
        17: (0.6, 0.2),
        20: (0.45, 0.2),
        24: (0.15, 0.1),
        25: (0.35, 0.1),
        26: (0.2, 0.1),
        45: (0.5, 0.4),
    }
)
_BESIDE = ("jawLeft", "jawRight", "jawForward", "mouthLeft", "mouthRight")
_FAR_GAZE = 0.7  # of 30 degrees: 21
_FAR_TURN_DEG = 20.0
_NEW_LAMP_SHARE = 0.15
_OCCLUDED_SHARE = 0.07


@dataclass(frozen=True)
class Person:
    """One identity.

    Parameters
    ----------
    base : (n, 3) float32
        Vertices of the face at rest, without the shapes that its look has at rest.
    look : Look
    light : Light
    camera : Camera
    backdrop : (h, w, 3) uint8
    film : Film
    """

    base: Float32
    look: Look
    light: Light
    camera: Camera
    backdrop: Image
    film: Film


@dataclass(frozen=True)
class Shot:
    """What one picture of a person shows.

    Parameters
    ----------
    kind : str
    act : Act
    yaw_deg, pitch_deg, roll_deg : float
    flicker : float
        How far the light differs from the person's usual one.
    new_lamp : bool
        Another light altogether.
    emotion : str
        Whose prototype it is; empty for none.
    occluder : str
        One of `OCCLUDERS`, or empty.
    """

    kind: str
    act: Act
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    flicker: float = 0.1
    new_lamp: bool = False
    emotion: str = ""
    occluder: str = ""


def random_person(head: HeadModel, rng: np.random.Generator, *, props: bool = True) -> Person:
    """Return a random identity."""
    base = head.at_rest(head.person(rng, float(rng.uniform(0.6, 1.0))))
    look = random_look(rng, props=props)
    look = replace(look, resting=closed_lips(head, base, look.resting))
    return Person(
        base=base,
        look=look,
        light=exposed(random_light(rng), look.skin, exposure(rng)),
        camera=Camera(
            distance=float(np.exp(rng.uniform(np.log(34), np.log(120)))),
            height=float(rng.normal(0, 6)),
            across=float(rng.normal(0, 4)),
        ),
        backdrop=random_backdrop(rng),
        film=random_film(rng),
    )


def exposure(rng: np.random.Generator) -> float:
    """Return the brightness at which a random camera shows skin."""
    return float(np.exp(rng.normal(np.log(0.27), 0.3)))


def shot_kinds(n_pictures: int, expressions: str = STANDARD) -> list[str]:
    """Return the kinds of an identity's pictures, in shares of `EXPRESSIONS`; the first is neutral."""
    shares = EXPRESSIONS[expressions]
    total = sum(shares.values())
    ends = np.cumsum(list(shares.values())) / total * n_pictures
    kinds = list(shares)
    return [kinds[int(np.searchsorted(ends, i + 0.5)) if i else 0] for i in range(n_pictures)]


def random_shot(kind: str, rng: np.random.Generator, *, props: bool = True) -> Shot:
    """Return a random picture of a kind.

    Parameters
    ----------
    kind : str
        Of `EXPRESSIONS`.
    rng : numpy.random.Generator
    props : bool
        Something may be in front of the face.
    """
    spread = 4.0 if kind == NEUTRAL else 10.0
    yaw, pitch, roll = rng.normal(0, [spread, spread * 0.7, spread * 0.5]).clip(-32, 32).tolist()
    across, up = rng.normal(0, 0.08 if kind == NEUTRAL else 0.22, 2).clip(-0.7, 0.7).tolist()
    flicker, emotion = 0.1, ""
    units: dict[int, float] = {}
    side: dict[int, str] = {}
    if kind == NO_ACTION:
        which = int(rng.integers(4))
        if which in {0, 3}:
            across, up = rng.uniform(-_FAR_GAZE, _FAR_GAZE, 2).tolist()
        if which in {1, 3}:
            yaw, pitch = rng.uniform(-_FAR_TURN_DEG, _FAR_TURN_DEG, 2).tolist()
            roll = float(rng.normal(0, 6))
        flicker = 0.5 if which == 2 else 0.25
    elif kind == PROTOTYPE:
        emotion = str(rng.choice(list(PROTOTYPES)))
        units, side = _prototype(emotion, rng)
    elif kind != NEUTRAL:
        units, side = _COMBINATIONS[kind](rng)
    other: dict[str, float] = {}
    if kind not in {NEUTRAL, NO_ACTION}:
        if rng.random() < 0.1:
            units[45] = float(rng.uniform(0.2, 1))
        units = compatible(units, rng, drawn_both_ways=kind == DISTRESS)
        if rng.random() < 0.08:
            other = {str(rng.choice(_BESIDE)): float(rng.uniform(0.1, 0.5))}
        elif rng.random() < 0.05:
            puff = float(rng.uniform(0.1, 0.6))
            other = {"cheekPuff_L": puff, "cheekPuff_R": puff}
    return Shot(
        kind=kind,
        act=Act(units, {u: s for u, s in side.items() if u in units}, (across, up), other),
        yaw_deg=yaw,
        pitch_deg=pitch,
        roll_deg=roll,
        flicker=flicker,
        new_lamp=bool(rng.random() < _NEW_LAMP_SHARE),
        emotion=emotion,
        occluder=str(rng.choice(OCCLUDERS, p=(0.75, 0.25)))
        if rng.random() < _OCCLUDED_SHARE and props and kind != NEUTRAL
        else "",
    )


def compatible(
    units: Mapping[int, float], rng: np.random.Generator, *, drawn_both_ways: bool = False
) -> dict[int, float]:
    """Return the actions without those that the others exclude.

    Corners of the mouth that go up do not go down or aside, but where ``drawn_both_ways``.
    """
    kept = {unit: weight for unit, weight in units.items() if weight > 0}
    for unit, others in _EXCLUDES.items():
        if unit in kept and not (drawn_both_ways and unit == _CORNERS_UP):
            for other in others:
                kept.pop(other, None)
    if 5 in kept and rng.random() < 0.5:
        kept.pop(7, None)
    return kept


_Combination = tuple[dict[int, float], dict[int, str]]


def _strength(rng: np.random.Generator, low: float = 0.1, high: float = 1.0) -> float:
    return float(rng.uniform(low, high))


def _one_sided(
    units: Mapping[int, float], rng: np.random.Generator, share: float
) -> dict[int, str]:
    if rng.random() >= share:
        return {}
    side = SIDES[int(rng.integers(2))]
    return {unit: side for unit in (12, 14) if unit in units}


def _single(rng: np.random.Generator) -> _Combination:
    units = {int(rng.choice(UNITS)): _strength(rng)}
    return units, _one_sided(units, rng, 0.5)


def _smile(rng: np.random.Generator) -> _Combination:
    units = {12: _strength(rng)} if rng.random() < 0.8 else {}
    if rng.random() < 0.5:
        units[6] = _strength(rng)
    for unit, share in (
        (25, 0.5),
        (7, 0.2),
        (10, 0.1),
        (14, 0.1),
        (26, 0.15),
        (1, 0.08),
        (4, 0.08),
    ):
        if rng.random() < share:
            units[unit] = _strength(rng)
    return units, _one_sided(units, rng, 0.08)


def _prototype(emotion: str, rng: np.random.Generator) -> _Combination:
    strength = _strength(rng, 0.15)
    units = {
        unit: float(np.clip(weight * strength * rng.uniform(0.7, 1.3), 0, 1))
        for unit, weight in PROTOTYPES[emotion].items()
        if rng.random() < 0.93
    }
    if 6 in units and rng.random() < 0.3:  # the smile of politeness
        units[6] = _strength(rng) if rng.random() < 0.3 else 0.0
    if emotion == "contempt":
        side = SIDES[int(rng.integers(2))]
        return units, {unit: side for unit in (12, 14) if unit in units}
    return units, {}


def _random(rng: np.random.Generator) -> _Combination:
    some = rng.choice([u for u in UNITS if u != 45], int(rng.integers(1, 6)), replace=False)
    units = {int(unit): _strength(rng) for unit in some}
    return units, _one_sided(units, rng, 0.15)


def _distress(rng: np.random.Generator) -> _Combination:
    strength = _strength(rng, 0.5)
    units = {
        unit: strength * _strength(rng, least)
        for unit, (chance, least) in _IN_DISTRESS.items()
        if rng.random() < chance
    }
    return units, {}


def _talk(rng: np.random.Generator) -> _Combination:
    some = rng.choice(_TALKING, int(rng.integers(1, 4)), replace=False)
    return {int(unit): _strength(rng, 0.1, 0.8) for unit in some}, {}


_COMBINATIONS = MappingProxyType(
    {SINGLE: _single, SMILE: _smile, RANDOM: _random, TALK: _talk, DISTRESS: _distress}
)
