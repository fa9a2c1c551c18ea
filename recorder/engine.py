"""The recording engine: drains every stream, commits it to the journal, notes what happens.

Other threads drain the inlets, find and open streams, probe clocks and fold the journal; this one writes what
they bring and commits it every 100 ms, so that nothing it waits for delays a sample.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pylsl

from duchenne.recorder.arrivals import Arrival, identity_of
from duchenne.recorder.drainer import Drainer, merged
from duchenne.recorder.inlets import ClockProbe, taken_from
from duchenne.recorder.journal import JournalWriteError
from duchenne.recorder.resolver import Finder
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from duchenne.recorder.drainer import Drained
    from duchenne.recorder.inlets import Inlet
    from duchenne.recorder.journal import Journal

POLL_INTERVAL_S = 0.05
COMMIT_INTERVAL_S = 0.1
COMMIT_AGAIN_AFTER_S = 0.5
PLACE_INTERVAL_S = 1.0
BEHIND_S = 1.0
STALL_AFTER_S = 2.0
GONE_AFTER_S = 10.0
LAST_DRAIN_S = 0.2
MAX_PENDING_BYTES = 256 << 20


@dataclass
class _Track:
    """An inlet being recorded and when it last delivered."""

    stream_id: int
    inlet: Inlet
    last_sample_s: float
    stalled: bool = False


@dataclass
class _Threads:
    """What works beside the writing thread."""

    finder: Finder
    drainer: Drainer
    probe: ClockProbe


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
        Receives one line about anything an operator should see, from several threads; standard error by
        default.

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
    _arrivals: list[Arrival] = field(default_factory=list)
    _lost: dict[tuple[str, ...], list[int]] = field(default_factory=dict)
    _delivering: set[str] = field(default_factory=set)
    _gone_since_s: float | None = None
    _refused_since_s: float | None = None
    _told_reserve: bool = False

    def run(self, stop: threading.Event, *, duration_s: float | None = None) -> None:
        """Record until `stop` is set or the duration has passed.

        Raises
        ------
        JournalWriteError
            If the disk refuses to take the rest, or the journal has been moved away.
        DuchenneError
            If a required stream does not deliver before the deadline; what was received stays in the
            journal.
        """
        threads = _Threads(Finder(self.predicates), Drainer(self.tell), ClockProbe())
        try:
            self._loop(threads, stop, duration_s)
            time.sleep(LAST_DRAIN_S)  # for what is in flight
        finally:
            try:
                self._take_in_the_rest(threads)
                self.journal.set_meta(stopped_lsl_s=pylsl.local_clock())
                self._commit_last()
            finally:
                threads.probe.close()
                threads.finder.close()
                for track in self._tracks.values():
                    track.inlet.close()

    def _take_in_the_rest(self, threads: _Threads) -> None:
        """Put all that has arrived into the journal, however much waits there for the disk."""
        try:
            self._register(threads, last=True)
            self._store(threads, last=True)
            self._register(threads, last=True)  # what replaces a stream that was given up just now
        finally:
            threads.drainer.close()
        self._store(threads, last=True)

    def _loop(self, threads: _Threads, stop: threading.Event, duration_s: float | None) -> None:
        begun = started_s = time.monotonic()
        next_commit = next_place = 0.0
        self.journal.set_meta(state="waiting")
        while not stop.is_set():
            now = time.monotonic()
            self._store(threads)
            self._register(threads)
            if not self.started and set(self.required) <= self._delivering:
                self.started, started_s = True, now
                self.journal.set_meta(state="recording", recording_since_lsl_s=pylsl.local_clock())
            if not self.started and now - begun > self.deadline_s:
                self._refuse(threads.finder)
            if self._is_over(now):
                break
            if duration_s is not None and self.started and now - started_s >= duration_s:
                break
            if now >= next_commit:
                next_commit = now + (COMMIT_INTERVAL_S if self._commit() else COMMIT_AGAIN_AFTER_S)
            if now >= next_place:
                next_place = now + PLACE_INTERVAL_S
                self._check_place()
            stop.wait(max(0.0, POLL_INTERVAL_S - (time.monotonic() - now)))
        self.journal.set_meta(state="stopping")

    def _commit(self) -> bool:
        """Commit; tell where the disk refuses, and when it takes everything again."""
        now = pylsl.local_clock()
        try:
            self.journal.commit()
        except JournalWriteError as error:
            if self._refused_since_s is None:
                self._refused_since_s = now
                self.tell(f"disk: {error}. What arrives waits in memory: make room now")
            return False
        if self._refused_since_s is not None:
            waited = f"the disk took nothing for {now - self._refused_since_s:.1f} s"
            self._refused_since_s = None
            self._log("disk refused", f"{waited}; everything was kept in memory and stored after")
            self.tell(f"disk takes data again: {waited}, nothing is lost")
        if self.journal.used_reserve and not self._told_reserve:
            self._told_reserve = True
            self._log("disk full", "the room that was kept back is in use")
            self.tell(
                "disk is full: the room kept back for this lasts some seconds. Make room now, or end the "
                "session"
            )
        return True

    def _commit_last(self) -> None:
        try:
            self.journal.commit()
        except JournalWriteError as error:
            since_s = self._refused_since_s or pylsl.local_clock()
            raise JournalWriteError(
                f"{error}. The last {pylsl.local_clock() - since_s:.1f} s are lost; what came before is "
                f"safe: make room, then run `duchenne recover {self.journal.path}`."
            ) from error

    def _check_place(self) -> None:
        if not self.journal.is_in_place:
            raise JournalWriteError(
                f"{self.journal.path} was moved or removed while it was recorded: the recording ends. If it "
                "was moved, put it back with its -wal file and run `duchenne recover` on it."
            )

    def _is_over(self, now: float) -> bool:
        """Whether the stream that ends the recording has been gone for long enough."""
        here = any(track.inlet.info.name == self.until_gone for track in self._tracks.values())
        if here or self.until_gone not in self._delivering:
            self._gone_since_s = None
            return False
        self._gone_since_s = self._gone_since_s or now
        return now - self._gone_since_s > GONE_AFTER_S

    def _register(self, threads: _Threads, *, last: bool = False) -> None:
        """Take in the streams that were opened, once it is known which of them return."""
        for inlet in threads.finder.new_inlets():
            self._arrivals.append(Arrival(inlet, pylsl.local_clock()))
        for arrival in list(self._arrivals):
            rivals = [
                track
                for track in self._tracks.values()
                if identity_of(track.inlet.info) == arrival.identity
            ]
            if not self._lost.get(arrival.identity) and rivals:
                verdict = arrival.rival_that_died(
                    [(t.inlet.info.uid, t.last_sample_s) for t in rivals],
                    threads.finder.answers,
                    wait=last,
                )
                if verdict is None:
                    continue
                gone = [track for track in rivals if track.inlet.info.uid == verdict]
                for track in gone:
                    threads.drainer.end(track.stream_id)
                if gone:
                    continue  # until what the old one brought is stored, and it counts as lost
            self._arrivals.remove(arrival)
            self._admit(arrival, threads)
        for failure in taken_from(threads.finder.failures):
            self._log("open failed", failure)
        for failure in taken_from(threads.drainer.failures):
            self._log("drain failed", failure)
            self.tell(f"stream {failure}")
        for stream_id in taken_from(threads.drainer.slow):
            if stream_id in self._tracks:
                self._log("slow", f"{self._tracks[stream_id].inlet.info.name}: drained on its own")

    def _admit(self, arrival: Arrival, threads: _Threads) -> None:
        inlet, info = arrival.inlet, arrival.inlet.info
        numbers = self._lost.get(arrival.identity)
        returning = numbers.pop(0) if numbers else None
        stream_id = self.journal.add_stream(info) if returning is None else returning
        self.journal.add_segment(stream_id, info.uid, arrival.opened_s)
        self._log("found" if returning is None else "returned", info.name)
        if returning is not None:
            self.tell(f"stream {info.name} is back")
        self._tracks[stream_id] = _Track(stream_id, inlet, arrival.opened_s)
        if info.nominal_srate_hz == 0:
            self._delivering.add(info.name)
        threads.drainer.add(stream_id, inlet)
        threads.probe.add(stream_id, inlet)

    def _store(self, threads: _Threads, *, last: bool = False) -> None:
        """Put into the journal what the other threads have brought."""
        if last or self.journal.pending_bytes < MAX_PENDING_BYTES:
            results = threads.drainer.results()
            if results and pylsl.local_clock() - results[0].received_s > BEHIND_S:
                late_s = pylsl.local_clock() - results[0].received_s
                self._log(
                    "behind", f"{len(results)} chunks waited up to {late_s:.1f} s for the disk"
                )
            for drained in merged(results):
                self._store_one(drained, threads)
        for stream_id, offset in threads.probe.results():
            self.journal.add_clock_offset(
                stream_id, offset.time_s, offset.offset_s, offset.uncertainty_s
            )
        for track in self._tracks.values():
            self._watch_silence(track)

    def _store_one(self, drained: Drained, threads: _Threads) -> None:
        track = self._tracks.get(drained.stream_id)
        if track is None or track.inlet is not drained.inlet:
            return
        if drained.stamps is None or drained.samples is None:
            self._forget(track, drained.n_lost, threads)
            return
        self.journal.append(
            drained.stream_id, drained.stamps, drained.samples, received_s=drained.received_s
        )
        track.last_sample_s = max(track.last_sample_s, drained.received_s)
        self._delivering.add(track.inlet.info.name)

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

    def _forget(self, track: _Track, n_lost: int, threads: _Threads) -> None:
        info = track.inlet.info
        del self._tracks[track.stream_id]
        threads.probe.remove(track.stream_id)
        threads.finder.forget(info.uid)
        self._lost.setdefault(identity_of(info), []).append(track.stream_id)
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
