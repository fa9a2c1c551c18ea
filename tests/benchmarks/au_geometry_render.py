"""Render faces with known Action Units and store what MediaPipe sees in them.

    LP_NUM_THREADS=1 OMP_NUM_THREADS=1 python tests/benchmarks/au_geometry_render.py \
        --renderer FOLDER --out FOLDER --split train --first 0 --identities 600

FOLDER of the renderer holds ``render.py`` and its head model (ICT-FaceKit, MIT, © 2020 USC Institute
for Creative Technologies); it is no part of the package. One shard ``SPLIT_NNNNN.npz`` is written per
identity; shards that exist are skipped, so that the run can be stopped and continued. ``sweep`` holds
gaze, pose and light without any action and every action alone at 4, ``quiet`` the same without the
actions; ``calm`` holds persons for training who show no action, and whose resting faces differ much,
``mixed`` persons for training who mostly combine actions at random;
``clip`` holds short films that go through the tracker of the package.

Every identity is one person under one lamp before one camera: a few neutral frames, frames without
any action but with gaze, head turns and flickering light, single actions, and combinations.
Each picture goes through the landmark network twice: as a frame of a followed face (row 0) and, made
worse, as a still (row 1).
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.geometry.align import CROP_PX, grey_crop
from duchenne.analysis.face.landmarks import FaceTracker, face_model_path
from duchenne.analysis.face.model import create_landmarker

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE_PX = 320
SPLITS = {
    "train": 0, "calibrate": 100_000, "test": 200_000, "sweep": 300_000, "clip": 400_000,
    "calm": 500_000, "quiet": 600_000, "mixed": 700_000,
}  # fmt: skip
# Splits in which nothing rests on a lifted brow or corner of the mouth, and no lamp is exchanged.
PLAIN_SPLITS = ("sweep", "clip", "quiet")
# Gaze weight 1 is 30 degrees: as far as the lid follows in the head model.
GAZE_DEG = 30.0
CLIP_FRAMES, CLIP_RATE_HZ = 110, 25.0
UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 28, 45)
DISFA = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
NEUTRAL, NEGATIVE, SINGLE, EMOTION, RANDOM, TALK, GAZE, POSE, FLICKER = range(9)
# Identities that share one appearance (skin, brows, lips, hair), which takes seconds to paint.
PER_APPEARANCE = 3
# Actions that exclude each other in one face.
EXCLUDES = {
    28: (25, 26, 22, 18, 10, 16, 23, 24),
    24: (25, 26, 22, 18, 23),
    23: (25, 26, 22),
    18: (20, 12, 22),
    12: (15, 20),
    45: (5,),
}


@dataclass
class Shot:
    """What one picture shows: weights 0 to 1 of Action Units, turn of head and eyes."""

    kind: int
    au: dict[str, float] = field(default_factory=dict)
    side: dict[str, str] | None = None
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gaze: tuple[float, float] = (0.0, 0.0)
    flicker: float = 0.1
    extra: dict[str, float] = field(default_factory=dict)


def compatible(au: dict[str, float], rng: np.random.Generator) -> dict[str, float]:
    """Return the actions without those that the others exclude."""
    au = dict(au)
    for unit, others in EXCLUDES.items():
        if au.get(f"AU{unit}", 0) > 0:
            for other in others:
                au.pop(f"AU{other}", None)
    if au.get("AU5", 0) > 0 and rng.random() < 0.5:
        au.pop("AU7", None)
    return au


def shots(rng: np.random.Generator, emotions: dict[str, dict[str, float]]) -> list[Shot]:
    """Return the pictures of one identity."""
    wanted = [NEUTRAL] * 3 + [NEGATIVE] * 4 + [SINGLE] * 3 + [EMOTION] * 3 + [RANDOM] * 6 + [TALK]
    return [shot(rng, kind, emotions) for kind in wanted]


def shot(rng: np.random.Generator, kind: int, emotions: dict[str, dict[str, float]]) -> Shot:
    """Return one random picture of a kind."""
    spread = 4.0 if kind == NEUTRAL else 10.0
    pose = np.clip(rng.normal(0, [spread, spread * 0.7, spread * 0.5]), -30, 30)
    gaze = np.clip(rng.normal(0, 0.08 if kind == NEUTRAL else 0.22, 2), -0.7, 0.7)
    result = Shot(kind, pose=tuple(pose), gaze=tuple(gaze))
    if kind == NEGATIVE:
        distract(result, rng)
    elif kind == SINGLE:
        unit = int(rng.choice(UNITS))
        result.au = {f"AU{unit}": float(rng.uniform(0.1, 1))}
        if unit in (12, 14) and rng.random() < 0.5:
            result.side = {f"AU{unit}": "LR"[rng.integers(2)]}
    elif kind == EMOTION:
        express(result, rng, emotions)
    elif kind == RANDOM:
        some = rng.choice([u for u in UNITS if u != 45], int(rng.integers(1, 6)), replace=False)
        result.au = {f"AU{unit}": float(rng.uniform(0.1, 1)) for unit in some}
        if rng.random() < 0.15:
            sided = [f"AU{unit}" for unit in (12, 14) if f"AU{unit}" in result.au]
            result.side = {unit: "LR"[rng.integers(2)] for unit in sided}
    elif kind == TALK:
        some = rng.choice((25, 26, 18, 22, 16, 17, 20, 24), int(rng.integers(1, 4)), replace=False)
        result.au = {f"AU{unit}": float(rng.uniform(0.1, 0.8)) for unit in some}
    if kind in (SINGLE, EMOTION, RANDOM, TALK):
        add_noise(result, rng)
    return result


def distract(result: Shot, rng: np.random.Generator) -> None:
    """Give a face without any action another gaze, pose or light."""
    which = rng.integers(4)
    if which in (0, 3):
        result.gaze = tuple(rng.uniform(-0.7, 0.7, 2))
    if which in (1, 3):
        result.pose = (*rng.uniform(-20, 20, 2), float(rng.normal(0, 6)))
    result.flicker = 0.5 if which == 2 else 0.25


def express(result: Shot, rng: np.random.Generator, emotions: dict[str, dict[str, float]]) -> None:
    """Give a face the actions of one emotion, each varied and now and then left out."""
    name = str(rng.choice([n for n in emotions if n != "neutral"]))
    strength = rng.uniform(0.15, 1.0)
    result.au = {
        unit: float(np.clip(weight * strength * rng.uniform(0.7, 1.3), 0, 1))
        for unit, weight in emotions[name].items()
        if rng.random() < 0.93
    }
    if name == "contempt":
        side = "LR"[rng.integers(2)]
        result.side = {"AU12": side, "AU14": side}


def add_noise(result: Shot, rng: np.random.Generator) -> None:
    """Add blinks and movements of the jaw that no Action Unit of the list describes."""
    if rng.random() < 0.1:
        result.au["AU45"] = float(rng.uniform(0.2, 1))
    result.au = compatible(result.au, rng)
    if rng.random() < 0.08:
        name = str(rng.choice(["jawLeft", "jawRight", "jawForward", "mouthLeft", "mouthRight"]))
        result.extra = {name: float(rng.uniform(0.1, 0.5))}


def sweep_shots(rng: np.random.Generator) -> list[Shot]:
    """Return neutral frames, gaze and head at 15 degrees, other lights, and each action at 4."""
    result = [shot(rng, NEUTRAL, {}) for _ in range(3)]
    far = 15.0 / GAZE_DEG
    for angle in np.arange(8) * np.pi / 4:
        across, up = np.round([np.cos(angle), np.sin(angle)], 3)
        limit = far / max(abs(across), abs(up))
        result.append(Shot(GAZE, gaze=(across * limit, up * limit)))
    turns = ((15.0, 0.0, 0.0), (-15.0, 0.0, 0.0), (0.0, 15.0, 0.0), (0.0, -15.0, 0.0))
    result += [Shot(POSE, pose=turn) for turn in turns]
    result += [Shot(FLICKER, flicker=0.5) for _ in range(3)]
    result += [Shot(SINGLE, au={f"AU{unit}": 0.8}) for unit in UNITS]
    return result


def quiet_shots(rng: np.random.Generator) -> list[Shot]:
    """Return the pictures of :func:`sweep_shots` that show no action."""
    return [picture for picture in sweep_shots(rng) if picture.kind != SINGLE]


def calm_shots(rng: np.random.Generator) -> list[Shot]:
    """Return pictures of one identity without any action: eyes, head and lamp are elsewhere."""
    result = [shot(rng, NEUTRAL, {}) for _ in range(3)]
    for kind in (GAZE,) * 7 + (POSE,) * 5 + (FLICKER,) * 3 + (NEGATIVE,) * 2:
        picture = Shot(kind, flicker=0.5 if kind == FLICKER else 0.1)
        if kind in (GAZE, NEGATIVE):
            angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(5, 20) / GAZE_DEG
            picture.gaze = (far * np.cos(angle), far * np.sin(angle))
        if kind in (POSE, NEGATIVE):
            angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(6, 20)
            picture.pose = (far * np.sin(angle), far * np.cos(angle), float(rng.normal(0, 4)))
        result.append(picture)
    return result


def mixed_shots(rng: np.random.Generator) -> list[Shot]:
    """Return pictures of one identity in which actions hide each other."""
    result = [shot(rng, kind, {}) for kind in (NEUTRAL,) * 3 + (NEGATIVE,) + (RANDOM,) * 16]
    for picture in result[4:]:
        some = rng.choice([u for u in UNITS if u != 45], int(rng.integers(2, 6)), replace=False)
        blink = {unit: w for unit, w in picture.au.items() if unit == "AU45"}
        weights = {f"AU{unit}": float(rng.uniform(0.15, 1)) for unit in some}
        picture.au, picture.side = compatible(weights | blink, rng), None
    return result


def resting_face(rng: np.random.Generator, spread: float) -> dict[str, float]:
    """Return how a resting face departs from the head model's, which shows no action."""
    resting = {}
    for name in ("browInnerUp", "browDown", "mouthFrown", "mouthSmile", "eyeSquint", "eyeWide"):
        strength = float(max(0, rng.normal(0, spread)))
        resting |= {f"{name}_{side}": strength for side in "LR"}
    return resting


