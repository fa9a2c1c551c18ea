"""A few lines for the operator at the end of a session: what was shown and what is in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duchenne.protocols.answers import NO_ANALYSIS, NO_CONSENT, STOPPED, WITHDRAWN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duchenne.recorder.recording import Recording

MEANING = {
    NO_CONSENT: "the participant did not consent",
    NO_ANALYSIS: "the participant does not agree that the recording is analysed",
    WITHDRAWN: "the participant withdrew the consent after the debriefing",
    STOPPED["delete"]: "the participant stopped and wants the data deleted",
}
"""What a reason of `Recording.withdrawn` says to an operator."""


def summary_lines(recording: Recording) -> list[str]:
    """Return what was shown, how well, and which streams were recorded.

    Nothing tells which stimulus or condition was shown, so that a blind operator stays blind.
    """
    events = recording.events
    ends = events.loc[events["event"] == "session_end", "fields"].tolist()
    told: Mapping[str, Any] = ends[-1] if ends else {}
    trials = [step for step in recording.schedule.get("steps", ()) if step.get("trial")]
    shown = events.loc[events["event"] == "stimulus_onset", "trial"].dropna().nunique()
    lines = [f"shown: {shown} of {len(trials)} trials{_skipped(told)}"]
    if told.get("n_stimulus_flips"):
        lines.append(flips_line(told))
    if told.get("n_films"):
        lines.append(films_line(told))
    if told.get("n_silent"):
        lines.append(f"sounds: {told['n_silent']} played without a sound output: nothing was heard")
    streams = [f"{key} {stream.n}" for key, stream in recording.streams.items()]
    pilot = "; a pilot session: not part of the study" if recording.attrs.get("pilot") else ""
    lines.append(f"recorded: {', '.join(streams)} samples{pilot}")
    return lines


def withdrawal_lines(recording: Recording, file: Path) -> list[str]:
    """Return what the operator has to know and do where the participant stopped or withdrew.

    Parameters
    ----------
    recording : Recording
    file : Path
        The session file, for the message.
    """
    events = recording.events
    stops = events.loc[events["event"] == "abort", "fields"].tolist()
    reason = recording.withdrawn
    if reason is None:
        stopped = any(fields.get("reason") == STOPPED["stop"] for fields in stops)
        told = "the participant stopped; what was recorded may be used and is kept"
        return [told] if stopped else []
    kept = (
        f"Nothing has been deleted: {file} holds what was recorded up to that moment. The analysis "
        "excludes every trial of it, with this reason."
    )
    stem = file.name.removesuffix("_session.h5")
    study = file.resolve().parents[3] if len(file.resolve().parents) > 3 else file.parent
    to_do = (
        "To do, if your consent form promises to delete it: "
        f"`duchenne forget {recording.participant} --study {study}` removes everything of this "
        f"participant (all sessions, results and rows) and leaves a tombstone; for this session alone delete "
        f"{file.parent}/{stem}_* and {stem}_* under derivatives. Copies, backups and exports are yours to "
        "delete."
    )
    return [f"WITHDRAWN: {MEANING.get(reason, reason)}.", kept, to_do]


def flips_line(told: Mapping[str, Any]) -> str:
    """Return how punctual the flips were, from the fields of ``session_end``."""
    late = told.get("n_late_onsets", 0)
    longest = f" (up to {1e3 * told.get('max_onset_delay_s', 0):.0f} ms)" if late else ""
    return (
        f"flips: {told.get('n_stimulus_flips', 0)} while stimuli were shown, "
        f"{told.get('n_late_flips', 0)} late, {told.get('n_dropped_flips', 0)} dropped; "
        f"{late} late onsets{longest}"
    )


def films_line(told: Mapping[str, Any]) -> str:
    """Return how the films went, from the fields of ``session_end``."""
    return (
        f"films: {told.get('n_films', 0)} shown, {told.get('n_films_early', 0)} ended early, "
        f"{told.get('n_films_late', 0)} late, {told.get('n_film_frames_missed', 0)} frames not shown, "
        f"sound late in {told.get('n_films_sound_late', 0)}"
    )


def _skipped(told: Mapping[str, Any]) -> str:
    n = told.get("n_skipped", 0)
    return f", {n} steps skipped" if n else ""
