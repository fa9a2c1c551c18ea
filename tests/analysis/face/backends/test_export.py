"""A training becomes the files of the student backend, by the library and by the command."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from duchenne.analysis.face.backends.student_model import CARD, NETWORK, WEIGHTS, read_student
from duchenne.analysis.models.command import app
from duchenne.analysis.models.export import FLOAT_NETWORK, export_student
from duchenne.analysis.training.checkpoint import load_fitting, read_checkpoint, write_checkpoint
from duchenne.analysis.training.prepared import write_faces
from duchenne.analysis.training.systems import build
from duchenne.stimuli.errors import DuchenneError


def test_files_and_card_belong_together(student, settings, network):
    card = read_student(student).card
    assert (card["input_px"], card["stored_px"], card["alignment"]) == (112, 128, "eyes")
    assert tuple(card["units"]) == settings.labels
    for name in (NETWORK, WEIGHTS):
        content = (student / name).read_bytes()
        assert card["files"][name]["bytes"] == len(content)
        assert card["files"][name]["sha256"] == hashlib.sha256(content).hexdigest()
    assert (student / NETWORK).stat().st_size < 0.5 * (student / FLOAT_NETWORK).stat().st_size
    assert card["trained"]["n_train_subjects"] == 3
    assert card["int8"]["n_scale_pictures"] == 8
    assert card["int8"]["n_pictures"] == 8
    assert card["int8"]["mean_difference_fp32_int8"] < 0.05


def test_weights_in_half_precision_can_be_trained_on_from(student, settings, network):
    tensors, about = read_checkpoint(student / WEIGHTS)
    assert about["labels"] == list(settings.labels)
    again = build(settings, 3)
    assert load_fitting(again, tensors) == []
    for (name, before), after in zip(
        network.state_dict().items(), again.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(after, before, rtol=2e-3, atol=1e-5, msg=name)


def test_what_cannot_be_exported_is_told(tmp_path, checkpoint, prepared):
    others = prepared.rows(np.flatnonzero(prepared.subject == "S5"))
    with pytest.raises(DuchenneError, match="none of the subjects"):
        export_student(checkpoint, others, tmp_path)
    coloured = replace(prepared, images=prepared.images * np.array([1, 0, 1], np.uint8))
    with pytest.raises(DuchenneError, match="in colour"):
        export_student(checkpoint, coloured, tmp_path)
    tensors, about = read_checkpoint(checkpoint)
    teacher = about | {"settings": about["settings"] | {"model": "emofan"}}
    write_checkpoint(tmp_path / "teacher.safetensors", tensors, teacher)
    with pytest.raises(DuchenneError, match="is of emofan"):
        export_student(tmp_path / "teacher.safetensors", prepared, tmp_path)
    some = dict(list(tensors.items())[1:])
    write_checkpoint(tmp_path / "part.safetensors", some, about)
    with pytest.raises(DuchenneError, match="does not fit its own settings"):
        export_student(tmp_path / "part.safetensors", prepared, tmp_path)
    (tmp_path / "code.pt").write_bytes(b"\x80\x04")
    with pytest.raises(DuchenneError, match="no checkpoint of safetensors"):
        export_student(tmp_path / "code.pt", prepared, tmp_path)
    with pytest.raises(DuchenneError, match="cannot be written"):
        export_student(checkpoint, prepared, tmp_path / "code.pt" / "below")


def test_the_command_names_what_it_wrote(tmp_path, checkpoint, prepared):
    write_faces(tmp_path / "faces", prepared)
    words = ["export", str(checkpoint), "--data", str(tmp_path / "faces")]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out"), "--pictures", "8"])
    assert done.exit_code == 0, done.output
    assert done.output.strip().splitlines()[-1] == f"Written: {tmp_path / 'out'}"
    assert "in 8 bits" in done.output
    assert {p.name for p in (tmp_path / "out").iterdir()} == {CARD, NETWORK, WEIGHTS}
