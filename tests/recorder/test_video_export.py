"""`duchenne video`: packets copied as they are, times within a millisecond, nothing left out."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from support.sessions import START_LSL_S, _add, write_session

from duchenne.recorder.archive import seal
from duchenne.recorder.journal import Journal
from duchenne.recorder.recording import Recording
from duchenne.recorder.sources.camera_encode import encode_jpeg, make_encoder
from duchenne.recorder.sources.film import JpegPicture
from duchenne.recorder.streams import StreamInfo
from duchenne.recorder.video_export import export_video, ticks_of
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

N = 40
PICTURES = [np.full((120, 160, 3), 5 * n, np.uint8) for n in range(N)]
JPEGS = [encode_jpeg(picture) for picture in PICTURES]
IRREGULAR_S = np.cumsum(np.random.default_rng(3).uniform(0.02, 0.06, N)) + np.repeat([0, 7], 20)


def _demuxed(path: Path) -> tuple[list[bytes], np.ndarray]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.size]
        return [bytes(p) for p in packets], np.array([float(p.pts * p.time_base) for p in packets])


def _shown_by_opencv(path: Path) -> list[float]:
    capture = cv2.VideoCapture(str(path))
    levels = []
    while True:
        ok, picture = capture.read()
        if not ok:
            capture.release()
            return levels
        levels.append(float(picture.mean()))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_packets_and_times_are_kept(tmp_path: Path, suffix: str) -> None:
    file = write_session(tmp_path / "s.h5", frames=(IRREGULAR_S, JPEGS))
    out = tmp_path / f"face.{suffix}"
    with Recording.open(file) as recording:
        result = export_video(recording, out)
        times_s = recording.streams["FaceVideo"].times_s
    assert (result.n_frames, result.n_empty, result.n_undecodable, result.n_moved) == (N, 0, 0, 0)
    packets, pts_s = _demuxed(out)
    assert packets == JPEGS
    assert np.abs(pts_s - (times_s - times_s[0])).max() < 0.001
    assert _shown_by_opencv(out) == pytest.approx([5 * n for n in range(N)], abs=3)
    table = pd.read_csv(result.sidecar, sep="\t")
    assert table["frame"].tolist() == table["video_frame"].tolist() == list(range(N))
    assert table["time_s"].to_numpy() == pytest.approx(IRREGULAR_S, abs=1e-5)
    assert table["lsl_time_s"].to_numpy() == pytest.approx(IRREGULAR_S + START_LSL_S, abs=1e-5)
    assert table["video_time_s"].to_numpy() == pytest.approx(pts_s, abs=0.001)
    assert table["decodes"].all()
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"face.{suffix}", "face.tsv", "s.h5"]


def test_damaged_frames_are_kept_and_listed(tmp_path: Path) -> None:
    frames = list(JPEGS)
    frames[3], frames[7] = b"", JPEGS[7][:200]
    times_s = IRREGULAR_S.copy()
    times_s[11] = times_s[10] - 0.5
    file = write_session(tmp_path / "s.h5", frames=(times_s, frames))
    with Recording.open(file) as recording:
        result = export_video(recording, tmp_path / "face.mp4")
    assert (result.n_empty, result.n_undecodable, result.n_moved) == (1, 2, 1)
    packets, pts_s = _demuxed(tmp_path / "face.mp4")
    assert packets == [frame for frame in frames if frame]
    assert np.all(np.diff(pts_s) > 0)
    table = pd.read_csv(result.sidecar, sep="\t")
    assert len(table) == N
    assert table.index[~table["decodes"]].tolist() == [3, 7]
    assert table.index[table["video_frame"].isna()].tolist() == [3]
    assert table["video_frame"].dropna().tolist() == list(range(N - 1))


def _h264_session(path: Path, packets: list[bytes]) -> Path:
    xml = "<info><desc><encoding><codec>H264</codec></encoding></desc></info>"
    info = StreamInfo(
        "Side/view", "VideoCompressed", "cam-2", "u9", "host", "string", 30.0, info_xml=xml
    )
    with Journal.create(path.with_suffix(".journal"), {}) as journal:
        _add(journal, info, IRREGULAR_S, [[base64.b64encode(p)] for p in packets])
    return seal(path.with_suffix(".journal"), path)


def _nal_units(packet: bytes) -> list[bytes]:
    return [unit.rstrip(b"\0") for unit in re.split(rb"\x00\x00\x01", packet) if unit.rstrip(b"\0")]


def test_h264_is_copied_too(tmp_path: Path) -> None:
    encoder = make_encoder("h264", width_px=160, height_px=120, rate_hz=30, keyframe_every=10)
    packets = [encoder.encode(JpegPicture(jpeg)) for jpeg in JPEGS]
    file = _h264_session(tmp_path / "s.h5", packets)
    with Recording.open(file) as recording:
        result = export_video(recording, tmp_path / "side.mp4", stream_name="Side/view")
    assert result.n_undecodable == 0
    with av.open(str(tmp_path / "side.mp4")) as container:
        stream = container.streams.video[0]
        start_codes = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", stream)
        copied = [bytes(q) for p in container.demux(stream) for q in start_codes.filter(p)]
    copied = [packet for packet in copied if packet]
    assert len(copied) == N
    for packet, original in zip(copied, packets, strict=True):
        assert _nal_units(packet)[-1] == _nal_units(original)[-1]
    assert _shown_by_opencv(tmp_path / "side.mp4") == pytest.approx(
        [5 * n for n in range(N)], abs=4
    )


def test_times_always_rise() -> None:
    ticks = ticks_of(np.array([10.0, 10.1, 10.1, np.nan, 9.0, 10.2]))
    assert ticks.tolist() == [0, 9000, 9001, 9002, 9003, 18000]


def test_refusals(tmp_path: Path) -> None:
    file = write_session(tmp_path / "s.h5", frames=(IRREGULAR_S, JPEGS))
    plain = write_session(tmp_path / "plain.h5")
    broken = write_session(tmp_path / "broken.h5", frames=([0.0, 0.1], [b"x", b"\xff\xd8"]))
    (tmp_path / "there.tsv").write_text("mine")
    with Recording.open(file) as recording:
        with pytest.raises(UsageError, match=r"ends with \.mp4 or \.mkv"):
            export_video(recording, tmp_path / "face.avi")
        with pytest.raises(DuchenneError, match=r"there\.tsv exists and is never overwritten"):
            export_video(recording, tmp_path / "there.mp4")
        with pytest.raises(DuchenneError, match="no video Gaze; it has FaceVideo"):
            export_video(recording, tmp_path / "face.mp4", stream_name="Gaze")
        with pytest.raises(DuchenneError, match="There is no folder"):
            export_video(recording, tmp_path / "none" / "face.mp4")
    with (
        Recording.open(plain) as recording,
        pytest.raises(DuchenneError, match="holds no video stream"),
    ):
        export_video(recording, tmp_path / "face.mp4")
    with (
        Recording.open(broken) as recording,
        pytest.raises(DuchenneError, match="no frame that can be decoded"),
    ):
        export_video(recording, tmp_path / "face.mp4")
    assert not list(tmp_path.glob("face*"))
    assert (tmp_path / "there.tsv").read_text() == "mine"


def test_the_command_names_what_it_wrote(tmp_path: Path) -> None:
    file = write_session(tmp_path / "s.h5", frames=(IRREGULAR_S, JPEGS))
    arguments = [sys.executable, "-m", "duchenne.cli", "video", str(file), "--out"]
    out = str(tmp_path / "face.mkv")
    done = subprocess.run(
        [*arguments, out], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"Wrote {out}"
    again = subprocess.run(
        [*arguments, out], check=False, capture_output=True, text=True, timeout=60
    )
    assert again.returncode == 1
    assert again.stderr.startswith(f"duchenne: {out} exists and is never overwritten")


def test_frames_without_any_time_are_copied(tmp_path: Path) -> None:
    file = write_session(tmp_path / "s.h5", frames=(np.full(3, np.nan), JPEGS[:3]))
    with Recording.open(file) as recording:
        result = export_video(recording, tmp_path / "face.mp4")
    assert (result.n_frames, result.n_moved) == (3, 3)
