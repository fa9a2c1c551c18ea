"""What is wrong with a running session, by rule, and the book of alarms that follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Level = Literal["alarm", "warning"]

STOPPED_S = 1.2
"""A stream that sends nothing for so long has stopped; slow ones get ten of their periods."""
UNWRITTEN_S = 7.0
"""The recorder writes something every five seconds at least, whatever its devices do."""
FROZEN_S = 1.2
MIN_SAME = 4
LATE_S = 0.25
AWAY_S = 1.2
"""So long nobody's face, or nobody's eyes, may be out of sight."""
RATE_AFTER_S = 3.0
REOPEN_MS = 5000.0
KEPT_PAST = 50
MAY_BE_CONSTANT = (
    "photodiode",
    "keyboard",
    "buttons",
    "buttonbox",
    "trigger",
    "stimulusframes",
    "markers",
)
"""Types of stream whose values may well stay the same."""


@dataclass(frozen=True)
class Reading:
    """What is known of one stream at a moment; NaN where it is not known.

    Attributes
    ----------
    name, type : str
    nominal_hz : float
        0 for an irregular stream.
    n : int
        Samples so far.
    age_s : float
        Since the newest sample.
    rate_hz : float
        Of the last three seconds.
    observed_s : float
        For how long samples have been arriving.
    same_s, n_same : float, int
        For how long, and for how many looks, its values have been the same.
    late_s : float
        How much later than at first its samples arrive.
    drift_ppm, max_drift_ppm : float
        Of its sender's clock, and what is allowed.
    max_rate_error : float
        Allowed deviation of the rate, as a part of it.
    is_gone : bool
        The recorder has lost the connection.
    """

    name: str
    type: str
    nominal_hz: float
    n: int
    age_s: float
    rate_hz: float = float("nan")
    observed_s: float = 0.0
    same_s: float = 0.0
    n_same: int = 0
    late_s: float = float("nan")
    drift_ppm: float = float("nan")
    max_drift_ppm: float = 200.0
    max_rate_error: float = 0.02
    is_gone: bool = False

    @property
    def silence_s(self) -> float:
        """For how long it may be silent, seconds."""
        return max(STOPPED_S, 10 / self.nominal_hz) if self.nominal_hz > 0 else float("inf")


@dataclass(frozen=True)
class Problem:
    """Something that is wrong now.

    Attributes
    ----------
    kind : str
        ``stopped gone frozen drifting slow late face eyes disk recorder display clock``.
    level : {"alarm", "warning"}
    text : str
        What, and what to do.
    stream : str or None
    """

    kind: str
    level: Level
    text: str
    stream: str | None = None


def stream_problem(reading: Reading) -> Problem | None:
    """Return the worst that is wrong with a stream; None where nothing is."""
    name = reading.name
    if reading.is_gone:
        return Problem("gone", "alarm", f"{name} is gone: check its device and cable", name)
    if reading.nominal_hz <= 0:
        return None
    if reading.age_s > reading.silence_s:
        since = "nothing" if reading.n else "nothing at all"
        text = f"{name} has sent {since} for {reading.age_s:.1f} s: check its device"
        return Problem("stopped", "alarm", text, name)
    if reading.same_s > FROZEN_S and reading.n_same >= MIN_SAME:
        what = "pictures" if reading.type == "VideoCompressed" else "values"
        text = f"the {what} of {name} have not changed for {reading.same_s:.1f} s: the device hangs"
        usual = reading.type.lower().replace(" ", "") in MAY_BE_CONSTANT
        return None if usual else Problem("frozen", "alarm", text, name)
    return _clock_problem(reading)


def _clock_problem(reading: Reading) -> Problem | None:
    name = reading.name
    if reading.late_s > LATE_S:
        text = f"{name} arrives {reading.late_s * 1e3:.0f} ms later than at first: its time drifts"
        return Problem("drifting", "alarm", text, name)
    if abs(reading.drift_ppm) > reading.max_drift_ppm:
        allowed = f"more than {reading.max_drift_ppm:g}"
        text = f"the clock of {name} drifts by {reading.drift_ppm:.0f} ppm, {allowed}"
        return Problem("drifting", "warning", text, name)
    error = abs(reading.rate_hz / reading.nominal_hz - 1)
    if reading.observed_s > RATE_AFTER_S and error > max(reading.max_rate_error, 0.02):
        text = f"{name} delivers {reading.rate_hz:.1f} Hz instead of {reading.nominal_hz:g} Hz"
        return Problem("slow", "warning", text, name)
    return None


def recording_problem(ages_s: Sequence[float], written_s: float) -> Problem | None:
    """Return what is wrong where the recorder itself says nothing any more.

    Where only devices are silent it still writes clock measurements of the display's streams, every five
    seconds, and what it notes in its log.

    Parameters
    ----------
    ages_s : sequence of float
        Of the regular streams.
    written_s : float
        Since anything at all has come into the journal.
    """
    if written_s > UNWRITTEN_S and ages_s and min(ages_s) > STOPPED_S:
        text = f"the recorder has stored nothing for {written_s:.0f} s: look at the disk and the terminal"
        return Problem("recorder", "alarm", text)
    return None


def disk_problem(free_bytes: float, bytes_per_s: float, remaining_s: float) -> Problem | None:
    """Return what is wrong with the room on the disk.

    The session file is written beside the journal at the end, so that twice the room is needed.

    Parameters
    ----------
    free_bytes : float
    bytes_per_s : float
        By which the journal grows.
    remaining_s : float
        Of the session; NaN where it is not known.
    """
    if free_bytes < 50e6:
        return Problem(
            "disk", "alarm", f"the disk is full ({free_bytes / 1e6:.0f} MB left): make room now"
        )
    if bytes_per_s <= 0:
        return None
    lasts_s = free_bytes / bytes_per_s / 2
    if remaining_s > lasts_s:  # never where it is not known (NaN)
        return Problem(
            "disk",
            "alarm",
            f"the disk lasts {_minutes(lasts_s)}, the session needs {_minutes(remaining_s)}: make room",
        )
    if lasts_s < 600:
        return Problem("disk", "warning", f"the disk lasts {_minutes(lasts_s)}: make room")
    return None


def away_problem(kind: Literal["face", "eyes"], away_s: float) -> Problem | None:
    """Return what is wrong where the face, or the eyes, have been out of sight for `away_s` seconds."""
    if not away_s > AWAY_S:
        return None
    if kind == "face":
        return Problem("face", "alarm", f"no face in the picture for {away_s:.1f} s")
    return Problem("eyes", "warning", f"the eye tracker has not seen the eyes for {away_s:.1f} s")


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


@dataclass
class Alarm:
    """An entry of the book; times are Unix milliseconds."""

    id: str
    problem: Problem
    since_t_ms: float
    until_t_ms: float | None = None
    acknowledged_by: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as pages get it."""
        problem = self.problem
        return {
            "id": self.id,
            "kind": problem.kind,
            "level": problem.level,
            "stream": problem.stream,
            "text": problem.text,
            "since_t_ms": self.since_t_ms,
            "until_t_ms": self.until_t_ms,
            "acknowledged": self.acknowledged_by is not None,
            "acknowledged_by": self.acknowledged_by,
        }


