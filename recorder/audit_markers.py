"""Markers against the schedule: what should have been shown, what was, and for how long."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.recorder.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from duchenne.recorder.findings import Level
    from duchenne.recorder.recording import Recording

ENDINGS = {"_onset": "_offset", "_start": "_end"}
ALONE = {"session_start", "rating_onset"}
"""Events that begin something without ending in a pair of their own."""
STEP_EVENTS = {
    "block_start": "block_start",
    "instruction": "instruction_onset",
    "baseline": "baseline_onset",
    "neutral": "neutral_onset",
    "break": "break_start",
}
TIMED_STEPS = ("baseline", "neutral")
TOLERANCE_FLIPS = 2.5
FILM_TOLERANCE_S = 0.5
"""A film may end that much earlier or later than its file says."""
MAX_NAMED = 5


@dataclass(frozen=True)
class Phase:
    """Something with a beginning and an end.

    Attributes
    ----------
    name : str
        The marker without ``_onset`` or ``_start``.
    trial : int or None
    block, stimulus : str or None
    onset_s, duration_s : float
        Seconds from ``session_start``.
    kind : str or None
        Of a stimulus: ``image``, ``video`` or ``audio``.
    """

    name: str
    trial: int | None
    block: str | None
    stimulus: str | None
    onset_s: float
    duration_s: float
    kind: str | None = None

    @property
    def label(self) -> str:
        """Return a few words to find it by."""
        trial = "" if self.trial is None else f" of trial {self.trial}"
        return f"{self.name}{trial}{f' ({self.stimulus})' if self.stimulus else ''}"


def audit_markers(recording: Recording) -> Iterator[Finding]:
    """Yield what was found of the markers; nothing for a recording without protocol and markers."""
    events = recording.events
    named = events[events["event"].notna()]
    if not recording.protocol_name and not len(named):
        return
    if recording.protocol_name:
        yield from _session(named)
    phases, faults = pair_markers(named)
    for name, n in Counter(phase.name for phase in phases).items():
        if not any(fault.startswith(f"{name}_") for fault in faults):
            yield _ok(f"{n} {name} {'phase' if n == 1 else 'phases'}, each with its end")
    yield from _shortened("fail", faults)
    steps = recording.schedule.get("steps", ())
    if steps:
        aborted = bool((named["event"] == "abort").any())
        yield from _against_schedule(named, steps, aborted=aborted)
        yield from _durations(phases, steps, _flip_s(recording), aborted=aborted)


def _ok(what: str) -> Finding:
    return Finding("ok", what, "markers")


def _shortened(level: Level, faults: Sequence[str]) -> Iterator[Finding]:
    for fault in faults[:MAX_NAMED]:
        yield Finding(level, fault, "markers")
    if len(faults) > MAX_NAMED:
        yield Finding(level, f"and {len(faults) - MAX_NAMED} more of this kind", "markers")


def _session(events: pd.DataFrame) -> Iterator[Finding]:
    for event in ("session_start", "session_end"):
        n = int((events["event"] == event).sum())
        if n != 1:
            yield Finding("fail", f"{event} is there {n} times, not once", "markers")
    if (events["event"] == "abort").any():
        yield Finding("warn", "the session was aborted", "markers")
    pauses = int((events["event"] == "pause").sum())
    if pauses:
        yield Finding("note", f"the operator paused {pauses} times", "markers")


def pair_markers(events: pd.DataFrame) -> tuple[list[Phase], list[str]]:
    """Pair the beginnings with the ends, as they follow on each other.

    Parameters
    ----------
    events : pandas.DataFrame
        As `Recording.events`, those with an event.

    Returns
    -------
    phases : list of Phase
        In order of their beginnings.
    faults : list of str
        Beginnings and ends that came twice or miss their other half.
    """
    phases: list[Phase] = []
    faults: list[str] = []
    open_: dict[str, Mapping[str, Any]] = {}
    closed: dict[str, Mapping[str, Any]] = {}
    rows: list[Any] = events.to_dict("records")
    for row in rows:
        name, part = _split(str(row["event"]))
        if name == "pause" and row["fields"].get("reason"):  # the display failed: told elsewhere
            open_ = {key: begun for key, begun in open_.items() if key in ("block", "session")}
        if part == "start":
            before = open_.pop(name, None)
            if before is not None:
                faults.append(_fault_of_second(row, before))
            open_[name] = row if before is None or _key(row) != _key(before) else before
        elif part == "end":
            begun = open_.pop(name, None)
            if begun is None:
                faults.append(_fault_of_end(row, closed.get(name)))
                continue
            closed[name] = row
            phases.append(_phase(name, begun, row))
            if _key(row) != _key(begun):
                faults.append(f"{_words(begun)} was ended by {_words(row)}")
    faults += [f"{_words(row)} has no end" for row in open_.values()]
    return sorted(phases, key=lambda phase: phase.onset_s), faults


def _split(event: str) -> tuple[str, str]:
    """Return the name of a phase and whether a marker begins or ends it."""
    if event not in ALONE and event != "session_end":
        for begins, ends in ENDINGS.items():
            if event.endswith(begins):
                return event.removesuffix(begins), "start"
            if event.endswith(ends):
                return event.removesuffix(ends), "end"
    return event, ""


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return _trial(row), row["block"], row["presentation_id"]


def _trial(row: Mapping[str, Any]) -> int | None:
    number = row["trial"]
    return int(number) if isinstance(number, int) else None


def _fault_of_second(row: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    if _key(row) == _key(before):
        apart = row["time_s"] - before["time_s"]
        return f"{_words(row)} came twice, {apart:.3f} s apart"
    return f"{_words(before)} has no end"


def _fault_of_end(row: Mapping[str, Any], last: Mapping[str, Any] | None) -> str:
    if last is not None and _key(last) == _key(row):
        return f"{_words(row)} came twice, {row['time_s'] - last['time_s']:.3f} s apart"
    return f"{_words(row)} has no beginning"


def _words(row: Mapping[str, Any]) -> str:
    trial = _trial(row)
    place = f"trial {trial}" if trial is not None else f"block {row['block']}"
    known = trial is not None or row["block"]
    return f"{row['event']}{f' of {place}' if known else ''} at {row['time_s']:.3f} s"


def _phase(name: str, begun: Mapping[str, Any], ended: Mapping[str, Any]) -> Phase:
    return Phase(
        name,
        _trial(begun),
        begun["block"],
        begun["stimulus"],
        begun["time_s"],
        ended["time_s"] - begun["time_s"],
        begun["fields"].get("kind"),
    )


def _against_schedule(
    events: pd.DataFrame, steps: Sequence[Mapping[str, Any]], *, aborted: bool
) -> Iterator[Finding]:
    level: Level = "warn" if aborted else "fail"
    planned = [step["trial"] for step in steps if step.get("trial")]
    onsets = events[(events["event"] == "stimulus_onset") & events["trial"].notna()]
    shown = dict(zip(onsets["trial"].astype(int), onsets["stimulus"], strict=True))
    missing = [trial for trial in planned if trial["trial"] not in shown]
    text = f"{len(planned) - len(missing)} of {len(planned)} scheduled stimuli were shown"
    if missing:
        names = [f"{trial['trial']} ({trial['stimulus_id']})" for trial in missing]
        text += f"; missing: trial {_listed(names)}"
    yield Finding(level if missing else "ok", text, "markers")
    yield from _shortened(
        "fail",
        [
            f"trial {trial['trial']} showed {shown[trial['trial']]}, not {trial['stimulus_id']}"
            for trial in planned
            if shown.get(trial["trial"], trial["stimulus_id"]) != trial["stimulus_id"]
        ],
    )
    yield from _answers(events, planned, set(shown), level)
    for kind, event in STEP_EVENTS.items():
        n_planned = sum(step.get("kind") == kind for step in steps)
        n_found = int((events["event"] == event).sum())
        if n_found < n_planned:
            yield Finding(level, f"{n_found} of {n_planned} planned markers {event}", "markers")


def _answers(
    events: pd.DataFrame, planned: Sequence[Mapping[str, Any]], shown: set[int], level: Level
) -> Iterator[Finding]:
    expected = {
        (trial["trial"], name)
        for trial in planned
        if trial["trial"] in shown
        for name in trial.get("ratings", ())
    }
    responses = events[events["event"] == "rating_response"]
    rows = zip(responses["trial"], responses["fields"], strict=True)
    found = Counter((trial, fields.get("scale")) for trial, fields in rows)
    absent = sorted(expected - set(found))
    if expected and not absent:
        timeouts = sum(fields.get("value") is None for fields in responses["fields"])
        late = f", {timeouts} of them without an answer in time" if timeouts else ""
        yield _ok(f"{len(expected)} ratings, all that were planned{late}")
    elif absent:
        names = [f"{name} of trial {trial}" for trial, name in absent]
        text = (
            f"{len(expected) - len(absent)} of {len(expected)} ratings; missing: {_listed(names)}"
        )
        yield Finding(level, text, "markers")
    twice = [f"{name} of trial {trial}" for (trial, name), n in found.items() if n > 1]
    if twice:
        yield Finding("warn", f"rated more than once: {_listed(twice)}", "markers")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def _flip_s(recording: Recording) -> float:
    screen = recording.screen or {}
    return 1.0 / float(screen.get("refresh_hz") or 60.0)


def _durations(
    phases: Sequence[Phase], steps: Sequence[Mapping[str, Any]], flip_s: float, *, aborted: bool
) -> Iterator[Finding]:
    compared = list(_planned_durations(phases, steps))
    if aborted:  # what was open was cut short, as the warning says
        last = max((phase.onset_s for phase in phases), default=0.0)
        compared = [(phase, planned) for phase, planned in compared if phase.onset_s < last]
    if not compared:
        return
    wrong = []
    for phase, planned_s in compared:
        bound = FILM_TOLERANCE_S if phase.kind in ("video", "audio") else TOLERANCE_FLIPS * flip_s
        if abs(phase.duration_s - planned_s) > bound:
            wrong.append(f"{phase.label} lasted {phase.duration_s:.3f} s, not {planned_s:.3f} s")
    if wrong:
        yield from _shortened("warn", wrong)
        return
    still = [
        abs(phase.duration_s - planned_s)
        for phase, planned_s in compared
        if phase.kind not in ("video", "audio")
    ]
    worst = f", pictures and phases within {1e3 * max(still):.0f} ms" if still else ""
    yield _ok(f"{len(compared)} durations as planned{worst}")


def _planned_durations(
    phases: Sequence[Phase], steps: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Phase, float]]:
    trials = {step["trial"]["trial"]: step for step in steps if step.get("trial")}
    for phase in phases:
        step = trials.get(phase.trial)
        if step is None:
            continue
        trial, content = step["trial"], step.get("content") or {}
        if phase.name == "stimulus":
            yield phase, float(trial["duration_s"])
        elif phase.name == "fixation" and not content.get("gaze_start"):
            yield phase, float(trial["fixation_s"]) + float(content.get("adapt_s") or 0.0)
    for kind in TIMED_STEPS:
        planned = [s["duration_s"] for s in steps if s.get("kind") == kind and s.get("duration_s")]
        found = [phase for phase in phases if phase.name == kind]
        if len(planned) == len(found):
            yield from zip(found, map(float, planned), strict=True)
