"""Frames out of video files, recorded JPEG packets and pictures; bad frames are None, never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from duchenne.recorder.upright import upright
from duchenne.recorder.video_packets import make_decoder
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av import VideoFrame
    from av.container import InputContainer

    from duchenne.analysis.face.frames import Image
    from duchenne.recorder.video_packets import VideoCodec

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4",
        ".m4v",
        ".mov",
        ".avi",
        ".mkv",
        ".webm",
        ".mpg",
        ".mpeg",
        ".wmv",
        ".mts",
        ".ts",
        ".ogv",
    }
)
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def video_frames(
    path: Path | str, *, max_side_px: int | None = None
) -> Iterator[tuple[int, float, Image | None]]:
    """Decode a video one frame at a time, upright, with the time of each frame.

    Parameters
    ----------
    path : path
        Any video that FFmpeg reads. Rotation and mirror metadata are applied; times are the file's own, so a
        variable frame rate keeps its times, and the first frame is at 0.
    max_side_px : int, optional
        Make frames smaller whose longer side exceeds this.

    Yields
    ------
    (int, float, (height, width, 3) uint8 RGB or None)
        Frame index from 0, time in seconds, picture; None where a frame is damaged.

    Raises
    ------
    DuchenneError
        When the file is missing, is no video, or holds no frame that can be decoded.
    """
    import av  # noqa: PLC0415  (heavy)

    path = Path(path)
    _require_file(path)
    index = -1
    clock = _FrameClock()
    picture = _Pictures(max_side_px)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DuchenneError(f"{path} holds no picture track: give a video file.")
            for index, (time_s, frame) in enumerate(_timed(container, clock)):
                yield index, time_s, None if frame is None else picture(frame)
    except av.error.FFmpegError as error:
        if index < 0:
            raise DuchenneError(
                f"{path} cannot be read as a video ({error.strerror or error}): "
                "check the file or convert it to MP4."
            ) from error
    if clock.n_decoded == 0:
        raise DuchenneError(f"{path} holds no frame that can be decoded: check the file.")


def start_time(path: Path | str) -> float:
    """Return the time in a video file, in seconds, that :func:`video_frames` calls 0.

    Damaged frames before the first good one count.
    """
    import av  # noqa: PLC0415  (heavy)

    clock = _FrameClock()
    with av.open(str(path)) as container:
        for _ in _timed(container, clock):
            if clock.first_s is not None:
                return clock.first_s
    return 0.0


def _timed(
    container: InputContainer, clock: _FrameClock
) -> Iterator[tuple[float, VideoFrame | None]]:
    """Yield the frames of the first picture track with their times; None where one is damaged."""
    import av  # noqa: PLC0415  (heavy)

    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    clock.rate_hz = float(stream.average_rate or stream.guessed_rate or clock.rate_hz)
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            yield clock.after_previous(), None
            continue
        for frame in frames:
            yield clock.of(frame), frame


@dataclass
class _FrameClock:
    """Times of a video's frames, from 0 at the first one; fills in where the file has none."""

    rate_hz: float = 25.0
    first_s: float | None = None
    last_s: float | None = None
    n_decoded: int = 0

    def of(self, frame: VideoFrame) -> float:
        self.n_decoded += 1
        if frame.time is None:
            return self.after_previous()
        if self.first_s is None:
            self.first_s = frame.time - (0.0 if self.last_s is None else self.last_s + self.step_s)
        self.last_s = frame.time - self.first_s
        return self.last_s

    def after_previous(self) -> float:
        self.last_s = 0.0 if self.last_s is None else self.last_s + self.step_s
        return self.last_s

    @property
    def step_s(self) -> float:
        return 1.0 / self.rate_hz


class _Pictures:
    """Turns frames into upright RGB pictures; one converter serves a whole film."""

    def __init__(self, max_side_px: int | None) -> None:
        from av.video.reformatter import VideoReformatter  # noqa: PLC0415  (heavy)

        self._converter = VideoReformatter()
        self._max_side_px = max_side_px

    def __call__(self, frame: VideoFrame) -> Image:
        width, height = frame.width, frame.height
        longest = max(width, height)
        if self._max_side_px is not None and longest > self._max_side_px:
            scale = self._max_side_px / longest
            width, height = max(1, round(width * scale)), max(1, round(height * scale))
        rgb = self._converter.reformat(frame, width, height, "rgb24")
        return upright(np.asarray(rgb.to_ndarray(), np.uint8), frame)


def frame_count(path: Path | str) -> int | None:
    """Return how many frames a video says it has, or None; for progress only."""
    import av  # noqa: PLC0415  (heavy)

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if stream.frames:
                return int(stream.frames)
            if container.duration and stream.average_rate:
                return round(container.duration / av.time_base * float(stream.average_rate))
    except (av.error.FFmpegError, IndexError):
        return None
    return None


def jpeg_frames(
    packets: Iterable[bytes], times_s: Iterable[float]
) -> Iterator[tuple[int, float, Image | None]]:
    """Decode recorded JPEG packets.

    Parameters
    ----------
    packets : iterable of bytes
        One encoded picture each.
    times_s : iterable of float
        The time of each picture on the caller's clock, in seconds.

    Yields
    ------
    (int, float, (height, width, 3) uint8 RGB or None)
        Frame index from 0, time, picture; None where a packet is damaged.
    """
    yield from packet_frames(packets, times_s, "MJPG")


def packet_frames(
    packets: Iterable[bytes], times_s: Iterable[float], codec: VideoCodec
) -> Iterator[tuple[int, float, Image | None]]:
    """Decode the packets of one recorded video stream, in the order they were recorded.

    Parameters and what is yielded are those of :func:`jpeg_frames`. In H.264, a damaged packet also
    costs the frames up to the next key frame.
    """
    decoder = make_decoder(codec)
    for index, (packet, time_s) in enumerate(zip(packets, times_s, strict=False)):
        yield index, float(time_s), decoder.decode(packet)


def decode_image(encoded: bytes) -> Image | None:
    """Return the RGB picture of an encoded image (JPEG, PNG, …), upright; None where damaged."""
    return make_decoder("MJPG").decode(encoded)


def image_frame(path: Path) -> Image:
    """Return the RGB picture of a file.

    Raises
    ------
    DuchenneError
        When the file is missing, cannot be read or is no picture.
    """
    _require_file(path)
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    picture = decode_image(encoded)
    if picture is None:
        raise DuchenneError(f"{path} cannot be read as a picture: check the file.")
    return picture


def _require_file(path: Path) -> None:
    try:
        if not path.exists():
            raise DuchenneError(f"There is no file {path}.")
        if not path.is_file():
            raise DuchenneError(f"{path} is a folder, not a video.")
        if path.stat().st_size == 0:
            raise DuchenneError(f"{path} is empty.")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DuchenneError:
    return DuchenneError(f"{path} cannot be read ({error.strerror or error}): check the file.")
