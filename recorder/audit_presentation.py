"""How punctually the display showed what it showed, from what it told itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duchenne.recorder.findings import Finding
from duchenne.recorder.session_summary import films_line, flips_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duchenne.recorder.recording import Recording

MAX_LATE = 0.01
"""So large a part of the flips may be late before it is worth a warning."""


def audit_presentation(recording: Recording) -> Iterator[Finding]:
    """Yield late and dropped flips, late onsets, films that ended early or late, and interruptions."""
    events = recording.events
    ends = events.loc[events["event"] == "session_end", "fields"].tolist()
    told: Mapping[str, Any] = ends[-1] if ends else {}
    n = told.get("n_stimulus_flips", 0)
    if n:
        late = told.get("n_late_flips", 0) > MAX_LATE * n or told.get("n_late_onsets", 0) > 0
        yield Finding("warn" if late else "ok", flips_line(told), "presentation")
    if told.get("n_films"):
        wrong = any(told.get(f"n_films_{how}") for how in ("early", "late", "sound_late"))
        yield Finding("warn" if wrong else "ok", films_line(told), "presentation")
    if told.get("n_silent"):
        text = f"{told['n_silent']} sounds were played without a sound output"
        yield Finding("warn", text, "presentation")
    failures = [f for f in events.loc[events["event"] == "pause", "fields"] if f.get("reason")]
    for fields in failures:
        text = f"{fields['reason']}: the session went on with step {fields.get('step')}"
        yield Finding("warn", text, "presentation")
    skips = int((events["event"] == "skip").sum())
    if skips:
        yield Finding("note", f"the operator skipped {skips} steps", "presentation")
