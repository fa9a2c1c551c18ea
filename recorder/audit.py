"""Audit of a recorded session: whether everything is there that the schedule promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.recorder.audit_markers import audit_markers
from duchenne.recorder.audit_presentation import audit_presentation
from duchenne.recorder.audit_signals import audit_signals
from duchenne.recorder.findings import Finding, verdict_of
from duchenne.recorder.recorded_stream import damage_told
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from duchenne.recorder.findings import Level
    from duchenne.recorder.recording import Recording

__all__ = ["Finding", "audit", "verdict_of"]

LEVELS: Mapping[str, Level] = {
    **dict.fromkeys(("damaged", "derive failed", "refused"), "fail"),
    **dict.fromkeys(("stalled", "lost", "open failed", "drain failed", "trial unread"), "warn"),
    **dict.fromkeys(("source ended", "display failed", "disk full", "disk refused"), "warn"),
    "notice": "note",
}
"""Entries of the log that an operator must see."""


def audit(recording: Recording, *, thorough: bool = False) -> list[Finding]:
    """Check a session: streams against their certificate, signals, markers against the schedule.

    Parameters
    ----------
    recording : Recording
    thorough : bool, default False
        Look at every frame and at every value of large streams, not at samples of them.

    Returns
    -------
    list of Finding
        The streams first, then the signals, then the markers. What cannot be read is a finding too.
    """
    return [
        *_guarded(recording.path, "the streams", "stream", lambda: _streams(recording)),
        *_guarded(
            recording.path, "the file", "recording", lambda: _changes(recording, thorough=thorough)
        ),
        *_guarded(recording.path, "the log", "recording", lambda: _log(recording)),
        *_guarded(
            recording.path,
            "the signals",
            "signal",
            lambda: audit_signals(recording, thorough=thorough),
        ),
        *_guarded(recording.path, "the markers", "markers", lambda: audit_markers(recording)),
        *_guarded(
            recording.path,
            "the presentation",
            "presentation",
            lambda: audit_presentation(recording),
        ),
    ]


def _guarded(
    path: Path, what: str, about: str, check: Callable[[], Iterable[Finding]]
) -> Iterator[Finding]:
    try:
        with damage_told(path):
            yield from check()
    except DuchenneError as error:
        yield Finding("fail", f"{what} cannot be checked: {error}", about)


def _streams(recording: Recording) -> Iterator[Finding]:
    certificates = recording.certificate
    for key, stream in recording.streams.items():
        certificate = certificates.get(key)
        if certificate is None:
            yield Finding("fail", f"{key}: {stream.n} samples, not certified (see /log)", "stream")
            continue
        level: Level = "ok" if certificate.verdict == "pass" else certificate.verdict
        text = "; ".join(certificate.reasons) or "complete"
        yield Finding(level, f"{key}: {certificate.n_samples} samples, {text}", "stream")
    unknown = [
        key
        for key, stream in recording.streams.items()
        if (stream.info.type == "Gaze" or stream.info.is_video) and not recording.latency_known(key)
    ]
    if unknown:
        yield Finding(
            "note",
            f"how late the device of {', '.join(unknown)} stamps its samples is not known: it is part "
            "of every latency computed from them",
            "stream",
        )


def _changes(recording: Recording, *, thorough: bool) -> Iterator[Finding]:
    for what in recording.changed_datasets(thorough=thorough):
        yield Finding("fail", what, "recording")


def _log(recording: Recording) -> Iterator[Finding]:
    """Yield what happened to the recording up to the end of the session."""
    ends = recording.events.loc[recording.events["event"] == "session_end", "lsl_time_s"]
    end_s = ends.max() if len(ends) else float("inf")
    log = recording.log
    rows = log[(log["lsl_time_s"] <= end_s) & log["kind"].isin(list(LEVELS))]
    for (kind, detail), same in rows.groupby(["kind", "detail"], sort=False):
        often = "" if len(same) == 1 else f" ({len(same)} times)"
        yield Finding(LEVELS[str(kind)], f"{kind}: {detail}{often}", "recording")
    if recording.attrs.get("recovered"):
        text = "the recorder crashed; this file was recovered from its journal"
        yield Finding("warn", text, "recording")
