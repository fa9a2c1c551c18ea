"""What participants allowed, as far as a reader of a report must know it.

No report holds a picture of a participant, so that consent to pictures opens nothing here. A report does hold
measures: whether these may leave the study is said on its first page and for each session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.analysis.privacy.scopes import scopes_of
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.reports.study_data import StudySession


@dataclass(frozen=True)
class Consent:
    """What one session's participant allowed.

    Parameters
    ----------
    told : str
        Whether measures may leave the study, in a word or two.
    refused : bool
        Whether the participant said no.
    withdrawn : str or None
        Why nothing of the session may be used.
    """

    told: str
    refused: bool = False
    withdrawn: str | None = None


UNKNOWN = Consent("not known")
"""Of a session whose file is not here, or cannot be opened."""


def consent_of(session: StudySession) -> Consent:
    """Return what the participant of a session allowed.

    Raises
    ------
    DuchenneError
        If the study's list of withdrawn consent cannot be read: nothing is known then.
    """
    if session.file is None:
        return UNKNOWN
    try:
        recording = Recording.open(session.file)
    except DuchenneError:
        return UNKNOWN
    with recording:
        scopes = scopes_of(recording)
    if scopes.withdrawn is not None:
        return Consent("withdrawn", refused=True, withdrawn=scopes.withdrawn)
    if not scopes.share_derived:
        return Consent("no", refused=True)
    return Consent("not asked" if scopes.never_asked else "yes")


def notice(consents: Sequence[Consent]) -> str:
    """Return what the first page must say; empty where nobody refused."""
    refused = sum(consent.refused for consent in consents)
    if not refused:
        return ""
    sessions = "session" if refused == 1 else "sessions"
    return (
        f"Measures of {refused} {sessions} may not leave the study: keep this report within it, or export "
        "the study (which leaves them out) and report the export."
    )
