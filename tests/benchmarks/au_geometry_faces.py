"""Rendered and real faces with their measures, as the training of the ``geometry`` backend reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.cues import frontalise
from duchenne.analysis.face.frames import FaceFrames
from duchenne.analysis.face.geometry.measures import (
    BLOCKS,
    join_measures,
    measure_names,
    measures,
)
from duchenne.analysis.face.geometry.texture import contrast, points_in_crop
from duchenne.analysis.face.landmarks import FaceTracker, pose_from_rotation
from duchenne.analysis.face.surface import clipped_share, face_in_crop

if TYPE_CHECKING:
    from pathlib import Path

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 28, 45)
SIDED = ("AU12L", "AU12R", "AU14L", "AU14R")
OUTPUTS = (*(f"AU{unit:02d}" for unit in UNITS), *SIDED)
LOCKED = (0, 1, 6, 7, 8)  # kinds without any action: neutral, gaze, head, light


@dataclass(frozen=True)
class Faces:
    """Measured faces: one row per picture, one column per view where there are two.

    Parameters
    ----------
    measures : (n, v, k) float32
    truth : (n, 26) float32
        Intensities in the order of ``OUTPUTS``.
    person, kind : (n,) int64
    pose, gaze : (n, 3), (n, 2) float32
    clipped : (n, v) float64
        Share of the face that is black or white.
    """

    measures: np.ndarray
    truth: np.ndarray
    person: np.ndarray
    kind: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray
    clipped: np.ndarray


def as_frames(landmarks: np.ndarray, blendshapes: np.ndarray, rotation: np.ndarray) -> FaceFrames:
    """Return measured faces as a batch of frames without pictures."""
    n = len(landmarks)
    return FaceFrames(
        frame=np.arange(n),
        time_s=np.arange(n) / 25.0,
        size_px=np.full((n, 2), 320.0),
        landmarks=landmarks.astype(np.float64),
        blendshapes=blendshapes.astype(np.float64),
        rotation=rotation.astype(np.float64),
        pose_deg=pose_from_rotation(rotation.astype(np.float64)),
    )


def reference_mesh(paths: list[Path]) -> np.ndarray:
    """Return the median mesh of the neutral faces of 60 identities: (478, 3) float64."""
    meshes = []
    for path in paths[:60]:
        with np.load(path) as shard:
            rest = shard["kind"] == 0
            frames = as_frames(
                *(shard[n][rest, 0] for n in ("landmarks", "blendshapes", "rotation"))
            )
        meshes.append(frontalise(frames))
    return np.round(np.median(np.concatenate(meshes), axis=0), 5)


def measured(path: Path, cache: Path, reference: np.ndarray) -> dict[str, np.ndarray]:
    """Return one shard with its measures, from the cache where they are there."""
    kept = cache / path.name
    with np.load(path) as shard:
        arrays = {name: shard[name] for name in ("au", "sided", "kind", "pose", "gaze")}
        arrays["clipped"] = clipped(shard["crops"], shard["landmarks"])
        if kept.exists():
            with np.load(kept) as known:
                return {**arrays, "measures": known["measures"]}
        views = [
            join_measures(
                as_frames(*(shard[n][:, j] for n in ("landmarks", "blendshapes", "rotation"))),
                np.array(
                    [
                        contrast(crop, points_in_crop(points.astype(np.float64)))
                        for crop, points in zip(
                            shard["crops"][:, j], shard["landmarks"][:, j], strict=True
                        )
                    ]
                ),
                reference,
            )
            for j in range(shard["landmarks"].shape[1])
        ]
    measures = np.stack(views, axis=1).astype(np.float32)
    np.savez(kept, measures=measures)
    return {**arrays, "measures": measures}


def clipped(crops: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Return the share of each face that is black or white: (n, v) float64."""
    return np.array(
        [
            [
                clipped_share(small[inside > 0])
                for small, inside in map(face_in_crop, of_picture, points.astype(np.float64))
            ]
            for of_picture, points in zip(crops, landmarks, strict=True)
        ]
    )


