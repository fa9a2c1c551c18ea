"""Delays behind the markers, measured from sessions with known ones."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.faulty_sessions import stream_info, write_faulty
from typer.testing import CliRunner

from duchenne.cli import app
from duchenne.recorder.recording import Recording
from duchenne.recorder.timing import audio_delays, camera_delays, photodiode_delays, stream_of
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

ONSETS_S = [2.0 + 1.371 * i for i in range(20)]
LENGTH_S = 32.0


def lit(times: np.ndarray, delay_s: float) -> np.ndarray:
    on = np.zeros(len(times), dtype=bool)
    for onset_s in ONSETS_S:
        on |= (times >= onset_s + delay_s) & (times < onset_s + delay_s + 0.7)
    return on


def jpeg(bright: bool, rng: np.random.Generator) -> bytes:
    import cv2

    picture = rng.integers(90, 110, (96, 128), dtype=np.uint8)
    picture[:30, 100:] = 230 if bright else 20
    return bytes(cv2.imencode(".jpg", picture)[1])


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Light 21 ms and a click 48 ms late; a camera of 30 Hz that stamps 80 ms late."""
    rng = np.random.default_rng(1)
    light_s = np.arange(0, LENGTH_S, 1e-3)
    light = np.where(lit(light_s, 0.021), 800.0, 100.0) + rng.normal(0, 2, len(light_s))
    sound_s = np.arange(0, LENGTH_S, 1 / 16_000)
    sound = 0.01 * np.sin(2 * np.pi * 440 * sound_s)
    for onset_s in ONSETS_S[:-1]:  # the last one is missed
        sound[(sound_s >= onset_s + 0.048) & (sound_s < onset_s + 0.050)] = 0.5
    frames_s = np.arange(0.013, LENGTH_S, 1 / 30)
    frames = [jpeg(bool(on), rng) for on in lit(frames_s, 0.0)]
    markers: list[tuple[float, str, dict[str, Any]]] = []
    for i, onset_s in enumerate(ONSETS_S, start=1):
        fields = {"trial": i, "stimulus": "x", "presentation_id": f"P-{i}"}
        markers += [
            (onset_s, "stimulus_onset", fields),
            (onset_s + 0.7, "stimulus_offset", fields),
        ]
    streams = [
        (stream_info("Photodiode", "Photodiode", ["light"], 1000.0), light_s, light[:, None]),
        (stream_info("Microphone", "Audio", ["audio_1"], 16_000.0), sound_s, sound[:, None]),
        (
            stream_info("FaceVideo", "VideoCompressed", ["frame"], 30.0, channel_format="string"),
            frames_s + 0.080,
            [[base64.b64encode(frame)] for frame in frames],
        ),
    ]
    return write_faulty(
        tmp_path_factory.mktemp("timing") / "P01_session.h5", streams, markers=markers
    )


def test_light_and_sound_come_back_with_their_delays(session: Path) -> None:
    with Recording.open(session) as recording:
        light = photodiode_delays(recording, stream_of(recording, None, "Photodiode"))
        sound = audio_delays(recording, stream_of(recording, "Microphone"))
    assert (light.n, light.n_missed) == (20, 0)
    assert light.median_s == pytest.approx(0.021, abs=0.001)
    assert light.iqr_s < 0.001
    assert (sound.n, sound.n_missed) == (19, 1)
    assert sound.median_s == pytest.approx(0.048, abs=0.0005)
    assert sound.max_s < 0.049


def test_the_camera_is_measured_to_a_fraction_of_a_frame(session: Path) -> None:
    with Recording.open(session) as recording:
        found = camera_delays(recording, recording.streams["FaceVideo"])
        named = camera_delays(recording, recording.streams["FaceVideo"], (0.8, 0.0, 1.0, 0.3))
    assert found.n == named.n == 20
    assert found.median_s == pytest.approx(0.080, abs=0.008)
    assert named.median_s == pytest.approx(found.median_s, abs=1e-6)


def test_the_command_writes_what_it_measured(session: Path) -> None:
    done = CliRunner().invoke(app, ["protocol", "timing", str(session), "--camera"])
    assert done.exit_code == 0, done.output
    lines = done.output.strip().splitlines()
    assert lines[0].startswith("photodiode (Photodiode): median 2")
    assert "19 onsets, 1 missed" in lines[1]
    assert lines[-1].endswith("P01_timing.json")
    told = json.loads(session.with_name("P01_timing.json").read_text())
    camera = told["streams"]["FaceVideo"]
    assert camera["latency_source"] == "camera_flash"
    assert camera["device_latency_s"] == pytest.approx(0.080 - 0.021, abs=0.008)


def test_what_shows_nothing_is_refused(tmp_path: Path) -> None:
    times = np.arange(0, 10, 1e-3)
    noise = np.random.default_rng(0).normal(100, 2, (len(times), 1))
    streams = [(stream_info("Photodiode", "Photodiode", ["light"], 1000.0), times, noise)]
    onset = [(2.0, "stimulus_onset", {"trial": 1}), (3.0, "stimulus_offset", {"trial": 1})]
    dark = write_faulty(tmp_path / "dark.h5", streams, markers=onset)
    with Recording.open(dark) as recording, pytest.raises(DuchenneError, match="does not change"):
        photodiode_delays(recording, recording.streams["Photodiode"])
    none = write_faulty(tmp_path / "none.h5", streams)
    with Recording.open(none) as recording, pytest.raises(DuchenneError, match="no stimulus"):
        photodiode_delays(recording, recording.streams["Photodiode"])
