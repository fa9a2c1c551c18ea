"""What a camera is to us: something that hands over pictures with times, numbers and controls."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pylsl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

START_OF_IMAGE, END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
RATE_TOLERANCE = 0.01
PAIRED_READINGS = 5
REMEASURE_S = 10.0


class CameraGoneError(Exception):
    """The camera was unplugged or its driver gave up."""


@dataclass(frozen=True)
class CameraMode:
    """One way in which a camera delivers.

    Attributes
    ----------
    width_px, height_px : int
    rate_hz : float
        Frames per second, the highest of this size; 0 where the camera does not say.
    pixel_format : str
        Four characters, such as ``MJPG`` or ``YUYV``.
    """

    width_px: int
    height_px: int
    rate_hz: float
    pixel_format: str

    def __str__(self) -> str:
        rate = f" at {self.rate_hz:g} Hz" if self.rate_hz else ""
        return f"{self.pixel_format} {self.width_px}×{self.height_px}{rate}"


@dataclass(frozen=True)
class CameraInfo:
    """A camera that was found: its device path, its own name, and its modes."""

    device: str
    name: str
    modes: tuple[CameraMode, ...]


@dataclass(frozen=True)
class Wanted:
    """What to ask of a camera; None leaves the choice to us.

    Attributes
    ----------
    width_px, height_px, rate_hz : optional
    pixel_format : str
        ``auto`` (JPEG where the camera makes it), or four characters.
    """

    width_px: int | None = None
    height_px: int | None = None
    rate_hz: float | None = None
    pixel_format: str = "auto"


@dataclass(frozen=True)
class Controls:
    """Settings of the sensor; None leaves the camera's own.

    Attributes
    ----------
    exposure_ms : float, optional
    gain : int, optional
        In the camera's own units.
    white_balance_k : int, optional
        Colour temperature, kelvin.
    power_line_hz : int, optional
        50 or 60 against flicker of lamps; 0 switches the filter off.
    constant_rate : bool
        Forbid exposures so long that the frame rate drops.
    """

    exposure_ms: float | None = None
    gain: int | None = None
    white_balance_k: int | None = None
    power_line_hz: int | None = None
    constant_rate: bool = True


@dataclass(frozen=True)
class Grabbed:
    """One picture from a camera.

    Attributes
    ----------
    time_s : float
        LSL clock: the kernel's stamp where there is one, else when it was grabbed.
    frame_number : int or None
        The camera's or driver's own count; None where it does not count.
    device_time_s : float
        The stamp as the driver gave it, seconds; NaN where it gives none.
    jpeg : bytes or None
        The picture as the camera encoded it; None where it does not.
    pixels : callable or None
        Returns the picture as (height, width, 3) uint8 BGR, where there is no JPEG.
    damaged : bool
        The driver says so, or the JPEG breaks off.
    """

    time_s: float
    frame_number: int | None
    device_time_s: float
    jpeg: bytes | None = None
    pixels: Callable[[], npt.NDArray[np.uint8]] | None = None
    damaged: bool = False

    def bgr(self) -> npt.NDArray[np.uint8] | None:
        """Return the picture, (height, width, 3) uint8 BGR; None where it cannot be decoded."""
        if self.pixels is not None:
            return self.pixels()
        return None if self.jpeg is None else decode_bgr(self.jpeg)


class FrameGrabber(Protocol):
    """An open camera.

    Attributes
    ----------
    name : str
        What the camera calls itself.
    mode : CameraMode
        What it was set to; it has been verified.
    """

    name: str
    mode: CameraMode

    @property
    def stamps(self) -> str:
        """Where the time stamps come from, for the stream's description."""

    def grab(self, timeout_s: float) -> Grabbed | None:
        """Return the next picture; None where none came in time.

        Raises
        ------
        CameraGoneError
            Where the camera was unplugged.
        """

    def apply(self, controls: Controls) -> list[str]:
        """Set the sensor; return what the camera has no control for, one line each.

        Raises
        ------
        DuchenneError
            Where a value is outside of what the camera takes.
        """

    def lock(self, controls: Controls) -> list[str]:
        """Hold what the automatic controls have found; return what is held, such as ``gain 12``."""

    def close(self) -> None:
        """Let the camera go."""


def decode_bgr(data: bytes) -> npt.NDArray[np.uint8] | None:
    """Return an encoded picture as (height, width, 3) uint8 BGR, upright; None where damaged."""
    import cv2  # noqa: PLC0415 -- belongs to the extra [camera]

    if not data:
        return None
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if picture is None else np.asarray(picture, np.uint8)


def is_whole_jpeg(data: bytes) -> bool:
    """Return whether a JPEG has its beginning and its end; cameras may pad it with zeros."""
    return data.startswith(START_OF_IMAGE) and data.rstrip(b"\0").endswith(END_OF_IMAGE)


