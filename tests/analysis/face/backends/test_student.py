"""The student: what it sees is what training saw, missing faces are missing, damaged files are told."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
import torch

from duchenne.analysis.face.backends import student as student_module
from duchenne.analysis.face.backends.pixels import resize_weights, student_input
from duchenne.analysis.face.backends.registry import backend_names, load_backend
from duchenne.analysis.face.backends.student import GAZE, N_FIRST, StudentBackend, gaze
from duchenne.analysis.face.backends.student_model import (
    CARD,
    NETWORK,
    SHIPPED,
    WEIGHTS,
    Answer,
    read_student,
)
from duchenne.analysis.face.geometry.align import grey_crop
from duchenne.analysis.face.geometry.model import N_CONTEXT
from duchenne.analysis.face.landmarks import BLENDSHAPE_NAMES
from duchenne.analysis.face.process import analyse_face
from duchenne.analysis.training.augment import plain_batch
from duchenne.analysis.training.prepared import Faces
from duchenne.cli import EXTRAS
from duchenne.stimuli.errors import DuchenneError

UNITS = ("AU04", "AU12", "AU25")
IMAGENET = "ImageNet mean and standard deviation"


def as_trained(crops, stored_px=128) -> Faces:
    """Return grey crops as they are stored for training."""
    small = [cv2.resize(c, (stored_px, stored_px), interpolation=cv2.INTER_AREA) for c in crops]
    n = len(small)
    return Faces(
        images=np.repeat(np.stack(small)[..., None], 3, axis=3),
        truth=np.zeros((n, 1), np.float32),
        names=("AU01",),
        subject=np.array(["S"] * n),
        landmarks=None,
        about={},
    )


@pytest.fixture
def folder(student, tmp_path):
    """Return a copy of the exported student, to be damaged."""
    return shutil.copytree(student, tmp_path / "student")


def changed(folder, **values):
    card = json.loads((folder / CARD).read_text("utf-8")) | values
    (folder / CARD).write_text(json.dumps(card), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("stored_px", "px"), [(128, 112), (128, 96), (160, 112), (96, 112), (112, 112)]
)
def test_the_network_sees_what_the_evaluation_of_the_training_sees(faces, stored_px, px):
    crops = [grey_crop(faces.images[i], faces.landmarks[i]) for i in range(2)]
    theirs = plain_batch(as_trained(crops, stored_px), np.arange(2), px, "RGB, 0 to 1").images
    ours = np.stack([student_input(crop, stored_px, px) for crop in crops])
    for channel in range(3):
        np.testing.assert_allclose(ours, theirs[:, channel].numpy(), atol=2e-5)


def test_weights_of_a_resized_side_sum_to_one():
    for sizes in ((128, 112), (160, 40), (64, 112)):
        weights = resize_weights(*sizes)
        assert weights.shape == sizes[::-1]
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
        assert (weights >= 0).all()


def test_from_the_frame_to_the_output_it_is_the_trained_network(faces, student, network):
    backend = load_backend(f"student:{student}")
    faces = replace(faces, images=[faces.images[0], faces.images[1] // 6, None])
    features = backend.features(faces)
    crops = [grey_crop(faces.images[i], faces.landmarks[i]) for i in range(2)]
    with torch.inference_mode():
        pictures = plain_batch(as_trained(crops), np.arange(2), 112, IMAGENET).images
        wanted = network(pictures).values.numpy()
    assert np.ptp(wanted, axis=0).max() > 0.1
    np.testing.assert_allclose(features[:2, N_FIRST:], wanted, atol=0.06)
    figures = backend.card["int8"]
    assert figures["largest_difference_torch_onnx"] < 1e-4


def test_a_frame_without_a_face_or_a_picture_is_missing(faces, student):
    backend = StudentBackend(str(student))
    features = backend.features(faces)
    assert features.shape == (3, len(backend.feature_names)) == (3, N_FIRST + len(UNITS))
    assert np.isfinite(features[:2]).all()
    assert np.isnan(features[2, 1:]).all()
    blind = backend.features(replace(faces, images=()))
    assert np.isnan(blind[:, N_FIRST:]).all()
    found = backend.intensities(features, backend.typical_neutral)
    assert np.isnan(found[2]).all()
    assert ((found[:2] >= 0) & (found[:2] <= 5)).all()
    assert (backend.intensities(features[:1], features[0]) == 0).all()


def test_gaze_has_a_sign_for_each_way():
    rows = np.zeros((3, len(BLENDSHAPE_NAMES)))
    for row, names in enumerate(
        (
            ("eyeLookOutLeft", "eyeLookInRight"),
            ("eyeLookUpLeft", "eyeLookUpRight"),
            ("eyeLookDownLeft",),
        )
    ):
        for name in names:
            rows[row, BLENDSHAPE_NAMES.index(name)] = 0.5
    np.testing.assert_allclose(gaze(rows), [[0.5, 0], [0, 0.5], [0, -0.25]])


def test_the_answer_takes_its_share_of_the_neutral_face():
    plain = Answer(np.array([1.0, 0.5]), np.array([1.0, 2.0]), np.zeros((1 + N_CONTEXT, 2)))
    outputs, neutral, still = np.array([[3.0, 2.0]]), np.array([1.0, 1.0]), np.zeros((1, N_CONTEXT))
    np.testing.assert_allclose(plain(outputs, neutral, still), [[2.0, 3.0]])
    zone = np.zeros((1 + N_CONTEXT, 2))
    zone[0] = 0.5
    zone[5, 1] = 10.0  # eyes down widen it for the second
    quiet = replace(plain, zone=zone)
    look_down = np.zeros((1, N_CONTEXT))
    look_down[0, 4] = 1.0
    np.testing.assert_allclose(quiet(outputs, neutral, still), [[2.0, 3.0]], atol=1e-9)
    assert quiet(outputs, neutral, look_down)[0, 1] < 0.25
    assert np.isnan(quiet(outputs * np.nan, neutral, still)).all()


def test_strangers_are_answered_in_their_own_way(folder, faces):
    n = len(UNITS)
    answer = {"share": [1.0] * n, "slope": [1.0] * n, "zone": [[0.0] * n] * 7}
    changed(
        folder,
        calibration={"own": answer, "strange": answer | {"slope": [0.0] * n}},
        typical_neutral=[0.0] * n,
        reliability={"student": {au: {"pcc": 0.7} for au in UNITS}},
        resting_threshold={"AU12": 3.5},
    )
    backend = StudentBackend(str(folder))
    features = backend.features(faces)[:2]
    assert (backend.intensities(features, backend.typical_neutral) == 0).all()
    own = np.zeros(len(backend.feature_names))
    np.testing.assert_allclose(backend.intensities(features, own), features[:, N_FIRST:])
    assert backend.reliability == dict.fromkeys(UNITS, 0.7)
    np.testing.assert_array_equal(backend.resting_threshold, [0, 3.5, 0])
    assert not backend.personal[0]
    assert backend.personal[GAZE].all()


def test_a_film_with_gaps_is_measured(student, still):
    smile = still("happiness")
    frames = [(i, i / 10, None if i == 3 else smile) for i in range(6)]
    result = analyse_face(frames, backend=f"student:{student}")
    assert result.quality["backend"] == "student"
    values = result.table["AU12_r"]
    assert np.isfinite(values[[0, 1, 2, 4, 5]]).all()
    assert np.isnan(values[3])


def test_it_travels_to_another_process_without_its_session(student, faces):
    model = read_student(student)
    before = StudentBackend(model=model).features(faces)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(before, StudentBackend(model=again).features(faces))


def test_what_is_no_student_is_told_in_one_line(folder, tmp_path, faces):
    assert {"student", "fusion"} <= set(backend_names())
    with pytest.raises(DuchenneError, match="duchenne models export"):
        load_backend(f"student:{tmp_path / 'nothing'}")
    (tmp_path / CARD).write_text("{", "utf-8")
    with pytest.raises(DuchenneError, match="is no card of a student"):
        load_backend(f"student:{tmp_path}")
    (tmp_path / CARD).write_text("[]", "utf-8")
    with pytest.raises(DuchenneError, match="format duchenne-student-1"):
        load_backend(f"student:{tmp_path}")
    with pytest.raises(DuchenneError, match="aligned as A2"):
        load_backend(f"student:{changed(folder, alignment='A2')}")
    changed(folder, alignment="eyes")
    (folder / NETWORK).write_bytes((folder / NETWORK).read_bytes()[:-1])
    with pytest.raises(DuchenneError, match="another SHA-256"):
        StudentBackend(str(folder)).features(faces)
    (folder / NETWORK).unlink()
    with pytest.raises(DuchenneError, match="cannot be read"):
        StudentBackend(str(folder)).features(faces)


def test_without_the_runtime_the_extra_is_named(monkeypatch, student):
    monkeypatch.setattr(
        student_module, "find_spec", lambda name: None if name == "onnxruntime" else find_spec(name)
    )
    with pytest.raises(ModuleNotFoundError) as missing:
        StudentBackend(str(student))
    assert EXTRAS[missing.value.name] == "analysis"


@pytest.mark.skipif(not (SHIPPED / CARD).is_file(), reason="no student is shipped in this copy")
def test_the_shipped_student_is_whole(faces):
    backend = StudentBackend()
    files = backend.card["files"]
    assert sum(row["bytes"] for row in files.values()) < 35e6
    for name in (NETWORK, WEIGHTS):
        assert (SHIPPED / name).stat().st_size == files[name]["bytes"]
    assert set(backend.reliability) == set(backend.au_names)
    assert "not human FACS coding" in backend.card["about"]
    assert backend.card["int8"]["pcc_lost"] < 0.01
    features = backend.features(faces)
    found = dict(zip(backend.au_names, backend.intensities(features, features[0])[1], strict=True))
    assert found["AU12"] > 2
    assert found["AU15"] < 1
