"""The recording engine: drains every stream, commits it to the journal, notes what happens.

One thread drains all inlets every 10 ms; another writes what it brings and commits every 100 ms. Finding and
opening streams, probing clocks and folding the journal happen on further threads, so that none of them
delays a sample.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pylsl

from duchenne.recorder.inlets import ClockProbe, Drainer, Finder, Inlet, taken_from
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
LAST_DRAIN_S = 0.2


@dataclass
class _Track:
    """An inlet being recorded and when it last delivered."""

    stream_id: int
    inlet: Inlet
    last_sample_s: float
    stalled: bool = False

    @property
    def identity(self) -> tuple[str, ...]:
        """By which the stream is known when it returns: its source id, else its very outlet."""
        info = self.inlet.info
        if not info.source_id:
            return (info.uid,)
        shape = (info.channel_format, str(info.channel_count))
        return (info.name, info.type, info.source_id, *shape)


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
    _tracks: dict[int, _Track] = field(default_factory=dict)
    _lost: dict[tuple[str, ...], int] = field(default_factory=dict)
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
        finder, drainer, probe = Finder(self.predicates), Drainer(), ClockProbe()
        try:
            self._loop(finder, drainer, probe, stop, duration_s)
            time.sleep(LAST_DRAIN_S)  # for what is in flight
        finally:
            try:
                drainer.close()
                self._store(finder, drainer, probe)
                self.journal.set_meta(stopped_lsl_s=pylsl.local_clock())
                self.journal.commit()
            finally:
                probe.close()
                finder.close()
                for track in self._tracks.values():
                    track.inlet.close()

    def _loop(
        self,
        finder: Finder,
        drainer: Drainer,
        probe: ClockProbe,
        stop: threading.Event,
        duration_s: float | None,
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
            self._register(finder, drainer, probe)
            self._store(finder, drainer, probe)
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
                self.journal.commit()
                next_commit = now + COMMIT_INTERVAL_S
            stop.wait(max(0.0, POLL_INTERVAL_S - (time.monotonic() - now)))
        self.journal.set_meta(state="stopping")

    def _is_over(self, now: float) -> bool:
        """Whether the stream that ends the recording has been gone for long enough."""
        here = any(track.inlet.info.name == self.until_gone for track in self._tracks.values())
        if here or self.until_gone not in self._delivering:
            self._gone_since_s = None
            return False
        self._gone_since_s = self._gone_since_s or now
        return now - self._gone_since_s > GONE_AFTER_S

    def _register(self, finder: Finder, drainer: Drainer, probe: ClockProbe) -> None:
        for inlet in finder.new_inlets():
            info = inlet.info
            now = pylsl.local_clock()
            track = _Track(-1, inlet, now)
            returning = self._lost.pop(track.identity, None)
            track.stream_id = self.journal.add_stream(info) if returning is None else returning
            self.journal.add_segment(track.stream_id, info.uid, now)
            self._log("found" if returning is None else "returned", info.name)
            if returning is not None:
                self.tell(f"stream {info.name} is back")
            self._tracks[track.stream_id] = track
            if info.nominal_srate_hz == 0:
                self._delivering.add(info.name)
            drainer.add(track.stream_id, inlet)
            probe.add(track.stream_id, inlet)
        for failure in taken_from(finder.failures):
            self._log("open failed", failure)

    def _store(self, finder: Finder, drainer: Drainer, probe: ClockProbe) -> None:
        """Put into the journal what the other threads have brought."""
        for drained in drainer.results():
            track = self._tracks[drained.stream_id]
            if drained.stamps is None or drained.samples is None:
                self._forget(track, drained.n_lost, finder, probe)
                continue
            self.journal.append(
                drained.stream_id, drained.stamps, drained.samples, received_s=drained.received_s
            )
            track.last_sample_s = drained.received_s
            self._delivering.add(track.inlet.info.name)
        for stream_id, offset in probe.results():
            self.journal.add_clock_offset(
                stream_id, offset.time_s, offset.offset_s, offset.uncertainty_s
            )
        for track in self._tracks.values():
            self._watch_silence(track)

    def _watch_silence(self, track: _Track) -> None:
        info = track.inlet.info
        silence_s = pylsl.local_clock() - track.last_sample_s
        silent = info.nominal_srate_hz > 0 and silence_s > STALL_AFTER_S
        if silent and not track.stalled:
            self._log("stalled", info.name)
            self.tell(f"stream {info.name} stopped {silence_s:.1f} s ago: check its device")
        elif track.stalled and not silent:
            self._log("resumed", info.name)
            self.tell(f"stream {info.name} delivers again")
        track.stalled = silent

    def _forget(self, track: _Track, n_lost: int, finder: Finder, probe: ClockProbe) -> None:
        info = track.inlet.info
        del self._tracks[track.stream_id]
        probe.remove(track.stream_id)
        finder.forget(info.uid)
        self._lost[track.identity] = track.stream_id
        rest = f", with it {n_lost} samples that were on their way" if n_lost else ""
        self._log("lost", info.name + rest)
        self.tell(f"stream {info.name} is gone{rest}; it is recorded again if it returns")

    def _refuse(self, finder: Finder) -> None:
        here = {track.inlet.info.name for track in self._tracks.values()}
        missing = [name for name in self.required if name not in self._delivering]
        silent = [name for name in missing if name in here]
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
