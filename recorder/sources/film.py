"""A video file as a camera sees it: frames in order with their times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.recorder.sources.camera_grabber import decode_bgr
from duchenne.recorder.upright import is_upright, upright
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from duchenne.recorder.sources.camera_encode import Picture

HUFFMAN_TABLES = b"\xff\xc4"
FALLBACK_RATE_HZ = 30.0


@dataclass(frozen=True)
class FilmFrame:
    """One frame of a film.

    Attributes
    ----------
    number : int
        From 0, in order of presentation.
    time_s : float
        Seconds from the film's first frame.
    picture : Picture
        Decoded or converted only when asked for.
    """

    number: int
    time_s: float
    picture: Picture


@dataclass(frozen=True)
class Film:
    """A video file that could be opened and whose first frame could be decoded.

    Attributes
    ----------
    path : Path
    width_px, height_px : int
        Upright, as a player shows it.
    rate_hz : float
        Mean frame rate as the file declares it.
    is_jpeg : bool
        Whether the file holds JPEG pictures, which then pass through untouched.
    """

    path: Path
    width_px: int
    height_px: int
    rate_hz: float
    is_jpeg: bool

    @classmethod
    def open(cls, path: Path) -> Film:
        """Look into a file.

        Raises
        ------
        DuchenneError
            Where there is no such file or no frame in it can be decoded.
        """
        import av  # noqa: PLC0415 -- belongs to the extra [camera]

        if not path.is_file():
            raise DuchenneError(f"No video file at {path}; check the path given as device.")
        try:
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                packet = next(p for p in container.demux(stream) if p.size)
                frame = next(iter(packet.decode()), None) or next(container.decode(stream))
                codec = stream.codec_context.name
                rate = stream.average_rate
                turned = frame.rotation % 180 == 90
                size = (frame.width, frame.height)
                whole = codec == "mjpeg" and HUFFMAN_TABLES in bytes(packet)
        except (av.FFmpegError, IndexError, StopIteration) as error:
            raise _unreadable(path, error) from None
        width, height = reversed(size) if turned else size
        is_jpeg = whole and is_upright(frame)
        return cls(path, width, height, float(rate or FALLBACK_RATE_HZ), is_jpeg)

    def frames(self) -> Iterator[FilmFrame]:
        """Yield the frames of one pass.

        Raises
        ------
        DuchenneError
            Where the file breaks off in a way that cannot be decoded.
        """
        import av  # noqa: PLC0415 -- belongs to the extra [camera]

        first_s: float | None = None
        number = 0
        try:
            with av.open(str(self.path)) as container:
                for time_s, picture in self._pictures(container):
                    shown_s = number / self.rate_hz if time_s is None else time_s
                    first_s = shown_s if first_s is None else first_s
                    yield FilmFrame(number, shown_s - first_s, picture)
                    number += 1
        except av.FFmpegError as error:
            raise _unreadable(self.path, error, f" after frame {number - 1}") from None

    def _pictures(self, container: Any) -> Iterator[tuple[float | None, Picture]]:
        stream = container.streams.video[0]
        if not self.is_jpeg:
            for frame in container.decode(stream):
                yield frame.time, DecodedPicture(frame)
            return
        for packet in container.demux(stream):
            if packet.size:
                time_s = None if packet.pts is None else float(packet.pts * packet.time_base)
                yield time_s, JpegPicture(bytes(packet))


@dataclass(frozen=True)
class JpegPicture:
    """A picture that is JPEG already."""

    jpeg: bytes

    def bgr(self) -> npt.NDArray[np.uint8] | None:
        """Return its pixels; None where it cannot be decoded."""
        return decode_bgr(self.jpeg)


@dataclass(frozen=True)
class DecodedPicture:
    """A decoded frame of a film, turned upright when it is asked for."""

    frame: Any
    jpeg: None = None

    def bgr(self) -> npt.NDArray[np.uint8]:
        """Return its pixels."""
        return upright(self.frame.to_ndarray(format="bgr24"), self.frame)


def _unreadable(path: Path, error: Exception, where: str = "") -> DuchenneError:
    reason = getattr(error, "strerror", None) or "no video in it"
    return DuchenneError(
        f"Cannot read video from {path}{where}: {reason}. Give a film that a player opens."
    )
