"""The live measurement through real LSL: a scripted smile is seen, on time, and nothing is made up."""

from __future__ import annotations

import base64
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pylsl
import pytest
from support.sources import DEADLINE_S, Heard, collect, listening, serving
from typer.testing import CliRunner

from duchenne.analysis.face.backends.registry import load_backend
from duchenne.analysis.face.emotion import LABELS
from duchenne.analysis.face.live import LiveActionUnits, _DropWatch
from duchenne.analysis.face.live_frames import WaitingRoom
from duchenne.analysis.face.live_neutral import FIRST_SECONDS, NEUTRAL_PHASE, TYPICAL, LiveNeutral
from duchenne.analysis.face.live_streams import AFFECT_CHANNELS
from duchenne.protocols.markers import MarkerOutlet
from duchenne.recorder.sources.base import serve
from duchenne.recorder.sources.cli import app as sources_app
from duchenne.recorder.sources.registry import create_source
from duchenne.recorder.streams import describe
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

AFFECT = [label for label, _, _ in AFFECT_CHANNELS]


def _packet(text: str = "picture") -> bytes:
    return base64.b64encode(text.encode())


def test_a_scripted_smile_is_seen_on_the_stream(tmp_path: Path, unique_name: str) -> None:
    markers_id, camera_id, au_id = (f"{unique_name}-{part}" for part in ("m", "cam", "au"))
    camera = {
        "name": camera_id,
        "markers_source_id": markers_id,
        "truth": str(tmp_path / "truth"),
    }
    wanted = {"stream": camera_id, "markers_source_id": markers_id, "backend": "blendshapes"}
    au, affect = Heard(), Heard()
    with (
        MarkerOutlet(source_id=markers_id) as markers,
        serving("simulated-face", camera_id, camera),
        serving("au", au_id, wanted),
        listening(au_id) as au_inlet,
        listening(f"{au_id}-affect") as affect_inlet,
    ):
        info, affect_info = describe(au_inlet.info()), describe(affect_inlet.info())
        time.sleep(0.5)  # both listeners find the markers
        markers.push("neutral_onset")
        time.sleep(2.5)
        markers.push("neutral_offset")
        markers.push("stimulus_onset", presentation_id="P-1", stimulus="x", category="HVHA")
        collect(au_inlet, au, 6.5)
        collect(affect_inlet, affect, 0.5)
    names = [channel.label for channel in info.channels]
    assert names == list(load_backend("blendshapes").au_names)
    assert info.nominal_srate_hz == 0, "a picture may be dropped"
    assert info.described("acquisition/camera_rate_hz") == "30"
    assert info.can_drop_samples
    assert [c.label for c in affect_info.channels] == AFFECT
    assert np.all(np.diff(au.times_s) > 0)

    truth = pd.read_csv(tmp_path / "truth_face.tsv", sep="\t")
    found = np.searchsorted(truth["lsl_time_s"], au.times_s - 1e-5)
    assert truth["lsl_time_s"].to_numpy()[found] == pytest.approx(au.times_s, abs=1e-5)
    true_au12 = truth["AU12"].to_numpy()[found]
    assert true_au12.max() > 3.5
    au12 = au.samples[:, names.index("AU12")]
    assert np.corrcoef(au12, true_au12)[0, 1] > 0.95
    assert au12.max() > 2.5
    assert np.median(au12[true_au12 < 0.05]) < 0.3

    rows = pd.DataFrame(affect.samples, columns=AFFECT)
    shown = np.searchsorted(truth["lsl_time_s"], affect.times_s - 1e-5)
    assert truth["lsl_time_s"].to_numpy()[shown] == pytest.approx(affect.times_s, abs=1e-5)
    assert rows["reference"].iloc[-1] == NEUTRAL_PHASE
    assert rows["expr_valence"].max() > 0.4
    labels = rows["expr_prototype"][truth["AU12"].to_numpy()[shown] > 3]
    assert LABELS[int(labels.mode()[0])] == "happiness"
    assert rows["expr_arousal"].isna().all()
    assert (rows["latency_s"] > 0).all()


def test_a_film_is_measured_to_its_end_and_no_face_is_no_zero(
    tmp_path: Path, unique_name: str, write_video
) -> None:
    film = write_video("grey.mp4", [np.full((120, 160, 3), 90, np.uint8)] * 12, rate=10)
    source = create_source(
        "au", unique_name, {"camera": str(film), "loop": "false", "video": "true"}
    )
    heard = Heard()
    done = threading.Event()
    thread = threading.Thread(target=lambda: (serve(source, threading.Event()), done.set()))
    thread.start()
    try:
        with listening(unique_name) as inlet:
            collect(inlet, heard, 0.7)
    finally:
        thread.join(DEADLINE_S)
    assert done.is_set(), "it did not end with the film"
    assert len(heard.rows) > 0
    assert np.isnan(heard.samples).all()
    assert "0 of them usable" in source.result
    assert "typical face" in source.result


