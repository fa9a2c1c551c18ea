"""All pictures of one rendered identity, with their labels, landmarks and conditions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.rendering.action_units import GAZE_DEG, PROTOTYPES, labels, lip_gap
from duchenne.analysis.rendering.degrade import degraded, varied
from duchenne.analysis.rendering.folds import LINKED, PERSONAL, WRINKLES, fold_depths, personal_skin
from duchenne.analysis.rendering.lighting import exposed, flickered, random_light
from duchenne.analysis.rendering.plan import (
    EXPRESSIONS,
    NEUTRAL,
    NO_ACTION,
    STANDARD,
    exposure,
    random_person,
    random_shot,
    shot_kinds,
)
from duchenne.analysis.rendering.scene import Shown
from duchenne.analysis.rendering.wearing import occluder, worn
from duchenne.analysis.training.alignment import ALIGNMENTS, alignment
from duchenne.analysis.training.datasets.base import EXPRESSIONS as CLASSES
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from duchenne.analysis.face.frames import FloatArray, Image
    from duchenne.analysis.rendering.lighting import Light
    from duchenne.analysis.rendering.plan import Person, Shot
    from duchenne.analysis.rendering.renderer import Renderer

EYES = "eyes"
"""The alignment of the pictures that ``duchenne au`` measures texture in: eyes level, at fixed places."""
EXPRESSION = "expression"
_EYE_CORNERS = {33: 36, 133: 39, 362: 42, 263: 45}
# Landmarks that a network finds lie off by so much of the distance between the eyes.
_LANDMARK_NOISE = 0.025
_N_MESH = 478
# No picture has this number.
_SKIN = 2**31


@dataclass(frozen=True)
class RenderOrder:
    """What is to be rendered.

    Parameters
    ----------
    head : str
        File of the head model.
    px : int
        Side of the pictures.
    seed : int
    pictures : int
        Of each identity.
    align : str
        ``eyes`` or the name of an alignment of `duchenne.analysis.training.alignment`.
    wrinkles : str
        One of `duchenne.analysis.rendering.folds.WRINKLES`.
    props : bool
        Glasses, covers and occluders may occur.
    grey : bool
        Three equal channels, as ``duchenne au`` sees faces.
    expressions : str
        One of `duchenne.analysis.rendering.plan.EXPRESSIONS`.

    Raises
    ------
    UsageError
        For an alignment, wrinkles or expressions that there are not.
    """

    head: str
    px: int = 160
    seed: int = 0
    pictures: int = 24
    align: str = EYES
    wrinkles: str = LINKED
    props: bool = True
    grey: bool = False
    expressions: str = STANDARD

    def __post_init__(self) -> None:
        if self.wrinkles not in WRINKLES:
            raise UsageError(f"--wrinkles is one of {', '.join(WRINKLES)}, not {self.wrinkles}.")
        if self.expressions not in EXPRESSIONS:
            known = ", ".join(EXPRESSIONS)
            raise UsageError(f"--expressions is one of {known}, not {self.expressions}.")
        if self.align not in {EYES, *ALIGNMENTS}:
            known = ", ".join((EYES, *ALIGNMENTS))
            raise UsageError(f"--align is one of {known}, not {self.align}.")


@dataclass(frozen=True)
class RenderedIdentity:
    """The pictures of one identity, row by row.

    Parameters
    ----------
    number : int
    images : list of (px, px, 3) uint8
    landmarks : list of (68, 2) float64
        In pixels.
    labels, conditions : list of dict
    """

    number: int
    images: list[Image]
    landmarks: list[FloatArray]
    labels: list[dict[str, float]]
    conditions: list[dict[str, str | float]]


def eyes_matrix(points: FloatArray, px: int) -> FloatArray:
    """Return the (2, 3) matrix that brings the eyes of 68 landmarks to their places."""
    from duchenne.analysis.face.geometry.align import CROP_PX, crop_matrix  # noqa: PLC0415

    mesh = np.full((_N_MESH, 2), np.nan)
    for place, mark in _EYE_CORNERS.items():
        mesh[place] = points[mark]
    return np.asarray(crop_matrix(mesh) * (px / CROP_PX))


def render_identity(renderer: Renderer, order: RenderOrder, number: int) -> RenderedIdentity:
    """Render all pictures of one identity; the same number and order give the same pictures."""
    rng = np.random.default_rng([order.seed, number])
    person = random_person(renderer.head, rng, props=order.props)
    if order.wrinkles == PERSONAL:
        skin = np.random.default_rng([order.seed, number, _SKIN])
        person = replace(person, look=personal_skin(person.look, skin))
    at_rest = lip_gap(renderer.head, person.base, person.look.resting)
    done = RenderedIdentity(number, [], [], [], [])
    clothes = worn(renderer.head, person.base, person.look)
    for i, kind in enumerate(shot_kinds(order.pictures, order.expressions)):
        picture = np.random.default_rng([order.seed, number, i])
        shot = random_shot(kind, picture, props=order.props)
        light = person.light
        if shot.new_lamp:
            light = exposed(random_light(picture), person.look.skin, exposure(picture))
        light = flickered(light, picture, shot.flicker)
        things = [*clothes, *occluder(shot.occluder, renderer.head, person, picture)]
        shown = Shown(
            person.base,
            person.look,
            shot.act,
            shot.yaw_deg,
            shot.pitch_deg,
            shot.roll_deg,
            light,
            person.camera,
            person.backdrop,
            fold_depths(shot.act.units, person.look, order.wrinkles, picture),
            things,
        )
        rendered = renderer.render(shown, _aligner(order, picture))
        film = varied(person.film, picture)
        image = degraded(rendered.image, film, picture)
        done.images.append(_grey(image) if order.grey else image)
        done.landmarks.append(rendered.landmarks)
        truth = labels(shot.act, rendered.lip_gap, at_rest)
        if kind in {NEUTRAL, NO_ACTION}:
            truth[EXPRESSION] = CLASSES.index("neutral")
        elif shot.emotion in PROTOTYPES:
            truth[EXPRESSION] = CLASSES.index(shot.emotion)
        done.labels.append(truth)
        condition: dict[str, str | float] = {"subject": subject_name(number), "picture": i}
        condition |= _conditions(person, shot, light)
        quality = asdict(film)
        condition |= {name: _short(quality[name]) for name in quality if name != "balance"}
        done.conditions.append(condition | {"wrinkles": order.wrinkles})
    return done


def _grey(image: Image) -> Image:
    import cv2  # noqa: PLC0415  (heavy)

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)


def _aligner(order: RenderOrder, rng: np.random.Generator) -> Callable[[FloatArray], FloatArray]:
    """Return the alignment by landmarks as a network would have found them."""

    def align(points: FloatArray) -> FloatArray:
        apart = float(np.hypot(*(points[36:42].mean(axis=0) - points[42:48].mean(axis=0))))
        found = points + rng.normal(0, _LANDMARK_NOISE * apart, points.shape)
        if order.align == EYES:
            return eyes_matrix(found, order.px)
        return alignment(order.align).matrix(found, order.px)

    return align


def _conditions(person: Person, shot: Shot, light: Light) -> dict[str, str | float]:
    look, lamp = person.look, light.directions[0]
    return {
        "kind": shot.kind,
        "emotion": shot.emotion or "n/a",
        "yaw_deg": _short(shot.yaw_deg),
        "pitch_deg": _short(shot.pitch_deg),
        "roll_deg": _short(shot.roll_deg),
        "gaze_left_deg": _short(GAZE_DEG * shot.act.gaze[0]),
        "gaze_up_deg": _short(GAZE_DEG * shot.act.gaze[1]),
        "skin_tone": _short(look.tone),
        "age": _short(look.age),
        "male": int(look.male),
        "beard": look.beard,
        "glasses": look.glasses,
        "cover": look.cover,
        "occluder": shot.occluder or "none",
        "light_azimuth_deg": _short(float(np.degrees(np.arctan2(lamp[0], lamp[2])))),
        "light_elevation_deg": _short(float(np.degrees(np.arcsin(lamp[1])))),
        "light_hardness": _short(light.hardness),
        "distance": _short(person.camera.distance),
    }


def _short(value: float) -> float:
    return round(float(value), 3)


def subject_name(number: int) -> str:
    """Return the name of an identity in a set."""
    return f"rendered_{number:05d}"
