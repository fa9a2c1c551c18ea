"""Find streams on the network quickly and open them.

An outlet keeps nothing for those who connect later, so the time until a new one is found is lost. Short
searches of liblsl, one after the other, find it within a fraction of a second; outlets that are recorded
already are left out of the question, so that they need not answer and a search ends with the first new one.
"""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pylsl

from duchenne.recorder.inlets import Inlet, taken_from
from duchenne.recorder.streams import StreamInfo, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEARCH_S = 0.15
HURRIED_SEARCH_S = 0.04
HURRY_FOR_S = 30.0
SHORTEST_SEARCH_S = 0.01
OPEN_AGAIN_AFTER_S = 0.2
FAILED_AGAIN_AFTER_S = 1.0
SLOW_LOOK_INTERVAL_S = 1.0
FORGET_AFTER_S = 2.0
MAX_LEFT_OUT = 30
ANSWER_TIMEOUT_S = 1.5


class Finder:
    """Looks for streams in a thread of its own and opens each new one in another.

    Parameters
    ----------
    predicates : sequence of str
        XPath 1.0 conditions of LSL, such as ``name='Gaze'``; empty means every stream.

    Attributes
    ----------
    failures : SimpleQueue of str
        What could not be opened, once for each outlet.
    """

    def __init__(self, predicates: Sequence[str]) -> None:
        self.failures: SimpleQueue[str] = SimpleQueue()
        self._opened: SimpleQueue[Inlet] = SimpleQueue()
        self._condition = " or ".join(f"({condition})" for condition in predicates)
        # Hears late answers, and known hosts where the configuration could not be hastened.
        conditions: list[str | None] = [*predicates] or [None]
        self._slow = [
            pylsl.ContinuousResolver(pred=condition, forget_after=FORGET_AFTER_S)
            for condition in conditions
        ]
        self._lock = threading.Lock()
        self._held: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._seen: set[str] = set()
        self._told: set[str] = set()
        self._openers: list[threading.Thread] = []
        self._hurry_until = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._search_loop, name="find-streams")
        self._thread.start()

    def new_inlets(self) -> Iterator[Inlet]:
        """Yield the streams opened since the last call."""
        return taken_from(self._opened)

    def forget(self, uid: str) -> None:
        """Note that a stream was lost: its outlet, or its successor, is looked for in a hurry."""
        with self._lock:
            now = time.monotonic()
            self._held.discard(uid)
            self._not_before[uid] = now + OPEN_AGAIN_AFTER_S
            self._hurry_until = now + HURRY_FOR_S

    @staticmethod
    def answers(uid: str, timeout_s: float = ANSWER_TIMEOUT_S) -> bool:
        """Ask whether an outlet still lives."""
        return bool(pylsl.resolve_bypred(f"uid='{uid}'", 1, timeout_s))

    @staticmethod
    def visible() -> list[StreamInfo]:
        """Return what is on the network now, whether it is recorded or not."""
        return [describe(found) for found in pylsl.resolve_streams(wait_time=1.0)]

    def close(self) -> None:
        """Stop looking and wait for the threads that still open a stream."""
        self._stop.set()
        self._thread.join()
        for thread in self._openers:
            thread.join()
        self._slow.clear()
        for inlet in self.new_inlets():
            inlet.close()

    def _search_loop(self) -> None:
        next_slow = time.monotonic() + SLOW_LOOK_INTERVAL_S
        while not self._stop.is_set():
            begun = time.monotonic()
            look_slowly = begun >= next_slow
            if look_slowly:
                next_slow = begun + SLOW_LOOK_INTERVAL_S
            try:
                self._search(begun, slowly=look_slowly)
            except Exception as error:  # noqa: BLE001 -- the search must outlive whatever one of them meets
                self._tell_once(f"search: {type(error).__name__}: {error}")
            self._stop.wait(max(0.0, begun + SHORTEST_SEARCH_S - time.monotonic()))

    def _search(self, begun: float, *, slowly: bool) -> None:
        duration = HURRIED_SEARCH_S if begun < self._hurry_until else SEARCH_S
        question, all_left_out = self._question(begun)
        found = pylsl.resolve_bypred(question, 1 if all_left_out else 0, duration)
        if slowly:
            known = [info for resolver in self._slow for info in resolver.results()]
            found += [info for info in known if info.uid() not in self._seen]
        for info in found:
            self._meet(info)

    def _tell_once(self, failure: str) -> None:
        if failure not in self._told:
            self._told.add(failure)
            self.failures.put(failure)

    def _question(self, now: float) -> tuple[str, bool]:
        """Return the condition for outlets that are not known, and whether it leaves out all that are."""
        with self._lock:
            waiting = [uid for uid, when in self._not_before.items() if when > now]
            known = [*self._held, *waiting]
        left_out = " or ".join(f"uid='{uid}'" for uid in sorted(known)[:MAX_LEFT_OUT])
        parts = [f"({self._condition})"] if self._condition else []
        parts += [f"not({left_out})"] if left_out else []
        return " and ".join(parts) or "true()", len(known) <= MAX_LEFT_OUT

    def _meet(self, info: pylsl.StreamInfo) -> None:
        uid = info.uid()
        with self._lock:
            if uid in self._held or self._not_before.get(uid, 0.0) > time.monotonic():
                return
            self._held.add(uid)
            self._seen.add(uid)
        thread = threading.Thread(target=self._open, args=(info, uid), name="open-stream")
        thread.start()
        self._openers = [t for t in self._openers if t.is_alive()] + [thread]

    def _open(self, info: pylsl.StreamInfo, uid: str) -> None:
        try:
            self._opened.put(Inlet.open(info))
        except Exception as error:  # noqa: BLE001 -- whatever one stream does, the others are recorded
            with self._lock:
                self._held.discard(uid)
                self._not_before[uid] = time.monotonic() + FAILED_AGAIN_AFTER_S
                first = uid not in self._told
                self._told.add(uid)
            if first:
                self.failures.put(f"{info.name()}: {error or type(error).__name__}")
