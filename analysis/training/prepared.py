"""Prepared faces: aligned pictures with their labels, in a folder that opens at once.

A prepared set is a folder with

- ``images.npy``: (n, px, px, 3) uint8, RGB; read as it is needed, so that it may be larger than the memory;
- ``labels.tsv``: one row per picture: ``subject``, ``source`` (file and frame it is from) and one column per
  label: ``AU01`` … (intensity 0 to 5, or 0 and 1), ``expression`` (number of the class), ``valence``,
  ``arousal``; ``n/a`` where not known;
- ``landmarks.npy`` (optional): (n, 68, 2) float32, pixels of the picture, NaN where not known;
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
    """

    images: NDArray[np.uint8]
    truth: NDArray[np.float32]
    names: tuple[str, ...]
    subject: NDArray[np.str_]
    landmarks: NDArray[np.float32] | None
    about: dict[str, Any]

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
        )

    def with_labels(self, names: Sequence[str]) -> Faces:
        """Return the same with these labels, in this order.

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
        return replace(self, truth=self.truth[:, columns], names=tuple(names))

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
    labels.insert(1, "source", list(sources) if sources is not None else "")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / IMAGES, faces.images)
        if faces.landmarks is not None:
            np.save(folder / LANDMARKS, faces.landmarks)
        (folder / ABOUT).write_text(json.dumps(faces.about, indent=1) + "\n", "utf-8")
        labels.to_csv(folder / LABELS, sep="\t", index=False, na_rep="n/a")
    except OSError as error:
        raise DuchenneError(f"{folder} cannot be written ({error.strerror or error}).") from error


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
        labels = pd.read_csv(
            folder / LABELS, sep="\t", dtype={"subject": str, "source": str}, na_values=["n/a"]
        )
        landmarks = (
            np.load(folder / LANDMARKS, mmap_mode="r") if (folder / LANDMARKS).is_file() else None
        )
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
    if "subject" not in labels or labels["subject"].isna().any():
        raise DuchenneError(f"{folder / LABELS} needs a subject in every row.")
    names = tuple(str(name) for name in labels.columns if name not in {"subject", "source"})
    truth = labels[list(names)].to_numpy(np.float32)
    _check_ranges(folder, names, truth)
    return Faces(images, truth, names, labels["subject"].to_numpy(np.str_), landmarks, dict(about))


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


@dataclass(frozen=True)
class Split:
    """Who is for training, for choosing the best weights, and for the test; nobody twice.

    Parameters
    ----------
    train, validation, test : tuple of str
        Subjects.

    Raises
    ------
    DuchenneError
        When a subject is in two parts, or the training part is empty.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        seen: dict[str, str] = {}
        for part, subjects in parts.items():
            for subject in subjects:
                if subject in seen:
                    raise DuchenneError(
                        f"subject {subject} is in {seen[subject]} and {part}: a score would be of faces "
                        "that were learnt."
                    )
                seen[subject] = part
        if not self.train:
            raise DuchenneError("the split leaves nobody for training")


def split_subjects(
    subjects: Sequence[str], *, validation: float = 0.15, test: float = 0.2, seed: int = 0
) -> Split:
    """Return a random split of subjects.

    Parameters
    ----------
    subjects : sequence of str
    validation, test : float
        Share of the subjects in each, at least one where above 0.
    seed : int

    Raises
    ------
    DuchenneError
        When there are too few subjects.
    """
    order = np.random.default_rng(seed).permutation(sorted(set(subjects))).tolist()
    n_test = max(1, round(test * len(order))) if test > 0 else 0
    n_validation = max(1, round(validation * len(order))) if validation > 0 else 0
    if n_test + n_validation >= len(order):
        raise DuchenneError(
            f"{len(order)} subjects are too few for a split with {n_validation} for validation and "
            f"{n_test} for the test."
        )
    held, rest = order[:n_test], order[n_test:]
    return Split(tuple(rest[n_validation:]), tuple(rest[:n_validation]), tuple(held))


BP4D_FOLDS: tuple[tuple[str, ...], ...] = tuple(
    tuple(names.split())
    for names in (
        "F001 F002 F008 F009 F010 F016 F018 F023 M001 M004 M007 M008 M012 M014",
        "F003 F005 F011 F013 F020 F022 M002 M005 M010 M011 M013 M016 M017 M018",
        "F004 F006 F007 F012 F014 F015 F017 F019 F021 M003 M006 M009 M015",
    )
)
"""The three published parts of BP4D (Shao et al. 2018; Luo et al. 2022)."""
DISFA_FOLDS: tuple[tuple[str, ...], ...] = tuple(
    tuple(f"SN{number:03d}" for number in numbers)
    for numbers in (
        (1, 2, 9, 10, 16, 26, 27, 30, 32),
        (6, 11, 12, 13, 18, 21, 24, 28, 31),
        (3, 4, 5, 7, 8, 17, 23, 25, 29),
    )
)
"""The three published parts of DISFA."""


FOLDS = {"bp4d": BP4D_FOLDS, "disfa": DISFA_FOLDS}


def fold_split(
    folds: Sequence[Sequence[str]], test: int, *, paper_protocol: bool = False, seed: int = 0
) -> Split:
    """Return the split that leaves one published part for the test.

    Parameters
    ----------
    folds : sequence of sequences of str
    test : int
        Which part is left for the test, from 0.
    paper_protocol : bool
        Choose the best weights on the test part itself, as the published programs do. Figures come out
        too high; by default every sixth training subject is kept aside for it.
    seed : int

    Raises
    ------
    DuchenneError
        For a part that is not there.
    """
    if not 0 <= test < len(folds):
        raise DuchenneError(f"there are parts 0 to {len(folds) - 1}, not {test}")
    others = [name for i, fold in enumerate(folds) if i != test for name in fold]
    if paper_protocol:
        return Split(tuple(others), (), tuple(folds[test]))
    aside = split_subjects(others, validation=1 / 6, test=0.0, seed=seed)
    return Split(aside.train, aside.validation, tuple(folds[test]))
