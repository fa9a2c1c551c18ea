"""The training loop learns, goes on where it was killed, and says what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from duchenne.analysis.models.jaa_net import JaaNet, JaaNetV2
from duchenne.analysis.training.augment import in_a_mirror, plain_batch, varied_batch
from duchenne.analysis.training.checkpoint import load_fitting, read_about, read_checkpoint
from duchenne.analysis.training.loop import BEST, LAST, LOG, train
from duchenne.analysis.training.metrics import Score
from duchenne.analysis.training.optimizing import (
    learning_rate,
    learnt_groups,
    new_optimizer,
    set_rate,
)
from duchenne.analysis.training.predicting import predictions
from duchenne.analysis.training.prepared import Faces
from duchenne.analysis.training.settings import Augmentation, TrainSettings, read_settings
from duchenne.analysis.training.shown import Shown
from duchenne.analysis.training.splits import Split, split_subjects
from duchenne.analysis.training.systems import action_points
from duchenne.analysis.training.tasks import Task
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("AU01", "AU12")
WITHOUT_BATCH_STATISTICS: dict[str, Any] = {
    "model": "vit_se",
    "labels": ("expression",),
    "epochs": 1,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "momentum": 0.0,
    "model_settings": {
        "encoder": {
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "hidden_dropout_prob": 0.0,
        }
    },
}
SPLIT = Split(("S00", "S01", "S02", "S03", "S04"), ("S05",), ("S06", "S07"))


def settings(**changes: Any) -> TrainSettings:
    given: dict[str, Any] = {
        "model": "cnn_baseline",
        "labels": LABELS,
        "input_px": 32,
        "epochs": 3,
        "batch_size": 16,
        "learning_rate": 3e-3,
    }
    return TrainSettings.model_validate(given | changes)


def new_task(how: TrainSettings, faces: Faces) -> Task:
    torch.manual_seed(how.seed)
    return Task(how, faces.with_labels(how.labels))


def test_a_trained_network_beats_a_constant(faces: Faces, tmp_path: Path) -> None:
    how = settings(epochs=6, ema=0.5)
    task = new_task(how, faces)
    told: list[int] = []
    place = train(how, task, faces, SPLIT, tmp_path, tell=lambda at: told.append(at.step))
    assert told == list(range(1, 8)) * 6
    tensors, about = read_checkpoint(tmp_path / BEST)
    fresh = new_task(how, faces)
    assert load_fitting(fresh.net, tensors) == []
    rows = np.flatnonzero(np.isin(faces.subject, SPLIT.test))
    found = predictions(fresh, faces, rows, torch.device("cpu"))
    truth = faces.truth[rows]
    for i in range(2):
        assert np.corrcoef(found[:, i], truth[:, i])[0, 1] > 0.8
    assert about["labels"] == list(LABELS)
    assert about["split"]["test"] == ["S06", "S07"]
    assert about["validation"]["mean"]["pcc"] == pytest.approx(place.best)
    log = (tmp_path / LOG).read_text().splitlines()
    assert log[0].startswith("epoch,seconds,loss_total,pcc")
    assert len(log) == 7


def test_of_equal_figures_the_later_weights_are_the_best(
    faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = {"mean": {"pcc": Score(0.0)}}
    monkeypatch.setattr("duchenne.analysis.training.loop._Run.judged", lambda *_: nothing)
    how = settings(epochs=2)
    task = new_task(how, faces)
    place = train(how, task, faces, SPLIT, tmp_path)
    assert place.best_epoch == 0, "patience counts from the first"
    tensors, _ = read_checkpoint(tmp_path / BEST)
    best = new_task(how, faces)
    assert load_fitting(best.net, tensors) == []
    for name, value in task.net.state_dict().items():
        torch.testing.assert_close(best.net.state_dict()[name], value, rtol=0, atol=0)


def test_units_that_are_marked_occur_beside_units_that_are_graded(faces: Faces) -> None:
    truth = np.zeros((len(faces), 2), np.float32)
    truth[::2] = [3, 1]
    truth[1::4] = [1, 0]
    mixed = Faces(
        faces.images, truth, ("AU12", "AU43"), faces.subject, faces.landmarks, faces.about
    )
    how = settings(
        model="resnet18_student",
        labels=("AU12", "AU43"),
        model_settings={"learns": "occurrence"},
    )
    task = new_task(how, mixed)
    targets = task.targets(torch.from_numpy(truth))
    np.testing.assert_array_equal(targets, np.tile([[1, 1], [0, 0]], (len(truth) // 2, 1)))


def test_an_action_unit_without_a_place_is_refused(faces: Faces) -> None:
    other = Faces(
        faces.images, faces.truth, ("AU01", "AU43"), faces.subject, faces.landmarks, faces.about
    )
    how = settings(model="heatmap_hourglass", labels=("AU01", "AU43"), input_px=64)
    with pytest.raises(DuchenneError, match="knows no place for AU43"):
        new_task(how, other)


@pytest.mark.parametrize("stop_after", [3, 7, 10])
def test_going_on_after_a_kill_gives_the_same_weights(
    faces: Faces, tmp_path: Path, stop_after: int
) -> None:
    how = settings(epochs=2, ema=0.9, optimizer="adamw")
    whole = new_task(how, faces)
    train(how, whole, faces, SPLIT, tmp_path / "whole")
    broken = new_task(how, faces)
    often = how.model_copy(update={"checkpoint_minutes": 1e-9})
    # a checkpoint after every batch would be of other settings: it is written under the same ones
    train(often, broken, faces, SPLIT, tmp_path / "broken", stop_after=stop_after)
    again = new_task(often, faces)
    train(often, again, faces, SPLIT, tmp_path / "broken", resume=True)
    for name, value in whole.net.state_dict().items():
        torch.testing.assert_close(again.net.state_dict()[name], value, rtol=0, atol=0)
    one, other = (read_checkpoint(tmp_path / f / BEST)[0] for f in ("whole", "broken"))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=0, atol=0)


def test_parts_of_a_batch_give_the_same_step(faces: Faces, tmp_path: Path) -> None:
    """With a network without batch statistics: the teacher in evaluation has none."""
    ended = []
    for accumulate in (1, 4):
        how = settings(**WITHOUT_BATCH_STATISTICS, accumulate=accumulate)
        classes = (faces.truth[:, :1] > 2.5).astype(np.float32)
        labelled = Faces(faces.images, classes, ("expression",), faces.subject, faces.landmarks, {})
        task = new_task(how, labelled)
        train(how, task, labelled, SPLIT, tmp_path / str(accumulate))
        ended.append(task.net.state_dict())
    for name, value in ended[0].items():
        torch.testing.assert_close(ended[1][name], value, rtol=1e-4, atol=1e-5)


TOGETHER = """
import sys, torch
sys.path.insert(0, sys.argv[3])
from conftest import square_faces
from test_training import SPLIT, WITHOUT_BATCH_STATISTICS, new_task, settings
from pathlib import Path
import numpy as np
from duchenne.analysis.training.prepared import Faces
from duchenne.analysis.training.loop import train
torch.set_num_threads(1)
squares = square_faces()
classes = (squares.truth[:, :1] > 2.5).astype(np.float32)
faces = Faces(squares.images, classes, ("expression",), squares.subject, None, {})
how = settings(**WITHOUT_BATCH_STATISTICS)
train(how, new_task(how, faces), faces, SPLIT, Path(sys.argv[1]))
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
"""


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    here = os.path.dirname(__file__)  # noqa: PTH120 (a text for another process)
    alone = [sys.executable, str(script), str(tmp_path / "one"), "-", here]
    torchrun = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
        str(script), str(tmp_path / "two"), "-", here,
    ]  # fmt: skip
    env = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    for command in (alone, torchrun):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=180, env=env, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = (read_checkpoint(tmp_path / f / LAST)[0] for f in ("one", "two"))
    for name, value in one.items():
        if name.startswith("net."):
            torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)


def test_a_loss_that_is_not_finite_ends_the_training(faces: Faces, tmp_path: Path) -> None:
    how = settings(epochs=2)
    task = new_task(how, faces)
    calls = 0
    honest = task._plain

    def broken(answer: Any, truth: Any) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += 1
        losses = honest(answer, truth)
        return {"total": losses["total"] * (float("nan") if calls == 10 else 1.0)}

    task._plain = broken  # type: ignore[method-assign]
    with pytest.raises(DuchenneError, match=r"not finite in epoch 2, batch 3 .*last good weights"):
        train(how, task, faces, SPLIT, tmp_path)
    tensors, about = read_checkpoint(tmp_path / LAST)
    assert about["place"]["epoch"] == 1
    assert all(torch.isfinite(v).all() for k, v in tensors.items() if k.startswith("net."))


def test_a_gradient_that_is_not_finite_ends_it_before_the_weights_are_lost(
    faces: Faces, tmp_path: Path
) -> None:
    how = settings(epochs=1, clip_norm=0)
    task = new_task(how, faces)
    task._plain = lambda answer, _: {"total": (answer.values - answer.values).sum().sqrt()}  # type: ignore[method-assign]
    with pytest.raises(
        DuchenneError, match=r"the gradient is not finite .*no weights were kept yet"
    ):
        train(how, task, faces, SPLIT, tmp_path)
    assert all(torch.isfinite(p).all() for p in task.parameters())


def test_without_validation_the_last_weights_are_kept_and_the_test_part_is_not_seen(
    faces: Faces, tmp_path: Path
) -> None:
    nobody = Split(SPLIT.train, (), SPLIT.test)
    how = settings(epochs=1, patience=1)
    place = train(how, new_task(how, faces), faces, nobody, tmp_path / "honest")
    assert (place.best_epoch, "pcc" in place.history[0]) == (-1, False)
    assert read_about(tmp_path / "honest" / BEST)["validation"] == {}
    how = settings(epochs=1, paper_protocol=True)
    place = train(how, new_task(how, faces), faces, nobody, tmp_path / "paper")
    assert "pcc" in place.history[0]


def test_short_memory_is_told(faces: Faces, tmp_path: Path) -> None:
    task = new_task(settings(), faces)

    def hungry(*_: Any) -> dict[str, torch.Tensor]:
        return {"total": torch.empty(1 << 60)}  # more than any machine has

    task._plain = hungry  # type: ignore[method-assign]
    with pytest.raises(DuchenneError, match=r"memory of cpu is short .*raise `accumulate`"):
        train(settings(), task, faces, SPLIT, tmp_path)


def test_parts_learn_at_their_own_rate() -> None:
    net = torch.nn.Module()
    net.refine, net.rest = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    step = new_optimizer(settings(optimizer="sgd"), learnt_groups(net, {"refine.": 2.0}))
    set_rate(step, 0.1)
    assert [group["lr"] for group in step.param_groups] == [0.2, 0.1]
    assert JaaNet.rates == {"refine.": 2.0}
    assert JaaNetV2.rates == {}


def test_rates_are_those_of_the_training_part(faces: Faces) -> None:
    truth = np.full_like(faces.truth, 5.0)
    truth[:10] = [1.0, 4.0]
    labelled = Faces(faces.images, truth, LABELS, faces.subject, None, {})
    task = Task(settings(), labelled, rows=np.arange(10))
    torch.testing.assert_close(task._weights(), torch.tensor([1.6, 0.4]))


def test_other_settings_do_not_go_on(faces: Faces, tmp_path: Path) -> None:
    how = settings(epochs=1)
    train(how, new_task(how, faces), faces, SPLIT, tmp_path)
    other = settings(epochs=1, learning_rate=1e-2)
    with pytest.raises(DuchenneError, match="other settings"):
        train(other, new_task(other, faces), faces, SPLIT, tmp_path, resume=True)
    longer = settings(epochs=2)
    assert train(longer, new_task(longer, faces), faces, SPLIT, tmp_path, resume=True).epoch == 2


def test_patience_ends_it(faces: Faces, tmp_path: Path) -> None:
    how = settings(epochs=20, patience=2, learning_rate=1e-9)
    place = train(how, new_task(how, faces), faces, SPLIT, tmp_path)
    assert place.epoch < 20
    assert place.epoch - 1 - place.best_epoch == 2


def test_too_few_pictures_for_a_batch(faces: Faces, tmp_path: Path) -> None:
    how = settings(batch_size=500)
    with pytest.raises(DuchenneError, match="fewer than one batch"):
        train(how, new_task(how, faces), faces, SPLIT, tmp_path)


def test_checkpoints_with_code_are_refused(tmp_path: Path) -> None:
    torch.save({"net": torch.zeros(3)}, tmp_path / "weights.pt")
    with pytest.raises(DuchenneError, match="never loaded"):
        read_about(tmp_path / "weights.pt")


def test_weights_of_another_shape_are_told(faces: Faces, tmp_path: Path) -> None:
    how = settings(epochs=1)
    train(how, new_task(how, faces), faces, SPLIT, tmp_path)
    tensors, _ = read_checkpoint(tmp_path / BEST)
    one = settings(labels=("AU01",))
    told = load_fitting(new_task(one, faces).net, tensors)
    assert told == [
        "another shape: head.3.bias is (2,), not (1,)",
        "another shape: head.3.weight is (2, 128), not (1, 128)",
    ]


@pytest.mark.parametrize("model", ["me_graphau", "heatmap_hourglass"])
def test_systems_take_a_step_of_varied_pictures(model: str, faces: Faces) -> None:
    how = settings(model=model, input_px=64)
    task = new_task(how, faces).train()
    batch = varied_batch(
        faces, np.arange(3), task.px, task.entry.preprocessing, how.augmentation, seed=0, epoch=0
    )
    losses = task(batch)
    assert torch.isfinite(losses["total"])
    losses["total"].backward()
    moved = [p for p in task.net.parameters() if p.grad is not None and bool(p.grad.any())]
    assert len(moved) > 10
    if task.entry.task == "occurrence":
        assert set(torch.unique(task.targets(batch.truth)).tolist()) <= {0.0, 1.0}


def test_systems_say_what_they_need(faces: Faces) -> None:
    bare = Faces(faces.images, faces.truth, faces.names, faces.subject, None, {})
    with pytest.raises(DuchenneError, match="needs landmarks"):
        new_task(settings(model="jaa_net"), bare)
    with pytest.raises(DuchenneError, match="no labels AU25"):
        new_task(settings(labels=("AU25",)), faces)
    with pytest.raises(DuchenneError, match="learns valence and arousal"):
        new_task(settings(model="deng_cnn"), faces)
    with pytest.raises(DuchenneError, match="model_settings of resnet18_student"):
        new_task(settings(model="resnet18_student", model_settings={"depth": 3}), faces)


def test_pictures_vary_by_seed_and_epoch_alone(faces: Faces) -> None:
    how = Augmentation(blur=1.0, erase=0.5)

    def drawn(rows: list[int], seed: int, epoch: int) -> torch.Tensor:
        return varied_batch(
            faces, np.array(rows), 24, "RGB, 0 to 1", how, seed=seed, epoch=epoch
        ).images

    one = drawn([3, 5, 9], 0, 1)
    assert one.shape == (3, 3, 24, 24)
    assert float(one.min()) >= 0
    assert float(one.max()) <= 1
    torch.testing.assert_close(drawn([9, 3], 0, 1), one[[2, 0]])
    assert not torch.equal(drawn([3, 5, 9], 0, 2), one)
    assert not torch.equal(drawn([3, 5, 9], 1, 1), one)


def test_a_mirror_changes_sides(faces: Faces) -> None:
    names = ("AU12", "AU12L", "AU12R", "AU14L")
    np.testing.assert_array_equal(
        in_a_mirror(np.float32([[1, 2, 3, 4]]), names), [[1, 3, 2, np.nan]]
    )
    sided = Faces(
        faces.images[:40], np.tile(np.float32([1, 2, 3, 4]), (40, 1)), names, faces.subject[:40],
        faces.landmarks[:40] if faces.landmarks is not None else None, {},
    )  # fmt: skip
    still = Augmentation(crop=1.0, brightness=0, contrast=0, colour=0, noise=0)
    rows = np.arange(40)
    batch = varied_batch(sided, rows, 32, "RGB, 0 to 1", still, seed=0, epoch=0)
    plain = plain_batch(sided, rows, 32, "RGB, 0 to 1")
    flipped = batch.truth[:, 1] == 3
    assert 8 < int(flipped.sum()) < 32
    torch.testing.assert_close(batch.images[flipped], plain.images[flipped].flip(-1))
    torch.testing.assert_close(batch.images[~flipped], plain.images[~flipped])
    assert batch.landmarks is not None
    assert plain.landmarks is not None
    # the left eye's outer corner (45) of the mirror image is the right one's (36), on the other side
    torch.testing.assert_close(
        batch.landmarks[flipped][:, 45, 0], 32 - plain.landmarks[flipped][:, 36, 0]
    )


def test_a_window_is_anywhere_in_training_and_in_the_middle_elsewhere(faces: Faces) -> None:
    how = settings(window=0.75, input_px=24, augmentation={"flip": False, "brightness": 0, "contrast": 0,
                                                           "colour": 0, "noise": 0})  # fmt: skip
    task, rows = new_task(how, faces), np.arange(12)
    plain = task.shown_plain(faces, rows, "RGB, 0 to 1")
    whole = plain_batch(faces, rows, 32, "RGB, 0 to 1")
    torch.testing.assert_close(plain.images, whole.images[:, :, 4:28, 4:28])
    assert plain.landmarks is not None
    assert whole.landmarks is not None
    torch.testing.assert_close(plain.landmarks, whole.landmarks - 4)
    batch = Shown.to(task.entry, how, faces).varied(rows[:, None], epoch=0)
    seen = batch.images * torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    seen = seen + torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    assert batch.landmarks is not None
    places = set()
    for i in range(12):
        left, top = (whole.landmarks[i, 0] - batch.landmarks[i, 0]).round().int().tolist()
        places.add((left, top))
        cut = whole.images[i, :, top : top + 24, left : left + 24]
        torch.testing.assert_close(seen[i], cut, atol=1e-5, rtol=0)
    assert len(places) > 6
    classes = Faces(
        faces.images, faces.truth[:, :1].round(), ("expression",), faces.subject, None, {}
    )
    with pytest.raises(DuchenneError, match="`window` is for systems of Action Units"):
        new_task(settings(**WITHOUT_BATCH_STATISTICS, window=0.9), classes)


def test_points_of_actions_follow_the_landmarks() -> None:
    points = torch.zeros(1, 68, 2)
    points[0, 39], points[0, 42] = torch.tensor([20.0, 30.0]), torch.tensor([40.0, 30.0])
    points[0, 48], points[0, 54] = torch.tensor([15.0, 60.0]), torch.tensor([45.0, 60.0])
    points[0, 41], points[0, 46] = torch.tensor([16.0, 34.0]), torch.tensor([44.0, 34.0])
    found = action_points(points, ("AU12", "AU06"))
    torch.testing.assert_close(found[0, 0], torch.tensor([[15.0, 60.0], [45.0, 60.0]]))
    torch.testing.assert_close(found[0, 1], torch.tensor([[16.0, 54.0], [44.0, 54.0]]))


def test_learning_rates() -> None:
    cosine = settings(epochs=10, warmup_epochs=2, learning_rate=1.0)
    rates = [learning_rate(cosine, e) for e in (0, 1, 2, 6, 10)]
    assert rates == pytest.approx([0, 0.5, 1, 0.5, 0])
    step = settings(schedule="step", step_epochs=2, step_factor=0.3, learning_rate=0.01)
    assert learning_rate(step, 10.9) == pytest.approx(0.01 * 0.3**5)  # JAA-Net's last rate


def test_settings_files(tmp_path: Path) -> None:
    file = tmp_path / "train.yaml"
    file.write_text("model: cnn_baseline\nlabels: [AU01]\nepoch: 3\n")
    with pytest.raises(DuchenneError, match=r"train\.yaml: epoch: Extra inputs"):
        read_settings(file)
    file.write_text("model: cnn_baseline\nlabels: [AU01]\naugmentation: {crop: 3}\n")
    with pytest.raises(DuchenneError, match=r"augmentation\.crop: Input should be less"):
        read_settings(file)
    file.write_text("model: cnn_baseline\nlabels: [AU01, AU12]\nepochs: 3\n")
    assert read_settings(file).epochs == 3
    assert split_subjects([f"S{i}" for i in range(10)], seed=1).train
