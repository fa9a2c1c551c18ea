"""Prepared faces come back as they were written; what does not fit is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from duchenne.analysis.training.prepared import Faces, read_faces, write_faces
from duchenne.analysis.training.splits import (
    BP4D_FOLDS,
    DISFA_FOLDS,
    Split,
    fold_split,
    split_subjects,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path


def test_round_trip(faces: Faces, tmp_path: Path) -> None:
    truth = faces.truth.copy()
    truth[3, 1] = np.nan
    write_faces(tmp_path / "set", replace(faces, truth=truth))
    back = read_faces(tmp_path / "set")
    np.testing.assert_array_equal(back.images, faces.images)
    np.testing.assert_allclose(back.truth, truth, rtol=1e-6)
    np.testing.assert_array_equal(back.landmarks, faces.landmarks)
    assert back.names == faces.names
    assert back.subjects == faces.subjects
    assert isinstance(back.images, np.memmap)
    assert set(back.of(["S02"]).subject) == {"S02"}
    assert back.digest() == read_faces(tmp_path / "set").digest()
    assert back.digest() != faces.digest()


def test_what_does_not_fit_is_refused(faces: Faces, tmp_path: Path) -> None:
    with pytest.raises(DuchenneError, match=r"images\.npy is missing"):
        read_faces(tmp_path)
    folder = tmp_path / "set"
    code = faces.truth.copy()
    code[0, 0] = 9  # BP4D's code for a missing label
    write_faces(folder, replace(faces, truth=code))
    with pytest.raises(DuchenneError, match=r"AU01 is 9 in 1 rows.*must be n/a"):
        read_faces(folder)
    write_faces(folder, faces)
    np.save(folder / "images.npy", faces.images[:-1])
    with pytest.raises(DuchenneError, match="not 192 pictures"):
        read_faces(folder)
    (folder / "images.npy").write_bytes(b"no array")
    with pytest.raises(DuchenneError, match="cannot be read"):
        read_faces(folder)


def test_nobody_is_in_two_parts() -> None:
    with pytest.raises(DuchenneError, match="S1 is in training and test"):
        Split(("S1", "S2"), ("S3",), ("S1",))
    with pytest.raises(DuchenneError, match="nobody for training"):
        Split((), ("S3",), ("S1",))
    with pytest.raises(DuchenneError, match="too few"):
        split_subjects(["S1", "S2"])
    split = split_subjects([f"S{i}" for i in range(20)])
    assert (len(split.train), len(split.validation), len(split.test)) == (13, 3, 4)


def test_published_parts() -> None:
    assert sum(len(fold) for fold in BP4D_FOLDS) == len(set().union(*BP4D_FOLDS)) == 41
    assert sum(len(fold) for fold in DISFA_FOLDS) == len(set().union(*DISFA_FOLDS)) == 27
    honest = fold_split(DISFA_FOLDS, 2)
    assert set(honest.test) == set(DISFA_FOLDS[2])
    assert len(honest.validation) == 3
    assert set(honest.train) | set(honest.validation) == set(DISFA_FOLDS[0] + DISFA_FOLDS[1])
    paper = fold_split(DISFA_FOLDS, 2, paper_protocol=True)
    assert paper.validation == ()
    assert len(paper.train) == 18
    with pytest.raises(DuchenneError, match="parts 0 to 2"):
        fold_split(DISFA_FOLDS, 3)
