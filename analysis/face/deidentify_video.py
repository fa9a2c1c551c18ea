"""Reads a video file or a session's face video, and writes an MP4 without sound and without metadata."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.decode import frame_count, packet_frames, start_time, video_frames
from duchenne.recorder.recording import Recording
from duchenne.recorder.video_export import choose_stream
from duchenne.recorder.video_packets import codec_of
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from duchenne.analysis.face.frames import Image

TICKS_PER_S = 90_000
CRF = 20
SESSION_SUFFIX = ".h5"


@dataclass(frozen=True)
class VideoInput:
    """A video file, or one face video of a session file.

    Attributes
    ----------
    path : Path
    stream_name : str or None
        Video stream of a session; by default the only one, or ``FaceVideo``.
    """

    path: Path
    stream_name: str | None = None

    @property
    def is_session(self) -> bool:
        """Whether it is a session file."""
        return self.path.suffix.lower() == SESSION_SUFFIX

    def frames(self) -> Iterator[tuple[int, float, Image | None]]:
        """Yield frame index, time in seconds, and RGB picture or None where it cannot be decoded.

        Times of a file are from its first frame, those of a session from the session's start.

        Raises
        ------
        DuchenneError
            Where it cannot be read.
        """
        if not self.is_session:
            yield from video_frames(self.path)
            return
        with Recording.open(self.path) as recording:
            stream = choose_stream(recording, self.stream_name)
            yield from packet_frames(stream.packets(), stream.times_s, codec_of(stream.info))

    def count(self) -> int | None:
        """Return how many frames there are, where that is known; for progress only."""
        if not self.is_session:
            return frame_count(self.path)
        with Recording.open(self.path) as recording:
            return choose_stream(recording, self.stream_name).n

    def neutral_windows(self) -> list[tuple[float, float]]:
        """Return the neutral phases that a session's markers tell; none for a file."""
        if not self.is_session:
            return []
        from duchenne.analysis.phases import neutral_intervals, phases  # noqa: PLC0415  (pandas)

        with Recording.open(self.path) as recording:
            return neutral_intervals(phases(recording))


class Mp4Writer:
    """Writes pictures as H.264, each at its own time; nothing but pictures gets into the file.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: Any = None
        self._stream: Any = None
        self._first_s = 0.0
        self._last = -1
        self._size = (0, 0)

    def __enter__(self) -> Mp4Writer:
        import av  # noqa: PLC0415  (heavy)

        options = {"video_track_timescale": str(TICKS_PER_S)}
        container_options = {"fflags": "+bitexact"}
        try:
            self._container = av.open(
                str(self._path),
                "w",
                format="mp4",
                options=options,
                container_options=container_options,
            )
        except OSError as error:
            raise DuchenneError(f"Cannot write {self._path}: {error.strerror or error}.") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()

    def add(self, time_s: float, image: Image) -> float:
        """Write one picture; return its time in the file, in seconds.

        Parameters
        ----------
        time_s : float
            The first picture's becomes 0; one that does not rise is moved on by 1/90000 s.
        image : (height, width, 3) uint8 RGB
            Of the first picture's size, else it is scaled; an odd row or column is left out.
        """
        import av  # noqa: PLC0415  (heavy)

        if self._stream is None:
            self._begin(time_s, image)
        ticks = round((time_s - self._first_s) * TICKS_PER_S) if np.isfinite(time_s) else 0
        self._last = max(ticks, self._last + 1)
        frame: Any = av.VideoFrame.from_ndarray(self._fitted(image), format="rgb24")
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS_PER_S)
        self._container.mux(self._stream.encode(frame))
        return self._last / TICKS_PER_S

    def _begin(self, time_s: float, image: Image) -> None:
        self._first_s = time_s if np.isfinite(time_s) else 0.0
        self._size = (image.shape[1] // 2 * 2, image.shape[0] // 2 * 2)
        self._stream = self._container.add_stream("libx264", rate=30)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = Fraction(1, TICKS_PER_S)
        self._stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
        self._stream.options = {"crf": str(CRF), "preset": "veryfast"}

    def _fitted(self, image: Image) -> Image:
        width, height = self._size
        if image.shape[0] - height in {0, 1} and image.shape[1] - width in {0, 1}:
            return np.ascontiguousarray(image[:height, :width])
        import cv2  # noqa: PLC0415  (heavy)

        return np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)


@contextmanager
def new_file(out: Path, given: Path) -> Iterator[Path]:
    """Give a path beside `out` to write to; it takes the place of `out` when all went well.

    Raises
    ------
    UsageError
        For another ending than .mp4, or where `out` is the input.
    DuchenneError
        Where it exists already, or there is no such folder.
    """
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"--out {out}: name a file that ends with .mp4.")
    if out.resolve() == given.resolve():
        raise UsageError(f"--out {out} is also the input: give another name.")
    if out.exists():
        raise DuchenneError(f"{out} exists and is never overwritten: choose another name.")
    if not out.parent.is_dir():
        raise DuchenneError(f"There is no folder {out.parent}: make it, or choose another --out.")
    part = out.with_name(out.name + ".part")
    try:
        yield part
        part.rename(out)
    finally:
        part.unlink(missing_ok=True)


def add_sound(video: Path, given: Path, out: Path) -> bool:
    """Copy a video and put the sound of another file beside it; return whether there was any.

    Parameters
    ----------
    video : Path
        The pictures, beginning at 0.
    given : Path
        The file with the sound; its first frame is at 0 of `video`.
    out : Path
    """
    import av  # noqa: PLC0415  (heavy)

    with av.open(str(given)) as source:
        if not source.streams.audio:
            return False
    first_s = start_time(given)
    bitexact = {"fflags": "+bitexact"}
    with (
        av.open(str(video)) as pictures,
        av.open(str(given)) as source,
        av.open(str(out), "w", format="mp4", container_options=bitexact) as target,
    ):
        told: Any = pictures.streams.video[0]
        copy: Any = target.add_stream_from_template(told)
        heard: Any = source.streams.audio[0]
        sound: Any = target.add_stream("aac", rate=heard.rate)
        sounds = _encoded(source, sound, first_s)
        pending = next(sounds, None)
        for packet in pictures.demux(told):
            if packet.dts is None:
                continue
            at_s = float(packet.dts * packet.time_base)
            while pending is not None and float(pending.dts * pending.time_base) <= at_s:
                target.mux(pending)
                pending = next(sounds, None)
            packet.stream = copy
            target.mux(packet)
        while pending is not None:
            target.mux(pending)
            pending = next(sounds, None)
    return True


def _encoded(source: Any, sound: Any, first_s: float) -> Iterator[Any]:
    """Yield the sound from `first_s` on as AAC packets; damaged packets are left out."""
    shift = None
    for frame in _heard(source):
        if frame.pts is None or frame.time < first_s:
            continue
        if shift is None:
            shift = frame.pts - round((frame.time - first_s) / frame.time_base)
        frame.pts -= shift
        yield from sound.encode(frame)
    yield from sound.encode(None)


def _heard(source: Any) -> Iterator[Any]:
    import av  # noqa: PLC0415  (heavy)

    for packet in source.demux(audio=0):
        with suppress(av.error.FFmpegError):
            yield from packet.decode()
