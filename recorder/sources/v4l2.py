"""Cameras on Linux through the kernel's own interface, V4L2.

Compared with OpenCV it gives the kernel's time stamp and frame number of each buffer and hands over
JPEG pictures as the camera made them.
"""

from __future__ import annotations

import errno
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pylsl

from duchenne.recorder.sources import v4l2_controls
from duchenne.recorder.sources import v4l2_layout as v4l2
from duchenne.recorder.sources.camera_grabber import (
    JPEG_FORMATS,
    RAW_FORMATS,
    CameraGoneError,
    CameraInfo,
    CameraMode,
    Controls,
    FrameCounter,
    Grabbed,
    MonotonicToLsl,
    Wanted,
    choose_mode,
    convert_pixels,
    is_whole_jpeg,
    summary_of,
)
from duchenne.recorder.sources.v4l2_device import KernelDevice
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

    from duchenne.recorder.sources.v4l2_device import VideoDevice

N_BUFFERS = 8
GRABBED = "grabbed"
MOST_ENTRIES = 256
OLDEST_S, LATEST_S = 10.0, 0.02
"""A kernel stamp further back, or further in the future, than this is not believed."""

_T = TypeVar("_T")


class V4l2Grabber:
    """A camera that streams into mapped buffers.

    Parameters
    ----------
    path : str
        Such as ``/dev/video0``.
    wanted : Wanted
    device : VideoDevice, optional
        The kernel's by default.

    Raises
    ------
    DuchenneError
        Where it is no camera, is in use, or has no format that we can read.
    OSError
        Where there is no such device.
    """

    def __init__(self, path: str, wanted: Wanted, device: VideoDevice | None = None) -> None:
        self._path = path
        self._device = KernelDevice(path) if device is None else device
        self._to_lsl = MonotonicToLsl()
        self._count = FrameCounter()
        self._memory: list[Buffer] = []
        self._streaming = False
        self._stamped: Counter[str] = Counter()
        try:
            self.name = _camera_name(self._device, path)
            self._modes = tuple(_modes_of(self._device))
            self.mode, self._stride = self._negotiate(wanted)
            self._start()
        except OSError as error:
            self.close()
            if error.errno == errno.EBUSY:
                raise DuchenneError(
                    f"Camera {path} is used by another program: close it (video calls, browsers)."
                ) from None
            raise
        except DuchenneError:
            self.close()
            raise

    @property
    def modes(self) -> tuple[CameraMode, ...]:
        """What the camera offers."""
        return self._modes

    @property
    def stamps(self) -> str:
        """Where most of the frames' times so far come from; one odd frame does not decide."""
        return self._stamped.most_common(1)[0][0] if self._stamped else GRABBED

    def grab(self, timeout_s: float) -> Grabbed | None:
        """Return the next picture; None where none came in time."""
        try:
            if not self._device.wait(timeout_s):
                return None
            buffer = _buffer()
            self._device.ioctl(v4l2.DQBUF, buffer)
        except BlockingIOError:
            return None
        except OSError as error:
            raise CameraGoneError(error.strerror) from None
        grabbed_s = pylsl.local_clock()
        try:
            memory = memoryview(self._memory[buffer.index])
            data = bytes(memory[: buffer.bytesused])
            memory.release()
            return self._grabbed(buffer, data, grabbed_s)
        finally:
            self._give_back(buffer)

    def apply(self, controls: Controls) -> list[str]:
        """Set the sensor; return what the camera has no control for."""
        return v4l2_controls.apply(self._device, controls)

    def lock(self, controls: Controls) -> list[str]:
        """Hold what the automatic controls have found; return what is held."""
        return v4l2_controls.lock(self._device, controls)

    def close(self) -> None:
        """Let the camera go."""
        if self._streaming:
            self._streaming = False
            _tolerant(lambda: self._device.ioctl(v4l2.STREAMOFF, _capture()), None)
        self._memory = []
        self._device.close()

    def _negotiate(self, wanted: Wanted) -> tuple[CameraMode, int]:
        readable = [m for m in self._modes if m.pixel_format in {*JPEG_FORMATS, *RAW_FORMATS}]
        if self._modes and not readable:
            raise DuchenneError(
                f"Camera {self._path} gives {summary_of(self._modes)}: none of these can be read."
            )
        chosen = choose_mode(readable, wanted)
        if chosen is None and wanted.pixel_format != "auto":
            raise DuchenneError(
                f"Camera {self._path} gives no {wanted.pixel_format}; it offers "
                f"{summary_of(readable)}."
            )
        fallback = CameraMode(1280, 720, 0.0, "MJPG")
        start = chosen or fallback
        form = v4l2.Format(type=v4l2.VIDEO_CAPTURE, field=v4l2.FIELD_ANY)
        form.width = wanted.width_px or start.width_px
        form.height = wanted.height_px or start.height_px
        form.pixelformat = v4l2.fourcc(start.pixel_format)
        self._device.ioctl(v4l2.S_FMT, form)
        pixel_format = v4l2.fourcc_text(form.pixelformat)
        if pixel_format not in {*JPEG_FORMATS, *RAW_FORMATS}:
            raise DuchenneError(f"Camera {self._path} gives {pixel_format}, which cannot be read.")
        rate_hz = self._set_rate(wanted.rate_hz or start.rate_hz or 30.0)
        return CameraMode(form.width, form.height, rate_hz, pixel_format), form.bytesperline

    def _set_rate(self, rate_hz: float) -> float:
        parameters = v4l2.StreamParameters(type=v4l2.VIDEO_CAPTURE)
        parameters.timeperframe.numerator = 1000
        parameters.timeperframe.denominator = round(1000 * rate_hz)
        _tolerant(lambda: self._device.ioctl(v4l2.S_PARM, parameters), None)
        return _rate_of(parameters.timeperframe) or rate_hz

    def _start(self) -> None:
        request = v4l2.BufferRequest(N_BUFFERS, v4l2.VIDEO_CAPTURE, v4l2.MEMORY_MMAP)
        self._device.ioctl(v4l2.REQBUFS, request)
        for index in range(request.count):
            buffer = _buffer(index)
            self._device.ioctl(v4l2.QUERYBUF, buffer)
            self._memory.append(self._device.map(buffer.length, buffer.offset & 0xFFFF_FFFF))
            self._device.ioctl(v4l2.QBUF, _buffer(index))
        self._device.ioctl(v4l2.STREAMON, _capture())
        self._streaming = True

    def _give_back(self, buffer: v4l2.Buffer) -> None:
        try:
            self._device.ioctl(v4l2.QBUF, _buffer(buffer.index))
        except OSError as error:
            raise CameraGoneError(error.strerror) from None

    def _grabbed(self, buffer: v4l2.Buffer, data: bytes, grabbed_s: float) -> Grabbed:
        number = self._count(buffer.sequence)
        device_s = buffer.sec + buffer.usec * 1e-6
        time_s = self._stamp(buffer.flags, device_s, grabbed_s)
        damaged = bool(buffer.flags & v4l2.FLAG_ERROR)
        told_s = device_s or math.nan
        if self.mode.pixel_format in JPEG_FORMATS:
            return Grabbed(time_s, number, told_s, data, None, damaged or not is_whole_jpeg(data))
        mode, stride = self.mode, self._stride
        _, depth, rows = RAW_FORMATS[mode.pixel_format]
        damaged = damaged or len(data) < mode.width_px * mode.height_px * depth * rows

        def pixels() -> Any:
            return convert_pixels(data, mode.pixel_format, mode.width_px, mode.height_px, stride)

        return Grabbed(time_s, number, told_s, None, pixels, damaged)

    def _stamp(self, flags: int, device_s: float, grabbed_s: float) -> float:
        """Return the kernel's stamp on the LSL clock where it can be believed, else now."""
        if flags & v4l2.FLAG_TIMESTAMP_MASK == v4l2.FLAG_TIMESTAMP_MONOTONIC:
            time_s = self._to_lsl(device_s)
            if -LATEST_S <= grabbed_s - time_s <= OLDEST_S:
                begin = flags & v4l2.FLAG_SOURCE_MASK == v4l2.FLAG_SOURCE_START_OF_EXPOSURE
                self._stamped[f"kernel, {'start of exposure' if begin else 'end of frame'}"] += 1
                return time_s
        self._stamped[GRABBED] += 1
        return grabbed_s