def load(
    data: Path,
    split: str,
    reference: np.ndarray,
    most: int | None = None,
    *,
    first: int = 0,
    every: int = 1,
) -> Faces:
    """Return all faces of a split, or those of every so many identities."""
    cache = data / "measures3"
    cache.mkdir(exist_ok=True)
    paths = sorted(data.glob(f"{split}_*.npz"))[:most][first::every]
    shards = [measured(path, cache, reference) for path in paths]
    joined = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
    return Faces(
        measures=joined["measures"],
        truth=np.column_stack([joined["au"], joined["sided"]]).astype(np.float32),
        person=np.repeat(np.arange(len(shards)), [len(shard["kind"]) for shard in shards]),
        kind=joined["kind"],
        pose=joined["pose"],
        gaze=joined["gaze"],
        clipped=joined["clipped"],
    )


def joined(*some: Faces) -> Faces:
    """Return the faces of several splits, each with persons of its own."""
    counts = np.cumsum([0, *(int(faces.person.max()) + 1 for faces in some[:-1])])
    return Faces(
        **{
            name: np.concatenate([getattr(faces, name) for faces in some])
            for name in ("measures", "truth", "kind", "pose", "gaze", "clipped")
        },
        person=np.concatenate([f.person + n for f, n in zip(some, counts, strict=True)]),
    )


def london_faces(folder: Path, reference: np.ndarray, name: str) -> np.ndarray:
    """Return the measures of the neutral or smiling faces, by number: (persons, k)."""
    from duchenne.analysis.face.decode import image_frame

    paths = sorted(folder.glob(f"*_{name}.jpg"))
    with FaceTracker(still=True) as tracker:
        return np.concatenate(
            [
                measures(tracker.track([(i, 0.0, image_frame(path))], keep_images=True), reference)
                for i, path in enumerate(paths)
            ]
        )


def mirror(measures: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the measures of the same faces seen in a mirror: (..., k)."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    names = measure_names()
    places = {name: i for i, name in enumerate(names)}
    order = np.arange(len(names))
    sign = np.ones(len(names), measures.dtype)
    for i, name in enumerate(names):
        for one, other in (("Left", "Right"), ("Right", "Left"), ("_L", "_R"), ("_R", "_L")):
            if name.endswith(one):
                order[i] = places[name.removesuffix(one) + other]
    _, partner = linear_sum_assignment(cdist(reference, reference * [-1, 1, 1]))
    start = BLOCKS["mesh"].start
    order[BLOCKS["mesh"]] = start + (3 * partner[:, None] + np.arange(3)).ravel()
    sign[start : BLOCKS["mesh"].stop : 3] = -1
    sign[1:3] = -1
    return measures[..., order] * sign


def with_mirrored(faces: Faces, reference: np.ndarray) -> Faces:
    """Return faces and, as more persons, the same in a mirror."""
    places = [OUTPUTS.index(_other_side(name)) for name in OUTPUTS]
    return Faces(
        measures=np.concatenate([faces.measures, mirror(faces.measures, reference)]),
        truth=np.concatenate([faces.truth, faces.truth[:, places]]),
        person=np.concatenate([faces.person, faces.person + faces.person.max() + 1]),
        kind=np.concatenate([faces.kind] * 2),
        pose=np.concatenate([faces.pose, faces.pose * [1, -1, -1]]),
        gaze=np.concatenate([faces.gaze, faces.gaze * [-1, 1]]),
        clipped=np.concatenate([faces.clipped] * 2),
    )


def _other_side(name: str) -> str:
    return name[:-1] + {"L": "R", "R": "L"}[name[-1]] if name[-1] in "LR" else name


def at_rest(faces: Faces) -> np.ndarray:
    """Return the median neutral measures of each person and view: (persons, v, k)."""
    return np.array(
        [
            np.median(faces.measures[(faces.person == p) & (faces.kind == 0)], axis=0)
            for p in range(faces.person.max() + 1)
        ]
    )
