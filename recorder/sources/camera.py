"""A camera, or a video file in its place: a FaceVideo stream of JPEG pictures."""

from __future__ import annotations

import base64
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pylsl
from pydantic import Field

from duchenne.recorder.sources.base import SourceOptions
from duchenne.recorder.sources.film import Film, FilmFrame, encode_jpeg
from duchenne.recorder.streams import video_description
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

    from duchenne.recorder.sources.base import Outlet

SKIP_WHEN_LATE_S = 0.5
"""A film too slow to encode loses frames, as a camera does, rather than fall further behind."""
SILENCE_S = 3.0
USUAL_RATE_HZ = 30.0
FRAME_CHANNELS = (
    ("frame", "count"),
    ("media_frame", "count"),
    ("media_time_s", "s"),
    ("loop", "count"),
)


class CameraOptions(SourceOptions):
    """Settings of a camera.

    Attributes
    ----------
    name : str
        Name of the stream.
    device : str
        Number of a camera (0 is the first), its path (``/dev/video0``), or that of a video file.
    width_px, height_px, rate_hz : optional
        What to ask of a camera; it may give something else.
    loop : bool
        Whether a video file begins again when it is over.
    """

    name: str = Field("FaceVideo", min_length=1, description="name of the stream")
    device: str = Field("0", min_length=1, description="camera number, /dev path or video file")
    width_px: int | None = Field(None, ge=16, le=8192, description="width to ask of a camera")
    height_px: int | None = Field(None, ge=16, le=8192, description="height to ask of a camera")
    rate_hz: float | None = Field(None, gt=0, le=1000, description="frame rate to ask of a camera")
    loop: bool = Field(True, description="begin a video file again at its end")


