"""What a participant agreed to: which streams may be analysed, and what may leave the study.

Answers come from the consent screens of the session (``scopes`` of a consent step) and from
``consent.tsv`` of the study, which narrows them later. One "no" anywhere counts. Where something was never
asked, the recording is analysed and its measures may leave; pictures and films of the face stay.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.analysis.paths import study_of
from duchenne.protocols.answers import AGREED, NO_ANALYSIS, SCOPES
from duchenne.recorder.study_folder import BYTE_ORDER_MARK
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duchenne.recorder.recording import Recording

CHANGES = "consent.tsv"
"""Table of a study in which scopes were withdrawn after the session."""
COLUMNS = ("participant_id", "scope", "date")
ONLY_IF_ASKED = frozenset({"share_stills", "share_video"})
"""Scopes that are never granted without having been asked for."""


@dataclass(frozen=True)
class Scopes:
    """What may be done with one recording.

    Attributes
    ----------
    analysis, analysis_gaze, analysis_face, analysis_voice : bool
        It may be analysed: anything of it; gaze and pupils; the face video; sound.
    share_derived : bool
        Measures and answers may leave the study.
    share_signals : bool
        Samples of gaze and of other sensors may leave it.
    share_stills, share_video : bool
        Pictures of the face may be shown in reports and leave the study; the film may leave it.
    asked : frozenset of str
        Scopes that the participant was asked for, or that were withdrawn later.
    withdrawn : str or None
        Why nothing may be used at all; every scope is False then.
    """

    analysis: bool = True
    analysis_gaze: bool = True
    analysis_face: bool = True
    analysis_voice: bool = True
    share_derived: bool = True
    share_signals: bool = True
    share_stills: bool = False
    share_video: bool = False
    asked: frozenset[str] = frozenset()
    withdrawn: str | None = None

    @property
    def share_deidentified(self) -> bool:
        """Whether a film in which nobody is known again may leave: measures were asked for and granted."""
        return self.share_video or (self.share_derived and "share_derived" in self.asked)

    @property
    def never_asked(self) -> bool:
        """Whether nobody asked the participant if measures may leave."""
        return "share_derived" not in self.asked


def scopes_of(recording: Recording) -> Scopes:
    """Return what may be done with a recording: its consent screens, narrowed by the study's ``consent.tsv``.

    Raises
    ------
    DuchenneError
        If ``consent.tsv`` cannot be read: nothing is known then, and nothing may be done.
    """
    study = study_of(recording.path)
    later = (
        withdrawn_scopes(study).get(recording.participant, frozenset()) if study else frozenset()
    )
    return scopes_from(recording.participant_answers, withdrawn=recording.withdrawn, later=later)


def may_show_stills(recording: Recording) -> bool:
    """Whether pictures of the participant's face may be shown in a report."""
    return scopes_of(recording).share_stills


def refusal(recording: Recording, scope: str) -> str | None:
    """Return why something may not be done with a recording; None where it may.

    Parameters
    ----------
    recording : Recording
    scope : str
        Name of a scope, such as ``analysis_face``.
    """
    scopes = scopes_of(recording)
    if getattr(scopes, scope):
        return None
    if scopes.withdrawn:
        return f"The participant does not want the data used ({scopes.withdrawn})"
    return f"The participant did not agree that {SCOPES[scope]}"


def scopes_from(
    answers: Mapping[str, Any],
    *,
    withdrawn: str | None = None,
    later: frozenset[str] = frozenset(),
) -> Scopes:
    """Return what answers of consent screens allow.

    Parameters
    ----------
    answers : mapping
        By form and field, as `Recording.participant_answers`.
    withdrawn : str, optional
        Why nothing may be used.
    later : frozenset of str
        Scopes that were withdrawn after the session.
    """
    given = {name: _answers_to(name, answers) for name in SCOPES}
    asked = frozenset(name for name, found in given.items() if found) | later
    if withdrawn is None and ("analysis" in later or False in given["analysis"]):
        withdrawn = NO_ANALYSIS
    granted = {
        name: withdrawn is None
        and name not in later
        and all(found)
        and (bool(found) or name not in ONLY_IF_ASKED)
        for name, found in given.items()
    }
    granted["share_signals"] &= granted["share_derived"]
    return Scopes(**granted, asked=asked, withdrawn=withdrawn)


def withdrawn_scopes(study: Path) -> dict[str, frozenset[str]]:
    """Return the scopes that participants of a study withdrew after their sessions, by label.

    Raises
    ------
    DuchenneError
        If the table cannot be read, or names a scope that there is not.
    """
    path = study / CHANGES
    if not path.exists():
        return {}
    try:
        text = path.read_bytes().removeprefix(BYTE_ORDER_MARK).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DuchenneError(f"{path} cannot be read as UTF-8 text ({error}).") from error
    found: dict[str, set[str]] = {}
    for number, row in enumerate(csv.DictReader(text.splitlines(), delimiter="\t"), start=2):
        label, scope = row.get("participant_id") or "", (row.get("scope") or "").strip()
        if scope not in SCOPES:
            raise DuchenneError(
                f"{path}:{number}: {scope!r} is no scope; there are {', '.join(SCOPES)}."
            )
        found.setdefault(label.strip().removeprefix("sub-"), set()).add(scope)
    return {label: frozenset(scopes) for label, scopes in found.items()}


def _answers_to(scope: str, answers: Mapping[str, Any]) -> list[bool]:
    """Return the answers to a scope in all consent screens and forms."""
    return [
        form[scope] in AGREED
        for name, form in answers.items()
        if name.startswith("consent") and isinstance(form, dict) and form.get(scope) is not None
    ]
