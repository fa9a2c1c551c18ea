"""Other streams and the face video in a BIDS export."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from support.sessions import SCREEN, _add, write_session

from duchenne.analysis.export.base import ExportOptions, Job, _session
from duchenne.analysis.export.bids import _place_of_video
from duchenne.analysis.export.bids_files import BidsName
from duchenne.analysis.export.bids_gaze import write_gaze
from duchenne.analysis.export.bids_streams import write_streams
from duchenne.analysis.export.private import PrivateNames
from duchenne.analysis.export.videos import write_videos
from duchenne.analysis.paths import analysis_paths
from duchenne.recorder.archive import seal
from duchenne.recorder.journal import Journal
from duchenne.recorder.recording import Recording
from duchenne.recorder.streams import GAZE_CHANNELS, Channel, StreamInfo

if TYPE_CHECKING:
    from pathlib import Path

NAME = BidsName("P01", "01", "test", "01")
RATE_HZ = 50.0


def test_a_regular_stream_becomes_a_physio_recording_and_sound_stays(tmp_path: Path) -> None:
    meta = {"participant": "P01", "session": "01", "run": "01", "task": "test", "screen": None}
    meta |= {"created_utc": "2026-01-01T00:00:00Z", "protocol_name": "", "protocol_yaml": ""}
    meta |= {"protocol_hash": "", "stimuli_source": "", "stimuli": {}}
    channels = (Channel("Left hand", "EDA", "uS"), Channel("Left hand", "EDA", "uS"))
    times = 2 + np.arange(200) / RATE_HZ
    values = np.column_stack([np.arange(200), np.arange(200) / 2])
    with Journal.create(tmp_path / "s.journal", meta) as journal:
        eda = StreamInfo("EDA-left", "EDA", "e", "u1", "host", "double64", RATE_HZ, 2, channels)
        _add(journal, eda, times, values)
        sound = StreamInfo("Microphone", "Audio", "a", "u2", "host", "double64", RATE_HZ)
        _add(journal, sound, times, values[:, :1])
    file = seal(tmp_path / "s.journal", tmp_path / "s.h5")
    out = tmp_path / "out"
    out.mkdir()
    with Recording.open(file) as recording:
        notes = write_streams(recording, out, NAME)
        first = recording.streams["EDA-left"].times_s[0]
    stem = "sub-P01_ses-01_task-test_run-01_recording-EDAleft_physio"
    assert sorted(path.name for path in out.iterdir()) == [f"{stem}.json", f"{stem}.tsv.gz"]
    sidecar = json.loads((out / f"{stem}.json").read_text())
    assert sidecar["Columns"] == ["timestamp", "left_hand", "left_hand_2"]
    assert sidecar["SamplingFrequency"] == pytest.approx(RATE_HZ)
    assert sidecar["StartTime"] == pytest.approx(first, abs=1e-6)
    assert sidecar["left_hand"]["Units"] == "uS"
    frame = pd.read_csv(out / f"{stem}.tsv.gz", sep="\t", names=sidecar["Columns"])
    assert frame["left_hand_2"].tolist() == values[:, 1].tolist()
    assert notes == [f"{NAME.stem}: the sound of Microphone is not exported, it may hold a voice."]


@pytest.mark.parametrize(
    ("answer", "leaves"), [("agree", True), ("yes", True), ("no", False), (None, False)]
)
def test_video_leaves_only_with_consent_to_share_it(
    tmp_path: Path, answer: str | None, leaves: bool
) -> None:
    from PIL import Image

    image = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 90, 90)).save(image, "JPEG")
    given: dict[str, Any] = {"form": "consent", "field": "share_video", "value": answer}
    agreed = (0.1, "rating_response", {"form": "consent", "field": "answer", "value": "agree"})
    file = write_session(
        tmp_path / "s.h5",
        markers=[agreed] + ([(0.2, "rating_response", given)] if answer else []),
        frames=(np.arange(10) / 30 + 1, [image.getvalue()] * 10),
    )
    out = tmp_path / "out"
    with Recording.open(file) as recording:
        session = _session(file, recording)
    options = ExportOptions(video="original")
    job = Job(tmp_path, out, "bids", (session,), PrivateNames(), options, lambda *_: None)
    write_videos(job, _place_of_video)
    films = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.mp4"))
    place = f"sourcedata/{NAME.folder}/{NAME.stem}_video.mp4"
    assert films == ([place] if leaves else [])
    assert bool(job.notes) != leaves
    for path in out.rglob("*"):
        assert not path.is_file() or str(tmp_path).encode() not in path.read_bytes()


def test_of_several_gaze_streams_the_analysed_one_is_exported(tmp_path: Path) -> None:
    channels = tuple(Channel(*values) for values in GAZE_CHANNELS)
    other = StreamInfo(
        "A-tracker", "Gaze", "a", "u9", "host", "double64", 60.0, len(channels), channels
    )
    times = 1 + np.arange(120) / 60.0
    table = np.full((120, len(channels)), 0.9)
    file = write_session(
        tmp_path / "sub-P01_ses-01_task-test_run-01_session.h5",
        gaze=(times, {"left_x": np.full(120, 0.25), "left_y": np.full(120, 0.5)}),
        gaze_rate_hz=60.0,
        streams=[(other, times[:60], table[:60])],
    )
    with Recording.open(file) as recording:
        assert recording.of_type("Gaze")[0].key == "A-tracker"
        notes = write_gaze(recording, analysis_paths(file), tmp_path, NAME)
    stem = tmp_path / f"{NAME.stem}_recording-eye1_physio.tsv.gz"
    frame = pd.read_csv(stem, sep="\t", header=None, na_values="n/a")
    assert frame[1].unique().tolist() == [0.25 * SCREEN["width_px"]]
    assert "of 2 gaze streams the one that was analyzed is exported, Gaze." in notes[0]
