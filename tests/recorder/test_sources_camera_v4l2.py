"""A camera through the kernel's interface: requests, stamps, counts, controls, and its end."""

from __future__ import annotations

import base64
import ctypes
import threading
import time
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pylsl
import pytest
from support.sources import Heard, collect, listening, serving
from support.v4l2_stand_in import MODES, Shot, StandInCamera

from duchenne.recorder.sources import v4l2, v4l2_controls
from duchenne.recorder.sources import v4l2_layout as layout
from duchenne.recorder.sources.camera_encode import encode_jpeg, with_huffman_tables
from duchenne.recorder.sources.camera_grabber import (
    CameraGoneError,
    Controls,
    FrameCounter,
    MonotonicToLsl,
    Wanted,
)
from duchenne.recorder.sources.camera_live import RateCheck
from duchenne.recorder.sources.registry import create_source
from duchenne.recorder.streams import describe
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = {  # from linux/videodev2.h, compiled
    "QUERYCAP": 0x80685600,
    "ENUM_FMT": 0xC0405602,
    "S_FMT": 0xC0D05605,
    "REQBUFS": 0xC0145608,
    "QUERYBUF": 0xC0585609,
    "QBUF": 0xC058560F,
    "DQBUF": 0xC0585611,
    "STREAMON": 0x40045612,
    "STREAMOFF": 0x40045613,
    "S_PARM": 0xC0CC5616,
    "G_CTRL": 0xC008561B,
    "S_CTRL": 0xC008561C,
    "QUERYCTRL": 0xC0445624,
    "ENUM_FRAMESIZES": 0xC02C564A,
    "ENUM_FRAMEINTERVALS": 0xC034564B,
}
GREY = [np.full((480, 640, 3), 20 * n, np.uint8) for n in range(4)]
JPEGS = [encode_jpeg(picture) for picture in GREY]


def _grabber(camera: StandInCamera, **wanted: object) -> v4l2.V4l2Grabber:
    return v4l2.V4l2Grabber("/dev/video7", Wanted(**wanted), camera)  # type: ignore[arg-type]


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Callable[[StandInCamera], None]:
    """Return a function that makes a camera the one that every device path opens."""
    return lambda camera: monkeypatch.setattr(v4l2, "KernelDevice", lambda _path: camera)


def test_requests_and_structures_are_those_of_the_kernel() -> None:
    assert {name: getattr(layout, name) for name in NUMBERS} == NUMBERS
    offsets = {
        name: getattr(layout.Buffer, name).offset
        for name in ("sec", "timecode", "sequence", "memory", "offset", "length")
    }
    assert offsets == {
        "sec": 24,
        "timecode": 40,
        "sequence": 56,
        "memory": 60,
        "offset": 64,
        "length": 72,
    }
    assert (ctypes.sizeof(layout.Format), layout.Format.width.offset) == (208, 8)


def test_frames_go_through_untouched_with_the_kernels_stamps_and_numbers(
    plugged: Callable[[StandInCamera], None], unique_name: str
) -> None:
    torn = JPEGS[2][:1500]
    bad = Shot(JPEGS[3], flags=layout.FLAG_ERROR | layout.FLAG_TIMESTAMP_MONOTONIC)
    shots = [Shot(JPEGS[0]), Shot(JPEGS[1], step=3), Shot(torn), bad, Shot(JPEGS[0] + bytes(40))]
    camera = StandInCamera(shots, first_sequence=2**32 - 20)
    plugged(camera)
    video, told = Heard(), Heard()
    settings = {"device": "/dev/video7", "width_px": "640", "height_px": "480", "settle_s": "0.1"}
    settings |= {"label": "left profile", "device_latency_s": "0.05"}
    with (
        serving("camera", unique_name, settings),
        listening(unique_name) as inlet,
        listening(f"{unique_name}-frames") as frames_inlet,
    ):
        info, frames_info = describe(inlet.info()), describe(frames_inlet.info())
        collect(inlet, video, 1.6)
        collect(frames_inlet, told, 0.2)
    assert [c.label for c in frames_info.channels] == ["frame_number", "device_time", "damaged"]
    assert info.described("acquisition/time_stamps") == "kernel, start of exposure"
    assert info.described("acquisition/label") == "left profile"
    assert info.described("acquisition/held") == "exposure 15.6 ms, gain 64, white balance 4300 K"
    assert (info.device_latency_s, info.latency_source) == (0.05, "declared")
    assert camera.closed
    assert not camera.streaming
    with camera.lock:
        given = {round(stamp_s, 6): (data, n) for data, stamp_s, n in camera.delivered}
    to_lsl = MonotonicToLsl()
    rows = {round(t, 7): row for t, row in zip(told.stamps, told.rows, strict=True)}
    n_matched, numbers = 0, []
    for stamp_s, text in zip(video.stamps, video.rows, strict=True):
        row = rows.get(round(stamp_s, 7))
        if row is None:
            continue
        data, sequence = given[round(row[1], 6)]
        assert base64.b64decode(text) == data
        assert stamp_s == pytest.approx(to_lsl(row[1]), abs=1e-4)
        assert row[2] == (data in {torn, bad.data})
        assert row[0] % 2**32 == sequence
        numbers.append(row[0])
        n_matched += 1
    assert n_matched > 30
    assert max(numbers) > 2**32  # the counter went round without a jump
    assert set(np.diff(numbers)) == {1.0, 3.0}


