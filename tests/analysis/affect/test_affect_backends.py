"""Affect behind its seam: what is asked for, how systems are asked, what becomes of a film."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.analysis.affect.weights import SMALL_VIT, checkpoint

from duchenne.analysis.affect.base import AffectBackend, with_affect
from duchenne.analysis.affect.checkpoint import CheckpointBackend, class_columns
from duchenne.analysis.affect.columns import affect_columns, affect_measures, with_affect_source
from duchenne.analysis.affect.command import asked_for
from duchenne.analysis.affect.reference import RunningRest, rest_of
from duchenne.analysis.affect.registry import (
    AffectSpec,
    affect_backend_names,
    load_affect_backend,
    with_known_file,
    without_folder,
)
from duchenne.analysis.affect.rule import RuleBackend
from duchenne.analysis.affect.series import AffectSeries
from duchenne.analysis.affect.systems import _held, _over_windows
from duchenne.analysis.face.frames import FaceFrames
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def vit(folder: Path) -> Path:
    return checkpoint(folder, "vit_se", ("expression",), 8, encoder=SMALL_VIT)


@pytest.fixture(scope="module")
def doe(folder: Path) -> Path:
    return checkpoint(folder, "doe", ("expression",), 4)


@pytest.fixture(scope="module")
def deng_rnn(folder: Path) -> Path:
    return checkpoint(folder, "deng_rnn", ("valence", "arousal"), 2)


def seen(n: int, seed: int = 0, rate_hz: float = 10.0) -> FaceFrames:
    """Return n tracked faces in pictures of noise; the second has no face."""
    rng = np.random.default_rng(seed)
    mesh = np.tile(rng.uniform(20, 90, (1, 478, 3)), (n, 1, 1)) + rng.normal(0, 1, (n, 478, 3))
    if n > 1:
        mesh[1] = np.nan
    images = [rng.integers(0, 255, (110, 110, 3)).astype(np.uint8) for _ in range(n)]
    return FaceFrames(
        np.arange(n), np.arange(n) / rate_hz, np.full((n, 2), 110.0), mesh, np.zeros((n, 52)),
        np.tile(np.eye(3), (n, 1, 1)), np.zeros((n, 3)), images,
    )  # fmt: skip


def frames_table(faces: FaceFrames) -> pd.DataFrame:
    n = len(faces)
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "time": faces.time_s, "usable": faces.found, "AU12_r": rng.uniform(0, 5, n),
            "expr_valence": np.where(faces.found, 0.25, np.nan), "expr_arousal": np.full(n, np.nan),
        }
    )  # fmt: skip


def measured(path: Path, faces: FaceFrames, **settings: Any) -> pd.DataFrame:
    backend = CheckpointBackend(str(path), **settings)
    return told(backend, faces, backend.features(faces))


def told(
    backend: CheckpointBackend, faces: FaceFrames, kept: np.ndarray, neutral: slice = slice(0, 0)
) -> pd.DataFrame:
    run = backend.start(kept[neutral])
    return with_affect(frames_table(faces), run, kept, 0, len(faces))


def test_what_is_asked_for(tmp_path: Path, vit: Path) -> None:
    assert AffectSpec.parse("rule") == AffectSpec("rule")
    assert AffectSpec.parse("checkpoint:a@b.safetensors@2.5") == AffectSpec(
        "checkpoint", "a@b.safetensors", 2.5
    )
    odd = tmp_path / "file@5"
    odd.touch()
    assert AffectSpec.parse(f"checkpoint:{odd}").rate_hz is None
    trained = tmp_path / "run"
    trained.mkdir()
    assert asked_for("rule", trained, None) == f"checkpoint:{trained}"
    best = trained / "best.safetensors"
    best.touch()
    assert AffectSpec.parse(f"checkpoint:{trained}@5") == AffectSpec("checkpoint", str(best), 5.0)
    assert asked_for("rule", trained, None) == f"checkpoint:{best}"
    assert AffectSpec.parse(f"{trained}@5") == AffectSpec("checkpoint", str(best), 5.0)
    assert with_known_file(str(vit)) == f"checkpoint:{vit.resolve()}"
    assert asked_for("rule", vit, 5.0) == f"checkpoint:{vit}@5"
    assert without_folder(f"checkpoint:{vit}@5") == "checkpoint:vit_se.safetensors@5"
    assert with_known_file(f"checkpoint:{vit}") == f"checkpoint:{vit.resolve()}"
    assert {"rule", "checkpoint"} <= set(affect_backend_names())
    assert isinstance(load_affect_backend("rule"), RuleBackend)
    assert isinstance(load_affect_backend("rule"), AffectBackend)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("mood", "There is no affect backend 'mood'; there are: "),
        ("rule:weights.safetensors", "takes no file"),
        ("checkpoint", "needs its file"),
        ("checkpoint:missing.safetensors", "There is no checkpoint missing.safetensors"),
        ("checkpoint:missing@0", "must be above 0"),
    ],
)
def test_what_cannot_be_asked_for(asked: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_affect_backend(asked)


def test_checkpoints_that_do_not_answer(folder: Path, tmp_path: Path, vit: Path) -> None:
    units = checkpoint(tmp_path, "cnn_baseline", ("AU01", "AU12"), 2)
    with pytest.raises(DuchenneError, match="learnt AU01, AU12 …, neither valence"):
        load_affect_backend(f"checkpoint:{units}")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(vit.read_bytes()[:-500])
    with pytest.raises(DuchenneError, match="no checkpoint of safetensors"):
        load_affect_backend(f"checkpoint:{broken}")
    with pytest.raises(UsageError, match="both name a file"):
        asked_for(f"checkpoint:{vit}", vit, None)
    with pytest.raises(UsageError, match="--rate is for a model"):
        asked_for("rule", None, 5.0)


def test_a_system_of_single_pictures_and_its_mirror(vit: Path) -> None:
    faces = seen(3)
    table = measured(vit, faces, onnx=False)
    p = table[[c for c in table if c.startswith("expr_p_")]].to_numpy(np.float64)
    assert p.shape == (3, 8)
    np.testing.assert_allclose(p[[0, 2]].sum(axis=1), 1.0, atol=1e-5)
    assert np.isnan(p[1]).all()
    assert pd.isna(table["expr_class"][1])
    assert table["expr_class_entropy"].iloc[[0, 2]].between(0, 1).all()
    # Expression alone: valence stays the rule's, arousal n/a.
    np.testing.assert_allclose(table["expr_valence"], [0.25, np.nan, 0.25])
    assert table["expr_arousal"].isna().all()
    backend = CheckpointBackend(str(vit), onnx=False)
    report = backend.start(np.zeros((0, 8))).report()
    assert report["rests_on"][0].startswith("valence: rule")
    assert "arousal: n/a" in report["rests_on"][1]


def test_onnx_runtime_says_the_same(vit: Path) -> None:
    pytest.importorskip("onnxruntime")
    faces = seen(4)
    plain = CheckpointBackend(str(vit), onnx=False)
    quick = CheckpointBackend(str(vit))
    assert plain.runtime == "PyTorch"
    if quick.runtime == "PyTorch":
        pytest.skip("PyTorch cannot write ONNX here")
    np.testing.assert_allclose(plain.features(faces), quick.features(faces), atol=1e-5)


def test_frames_at_a_rate(vit: Path) -> None:
    table = measured(vit, seen(30), rate_hz=2.0, onnx=False)
    asked = np.flatnonzero(table["expr_p_neutral"].notna())
    assert asked.tolist() == [0, 5, 10, 15, 20, 25]


def test_difference_of_embeddings_takes_the_neutral_phase(doe: Path) -> None:
    faces = seen(24)
    backend = CheckpointBackend(str(doe), onnx=False)
    kept = backend.features(faces)
    table = told(backend, faces, kept, slice(0, 12))
    at_rest = np.nanmedian(kept[:12], axis=0)
    pair = torch.from_numpy(np.concatenate([kept[20] - at_rest, kept[20]])).float()
    with torch.no_grad():
        wanted = backend.trained.net.head(pair[None]).softmax(dim=1)[0].numpy()
    names = ["neutral", "happiness", "sadness", "surprise"]
    found = table[[f"expr_p_{name}" for name in names]].to_numpy(np.float64)[20]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert backend.start(kept[:12]).report()["face_at_rest"] == "neutral phase"
    assert backend.start(kept[:5]).report()["face_at_rest"] == "running estimate"
    running = told(backend, faces, kept)
    assert running["expr_p_neutral"].notna().sum() == faces.found.sum()
    assert (running["expr_p_neutral"] != table["expr_p_neutral"]).any()


def test_the_running_rest_is_that_of_the_quiet_frames() -> None:
    rng = np.random.default_rng(0)
    time_s = np.arange(600) / 30
    strength = (np.arange(600) // 60 % 2).astype(np.float64)  # two seconds quiet, two seconds loud
    rows = np.where(strength[:, None] > 0, 5.0, 1.0) + rng.normal(0, 0.05, (600, 2))
    usable = np.ones(600, np.bool_)
    usable[:15] = False
    whole = RunningRest().levels(rows, strength, usable, time_s)
    assert np.isfinite(whole[30:]).all()
    np.testing.assert_allclose(whole[60:], 1.0, atol=0.1)
    again = RunningRest()
    parts = [
        again.levels(*(a[i : i + 30] for a in (rows, strength, usable, time_s)))
        for i in range(0, 600, 30)
    ]
    np.testing.assert_allclose(np.concatenate(parts)[60:], whole[60:], atol=0.1)
    assert rest_of(rows[:9]) is None
    np.testing.assert_allclose(rest_of(rows[:10]), np.median(rows[:10], axis=0))


def test_windows_cover_every_frame() -> None:
    def position(clip: torch.Tensor) -> torch.Tensor:
        return clip[..., :1] * 2  # each frame by itself: windows must not matter

    for n in (1, 20, 32, 33, 47, 48, 100):
        rows = np.arange(n, dtype=np.float64)[:, None]
        np.testing.assert_allclose(_over_windows(rows, 32, position), 2 * rows)
    assert _over_windows(np.zeros((0, 3)), 32, position).shape == (0, 1)
    usable = np.array([False, True, False, True, False])
    held = _held(np.array([[9.0], [1.0], [9.0], [3.0], [np.nan]]), usable)
    assert held[:, 0].tolist() == [1.0, 1.0, 1.0, 3.0, 3.0]
    assert _held(np.full((2, 1), np.nan), np.zeros(2, np.bool_)).tolist() == [[0.0], [0.0]]


def test_the_recurrent_system_sees_its_neighbours(deng_rnn: Path) -> None:
    faces = seen(36)
    backend = CheckpointBackend(str(deng_rnn), onnx=False)
    kept = backend.features(faces)
    table = told(backend, faces, kept)
    known = table["expr_valence"].notna().to_numpy()
    assert known.tolist() == faces.found.tolist()
    assert table["expr_arousal"].dropna().between(-1, 1).all()
    assert set(table.loc[known, "expr_quadrant"]) <= {"HVHA", "LVHA", "LVLA", "HVLA", "neutral"}
    assert table["expr_quadrant"][1] == "not_assessable"
    with torch.no_grad():
        clip = torch.from_numpy(_held(kept, faces.found)[:32]).float()
        wanted = backend.reading._window(clip[None])[0].numpy()
    # Windows begin at frames 0 and 4: the first four frames are in one of them alone.
    np.testing.assert_allclose(table["expr_valence"][2:4], wanted[2:4, 0], atol=1e-5)
    assert abs(table["expr_valence"][20] - wanted[20, 0]) > 1e-7


def test_a_fusion_with_its_encoder(folder: Path) -> None:
    path = checkpoint(
        folder, "mae_fusion", ("valence", "arousal", "dominance"), 3,
        encoder={"width": 32, "depth": 1, "heads": 2}, n_sound=0, width=16, layers=1, heads=2,
    )  # fmt: skip
    table = measured(path, seen(6), onnx=False)
    assert table["expr_dominance"].notna().sum() == 5
    assert "expr_dominance" in affect_columns(table.columns)


def test_classes_and_their_entropy() -> None:
    p = np.array([[1.0, 0.0], [0.5, 0.5], [np.nan, np.nan], [0.2, 0.8]])
    found = class_columns(p, ("neutral", "very happy"))
    assert found["expr_class"].tolist() == ["neutral", "neutral", None, "very happy"]
    np.testing.assert_allclose(found["expr_class_entropy"][:2], [0.0, 1.0])
    assert np.isnan(found["expr_class_entropy"][2])
    assert found["expr_p_very_happy"][3] == 0.8
    assert class_columns(p, ()) == {}


def test_a_window_of_frames() -> None:
    n = 10
    table = pd.DataFrame(
        {
            "expr_valence": [0.5] * 6 + [-0.5] * 3 + [np.nan], "expr_arousal": [0.4] * n,
            "expr_quadrant": "HVHA", "expr_valence_spread": 0.1,
            "expr_p_neutral": [0.9] * 2 + [0.2] * 8, "expr_p_fear": [0.1] * 2 + [0.8] * 8,
            "expr_class_entropy": 0.5, "AU12_r": 1.0,
        }
    )  # fmt: skip
    series = AffectSeries.of(table, np.arange(n))
    assert series is not None
    row = series.measures(slice(0, n))
    assert row["expr_quadrant"] == "HVHA"  # of the means, 0.17 and 0.4
    assert row["expr_quadrant_HVHA_fraction"] == pytest.approx(6 / 9)
    assert row["expr_quadrant_LVHA_fraction"] == pytest.approx(3 / 9)
    assert row["expr_class"] == "fear"
    assert row["expr_p_neutral_mean"] == pytest.approx(0.34)
    assert set(affect_measures(row)) == set(row)
    nothing = series.measures(slice(9, 10))
    assert nothing["expr_quadrant"] is None
    assert np.isnan(nothing["expr_quadrant_HVHA_fraction"])
    assert AffectSeries.of(table[["expr_valence", "expr_arousal"]], np.arange(n)) is None


def test_codebooks_say_what_affect_rests_on() -> None:
    book = affect_columns(["expr_p_fear", "expr_quadrant", "expr_class", "AU12_r", "expr_valence"])
    assert list(book) == ["expr_p_fear", "expr_quadrant", "expr_class"]
    said = with_affect_source(book, RuleBackend().start(np.zeros((0, 0))).report())
    assert all(
        "arousal: n/a, no model trained on human ratings" in c.description for c in said.values()
    )
    assert with_affect_source(book, None) == book
