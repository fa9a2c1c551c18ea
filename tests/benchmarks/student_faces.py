"""Faces of known Action Units, and real ones, as the backends ``geometry`` and ``student`` see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from au_geometry_faces import SIDED, UNITS, as_frames

from duchenne.analysis.face.backends.pixels import student_input
from duchenne.analysis.face.backends.student import joined
from duchenne.analysis.face.calibration import calibrate, occurrence
from duchenne.analysis.face.decode import image_frame, video_frames
from duchenne.analysis.face.geometry.measures import join_measures
from duchenne.analysis.face.geometry.texture import contrast, points_in_crop
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.measured import measure_film

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from duchenne.analysis.face.backends.geometry import GeometryBackend
    from duchenne.analysis.face.backends.student import StudentBackend
    from duchenne.analysis.face.backends.student_model import StudentModel
    from duchenne.analysis.face.measured import Measured

TRUTH = (*(f"AU{unit:02d}" for unit in UNITS), *SIDED)
MODES = ("own neutral face", "habitual face", "typical face")
STRANGE_OCCURRENCE, STRANGE_MARGIN = 3.0, 1.5


@dataclass(frozen=True)
class Seen:
    """Features of faces, (n, v, f), with their truth, (n, 26), in the order of ``TRUTH``."""

    features: np.ndarray
    truth: np.ndarray
    person: np.ndarray
    kind: np.ndarray

    def neutral(self, backend: Any, mode: str, view: int) -> np.ndarray:
        """Return what each picture is compared with: (n, f)."""
        typical = backend.typical_neutral
        if mode == MODES[2]:
            return np.tile(typical, (len(self.kind), 1))
        rows = []
        for p in range(self.person.max() + 1):
            own = self.features[self.person == p, view]
            if mode == MODES[0]:
                rows.append(np.median(own[self.kind[self.person == p] == 0], axis=0))
            else:
                rows.append(np.where(backend.personal, np.median(own, axis=0), typical))
        return np.array(rows)[self.person]

    def measured(self, backend: Any, mode: str, view: int = 0) -> np.ndarray:
        """Return intensities in the backend's order: (n, n_aus)."""
        neutral = self.neutral(backend, mode, view)
        values = np.full((len(self.kind), len(backend.au_names)), np.nan)
        for p in range(self.person.max() + 1):
            rows = np.flatnonzero(self.person == p)
            values[rows] = backend.intensities(self.features[rows, view], neutral[rows[0]])
        return values

    def columns(self, some: slice) -> Seen:
        """Return the same with some features."""
        return Seen(self.features[:, :, some], self.truth, self.person, self.kind)


def rendered(paths: list[Path], geometry: GeometryBackend, student: StudentModel) -> Seen:
    """Return the faces of some shards; their features are those of geometry, then those of student."""
    parts: dict[str, list[np.ndarray]] = {"features": [], "truth": [], "person": [], "kind": []}
    for p, path in enumerate(paths):
        with np.load(path) as shard:
            arrays = {name: shard[name] for name in shard.files}
        views = range(arrays["landmarks"].shape[1])
        parts["features"].append(
            np.stack([_both(arrays, j, geometry, student) for j in views], axis=1)
        )
        parts["truth"].append(np.column_stack([arrays["au"], arrays["sided"]]))
        parts["person"].append(np.full(len(arrays["kind"]), p))
        parts["kind"].append(arrays["kind"])
    return Seen(**{name: np.concatenate(rows) for name, rows in parts.items()})


def _both(
    arrays: dict[str, np.ndarray], view: int, geometry: GeometryBackend, student: StudentModel
) -> np.ndarray:
    frames = as_frames(*(arrays[n][:, view] for n in ("landmarks", "blendshapes", "rotation")))
    crops, points = arrays["crops"][:, view], arrays["landmarks"][:, view].astype(np.float64)
    fine = np.array(
        [contrast(c, points_in_crop(p)) for c, p in zip(crops, points, strict=True)], np.float64
    )
    reference = geometry.model.reference
    shape = geometry.mapped(join_measures(frames, fine, reference))
    sizes = int(student.card["stored_px"]), int(student.card["input_px"])
    pictures = np.stack([student_input(crop, *sizes) for crop in crops])[:, None]
    pixels = joined(frames, range(len(crops)), student.outputs(pictures))
    return np.column_stack([shape, pixels])


