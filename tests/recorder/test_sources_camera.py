"""The camera in front of a film: frames, times, loops, and what is told without a picture."""

from __future__ import annotations

import base64
import threading
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from support.sources import Heard, collect, listening, serving

from duchenne.recorder.sources.base import CountingOutlet
from duchenne.recorder.sources.camera_encode import JpegEncoder
from duchenne.recorder.sources.film import Film, FilmFrame
from duchenne.recorder.sources.registry import create_source
from duchenne.recorder.streams import describe
from duchenne.stimuli.errors import DuchenneError

CLIP = Path(str(files("duchenne.recorder.sources") / "data" / "participant" / "surprise.mp4"))
IRREGULAR_S = (0.0, 0.04, 0.12, 0.2, 0.22, 0.4)


def encode(frame: FilmFrame) -> bytes:
    return JpegEncoder().encode(frame.picture)


def _write_film(path: Path, codec: str, pixel_format: str, times_s: tuple[float, ...]) -> Path:
    """Write grey frames whose brightness is 20 times their number, at the given times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, pixel_format
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, time_s in enumerate(times_s):
            picture = np.full((120, 160, 3), 20 * number, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _brightness(jpeg: bytes) -> float:
    return float(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE).mean())


def test_a_film_is_read_frame_by_frame() -> None:
    film = Film.open(CLIP)
    assert (film.width_px, film.height_px, film.rate_hz) == (640, 480, 30.0)
    assert not film.is_jpeg
    frames = list(film.frames())
    assert [f.number for f in frames] == list(range(180))
    assert [f.time_s for f in frames] == pytest.approx([n / 30 for n in range(180)], abs=1e-3)
    decoded = cv2.imdecode(np.frombuffer(encode(frames[0]), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (480, 640, 3)


def test_irregular_frame_times_are_kept(tmp_path: Path) -> None:
    film = Film.open(_write_film(tmp_path / "vfr.mkv", "mpeg4", "yuv420p", IRREGULAR_S))
    frames = list(film.frames())
    assert [f.time_s for f in frames] == pytest.approx(IRREGULAR_S, abs=2e-3)
    shown = [_brightness(encode(f)) for f in frames]
    assert shown == pytest.approx([20.0 * n for n in range(6)], abs=6)


def test_jpeg_films_pass_through_untouched(tmp_path: Path) -> None:
    path = _write_film(tmp_path / "film.mkv", "mjpeg", "yuvj420p", IRREGULAR_S)
    film = Film.open(path)
    assert film.is_jpeg
    with av.open(str(path)) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    assert [encode(f) for f in film.frames()] == packets
    assert [f.time_s for f in film.frames()] == pytest.approx(IRREGULAR_S, abs=2e-3)


def test_a_looped_film_tells_its_frames(tmp_path: Path, unique_name: str) -> None:
    times_s = tuple(n / 25 for n in range(10))
    path = _write_film(tmp_path / "short.mkv", "mpeg4", "yuv420p", times_s)
    video, told = Heard(), Heard()
    settings = {"device": str(path)}
    with (
        serving("camera", unique_name, settings),
        listening(unique_name) as inlet,
        listening(f"{unique_name}-frames") as frames_inlet,
    ):
        info = describe(frames_inlet.info())
        collect(inlet, video, 1.5)
        collect(frames_inlet, told, 0.2)
    assert (info.name, info.type) == ("FaceVideoFrames", "VideoFrames")
    assert [c.label for c in info.channels] == [
        "frame_number",
        "media_frame",
        "media_time_s",
        "loop",
    ]
    rows = {round(t, 6): row for t, row in zip(told.stamps, told.rows, strict=True)}
    matched = [
        (packet, rows[round(t, 6)])
        for t, packet in zip(video.stamps, video.rows, strict=True)
        if round(t, 6) in rows
    ]
    assert len(matched) > 25
    for packet, (frame, media_frame, media_time_s, loop) in matched:
        assert frame == loop * 10 + media_frame
        assert media_time_s == pytest.approx(media_frame / 25, abs=2e-3)
        assert _brightness(base64.b64decode(packet)) == pytest.approx(20 * media_frame, abs=8)
    assert len({row[3] for _, row in matched}) >= 3
    assert np.diff(video.stamps) == pytest.approx(np.full(len(video.stamps) - 1, 0.04), abs=2e-3)


def test_a_film_that_is_not_looped_ends(tmp_path: Path, unique_name: str) -> None:
    path = _write_film(tmp_path / "short.mkv", "mpeg4", "yuv420p", (0.0, 0.04, 0.08))
    with create_source("camera", unique_name, {"device": str(path), "loop": "false"}) as source:
        outlet = CountingOutlet(source.info)
        source.run(outlet, threading.Event())
    assert outlet.n == 3


def test_a_real_film_plays_at_its_own_rate(shared_folder: Path, unique_name: str) -> None:
    heard = Heard()
    settings = {"device": str(shared_folder / "media" / "face_real.mp4")}
    with serving("camera", unique_name, settings), listening(unique_name) as inlet:
        info = describe(inlet.info())
        collect(inlet, heard, 3.0)
    assert info.nominal_srate_hz == pytest.approx(24000 / 1001)
    assert np.diff(heard.stamps) == pytest.approx(
        np.full(len(heard.stamps) - 1, 1001 / 24000), abs=1e-3
    )
    picture = cv2.imdecode(
        np.frombuffer(base64.b64decode(heard.rows[-1]), np.uint8), cv2.IMREAD_COLOR
    )
    assert picture.shape == (360, 640, 3)


@pytest.mark.parametrize("content", [b"", b"no film at all\n" * 100, "cut"])
def test_an_unreadable_film_is_named(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(CLIP.read_bytes()[:3000] if isinstance(content, str) else content)
    with (
        pytest.raises(DuchenneError, match=r"Cannot read video from .*broken\.mp4"),
        create_source("camera", "broken", {"device": str(path)}),
    ):
        pass


def test_a_missing_film_is_named(tmp_path: Path) -> None:
    source = create_source("camera", "missing", {"device": str(tmp_path / "none.mp4")})
    with pytest.raises(DuchenneError, match=r"No video file at .*none\.mp4"), source:
        pass


@pytest.mark.parametrize("device", ["99", "/dev/video99"])
def test_no_camera_is_told_in_one_line(device: str, capfd: pytest.CaptureFixture[str]) -> None:
    source = create_source("camera", "nothing", {"device": device})
    with pytest.raises(DuchenneError, match=f"No camera {device}: .*video file") as caught, source:
        pass
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
