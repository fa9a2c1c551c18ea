"""Run a source in a thread and hear it through real LSL."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl

from duchenne.recorder.sources.base import serve
from duchenne.recorder.sources.registry import create_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEADLINE_S = 20.0


@dataclass
class Heard:
    """What an inlet has received: one row per sample, and the time stamps."""

    rows: list[Any] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)

    @property
    def times_s(self) -> np.ndarray:
        return np.array(self.stamps)

    @property
    def samples(self) -> np.ndarray:
        return np.array(self.rows, dtype=np.float64)


@contextmanager
def listening(source_id: str) -> Iterator[pylsl.StreamInlet]:
    """Open an inlet on a stream that is up or will be soon."""
    found = pylsl.resolve_byprop("source_id", source_id, 1, DEADLINE_S)
    assert found, f"no stream of source id {source_id}"
    inlet = pylsl.StreamInlet(found[0], recover=False)
    inlet.open_stream(DEADLINE_S)
    try:
        yield inlet
    finally:
        inlet.close_stream()


def collect(inlet: pylsl.StreamInlet, heard: Heard, duration_s: float) -> None:
    """Pull for a while."""
    until = time.monotonic() + duration_s
    while time.monotonic() < until:
        rows, stamps = inlet.pull_chunk(timeout=0.05, max_samples=256, as_numpy=True)
        heard.rows.extend(row[0] if row.dtype == object else row for row in rows)
        heard.stamps.extend(stamps.tolist())


@contextmanager
def serving(name: str, source_id: str, settings: Mapping[str, str]) -> Iterator[None]:
    """Serve a source in a thread; on leaving, stop it within 2 s and raise what it raised."""
    stop, ready = threading.Event(), threading.Event()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            serve(create_source(name, source_id, settings), stop, ready.set)
        except BaseException as error:  # noqa: BLE001 -- handed on to the test
            problems.append(error)
            ready.set()

    thread = threading.Thread(target=work, name=f"serve-{name}")
    thread.start()
    try:
        assert ready.wait(DEADLINE_S), f"{name} was not ready within {DEADLINE_S} s"
        yield
    finally:
        begun = time.monotonic()
        stop.set()
        thread.join(DEADLINE_S)
        took_s = time.monotonic() - begun
    if problems:
        raise problems[0]
    assert took_s < 4.0, f"{name} took {took_s:.1f} s to stop"
