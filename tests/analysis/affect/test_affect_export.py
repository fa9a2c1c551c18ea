"""Systems of affect in 8 bits: what is written, and that the backend takes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tests.analysis.affect.weights import PX, SMALL_VIT, checkpoint

from duchenne.analysis.affect.checkpoint import CheckpointBackend
from duchenne.analysis.affect.runtime import eight_bit_files
from duchenne.analysis.models.export_affect import export_affect, is_of_affect
from duchenne.analysis.training.checkpoint import read_checkpoint, write_checkpoint
from duchenne.analysis.training.prepared import Faces
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnx")


def noise_faces() -> Faces:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (24, PX, PX, 3)).astype(np.uint8)
    truth = rng.integers(0, 4, (24, 1)).astype(np.float32)
    return Faces(images, truth, ("expression",), np.repeat(["a", "b"], 12), None, {})


def with_split(path: Path) -> Path:
    tensors, about = read_checkpoint(path)
    write_checkpoint(
        path, tensors, about | {"split": {"train": ["a"], "validation": ["b"], "test": []}}
    )
    return path


@pytest.mark.parametrize(
    ("name", "settings"), [("vit_se", {"encoder": SMALL_VIT}), ("doe", {})], ids=["vit_se", "doe"]
)
def test_eight_bits_lie_beside_their_weights(
    tmp_path: Path, name: str, settings: dict[str, object]
) -> None:
    path = with_split(checkpoint(tmp_path, name, ("expression",), 4, **settings))
    assert is_of_affect(path)
    card = export_affect(path, noise_faces(), tmp_path / "out", n_pictures=4)
    weights = tmp_path / "out" / "affect.safetensors"
    network, told = eight_bit_files(weights)
    assert card["bytes"] == {
        weights.name: weights.stat().st_size,
        network.name: network.stat().st_size,
    }
    if name == "doe":
        assert network.stat().st_size < path.stat().st_size / 2
    found = json.loads(told.read_text())
    assert (found["model"], found["int8"]["n_pictures"]) == (name, 12)
    backend = CheckpointBackend(str(weights))
    assert backend.runtime == "ONNX Runtime, 8 bits"
    images = torch.from_numpy(np.random.default_rng(1).random((2, 3, PX, PX), np.float32))
    whole = CheckpointBackend(str(path), onnx=False)
    a, b = (one.reading.features(images).detach().numpy() for one in (whole, backend))
    assert a.shape == b.shape
    assert np.abs(a - b).mean() < 0.05 + 0.3 * np.abs(a).mean()
    told.write_text("{}")
    with pytest.raises(DuchenneError, match="export it again"):
        CheckpointBackend(str(weights))
    if name == "vit_se":
        with pytest.raises(UsageError, match="another folder"):
            export_affect(weights, noise_faces(), weights.parent)
        with pytest.raises(DuchenneError, match="none of the subjects"):
            export_affect(path, noise_faces().of(["b"]), tmp_path / "out")
