"""Prepared faces: aligned pictures with their labels, in a folder that opens at once.

A prepared set is a folder with

- ``images.npy``: (n, px, px, 3) uint8, RGB; read as it is needed, so that it may be larger than the memory;
- ``labels.tsv``: one row per picture: ``subject``, ``source`` (file and frame it is from) and one column per
  label: ``AU01`` … (intensity 0 to 5, or 0 and 1), ``expression`` (number of the class), ``valence``,
  ``arousal``; ``n/a`` where not known;
  A column ``neutral`` (1 or 0) says which pictures show a neutral face;
- ``landmarks.npy`` (optional): (n, 68, 2) float32, pixels of the picture, NaN where not known;
- ``audio.npy`` (optional): (n, k) float32, features of the sound at each picture, NaN where there is none;
- ``conditions.tsv`` (optional): one row per picture, what is known of how it came about (pose, light, …);
- ``about.json``: where it is from, its alignment and its licence.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

IMAGES, LABELS, LANDMARKS, ABOUT = "images.npy", "labels.tsv", "landmarks.npy", "about.json"
SOUND, CONDITIONS = "audio.npy", "conditions.tsv"
NEUTRAL = "neutral"
N_LANDMARKS = 68
RANGES = {
    "AU": (0.0, 5.0),
    "valence": (-1.0, 1.0),
    "arousal": (-1.0, 1.0),
    "dominance": (-1.0, 1.0),
}
"""What labels may be; expression is a whole number from 0."""


@dataclass(frozen=True)
class Faces:
    """Labelled pictures of faces.

    Parameters
    ----------
    images : (n, px, px, 3) uint8
        RGB; may be a memory map.
    truth : (n, k) float32
        NaN where not known.
    names : tuple of str
        Of the labels.
    subject : (n,) str
    landmarks : (n, 68, 2) float32 or None
        Pixels, x right and y down.
    about : dict
        What `write_faces` was told.
    source : (n,) str, optional
        File and number of the frame that a picture is from, such as ``a.mp4#12``.
    departure : (n,) float32, optional
        How far a face is from neutral: 0 is neutral, NaN not known; see `from_neutral`.
    sound : (n, k) float32, optional
        Features of the sound at each picture.
    conditions : DataFrame, optional
        What is known of how each picture came about; as many rows.
    """

    images: NDArray[np.uint8]
    truth: NDArray[np.float32]
    names: tuple[str, ...]
    subject: NDArray[np.str_]
    landmarks: NDArray[np.float32] | None
    about: dict[str, Any]
    source: NDArray[np.str_] | None = None
    departure: NDArray[np.float32] | None = None
    sound: NDArray[np.float32] | None = None
    conditions: pd.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.subject)

    def of(self, subjects: Sequence[str]) -> Faces:
        """Return the pictures of some subjects, in their order."""
        return self.rows(np.flatnonzero(np.isin(self.subject, list(subjects))))

    def rows(self, rows: NDArray[np.intp]) -> Faces:
        """Return some pictures; the images are copied."""
        return replace(
            self,
            images=self.images[rows],
            truth=self.truth[rows],
            subject=self.subject[rows],
            landmarks=None if self.landmarks is None else self.landmarks[rows],
            source=None if self.source is None else self.source[rows],
            departure=None if self.departure is None else self.departure[rows],
            sound=None if self.sound is None else self.sound[rows],
            conditions=(
                None
                if self.conditions is None
                else self.conditions.iloc[rows].reset_index(drop=True)
            ),
        )

    def with_labels(self, names: Sequence[str]) -> Faces:
        """Return the same with these labels, in this order; how neutral a face is stays known.

        Raises
        ------
        DuchenneError
            When a label is not there.
        """
        missing = [name for name in names if name not in self.names]
        if missing:
            raise DuchenneError(
                f"the prepared faces have no labels {', '.join(missing)}; there are: "
                f"{', '.join(self.names)}"
            )
        columns = [self.names.index(name) for name in names]
        return replace(
            self, truth=self.truth[:, columns], names=tuple(names), departure=self.from_neutral()
        )

    def from_neutral(self) -> NDArray[np.float32] | None:
        """Return how far each face is from neutral: (n,), 0 is neutral and NaN not known.

        The column ``neutral`` decides where there is one (0 or 1); else the sum of the Action Units that
        are known; else whether the expression is the class that the set calls neutral (0 or 1); else
        nothing is known, which is None.
        """
        if self.departure is not None:
            return self.departure
        units = self.truth[:, [name.startswith("AU") for name in self.names]]
        if units.shape[1]:
            known = np.isfinite(units).any(axis=1)
            return np.where(known, np.nansum(units, axis=1), np.nan).astype(np.float32)
        classes = list(self.about.get("classes", ()))
        if NEUTRAL in classes and "expression" in self.names:
            shown = self.truth[:, self.names.index("expression")]
            other = (shown != classes.index(NEUTRAL)).astype(np.float32)
            return np.where(np.isfinite(shown), other, np.float32(np.nan))
        return None

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject once, sorted."""
        return tuple(str(name) for name in np.unique(self.subject))

    def digest(self) -> str:
        """Return a hash of labels, subjects and a sample of the pictures, which names this data."""
        found = hashlib.sha256()
        found.update(np.ascontiguousarray(self.truth).tobytes())
        found.update("\n".join(self.subject.tolist()).encode())
        some = np.linspace(0, max(len(self) - 1, 0), min(len(self), 64)).astype(np.intp)
        found.update(np.ascontiguousarray(self.images[some]).tobytes())
        return found.hexdigest()


