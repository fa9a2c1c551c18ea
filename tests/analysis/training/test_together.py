"""Several prepared sets train together, and a split can be fixed for all systems."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch

from duchenne.analysis.training.loop import train
from duchenne.analysis.training.prepared import Faces, read_faces, write_faces
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.splits import plain_name, same_people, split_of
from duchenne.analysis.training.tasks import Task
from duchenne.analysis.training.together import Stacked, read_together, together
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path


def two_sets(faces: Faces) -> dict[str, Faces]:
    """Return the same faces once with both labels, once with one that only they have."""
    half = faces.of(["S00", "S01", "S02"])
    other = replace(half, truth=half.truth[:, ::-1].copy(), names=("AU12", "AU25"), landmarks=None)
    angles = pd.DataFrame({"yaw_deg": np.arange(len(half), dtype=float)})
    return {"one": half, "two": replace(other, conditions=angles)}


def test_labels_that_a_set_lacks_are_not_known(faces: Faces, tmp_path: Path) -> None:
    for name, part in two_sets(faces).items():
        write_faces(tmp_path / name, part)
    both = read_together([tmp_path / "one", tmp_path / "two"])
    n = len(both) // 2
    assert both.names == ("AU01", "AU12", "AU25")
    assert np.isnan(both.truth[n:, 0]).all()
    assert np.isnan(both.truth[:n, 2]).all()
    np.testing.assert_allclose(both.truth[n:, 1], both.truth[:n, 1], rtol=1e-5)
    assert both.subjects[0] == "one/S00"
    assert both.subjects[-1] == "two/S02"
    np.testing.assert_array_equal(both.images[n + 3], both.images[3])
    assert both.landmarks is not None
    assert np.isfinite(both.landmarks[:n]).all()
    assert np.isnan(both.landmarks[n:]).all()
    assert both.conditions is not None
    assert both.conditions["yaw_deg"].isna().sum() == n
    assert both.rows(np.array([n + 5])).conditions["yaw_deg"].tolist() == [5.0]
    assert both.digest() != read_faces(tmp_path / "one").digest()


def test_stacked_pictures_are_taken_from_their_parts() -> None:
    parts = [np.full((n, 2, 2, 3), n, np.uint8) for n in (3, 1, 2)]
    stacked = Stacked(parts)
    assert stacked.shape == (6, 2, 2, 3)
    assert [int(stacked[i][0, 0, 0]) for i in range(6)] == [3, 3, 3, 1, 2, 2]
    assert stacked[np.array([5, 0, 3])][:, 0, 0, 0].tolist() == [2, 3, 1]
    assert stacked[2:5][:, 0, 0, 0].tolist() == [3, 1, 2]
    assert len(stacked[np.zeros(6, bool)]) == 0
    with pytest.raises(IndexError, match="there are 6"):
        stacked[6]


def test_sets_that_do_not_fit_are_refused(faces: Faces, tmp_path: Path) -> None:
    small = replace(faces, images=faces.images[:, ::2, ::2])
    with pytest.raises(DuchenneError, match=r"two sizes \(one 32 px, two 16 px\)"):
        together({"one": faces, "two": small})
    sets = {name: replace(faces, about={"alignment": name}) for name in ("eyes", "A2")}
    with pytest.raises(DuchenneError, match=r"aligned in two ways \(A2, eyes\)"):
        together(sets)
    alike = together({"one": sets["eyes"], "two": sets["eyes"]})
    assert alike.about["alignment"] == "eyes"
    with pytest.raises(DuchenneError, match="two folders are called set"):
        read_together([tmp_path / "a" / "set", tmp_path / "b" / "set"])


def test_two_sets_train_together(faces: Faces, tmp_path: Path) -> None:
    both = together(two_sets(faces))
    how = TrainSettings.model_validate(
        {
            "model": "cnn_baseline",
            "labels": ("AU01", "AU12", "AU25"),
            "input_px": 32,
            "epochs": 1,
            "batch_size": 16,
            "balance": "over",
            "test_subjects": ["S02"],
            "validation_subjects": ["S01"],
        }
    )
    split = split_of(how, both.subjects)
    assert split.test == ("one/S02", "two/S02")
    assert split.validation == ("one/S01", "two/S01")
    torch.manual_seed(0)
    place = train(how, Task(how, both.with_labels(how.labels)), both, split, tmp_path)
    assert np.isfinite(place.history[0]["loss_total"])
    assert np.isfinite(place.history[0]["pcc"])


def test_a_split_from_a_file(faces: Faces, tmp_path: Path) -> None:
    people = tmp_path / "test.txt"
    people.write_text("# kept for the end\nS03\n\nS05  # and her\n")
    how = TrainSettings(model="cnn_baseline", test_subjects=people, validation=0.2)
    split = split_of(how, faces.subjects)
    assert split.test == ("S03", "S05")
    assert len(split.validation) == 1
    assert len(split.train) == 5
    with pytest.raises(DuchenneError, match="test_subjects: nobody is called S3"):
        split_of(how.model_copy(update={"test_subjects": ("S3",)}), faces.subjects)
    with pytest.raises(DuchenneError, match="two splits"):
        split_of(how.model_copy(update={"folds": "disfa"}), faces.subjects)
    with pytest.raises(DuchenneError, match="nobody for training"):
        split_of(how.model_copy(update={"test_subjects": faces.subjects}), faces.subjects)
    with pytest.raises(DuchenneError, match="cannot be read"):
        split_of(how.model_copy(update={"test_subjects": tmp_path / "no.txt"}), faces.subjects)


def test_conditions_and_neutral_faces_stay_with_their_pictures(
    faces: Faces, tmp_path: Path
) -> None:
    n = len(faces)
    neutral = np.where(np.arange(n) % 24 == 0, 0, 1).astype(np.float32)
    table = pd.DataFrame(
        {"light": [f"lamp {i % 3}" for i in range(n)], "blur_px": np.arange(n) / 2}
    )
    whole = replace(
        faces, conditions=table, departure=neutral,
        source=np.array([f"film.mp4#{i}" for i in range(n)]),
    )  # fmt: skip
    write_faces(tmp_path / "set", whole)
    back = read_faces(tmp_path / "set")
    assert back.names == faces.names
    pd.testing.assert_frame_equal(back.conditions, table)
    np.testing.assert_array_equal(back.departure, neutral)
    some = back.of(["S03"])
    assert some.conditions is not None
    assert some.conditions["blur_px"].tolist()[:2] == [36.0, 36.5]
    assert some.source is not None
    assert some.source[0] == "film.mp4#72"
    (tmp_path / "set" / "conditions.tsv").write_text("light\nlamp\n")
    with pytest.raises(DuchenneError, match="1 rows for 192 pictures"):
        read_faces(tmp_path / "set")


def test_the_same_person_in_one_set_and_in_several() -> None:
    assert same_people(["one/S1", "two/S2"], ["S1", "S3"]) == {"S1"}  # who may be the same is
    assert same_people(["S1"], ["one/S1", "two/S2"]) == {"one/S1"}
    assert same_people(["one/S1"], ["one/S1", "two/S1"]) == {"one/S1"}
    assert same_people(["S1"], ["S1", "S2"]) == {"S1"}


def test_people_of_one_name_in_two_sets_are_in_one_part() -> None:
    one = [f"disfa/SN{i:03d}" for i in range(20)]
    other = [f"disfa-plus/SN{i:03d}" for i in range(0, 20, 2)]
    how = TrainSettings.model_validate(
        {"model": "cnn_baseline", "labels": ("AU01",), "validation": 0.2, "test": 0.3}
    )
    split = split_of(how, one + other)
    parts = [
        {plain_name(name) for name in part} for part in (split.train, split.validation, split.test)
    ]
    assert [len(part) for part in parts] == [10, 4, 6]
    assert len(set.union(*parts)) == 20
    assert sorted(split.train + split.validation + split.test) == sorted(one + other)