class MonotonicToLsl:
    """Takes the kernel's monotonic clock to the LSL clock by paired readings.

    Of a few readings of one clock between two of the other, the pair with the least time between
    counts; they are repeated every ten seconds.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        lsl: Callable[[], float] = pylsl.local_clock,
    ) -> None:
        self._monotonic, self._lsl = monotonic, lsl
        self._measured_at_s = -np.inf
        self.offset_s = 0.0
        self.uncertainty_s = np.inf

    def __call__(self, monotonic_s: float) -> float:
        """Return the LSL time of a monotonic time, both in seconds."""
        if self._monotonic() - self._measured_at_s > REMEASURE_S:
            self._measure()
        return monotonic_s + self.offset_s

    def _measure(self) -> None:
        readings = []
        for _ in range(PAIRED_READINGS):
            before_s, between_s, after_s = self._lsl(), self._monotonic(), self._lsl()
            readings.append(((after_s - before_s) / 2, (after_s + before_s) / 2 - between_s))
        self.uncertainty_s, self.offset_s = min(readings)
        self._measured_at_s = self._monotonic()


class FrameCounter:
    """A driver's 32-bit count of frames as a number that only rises; None where it stands still."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._number = 0
        self._n_still = 0

    def __call__(self, sequence: int) -> int | None:
        """Return the number of a frame."""
        if self._last is None:
            self._number = sequence
        else:
            step = (sequence - self._last) % 2**32
            self._n_still = self._n_still + 1 if step == 0 else 0
            self._number += step if step < 2**31 else 0
        self._last = sequence
        return None if self._n_still else self._number


def choose_mode(modes: Sequence[CameraMode], wanted: Wanted) -> CameraMode | None:
    """Return the mode nearest to what is wanted; None where there are no modes to choose from.

    Size comes first, then the rate (the wanted one or a higher one), then JPEG. Where no size is
    wanted it is the largest up to 1280 × 720 that reaches the rate, 25 Hz at least.
    """

    def strangeness(mode: CameraMode) -> tuple[float, ...]:
        width, height = wanted.width_px or 1280, wanted.height_px or 720
        rate = wanted.rate_hz or 25.0
        free = wanted.width_px is None and wanted.height_px is None
        slow = mode.rate_hz > 0 and mode.rate_hz < rate * (1 - RATE_TOLERANCE)
        large = mode.width_px > width or mode.height_px > height
        off = 0.0 if wanted.width_px is None and not free else abs(mode.width_px - width)
        off += 0.0 if wanted.height_px is None and not free else abs(mode.height_px - height)
        raw = mode.pixel_format not in JPEG_FORMATS
        return (slow, large, off, raw) if free else (off, slow, raw, 0.0)

    if wanted.pixel_format != "auto":
        modes = [m for m in modes if m.pixel_format == wanted.pixel_format]
    return min(modes, key=strangeness, default=None)


JPEG_FORMATS = frozenset({"MJPG", "JPEG"})


def differences(wanted: Wanted, given: CameraMode) -> str:
    """Return what a camera gives other than wanted, such as ``15 Hz, not 30 Hz``; empty if nothing."""
    found = []
    size = (wanted.width_px or given.width_px, wanted.height_px or given.height_px)
    if size != (given.width_px, given.height_px):
        found.append(f"{given.width_px}×{given.height_px}, not {size[0]}×{size[1]}")
    rate = wanted.rate_hz
    if rate and given.rate_hz and abs(given.rate_hz / rate - 1) > RATE_TOLERANCE:
        found.append(f"{given.rate_hz:g} Hz, not {rate:g} Hz")
    if wanted.pixel_format not in {"auto", given.pixel_format}:
        found.append(f"{given.pixel_format}, not {wanted.pixel_format}")
    return "; ".join(found)


def summary_of(modes: Sequence[CameraMode], most: int = 8) -> str:
    """Return the largest modes in a few words, or that the camera does not tell them."""
    ordered = sorted(set(modes), key=lambda m: (-m.width_px * m.height_px, -m.rate_hz))
    text = ", ".join(str(mode) for mode in ordered[:most])
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return text + more if text else "modes that it does not list"


def convert_pixels(
    data: bytes, pixel_format: str, width_px: int, height_px: int, stride: int
) -> npt.NDArray[np.uint8]:
    """Return the raw pixels of a camera as (height, width, 3) uint8 BGR; missing bytes are zero.

    Parameters
    ----------
    data : bytes
    pixel_format : str
        One of :data:`RAW_FORMATS`.
    width_px, height_px : int
    stride : int
        Bytes from one row to the next; 0 where rows are packed.
    """
    import cv2  # noqa: PLC0415 -- belongs to the extra [camera]

    name, depth, rows = RAW_FORMATS[pixel_format]
    n_rows = round(height_px * rows)
    stride = max(stride, width_px * depth)
    room: Any = np.zeros(n_rows * stride, np.uint8)
    got = np.frombuffer(data[: len(room)], np.uint8)
    room[: len(got)] = got
    table = room.reshape(n_rows, stride)[:, : width_px * depth]
    packed = np.ascontiguousarray(table).reshape(n_rows, width_px, depth)
    if not name:
        return np.asarray(packed, np.uint8)
    return np.asarray(cv2.cvtColor(packed, getattr(cv2, name)), np.uint8)


RAW_FORMATS: dict[str, tuple[str, int, float]] = {
    "YUYV": ("COLOR_YUV2BGR_YUY2", 2, 1.0),
    "UYVY": ("COLOR_YUV2BGR_UYVY", 2, 1.0),
    "NV12": ("COLOR_YUV2BGR_NV12", 1, 1.5),
    "YU12": ("COLOR_YUV2BGR_I420", 1, 1.5),
    "GREY": ("COLOR_GRAY2BGR", 1, 1.0),
    "RGB3": ("COLOR_RGB2BGR", 3, 1.0),
    "BGR3": ("", 3, 1.0),
}
"""Raw formats that can be converted: OpenCV's conversion, bytes per pixel and row, rows per pixel row."""
