"""Faces for `zoo_affect.py`: labels of affect made by rule, people with every prototype, and short films.

**Nobody rated these faces.** Classes of expression are the prototypes that were rendered; valence and arousal
are the toy mapping of `quadrant_study.py`, a sum over prototypes with made-up places in the plane; the sound
of the films is a tone that a rule makes from arousal. All of it is there to test programs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from quadrant_study import toy_affect
from rich.progress import track
from torch.nn import functional as fn

from duchenne.analysis.rendering.action_units import LABEL_NAMES, PROTOTYPES, Act, labels, lip_gap
from duchenne.analysis.rendering.degrade import degraded, varied
from duchenne.analysis.rendering.folds import INDEPENDENT, fold_depths
from duchenne.analysis.rendering.head import read_head
from duchenne.analysis.rendering.identity import EXPRESSION, eyes_matrix, subject_name
from duchenne.analysis.rendering.lighting import exposed, flickered, random_light
from duchenne.analysis.rendering.plan import (
    NEUTRAL,
    PROTOTYPE,
    Person,
    Shot,
    exposure,
    random_person,
    random_shot,
)
from duchenne.analysis.rendering.renderer import Renderer
from duchenne.analysis.rendering.scene import Shown
from duchenne.analysis.rendering.wearing import occluder, worn
from duchenne.analysis.training.datasets.base import EXPRESSIONS
from duchenne.analysis.training.prepared import Faces, read_faces, write_faces
from duchenne.analysis.training.prepared_writer import PreparedWriter
from duchenne.analysis.training.sound import add_sound, log_mel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from duchenne.analysis.face.frames import FloatArray, Image

SEED = 1
LANDMARK_NOISE = 0.02
FRAME_HZ, SOUND_HZ = 10.0, 16_000
LEAST_ACTION = 1.0
AFFECT = ("valence", "arousal")
DENG_UNITS = tuple(f"AU{unit:02d}" for unit in (1, 2, 4, 6, 12, 15, 20, 25))
"""The eight Action Units of Aff-Wild2."""
ABOUT = {
    "name": "rendered faces",
    "from": "tests/benchmarks/zoo_affect.py",
    "alignment": "eyes",
    "classes": list(EXPRESSIONS),
    "labels": "made by rule: prototypes, and a toy mapping to valence and arousal; nobody rated these faces",
    "licence": "head model: ICT-FaceKit (MIT, USC Institute for Creative Technologies)",
}


def labelled(faces: Faces) -> Faces:
    """Return faces with valence and arousal by the toy mapping, the eight Action Units and expression."""
    units = np.asarray(faces.truth[:, [faces.names.index(n) for n in LABEL_NAMES]], np.float64)
    places = [faces.names.index(name) for name in (*DENG_UNITS, EXPRESSION)]
    truth = np.concatenate([toy_affect(units, LABEL_NAMES), faces.truth[:, places]], axis=1)
    return replace(
        faces,
        truth=truth.astype(np.float32),
        names=(*AFFECT, *DENG_UNITS, EXPRESSION),
        departure=units.sum(axis=1).astype(np.float32),
        about=ABOUT | {"px": int(faces.images.shape[1])},
    )


def of_expressions(faces: Faces, people: int) -> Faces:
    """Return the prototypes and the two plain neutral pictures of some people, with their class alone."""
    some = faces.of(faces.subjects[:people])
    assert some.source is not None
    kinds = np.array([source.rpartition("/")[2] for source in some.source.tolist()])
    return labelled(some.rows(np.flatnonzero(np.isin(kinds, (NEUTRAL, PROTOTYPE)))))


def of_actions(faces: Faces, first: int, people: int) -> Faces:
    """Return pictures of further people whose class is the strongest Action Unit, 0 for none.

    What a frozen encoder may know before it sees an expression, in the place of ImageNet.
    """
    some = faces.of(faces.subjects[first : first + people])
    sided = [name[-1] in "LR" for name in LABEL_NAMES]
    names = [name for name, side in zip(LABEL_NAMES, sided, strict=True) if not side]
    units = some.truth[:, [some.names.index(name) for name in names]]
    strongest = np.where(units.max(axis=1) >= LEAST_ACTION, 1 + units.argmax(axis=1), 0)
    return replace(
        some,
        truth=strongest[:, None].astype(np.float32),
        names=(EXPRESSION,),
        about=ABOUT | {"classes": ["none", *names]},
    )


def of_affect(faces: Faces, people: int, every: int = 1) -> Faces:
    """Return each so-manieth picture of some people with all labels."""
    some = faces.of(faces.subjects[:people])
    return labelled(some.rows(np.arange(0, len(some), every)))


def as_films(faces: Faces, px: int) -> Faces:
    """Return pictures of each person in random order as if they were frames of a silent film, resized.

    They add people to the few who were filmed; their order tells nothing.
    """
    rng = np.random.default_rng(SEED)
    rows = np.concatenate(
        [rng.permutation(np.flatnonzero(faces.subject == name)) for name in faces.subjects]
    )
    some = faces.rows(rows)
    pixels = torch.from_numpy(some.images[..., :1]).permute(0, 3, 1, 2).float()
    small = fn.interpolate(pixels, size=px, mode="area").round().byte()
    images = small.permute(0, 2, 3, 1).expand(-1, -1, -1, 3).numpy()
    source = [f"{name}.mp4#{i}" for i, name in enumerate(some.subject.tolist())]
    return replace(
        some, images=np.ascontiguousarray(images), source=np.array(source), landmarks=None,
        conditions=None,
    )  # fmt: skip


def incomplete(faces: Faces) -> Faces:
    """Return faces of which each third of the people has one kind of labels alone (Deng et al. 2020)."""
    kinds = (AFFECT, DENG_UNITS, (EXPRESSION,))
    order = np.searchsorted(faces.subjects, faces.subject) % len(kinds)
    truth = np.array(faces.truth)
    for i, kind in enumerate(kinds):
        hidden = [j for j, name in enumerate(faces.names) if name not in kind]
        truth[np.ix_(np.flatnonzero(order == i), hidden)] = np.nan
    return replace(faces, truth=truth)


def write_once(folder: Path, faces: Faces) -> Path:
    """Write a set where it is not there yet; return its folder."""
    if not (folder / "labels.tsv").is_file():
        write_faces(folder, faces)
    return folder


@dataclass(frozen=True)
class Look:
    """What stays while somebody is filmed.

    Parameters
    ----------
    person : Person
    things : sequence
        What the person wears.
    rest_gap : float
        Of the lips.
    """

    person: Person
    things: Sequence[Any]
    rest_gap: float


class Studio:
    """Renders pictures of people as `duchenne render-faces` does, but with shots that the caller chooses.

    Parameters
    ----------
    head : Path
    px : int
    """

    def __init__(self, head: Path, px: int) -> None:
        self._renderer = Renderer(read_head(head), px)
        self.px = px

    def close(self) -> None:
        """Let go of the graphics."""
        self._renderer.close()

    def look(self, number: int) -> Look:
        """Return a person of this number."""
        person = random_person(self._renderer.head, np.random.default_rng([SEED, number]))
        rest = lip_gap(self._renderer.head, person.base, person.look.resting)
        return Look(person, worn(self._renderer.head, person.base, person.look), rest)

    def picture(
        self, look: Look, shot: Shot, rng: np.random.Generator, *, still: np.random.Generator
    ) -> tuple[Image, FloatArray, dict[str, float]]:
        """Return picture, landmarks and labels; ``still`` draws what does not change within a film."""
        person = look.person
        light = person.light
        if shot.new_lamp:
            light = exposed(random_light(still), person.look.skin, exposure(still))
        light = flickered(light, still, shot.flicker)
        front = occluder(shot.occluder, self._renderer.head, person, still)
        folds = fold_depths(shot.act.units, person.look, INDEPENDENT, still)
        shown = Shown(
            person.base, person.look, shot.act, shot.yaw_deg, shot.pitch_deg, shot.roll_deg, light,
            person.camera, person.backdrop, folds, [*look.things, *front],
        )  # fmt: skip

        def align(points: FloatArray) -> FloatArray:
            apart = float(np.hypot(*(points[36:42].mean(axis=0) - points[42:48].mean(axis=0))))
            return eyes_matrix(
                points + rng.normal(0, LANDMARK_NOISE * apart, points.shape), self.px
            )

        rendered = self._renderer.render(shown, align)
        image = degraded(rendered.image, varied(person.film, still), rng)
        grey = np.round(image.astype(np.float64) @ (0.299, 0.587, 0.114)).astype(np.uint8)
        truth = labels(shot.act, rendered.lip_gap, look.rest_gap)
        return np.repeat(grey[..., None], 3, axis=2), rendered.landmarks, truth


def render_prototypes(head: Path, px: int, out: Path, *, people: int, first: int) -> Path:
    """Render two neutral pictures and each of the seven prototypes once, of each of some people."""
    if out.exists():
        return out
    names = (*LABEL_NAMES, EXPRESSION)
    order = {"people": people, "first": first, "px": px, "what": "prototypes"}
    studio = Studio(head, px)
    with PreparedWriter(out, px, names, order) as writer:
        begin = int(writer.place.get("next", first))
        for number in track(range(begin, first + people), description=out.name):
            look = studio.look(number)
            for i, shot in enumerate(_each_prototype(number)):
                rng = np.random.default_rng([SEED, number, i, 1])
                image, marks, truth = studio.picture(look, shot, rng, still=rng)
                truth[EXPRESSION] = EXPRESSIONS.index(shot.emotion or "neutral")
                name = subject_name(number)
                writer.add(image, marks, truth, name, f"{name}/{i:03d}/{shot.kind}")
            writer.keep({"next": number + 1})
        writer.finish(ABOUT)
    studio.close()
    return out


def _each_prototype(number: int) -> list[Shot]:
    rng = np.random.default_rng([SEED, number, 0])
    shots = [random_shot(NEUTRAL, rng) for _ in range(2)]
    left = set(PROTOTYPES)
    while left:
        shot = random_shot(PROTOTYPE, rng)
        if shot.emotion in left and shot.act.units:
            left.remove(shot.emotion)
            shots.append(shot)
    return shots


def render_films(
    head: Path, px: int, out: Path, *, people: int, first: int, frames: int = 64
) -> Path:
    """Render a short film of each of some people: prototypes that come and go, a head that drifts, and sound.

    Strength, time and order of the prototypes are drawn at random, so that the place in the film tells
    nothing of what the face does.
    """
    if out.exists():
        return out
    names = (*LABEL_NAMES, EXPRESSION)
    order = {"people": people, "first": first, "px": px, "frames": frames, "what": "films"}
    studio = Studio(head, px)
    aside = out.with_name(f".{out.name}.rendered")
    if not aside.exists():
        with PreparedWriter(aside, px, names, order) as writer:
            begin = int(writer.place.get("next", first))
            for number in track(range(begin, first + people), description=out.name):
                look = studio.look(number)
                for i, shot in enumerate(film(number, frames)):
                    rng = np.random.default_rng([SEED, number, i, 1])
                    still = np.random.default_rng([SEED, number, 2])
                    image, marks, truth = studio.picture(look, shot, rng, still=still)
                    truth[EXPRESSION] = EXPRESSIONS.index(shot.emotion or "neutral")
                    name = subject_name(number)
                    writer.add(image, marks, truth, name, f"{name}.mp4#{i}")
                writer.keep({"next": number + 1})
            writer.finish(ABOUT)
    studio.close()
    faces = labelled(read_faces(aside))
    write_faces(out, faces)
    add_sound(out, sounds(faces, frames))
    return out


def film(number: int, frames: int) -> list[Shot]:
    """Return the shots of a film: prototypes rise, stay and fall, up to three, with rest between them."""
    rng = np.random.default_rng([SEED, number, 3])
    strength = np.zeros(frames)
    emotions = np.full(frames, "", dtype=object)
    acts: list[Act] = [Act()] * frames
    ends = np.sort(rng.integers(0, frames, 2 * int(rng.integers(1, 4))))
    for a, b in pairwise(ends.tolist()):
        if b - a < 8 or rng.random() < 0.25:
            continue
        shot = random_shot(PROTOTYPE, rng)
        rise = max(2, int(rng.uniform(0.15, 0.45) * (b - a)))
        shape = np.clip(np.minimum(np.arange(b - a) + 1, b - a - np.arange(b - a)) / rise, 0, 1)
        shape = 0.5 - 0.5 * np.cos(np.pi * shape)
        for i, share in enumerate(shape.tolist()):
            units = {unit: weight * share for unit, weight in shot.act.units.items()}
            acts[a + i] = Act(units, {u: s for u, s in shot.act.side.items() if u in units})
            emotions[a + i] = shot.emotion if share > 0.2 else ""
            strength[a + i] = share
    turns = np.stack([_drift(rng, frames, spread) for spread in (8.0, 5.0, 3.0)])
    gaze = np.stack([_drift(rng, frames, 0.15, 4) for _ in range(2)]).clip(-0.7, 0.7)
    return [
        Shot(
            "film", replace(acts[i], gaze=(float(gaze[0, i]), float(gaze[1, i]))),
            *turns[:, i].tolist(), emotion=str(emotions[i]),
        )
        for i in range(frames)
    ]  # fmt: skip


def _drift(rng: np.random.Generator, n: int, spread: float, length: int = 16) -> FloatArray:
    """Return a smooth random course: (n,)."""
    window = np.hanning(length + 2)[1:-1]
    noise = rng.normal(size=n + length)
    course = np.convolve(noise, window / np.linalg.norm(window), "valid")[:n]
    return np.asarray(spread * course, np.float64)


def sounds(faces: Faces, frames: int) -> FloatArray:
    """Return log-mel features of a made-up voice for each frame: (n, 64).

    The voice gets louder and higher with arousal, by rule; whether it is heard at all, its height and the
    noise of the room are of each film alone.
    """
    arousal = faces.truth[:, faces.names.index("arousal")].astype(np.float64)
    parts = []
    for k, first in enumerate(range(0, len(faces), frames)):
        rng = np.random.default_rng([SEED, k, 4])
        n = round(frames / FRAME_HZ * SOUND_HZ)
        at, shown_s = np.arange(n) / SOUND_HZ, np.arange(frames) / FRAME_HZ
        shaken, gate = _drift(rng, frames, 1.0, 4), _drift(rng, frames, 1.0, 6)
        now = np.interp(at, shown_s, arousal[first : first + frames])
        pitch = rng.uniform(90, 220) * 2 ** (0.5 * now + 0.1 * np.interp(at, shown_s, shaken))
        phase = 2 * np.pi * np.cumsum(pitch) / SOUND_HZ
        voice = sum(np.sin(i * phase) / i for i in range(1, 8))
        speaks = np.interp(at, shown_s, gate) > rng.uniform(-1, 0.3)
        loud = 0.03 * 10 ** (0.6 * now) * speaks
        heard = loud * voice + rng.normal(0, 10 ** rng.uniform(-3.5, -2), n)
        parts.append(log_mel(heard, SOUND_HZ, shown_s + 0.05))
    found = np.concatenate(parts)
    return np.asarray((found - np.nanmean(found)) / np.nanstd(found), np.float64)