class Both:
    """Measures the features of both backends at once."""

    name = "both"
    needs_images = True

    def __init__(self, geometry: GeometryBackend, student: StudentBackend) -> None:
        self._parts = (geometry, student)
        self.feature_names = (*geometry.feature_names, *student.feature_names)
        self.n_shape = len(geometry.feature_names)

    def features(self, frames: Any) -> np.ndarray:
        """Return the features side by side."""
        return np.column_stack([part.features(frames) for part in self._parts])


def of_pictures(paths: Iterable[Path], both: Both) -> np.ndarray:
    """Return the features of one face in each picture."""
    with FaceTracker(still=True) as tracker:
        return np.concatenate(
            [
                both.features(tracker.track([(i, 0.0, image_frame(p))], keep_images=True))
                for i, p in enumerate(paths)
            ]
        )


def of_film(path: Path, both: Both) -> Measured:
    """Return a film with the features of both backends."""
    film = measure_film(video_frames(path), both)  # type: ignore[arg-type]  # features alone
    try:
        return film.part(0, len(film)).measured
    finally:
        film.close()


def film_table(measured: Measured, backend: Any, some: slice) -> pd.DataFrame:
    """Return time and intensities of a film, compared with the habitual face, as one backend has it."""
    features = measured.features[:, some]
    reference = calibrate(backend, features, measured.time_s, measured.usable)
    values = backend.intensities(features, reference.neutral)
    values = np.where(measured.usable[:, None], values, np.nan)
    table = pd.DataFrame(values, columns=[f"{au}_r" for au in backend.au_names])
    table.insert(0, "time", measured.time_s)
    return table


def london_paths(folder: Path) -> list[Path]:
    """Return neutral and smiling picture of each person, one after the other."""
    neutral = sorted(folder.glob("*_neutral.jpg"))
    return [
        p.with_name(p.name.replace("neutral", k)) for p in neutral for k in ("neutral", "smiling")
    ]


def london(features: np.ndarray, backend: Any, units: list[str]) -> dict[str, Any]:
    """Return how real smiles differ from neutral faces, without calibration, of held-out persons."""
    none = np.zeros((0, features.shape[1]))
    reference = calibrate(backend, none, np.zeros(0), np.zeros(0, np.bool_), still=True)
    values = backend.intensities(features, reference.neutral)
    occurs = occurrence(values, reference)
    held = np.arange(len(features) // 2) % 3 != 0
    place = backend.au_names.index("AU12")
    calm, glad = values[::2, place], values[1::2, place]

    def area(some: np.ndarray) -> float:
        a, b = calm[some], glad[some]
        return float(np.mean((b[:, None] > a) + 0.5 * (b[:, None] == a)))

    def means(some: np.ndarray) -> dict[str, float]:
        return {
            au: round(float(some[:, c].mean()), 2) for au, c in zip(units, columns, strict=True)
        }

    columns = [backend.au_names.index(au) for au in units]
    off = 1 - occurs[::2][held][:, columns]
    worst = off.mean(axis=0)
    return {
        "auc_held_out": area(held),
        "auc_all": area(held | True),
        "higher_held_out": float((glad > calm)[held].mean()),
        "off": float(off.mean()),
        "off_worst": float(worst.min()),
        "worst": units[int(worst.argmin())],
        "rest_means": means(values[::2][held]),
        "smile_means": means(values[1::2][held]),
    }  # fmt: skip


def resting_threshold(backend: Any, rest: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """Return from where an action occurs when a face is compared with a typical one.

    The 97.5th percentile of rendered persons at rest, or half as much again as the highest value of real
    ones; between 3 and 4.5.
    """
    typical = backend.typical_neutral
    highest = backend.intensities(real, typical).max(axis=0)
    levels = np.percentile(backend.intensities(rest, typical), 97.5, axis=0)
    levels = np.clip(np.maximum(levels, STRANGE_MARGIN * highest), STRANGE_OCCURRENCE, 4.5)
    return {au: round(float(v), 2) for au, v in zip(backend.au_names, levels, strict=True)}
