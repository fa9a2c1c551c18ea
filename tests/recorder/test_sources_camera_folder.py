"""A folder of pictures as camera, OpenCV's way to a camera, and H.264 in place of JPEG."""

from __future__ import annotations

import base64
import threading
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest
from support.sources import Heard, collect, listening, serving

from duchenne.recorder.sources.base import CountingOutlet
from duchenne.recorder.sources.camera_encode import encode_jpeg, make_encoder
from duchenne.recorder.sources.camera_grabber import Controls, Wanted
from duchenne.recorder.sources.camera_live import LiveCamera
from duchenne.recorder.sources.camera_opencv import OpenCvGrabber, exposure_value
from duchenne.recorder.sources.film import JpegPicture
from duchenne.recorder.sources.image_folder import ImageFolder, letterboxed
from duchenne.recorder.sources.registry import create_source
from duchenne.recorder.streams import describe
from duchenne.recorder.video_packets import codec_of, is_key_frame, make_decoder
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

CLIP = str(files("duchenne.recorder.sources") / "data" / "participant" / "surprise.mp4")


def _write(path: Path, level: int, size: tuple[int, int] = (160, 120)) -> Path:
    picture = np.full((size[1], size[0], 3), level, np.uint8)
    assert cv2.imwrite(str(path), picture)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder whose pictures grow brighter in natural order, of two formats."""
    for number, name in enumerate(("f1.jpg", "f2.png", "F9.jpg", "f10.bmp", "f100.jpg")):
        _write(tmp_path / name, 40 * number)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_pictures_come_in_natural_order(folder: Path) -> None:
    found = ImageFolder.open(folder, rate_hz=10)
    assert [p.path.name for p in found.pictures] == [
        "f1.jpg",
        "f2.png",
        "F9.jpg",
        "f10.bmp",
        "f100.jpg",
    ]
    assert (found.width_px, found.height_px) == (160, 120)
    frames = list(found.frames())
    assert [f.time_s for f in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    levels = [frame.picture.bgr() for frame in frames]
    assert [p.mean() for p in levels if p is not None] == pytest.approx(
        [0, 40, 80, 120, 160], abs=2
    )
    assert frames[0].picture.jpeg == (folder / "f1.jpg").read_bytes()
    assert frames[1].picture.jpeg is None


def test_a_folder_plays_as_a_camera(folder: Path, unique_name: str) -> None:
    heard, told = Heard(), Heard()
    with (
        serving("camera", unique_name, {"device": str(folder), "rate_hz": "20"}),
        listening(unique_name) as inlet,
        listening(f"{unique_name}-frames") as frames_inlet,
    ):
        info = describe(inlet.info())
        collect(inlet, heard, 0.8)
        collect(frames_inlet, told, 0.2)
    assert info.nominal_srate_hz == 20
    assert (info.described("encoding/width"), info.latency_source) == ("160", "unknown")
    assert np.diff(heard.stamps) == pytest.approx(0.05, abs=1e-3)
    rows = {round(t, 6): row for t, row in zip(told.stamps, told.rows, strict=True)}
    matched = [
        (rows[round(t, 6)], text)
        for t, text in zip(heard.stamps, heard.rows, strict=True)
        if round(t, 6) in rows
    ]
    assert len(matched) > 10
    for (_number, media_frame, _time_s, _loop), text in matched:
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)
        assert picture.mean() == pytest.approx(40 * media_frame, abs=3)


def test_mixed_sizes_are_refused_or_fitted(folder: Path) -> None:
    _write(folder / "f3.png", 255, (400, 120))
    with pytest.raises(DuchenneError, match=r"f3.png is 400×120, f1.jpg is 160×120: .*letterbox"):
        ImageFolder.open(folder)
    fitted = list(ImageFolder.open(folder, letterbox=True).frames())[2].picture.bgr()
    assert fitted is not None
    assert fitted.shape == (120, 160, 3)
    assert fitted[:35].max() == 0
    assert fitted[40:80].min() > 250
    assert letterboxed(np.full((10, 10, 3), 9, np.uint8), 40, 20)[:, 10:30].min() == 9


@pytest.mark.parametrize("content", [None, b"", b"\xff\xd8 broken"])
def test_unusable_folders_are_told(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    message = "No pictures in" if content is None else "a.jpg cannot be decoded"
    source = create_source("camera", "folder", {"device": str(tmp_path)})
    with pytest.raises(DuchenneError, match=message), source:
        pass


def test_opencv_delivers_until_the_device_ends(
    unique_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    grabber = OpenCvGrabber(CLIP, Wanted())
    assert (grabber.mode.width_px, grabber.mode.height_px, grabber.mode.rate_hz) == (640, 480, 30)
    assert grabber.apply(Controls(exposure_ms=10, power_line_hz=50))
    assert isinstance(grabber.lock(Controls()), list)
    mode = grabber.mode
    encoder = make_encoder("mjpg", width_px=640, height_px=480, rate_hz=mode.rate_hz)
    live = LiveCamera(unique_name, CLIP, grabber, encoder)
    live.settle(0.0)
    assert [label for label, _ in live.channels] == ["device_time", "damaged"]
    outlet = _Kept()
    with pytest.raises(DuchenneError, match="stopped delivering after 176 frames"):
        live.run(outlet, None, threading.Event())
    grabber.close()
    assert len(outlet.packets) == 176
    assert np.all(np.diff(outlet.stamps) > 0)
    decoded = make_decoder("MJPG").decode(base64.b64decode(outlet.packets[0]))
    assert decoded is not None
    assert decoded.shape == (480, 640, 3)


def test_exposures_of_directshow_are_powers_of_two() -> None:
    assert [exposure_value(ms) for ms in (1000, 500, 15.6, 1)] == [0, -1, -6, -10]


class _Kept:
    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.stamps: list[float] = []

    def push_chunk(self, x: Any, timestamp: Any, pushthrough: bool = True) -> None:
        assert pushthrough
        self.packets += x
        self.stamps += timestamp


@pytest.mark.parametrize("keyframe_every", [1, 10])
def test_h264_gives_one_packet_a_frame(keyframe_every: int, unique_name: str) -> None:
    settings = {"device": CLIP, "codec": "h264", "keyframe_every": str(keyframe_every)}
    settings["loop"] = "false"
    kept = _Kept()
    stop = threading.Event()
    with create_source("camera", unique_name, settings) as source:
        info = describe(source.info)
        timer = threading.Timer(1.5, stop.set)
        timer.start()
        source.run(kept, stop)
        timer.join()
    assert codec_of(info) == "H264"
    packets = [base64.b64decode(packet) for packet in kept.packets]
    assert len(packets) > 30
    keys = [is_key_frame(packet, "H264") for packet in packets]
    assert keys == [n % keyframe_every == 0 for n in range(len(packets))]
    decoder = make_decoder("H264")
    with av.open(CLIP) as container:
        for packet, frame in zip(packets[:30], container.decode(video=0), strict=False):
            picture = decoder.decode(packet)
            assert picture is not None
            raw = frame.to_ndarray(format="rgb24").astype(float)
            assert np.abs(picture - raw).mean() < 4


def test_h264_frames_after_damage_wait_for_the_next_key_frame() -> None:
    encoder = make_encoder("h264", width_px=160, height_px=120, rate_hz=30, keyframe_every=5)
    pattern = np.random.default_rng(1).integers(0, 255, (120, 160, 3), np.uint8)
    pictures = [np.roll(pattern, n, axis=1) for n in range(15)]
    packets = [encoder.encode(JpegPicture(encode_jpeg(p))) for p in pictures]
    packets[6] = packets[6][: len(packets[6]) // 3]
    packets[12] = b""
    decoder = make_decoder("H264")
    missing = [n for n, packet in enumerate(packets) if decoder.decode(packet) is None]
    assert missing == [6, 7, 8, 9, 12, 13, 14]
    late = make_decoder("H264")
    assert [late.decode(p) is None for p in packets[3:6]] == [True, True, False]


def test_h264_needs_an_even_size() -> None:
    with pytest.raises(DuchenneError, match="even width and height, not 161×120"):
        make_encoder("h264", width_px=161, height_px=120, rate_hz=30)


def test_a_film_as_h264_ends(unique_name: str, folder: Path) -> None:
    settings = {"device": str(folder), "loop": "false", "codec": "h264", "rate_hz": "100"}
    with create_source("camera", unique_name, settings) as source:
        outlet = CountingOutlet(source.info)
        source.run(outlet, threading.Event())
    assert outlet.n == 5
