"""What a participant answered and decided, read from the markers of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NO_CONSENT = "no consent"
WITHDRAWN = "consent withdrawn after debriefing"
STOPPED = {"stop": "participant: stop", "delete": "participant: stop and delete"}
"""Reasons in the ``abort`` marker, by what the participant chose."""
NO_ANALYSIS = "no consent to the analysis"
SCOPES = {
    "analysis": "the recording is analysed",
    "analysis_gaze": "gaze and pupils are analysed",
    "analysis_face": "the face video is analysed",
    "analysis_voice": "sound is analysed",
    "share_derived": "what was computed from the recording and the answers are passed on",
    "share_signals": "samples of gaze and of other sensors are passed on",
    "share_stills": "pictures of the face are shown to others",
    "share_video": "the face video is passed on",
}
"""What a consent screen may ask for one by one, and what agreeing to it means."""
AGREED = ("agree", "yes", True)
"""Answers of a consent screen or form that mean yes."""


def answers_of(markers: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the answers to forms and consent screens.

    Parameters
    ----------
    markers : iterable of mapping
        Decoded markers in order.

    Returns
    -------
    dict
        By form and field; of a form that was filled in twice the last answers; with a form's sums under
        ``scores``. None where time ran out.
    """
    found: dict[str, dict[str, Any]] = {}
    for marker in markers:
        form = marker.get("form")
        if not isinstance(form, str):
            continue
        if marker.get("event") == "rating_response" and isinstance(marker.get("field"), str):
            found.setdefault(form, {})[marker["field"]] = marker.get("value")
        elif marker.get("event") == "note" and isinstance(marker.get("scores"), dict):
            found.setdefault(form, {})["scores"] = marker["scores"]
    return found


def withdrawal_of(markers: Iterable[Mapping[str, Any]]) -> str | None:
    """Return why a session's data may not be used: what the participant decided; None if they may.

    Parameters
    ----------
    markers : iterable of mapping
        Decoded markers in order.

    Returns
    -------
    str or None
        ``no consent``, ``no consent to the analysis``, ``consent withdrawn after debriefing`` or
        ``participant: stop and delete``.
    """
    for marker in markers:
        if marker.get("event") == "rating_response" and _declines_analysis(marker):
            return NO_ANALYSIS
        if marker.get("event") == "note" and marker.get("text") == WITHDRAWN:
            return WITHDRAWN
        reason = marker.get("reason") if marker.get("event") == "abort" else None
        if reason in (NO_CONSENT, STOPPED["delete"]):
            return str(reason)
    return None


def _declines_analysis(marker: Mapping[str, Any]) -> bool:
    asked = marker.get("field") == "analysis" and str(marker.get("form")).startswith("consent")
    return asked and marker.get("value") not in AGREED
