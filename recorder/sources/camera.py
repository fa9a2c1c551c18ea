"""A camera, or a film or a folder of pictures in its place: a stream of encoded frames."""

from __future__ import annotations

import base64
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pylsl

from duchenne.recorder.sources.base import opened
from duchenne.recorder.sources.camera_encode import make_encoder
from duchenne.recorder.sources.camera_grabber import differences, summary_of
from duchenne.recorder.sources.camera_live import LiveCamera
from duchenne.recorder.sources.camera_opencv import OpenCvGrabber
from duchenne.recorder.sources.camera_options import CameraOptions
from duchenne.recorder.sources.film import Film, FilmFrame
from duchenne.recorder.sources.image_folder import USUAL_RATE_HZ, ImageFolder
from duchenne.recorder.sources.notices import notice
from duchenne.recorder.sources.v4l2 import V4l2Grabber, attached_devices, list_cameras
from duchenne.recorder.streams import declare_latency, video_description
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from duchenne.recorder.sources.base import Outlet, SourceOptions
    from duchenne.recorder.sources.camera_encode import Encoder
    from duchenne.recorder.sources.camera_grabber import CameraMode, FrameGrabber

__all__ = ["Camera", "CameraOptions", "list_cameras"]

SKIP_WHEN_LATE_S = 0.5
"""A film too slow to encode loses frames, as a camera does, rather than fall further behind."""
REPLAY_CHANNELS = (
    ("frame_number", "count"),
    ("media_frame", "count"),
    ("media_time_s", "s"),
    ("loop", "count"),
)


class Camera:
    """A camera, or a film or a folder of pictures played in real time in its place.

    A frame of a camera has the kernel's time stamp where there is one, else it is stamped when it
    is grabbed. A frame of a film or folder is stamped when it is due. A second stream (named
    ``…Frames``, irregular, same time stamps) gives each frame's number and whence it is.

    Parameters
    ----------
    options : CameraOptions
    """

    Options: ClassVar[type[SourceOptions]] = CameraOptions
    summary: ClassVar[str] = "camera (device=0), or a film or picture folder in its place"

    def __init__(self, options: CameraOptions) -> None:
        self._options = options
        self._replay: Film | ImageFolder | None = None
        self._live: LiveCamera | None = None
        self._grabber: FrameGrabber | None = None
        self._encoder: Encoder | None = None
        self._frames_outlet: pylsl.StreamOutlet | None = None
        self._info: pylsl.StreamInfo | None = None
        self._n = 0
        self._skipped = 0

    @classmethod
    def unavailable(cls) -> str | None:
        """Return what is missing for it; films and folders work without a camera."""
        missing = [name for name in ("av", "cv2") if find_spec(name) is None]
        return "needs: pip install 'duchenne[camera]'" if missing else None

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the stream; known once the camera is open."""
        return opened(self._info)

    @property
    def result(self) -> str:
        """Number of frames, and of those lost, damaged or left out."""
        live = self._live
        n = self._n if live is None else live.n
        parts = [f"{n} frames of {self._options.name} from {self._options.device}"]
        if self._skipped:
            parts.append(f"{self._skipped} left out, too slow")
        if live is not None and live.n_lost:
            parts.append(f"{live.n_lost} lost by the camera's own count")
        if live is not None and live.n_damaged:
            parts.append(f"{live.n_damaged} damaged")
        return "; ".join(parts)

    def __enter__(self) -> Self:
        reason = self.unavailable()
        if reason is not None:
            raise DuchenneError(f"The camera {reason}.")
        device, path = self._options.device, Path(self._options.device)
        if device.isdigit() or device.startswith("/dev/"):
            self._open_camera(device)
        elif path.is_dir():
            rate_hz = self._options.rate_hz or USUAL_RATE_HZ
            self._open_replay(
                ImageFolder.open(path, rate_hz=rate_hz, letterbox=self._options.letterbox)
            )
        else:
            self._open_replay(Film.open(path))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._frames_outlet = None
        if self._grabber is not None:
            self._grabber.close()
            self._grabber = None

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push frames until `stop` is set, or a film or folder that is not looped is over.

        Raises
        ------
        DuchenneError
            Where the camera stops delivering.
        """
        if self._live is not None:
            self._live.run(outlet, self._frames_outlet, stop)
        elif self._replay is not None:
            self._play(self._replay, outlet, stop)

    def _play(self, film: Film | ImageFolder, outlet: Outlet, stop: threading.Event) -> None:
        encoder = opened(self._encoder)
        start_s = pylsl.local_clock()
        for number, (loop, offset_s, frame) in enumerate(_passes(film, loop=self._options.loop)):
            due_s = start_s + offset_s + frame.time_s
            if pylsl.local_clock() - due_s > SKIP_WHEN_LATE_S:
                self._skipped += 1
                if stop.is_set():
                    return
                continue
            picture = base64.b64encode(encoder.encode(frame.picture))
            if stop.wait(max(due_s - pylsl.local_clock(), 0.0)):
                return
            outlet.push_chunk([picture], [due_s])
            if self._frames_outlet is not None:
                row = np.array([[number, frame.number, frame.time_s, loop]], dtype=np.float64)
                self._frames_outlet.push_chunk(row, [due_s])
            self._n += 1

    def _open_replay(self, film: Film | ImageFolder) -> None:
        self._replay = film
        self._encoder = self._make_encoder(film.width_px, film.height_px, film.rate_hz)
        model = Path(self._options.device).name
        self._info = self._describe(film.width_px, film.height_px, film.rate_hz, model)
        self._frames_outlet = pylsl.StreamOutlet(self._describe_frames(REPLAY_CHANNELS))

    def _open_camera(self, device: str) -> None:
        grabber = open_grabber(device, self._options)
        try:
            self._use(grabber, device)
        except BaseException:
            grabber.close()
            raise

    def _use(self, grabber: FrameGrabber, device: str) -> None:
        options, mode = self._options, grabber.mode
        if told := differences(options.wanted, mode):
            if options.exact:
                raise DuchenneError(_not_as_asked(device, told))
            notice(f"{options.name}: camera {device} gives {told}.")
        for line in grabber.apply(options.controls):
            notice(f"{options.name}: {line}.")
        encoder = self._make_encoder(mode.width_px, mode.height_px, mode.rate_hz)
        live = LiveCamera(options.name, device, grabber, encoder)
        live.settle(options.settle_s if options.lock else 0.0)
        held = grabber.lock(options.controls) if options.lock else []
        if options.lock:
            for what in not_held(held, mode):
                notice(
                    f"{options.name}: {what} could not be locked: the camera may change it meanwhile."
                )
        self._encoder, self._live, self._grabber = encoder, live, grabber
        self._info = self._describe(mode.width_px, mode.height_px, mode.rate_hz, grabber.name)
        acquisition = self._info.desc().child("acquisition")
        acquisition.append_child_value("time_stamps", grabber.stamps)
        acquisition.append_child_value("camera_mode", str(mode))
        acquisition.append_child_value("held", ", ".join(held))
        self._frames_outlet = pylsl.StreamOutlet(self._describe_frames(live.channels))

    def _make_encoder(self, width_px: int, height_px: int, rate_hz: float) -> Encoder:
        return make_encoder(
            self._options.codec,
            width_px=width_px,
            height_px=height_px,
            rate_hz=rate_hz,
            quality=self._options.quality,
            keyframe_every=self._options.keyframe_every,
        )

    def _describe(
        self, width_px: int, height_px: int, rate_hz: float, model: str
    ) -> pylsl.StreamInfo:
        options = self._options
        info = video_description(
            source_id=options.source_id,
            frame_rate_hz=rate_hz,
            width_px=width_px,
            height_px=height_px,
            name=options.name,
            codec="MJPG" if self._encoder is None else self._encoder.codec,
            model=model,
        )
        acquisition = info.desc().child("acquisition")
        if options.label:
            acquisition.append_child_value("label", options.label)
        declare_latency(info, options.device_latency_s)
        return info

    def _describe_frames(self, labels: tuple[tuple[str, str], ...]) -> pylsl.StreamInfo:
        info = pylsl.StreamInfo(
            f"{self._options.name}Frames",
            "VideoFrames",
            len(labels),
            pylsl.IRREGULAR_RATE,
            pylsl.cf_double64,
            f"{self._options.source_id}-frames",
        )
        channels = info.desc().append_child("channels")
        for label, unit in labels:
            channel = channels.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", unit)
        return info


