"""Listens to streams that no recording brings: devices before a session, Action Units beside it."""

from __future__ import annotations

import contextlib
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
import pylsl

from duchenne.analysis.console.journal_tail import Batch, News
from duchenne.recorder.inlets import ClockProbe, Inlet, StreamLostError, taken_from

if TYPE_CHECKING:
    import numpy.typing as npt

LOOK_INTERVAL_S = 0.3
FORGET_AFTER_S = 3.0
TRY_AGAIN_S = 2.0
MAX_STREAMS = 40


class NetworkTap:
    """Hears every stream that meets a condition, as if it were recorded; keeps nothing.

    Parameters
    ----------
    predicate : str
        XPath 1.0 condition of LSL.
    measures_clocks : bool
        Also measure the senders' clocks.
    """

    def __init__(self, predicate: str, *, measures_clocks: bool = True) -> None:
        self._resolver = pylsl.ContinuousResolver(pred=predicate, forget_after=FORGET_AFTER_S)
        self._probe = ClockProbe() if measures_clocks else None
        self._opened: SimpleQueue[tuple[str, Inlet | None]] = SimpleQueue()
        self._inlets: dict[int, tuple[str, Inlet]] = {}
        self._known: dict[str, float] = {}
        self._openers: list[threading.Thread] = []
        self._n = 0
        self._next_look_s = 0.0

    def close(self) -> None:
        """Disconnect from everything."""
        for thread in self._openers:
            thread.join()
        self._take_opened()
        if self._probe is not None:
            self._probe.close()
        for _, inlet in self._inlets.values():
            inlet.close()
        self._inlets.clear()

    def look(self) -> tuple[News, list[str]]:
        """Return what has come since the last look, and the names of the streams that have gone."""
        now_s = pylsl.local_clock()
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + LOOK_INTERVAL_S
            self._find(now_s)
        self._take_opened()
        news, gone = News(), []
        news.streams = {key: inlet.info for key, inlet in self._inlets.values()}
        for number, (key, inlet) in list(self._inlets.items()):
            try:
                for stamps, samples in inlet.drain():
                    news.batches.append(self._batch(key, inlet, stamps, samples, now_s))
            except StreamLostError:
                gone.append(inlet.info.name)
                self._forget(number)
        if self._probe is not None:
            for number, offset in self._probe.results():
                if number in self._inlets:
                    news.offsets.append((self._inlets[number][0], offset.time_s, offset.offset_s))
        return news, gone

    @staticmethod
    def _batch(
        key: str,
        inlet: Inlet,
        stamps: npt.NDArray[np.float64],
        samples: npt.NDArray[np.generic],
        now_s: float,
    ) -> Batch:
        if inlet.info.is_string:
            rows = [[bytes(value) for value in row] for row in samples.tolist()]
            return Batch(key, inlet.info, stamps, now_s, rows)
        return Batch(key, inlet.info, stamps, now_s, np.array(samples))

    def _find(self, now_s: float) -> None:
        for info in self._resolver.results():
            uid = info.uid()
            if self._known.get(uid, 0.0) > now_s or len(self._inlets) >= MAX_STREAMS:
                continue
            self._known[uid] = float("inf")
            thread = threading.Thread(target=self._open, args=(info, uid), name="console-open")
            thread.start()
            self._openers = [t for t in self._openers if t.is_alive()] + [thread]

    def _open(self, info: pylsl.StreamInfo, uid: str) -> None:
        inlet = None
        with contextlib.suppress(Exception):  # it has gone, or does not answer: tried again later
            inlet = Inlet.open(info)
        self._opened.put((uid, inlet))

    def _take_opened(self) -> None:
        for uid, inlet in taken_from(self._opened):
            if inlet is None:
                self._known[uid] = pylsl.local_clock() + TRY_AGAIN_S
                continue
            self._n += 1
            taken = {key for key, _ in self._inlets.values()}
            name = inlet.info.name
            key = name if name not in taken else f"{name}-{self._n}"
            self._inlets[self._n] = (key, inlet)
            if self._probe is not None:
                self._probe.add(self._n, inlet)

    def _forget(self, number: int) -> None:
        _, inlet = self._inlets.pop(number)
        self._known.pop(inlet.info.uid, None)
        if self._probe is not None:
            self._probe.remove(number)
        inlet.close()