@dataclass
class AlarmBook:
    """Which alarms there are and were, newest first."""

    alarms: list[Alarm] = field(default_factory=list)
    _n: int = 0

    def update(self, problems: Collection[Problem], now_ms: float) -> list[Alarm]:
        """Enter what is wrong now; return the alarms that began by it."""
        wrong = {(p.kind, p.stream): p for p in problems}
        for alarm in self.alarms:
            key = (alarm.problem.kind, alarm.problem.stream)
            problem = wrong.get(key)
            if alarm.until_t_ms is None:
                self._go_on(alarm, problem, now_ms)
                wrong.pop(key, None)
            elif problem is not None and now_ms - alarm.until_t_ms < REOPEN_MS:
                alarm.until_t_ms, alarm.problem = None, problem
                wrong.pop(key)
        begun = [self._begin(problem, now_ms) for problem in wrong.values()]
        self._forget()
        return begun

    def acknowledge(self, ids: Collection[str] | Literal["all"], by: str) -> None:
        """Note who has seen alarms."""
        for alarm in self.alarms:
            if (ids == "all" or alarm.id in ids) and alarm.acknowledged_by is None:
                alarm.acknowledged_by = by

    def active(self) -> Mapping[tuple[str, str | None], Alarm]:
        """Return the alarms that go on, by kind and stream."""
        return {(a.problem.kind, a.problem.stream): a for a in self.alarms if a.until_t_ms is None}

    @staticmethod
    def _go_on(alarm: Alarm, problem: Problem | None, now_ms: float) -> None:
        if problem is None:
            alarm.until_t_ms = now_ms
            return
        if problem.level == "alarm" and alarm.problem.level == "warning":
            alarm.acknowledged_by = None  # it has become worse
        alarm.problem = problem

    def _begin(self, problem: Problem, now_ms: float) -> Alarm:
        self._n += 1
        alarm = Alarm(f"a{self._n}", problem, now_ms)
        self.alarms.insert(0, alarm)
        return alarm

    def _forget(self) -> None:
        past = [alarm for alarm in self.alarms if alarm.until_t_ms is not None]
        for alarm in past[KEPT_PAST:]:
            self.alarms.remove(alarm)
