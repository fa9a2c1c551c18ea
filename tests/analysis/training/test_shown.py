"""Pairs with a neutral face, clips of films, and systems that learn from them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from duchenne.analysis.models.deng import student_loss, teacher_loss
from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.training.clips import NOTHING, cut, film_and_frame, runs
from duchenne.analysis.training.distill import TaskDistillation
from duchenne.analysis.training.loop import LAST, train
from duchenne.analysis.training.neutral import NeutralFaces
from duchenne.analysis.training.predicting import _of_rows, predictions
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.shown import Shown
from duchenne.analysis.training.splits import Split
from duchenne.analysis.training.tasks import Task, _check_classes
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.training.prepared import Faces

SPLIT = Split(("S00", "S01", "S02", "S03", "S04"), ("S05",), ("S06", "S07"))
STILL = {"flip": False, "crop": 1.0, "brightness": 0, "contrast": 0, "colour": 0, "noise": 0}
CPU = torch.device("cpu")
FUSION: dict[str, Any] = {
    "model": "mae_fusion",
    "labels": ("valence", "arousal"),
    "input_px": 32,
    "batch_size": 4,
    "learning_rate": 3e-3,
    "clip": {"frames": 8, "every": 4},
    "model_settings": {
        "width": 16,
        "layers": 1,
        "dropout": 0.0,
        "n_sound": 3,
        "encoder": {"width": 32, "depth": 1, "patch_px": 8, "decoder_width": 32},
    },
}


def films(faces: Faces) -> Faces:
    """Return each subject's pictures as a film whose sound and pictures tell valence and arousal."""
    affect = faces.truth / 2.5 - 1
    heard = np.concatenate([affect, np.ones((len(faces), 1), np.float32)], axis=1)
    return replace(
        faces, truth=affect.astype(np.float32), names=("valence", "arousal"), sound=heard,
        source=np.array([f"{s}.mp4#{i % 24}" for i, s in enumerate(faces.subject)]),
    )  # fmt: skip


def task_of(how: TrainSettings, faces: Faces) -> Task:
    torch.manual_seed(how.seed)
    return Task(how, faces.with_labels(how.labels))


def test_neutral_faces_of_everybody(faces: Faces) -> None:
    departure = np.array([0, 3, 0, 1, 2, 5, 4, 3, np.nan, np.nan], np.float32)
    subject = np.array(["A"] * 3 + ["B"] * 5 + ["C"] * 2)
    some = replace(faces.rows(np.arange(10)), departure=departure, subject=subject)
    neutral = NeutralFaces(some)
    assert neutral.of(1).tolist() == [2]  # of the neutral pictures 0 and 2, the middle one
    assert neutral.of(2).tolist() == [0]  # never itself
    assert {int(neutral.of(1, np.random.default_rng(i))[0]) for i in range(20)} == {0, 2}
    assert neutral.of(5).tolist() == [3]  # nobody neutral: the quarter that is nearest
    assert neutral.of(8).tolist() == [8, 9]  # nothing known: some from all over
    alone = NeutralFaces(some.rows(np.array([0, 3])))
    assert alone.of(0).tolist() == [0]


def test_what_counts_as_neutral(faces: Faces) -> None:
    units = replace(faces.rows(np.arange(3)), truth=np.float32([[0, 0], [1, np.nan], [np.nan] * 2]))
    np.testing.assert_array_equal(units.from_neutral(), np.float32([0, 1, np.nan]))
    kept = units.with_labels(("AU12",))
    np.testing.assert_array_equal(kept.departure, np.float32([0, 1, np.nan]))
    classes = {"classes": ["neutral", "happiness"]}
    shown = replace(units, truth=np.float32([[0], [1], [0]]), names=("expression",), about=classes)
    np.testing.assert_array_equal(shown.from_neutral(), np.float32([0, 1, 0]))
    unknown = replace(shown, about={})
    assert unknown.from_neutral() is None