def write_faces(folder: Path, faces: Faces, sources: Sequence[str] | None = None) -> None:
    """Write a prepared set.

    Raises
    ------
    DuchenneError
        When the folder cannot be written.
    """
    labels = pd.DataFrame(faces.truth, columns=list(faces.names))
    labels.insert(0, "subject", faces.subject)
    labels.insert(1, "source", _sources(faces, sources))
    if faces.departure is not None:
        known = np.isfinite(faces.departure)
        labels[NEUTRAL] = np.where(known, faces.departure == 0, np.nan)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / IMAGES, faces.images)
        if faces.landmarks is not None:
            np.save(folder / LANDMARKS, faces.landmarks)
        if faces.sound is not None:
            np.save(folder / SOUND, faces.sound)
        if faces.conditions is not None:
            faces.conditions.to_csv(folder / CONDITIONS, sep="\t", index=False, na_rep="n/a")
        (folder / ABOUT).write_text(json.dumps(faces.about, indent=1) + "\n", "utf-8")
        labels.to_csv(folder / LABELS, sep="\t", index=False, na_rep="n/a")
    except OSError as error:
        raise DuchenneError(f"{folder} cannot be written ({error.strerror or error}).") from error


def _sources(faces: Faces, sources: Sequence[str] | None) -> Sequence[str] | str:
    if sources is not None:
        return list(sources)
    return "" if faces.source is None else faces.source.tolist()


def read_faces(folder: Path) -> Faces:
    """Open a prepared set; the pictures stay on the disk until they are used.

    Raises
    ------
    DuchenneError
        When it is none, its parts do not fit each other, or a label is out of its range.
    """
    for name in (IMAGES, LABELS):
        if not (folder / name).is_file():
            raise DuchenneError(
                f"{folder} is no prepared set: {name} is missing. `duchenne prepare` makes one."
            )
    try:
        images = np.load(folder / IMAGES, mmap_mode="r")
        labels = _table(folder / LABELS)
        landmarks, sound = _array(folder / LANDMARKS), _array(folder / SOUND)
        conditions = _table(folder / CONDITIONS) if (folder / CONDITIONS).is_file() else None
        about = (
            json.loads((folder / ABOUT).read_text("utf-8")) if (folder / ABOUT).is_file() else {}
        )
    except (OSError, ValueError) as error:
        raise DuchenneError(f"{folder} cannot be read: {error}") from error
    n = len(labels)
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 or len(images) != n:
        raise DuchenneError(
            f"{folder / IMAGES} holds {images.dtype} {images.shape}, not {n} pictures of uint8 "
            "(n, px, px, 3)."
        )
    if landmarks is not None and landmarks.shape != (n, N_LANDMARKS, 2):
        raise DuchenneError(
            f"{folder / LANDMARKS} holds {landmarks.shape}, not ({n}, {N_LANDMARKS}, 2)."
        )
    if sound is not None and (sound.ndim != 2 or len(sound) != n):
        raise DuchenneError(f"{folder / SOUND} holds {sound.shape}, not ({n}, features).")
    if conditions is not None and len(conditions) != n:
        raise DuchenneError(f"{folder / CONDITIONS} has {len(conditions)} rows for {n} pictures.")
    if "subject" not in labels or labels["subject"].isna().any():
        raise DuchenneError(f"{folder / LABELS} needs a subject in every row.")
    apart = {"subject", "source", NEUTRAL}
    names = tuple(str(name) for name in labels.columns if name not in apart)
    truth = np.empty((n, len(names)), np.float32)
    for i, name in enumerate(names):
        truth[:, i] = _numbers(folder, labels, name)
    _check_ranges(folder, names, truth)
    return Faces(
        images, truth, names, labels["subject"].to_numpy(np.str_), landmarks, dict(about),
        source=labels["source"].fillna("").to_numpy(np.str_) if "source" in labels else None,
        departure=1 - _numbers(folder, labels, NEUTRAL) if NEUTRAL in labels else None,
        sound=sound, conditions=conditions,
    )  # fmt: skip


def _table(path: Path) -> pd.DataFrame:
    texts = {"subject": str, "source": str}
    return pd.read_csv(path, sep="\t", dtype=texts, na_values=["n/a"])


def _numbers(folder: Path, labels: pd.DataFrame, name: str) -> NDArray[np.float32]:
    numbers = pd.to_numeric(labels[name], errors="coerce")
    wrong = numbers.isna() & labels[name].notna()
    if wrong.any():
        raise DuchenneError(
            f"{folder / LABELS}: {name} is '{labels[name][wrong].iloc[0]}' in row "
            f"{int(np.flatnonzero(wrong)[0]) + 2}, which is no number; what is not known is n/a."
        )
    return np.asarray(numbers.to_numpy(np.float32))


def _array(path: Path) -> NDArray[np.float32] | None:
    return np.load(path, mmap_mode="r") if path.is_file() else None


def _check_ranges(folder: Path, names: Sequence[str], truth: NDArray[np.float32]) -> None:
    for i, name in enumerate(names):
        key = "AU" if name.startswith("AU") else name
        low, high = RANGES.get(key, (0.0, np.inf))
        known = truth[:, i][np.isfinite(truth[:, i])]
        wrong = known[(known < low) | (known > high)]
        if len(wrong):
            raise DuchenneError(
                f"{folder / LABELS}: {name} is {wrong[0]:g} in {len(wrong)} rows, and may be {low:g} to "
                f"{high:g}. Codes for missing labels (such as 9) must be n/a."
            )
