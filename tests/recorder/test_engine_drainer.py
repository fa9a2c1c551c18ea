"""Draining: a slow stream holds up nobody, a slow writer is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from support.engines import wait_until

from duchenne.recorder.drainer import Drained, Drainer, merged
from duchenne.recorder.streams import StreamInfo

if TYPE_CHECKING:
    from collections.abc import Iterator


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

    results = [visit(first, 1.0), visit(first, 2.0), Drained(1, first, 3.0), visit(second, 4.0)]
    stamps = [None if d.stamps is None else d.stamps.tolist() for d in merged(results)]
    assert stamps == [[1.0, 2.0], None, [4.0]]