def pairs(faces: Faces, **changes: Any) -> Shown:
    how = TrainSettings.model_validate(
        {"model": "doe", "labels": ("expression",), "input_px": 32, "augmentation": STILL} | changes
    )
    truth = np.float32(np.arange(len(faces)) % 3)[:, None]
    labelled = replace(
        faces, truth=truth, names=("expression",), about={"classes": ["neutral", "a", "b"]}
    )
    return Shown(labelled, how, 32, "RGB, 0 to 1")


def test_a_pair_is_a_neutral_face_and_the_shown_one(faces: Faces) -> None:
    shown = pairs(faces)
    items = shown.items(np.array([4, 25]))
    for batch in (shown.plain(items), shown.varied(items, epoch=0)):
        assert batch.images.shape == (2, 2, 3, 32, 32)
        assert batch.truth.tolist() == [[1.0], [1.0]]
        for i, row in enumerate((4, 25)):
            given = torch.from_numpy(np.array(faces.images[row])).permute(2, 0, 1) / 255
            torch.testing.assert_close(batch.images[i, 1], given)
            alike = [
                r
                for r in range(0, len(faces), 3)
                if np.allclose(
                    faces.images[r] / 255, batch.images[i, 0].permute(1, 2, 0), atol=1e-6
                )
            ]
            assert len(alike) == 1
            assert faces.subject[alike[0]] == faces.subject[row]
    same = pairs(faces, neutral_reference=False).plain(items).images
    torch.testing.assert_close(same[:, 0], same[:, 1])
    nobody = replace(shown, faces=replace(shown.faces, about={}))
    middle = np.median(faces.images[np.linspace(0, 23, 9).astype(int)], axis=0).astype(np.uint8)
    found = nobody.plain(items[:1]).images[0, 0] * 255
    np.testing.assert_allclose(found.permute(1, 2, 0), middle, atol=1e-3)


def test_a_pair_varies_together(faces: Faces) -> None:
    shown = pairs(faces, neutral_reference=False, augmentation={"noise": 0})
    items = shown.items(np.arange(6))
    batch = shown.varied(items, epoch=2)
    torch.testing.assert_close(batch.images[:, 0], batch.images[:, 1])
    torch.testing.assert_close(shown.varied(items[3:4], epoch=2).images, batch.images[3:4])
    again = shown.varied(items, epoch=2, repeats=np.array([0, 1, 0, 1, 0, 1])).images
    differ = [not torch.equal(a, b) for a, b in zip(again, batch.images, strict=True)]
    assert differ == [False, True] * 3


def test_a_picture_that_comes_again_is_varied_in_another_way(faces: Faces) -> None:
    how = TrainSettings(model="cnn_baseline", labels=("AU01",), input_px=32)
    shown = Shown(faces, how, 32, "RGB, 0 to 1")
    twice = shown.varied(np.array([[5], [5]]), epoch=1, repeats=np.array([0, 1])).images
    assert not torch.equal(twice[0], twice[1])
    torch.testing.assert_close(shown.varied(np.array([[5]]), epoch=1).images[0], twice[0])


def test_films_are_cut_into_clips(faces: Faces) -> None:
    assert film_and_frame("a/b 01.mp4#12") == ("a/b 01.mp4#", 12)
    assert film_and_frame("S005/001/S005_001_00000011.png") == ("S005/001/S005_001_", 11)
    assert film_and_frame("still") == ("still", 0)
    frames = [4, 0, 2, 6, 40, 42, 0, 1]
    source = np.array([f"a.mp4#{i}" for i in frames[:6]] + [f"b.mp4#{i}" for i in frames[6:]])
    some = replace(faces.rows(np.arange(8)), source=source, subject=np.array(["A"] * 7 + ["B"]))
    found = [run.tolist() for run in runs(some, np.arange(8))]
    assert found == [[1, 2, 0, 3], [4, 5], [6], [7]]
    assert runs(some, np.arange(8), 20.0)[0].tolist() == [1, 2, 0, 3, 4, 5]
    run = np.arange(10, 17)
    assert cut(run, 3, 3).tolist() == [[10, 11, 12], [13, 14, 15]]
    assert cut(run, 3, 3, whole=True).tolist() == [[10, 11, 12], [13, 14, 15], [14, 15, 16]]
    assert cut(run, 3, 2)[:, 0].tolist() == [10, 12, 14]
    assert cut(run[:2], 3, 3).tolist() == [[10, 11, NOTHING]]
    unnamed = replace(some, source=None)
    assert [len(r) for r in runs(unnamed, np.arange(8))] == [7, 1]


