"""LSL inlets for recording: find streams, open them, drain them without loss, probe their clocks.

pylsl's own conveniences are avoided where they can lose samples: chunks are never larger than what is
buffered (a stream that dies in the middle of a larger pull takes the chunk with it), strings stay bytes,
and liblsl's silent recovery is off, so that a stream which re-appears is seen and marked.
"""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

import pylsl
from pylsl.lib import lib as liblsl
from pylsl.util import TimeoutError as LslTimeoutError

from duchenne.recorder.streams import StreamInfo, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

BUFFER_S = 360
OPEN_TIMEOUT_S = 5.0
CLOCK_INTERVAL_S = 5.0
FIRST_CLOCK_INTERVAL_S = 0.5
CLOCK_TIMEOUT_S = 2.0
MAX_CHUNK = 1024
MAX_TEXT_CHUNK = 64
DRAIN_INTERVAL_S = 0.01
FORGET_AFTER_S = 2.0

liblsl.lsl_time_correction_ex.restype = ctypes.c_double
liblsl.lsl_time_correction_ex.argtypes = [
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_double),
    ctypes.POINTER(ctypes.c_double),
    ctypes.c_double,
    ctypes.POINTER(ctypes.c_int32),
]


_Item = TypeVar("_Item")


def taken_from(queue: SimpleQueue[_Item]) -> Iterator[_Item]:
    """Yield what a queue holds now, without waiting."""
    while True:
        try:
            yield queue.get_nowait()
        except Empty:
            return


class StreamLostError(Exception):
    """The connection to an outlet has broken.

    liblsl then gives nothing out any more, not even what it holds already.

    Attributes
    ----------
    n_lost : int
        Samples that had arrived but could not be drained.
    """

    def __init__(self, name: str, n_lost: int = 0) -> None:
        super().__init__(name)
        self.n_lost = n_lost


@dataclass(frozen=True)
class ClockOffset:
    """One measurement of a sender's clock.

    Attributes
    ----------
    time_s : float
        On the recorder's LSL clock.
    offset_s : float
        Added to the sender's time it gives the recorder's.
    uncertainty_s : float
        Round-trip time of the probe; the offset is off by at most half of it.
    """

    time_s: float
    offset_s: float
    uncertainty_s: float


@dataclass
class Inlet:
    """An open stream.

    Attributes
    ----------
    info : StreamInfo
        The full description, channels included.
    """

    info: StreamInfo
    _inlet: pylsl.StreamInlet

    @classmethod
    def open(cls, found: pylsl.StreamInfo) -> Inlet:
        """Connect to a resolved stream; samples are buffered from here on.

        Raises
        ------
        RuntimeError
            If the outlet does not answer within 5 s, or has gone (errors of pylsl).
        """
        inlet = pylsl.StreamInlet(found, max_buflen=BUFFER_S, recover=False)
        inlet.open_stream(OPEN_TIMEOUT_S)
        return cls(describe(inlet.info(OPEN_TIMEOUT_S)), inlet)

    def drain(self) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[Any]]]:
        """Yield what is buffered, oldest first: stamps (n,) and samples (n, channels).

        Raises
        ------
        StreamLostError
            If the connection has broken, or liblsl fails.
        """
        waiting = int(self._inlet.samples_available())
        if not waiting:
            self._raise_if_lost()
        while waiting > 0:
            # Powers of two, so that pylsl keeps few string buffers.
            size = min(self._max_chunk, 1 << (waiting.bit_length() - 1))
            try:
                samples, stamps = self._inlet.pull_chunk(0.0, max_samples=size, as_numpy=True)
            except RuntimeError as error:  # LostError, or an error inside liblsl
                raise StreamLostError(self.info.name, waiting) from error
            if not len(stamps):
                return
            waiting -= len(stamps)
            yield stamps, samples

    def _raise_if_lost(self) -> None:
        try:
            self._inlet.open_stream(0.0)
        except LslTimeoutError:
            return
        except RuntimeError as error:
            raise StreamLostError(self.info.name) from error

    @property
    def _max_chunk(self) -> int:
        """Samples in one chunk; few where each may be a picture."""
        return MAX_TEXT_CHUNK if self.info.is_string else MAX_CHUNK

    def clock_offset(self, timeout_s: float = CLOCK_TIMEOUT_S) -> ClockOffset | None:
        """Measure the sender's clock; None if it does not answer in time.

        liblsl sends several probes and keeps the one with the shortest round trip.
        """
        remote, uncertainty, code = ctypes.c_double(), ctypes.c_double(), ctypes.c_int32()
        offset = liblsl.lsl_time_correction_ex(
            self._inlet.obj, remote, uncertainty, timeout_s, ctypes.byref(code)
        )
        if code.value != 0:
            return None
        return ClockOffset(remote.value + offset, offset, uncertainty.value)

    def close(self) -> None:
        """Disconnect."""
        self._inlet.close_stream()


