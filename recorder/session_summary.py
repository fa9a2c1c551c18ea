"""A few lines for the operator at the end of a session: what was shown and what is in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.recorder.recording import Recording


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
