"""Clock measurements: the first one comes soon, of every stream, whatever the others do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pylsl
from support.engines import recording, wait_until

from duchenne.recorder.inlets import ClockOffset, ClockProbe
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

N_STREAMS = 10


class _Silent:
    """A sender that answers no question about its clock."""

    def clock_offset(self, timeout_s: float) -> ClockOffset | None:
        time.sleep(timeout_s)
        return None


class _Answers(_Silent):
    def clock_offset(self, timeout_s: float) -> ClockOffset | None:
        del timeout_s
        return ClockOffset(1.0, 2.0, 1e-4)


def test_a_sender_that_does_not_answer_delays_no_other() -> None:
    probe = ClockProbe()
    for number in range(20):
        probe.add(number, _Silent())  # type: ignore[arg-type]  # what a probe needs of an inlet
    probe.add(20, _Answers())  # type: ignore[arg-type]  # as above
    time.sleep(1.0)
    found = list(probe.results())
    probe.close()
    assert found == [(20, ClockOffset(1.0, 2.0, 1e-4))]


def test_a_short_recording_has_measured_every_clock(tmp_path: Path, unique_name: str) -> None:
    """liblsl takes 0.6 s for a first answer: one stream after the other would take 6 s."""
    outlets = [
        pylsl.StreamOutlet(pylsl.StreamInfo(f"{unique_name}-{i}", "X", 1, 0, "float32", f"s{i}"))
        for i in range(N_STREAMS)
    ]
    predicate = f"starts-with(name, '{unique_name}')"
    with recording(tmp_path / "x.h5", predicate) as running:
        wait_until(lambda: running.kinds().count("found") == N_STREAMS, "all streams")
        time.sleep(2.5)
    del outlets
    with Recording.open(tmp_path / "x.h5") as file:
        assert [len(stream.clock_offsets) > 0 for stream in file.streams.values()] == [
            True
        ] * N_STREAMS