def test_a_clip_carries_its_frames_and_their_sound(faces: Faces) -> None:
    made = films(faces)
    how = TrainSettings.model_validate(FUSION | {"augmentation": {"flip": True, "noise": 0}})
    shown = Shown(made, how, 32, "RGB, 0 to 1")
    items = np.array([[0, 1, 2], [24, 25, NOTHING]])
    batch = shown.plain(items)
    assert batch.images.shape == (2, 3, 3, 32, 32)
    np.testing.assert_array_equal(batch.missing, items == NOTHING)
    np.testing.assert_allclose(batch.truth[0], made.truth[:3])
    assert torch.isnan(batch.truth[1, 2]).all()
    assert batch.sound is not None
    assert made.sound is not None
    np.testing.assert_allclose(batch.sound[0], made.sound[:3])
    assert not batch.sound[1, 2].any()
    still = replace(shown, faces=replace(made, images=np.repeat(made.images[:1], 3, axis=0)))
    varied = still.varied(np.array([[0, 1, 2]]), epoch=0).images[0]
    torch.testing.assert_close(varied[0], varied[2])  # a clip is mirrored and lit as one
    answers = np.array([[[1.0], [2.0]], [[4.0], [9.0]]])
    clips = np.array([[5, 6], [6, NOTHING]])
    np.testing.assert_allclose(_of_rows(answers, clips, np.array([6, 5])), [[3.0], [1.0]])


def test_fusion_learns_from_clips_and_goes_on_after_a_kill(faces: Faces, tmp_path: Path) -> None:
    made = films(faces)
    how = TrainSettings.model_validate(FUSION | {"epochs": 2})
    whole, broken, again, longer = (task_of(how, made) for _ in range(4))
    train(how, whole, made, SPLIT, tmp_path / "whole")
    often = how.model_copy(update={"checkpoint_minutes": 1e-9})
    train(often, broken, made, SPLIT, tmp_path / "broken", stop_after=8)
    assert (tmp_path / "broken" / LAST).is_file()
    train(often, again, made, SPLIT, tmp_path / "broken", resume=True)
    for name, value in whole.net.state_dict().items():
        torch.testing.assert_close(again.net.state_dict()[name], value, rtol=0, atol=0)
    how = how.model_copy(update={"epochs": 9, "learning_rate": 0.01})
    assert train(how, longer, made, SPLIT, tmp_path / "longer").best > 0.5
    rows = np.flatnonzero(made.subject == "S06")
    found = predictions(longer, made, rows, CPU)
    assert found.shape == (24, 2)
    part = predictions(longer, made, rows[::-1].copy(), CPU)
    np.testing.assert_allclose(part[::-1], found, atol=1e-6)
    assert np.corrcoef(found[:, 0], made.truth[rows, 0])[0, 1] > 0.5
    with pytest.raises(DuchenneError, match="pictures, not clips"):
        train(how.model_copy(update={"balance": "over"}), longer, made, SPLIT, tmp_path / "no")
    lacking = how.model_copy(update={"model_settings": {}})
    with pytest.raises(DuchenneError, match="sizes of its frozen encoder"):
        task_of(lacking, made)