def list_cameras() -> list[CameraInfo]:
    """Return the cameras of this machine that V4L2 shows, with their modes; empty elsewhere.

    Devices that may not be opened or that are no cameras (metadata, tuners) are left out.
    """
    found = []
    for path in attached_devices():
        try:
            device = KernelDevice(path)
        except OSError:
            continue
        try:
            found.append(describe_camera(device, path))
        except (OSError, DuchenneError):
            continue
        finally:
            device.close()
    return found


def describe_camera(device: VideoDevice, path: str) -> CameraInfo:
    """Return a camera's name and modes.

    Raises
    ------
    DuchenneError
        Where the device is no camera.
    """
    return CameraInfo(path, _camera_name(device, path), tuple(_modes_of(device)))


def attached_devices() -> list[str]:
    """Return the video devices that this machine shows as files, e.g. ``['/dev/video0']``."""
    paths = Path("/dev").glob("video[0-9]*")
    return [str(p) for p in sorted(paths, key=lambda p: int(p.name.removeprefix("video") or 0))]


def _camera_name(device: VideoDevice, path: str) -> str:
    capability = v4l2.Capability()
    try:
        device.ioctl(v4l2.QUERYCAP, capability)
    except OSError as error:
        if error.errno in {errno.ENOTTY, errno.EINVAL}:
            raise DuchenneError(f"{path} is no camera.") from None
        raise
    has_own = capability.capabilities & v4l2.CAP_DEVICE_CAPS
    flags = capability.device_caps if has_own else capability.capabilities
    wanted = v4l2.CAP_VIDEO_CAPTURE | v4l2.CAP_STREAMING
    if flags & wanted != wanted:
        raise DuchenneError(
            f"{path} is no camera that streams (a camera's second device carries no pictures); "
            "try the one before it."
        )
    return bytes(capability.card).decode("utf-8", "replace")