def not_held(held: Sequence[str], mode: CameraMode) -> list[str]:
    """Return what a camera goes on adjusting by itself, as far as its answers tell."""
    watched = ["exposure"] if mode.pixel_format == "GREY" else ["exposure", "white balance"]
    return [what for what in watched if not any(text.startswith(what) for text in held)]


def open_grabber(device: str, options: CameraOptions) -> FrameGrabber:
    """Open a camera by its number or path.

    Raises
    ------
    DuchenneError
        Where there is none, it is in use, or it gives nothing that can be read.
    """
    native = options.backend == "v4l2" or (options.backend == "auto" and sys.platform == "linux")
    try:
        if native:
            path = f"/dev/video{device}" if device.isdigit() else device
            return V4l2Grabber(path, options.wanted)
        return OpenCvGrabber(device, options.wanted)
    except PermissionError:
        raise DuchenneError(
            f"Camera {device}: no permission; add your user to the group video and log in again."
        ) from None
    except OSError:
        raise DuchenneError(_no_camera(device)) from None


def _no_camera(device: str) -> str:
    found = attached_devices()
    there = f"found {', '.join(found)}" if found else "this machine shows none"
    if any(path.removeprefix("/dev/video") == device or path == device for path in found):
        there = "it is there but gives no picture; another program may be using it"
    return f"No camera {device}: {there}. Connect one, or give a video file: --set device=FILE."


def _not_as_asked(device: str, told: str) -> str:
    path = f"/dev/video{device}" if device.isdigit() else device
    modes: list[CameraMode] = [
        mode for camera in list_cameras() if camera.device == path for mode in camera.modes
    ]
    offers = f"it offers {summary_of(modes)}; " if modes else ""
    return f"Camera {device} gives {told}: {offers}ask for one of its modes, or --set exact=false."


def _passes(film: Film | ImageFolder, *, loop: bool) -> Iterator[tuple[int, float, FilmFrame]]:
    """Yield pass number, its beginning in seconds, and each frame."""
    number, offset_s = 0, 0.0
    while True:
        last_s: float | None = None
        for frame in film.frames():
            last_s = frame.time_s
            yield number, offset_s, frame
        if last_s is None:
            raise DuchenneError(f"{film.path}: no frame of it can be decoded any more.")
        if not loop:
            return
        number += 1
        offset_s += last_s + 1.0 / film.rate_hz
