"""The recording engine: drains every stream, commits it to the journal, notes what happens.

One thread polls all inlets every 50 ms and commits every 100 ms; finding and opening streams, probing
clocks and folding the journal happen on other threads, so that none of them delays a sample.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pylsl

from duchenne.recorder.inlets import ClockProbe, Finder, Inlet, StreamLostError, taken_from
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from duchenne.recorder.journal import Journal

POLL_INTERVAL_S = 0.05
COMMIT_INTERVAL_S = 0.1
LOOK_INTERVAL_S = 0.2
STALL_AFTER_S = 2.0
GONE_AFTER_S = 10.0
LAST_DRAIN_S = 0.5


@dataclass
class _Track:
    """An inlet being recorded and when it last delivered."""

    stream_id: int
    inlet: Inlet
    last_sample_s: float
    stalled: bool = False


@dataclass
class Engine:
    """Records streams into a journal until told to stop.

    Parameters
    ----------
    journal : Journal
    predicates : sequence of str
        Which streams; empty means all.
    required : sequence of str
        Names of streams without which the recording must not start.
    deadline_s : float
        Time within which the required streams must deliver.
    until_gone : str, optional
        Name of a stream whose end, once it has delivered, ends the recording after 10 s.
    tell : callable
        Receives one line about anything an operator should see; standard error by default.

    Attributes
    ----------
    started : bool
        Whether every required stream has delivered.
    """

    journal: Journal
    predicates: Sequence[str] = ()
    required: Sequence[str] = ()
    deadline_s: float = 15.0
    until_gone: str | None = None
    tell: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)
    started: bool = False
    _tracks: list[_Track] = field(default_factory=list)
    _lost: dict[tuple[str, str, str, str, int], int] = field(default_factory=dict)
    _delivering: set[str] = field(default_factory=set)
    _gone_since_s: float | None = None

    def run(self, stop: threading.Event, *, duration_s: float | None = None) -> None:
        """Record until `stop` is set or the duration has passed.

        Raises
        ------
        DuchenneError
            If a required stream does not deliver before the deadline; what was received stays in the
            journal.
        """
        finder = Finder(self.predicates)
        probe = ClockProbe()
        try:
            self._loop(finder, probe, stop, duration_s)
            self._drain_rest(probe)
        finally:
            probe.close()
            finder.close()
            self._store_offsets(probe)
            self.journal.commit()
            for track in self._tracks:
                track.inlet.close()

    def _loop(
        self, finder: Finder, probe: ClockProbe, stop: threading.Event, duration_s: float | None
    ) -> None:
        begun = time.monotonic()
        started_s = begun
        next_look = next_commit = 0.0
        self.journal.set_meta(state="waiting")
        while not stop.is_set():
            now = time.monotonic()
            if now >= next_look:
                finder.look()
                next_look = now + LOOK_INTERVAL_S
            self._register(finder, probe)
            self._drain(probe)
            if not self.started and set(self.required) <= self._delivering:
                self.started, started_s = True, now
                self.journal.set_meta(state="recording", recording_since_lsl_s=pylsl.local_clock())
            if not self.started and now - begun > self.deadline_s:
                self._refuse(finder)
            if self._is_over(now):
                break
            if duration_s is not None and self.started and now - started_s >= duration_s:
                break
            if now >= next_commit:
                self._store_offsets(probe)
                self.journal.commit()
                next_commit = now + COMMIT_INTERVAL_S
            stop.wait(max(0.0, POLL_INTERVAL_S - (time.monotonic() - now)))
        self.journal.set_meta(state="stopping")

    def _is_over(self, now: float) -> bool:
        """Whether the stream that ends the recording has been gone for long enough."""
        here = any(track.inlet.info.name == self.until_gone for track in self._tracks)
        if here or self.until_gone not in self._delivering:
            self._gone_since_s = None
            return False
        self._gone_since_s = self._gone_since_s or now
        return now - self._gone_since_s > GONE_AFTER_S

    def _register(self, finder: Finder, probe: ClockProbe) -> None:
        for inlet in finder.new_inlets():
            info = inlet.info
            identity = (
                info.name,
                info.type,
                info.source_id,
                info.channel_format,
                info.channel_count,
            )
            returning = self._lost.pop(identity, None) if info.source_id else None
            stream_id = self.journal.add_stream(info) if returning is None else returning
            now = pylsl.local_clock()
            self.journal.add_segment(stream_id, info.uid, now)
            self._log("found" if returning is None else "returned", info.name)
            if returning is not None:
                self.tell(f"stream {info.name} is back")
            self._tracks.append(_Track(stream_id, inlet, now))
            if info.nominal_srate_hz == 0:
                self._delivering.add(info.name)
            probe.add(stream_id, inlet)
        for failure in taken_from(finder.failures):
            self._log("open failed", failure)

    def _drain(self, probe: ClockProbe) -> None:
        for track in list(self._tracks):
            try:
                self._drain_one(track)
            except StreamLostError:
                self._forget(track, probe)

    def _drain_one(self, track: _Track) -> None:
        for stamps, samples in track.inlet.drain():
            now = pylsl.local_clock()
            self.journal.append(track.stream_id, stamps, samples, received_s=now)
            track.last_sample_s = now
            self._delivering.add(track.inlet.info.name)
            if track.stalled:
                track.stalled = False
                self._log("resumed", track.inlet.info.name)
                self.tell(f"stream {track.inlet.info.name} delivers again")
        silence_s = pylsl.local_clock() - track.last_sample_s
        if (
            track.inlet.info.nominal_srate_hz > 0
            and silence_s > STALL_AFTER_S
            and not track.stalled
        ):
            track.stalled = True
            self._log("stalled", track.inlet.info.name)
            self.tell(
                f"stream {track.inlet.info.name} stopped {silence_s:.1f} s ago: check its device"
            )

    def _forget(self, track: _Track, probe: ClockProbe) -> None:
        info = track.inlet.info
        self._tracks.remove(track)
        probe.remove(track.stream_id)
        identity = (info.name, info.type, info.source_id, info.channel_format, info.channel_count)
        self._lost[identity] = track.stream_id
        self._log("lost", info.name)
        self.tell(
            f"stream {info.name} is gone: its source ended; it is recorded again if it returns"
        )

    def _drain_rest(self, probe: ClockProbe) -> None:
        """Take what is still in flight: until nothing new came twice in a row."""
        deadline = time.monotonic() + LAST_DRAIN_S
        quiet = 0
        while quiet < 2 and time.monotonic() < deadline:
            before = sum(self.journal.sample_count(track.stream_id) for track in self._tracks)
            self._drain(probe)
            after = sum(self.journal.sample_count(track.stream_id) for track in self._tracks)
            quiet = quiet + 1 if after <= before else 0
            self.journal.commit()
            time.sleep(POLL_INTERVAL_S)

    def _store_offsets(self, probe: ClockProbe) -> None:
        for stream_id, offset in probe.results():
            self.journal.add_clock_offset(
                stream_id, offset.time_s, offset.offset_s, offset.uncertainty_s
            )

    def _refuse(self, finder: Finder) -> None:
        missing = [name for name in self.required if name not in self._delivering]
        silent = [name for name in missing if name in {t.inlet.info.name for t in self._tracks}]
        found = sorted({info.name for info in finder.visible()})
        seen = f"found {', '.join(found)}" if found else "found no stream at all"
        hint = (
            f"{', '.join(silent)} is there but sends nothing: start its device."
            if silent
            else "Start its source, or do not require it."
        )
        raise DuchenneError(
            f"no data from {', '.join(missing)} within {self.deadline_s:g} s; {seen}. {hint}"
        )

    def _log(self, kind: str, detail: str) -> None:
        self.journal.log(pylsl.local_clock(), kind, detail)