@dataclass
class Finder:
    """Looks for streams on the network and opens new ones off the recording thread.

    Parameters
    ----------
    predicates : sequence of str
        XPath 1.0 conditions of LSL, such as ``name='Gaze'``; empty means every stream.
    """

    predicates: Sequence[str]
    opened: SimpleQueue[Inlet] = field(default_factory=SimpleQueue)
    failures: SimpleQueue[str] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        conditions: list[str | None] = [*self.predicates] or [None]
        self._resolvers = [
            pylsl.ContinuousResolver(pred=condition, forget_after=FORGET_AFTER_S)
            for condition in conditions
        ]
        self._known: set[str] = set()
        self._told: set[str] = set()
        self._threads: list[threading.Thread] = []

    def look(self) -> None:
        """Open every stream that was not seen before, each in a thread of its own."""
        for resolver in self._resolvers:
            for found in resolver.results():
                uid = found.uid()
                if uid not in self._known:
                    self._known.add(uid)
                    thread = threading.Thread(
                        target=self._open, args=(found, uid), name="open-stream"
                    )
                    thread.start()
                    self._threads = [t for t in self._threads if t.is_alive()] + [thread]

    def forget(self, uid: str) -> None:
        """Let a lost stream be opened again: its outlet may have outlived the connection."""
        self._known.discard(uid)

    def _open(self, found: pylsl.StreamInfo, uid: str) -> None:
        try:
            self.opened.put(Inlet.open(found))
        except Exception as error:  # noqa: BLE001 -- whatever one stream does, the others are recorded
            if uid not in self._told:
                self._told.add(uid)
                self.failures.put(f"{found.name()}: {error or type(error).__name__}")
            self._known.discard(uid)

    def new_inlets(self) -> Iterator[Inlet]:
        """Yield the streams opened since the last call."""
        return taken_from(self.opened)

    def visible(self) -> list[StreamInfo]:
        """Return what is on the network now, whether it is recorded or not."""
        return [describe(found) for found in pylsl.resolve_streams(wait_time=1.0)]

    def close(self) -> None:
        """Wait for the threads that still open a stream and stop looking."""
        for thread in self._threads:
            thread.join()
        self._resolvers.clear()
        for inlet in self.new_inlets():
            inlet.close()


@dataclass(frozen=True)
class Drained:
    """What one visit to an inlet brought.

    Attributes
    ----------
    stream_id : int
    received_s : float
        On the recorder's LSL clock.
    stamps, samples : ndarray
        As from :meth:`Inlet.drain`; None where the stream was lost.
    n_lost : int
        Samples that were lost with it.
    """

    stream_id: int
    received_s: float
    stamps: npt.NDArray[np.float64] | None = None
    samples: npt.NDArray[Any] | None = None
    n_lost: int = 0


class Drainer:
    """Drains all inlets every 10 ms in a thread of its own, so that no disk ever holds them up."""

    def __init__(self) -> None:
        self.drained: SimpleQueue[Drained] = SimpleQueue()
        self._inlets: dict[int, Inlet] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="drain-inlets")
        self._thread.start()

    def add(self, stream_id: int, inlet: Inlet) -> None:
        """Start draining an inlet."""
        with self._lock:
            self._inlets[stream_id] = inlet

    def results(self) -> Iterator[Drained]:
        """Yield what was drained since the last call, oldest first."""
        return taken_from(self.drained)

    def close(self) -> None:
        """Drain once more and stop the thread."""
        self._stop.set()
        self._thread.join()
        self._visit_all()

    def _loop(self) -> None:
        while not self._stop.wait(DRAIN_INTERVAL_S):
            self._visit_all()

    def _visit_all(self) -> None:
        with self._lock:
            inlets = list(self._inlets.items())
        for stream_id, inlet in inlets:
            try:
                for stamps, samples in inlet.drain():
                    self.drained.put(Drained(stream_id, pylsl.local_clock(), stamps, samples))
            except StreamLostError as error:
                with self._lock:
                    self._inlets.pop(stream_id, None)
                self.drained.put(Drained(stream_id, pylsl.local_clock(), n_lost=error.n_lost))


class ClockProbe:
    """Measures the clocks of all open inlets, in a thread of its own.

    New inlets are measured at once, then every 5 s.
    """

    def __init__(self) -> None:
        self.measured: SimpleQueue[tuple[int, ClockOffset]] = SimpleQueue()
        self._inlets: dict[int, tuple[Inlet, float]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="clock-probe")
        self._thread.start()

    def add(self, stream_id: int, inlet: Inlet) -> None:
        """Start measuring an inlet."""
        with self._lock:
            self._inlets[stream_id] = (inlet, 0.0)

    def remove(self, stream_id: int) -> None:
        """Stop measuring a stream that was lost."""
        with self._lock:
            self._inlets.pop(stream_id, None)

    def results(self) -> Iterator[tuple[int, ClockOffset]]:
        """Yield the measurements since the last call."""
        return taken_from(self.measured)

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stop.wait(0.1):
            now = pylsl.local_clock()
            with self._lock:
                due = [(key, inlet) for key, (inlet, at) in self._inlets.items() if at <= now]
            for key, inlet in due:
                result = inlet.clock_offset()
                if result is not None:
                    self.measured.put((key, result))
                interval = CLOCK_INTERVAL_S if result else FIRST_CLOCK_INTERVAL_S
                with self._lock:
                    if self._inlets.get(key, (None, 0.0))[0] is inlet:
                        self._inlets[key] = (inlet, pylsl.local_clock() + interval)
                if self._stop.is_set():
                    return
