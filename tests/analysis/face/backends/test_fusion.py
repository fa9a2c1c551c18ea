"""The fusion: weighted sums, Action Unit by Action Unit, with the table that belongs to the student."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from duchenne.analysis.face.backends.fusion import FORMAT, TABLE, FusionBackend
from duchenne.analysis.face.backends.geometry import GeometryBackend
from duchenne.analysis.face.backends.registry import load_backend
from duchenne.analysis.face.backends.student import StudentBackend
from duchenne.analysis.face.backends.student_model import CARD, SHIPPED
from duchenne.stimuli.errors import DuchenneError

ZONE = [0.3, 0, 0, 0, 0, 0, 0]


@pytest.fixture
def folder(student, tmp_path):
    """Return a student with a table of weights for AU12 and AU25."""
    there = shutil.copytree(student, tmp_path / "student")
    card = json.loads((there / CARD).read_text("utf-8"))
    own = {
        "AU12": {"geometry": 0.5, "student": 0.5, "zone": ZONE},
        "AU25": {"geometry": 0.0, "student": 1.0, "zone": ZONE},
    }
    table = {
        "format": FORMAT,
        "student_sha256": card["checkpoint_sha256"],
        "own": own,
        "habitual": {"AU25": {"geometry": 0.0, "student": 0.5, "zone": ZONE}},
        "typical": {},
        "best": {"AU12": "geometry", "AU25": "student"},
        "reliability": {au: {"pcc": 0.8} for au in GeometryBackend().au_names},
        "resting_threshold": {"AU12": 3.2},
    }
    (there / TABLE).write_text(json.dumps(table), "utf-8")
    return there


def test_both_are_weighted_unit_by_unit(folder, faces):
    fusion, shape = load_backend(f"fusion:{folder}"), GeometryBackend()
    pixels = StudentBackend(str(folder))
    assert isinstance(fusion, FusionBackend)
    features = fusion.features(faces)
    assert features.shape == (3, len(fusion.feature_names)) == (3, len(fusion.typical_neutral))
    n = len(shape.feature_names)
    np.testing.assert_array_equal(features[:, :n], shape.features(faces))
    np.testing.assert_array_equal(features[:, n:], pixels.features(faces))
    rest = features[0].copy()
    rest[n + 6 :] = 0.0
    both = dict(zip(fusion.au_names, fusion.intensities(features, rest).T, strict=True))
    mine = dict(zip(shape.au_names, shape.intensities(features[:, :n], rest[:n]).T, strict=True))
    theirs = dict(
        zip(pixels.au_names, pixels.intensities(features[:, n:], rest[n:]).T, strict=True)
    )
    np.testing.assert_allclose(both["AU12"][1], 0.5 * mine["AU12"][1] + 0.5 * theirs["AU12"][1])
    np.testing.assert_allclose(both["AU25"][1], theirs["AU25"][1])
    for au in ("AU04", "AU12L", "AU06"):  # without weights: as geometry says
        np.testing.assert_array_equal(both[au], mine[au])
    assert all(np.isnan(values[2]) for values in both.values())
    strange = fusion.intensities(features, fusion.typical_neutral)
    np.testing.assert_array_equal(
        strange, shape.intensities(features[:, :n], shape.typical_neutral)
    )
    usual = np.where(fusion.personal, features[1], fusion.typical_neutral)
    habitual = dict(zip(fusion.au_names, fusion.intensities(features, usual).T, strict=True))
    np.testing.assert_allclose(habitual["AU25"][1], 0.5 * theirs["AU25"][1])
    assert fusion.reliability["AU12"] == 0.8
    assert fusion.resting_threshold[fusion.au_names.index("AU12")] == 3.2


def test_a_table_of_another_student_is_refused(folder, student):
    with pytest.raises(DuchenneError, match="needs weights that were fitted"):
        FusionBackend(str(student))
    table = json.loads((folder / TABLE).read_text("utf-8"))
    (folder / TABLE).write_text(json.dumps(table | {"student_sha256": "0"}), "utf-8")
    with pytest.raises(DuchenneError, match="another student"):
        FusionBackend(str(folder))
    (folder / TABLE).write_text("[1]", "utf-8")
    with pytest.raises(DuchenneError, match="format duchenne-fusion-1"):
        FusionBackend(str(folder))


@pytest.mark.skipif(not (SHIPPED / TABLE).is_file(), reason="no student is shipped in this copy")
def test_the_shipped_fusion_fits_both_parts(faces):
    fusion = FusionBackend()
    assert set(fusion.best.values()) <= {"geometry", "student", "fusion"}
    assert set(fusion.reliability) == set(fusion.au_names) == set(GeometryBackend().au_names)
    features = fusion.features(faces)
    found = dict(zip(fusion.au_names, fusion.intensities(features, features[0])[1], strict=True))
    assert found["AU12"] > 2.5
    assert found["AU15"] < 0.5