def test_losses_are_counted_and_told(
    plugged: Callable[[StandInCamera], None], unique_name: str
) -> None:
    shots = [Shot(JPEGS[0])] * 4 + [Shot(JPEGS[0], step=3)]
    plugged(StandInCamera(shots, gone_after=23))
    source = create_source("camera", unique_name, {"device": "7", "lock": "false"})
    with source:
        outlet = pylsl.StreamOutlet(source.info)
        with pytest.raises(
            DuchenneError, match=r"Camera 7 stopped delivering after \d+ frames; ch"
        ):
            source.run(outlet, threading.Event())
    assert "8 lost by the camera's own count" in source.result


def test_a_silent_camera_is_told_within_four_seconds(
    plugged: Callable[[StandInCamera], None],
) -> None:
    plugged(StandInCamera([Shot(JPEGS[0])], silent_after=2))
    begun_s = time.monotonic()
    source = create_source("camera", "silent", {"device": "/dev/video7"})
    with pytest.raises(DuchenneError, match="gives no picture"), source:
        pass
    assert time.monotonic() - begun_s < 4.5


def test_modes_are_negotiated_and_verified(plugged: Callable[[StandInCamera], None]) -> None:
    camera = StandInCamera([Shot(JPEGS[0])])
    assert str(_grabber(camera).mode) == "MJPG 1280×720 at 30 Hz"
    raw = _grabber(StandInCamera([Shot(JPEGS[0])]), pixel_format="YUYV", rate_hz=30.0)
    assert str(raw.mode) == "YUYV 640×480 at 30 Hz"
    plugged(StandInCamera([Shot(JPEGS[0])]))
    settings = {"device": "7", "width_px": "1920", "height_px": "1080", "rate_hz": "60"}
    with (
        pytest.raises(DuchenneError, match="1280×720, not 1920×1080; 30 Hz, not 60 Hz") as caught,
        create_source("camera", "modes", settings),
    ):
        pass
    assert "--set exact=false" in str(caught.value)
    plugged(StandInCamera([Shot(JPEGS[0])]))
    with create_source("camera", "modes", settings | {"exact": "false", "lock": "false"}) as source:
        assert source.info.nominal_srate() == 30.0


def test_raw_pixels_are_encoded(plugged: Callable[[StandInCamera], None], unique_name: str) -> None:
    grey = np.tile(np.array([90, 128], np.uint8), (480, 640)).tobytes()
    plugged(StandInCamera([Shot(grey)], modes=MODES[2:3]))
    heard = Heard()
    settings = {"device": "7", "lock": "false", "quality": "95"}
    with serving("camera", unique_name, settings), listening(unique_name) as inlet:
        collect(inlet, heard, 0.5)
    picture = cv2.imdecode(
        np.frombuffer(base64.b64decode(heard.rows[0]), np.uint8), cv2.IMREAD_COLOR
    )
    assert picture.shape == (480, 640, 3)
    assert picture.mean() == pytest.approx((90 - 16) * 255 / 219, abs=2)


def test_short_raw_frames_are_flagged_and_kept() -> None:
    grey = np.tile(np.array([90, 128], np.uint8), (480, 640)).tobytes()
    grabber = _grabber(StandInCamera([Shot(grey), Shot(grey[:300_000])], modes=MODES[2:3]))
    frames = [grabber.grab(1.0), grabber.grab(1.0)]
    assert [f.damaged for f in frames if f is not None] == [False, True]
    assert [f.bgr().shape for f in frames if f is not None] == [(480, 640, 3)] * 2


def test_controls_are_set_and_held() -> None:
    camera = StandInCamera([Shot(JPEGS[0])])
    controls = Controls(exposure_ms=10.0, gain=20, power_line_hz=60)
    assert v4l2_controls.apply(camera, controls) == []
    values = {number: value[0] for number, value in camera.controls.items()}
    assert values[layout.CID_EXPOSURE_AUTO] == layout.EXPOSURE_MANUAL
    assert values[layout.CID_EXPOSURE_ABSOLUTE] == 100
    assert values[layout.CID_EXPOSURE_AUTO_PRIORITY] == 0
    assert values[layout.CID_POWER_LINE_FREQUENCY] == 2
    assert values[layout.CID_AUTO_WHITE_BALANCE] == 1
    held = v4l2_controls.lock(camera, controls)
    assert held == ["exposure 10 ms", "gain 20", "white balance 4300 K"]
    assert camera.controls[layout.CID_AUTO_WHITE_BALANCE][0] == 0
    with pytest.raises(DuchenneError, match=r"exposure_ms=1000: the camera takes 0.3 to 204.7"):
        v4l2_controls.apply(camera, Controls(exposure_ms=1000.0))
    del camera.controls[layout.CID_GAIN]
    assert v4l2_controls.apply(camera, Controls(gain=3)) == ["the camera has no control for gain"]


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        (StandInCamera([], busy=True), "used by another program"),
        (StandInCamera([], capabilities=layout.CAP_STREAMING), "no camera that streams"),
        (StandInCamera([], modes=(("H265", 640, 480, (30,)),)), "none of these can be read"),
    ],
)
def test_what_cannot_be_used_is_told(camera: StandInCamera, message: str) -> None:
    with pytest.raises(DuchenneError, match=message):
        _grabber(camera)
    assert camera.closed


