"""From pictures without labels to a teacher, and from one student to another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from duchenne.analysis.models.doe import DifferenceOfEmbeddings
from duchenne.analysis.models.mae_fusion import MaeFusion
from duchenne.analysis.models.mae_teacher import MaskedAutoencoder, encoder_config, hidden_error
from duchenne.analysis.models.mobilenet_v3 import MobileNetV3
from duchenne.analysis.training.checkpoint import load_initial, read_checkpoint
from duchenne.analysis.training.command import learnt_before, new_task
from duchenne.analysis.training.loop import BEST, train
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.shown import Shown
from duchenne.analysis.training.splits import Split
from duchenne.analysis.training.systems import unit_numbers
from duchenne.analysis.training.tasks import Task
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.training.prepared import Faces

SPLIT = Split(("S00", "S01", "S02", "S03", "S04"), ("S05",), ("S06", "S07"))
ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "patch_size": 8,
    "decoder_hidden_size": 32,
    "decoder_num_hidden_layers": 1,
}


def settings(**changes: Any) -> TrainSettings:
    given: dict[str, Any] = {
        "model": "mae_pretraining",
        "input_px": 32,
        "model_settings": {"encoder": ENCODER},
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "betas": (0.9, 0.95),
    }
    return TrainSettings.model_validate(given | changes)


def task_of(how: TrainSettings, faces: Faces) -> Task:
    torch.manual_seed(how.seed)
    return Task(how, faces.with_labels(how.labels))


@pytest.fixture(scope="module")
def pretrained(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a short pre-training."""
    folder = tmp_path_factory.mktemp("pretrained")
    how = settings(epochs=3)
    place = train(how, task_of(how, faces), faces.with_labels(()), SPLIT, folder)
    errors = [row["mse"] for row in place.history]
    assert place.best == min(errors) < errors[0]  # smaller is better
    return folder


def test_hidden_patches_alone_count() -> None:
    wanted = torch.tensor([[[1.0, 3.0], [0.0, 2.0], [5.0, 5.0]]])
    painted = torch.tensor([[[1.0, 1.0], [9.0, 9.0], [5.0, 4.0]]])
    hidden = torch.tensor([[1.0, 0.0, 1.0]])
    assert hidden_error(wanted, painted, hidden).tolist() == [(2.0 + 0.5) / 2]
    # standardised: 1 and 3 are -1 / sqrt 2 and 1 / sqrt 2 of a spread over n - 1; 5 and 5 are 0 and 0
    r = 2**-0.5
    expected = (((1 + r) ** 2 + (1 - r) ** 2) / 2 + (25 + 16) / 2) / 2
    found = hidden_error(wanted, painted, hidden, standardised=True)
    assert float(found[0]) == pytest.approx(expected, rel=1e-4)


def test_what_is_hidden_depends_on_seed_epoch_and_picture(faces: Faces) -> None:
    how = settings()
    task = task_of(how, faces).eval()
    shown = Shown.to(task.entry, how, faces.with_labels(()))
    seen: list[torch.Tensor] = []
    assert isinstance(task.net, MaskedAutoencoder)
    honest = task.net.errors
    task.net.errors = lambda images, noise: seen.append(noise) or honest(images, noise)  # type: ignore[method-assign]
    for epoch, rows in ((0, [3, 9]), (0, [9]), (1, [9])):
        items = shown.items(np.array(rows))
        task.painting_errors(shown.varied(items, epoch=epoch))
    first, alone, later = seen
    torch.testing.assert_close(first[1:], alone)
    assert not torch.equal(alone, later)
    with torch.no_grad():
        hidden = task.net.body(torch.zeros(2, 3, 32, 32), noise=first).mask
    assert hidden.sum(dim=1).tolist() == [12, 12]  # three quarters of 16
    assert bool(hidden[0, first[0].argmax()])


def test_pre_training_goes_on_after_a_kill(faces: Faces, tmp_path: Path) -> None:
    how = settings()
    bare = faces.with_labels(())
    whole, broken, again = (task_of(how, faces) for _ in range(3))
    train(how, whole, bare, SPLIT, tmp_path / "whole")
    often = how.model_copy(update={"checkpoint_minutes": 1e-9})
    train(often, broken, bare, SPLIT, tmp_path / "broken", stop_after=10)
    train(often, again, bare, SPLIT, tmp_path / "broken", resume=True)
    for name, value in whole.net.state_dict().items():
        torch.testing.assert_close(again.net.state_dict()[name], value, rtol=0, atol=0)


