"""Sound on the clock of the frames: of a film, of a session, and what a system makes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from tests.analysis.affect.weights import checkpoint
from tests.support.presentation import FILM_FRAMES, FILM_RATE_HZ, write_film
from tests.support.sessions import write_session
from typer.testing import CliRunner

from duchenne.analysis.affect.checkpoint import SILENT, CheckpointBackend
from duchenne.analysis.affect.hearing import (
    FEATURES,
    MIDDLE,
    OF_SESSION,
    OF_STIMULI,
    RATE_HZ,
    SPREAD,
    Heard,
    Piece,
    film_sound,
    session_sound,
)
from duchenne.analysis.training.prepared import Faces, read_faces, write_faces
from duchenne.analysis.training.sound import N_BANDS, hertz, mel
from duchenne.analysis.training.together import read_together
from duchenne.cli import app
from duchenne.protocols.displays.frame_times import frame_times
from duchenne.recorder.recording import Recording
from duchenne.recorder.streams import StreamInfo
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

TONE_HZ = 440.0
EDGES = hertz(np.linspace(*mel(np.array([50.0, RATE_HZ / 2])), N_BANDS + 2))


def is_tone(row: np.ndarray[Any, Any]) -> bool:
    loudest = int(row.argmax())
    return bool(EDGES[loudest] < TONE_HZ < EDGES[loudest + 2])


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a film of a second and a half with a tone."""
    path = tmp_path_factory.mktemp("films") / "deep" / "count.mp4"
    path.parent.mkdir()
    write_film(path)
    return path


def test_a_film_is_heard(film: Path, tmp_path: Path) -> None:
    heard = film_sound(film)
    assert heard is not None
    found = heard.features(np.array([-0.5, 0.5, 1.0, 9.0]))
    assert np.isnan(found[[0, 3]]).all()
    assert is_tone(found[1])
    assert is_tone(found[2])
    silence = Heard((Piece(np.zeros(RATE_HZ, np.float32), 3.0),), "").features(np.array([3.5]))
    np.testing.assert_allclose(silence, (np.log(1e-10) - MIDDLE) / SPREAD, rtol=1e-5)
    (tmp_path / "none.mp4").write_bytes(b"no film")
    assert film_sound(tmp_path / "none.mp4") is None
    at = frame_times(film).pts_s
    np.testing.assert_allclose(at, np.arange(FILM_FRAMES) / FILM_RATE_HZ, atol=1e-4)


def test_a_session_is_heard_through_its_microphone_or_its_films(film: Path, tmp_path: Path) -> None:
    rate_hz = 48_000
    times = np.concatenate([np.arange(rate_hz), np.arange(2 * rate_hz, 3 * rate_hz)]) / rate_hz
    tone = (0.1 * 2**15 * np.sin(2 * np.pi * TONE_HZ * times)).astype(np.int16)
    info = StreamInfo("Microphone", "Audio", "m", "u9", "host", "int16", rate_hz)
    shown = {"stimulus": "count", "trial": 1}
    path = write_session(
        tmp_path / "sub-P01_session.h5",
        markers=[(4.0, "stimulus_onset", shown), (5.0, "stimulus_offset", shown)],
        streams=[(info, times, tone[:, None])],
        stimuli={"id": ["count"], "file": ["deep/count.mp4"], "kind": ["video"]},
        stimuli_source=str(film.parents[1]),
    )
    with Recording.open(path) as recording:
        mine = session_sound(recording, voice=True)
        others = session_sound(recording, voice=False)
    assert mine is not None
    assert others is not None
    assert (mine.source, others.source) == (OF_SESSION, OF_STIMULI)
    at = np.array([0.5, 1.5, 2.5, 4.5, 5.5])
    rows = mine.features(at)
    assert np.isfinite(rows).all(axis=1).tolist() == [True, False, True, False, False]
    assert is_tone(rows[2])
    rows = others.features(at)
    assert np.isfinite(rows).all(axis=1).tolist() == [False, False, False, True, False]
    assert is_tone(rows[3])


def test_a_fusion_that_learnt_from_sound_hears(tmp_path: Path) -> None:
    path = checkpoint(
        tmp_path, "mae_fusion", ("valence", "arousal"), 2,
        encoder={"width": 32, "depth": 1, "heads": 2}, n_sound=N_BANDS, width=16, layers=1, heads=2,
    )  # fmt: skip
    deaf = CheckpointBackend(str(path), onnx=False)
    assert not deaf.hears  # which features it learnt from is not known
    assert deaf.start(np.zeros((0, 32))).report()["sound"] == SILENT
    path = checkpoint(
        tmp_path, "mae_fusion", ("valence", "arousal"), 2, data={"sound": FEATURES},
        encoder={"width": 32, "depth": 1, "heads": 2}, n_sound=N_BANDS, width=16, layers=1, heads=2,
    )  # fmt: skip
    backend = CheckpointBackend(str(path), onnx=False)
    assert backend.hears
    kept = np.random.default_rng(0).normal(size=(20, 32))
    table = pd.DataFrame({"time": np.arange(20) / 10, "usable": True})
    noise = np.random.default_rng(1).normal(0, 0.1, 2 * RATE_HZ).astype(np.float32)
    run = backend.start(kept[:0])
    silent = run.columns(kept, table, 0, 20)
    run.hear(Heard((Piece(noise, 0.0),), "here"))
    loud = run.columns(kept, table, 0, 20)
    assert np.isfinite(loud["expr_valence"]).all()
    assert np.abs(loud["expr_valence"] - silent["expr_valence"]).max() > 1e-6
    assert run.report()["sound"] == "here"


def test_a_prepared_set_gets_the_sound_of_its_films(film: Path, tmp_path: Path) -> None:
    table = "file,frame,subject,valence,arousal\n"
    rows = "".join(f"deep/count.mp4,{i},A,0,0\n" for i in (0, 15, 30))
    labels = film.parents[1] / "labels.csv"
    labels.write_text(table + rows)
    some = Faces(
        np.zeros((4, 8, 8, 3), np.uint8), np.zeros((4, 1), np.float32), ("valence",),
        np.array(list("AAAA")), None, {},
    )  # fmt: skip
    sources = ["deep/count.mp4#15", "deep/count.mp4#30", "other.mp4#1", "deep/count.mp4#0"]
    write_faces(tmp_path / "set", some, sources)
    about = tmp_path / "set" / "about.json"
    about.write_text("{}")
    words = ["prepare", "sound", str(film.parents[1]), "--out", str(tmp_path / "set")]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, DuchenneError)
    assert "does not say which data set" in str(done.exception)
    about.write_text(json.dumps({"name": "folder"}))
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "3 pictures with sound.",
        f"Prepared faces: {tmp_path / 'set'}",
    ]
    back = read_faces(tmp_path / "set")
    assert back.about["sound"] == FEATURES
    assert back.sound is not None
    assert np.isfinite(back.sound).all(axis=1).tolist() == [True, True, False, True]
    assert is_tone(back.sound[0])
    (tmp_path / "set").rename(tmp_path / "one")
    write_faces(tmp_path / "two", some)
    assert read_together([tmp_path / "one", tmp_path / "two"]).about["sound"] == FEATURES
