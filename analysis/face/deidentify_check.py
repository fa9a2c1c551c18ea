"""Tries to know a person again in a de-identified video.

A covered video passes where MediaPipe's face detector, asked for everything that could be a face, finds
none in any frame. A video of the generic head shows a face by design; it passes where the shape of the
face in it is nearer to the generic head's than to the person's, and as far from the person's as strangers
are from each other. ``tests/benchmarks/reidentification.py`` compares face embeddings besides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.deidentify_draw import draw_avatar
from duchenne.analysis.face.deidentify_finder import (
    CHECK_CONFIDENCE,
    TILE_CONFIDENCE,
    FaceFinder,
    with_tiles,
)
from duchenne.analysis.face.deidentify_parts import Expression
from duchenne.analysis.face.deidentify_shape import frontal_shapes, shape_distance
from duchenne.analysis.face.landmarks import FaceTracker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from duchenne.analysis.face.deidentify_shape import ShapeWitness
    from duchenne.analysis.face.frames import FloatArray

AVATAR_EVERY = 5
STRANGERS = 0.0195
"""95 % of pairs of strangers differ by more: one neutral, one smiling of 51 persons (Face Research Lab
London Set); the median is 0.034, and 0.017 for two pictures of one person."""


@dataclass(frozen=True)
class Check:
    """Outcome of a re-identification check.

    Attributes
    ----------
    passed : bool
    what : str
        What was found, in a sentence.
    """

    passed: bool
    what: str


def check_covered(video: Path, progress: Callable[[int], object]) -> Check:
    """Look for faces in every frame of a covered video."""
    n_found = n = 0
    with FaceFinder(CHECK_CONFIDENCE) as finder:
        for n, (index, _, image) in enumerate(video_frames(video), start=1):
            n_found += image is None or bool(finder.find(image, tiles=with_tiles(index)))
            progress(n)
    told = f"the face detector finds a face in {n_found} of {n} frames"
    if not n_found:
        told = (
            f"the face detector finds no face in any of {n} frames "
            f"(threshold {CHECK_CONFIDENCE:g}, in parts of them {TILE_CONFIDENCE:g})"
        )
    return Check(n_found == 0, told)


def check_avatar(video: Path, witness: ShapeWitness, progress: Callable[[int], object]) -> Check:
    """Compare the shape of the face in a video of the generic head with the person's."""
    own, generic = witness.shape, generic_shape()
    if own is None:
        return Check(True, "the person was never seen from the front; no shape could be carried")
    shape = video_shape(video, progress)
    if shape is None:
        return Check(True, "no face from the front in the output")
    to_generic, to_person = shape_distance(generic, shape), shape_distance(own, shape)
    return Check(
        to_generic < to_person and to_person >= STRANGERS,
        f"the shape of the face differs from the generic head's by {to_generic:.3f} and from the "
        f"person's by {to_person:.3f} eye distances (strangers: {STRANGERS:.3f} and more)",
    )


def generic_shape() -> FloatArray:
    """Return the shape of the generic head at rest, as the landmark network sees it."""
    picture = draw_avatar(Expression())
    with FaceTracker() as tracker:
        faces = tracker.track([(i, i / 30, picture) for i in range(10)])
    return np.asarray(np.mean(frontal_shapes(faces)[5:], axis=0), np.float64)


def video_shape(video: Path, progress: Callable[[int], object]) -> FloatArray | None:
    """Return the mean shape of the frontal faces in a video; None where there are none."""
    shapes: list[FloatArray] = []
    with FaceTracker() as tracker:
        for n, frame in enumerate(video_frames(video), start=1):
            if n % AVATAR_EVERY == 1:
                shapes.extend(frontal_shapes(tracker.track([frame])))
            progress(n)
    return np.asarray(np.mean(shapes, axis=0), np.float64) if shapes else None
