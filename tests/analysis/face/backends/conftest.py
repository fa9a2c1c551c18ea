"""A student with fresh weights, exported: fast, and wrong about every face."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.models.export import export_student
from duchenne.analysis.training.checkpoint import write_checkpoint
from duchenne.analysis.training.prepared import Faces
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.systems import build

UNITS = ("AU04", "AU12", "AU25")
STORED_PX, PX = 128, 112


@pytest.fixture(scope="session")
def prepared():
    """Return 24 grey pictures of six subjects, smooth noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (24, 16, 16), np.uint8)
    grey = coarse.repeat(STORED_PX // 16, axis=1).repeat(STORED_PX // 16, axis=2)
    return Faces(
        images=np.repeat(grey[..., None], 3, axis=3),
        truth=rng.uniform(0, 5, (24, len(UNITS))).astype(np.float32),
        names=UNITS,
        subject=np.array([f"S{i % 6}" for i in range(24)]),
        landmarks=None,
        about={"alignment": "eyes"},
    )


@pytest.fixture(scope="session")
def settings():
    return TrainSettings(model="cnn_baseline", labels=UNITS, input_px=PX)


@pytest.fixture(scope="session")
def network(settings):
    """Return the system, whose weights say something different of every picture."""
    torch.manual_seed(3)
    net = build(settings, len(UNITS)).eval()
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
                part.weight.mul_(2.5)
            if isinstance(part, torch.nn.Linear):
                part.bias.zero_()
    return net


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, settings, network, prepared):
    path = tmp_path_factory.mktemp("training") / "best.safetensors"
    about = {
        "settings": settings.model_dump(mode="json"),
        "labels": list(UNITS),
        "n_outputs": len(UNITS),
        "split": {"train": ["S0", "S1", "S2"], "validation": ["S3", "S4"], "test": ["S5"]},
        "data": prepared.about,
        "data_sha256": prepared.digest(),
        "epoch": 1,
    }
    write_checkpoint(path, {f"net.{k}": v for k, v in network.state_dict().items()}, about)
    return path


@pytest.fixture(scope="session")
def student(tmp_path_factory, checkpoint, prepared):
    """Return the folder of an exported student."""
    folder = tmp_path_factory.mktemp("student")
    return export_student(checkpoint, prepared, folder, n_pictures=8, keep_float=True).folder


@pytest.fixture(scope="session")
def faces(still):
    """Return three tracked pictures, the last of which cannot be read."""
    pictures = [still("neutral", 20), still("happiness"), None]
    with FaceTracker(still=True) as tracker:
        return tracker.track([(i, i / 10, p) for i, p in enumerate(pictures)], keep_images=True)
