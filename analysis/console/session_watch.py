"""One session, watched from outside: its journal, its control channel, and what is wrong with it."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl

from duchenne.analysis.console.alarms import (
    AlarmBook,
    Problem,
    away_problem,
    recording_problem,
    stream_problem,
)
from duchenne.analysis.console.course import Course
from duchenne.analysis.console.disk_watch import DiskWatch
from duchenne.analysis.console.journal_tail import JournalTail
from duchenne.analysis.console.observation import Observation
from duchenne.protocols.markers import decode
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from duchenne.analysis.console.children import Started
    from duchenne.analysis.console.journal_tail import Batch, News
    from duchenne.recorder.control import RunHandle, RunStatus
    from duchenne.recorder.streams import StreamInfo

SERIOUS = {
    "lost",
    "stalled",
    "disk refused",
    "disk full",
    "display failed",
    "source ended",
    "drain failed",
}
SETTLED_S = 3.0
"""So long after the beginning of a recording nothing is alarmed about."""
NAN = float("nan")


@dataclass
class SessionWatch:
    """Watches one run.

    Parameters
    ----------
    handle : RunHandle
    say : callable
        Takes level, source, text, event and time (Unix ms) of what belongs into the log.
    started : Started, optional
        The process, where this console has started it.
    """

    handle: RunHandle
    say: Callable[[str, str, str, str | None, float], None]
    started: Started | None = None
    book: AlarmBook = field(default_factory=AlarmBook)
    course: Course = field(default_factory=Course)
    pause_asked: bool = False
    recalibration_asked: bool = False
    status: RunStatus | None = None
    is_alive: bool = True
    lag_s: float = NAN
    _recording_since_s: float = NAN
    _caught_up: bool = False
    _learned: bool = False
    _let_go: bool = False
    _grown_s: float = NAN
    _turn: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        facts = self.handle.facts
        self.status = self.handle.status()
        self.course.blind = facts.blind
        self.observation = Observation(is_recorded=True)
        self._disk = DiskWatch(Path(facts.study), Path(facts.journal))
        self._tail = JournalTail(Path(facts.journal), self._wants)

    def close(self) -> None:
        """Let go of everything; the session goes on."""
        with self._lock:
            self._tail.close()
            self.observation.close()

    def look(self) -> None:
        """Take in what has happened since the last look; about ten times a second."""
        with self._lock:
            self._turn += 1
            self.status = self.handle.status()
            self.is_alive = self.handle.is_alive or (not self.status.is_over and self._just_begun())
            for time_s, text in self.handle.told():
                self.say("notice", "session", text, None, time_s * 1e3)
                self._disk.hear(text)
            if not self._let_go:
                self._follow_journal()
            if self.status.state == "sealing" or self.is_over:
                self._tail.close()  # the journal is removed when it has been sealed
                self._let_go = True
            if self._turn % 10 == 1:
                self._disk.measure()
            self.book.update(self._problems(), time.time() * 1e3)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        status = self.status
        return status is not None and (status.is_over or not self.is_alive)

    @property
    def phase(self) -> str:
        """``starting``, ``running``, ``sealing`` or ``ended``."""
        status = self.status
        if status is None or self.is_over:
            return "ended"
        return status.state if status.state in {"starting", "sealing"} else "running"

    @property
    def lag_ms(self) -> float | None:
        """How old the journal's news are when they are seen, to a tenth of a second; None before any."""
        return None if math.isnan(self.lag_s) else float(round(self.lag_s * 1e3, -2))

    def live(self) -> dict[str, Any]:
        """Return the live values for pages."""
        with self._lock:
            now_s = pylsl.local_clock()
            values = self.observation.live(now_s)
            running = self.phase == "running"
            return {
                **values,
                "stage": self.course.stage(now_s) if running else None,
                "progress": self._progress(now_s) if running else None,
            }

    def table(self) -> list[dict[str, Any]]:
        """Return the table of streams for pages."""
        with self._lock:
            return self.observation.table(pylsl.local_clock())

    def to_json(self) -> dict[str, Any]:
        """Return the run for pages, without its review."""
        with self._lock:
            return self._to_json()

    def disk(self) -> dict[str, Any]:
        """Return the room on the disk for pages."""
        return self._disk.to_json(self._remaining_s())

    def sent(self, command: str) -> None:
        """Note that a command was given."""
        if command in {"pause", "resume"}:
            self.pause_asked = command == "pause"
        if command == "recalibrate":
            self.recalibration_asked = True

    def _wants(self, info: StreamInfo, received_s: float) -> str:
        return self.observation.wants(info, received_s, pylsl.local_clock())

    def _follow_journal(self) -> None:
        if not self._learned:
            self._learn()
        news = self._tail.look()
        now_s = pylsl.local_clock()
        self.observation.meet(news.streams, pylsl.local_clock())
        for batch in news.batches:
            self.observation.take(batch)
            if batch.info.type != "StimulusFrames":
                self.observation.required |= {batch.info.name}
            self._listen(batch, now_s)
        for key, time_s, offset_s in news.offsets:
            self.observation.add_offset(key, time_s, offset_s)
        for key, n in news.segments.items():
            if key in self.observation.seen:
                self.observation.seen[key].segments = n
        self._read_log(news, now_s)
        self._caught_up = news.has_all
        if news.batches or news.offsets or news.log:
            self._grown_s = now_s
        if news.batches:
            self.lag_s = now_s - news.batches[-1].received_s

    def _learn(self) -> None:
        """Read the facts of the session once its journal is there."""
        meta = self._tail.meta()
        if not meta.get("schedule_json"):
            return
        self.course.learn(meta)
        self._learned = True
        screen = self.course.screen
        self.observation.distance_mm = 10 * float(screen.get("distance_cm", NAN))
        with contextlib.suppress(DuchenneError):
            from duchenne.protocols.schema import parse_protocol  # noqa: PLC0415

            protocol = parse_protocol(str(meta.get("protocol_yaml", "")))
            self.observation.alignment = protocol.alignment

    def _listen(self, batch: Batch, now_s: float) -> None:
        if batch.info.type == "Markers" and isinstance(batch.samples, list):
            for row, stamp_s in zip(batch.samples, batch.stamps_s.tolist(), strict=False):
                marker = decode(row[0].decode("utf-8", "replace"))
                text = self.course.hear(marker, stamp_s)
                event = marker.get("event")
                if event in {"pause", "resume"}:
                    self.pause_asked = False
                if event == "calibration_start":
                    self.recalibration_asked = False
                if text is not None:
                    at_ms = (time.time() - (now_s - stamp_s)) * 1e3
                    level = "warning" if event == "abort" else "info"
                    self.say(level, "marker", text, str(event), at_ms)
        elif batch.info.type == "StimulusFrames" and isinstance(batch.samples, np.ndarray):
            self.course.shown(float(batch.samples[-1, 2]))

    def _read_log(self, news: News, now_s: float) -> None:
        for time_s, kind, detail in news.log:
            at_ms = (time.time() - (now_s - time_s)) * 1e3
            during = not time_s > self.course.ended_s  # its own streams go when a session is over
            level = "error" if kind in SERIOUS and during else "info"
            self.say(level, "recorder", f"{kind}: {detail}", None, at_ms)
            if kind == "lost" and during:
                self.observation.lost(detail.partition(",")[0])

    def _problems(self) -> list[Problem]:
        status = self.status
        if status is None or status.is_over:
            return []
        if not self.is_alive:
            text = (
                "the session's process has died: what was recorded is safe, run `duchenne recover`"
            )
            return [Problem("display", "alarm", text)]
        if self.phase != "running" or not self._caught_up:
            return []
        now_s = pylsl.local_clock()
        if math.isnan(self._recording_since_s):
            self._recording_since_s = now_s
        found = [self._disk.problem(self._remaining_s())]
        if now_s - self._recording_since_s > SETTLED_S and math.isnan(self.course.ended_s):
            found += self._stream_problems(now_s)
        return [problem for problem in found if problem is not None]

    def _stream_problems(self, now_s: float) -> list[Problem | None]:
        readings = list(self.observation.readings(now_s).values())
        regular = [r.age_s for r in readings if r.nominal_hz > 0 and not r.is_gone]
        return [
            recording_problem(regular, now_s - self._grown_s),
            *(stream_problem(reading) for reading in readings),
            away_problem("face", self.observation.face_away_s(now_s)),
            away_problem("eyes", self.observation.eyes_away_s(now_s)),
        ]

    def _step_number(self) -> int:
        return 0 if self.status is None else self.status.step

    def _remaining_s(self) -> float:
        status = self.status
        if status is None or not status.step:
            return self.handle.facts.planned_s
        in_step_s = time.time() - status.changed_s
        return self.course.remaining_s(status.step, in_step_s)

    def _progress(self, now_s: float) -> dict[str, Any]:
        of = 0 if self.status is None else self.status.of
        return {
            "elapsed_s": self.course.elapsed_s(now_s),
            "remaining_s": self._remaining_s(),
            "step": self._step_number(),
            "of": of,
        }

    def _just_begun(self) -> bool:
        return time.time() - self.handle.facts.started_s < 1.0

    def _state(self) -> str:
        status = self.status
        if status is None:
            return "starting"
        if self.is_over:
            return status.state if status.is_over else "failed"
        return "paused" if self.phase == "running" and self.course.paused else status.state

    def _can(self) -> list[str]:
        state = self._state()
        if state == "starting":
            return ["abort"]
        if state not in {"running", "paused"} or math.isfinite(self.course.ended_s):
            return []
        held = state == "paused" or self.pause_asked
        return ["resume" if held else "pause", "skip", "recalibrate", "abort", "note"]

    def _to_json(self) -> dict[str, Any]:
        facts, status, number = self.handle.facts, self.status, self._step_number()
        now_s = pylsl.local_clock()
        message = "" if status is None else status.message
        if status is not None and self.is_over and not status.is_over:
            message = f"the session's process has died; run `duchenne recover {facts.journal}`"
        return {
            "id": facts.id,
            "participant": facts.participant,
            "session": facts.session,
            "run": facts.run,
            "task": facts.task,
            "protocol": Path(facts.protocol).stem,
            "protocol_title": Path(facts.protocol).stem,
            "pilot": facts.pilot,
            "blind": facts.blind,
            "stem": Path(facts.session_file).stem.removesuffix("_session"),
            "started_t_ms": facts.started_s * 1e3,
            "state": self._state(),
            "message": message,
            "pause_asked": self.pause_asked,
            "recalibration_asked": self.recalibration_asked,
            "can": self._can(),
            "step": self.course.step(number),
            "trial": self.course.trial() if math.isfinite(self.course.began_s) else None,
            "blocks": self.course.blocks(number),
            "elapsed_s": round(self.course.elapsed_s(now_s), 0)
            if math.isfinite(self.course.began_s)
            else 0,
            "remaining_s": self._whole(self._remaining_s()),
            "planned_s": facts.planned_s,
            "screen": self.course.screen or None,
            "override_reason": facts.override_reason,
            "abort_reason": self.course.abort_reason,
            "sealing": {"fraction": self._sealed()} if self._state() == "sealing" else None,
        }

    @staticmethod
    def _whole(seconds: float) -> float | None:
        return float(round(seconds)) if math.isfinite(seconds) else None

    def _sealed(self) -> float | None:
        """Return how much of the session file is written, by its size: an estimate."""
        part = Path(f"{self.handle.facts.session_file}.part")
        whole = self._disk.journal_bytes()
        with contextlib.suppress(OSError):
            return min(part.stat().st_size / max(whole, 1), 0.99)
        return None
