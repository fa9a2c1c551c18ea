"""Drain every inlet in time: no disk, and no other stream, ever holds one up.

One thread visits all inlets every 20 ms, which needs less CPU time than a thread for each. A stream whose
visit takes long keeps that thread to itself, and another takes over all the rest.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl

from duchenne.recorder.inlets import Inlet, StreamLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

VISIT_INTERVAL_S = 0.02
WATCH_INTERVAL_S = 0.05
SLOW_VISIT_S = 0.15
TOGETHER_AGAIN_AFTER_S = 10.0
BEHIND_S = 1.0
MAX_HELD_BYTES = 256 << 20
MAX_MERGED_BYTES = 4 << 20
MAX_MERGED_S = 0.5
"""Chunks that came further apart keep their own times of arrival, which tell where a clock stepped."""
TEXT_OVERHEAD_BYTES = 64


@dataclass(frozen=True)
class Drained:
    """What one visit to an inlet brought.

    Attributes
    ----------
    stream_id : int
    inlet : Inlet
        It came from.
    received_s : float
        On the recorder's LSL clock.
    stamps, samples : ndarray
        As from :meth:`Inlet.drain`; None where the stream was lost.
    n_lost : int
        Samples that were lost with it.
    """

    stream_id: int
    inlet: Inlet
    received_s: float
    stamps: npt.NDArray[np.float64] | None = None
    samples: npt.NDArray[Any] | None = None
    n_lost: int = 0


def merged(results: Sequence[Drained]) -> Iterator[Drained]:
    """Join what one inlet brought in several visits, so that the journal stores fewer, larger chunks."""
    held: dict[int, list[Drained]] = {}
    for drained in results:
        group = held.setdefault(drained.stream_id, [])
        size = sum(part.samples.nbytes for part in group if part.samples is not None)
        if group and (
            drained.samples is None
            or drained.inlet is not group[0].inlet
            or size > MAX_MERGED_BYTES
            or drained.received_s - group[0].received_s > MAX_MERGED_S
        ):
            yield _joined(group)
            group.clear()
        if drained.samples is None:
            yield drained
        else:
            group.append(drained)
    for group in held.values():
        if group:
            yield _joined(group)


def _joined(group: Sequence[Drained]) -> Drained:
    if len(group) == 1:
        return group[0]
    stamps = [part.stamps for part in group if part.stamps is not None]
    samples = [part.samples for part in group if part.samples is not None]
    return replace(group[0], stamps=np.concatenate(stamps), samples=np.concatenate(samples))


@dataclass
class _Crew:
    """A thread and the inlets that it visits."""

    inlets: dict[int, Inlet] = field(default_factory=dict)
    at: int | None = None
    since_s: float = 0.0
    slow_s: float | None = None


class Drainer:
    """Drains inlets from their own threads until closed.

    Parameters
    ----------
    tell : callable
        Receives one line when nobody takes what is drained, and when memory is full.

    Attributes
    ----------
    slow : SimpleQueue of int
        Streams whose visit took long, by number.
    failures : SimpleQueue of str
        Streams that could not be visited and why, once for each stream; it is tried again.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.slow: SimpleQueue[int] = SimpleQueue()
        self.failures: SimpleQueue[str] = SimpleQueue()
        self._told_failed: set[int] = set()
        self._tell = tell
        self._drained: list[Drained] = []
        self._held_bytes = 0
        self._oldest_s: float | None = None
        self._told_behind = self._told_full = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._common = _Crew()
        self._crews = [self._common]
        self._threads: list[threading.Thread] = []
        self._start(self._common)
        self._watcher = threading.Thread(target=self._watch, name="watch-drains")
        self._watcher.start()

    def add(self, stream_id: int, inlet: Inlet) -> None:
        """Start draining an inlet."""
        with self._lock:
            self._common.inlets[stream_id] = inlet

    def end(self, stream_id: int) -> None:
        """Stop draining an inlet whose outlet died; it counts as lost behind all that it brought."""
        with self._lock:
            for crew in self._crews:
                inlet = crew.inlets.pop(stream_id, None)
                if inlet is not None:
                    self._drained.append(Drained(stream_id, inlet, pylsl.local_clock()))

    @property
    def held_bytes(self) -> int:
        """What was drained and not yet taken."""
        return self._held_bytes

    def results(self) -> list[Drained]:
        """Take what was drained since the last call, oldest first."""
        with self._lock:
            taken, self._drained = self._drained, []
            self._held_bytes, self._oldest_s = 0, None
            self._told_behind = self._told_full = False
            return taken

    def close(self) -> None:
        """Drain once more and stop the threads."""
        self._stop.set()
        self._watcher.join()  # first, as it starts others
        for thread in self._threads:
            thread.join()
        for crew in self._crews:
            self._visit_all(crew)

    def _start(self, crew: _Crew) -> None:
        thread = threading.Thread(target=self._loop, args=(crew,), name="drain-inlets")
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def _loop(self, crew: _Crew) -> None:
        while not self._stop.wait(VISIT_INTERVAL_S):
            if self._held_bytes < MAX_HELD_BYTES:  # else the samples wait in LSL's own buffers
                self._visit_all(crew)
            if crew is not self._common and self._has_joined(crew):
                return

    def _visit_all(self, crew: _Crew) -> None:
        with self._lock:
            inlets = list(crew.inlets.items())
        for stream_id, inlet in inlets:
            with self._lock:
                if crew.inlets.get(stream_id) is not inlet:
                    continue  # another thread has taken it over, or it was removed
                crew.since_s, crew.at = time.monotonic(), stream_id
            self._visit(crew, stream_id, inlet)
            crew.at = None

    def _visit(self, crew: _Crew, stream_id: int, inlet: Inlet) -> None:
        try:
            for stamps, samples in inlet.drain():
                size = stamps.nbytes + samples.nbytes
                if samples.dtype == np.object_:
                    size += sum(len(value) + TEXT_OVERHEAD_BYTES for value in samples.flat)
                self._put(Drained(stream_id, inlet, pylsl.local_clock(), stamps, samples), size)
        except StreamLostError as error:
            with self._lock:
                if crew.inlets.get(stream_id) is inlet:
                    del crew.inlets[stream_id]
            self._put(Drained(stream_id, inlet, pylsl.local_clock(), n_lost=error.n_lost), 0)
        except Exception as error:  # noqa: BLE001 -- whatever one stream does, the others are recorded
            if stream_id not in self._told_failed:
                self._told_failed.add(stream_id)
                self.failures.put(
                    f"{inlet.info.name} cannot be read: {type(error).__name__}: {error}"
                )

    def _put(self, drained: Drained, size: int) -> None:
        with self._lock:
            self._drained.append(drained)
            self._held_bytes += size
            if self._oldest_s is None:
                self._oldest_s = drained.received_s

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_INTERVAL_S):
            crew = self._common
            at, since_s = crew.at, crew.since_s
            if at is not None and time.monotonic() - since_s > SLOW_VISIT_S:
                self._hand_over(crew, at)
            self._watch_backlog()

    def _hand_over(self, crew: _Crew, slow_id: int) -> None:
        """Leave the thread that is held up with its stream; start another for all the rest."""
        with self._lock:
            if len(crew.inlets) <= 1 or slow_id not in crew.inlets or crew.at != slow_id:
                return
            rest = {key: inlet for key, inlet in crew.inlets.items() if key != slow_id}
            crew.inlets = {slow_id: crew.inlets[slow_id]}
            crew.slow_s = time.monotonic()
            self._common = _Crew(rest)
            self._crews.append(self._common)
        self.slow.put(slow_id)
        self._start(self._common)

    def _has_joined(self, crew: _Crew) -> bool:
        """Give a stream that is quick again back to the common thread; return whether this one may end."""
        now = time.monotonic()
        if now - crew.since_s > SLOW_VISIT_S + VISIT_INTERVAL_S:
            crew.slow_s = now
        if crew.inlets and now - (crew.slow_s or now) < TOGETHER_AGAIN_AFTER_S:
            return False
        with self._lock:
            self._common.inlets.update(crew.inlets)
            crew.inlets = {}
            self._crews.remove(crew)
        return True

    def _watch_backlog(self) -> None:
        oldest_s = self._oldest_s
        if oldest_s is None:
            return
        behind_s = pylsl.local_clock() - oldest_s
        megabytes = self._held_bytes / 1e6
        if behind_s > BEHIND_S and not self._told_behind:
            self._told_behind = True
            self._tell(
                f"disk is {behind_s:.1f} s behind: {megabytes:.0f} MB wait in memory, nothing is lost so far"
            )
        if self._held_bytes >= MAX_HELD_BYTES and not self._told_full:
            self._told_full = True
            self._tell(
                f"disk takes nothing and {megabytes:.0f} MB wait in memory: from here on LSL keeps at most "
                "2 minutes of each stream"
            )
