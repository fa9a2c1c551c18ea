"""What the training of the occlusion network draws onto faces, and how its weights are written."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra train")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "occlusion_train.py"


@pytest.fixture(scope="module")
def script():
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("occlusion_train_tested", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def face(script):
    """Return a grey face of 160 px with the places of its landmarks."""
    script.rng = np.random.default_rng(3)
    points = np.tile(np.array([80.0, 80.0], np.float32), (478, 1))
    turn = np.linspace(0, 2 * np.pi, len(script.OUTLINE), endpoint=False)
    points[list(script.OUTLINE)] = 80 + 60 * np.c_[np.sin(turn), -np.cos(turn)]
    for (a, b), x in zip(script.EYES, (55, 105), strict=True):
        points[[a, b]] = [[x - 12, 60], [x + 12, 60]]
    jaw = np.linspace(0.3, np.pi - 0.3, len(script.JAW))
    points[list(script.JAW)] = 80 + 60 * np.c_[np.cos(jaw), np.sin(jaw)]
    lips = np.linspace(0, 2 * np.pi, len(script.LIPS), endpoint=False)
    points[list(script.LIPS)] = [80, 110] + np.c_[15 * np.cos(lips), 6 * np.sin(lips)]
    crop = np.full((160, 160), 60.0, np.float32)
    crop[script.outline(points) > 0] = 150.0
    return crop, points


def test_the_outline_is_the_face(script, face):
    mask = script.outline(face[1])
    assert mask.shape == (160, 160)
    assert set(np.unique(mask)) == {0, 255}
    assert (mask > 0).sum() == pytest.approx(np.pi * 60**2, rel=0.03)


def test_distances_from_a_line_are_in_radii(script):
    off, across = script.capsule(np.array([40.0, 80.0]), np.array([120.0, 80.0]), 10.0)
    assert off[80, 60] == 0
    assert off[90, 60] == pytest.approx(1.0)
    assert off[80, 130] == pytest.approx(1.0), "the ends are round"
    assert across[90, 60] == pytest.approx(-across[70, 60])


@pytest.mark.parametrize("what", ["hand", "thing"])
def test_what_covers_changes_the_picture_only_where_its_mask_says(script, face, what):
    crop, points = face
    mask = script.outline(points)
    others = () if what == "hand" else (crop[::-1],)
    for _ in range(5):
        drawn, cover = getattr(script, what)(crop.copy(), mask, *others)
        assert drawn.shape == cover.shape == (160, 160)
        assert cover.min() >= 0
        assert cover.max() <= 1 + 1e-6
        assert (cover * (mask > 0)).max() > 0.5, "part of the face is covered"
        if what == "thing":
            assert np.allclose(drawn[cover == 0], crop[cover == 0])


@pytest.mark.parametrize("what", ["hair", "beard", "glasses"])
def test_what_does_not_count_changes_the_picture(script, face, what):
    crop, points = face
    drawn = getattr(script, what)(crop.copy(), points)
    assert drawn.shape == crop.shape
    assert np.isfinite(drawn).all()
    assert np.abs(drawn - crop).max() > 5


def test_a_sample_is_what_the_network_reads(script, face):
    some = [(face[0].astype(np.uint8), face[1])]
    for _ in range(6):
        picture, covered, inside = script.sample(some, some)
        assert picture.shape == (script.INPUT, script.INPUT)
        assert covered.shape == inside.shape == (script.CELLS, script.CELLS)
        assert np.isfinite(picture).all()
        assert covered.min() >= 0
        assert covered.max() <= 1 + 1e-6
        assert inside[5, 5] == pytest.approx(1.0)


def test_the_written_weights_give_the_same_probabilities(script, face):
    """The norm folded into the convolutions, in the arithmetic of the package."""
    import torch

    from duchenne.analysis.face.occlusion import probabilities

    torch.manual_seed(1)
    net = script.CoverNet()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2.0)
    net.eval()
    small = np.asarray(face[0][::2, ::2], np.uint8)
    with torch.no_grad():
        wanted = torch.sigmoid(net(torch.tensor(script.normalised(small))[None, None]))[0].numpy()
    weights = {n: np.asarray(v, np.float32) for n, v in script.weights_of(net).items()}
    found = probabilities(small[None], weights)[0]
    assert found == pytest.approx(wanted, abs=1e-4)
