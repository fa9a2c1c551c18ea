"""Where the live measurement gets its pictures: a waiting room that never lets a picture grow old.

A feed pushes encoded pictures into a :class:`WaitingRoom` from a thread of its own; the measurement
takes the oldest one that is still fresh. What has waited longer than a limit while newer pictures
came is dropped and counted, so that the measurement falls behind by that limit and no more.
"""

from __future__ import annotations

import base64
import binascii
import socket
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pylsl
from pylsl.util import LostError
from pylsl.util import TimeoutError as LslTimeoutError

from duchenne.recorder.sources.notices import notice
from duchenne.recorder.sources.registry import create_source
from duchenne.recorder.streams import VIDEO_TYPE, describe
from duchenne.recorder.video_packets import codec_of
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from duchenne.recorder.sources.base import Source
    from duchenne.recorder.video_packets import VideoCodec

MAX_WAIT_S = 0.045
"""A picture that waits longer while a newer one is there is dropped."""
FIND_STREAM_S = 10.0
PULL_S = 0.1
SILENCE_S = 5.0
REMEASURE_S = 5.0
BUFFER_S = 5
SIMULATED = "simulated"


@dataclass(frozen=True)
class Packet:
    """One encoded picture.

    Attributes
    ----------
    data : bytes
    time_s : float
        When it was captured, on this machine's LSL clock.
    """

    data: bytes
    time_s: float


@dataclass(frozen=True)
class Taken:
    """What is to be measured next.

    Attributes
    ----------
    packet : Packet
    skipped : tuple of Packet
        Pictures before it that came too late; a codec with memory needs to see them.
    """

    packet: Packet
    skipped: tuple[Packet, ...]


class WaitingRoom:
    """Pictures between a feed and the measurement; takes what a source pushes.

    Parameters
    ----------
    max_wait_s : float
        See :data:`MAX_WAIT_S`.
    """

    def __init__(self, max_wait_s: float = MAX_WAIT_S) -> None:
        self._max_wait_s = max_wait_s
        self._packets: deque[Packet] = deque()
        self._condition = threading.Condition()
        self._last_s = float("-inf")
        self.n_dropped = 0
        self.n_damaged = 0

    def push_chunk(
        self,
        x: npt.NDArray[np.float64] | Sequence[bytes],
        timestamp: Sequence[float],
        pushthrough: bool = True,  # noqa: ARG002 -- part of what a source calls
    ) -> None:
        """Take pictures as base64 text with their capture times; times that do not rise are left out."""
        for text, time_s in zip(x, timestamp, strict=True):
            try:
                data = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                data = b""
            with self._condition:
                if not data or not time_s > self._last_s:
                    self.n_damaged += 1
                    continue
                self._last_s = float(time_s)
                self._packets.append(Packet(data, self._last_s))
                self._condition.notify()

    def take(self, timeout_s: float) -> Taken | None:
        """Return the oldest fresh picture, or the newest where none is fresh; None where none comes."""
        with self._condition:
            if not self._packets:
                self._condition.wait(timeout_s)
            if not self._packets:
                return None
            skipped = []
            too_old_s = pylsl.local_clock() - self._max_wait_s
            while len(self._packets) > 1 and self._packets[0].time_s < too_old_s:
                skipped.append(self._packets.popleft())
            self.n_dropped += len(skipped)
            return Taken(self._packets.popleft(), tuple(skipped))


class Feed(Protocol):
    """Something that fills a waiting room; a context manager."""

    rate_hz: float
    codec: VideoCodec
    origin: str

    def __enter__(self) -> Feed:
        """Open it."""

    def __exit__(self, *_: object) -> None:
        """Close it."""

    def run(self, room: WaitingRoom, stop: threading.Event) -> None:
        """Push pictures until `stop` is set or there are no more."""