def _modes_of(device: VideoDevice) -> Iterator[CameraMode]:
    for description in _entries(
        device, v4l2.ENUM_FMT, lambda i: v4l2.FormatDescription(index=i, type=v4l2.VIDEO_CAPTURE)
    ):
        code = description.pixelformat
        for size in _entries(
            device,
            v4l2.ENUM_FRAMESIZES,
            lambda i, code=code: v4l2.FrameSize(index=i, pixel_format=code),  # type: ignore[misc]
        ):
            if size.type != v4l2.DISCRETE:
                break  # any size between two limits: the driver adjusts what it is asked for
            rates = [
                _rate_of(interval.interval)
                for interval in _entries(
                    device,
                    v4l2.ENUM_FRAMEINTERVALS,
                    lambda i, code=code, size=size: v4l2.FrameInterval(  # type: ignore[misc]
                        index=i, pixel_format=code, width=size.width, height=size.height
                    ),
                )
            ]
            name = v4l2.fourcc_text(code)
            yield CameraMode(size.width, size.height, max(rates, default=0.0), name)


def _entries(device: VideoDevice, request: int, entry: Callable[[int], _T]) -> Iterator[_T]:
    for index in range(MOST_ENTRIES):
        asked = entry(index)
        try:
            device.ioctl(request, asked)
        except OSError:
            return
        yield asked


def _rate_of(interval: v4l2.Fraction) -> float:
    return interval.denominator / interval.numerator if interval.numerator else 0.0


def _buffer(index: int = 0) -> v4l2.Buffer:
    return v4l2.Buffer(index=index, type=v4l2.VIDEO_CAPTURE, memory=v4l2.MEMORY_MMAP)


def _capture() -> v4l2.BufferType:
    return v4l2.BufferType(v4l2.VIDEO_CAPTURE)


def _tolerant(call: Callable[[], _T], otherwise: _T) -> _T:
    try:
        return call()
    except OSError:
        return otherwise
