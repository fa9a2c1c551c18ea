"""A camera as the Linux kernel shows it: answers V4L2's requests and fills buffers on time."""

from __future__ import annotations

import errno
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from duchenne.recorder.sources import v4l2_layout as v4l2

MODES = (
    ("MJPG", 1280, 720, (30, 15)),
    ("MJPG", 640, 480, (30, 15)),
    ("YUYV", 640, 480, (30,)),
    ("YUYV", 1280, 720, (10,)),
)
BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Shot:
    """One frame: what is in the buffer, and the step of the sequence number since the last one."""

    data: bytes
    step: int = 1
    flags: int = v4l2.FLAG_TIMESTAMP_MONOTONIC | v4l2.FLAG_SOURCE_START_OF_EXPOSURE


@dataclass
class StandInCamera:
    """The kernel's side of a camera that repeats some frames.

    Attributes
    ----------
    shots : list of Shot
        Delivered in turn, over and over.
    rate_hz : float
        Real rate; the one that is told follows the request.
    gone_after : int, optional
        Number of frames after which the device vanishes.
    silent_after : int, optional
        Number of frames after which nothing comes any more.
    """

    shots: list[Shot]
    rate_hz: float = 30.0
    modes: tuple[tuple[str, int, int, tuple[int, ...]], ...] = MODES
    gone_after: int | None = None
    silent_after: int | None = None
    busy: bool = False
    capabilities: int = v4l2.CAP_VIDEO_CAPTURE | v4l2.CAP_STREAMING
    first_sequence: int = 0
    controls: dict[int, list[int]] = field(
        default_factory=lambda: {  # value, least, most
            v4l2.CID_EXPOSURE_AUTO: [3, 0, 3],
            v4l2.CID_EXPOSURE_ABSOLUTE: [156, 3, 2047],
            v4l2.CID_EXPOSURE_AUTO_PRIORITY: [1, 0, 1],
            v4l2.CID_GAIN: [64, 0, 255],
            v4l2.CID_AUTO_WHITE_BALANCE: [1, 0, 1],
            v4l2.CID_WHITE_BALANCE_TEMPERATURE: [4300, 2800, 6500],
            v4l2.CID_POWER_LINE_FREQUENCY: [1, 0, 2],
        }
    )

    def __post_init__(self) -> None:
        self.buffers: list[bytearray] = []
        self.queued: list[int] = []
        self.streaming = False
        self.closed = False
        self.delivered: list[tuple[bytes, float, int]] = []
        self.lock = threading.Lock()
        self._begun_s = 0.0
        self._n = 0
        self._sequence = self.first_sequence - 1

    def ioctl(self, request: int, argument: Any) -> None:
        assert not self.closed, "a request to a closed device"
        names = {value: name for name, value in vars(v4l2).items() if name.isupper()}
        getattr(self, f"_{names[request].lower()}")(argument)

    def map(self, length: int, offset: int) -> bytearray:
        assert length == BUFFER_BYTES
        return self.buffers[offset // BUFFER_BYTES]

    def wait(self, timeout_s: float) -> bool:
        if self.gone_after is not None and self._n >= self.gone_after:
            raise OSError(errno.ENODEV, "No such device")
        if self.silent_after is not None and self._n >= self.silent_after:
            time.sleep(timeout_s)
            return False
        left_s = self._due_s() - time.monotonic()
        time.sleep(min(max(left_s, 0.0), timeout_s))
        return left_s <= timeout_s

    def close(self) -> None:
        self.closed = True

    def _due_s(self) -> float:
        return self._begun_s + (self._n + 1) / self.rate_hz

    def _querycap(self, answer: v4l2.Capability) -> None:
        answer.card = b"Stand-in camera"
        answer.capabilities = v4l2.CAP_DEVICE_CAPS | v4l2.CAP_VIDEO_CAPTURE
        answer.device_caps = self.capabilities

    def _enum_fmt(self, answer: v4l2.FormatDescription) -> None:
        names = list(dict.fromkeys(mode[0] for mode in self.modes))
        answer.pixelformat = v4l2.fourcc(_at(names, answer.index))

    def _enum_framesizes(self, answer: v4l2.FrameSize) -> None:
        name = v4l2.fourcc_text(answer.pixel_format)
        sizes = [mode[1:3] for mode in self.modes if mode[0] == name]
        answer.type = v4l2.DISCRETE
        answer.width, answer.height = _at(sizes, answer.index)

    def _enum_frameintervals(self, answer: v4l2.FrameInterval) -> None:
        key = (v4l2.fourcc_text(answer.pixel_format), answer.width, answer.height)
        rates = next(mode[3] for mode in self.modes if mode[:3] == key)
        answer.interval.numerator, answer.interval.denominator = 1, _at(rates, answer.index)

    def _s_fmt(self, answer: v4l2.Format) -> None:
        if self.busy:
            raise OSError(errno.EBUSY, "Device or resource busy")
        name = v4l2.fourcc_text(answer.pixelformat)
        same = [m for m in self.modes if m[0] == name] or list(self.modes)
        best = min(same, key=lambda m: abs(m[1] - answer.width) + abs(m[2] - answer.height))
        answer.pixelformat, answer.width, answer.height = v4l2.fourcc(best[0]), best[1], best[2]
        answer.bytesperline = 0 if best[0] == "MJPG" else 2 * best[1]
        self._mode = best

    def _s_parm(self, answer: v4l2.StreamParameters) -> None:
        wanted = answer.timeperframe.denominator / answer.timeperframe.numerator
        rate = min(self._mode[3], key=lambda r: abs(r - wanted))
        answer.timeperframe.numerator, answer.timeperframe.denominator = 1, rate

    def _reqbufs(self, answer: v4l2.BufferRequest) -> None:
        answer.count = min(answer.count, 4)
        self.buffers = [bytearray(BUFFER_BYTES) for _ in range(answer.count)]

    def _querybuf(self, answer: v4l2.Buffer) -> None:
        answer.length, answer.offset = BUFFER_BYTES, answer.index * BUFFER_BYTES

    def _qbuf(self, buffer: v4l2.Buffer) -> None:
        assert buffer.index not in self.queued, "a buffer was queued twice"
        self.queued.append(buffer.index)

    def _dqbuf(self, answer: v4l2.Buffer) -> None:
        if time.monotonic() < self._due_s() or not self.queued:
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        stamp_s = self._due_s()
        shot = self.shots[self._n % len(self.shots)]
        self._n += 1
        self._sequence = (self._sequence + shot.step) % 2**32
        answer.index = self.queued.pop(0)
        self.buffers[answer.index][: len(shot.data)] = shot.data
        answer.bytesused, answer.flags, answer.sequence = len(shot.data), shot.flags, self._sequence
        answer.sec, answer.usec = int(stamp_s), int(1e6 * (stamp_s % 1))
        with self.lock:
            self.delivered.append((shot.data, answer.sec + answer.usec * 1e-6, self._sequence))

    def _streamon(self, _argument: v4l2.BufferType) -> None:
        self.streaming, self._begun_s = True, time.monotonic()

    def _streamoff(self, _argument: v4l2.BufferType) -> None:
        self.streaming = False

    def _queryctrl(self, answer: v4l2.ControlQuery) -> None:
        _value, answer.minimum, answer.maximum = self._control(answer.id)

    def _g_ctrl(self, answer: v4l2.Control) -> None:
        answer.value = self._control(answer.id)[0]

    def _s_ctrl(self, answer: v4l2.Control) -> None:
        self._control(answer.id)[0] = answer.value

    def _control(self, number: int) -> list[int]:
        if number not in self.controls:
            raise OSError(errno.EINVAL, "Invalid argument")
        return self.controls[number]


def _at(values: Any, index: int) -> Any:
    if index >= len(values):
        raise OSError(errno.EINVAL, "Invalid argument")
    return values[index]
