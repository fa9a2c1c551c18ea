"""Audit of a recorded session: whether everything is there that the schedule promised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

    from duchenne.recorder.recording import Recording

WARNINGS = {"stalled", "lost", "open failed"}
FAILURES = {"damaged", "derive failed"}
"""Entries of the log that an operator must see."""
PAIRS = ("instruction", "neutral", "baseline", "fixation", "stimulus")


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes
    ----------
    level : {"ok", "warn", "fail"}
    what : str
        In one sentence.
    """

    level: Literal["ok", "warn", "fail"]
    what: str


def audit(recording: Recording) -> list[Finding]:
    """Check a session: streams against their certificate, markers against the schedule.

    Parameters
    ----------
    recording : Recording

    Returns
    -------
    list of Finding
        The streams first, then the markers.
    """
    return [*_streams(recording), *_markers(recording)]


def _streams(recording: Recording) -> list[Finding]:
    found = []
    for key, certificate in recording.certificate.items():
        level: Literal["ok", "warn", "fail"] = (
            "ok" if certificate.verdict == "pass" else certificate.verdict
        )
        text = "; ".join(certificate.reasons) or "complete"
        found.append(Finding(level, f"{key}: {certificate.n_samples} samples, {text}"))
    found += _log(recording)
    if recording.attrs.get("recovered"):
        found.append(
            Finding("warn", "the recorder crashed; this file was recovered from its journal")
        )
    return found


def _log(recording: Recording) -> list[Finding]:
    """Return what happened to the recording up to the end of the session."""
    ends = recording.events.loc[recording.events["event"] == "session_end", "lsl_time_s"]
    end_s = ends.max() if len(ends) else float("inf")
    log = recording.log
    rows = zip(log["lsl_time_s"], log["kind"], log["detail"], strict=True)
    return [
        Finding("fail" if kind in FAILURES else "warn", f"{kind}: {detail}")
        for time_s, kind, detail in rows
        if kind in FAILURES | WARNINGS and time_s <= end_s
    ]


def _markers(recording: Recording) -> list[Finding]:
    events = recording.events
    if not recording.protocol_name:
        return []
    found = []
    names = events["event"]
    for event in ("session_start", "session_end"):
        n = int((names == event).sum())
        if n != 1:
            found.append(Finding("fail", f"{event} is there {n} times, not once"))
    if (names == "abort").any():
        found.append(Finding("warn", "the session was aborted"))
    found += [_pair(events, phase) for phase in PAIRS if (names == f"{phase}_onset").any()]
    planned = sum(step.get("kind") == "trial" for step in recording.schedule.get("steps", ()))
    shown = events.loc[names == "stimulus_onset", "presentation_id"].nunique()
    level: Literal["ok", "fail"] = "ok" if shown == planned else "fail"
    found.append(Finding(level, f"{shown} of {planned} scheduled stimuli were shown"))
    return found


def _pair(events: pd.DataFrame, phase: str) -> Finding:
    onsets = int((events["event"] == f"{phase}_onset").sum())
    offsets = int((events["event"] == f"{phase}_offset").sum())
    if onsets == offsets:
        return Finding("ok", f"{onsets} {phase} onsets, each with its offset")
    return Finding("fail", f"{onsets} {phase} onsets but {offsets} offsets")
