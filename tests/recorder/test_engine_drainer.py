"""Draining: a slow stream holds up nobody, a slow writer is told."""

from __future__ import annotations

import time
from queue import SimpleQueue
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from support.engines import wait_until

from duchenne.recorder.arrivals import Arrival
from duchenne.recorder.drainer import Drained, Drainer, merged
from duchenne.recorder.engine import MAX_PENDING_BYTES, Engine
from duchenne.recorder.journal import Journal
from duchenne.recorder.streams import StreamInfo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Stream:
    """Gives out one sample a visit, after a while."""

    def __init__(self, visit_s: float) -> None:
        self.info = StreamInfo("A", "X")
        self._visit_s = visit_s

    def drain(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        time.sleep(self._visit_s)
        yield np.zeros(1), np.zeros((1, 1), np.float32)


def test_a_slow_stream_does_not_hold_up_the_others() -> None:
    drainer = Drainer(lambda _line: None)
    drainer.add(1, _Stream(0.7))  # type: ignore[arg-type]  # what a drainer needs of an inlet
    for number in range(2, 6):
        drainer.add(number, _Stream(0.0))  # type: ignore[arg-type]  # as above
    time.sleep(0.5)  # the first visit holds all of them up, until it is seen
    drainer.results()
    begun = time.monotonic()
    time.sleep(1.5)
    counts = np.bincount([drained.stream_id for drained in drainer.results()], minlength=6)
    took_s = time.monotonic() - begun
    drainer.close()
    assert drainer.slow.get_nowait() == 1
    assert 1 <= counts[1] <= 4
    assert np.all(counts[2:6] > 20 * took_s)


def test_a_writer_that_is_behind_is_told() -> None:
    told: list[str] = []
    drainer = Drainer(told.append)
    drainer.add(1, _Stream(0.0))  # type: ignore[arg-type]  # as above
    wait_until(lambda: bool(told), "the warning")
    results = drainer.results()
    drainer.close()
    assert "behind" in told[0]
    assert "nothing is lost so far" in told[0]
    assert len(results) > 10


def test_visits_are_joined_in_order_and_never_across_a_loss() -> None:
    first: Any
    first, second = object(), object()

    def visit(inlet: Any, value: float) -> Drained:
        return Drained(1, inlet, value, np.array([value]), np.array([[value]]))

    results = [visit(first, 1.0), visit(first, 1.2), Drained(1, first, 3.0), visit(second, 4.0)]
    stamps = [None if d.stamps is None else d.stamps.tolist() for d in merged(results)]
    assert stamps == [[1.0, 1.2], None, [4.0]]


def test_visits_far_apart_keep_their_times_of_arrival() -> None:
    inlet: Any = object()
    visits = [Drained(1, inlet, at, np.array([at]), np.array([[at]])) for at in (1.0, 1.4, 1.7)]
    assert [d.received_s for d in merged(visits)] == [1.0, 1.7]


class _Broken(_Stream):
    def drain(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        raise MemoryError("a text of 3 GB")


def test_a_stream_that_cannot_be_read_is_told_once_and_stops_no_other() -> None:
    drainer = Drainer(lambda _line: None)
    drainer.add(1, _Broken(0.0))  # type: ignore[arg-type]  # as above
    drainer.add(2, _Stream(0.0))  # type: ignore[arg-type]  # as above
    time.sleep(0.5)
    results = drainer.results()
    drainer.close()
    assert len(results) > 3
    assert drainer.failures.get_nowait() == "A cannot be read: MemoryError: a text of 3 GB"
    assert drainer.failures.empty()


def test_a_stream_that_is_given_up_is_lost_behind_all_that_it_brought() -> None:
    drainer = Drainer(lambda _line: None)
    drainer.add(1, _Stream(0.0))  # type: ignore[arg-type]  # as above
    wait_until(lambda: drainer.held_bytes > 0, "a sample")
    drainer.end(1)
    drainer.end(1)
    results = drainer.results()
    drainer.close()
    assert [d.stamps is None for d in results] == [False] * (len(results) - 1) + [True]


def test_what_waits_behind_a_full_disk_is_stored_when_the_recording_ends(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "x.journal", {}) as journal:
        engine = Engine(journal, tell=lambda _line: None)
        stream: Any = _Stream(0.0)
        stream.close = lambda: None
        drainer = Drainer(lambda _line: None)
        threads: Any = SimpleNamespace(drainer=drainer, finder=_Nothing(), probe=_Nothing())
        engine._admit(Arrival(stream, 0.0), threads)
        wait_until(lambda: drainer.held_bytes > 0, "a sample")
        journal._pending_bytes = MAX_PENDING_BYTES  # the disk has taken nothing for long
        engine._store(threads)
        assert journal.sample_count(1) == 0
        engine._take_in_the_rest(threads)
        assert journal.sample_count(1) > 0
        assert drainer.held_bytes == 0


class _Nothing:
    """A finder that finds nothing and a probe that measures nothing."""

    def __init__(self) -> None:
        self.failures: SimpleQueue[str] = SimpleQueue()

    def new_inlets(self) -> list[Any]:
        return []

    def results(self) -> list[Any]:
        return []

    def add(self, *_: Any) -> None:
        pass
