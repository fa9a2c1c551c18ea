"""Affect of a film from the command to the table, and of a session to its summary."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from tests.analysis.affect.weights import SMALL_VIT, checkpoint
from typer.testing import CliRunner

from duchenne.analysis.affect.checkpoint import CheckpointBackend
from duchenne.analysis.cli import app
from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.film import FaceFilm, joined, measure_faces
from duchenne.analysis.summary import summarise, summary_codebook
from duchenne.analysis.windows_face import FaceSeries
from duchenne.stimuli.errors import UsageError

RATE = 5
N_NEUTRAL, N_HAPPY = 14, 10


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a film of a rendered face: neutral, then a smile."""
    clips = Path(str(files("duchenne.recorder.sources"))) / "data" / "participant"
    images = [
        image
        for name, first, n in (("neutral", 0, N_NEUTRAL), ("happiness", 60, N_HAPPY))
        for _, _, image in islice(video_frames(clips / f"{name}.mp4"), first, first + 6 * n, 6)
    ]
    path = tmp_path_factory.mktemp("film") / "smile.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    return checkpoint(folder, "vit_se", ("expression",), 8, encoder=SMALL_VIT)


@pytest.fixture(scope="module")
def measured(film: Path, tmp_path_factory: pytest.TempPathFactory) -> FaceFilm:
    """Return the film with the embeddings of a difference of embeddings."""
    weights = checkpoint(tmp_path_factory.mktemp("doe"), "doe", ("expression",), 8)
    backend = CheckpointBackend(str(weights), onnx=False)
    with measure_faces(video_frames(film), affect=backend) as found:
        yield found


def read(path: Path, sep: str = "\t") -> tuple[pd.DataFrame, dict[str, dict[str, object]]]:
    table = pd.read_csv(path, sep=sep, na_values=["n/a"])
    book = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert list(book) == list(table.columns)
    return table, book


def test_without_a_model_a_smile_is_pleasant_and_arousal_is_not_measured(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["affect", str(film), "--neutral", f"0:{N_NEUTRAL / RATE}"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "smile-affect.csv"
    table, book = read(tmp_path / "smile-affect.csv", ",")
    assert len(table) == N_NEUTRAL + N_HAPPY
    assert table["expr_valence"][-5:].mean() > table["expr_valence"][:N_NEUTRAL].mean() + 0.2
    assert table["expr_arousal"].isna().all()
    assert set(table["expr_quadrant"]) == {"not_assessable"}
    assert "n/a unless an affect model was given" in str(book["expr_arousal"]["Description"])
    assert not any(name.startswith("AU") for name in table)


def test_a_model_adds_its_columns(film: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "affect.tsv"
    asked = ["affect", str(film), "--out", str(out), "--model", str(weights), "--rate", "2.5"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    table, _ = read(out)
    shares = table.filter(regex=r"^expr_p_").to_numpy(np.float64)
    known = np.isfinite(shares).all(axis=1)
    assert known.tolist() == [i % 2 == 0 for i in range(len(table))]
    np.testing.assert_allclose(shares[known].sum(axis=1), 1.0, atol=1e-3)


def test_errors_are_one_line(film: Path, tmp_path: Path) -> None:
    wrong = CliRunner().invoke(
        app, ["affect", str(film), "--out", str(tmp_path / "a.csv"), "--model", "none.safetensors"]
    )
    assert isinstance(wrong.exception, UsageError)
    assert str(wrong.exception) == "There is no checkpoint none.safetensors."
    session = CliRunner().invoke(
        app, ["analyze", str(tmp_path), "--affect-backend", "checkpoint:none.safetensors"]
    )
    assert str(session.exception) == "There is no checkpoint none.safetensors."


def test_a_film_in_parts_has_the_same_affect(measured: FaceFilm) -> None:
    neutral = [(0.0, N_NEUTRAL / RATE)]
    for windows in (neutral, []):
        whole = joined(list(measured.results(windows)))
        parts = joined(list(replace(measured, part_frames=5, margin_frames=5).results(windows)))
        names = [name for name in whole.table if str(name).startswith("expr_p_")]
        assert len(names) == 8
        assert whole.table[names].notna().all(axis=None)
        pd.testing.assert_frame_equal(whole.table[names], parts.table[names], atol=1e-6)
        rest = "neutral phase" if windows else "running estimate"
        assert whole.quality["affect"]["face_at_rest"] == rest


def test_the_summary_holds_what_the_model_said(measured: FaceFilm) -> None:
    face = joined(list(measured.results([(0.0, 2.0)])))
    series = FaceSeries.of(face)
    row = series.measures(2.0, 4.0, 2.0)
    shown = pd.DataFrame(
        {
            "onset_s": [2.0], "offset_s": [4.0], "duration_s": [2.0], "stimulus_id": ["a"], "trial": [1],
            "kind": ["image"], "category": ["HVHA"],
        }
    )  # fmt: skip
    summary = summarise(shown, pd.DataFrame(), face=[row])
    mean = face.table["expr_p_happiness"][face.table["time"].between(2.0, 3.99)].mean()
    assert summary["expr_p_happiness_mean"][0] == pytest.approx(mean)
    assert summary["expr_class"][0] in {name[7:] for name in face.table if "expr_p_" in str(name)}
    assert "expr_quadrant" not in summary  # the system answers no valence and arousal
    assert set(summary.columns) <= set(summary_codebook(affect=summary.columns)) | {
        name for name in summary if str(name).startswith("AU")
    }