class Camera:
    """A camera through OpenCV, or a video file played in real time in its place.

    A frame of a camera is stamped when it is grabbed. A frame of a video file is stamped when it is
    due, and a second stream (``FaceVideoFrames``, irregular, same time stamps) says which frame of
    the film it is.

    Parameters
    ----------
    options : CameraOptions
    """

    Options: ClassVar[type[SourceOptions]] = CameraOptions
    summary: ClassVar[str] = "camera (device=0), or a video file in its place (device=FILE)"

    def __init__(self, options: CameraOptions) -> None:
        self._options = options
        self._film: Film | None = None
        self._capture: Any = None
        self._frames_outlet: pylsl.StreamOutlet | None = None
        self._info: pylsl.StreamInfo | None = None
        self._n = 0
        self._skipped = 0

    @classmethod
    def unavailable(cls) -> str | None:
        """Return what is missing for it; video files work without a camera."""
        missing = [name for name in ("av", "cv2") if find_spec(name) is None]
        return "needs: pip install 'duchenne[camera]'" if missing else None

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the FaceVideo stream; known once the camera is open."""
        if self._info is None:
            raise RuntimeError("the source is not open: use it in a with statement")
        return self._info

    @property
    def result(self) -> str:
        """Number of frames, and of those left out."""
        text = f"{self._n} frames of {self._options.name} from {self._options.device}"
        return f"{text}; {self._skipped} left out, too slow" if self._skipped else text

    def __enter__(self) -> Self:
        reason = self.unavailable()
        if reason is not None:
            raise DuchenneError(f"The camera {reason}.")
        device = self._options.device
        if device.isdigit() or device.startswith("/dev/"):
            self._open_device(device)
        else:
            self._film = Film.open(Path(device))
            self._info = self._describe(
                self._film.width_px, self._film.height_px, self._film.rate_hz
            )
            self._frames_outlet = pylsl.StreamOutlet(self._describe_frames())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._frames_outlet = None
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push frames until `stop` is set, or a film that is not looped is over.

        Raises
        ------
        DuchenneError
            Where the camera stops delivering.
        """
        if self._film is not None:
            self._play(self._film, outlet, stop)
        else:
            self._grab(outlet, stop)

    def _play(self, film: Film, outlet: Outlet, stop: threading.Event) -> None:
        start_s = pylsl.local_clock()
        for number, (loop, offset_s, frame) in enumerate(_passes(film, loop=self._options.loop)):
            due_s = start_s + offset_s + frame.time_s
            if pylsl.local_clock() - due_s > SKIP_WHEN_LATE_S:
                self._skipped += 1
                if stop.is_set():
                    return
                continue
            picture = base64.b64encode(frame.encode())
            if stop.wait(max(due_s - pylsl.local_clock(), 0.0)):
                return
            outlet.push_chunk([picture], [due_s])
            if self._frames_outlet is not None:
                row = np.array([[number, frame.number, frame.time_s, loop]], dtype=np.float64)
                self._frames_outlet.push_chunk(row, [due_s])
            self._n += 1

    def _grab(self, outlet: Outlet, stop: threading.Event) -> None:
        import cv2  # noqa: PLC0415 -- belongs to the extra [camera]

        seen_s = pylsl.local_clock()
        while not stop.is_set():
            grabbed = self._capture.grab()
            now_s = pylsl.local_clock()
            ok, picture = self._capture.retrieve() if grabbed else (False, None)
            if ok:
                seen_s = now_s
                picture = base64.b64encode(encode_jpeg(cv2, picture))
                outlet.push_chunk([picture], [now_s])
                self._n += 1
            elif now_s - seen_s > SILENCE_S:
                raise DuchenneError(
                    f"Camera {self._options.device} stopped delivering after {self._n} frames; "
                    "check its cable and whether another program took it."
                )
            else:
                stop.wait(0.02)

    def _open_device(self, device: str) -> None:
        # OpenCV reads this once, when it is loaded; its own 10 s would hold up the end where a
        # camera hangs.
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")
        import cv2  # noqa: PLC0415 -- belongs to the extra [camera]

        silence_opencv(cv2)
        options = self._options
        backend = cv2.CAP_V4L2 if Path("/dev").is_dir() and os.name == "posix" else cv2.CAP_ANY
        capture = cv2.VideoCapture(int(device) if device.isdigit() else device, backend)
        wanted = {
            cv2.CAP_PROP_FRAME_WIDTH: options.width_px,
            cv2.CAP_PROP_FRAME_HEIGHT: options.height_px,
            cv2.CAP_PROP_FPS: options.rate_hz,
        }
        for key, value in wanted.items():
            if capture.isOpened() and value is not None:
                capture.set(key, value)
        ok, picture = capture.read() if capture.isOpened() else (False, None)
        if not ok or picture is None:
            capture.release()
            raise DuchenneError(_no_camera(device))
        self._capture = capture
        rate_hz = float(capture.get(cv2.CAP_PROP_FPS))
        height, width = picture.shape[:2]
        usual = rate_hz if 1 <= rate_hz <= 1000 else USUAL_RATE_HZ
        self._info = self._describe(width, height, usual)

    def _describe(self, width_px: int, height_px: int, rate_hz: float) -> pylsl.StreamInfo:
        return video_description(
            source_id=self._options.source_id,
            frame_rate_hz=rate_hz,
            width_px=width_px,
            height_px=height_px,
            name=self._options.name,
            model=Path(self._options.device).name,
        )

    def _describe_frames(self) -> pylsl.StreamInfo:
        info = pylsl.StreamInfo(
            f"{self._options.name}Frames",
            "VideoFrames",
            len(FRAME_CHANNELS),
            pylsl.IRREGULAR_RATE,
            pylsl.cf_double64,
            f"{self._options.source_id}-frames",
        )
        channels = info.desc().append_child("channels")
        for label, unit in FRAME_CHANNELS:
            channel = channels.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", unit)
        return info


def silence_opencv(cv2: Any) -> None:
    """Keep OpenCV from writing its own warnings to standard error."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def attached_cameras() -> list[str]:
    """Return the video devices that this machine shows as files, e.g. ``['/dev/video0']``."""
    return sorted(str(path) for path in Path("/dev").glob("video[0-9]*"))


def _no_camera(device: str) -> str:
    found = attached_cameras()
    there = f"found {', '.join(found)}" if found else "this machine shows none"
    if any(path.removeprefix("/dev/video") == device or path == device for path in found):
        there = "it is there but gives no picture; another program may be using it"
    return f"No camera {device}: {there}. Connect one, or give a video file: --set device=FILE."


def _passes(film: Film, *, loop: bool) -> Iterator[tuple[int, float, FilmFrame]]:
    """Yield pass number, its beginning in seconds, and each frame."""
    number, offset_s = 0, 0.0
    while True:
        last_s = 0.0
        for frame in film.frames():
            last_s = frame.time_s
            yield number, offset_s, frame
        if not loop:
            return
        number += 1
        offset_s += last_s + 1.0 / film.rate_hz
