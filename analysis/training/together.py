"""Several prepared sets as one: what one of them does not label is not known there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from duchenne.analysis.training.prepared import N_LANDMARKS, Faces, read_faces
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class Stacked:
    """Pictures of several arrays, one after another, that stay where they are until they are used.

    Parameters
    ----------
    parts : sequence of (n, px, px, 3) uint8
        Of one size.
    """

    def __init__(self, parts: Sequence[NDArray[np.uint8]]) -> None:
        self._parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self.shape: tuple[int, ...] = (int(self._ends[-1]), *parts[0].shape[1:])
        self.dtype, self.ndim = parts[0].dtype, 4

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        """Return one picture, or those of an array of numbers or a slice."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        if np.ndim(rows) == 0:
            return self._one(int(rows))
        wanted = np.asarray(rows)
        if wanted.dtype == bool:
            wanted = np.flatnonzero(wanted)
        found = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        for i, row in enumerate(wanted):
            found[i] = self._one(int(row))
        return found

    def _one(self, row: int) -> NDArray[np.uint8]:
        if not -len(self) <= row < len(self):
            raise IndexError(f"there are {len(self)} pictures, none has the number {row}")
        row %= len(self)
        part = int(np.searchsorted(self._ends, row, side="right"))
        first = int(self._ends[part - 1]) if part else 0
        found: NDArray[np.uint8] = self._parts[part][row - first]
        return found


def read_together(folders: Sequence[Path]) -> Faces:
    """Open one or several prepared sets.

    Of several, subjects are called ``folder/name``, so that nobody is taken for another.

    Raises
    ------
    DuchenneError
        As `read_faces`; when two folders have the same name, or the pictures two sizes.
    """
    if len(folders) == 1:
        return read_faces(folders[0])
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise DuchenneError(
            f"two folders are called {max(names, key=names.count)}: rename one, the subjects are told "
            "apart by it."
        )
    return together({name: read_faces(f) for name, f in zip(names, folders, strict=True)})


def together(sets: Mapping[str, Faces]) -> Faces:
    """Return several sets as one; see `read_together`.

    Raises
    ------
    DuchenneError
        When their pictures have two sizes or alignments, or their sounds two numbers of features.
    """
    parts = list(sets.values())
    sizes = {name: part.images.shape[1] for name, part in sets.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {px} px" for name, px in sizes.items())
        raise DuchenneError(f"the pictures have two sizes ({told}): prepare them with one --px.")
    aligned = {str(part.about["alignment"]) for part in parts if "alignment" in part.about}
    if len(aligned) > 1:
        raise DuchenneError(
            f"the faces are aligned in two ways ({', '.join(sorted(aligned))}): prepare them with one "
            "--align."
        )
    labels = tuple(dict.fromkeys(name for part in parts for name in part.names))
    truth = np.concatenate([_labelled(part, labels) for part in parts])
    subject = [np.char.add(f"{name}/", part.subject) for name, part in sets.items()]
    source = [
        [f"{name}/{text}" for text in part.source.tolist()]
        if part.source is not None
        else [""] * len(part)
        for name, part in sets.items()
    ]
    departure = [part.from_neutral() for part in parts]
    return Faces(
        cast("NDArray[np.uint8]", Stacked([part.images for part in parts])),
        truth, labels, np.concatenate(subject),
        _filled([part.landmarks for part in parts], parts, (N_LANDMARKS, 2)),
        {
            "name": " + ".join(sets),
            **({"alignment": aligned.pop()} if aligned else {}),
            **_sound_of(parts),
            "sets": {name: part.about for name, part in sets.items()},
        },
        source=np.array([text for texts in source for text in texts], np.str_),
        departure=_filled(departure, parts, ()),
        sound=_filled([part.sound for part in parts], parts, None),
        conditions=_conditions(parts),
    )  # fmt: skip


def _sound_of(parts: Sequence[Faces]) -> dict[str, Any]:
    """Return which features the sound has, where all sets with a sound say the same."""
    told = [part.about.get("sound") for part in parts if part.sound is not None]
    return {"sound": told[0]} if told and told[0] and all(t == told[0] for t in told) else {}


def _labelled(part: Faces, labels: Sequence[str]) -> NDArray[np.float32]:
    truth = np.full((len(part), len(labels)), np.nan, np.float32)
    for i, name in enumerate(part.names):
        truth[:, labels.index(name)] = part.truth[:, i]
    return truth


def _filled(
    arrays: Sequence[NDArray[np.float32] | None],
    parts: Sequence[Faces],
    shape: tuple[int, ...] | None,
) -> NDArray[np.float32] | None:
    """Return arrays one after another, NaN for those that are not there; None where none is."""
    there = [array for array in arrays if array is not None]
    if not there:
        return None
    shape = there[0].shape[1:] if shape is None else shape
    if any(array.shape[1:] != shape for array in there):
        raise DuchenneError("the sets have two kinds of sound: prepare it with the same settings.")
    filled = [
        np.full((len(part), *shape), np.nan, np.float32) if array is None else array
        for array, part in zip(arrays, parts, strict=True)
    ]
    return np.concatenate(filled)


def _conditions(parts: Sequence[Faces]) -> pd.DataFrame | None:
    if all(part.conditions is None for part in parts):
        return None
    tables = [
        pd.DataFrame(index=range(len(part))) if part.conditions is None else part.conditions
        for part in parts
    ]
    return pd.concat(tables, ignore_index=True)