class SourceFeed:
    """A camera, film, folder or simulated face that this process opens itself.

    Parameters
    ----------
    camera : str
        Camera number, device path, video file, folder of pictures, or ``simulated``.
    name, source_id : str
        Of the video stream.
    settings : mapping
        Further options of the source.
    publish : bool
        Publish the pictures on LSL as well.
    """

    def __init__(
        self,
        camera: str,
        *,
        name: str,
        source_id: str,
        settings: dict[str, str],
        publish: bool = False,
    ) -> None:
        kind = "simulated-face" if camera == SIMULATED else "camera"
        own = {"name": name} | ({} if camera == SIMULATED else {"device": camera})
        self._source: Source = create_source(kind, source_id, settings | own)
        self._publish = publish
        self._outlet: pylsl.StreamOutlet | None = None
        self.origin = f"camera {camera}"
        self.rate_hz = 0.0
        self.codec: VideoCodec = "MJPG"

    def __enter__(self) -> SourceFeed:
        self._source.__enter__()
        info = self._source.info
        self.rate_hz = float(info.nominal_srate())
        self.codec = codec_of(describe(info))
        if self._publish:
            self._outlet = pylsl.StreamOutlet(info)
        return self

    def __exit__(self, *_: object) -> None:
        self._outlet = None
        self._source.__exit__(None, None, None)

    def run(self, room: WaitingRoom, stop: threading.Event) -> None:
        """Push pictures until `stop` is set, or a film that is not looped is over."""
        self._source.run(_Tee(room, self._outlet), stop)


class _Tee:
    """An outlet that pushes into a waiting room and, where there is one, into LSL."""

    def __init__(self, room: WaitingRoom, outlet: Any) -> None:
        self._room, self._outlet = room, outlet

    def push_chunk(
        self,
        x: npt.NDArray[np.float64] | Sequence[bytes],
        timestamp: Sequence[float],
        pushthrough: bool = True,
    ) -> None:
        """Push samples with one time stamp each."""
        self._room.push_chunk(x, timestamp, pushthrough)
        if self._outlet is not None:
            self._outlet.push_chunk(x, timestamp, pushthrough)


class StreamFeed:
    """A face video that another process publishes on LSL already.

    Stamps of another machine are taken to this machine's LSL clock.

    Parameters
    ----------
    name : str
        Of the stream.
    """

    codec: VideoCodec = "MJPG"

    def __init__(self, name: str) -> None:
        self._name = name
        self._inlet: pylsl.StreamInlet | None = None
        self._is_remote = False
        self._offset_s = 0.0
        self._measured_s = float("-inf")
        self.origin = f"stream {name}"
        self.rate_hz = 0.0

    def __enter__(self) -> StreamFeed:
        predicate = f"name={_quoted(self._name)} and type='{VIDEO_TYPE}'"
        found = pylsl.resolve_bypred(predicate, 1, FIND_STREAM_S)
        if not found:
            raise DuchenneError(
                f"No face video stream {self._name}: start one first (duchenne sources start camera), "
                "or give --camera."
            )
        self._inlet = pylsl.StreamInlet(found[0], max_buflen=BUFFER_S)
        try:
            info = self._inlet.info(FIND_STREAM_S)
            self._inlet.open_stream(FIND_STREAM_S)
        except (LostError, LslTimeoutError):
            self._inlet = None
            raise DuchenneError(f"The face video stream {self._name} does not answer.") from None
        self.codec = codec_of(describe(info))
        self.rate_hz = float(info.nominal_srate())
        self._is_remote = info.hostname() != socket.gethostname()
        return self

    def __exit__(self, *_: object) -> None:
        if self._inlet is not None:
            self._inlet.close_stream()
        self._inlet = None

    def run(self, room: WaitingRoom, stop: threading.Event) -> None:
        """Push what comes until `stop` is set; wait where the stream falls silent."""
        if self._inlet is None:
            raise RuntimeError("the feed is not open: use it in a with statement")
        heard_s, is_told = pylsl.local_clock(), False
        while not stop.is_set():
            # A chunk would be waited for in full; a sample comes as soon as it is there.
            sample, time_s = self._inlet.pull_sample(timeout=PULL_S)
            if sample is None or time_s is None:
                if not is_told and pylsl.local_clock() - heard_s > SILENCE_S:
                    notice(f"no pictures from {self._name} for {SILENCE_S:g} s; waiting for them")
                    is_told = True
                continue
            heard_s, is_told = pylsl.local_clock(), False
            text = sample[0]
            data = text.encode("ascii", "replace") if isinstance(text, str) else bytes(text)
            room.push_chunk([data], [float(time_s) + self._offset()])

    def _offset(self) -> float:
        """Return what takes the sender's stamps to this machine's clock, measured now and then."""
        now_s = pylsl.local_clock()
        if self._is_remote and self._inlet is not None and now_s - self._measured_s > REMEASURE_S:
            self._measured_s = now_s
            try:
                self._offset_s = self._inlet.time_correction(timeout=1.0)
            except (LostError, LslTimeoutError):
                return self._offset_s
        return self._offset_s


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"