def test_difference_of_embeddings_takes_pairs(faces: Faces) -> None:
    shown = pairs(faces)
    task = task_of(shown.settings, shown.faces)
    seen: list[tuple[int, ...]] = []
    task.net.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    losses = task(shown.varied(shown.items(np.array([0, 5, 9])), epoch=0))
    losses["total"].backward()
    assert seen == [(3, 2, 3, 32, 32)]
    assert predictions(task, shown.faces, np.array([3, 4]), CPU).shape == (2, 1)
    assert not any(p.requires_grad for p in task.net.encoder.parameters())


def many_labels(faces: Faces) -> Faces:
    """Return pictures of which each subject has labels of one task alone."""
    names = ("AU01", "AU12", "expression", "valence", "arousal")
    truth = np.full((len(faces), 5), np.nan, np.float32)
    of = np.array([int(name[1:]) % 3 for name in faces.subject])
    truth[of == 0, :2] = faces.truth[of == 0]
    truth[of == 1, 2] = (faces.truth[of == 1, 0] > 2.5) + 1
    truth[of == 2, 3:] = faces.truth[of == 2] / 2.5 - 1
    return replace(faces, truth=truth, names=names)


def test_deng_learns_from_sets_that_label_one_task_each(faces: Faces) -> None:
    mixed = many_labels(faces)
    how = TrainSettings(model="deng_cnn", labels=mixed.names, input_px=32)
    task = task_of(how, mixed)
    shown = Shown.to(task.entry, how, mixed)
    batch = shown.plain(shown.items(np.array([0, 1, 24, 25, 48, 49])))
    losses = task(batch)
    answer = task.answer(batch)
    truth = task.targets(batch.truth)
    by_hand = {
        "au": (faces.truth[:2] >= 2).astype(np.float32),
        "expression": truth[2:4, 2].long(),
        "affect": truth[4:, 3:],
    }
    torch.testing.assert_close(truth[:2, :2], torch.from_numpy(by_hand["au"]))
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(losses["au"], 2 * bce(answer.extra["au"][:2], truth[:2, :2]))
    chosen = answer.extra["expression"].log_softmax(dim=1)[[2, 3], by_hand["expression"]]
    torch.testing.assert_close(losses["expression"], -chosen.mean())
    total = losses["au"] + losses["expression"] + losses["affect"]
    torch.testing.assert_close(losses["total"], total)
    found, wanted, names = task.scored(np.zeros((6, 2)), mixed.truth[:6])
    assert names == ("valence", "arousal")
    assert wanted.shape == found.shape == (6, 2)
    task.distillation = TaskDistillation(deepcopy(task.net))
    assert torch.isfinite(task(batch)["total"])
    many = replace(mixed, truth=np.where(mixed.truth == 2, 9, mixed.truth))
    with pytest.raises(DuchenneError, match=r"expression 9 .*classes: 10"):
        _check_classes(task.net, many)


def test_a_student_fills_labels_in_face_by_face() -> None:
    """Of two faces one has a class: it counts 0.6 of the truth and 0.4 of the teacher."""
    torch.manual_seed(0)

    def answered() -> Answer:
        extra = {"au": torch.randn(2, 8), "expression": torch.randn(2, 7)}
        return Answer(torch.zeros(2, 2), logits=torch.randn(2, 2, 20), extra=extra)

    student, teacher = answered(), answered()
    truth = {"expression": torch.tensor([3, -1])}
    named = student_loss(student, teacher, truth)
    soft = (teacher.extra["expression"] / 1.5).softmax(dim=1)
    told = (soft * (soft.log() - (student.extra["expression"] / 1.5).log_softmax(dim=1))).sum(dim=1)
    known = teacher_loss(student, truth)["expression"]
    expected = (0.4 * told[0] + told[1]) / 2 + 0.6 * known / 2
    torch.testing.assert_close(named["expression"], expected)