def test_old_pictures_are_dropped_and_counted() -> None:
    room = WaitingRoom(max_wait_s=0.05)
    now_s = pylsl.local_clock()
    room.push_chunk([_packet("a"), _packet("b")], [now_s - 0.2, now_s - 0.1])
    room.push_chunk([_packet("c"), _packet("d")], [now_s, now_s + 0.001])
    taken = room.take(0.1)
    assert taken is not None
    assert taken.packet.data == b"c"
    assert [packet.data for packet in taken.skipped] == [b"a", b"b"]
    assert room.n_dropped == 2
    newest = room.take(0.1)
    assert newest is not None
    assert newest.packet.data == b"d", "fresh pictures are measured in order"
    assert room.take(0.01) is None


def test_the_only_picture_is_never_dropped_and_times_rise() -> None:
    room = WaitingRoom(max_wait_s=0.05)
    room.push_chunk([_packet()], [pylsl.local_clock() - 5])
    assert room.take(0.1) is not None
    room.push_chunk([_packet(), b"no base64!"], [1.0, pylsl.local_clock()])
    assert room.take(0.01) is None
    assert (room.n_dropped, room.n_damaged) == (0, 2)


def test_the_reference_is_typical_then_the_first_seconds_then_the_marked_phase() -> None:
    backend = load_backend("blendshapes")
    neutral = LiveNeutral(backend, "first", first_s=1.0)
    assert (neutral.code, neutral.calibration.source) == (TYPICAL, "typical face")
    own = backend.typical_neutral + 0.1
    changed = [neutral.add(i / 30, own, is_usable=i >= 10) for i in range(60)]
    assert changed.index(True) == 40, "one second of usable frames"
    assert neutral.code == FIRST_SECONDS
    assert neutral.calibration.neutral == pytest.approx(own)
    assert not neutral.hear("neutral_onset", 3.0)
    for i in range(60):
        neutral.add(3.0 + i / 30, own + 0.1, is_usable=True)
    assert neutral.code == FIRST_SECONDS, "the phase is not over"
    assert neutral.hear("neutral_offset", 5.0)
    assert neutral.code == NEUTRAL_PHASE
    assert neutral.calibration.neutral == pytest.approx(own + 0.1)
    assert neutral.calibration.threshold.shape == (len(backend.au_names),)


def test_a_phase_without_a_face_changes_nothing() -> None:
    backend = load_backend("blendshapes")
    neutral = LiveNeutral(backend, "markers")
    assert not neutral.is_collecting
    neutral.hear("neutral_onset", 0.0)
    for i in range(30):
        neutral.add(i / 30, np.zeros(0), is_usable=False)
    assert not neutral.hear("neutral_offset", 1.0)
    assert neutral.code == TYPICAL
    never = LiveNeutral(backend, "typical")
    never.hear("neutral_onset", 0.0)
    assert not never.is_collecting


def test_the_operator_is_told_of_drops(capfd: pytest.CaptureFixture[str]) -> None:
    watch = _DropWatch("AU")
    for i in range(12):
        watch.see(float(i), n_measured=i * 20, n_dropped=i * 10)
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert "33% of the frames" in told


def test_options_that_do_not_fit_are_refused() -> None:
    for settings in ({}, {"camera": "0", "stream": "FaceVideo"}):
        with pytest.raises(UsageError, match="one of --camera"):
            create_source("au", "x", settings)
    with pytest.raises(UsageError, match="no AU backend"):
        create_source("au", "x", {"camera": "0", "backend": "none"})
    with (
        pytest.raises(DuchenneError, match="No video file"),
        create_source("au", "x", {"camera": "absent.mp4"}),
    ):
        pass
    assert LiveActionUnits.unavailable() is None


@pytest.mark.parametrize("arguments", [["--camera", "absent.mp4"], ["--camera=absent.mp4"]])
def test_options_of_the_source_can_be_given_directly(arguments: list[str]) -> None:
    result = CliRunner().invoke(sources_app, ["start", "au", *arguments])
    assert isinstance(result.exception, DuchenneError)
    assert "absent.mp4" in str(result.exception)
    stray = CliRunner().invoke(sources_app, ["start", "au", "--camera", "0", "stray"])
    assert isinstance(stray.exception, UsageError)