def clip_shots(rng: np.random.Generator, emotions: dict[str, dict[str, float]]) -> list[Shot]:
    """Return a film: a neutral second, then actions that come and go while head and eyes move."""
    time_s = np.arange(CLIP_FRAMES) / CLIP_RATE_HZ
    weights: dict[str, np.ndarray] = {}
    side: dict[str, str] = {}
    scored = rng.permutation(DISFA)
    others = rng.permutation([unit for unit in UNITS if unit not in (*DISFA, 45)])
    for k, start_s in enumerate((1.1, 2.2, 3.3)):
        act = shot(rng, RANDOM, emotions)
        if k < 2 or rng.random() < 0.5:  # over a few films, every unit has its turn
            some = (*scored[3 * k : 3 * k + 3], others[k])
            act.au = {f"AU{unit}": float(rng.uniform(0.2, 1)) for unit in some}
            act.side = None
        else:
            act = shot(rng, EMOTION, emotions)
        add_noise(act, rng)
        side |= act.side or {}
        envelope = np.interp(time_s - start_s, [0, rng.uniform(0.15, 0.4), 0.7, 1.0], [0, 1, 1, 0])
        for unit, weight in act.au.items():
            weights[unit] = np.maximum(
                weights.get(unit, 0.0), weight * (1 - np.cos(np.pi * envelope)) / 2
            )
    turns = rng.normal(0, [6, 4, 3]) * np.sin(
        time_s[:, None] * rng.uniform(0.5, 2, 3) + rng.uniform(0, 6, 3)
    )
    looks = np.repeat(rng.normal(0, 0.2, (CLIP_FRAMES // 11 + 1, 2)), 11, axis=0).clip(-0.5, 0.5)
    return [
        Shot(
            NEUTRAL if t < 1 else RANDOM,
            au={unit: float(w[i]) for unit, w in weights.items() if w[i] > 0},
            side=side or None,
            pose=tuple(turns[i]),
            gaze=tuple(looks[i] * (0.3 if t < 1 else 1.0)),
            flicker=0.03,
        )
        for i, t in enumerate(time_s)
    ]


class Studio:
    """One renderer and two landmark networks."""

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(folder))
        import render

        self.render: Any = render
        self.renderer = render.Renderer(SIZE_PX, SIZE_PX, ss=1.0, tex=512)
        self.eyes_turn = True
        self._turn_eyes()
        path = face_model_path()
        self.follow = create_landmarker(path, video=True, max_faces=1)
        self.still = create_landmarker(path, video=False, max_faces=1)
        self._ms = 0
        self._appearance: tuple[int, Any] = (-1, None)

    def _turn_eyes(self) -> None:
        """Let the eyeballs follow the gaze, of which the renderer moves only the lids."""
        model = self.renderer.m
        morph = model.morph

        def turned(base: np.ndarray, weights: dict[str, float]) -> np.ndarray:
            points = morph(base, weights)
            across = weights.get("eyeLookOut_L", 0.0) - weights.get("eyeLookIn_L", 0.0)
            up = weights.get("eyeLookUp_L", 0.0) - weights.get("eyeLookDown_L", 0.0)
            if self.eyes_turn and (across or up):
                rotation = self.render.euler(GAZE_DEG * across, -GAZE_DEG * up, 0.0)
                for side in "lr":
                    first, last = model.parts[f"sclera_{side}"][:2]
                    ball = points[first:last]
                    low, high = ball.min(axis=0), ball.max(axis=0)
                    centre = (low + high) / 2
                    centre[2] = low[2] + (high[0] - low[0]) / 2
                    points[first:last] = (ball - centre) @ rotation.T + centre
            return points

        model.morph = turned

    def appearance(self, number: int) -> Any:
        """Return an appearance with wrinkles that may be weaker than the action asks for."""
        if self._appearance[0] != number:
            app = self.render.Appearance(seed=500_000 + number)
            app.wrinkle *= float(np.random.default_rng(number).uniform(0.1, 1.0))
            self._appearance = (number, app)
        return self._appearance[1]

    def followed(self, image: np.ndarray) -> Any:
        """Return the result for a face that was found in the frame before.

        Frames lie 1000 s apart, so that the smoothing over time has no effect.
        """
        import mediapipe as mp

        picture = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        for _ in range(2):
            self._ms += 1_000_000
            result = self.follow.detect_for_video(picture, self._ms)
        return result

    def alone(self, image: np.ndarray) -> Any:
        """Return the result for a still."""
        import mediapipe as mp

        picture = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        return self.still.detect(picture)


def flickered(light: Any, rng: np.random.Generator, size: float) -> Any:
    """Return the lamp as it is under another picture on the screen."""
    import copy

    new = copy.copy(light)
    tint = np.exp(rng.normal(0, size * 0.3, 3))
    new.cols = [c * np.exp(rng.normal(0, size)) * tint for c in light.cols]
    common = np.exp(rng.normal(0, size))
    new.up, new.dn = light.up * common, light.dn * common
    return new


@dataclass
class Scene:
    """One person under one lamp before one camera."""

    appearance: Any
    person: np.ndarray
    light: Any
    behind: np.ndarray
    camera: dict[str, Any]
    resting: dict[str, float]
    asymmetry: float
    rest_gap: float
    new_lamps: float


def scene(studio: Studio, split: str, number: int, rng: np.random.Generator) -> Scene:
    """Return the scene of one identity."""
    model = studio.renderer.m
    person = model.identity(700_000 + SPLITS[split] + number, scale=float(rng.uniform(0.6, 1.0)))
    at_rest = model.base(person)[model.lm]
    resting = {}
    if split not in PLAIN_SPLITS and rng.random() < (0.6 if split == "calm" else 0.25):
        resting = resting_face(rng, 0.12 if split == "calm" else 0.06)
    return Scene(
        appearance=studio.appearance(SPLITS[split] + number // PER_APPEARANCE),
        person=person,
        light=studio.render.Lighting(rng),
        behind=studio.render.background(rng, SIZE_PX, SIZE_PX),
        camera={
            "dist": float(rng.uniform(45, 110)),
            "face_frac": float(rng.uniform(0.5, 0.9)),
            "cam_h": float(rng.uniform(-6, 6)),
            "shift": tuple(rng.uniform(-2, 2, 2)),
        },
        resting=resting,
        asymmetry=float(rng.uniform(-1, 1)),
        rest_gap=float(at_rest[62, 1] - at_rest[66, 1]),
        new_lamps=0.0 if split in PLAIN_SPLITS else 0.15,
    )


def paint(
    studio: Studio, at: Scene, picture: Shot, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Return the picture, and how far the lips are apart more than at rest."""
    extra = dict(at.resting)
    for name, weight in picture.extra.items():
        extra[name] = extra.get(name, 0.0) + weight
    is_new = rng.random() < at.new_lamps
    image, info = studio.renderer.render(
        at.appearance,
        picture.au,
        picture.side,
        at.asymmetry,
        picture.gaze,
        *picture.pose,
        coeffs=at.person,
        bg=at.behind,
        extra=extra,
        pupil=float(rng.uniform(0.3, 0.55)),
        light=studio.render.Lighting(rng) if is_new else flickered(at.light, rng, picture.flicker),
        **at.camera,
    )
    return image, info["gap"] - at.rest_gap


def identity(studio: Studio, split: str, number: int) -> dict[str, np.ndarray]:
    """Render one person; return arrays with one row per picture and a column for each view."""
    rng = np.random.default_rng([SPLITS[split], number])
    at = scene(studio, split, number, rng)
    studio.eyes_turn = split != "train" or number % 6 > 0
    plans: dict[str, Callable[[np.random.Generator], list[Shot]]] = {
        "sweep": sweep_shots,
        "quiet": quiet_shots,
        "calm": calm_shots,
        "mixed": mixed_shots,
        "clip": lambda r: clip_shots(r, studio.render.EMFACS),
    }
    wanted = plans.get(split, lambda r: shots(r, studio.render.EMFACS))(rng)
    views: list[list[View]] = []
    kept: list[tuple[Shot, float]] = []
    with FaceTracker() if split == "clip" else nullcontext() as tracker:
        for i, picture in enumerate(wanted):
            image, gap = paint(studio, at, picture, rng)
            mild = studio.render.degrade(image, rng, noise=(0, 3), blur=(0, 0.6), q=(80, 98))
            if tracker is not None:
                seen = [tracked(tracker, i, mild)]
            else:
                harsh = studio.render.degrade(image, rng)
                seen = [view(studio.followed(mild), mild), view(studio.alone(harsh), harsh)]
            if all(np.isfinite(one.landmarks).all() for one in seen):
                views.append(seen)
                kept.append((picture, gap))
    arrays = {
        name: np.array([[getattr(one, name) for one in seen] for seen in views])
        for name in View.__dataclass_fields__
    }
    arrays["au"], arrays["sided"] = map(np.array, zip(*(labels(*k) for k in kept), strict=True))
    for name in ("pose", "gaze", "kind"):
        arrays[name] = np.array([getattr(picture, name) for picture, _ in kept])
    return {n: a if a.dtype.kind in "ui" else a.astype(np.float32) for n, a in arrays.items()}


@dataclass
class View:
    """What the landmark network sees in one picture."""

    landmarks: np.ndarray
    blendshapes: np.ndarray
    rotation: np.ndarray
    crops: np.ndarray


def view(result: Any, image: np.ndarray) -> View:
    """Return landmarks in pixels, blendshapes, rotation and crop; NaN where there is no face."""
    if not result.face_landmarks:
        no = np.full((478, 3), np.nan)
        return View(no, no[:52, 0], no[:3], np.zeros((CROP_PX, CROP_PX), np.uint8))
    points = np.array([(p.x, p.y, p.z) for p in result.face_landmarks[0]]) * SIZE_PX
    shapes = np.array([s.score for s in result.face_blendshapes[0]])
    rotation = np.asarray(result.facial_transformation_matrixes[0])[:3, :3]
    return View(points, shapes, rotation, grey_crop(image, points))


def tracked(tracker: FaceTracker, index: int, image: np.ndarray) -> View:
    """Return what the tracker of the package sees in the next frame of a film."""
    faces = tracker.track([(index, index / CLIP_RATE_HZ, image)])
    points = faces.landmarks[0]
    found = np.isfinite(points).all()
    crop = grey_crop(image, points) if found else np.zeros((CROP_PX, CROP_PX), np.uint8)
    return View(points, faces.blendshapes[0], faces.rotation[0], crop)


def labels(picture: Shot, gap: float) -> tuple[list[float], list[float]]:
    """Return intensities (0 to 5) in the order of ``UNITS``, and AU12L AU12R AU14L AU14R.

    AU25 is the larger of its weight and the parting of the lips, as FACS codes it whenever the lips
    part; a one-sided action counts as strong as its stronger side.
    """
    weights = {unit: picture.au.get(f"AU{unit}", 0.0) for unit in UNITS}
    weights[25] = max(weights[25], float(np.clip((gap - 0.06) / 0.70, 0, 1)))
    sided = []
    for unit in (12, 14):
        acting = (picture.side or {}).get(f"AU{unit}")
        sided += [weights[unit] * (0.08 if acting not in (None, side) else 1.0) for side in "LR"]
    return [5 * weights[unit] for unit in UNITS], [5 * weight for weight in sided]


def main() -> None:
    """Render the identities asked for that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--renderer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", choices=SPLITS, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--identities", type=int, default=10)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    studio = Studio(given.renderer)
    start_s, n = time.monotonic(), 0
    for number in range(given.first, given.first + given.identities):
        path = given.out / f"{given.split}_{number:05d}.npz"
        if path.exists():
            continue
        arrays = identity(studio, given.split, number)
        partial = path.with_name(f"_{path.name}")
        np.savez(partial, **arrays)
        partial.rename(path)
        n += len(arrays["au"])
        print(path.name, n, f"{n / (time.monotonic() - start_s):.2f} pictures/s", flush=True)
    print(f"Written: {given.out}")


if __name__ == "__main__":
    main()