def test_an_unplugged_camera_is_gone_at_once() -> None:
    grabber = _grabber(StandInCamera([Shot(JPEGS[0])], gone_after=2))
    assert grabber.grab(1.0) is not None
    assert grabber.grab(1.0) is not None
    with pytest.raises(CameraGoneError):
        grabber.grab(1.0)


def test_unbelievable_stamps_are_not_used() -> None:
    grabber = _grabber(StandInCamera([Shot(JPEGS[0], flags=0)]))
    first = grabber.grab(1.0)
    assert first is not None
    assert grabber.stamps == "grabbed"
    assert first.device_time_s < first.time_s


def test_cameras_are_listed() -> None:
    camera = v4l2.describe_camera(StandInCamera([]), "/dev/video7")
    assert camera.name == "Stand-in camera"
    assert [str(mode) for mode in camera.modes] == [
        "MJPG 1280×720 at 30 Hz",
        "MJPG 640×480 at 30 Hz",
        "YUYV 640×480 at 30 Hz",
        "YUYV 1280×720 at 10 Hz",
    ]
    assert isinstance(v4l2.list_cameras(), list)


def test_counters_that_stand_still_are_no_counters() -> None:
    count = FrameCounter()
    assert [count(n) for n in (2**32 - 2, 2**32 - 1, 1, 2)] == [
        2**32 - 2,
        2**32 - 1,
        2**32 + 1,
        2**32 + 2,
    ]
    still = FrameCounter()
    assert [still(0) for _ in range(3)] == [0, None, None]


def test_clocks_are_paired_by_the_narrowest_reading() -> None:
    readings = iter([0.0, 1.0, 5.0, 5.5, 10.0, 10.1, 20.0, 21.0, 30.0, 31.0])
    now = iter([5.0, 0.2, 5.2, 10.04, 20.5, 30.5, 30.5])
    to_lsl = MonotonicToLsl(lambda: next(now), lambda: next(readings))
    assert to_lsl(100.0) == pytest.approx(100.0 + 10.05 - 10.04)
    assert to_lsl.uncertainty_s == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("rate_hz", "told"),
    [
        (30.0, None),
        (15.0, "15.0 frames per second, not 30; more light"),
        (25.0, "ask for the rate"),
    ],
)
def test_a_wrong_rate_is_told_once(rate_hz: float, told: str | None) -> None:
    lines: list[str] = []
    check = RateCheck("FaceVideo", 30.0, lines.append)
    for n in range(300):
        check.add(n / rate_hz)
    assert len(lines) == (told is not None)
    assert told is None or told in lines[0]


def test_missing_huffman_tables_are_put_in() -> None:
    jpeg = JPEGS[1]
    bare, position = b"", 0
    while (found := jpeg.find(b"\xff\xc4", position)) >= 0:
        bare += jpeg[position:found]
        position = found + 2 + int.from_bytes(jpeg[found + 2 : found + 4], "big")
    bare += jpeg[position:]
    assert len(bare) < len(jpeg) - 400
    whole = with_huffman_tables(bare)
    assert np.array_equal(
        cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR),
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR),
    )
    assert with_huffman_tables(jpeg) == jpeg


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"power_line_hz": "55"}, "power_line_hz=55"),
        ({"exposure_ms": "-1"}, "exposure_ms=-1"),
        ({"codec": "vp9"}, "codec=vp9"),
        ({"pixel_format": "mjpeg"}, "pixel_format=mjpeg"),
        ({"exposure": "10"}, "did you mean"),
    ],
)
def test_options_are_checked(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_source("camera", "options", settings)


def test_an_exposure_that_cannot_be_locked_is_told(
    plugged: Callable[[StandInCamera], None], capsys: pytest.CaptureFixture[str]
) -> None:
    camera = StandInCamera([Shot(JPEGS[0])])
    del camera.controls[layout.CID_EXPOSURE_ABSOLUTE]
    plugged(camera)
    with create_source("camera", "unlocked", {"device": "7", "settle_s": "0"}) as source:
        held = describe(source.info).described("acquisition/held")
    assert held == "gain 64, white balance 4300 K"
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("notice: ")]
    assert told == [
        "notice: FaceVideo: exposure could not be locked: the camera may change it meanwhile."
    ]
