"""``duchenne models``, ``train`` and ``evaluate`` as a user runs them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from duchenne.analysis.training.prepared import Faces, write_faces
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.splits import split_of
from duchenne.cli import app
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """
model: cnn_baseline
labels: [AU01, AU12]
input_px: 32
epochs: 2
batch_size: 16
learning_rate: 0.003
"""


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_systems_are_listed() -> None:
    rows = {row["name"]: row for row in json.loads(run("models", "list", "--json"))}
    assert rows["resnet18_student"]["parameters"] == 11_243_980
    assert rows["emofan"]["trainable"] == 1_856_906
    assert {"doe", "ddoe", "deng_cnn", "deng_rnn", "vit_se", "mae_fusion"} <= set(rows)
    assert "22,162,854" in run("models", "info", "jaa_net")


def test_train_then_evaluate(faces: Faces, tmp_path: Path) -> None:
    write_faces(tmp_path / "faces", faces)
    (tmp_path / "cnn.yaml").write_text(SETTINGS)
    train = (
        "train",
        tmp_path / "cnn.yaml",
        "--data",
        tmp_path / "faces",
        "--out",
        tmp_path / "run",
    )
    told = run(*train)
    assert told.splitlines()[-1] == f"Weights: {tmp_path / 'run' / 'best.safetensors'}"
    with pytest.raises(UsageError, match="add --resume"):
        run(*train)
    assert "Weights" in run(*train, "--resume")
    weights = tmp_path / "run" / "best.safetensors"
    figures = tmp_path / "figures.json"
    told = run("evaluate", weights, "--data", tmp_path / "faces", "--out", figures, "--draws", 20)
    assert "48 pictures of 2 subjects, part: test" in told
    value, low, high = json.loads(figures.read_text())["systems"][0]["scores"]["AU01"]["pcc"]
    assert low <= value <= high
    with pytest.raises(DuchenneError, match="were learnt from"):
        run("evaluate", weights, "--data", tmp_path / "faces", "--part", "all")
    others = replace(faces, subject=np.char.add("other-", faces.subject))
    write_faces(tmp_path / "others", others)
    with pytest.raises(DuchenneError, match="nobody of the test part"):
        run("evaluate", weights, "--data", tmp_path / "others")
    told = run("evaluate", weights, "--data", tmp_path / "others", "--part", "all", "--draws", 0)
    assert "192 pictures of 8 subjects" in told


def test_damaged_labels_are_told(faces: Faces, tmp_path: Path) -> None:
    (tmp_path / "cnn.yaml").write_text(SETTINGS)
    where = (
        "train",
        tmp_path / "cnn.yaml",
        "--data",
        tmp_path / "faces",
        "--out",
        tmp_path / "run",
    )
    write_faces(tmp_path / "faces", replace(faces, truth=np.full_like(faces.truth, np.nan)))
    with pytest.raises(DuchenneError, match="no picture has a label AU01, AU12"):
        run(*where)
    table = tmp_path / "faces" / "labels.tsv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:-1], "S07\t\tmuch\t1"]) + "\n")
    with pytest.raises(DuchenneError, match=r"AU01 is 'much' in row 193, which is no number"):
        run(*where)


def test_the_paper_protocol_keeps_nobody_aside(faces: Faces) -> None:
    how = TrainSettings(model="cnn_baseline", labels=("AU01",), paper_protocol=True)
    split = split_of(how, faces.subjects)
    assert (len(split.train), split.validation, len(split.test)) == (6, (), 2)
    with pytest.raises(DuchenneError, match="keeps nobody aside"):
        split_of(how.model_copy(update={"validation_subjects": ("S00",)}), faces.subjects)


def test_published_parts_are_chosen_in_the_settings(faces: Faces) -> None:
    names = np.array([f"SN{int(name[1:]) + 1:03d}" for name in faces.subject])
    how = TrainSettings(model="cnn_baseline", labels=("AU01",), folds="disfa", fold=0)
    split = split_of(how, replace(faces, subject=names).subjects)
    assert split.test == ("SN001", "SN002")
    assert set(split.train + split.validation) == {f"SN{i:03d}" for i in range(3, 9)}
    with pytest.raises(DuchenneError, match="nobody of the published parts"):
        split_of(how, faces.subjects)
    alone = how.model_copy(update={"folds": "subjects"})
    each = [split_of(alone.model_copy(update={"fold": i}), faces.subjects) for i in range(8)]
    assert [part.test for part in each] == [(f"S{i:02d}",) for i in range(8)]
    assert all(len(part.train) == 6 and len(part.validation) == 1 for part in each)
    with pytest.raises(DuchenneError, match="there are parts 0 to 7, not 8"):
        split_of(alone.model_copy(update={"fold": 8}), faces.subjects)