def test_a_teacher_takes_its_encoder_over(
    faces: Faces, pretrained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how = settings(model="mae_teacher", labels=("AU01", "AU12"), initial=pretrained / BEST)
    task = new_task(how, faces)
    tensors, _ = read_checkpoint(pretrained / BEST)
    own = task.net.state_dict()
    names = [name for name in tensors if name.startswith("net.body.vit.")]
    assert len(names) > 15
    for name in names:
        there = name.replace("net.body.vit.", "encoder.")
        torch.testing.assert_close(own[there], tensors[name])
    told = capsys.readouterr().err
    assert f"{len(names)} of the {len(own)} arrays of weights are taken over" in told
    assert "start fresh: to_features.weight (1)" in told
    assert "left out, not in the system: body.decoder" in told
    other = replace(faces, truth=faces.truth[:, :1], names=("AU01",))
    with pytest.raises(DuchenneError, match="none of its weights fit"):
        new_task(
            settings(
                model="cnn_baseline", labels=("AU01",), model_settings={}, initial=how.initial
            ),
            other,
        )


def test_nobody_of_the_test_part_was_learnt_before(pretrained: Path) -> None:
    how = settings(model="mae_teacher", labels=("AU01",), initial=pretrained / BEST)
    seen = learnt_before(how, Split(("S00",), (), ("S06", "S07", "S08")))
    assert seen == {"S00", "S01", "S02", "S03", "S04", "S05"}
    with pytest.raises(DuchenneError, match=r"learnt from 2 subjects of the test part \(S03, S05"):
        learnt_before(how, Split(("S00",), (), ("S03", "S05", "S06")))
    with pytest.raises(DuchenneError, match=r"learnt from 1 subjects .*\(set/S01"):
        learnt_before(how, Split(("set/S00",), (), ("set/S01",)))


def test_a_student_starts_from_another_with_other_outputs(faces: Faces) -> None:
    """Pre-training on what another program says: any names, 0 to 5."""
    names = ("blendshape_jawOpen", "blendshape_mouthSmileLeft", "AU12L")
    guessed = replace(faces, truth=np.tile(faces.truth, 2)[:, :3], names=names)
    how = settings(model="resnet18_student", labels=names, model_settings={})
    first = task_of(how, guessed)
    assert first.n_outputs == 3
    tensors = {f"net.{k}": v for k, v in first.net.state_dict().items()}
    second = task_of(how.model_copy(update={"labels": ("AU01", "AU12")}), faces)
    told = load_initial(second.net, tensors)
    assert told[0] == f"{len(tensors) - 2} of the {len(tensors)} arrays of weights are taken over"
    assert told[1:] == [
        (
            "left out, of another shape: head.4.weight is (3, 128), not (2, 128), "
            "head.4.bias is (3,), not (2,)"
        )
    ]
    for name in ("body.body.embedder.embedder.convolution.weight", "head.0.weight"):
        torch.testing.assert_close(second.net.state_dict()[name], first.net.state_dict()[name])


def test_frozen_parts_come_from_what_was_trained_before(pretrained: Path) -> None:
    first = {f"net.emotion.{k}": v for k, v in MobileNetV3().state_dict().items()}
    second = DifferenceOfEmbeddings(3)
    load_initial(second, first)
    for name, value in second.encoder.body.state_dict().items():
        torch.testing.assert_close(value, first[f"net.emotion.{name}"])
    tensors, _ = read_checkpoint(pretrained / BEST)
    fusion = MaeFusion(2, n_sound=0, width=16, layers=1, config=encoder_config(32, ENCODER))
    load_initial(fusion, tensors)
    assert fusion.encoder is not None
    for name, value in fusion.encoder.body.state_dict().items():
        torch.testing.assert_close(value, tensors[f"net.body.vit.{name}"])
    again = {f"net.{k}": v for k, v in fusion.state_dict().items()}
    assert load_initial(fusion, again) == [
        f"{len(again)} of the {len(again)} arrays of weights are taken over"
    ]
    images = torch.rand(2, 3, 3, 32, 32)
    fusion.train()
    told = fusion.encode(images)
    torch.testing.assert_close(fusion.encode(images[1]), told[1])
    assert told.shape == (2, 3, 32)
    assert not told.requires_grad


def test_labels_that_a_system_cannot_learn(faces: Faces) -> None:
    assert unit_numbers(("AU12L", "AU06R", "AU45")) == (12, 6, 45)
    with pytest.raises(DuchenneError, match="labels must be Action Units"):
        unit_numbers(("jawOpen",))
    high = replace(faces, truth=faces.truth * 20, names=("a", "b"))
    with pytest.raises(DuchenneError, match="intensities from 0 to 5"):
        task_of(settings(model="cnn_baseline", labels=("a",), model_settings={}), high)
    with pytest.raises(DuchenneError, match="leave `labels` out"):
        task_of(settings(labels=("AU01",)), faces)
    with pytest.raises(DuchenneError, match="needs `labels`"):
        task_of(settings(model="cnn_baseline", model_settings={}), faces)


def test_sizes_of_encoders() -> None:
    """Words of the library and our own give the same shape."""
    ours = encoder_config(112, {"width": 256, "depth": 8, "patch_px": 8})
    theirs = encoder_config(112, {"hidden_size": 256, "num_hidden_layers": 8, "patch_size": 8})
    assert ours.to_dict() == theirs.to_dict()
    assert (ours.num_attention_heads, ours.intermediate_size) == (4, 1024)
    with pytest.raises(ValueError, match="no whole number of patches"):
        encoder_config(100, {"patch_size": 16})
