"""LSL inlets for recording: open streams, drain them without loss, probe their clocks.

liblsl is called directly where pylsl's conveniences would cost samples or time: chunks are never larger than
what is buffered (a stream that dies in the middle of a larger pull takes the chunk with it), strings are
copied by their length and stay bytes, numbers land in memory that is used again, and liblsl's silent recovery
is off, so that a stream which re-appears is seen and marked.
"""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import pylsl
from pylsl.lib import lib as liblsl

from duchenne.recorder.streams import StreamInfo, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

BUFFER_S = 120
OPEN_TIMEOUT_S = 5.0
CLOCK_INTERVAL_S = 5.0
FIRST_CLOCK_INTERVAL_S = 0.1
CLOCK_TIMEOUT_S = 2.0
MAX_CHUNK = 1024
MAX_CHUNK_BYTES = 1 << 20
MAX_TEXT_CHUNK = 64
TIMED_OUT = -1

_Item = TypeVar("_Item")


def _function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """Return a function of liblsl with declared types, apart from the one that pylsl uses."""
    function: Any = liblsl[name]
    function.restype, function.argtypes = result, arguments
    return function  # type: ignore[no-any-return]  # ctypes functions have no static type


_POINTER, _COUNT, _CODE = ctypes.c_void_p, ctypes.c_ulong, ctypes.POINTER(ctypes.c_int32)
_DOUBLE = ctypes.POINTER(ctypes.c_double)
_available = _function("lsl_samples_available", ctypes.c_uint32, _POINTER)
_open_stream = _function("lsl_open_stream", None, _POINTER, ctypes.c_double, _CODE)
_destroy_string = _function("lsl_destroy_string", None, _POINTER)
_time_correction = _function(
    "lsl_time_correction_ex", ctypes.c_double, _POINTER, _DOUBLE, _DOUBLE, ctypes.c_double, _CODE
)
_NUMBERS = (_POINTER, _POINTER, _POINTER, _COUNT, _COUNT, ctypes.c_double, _CODE)
_pull_numbers = {
    "float32": _function("lsl_pull_chunk_f", _COUNT, *_NUMBERS),
    "double64": _function("lsl_pull_chunk_d", _COUNT, *_NUMBERS),
    "int64": _function("lsl_pull_chunk_l", _COUNT, *_NUMBERS),
    "int32": _function("lsl_pull_chunk_i", _COUNT, *_NUMBERS),
    "int16": _function("lsl_pull_chunk_s", _COUNT, *_NUMBERS),
    "int8": _function("lsl_pull_chunk_c", _COUNT, *_NUMBERS),
}
_pull_texts = _function(
    "lsl_pull_chunk_buf",
    _COUNT,
    *(_POINTER, _POINTER, _POINTER, _POINTER, _COUNT, _COUNT, ctypes.c_double, _CODE),
)


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


class _Buffer(Protocol):
    """Memory that liblsl fills."""

    size: int

    def pull(self, handle: Any, n: int, code: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Take `n` samples, or as many as there are; return stamps and samples."""


class _Numbers:
    def __init__(self, info: StreamInfo) -> None:
        row_bytes = info.channel_count * info.dtype.itemsize
        self.size = max(1, min(MAX_CHUNK, MAX_CHUNK_BYTES // max(row_bytes, 1)))
        self._width = info.channel_count
        self._samples = np.empty((self.size, info.channel_count), info.dtype)
        self._stamps = np.empty(self.size, np.float64)
        self._places = self._samples.ctypes.data, self._stamps.ctypes.data
        self._pull = _pull_numbers[info.channel_format]

    def pull(self, handle: Any, n: int, code: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        n_values = self._pull(handle, *self._places, n * self._width, n, 0.0, code)
        rows = n_values // self._width
        return self._stamps[:rows].copy(), self._samples[:rows].copy()


class _Texts:
    """Strings come as pointers with lengths; each is copied, NUL and all, and given back to liblsl."""

    size = MAX_TEXT_CHUNK

    def __init__(self, info: StreamInfo) -> None:
        self._width = info.channel_count
        self._pointers = np.zeros(self.size * self._width, np.uintp)
        self._lengths = np.zeros(self.size * self._width, np.uint32)
        self._stamps = np.empty(self.size, np.float64)
        arrays = (self._pointers, self._lengths, self._stamps)
        self._places = tuple(array.ctypes.data for array in arrays)

    def pull(self, handle: Any, n: int, code: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        size = n * self._width
        n_values = _pull_texts(handle, *self._places, size, n, 0.0, code)
        pointers = self._pointers[:size].tolist()
        lengths = self._lengths[:n_values].tolist()
        values = np.empty(n_values, np.object_)
        for index, length in enumerate(lengths):
            values[index] = ctypes.string_at(pointers[index], length) if length else b""
        for pointer in pointers:
            if pointer:
                _destroy_string(pointer)
        self._pointers[:size] = 0
        rows = n_values // self._width
        return self._stamps[:rows].copy(), values.reshape(rows, self._width)


class Inlet:
    """An open stream.

    Attributes
    ----------
    info : StreamInfo
        The full description, channels included.
    """

    def __init__(self, info: StreamInfo, inlet: pylsl.StreamInlet) -> None:
        self.info = info
        self._inlet = inlet
        self._handle = inlet.obj.value
        self._buffer: _Buffer = _Texts(info) if info.is_string else _Numbers(info)
        self._result = ctypes.c_int32()
        self._code = ctypes.byref(self._result)

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
        waiting = _available(self._handle)
        if not waiting:
            self._raise_if_lost()
        while waiting > 0:
            self._result.value = 0
            stamps, samples = self._buffer.pull(
                self._handle, min(waiting, self._buffer.size), self._code
            )
            if self._result.value != 0:  # lost, or an error inside liblsl
                # liblsl ends the queue of a broken connection with an entry that is no sample.
                raise StreamLostError(self.info.name, max(0, waiting - 1))
            if not len(stamps):
                return
            waiting -= len(stamps)
            yield stamps, samples

    def _raise_if_lost(self) -> None:
        self._result.value = 0
        _open_stream(self._handle, 0.0, self._code)
        if self._result.value not in {0, TIMED_OUT}:
            raise StreamLostError(self.info.name)

    def clock_offset(self, timeout_s: float = CLOCK_TIMEOUT_S) -> ClockOffset | None:
        """Measure the sender's clock; None if it does not answer in time.

        liblsl sends several probes and keeps the one with the shortest round trip.
        """
        remote, uncertainty, code = ctypes.c_double(), ctypes.c_double(), ctypes.c_int32()
        offset = _time_correction(
            self._handle,
            ctypes.byref(remote),
            ctypes.byref(uncertainty),
            timeout_s,
            ctypes.byref(code),
        )
        if code.value != 0:
            return None
        return ClockOffset(remote.value + offset, offset, uncertainty.value)

    def close(self) -> None:
        """Disconnect."""
        self._inlet.close_stream()


class ClockProbe:
    """Measures the clocks of all open inlets, in a thread of its own.

    New inlets are measured at once, then every 5 s. liblsl asks from a thread of its own for each inlet, so
    nothing is waited for here: a sender that does not answer delays nobody's measurement.
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
                result = inlet.clock_offset(0.0)
                if result is not None:
                    self.measured.put((key, result))
                interval = CLOCK_INTERVAL_S if result else FIRST_CLOCK_INTERVAL_S
                with self._lock:
                    if self._inlets.get(key, (None, 0.0))[0] is inlet:
                        self._inlets[key] = (inlet, pylsl.local_clock() + interval)
                if self._stop.is_set():
                    return
