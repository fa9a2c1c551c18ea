"""Participants and sessions of a study with their grades."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from duchenne.analysis.quality import overall_grade
from duchenne.analysis.reports.exclusion_flow import excluded_by_participant
from duchenne.analysis.reports.words import NOTHING, amount, percent
from duchenne.analysis.values import number, records, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from duchenne.analysis.reports.consent import Consent
    from duchenne.analysis.reports.study_data import StudyData, StudySession

FACES = ("VideoCompressed", "ActionUnits", "AU")
"""Types of streams that faces are measured from, the first that a session has."""


@dataclass(frozen=True)
class SessionRow:
    """A session as the table tells it.

    Parameters
    ----------
    participant, label, recorded_with : str
    report : str or None
        Link to its report, relative to that of the study.
    grade : str
        Worst of its streams.
    reasons : str
        Why it is not good.
    gaze, face : tuple of (str, str)
        Share of valid samples in words, and the grade; dashes where not recorded.
    rate, accuracy, precision : str
        Of the eye tracker.
    presentations, excluded : int
    consent : str
        Whether measures may leave the study.
    note : str
    """

    participant: str
    label: str
    report: str | None
    grade: str
    reasons: str
    gaze: tuple[str, str]
    face: tuple[str, str]
    rate: str
    accuracy: str
    precision: str
    presentations: int
    excluded: int
    consent: str
    note: str


def session_rows(data: StudyData, folder: Path, consents: Sequence[Consent]) -> list[SessionRow]:
    """Return a row per session, in order of participants.

    Parameters
    ----------
    data : StudyData
    folder : Path
        Of the page, for links to the reports of the sessions.
    consents : sequence of Consent
        Of the sessions, in their order.
    """
    pairs = zip(data.sessions, consents, strict=True)
    return [_row(data, session, folder, consent) for session, consent in pairs]


def _row(data: StudyData, session: StudySession, folder: Path, consent: Consent) -> SessionRow:
    own = data.summary
    for name, value in zip(("participant", "session", "task", "run"), session.key, strict=True):
        own = own[own[name].astype(str) == value]
    streams = records(session.quality)
    gaze = next((row for row in streams if row.get("type") == "Gaze"), {})
    face = next((row for kind in FACES for row in streams if row.get("type") == kind), {})
    reasons = [
        f"{text(row.get('stream'))}: {text(row.get('reasons'))}"
        for row in streams
        if text(row.get("reasons"))
    ]
    report = session.paths.report
    link = quote(os.path.relpath(report, folder).replace(os.sep, "/")) if report.is_file() else None
    return SessionRow(
        participant=session.participant,
        label=session.label,
        report=link,
        grade=overall_grade(session.quality),
        reasons="; ".join(reasons),
        gaze=(percent(number(gaze.get("valid_fraction"))), str(gaze.get("grade", ""))),
        face=(percent(number(face.get("valid_fraction"))), str(face.get("grade", ""))),
        rate=amount(number(gaze.get("effective_rate_hz")), "Hz", 0),
        accuracy=amount(number(gaze.get("accuracy_deg")), "°", 2),
        precision=amount(number(gaze.get("precision_rms_deg")), "°", 3),
        presentations=len(own),
        excluded=int(own["excluded"].fillna(value=False).astype(bool).sum()),
        consent=consent.told,
        note="; ".join(
            part
            for part in (consent.withdrawn, None if session.counted else "a try: not counted")
            if part
        ),
    )


@dataclass(frozen=True)
class QualityLine:
    """A measure of data quality over all sessions."""

    name: str
    median: str
    spread: str
    n: str


def quality_lines(data: StudyData) -> list[QualityLine]:
    """Return median, range and number of sessions of each measure of quality, as papers report them."""
    wanted = (
        ("Gaze", "Eye tracker: rate", "effective_rate_hz", "Hz", 1),
        ("Gaze", "Eye tracker: valid samples", "valid_fraction", "%", 0),
        ("Gaze", "Eye tracker: accuracy at validation", "accuracy_deg", "°", 2),
        ("Gaze", "Eye tracker: precision (RMS sample to sample)", "precision_rms_deg", "°", 3),
        ("Gaze", "Eye tracker: precision (SD)", "precision_sd_deg", "°", 3),
        ("Gaze", "Eye tracker: longest gap", "longest_gap_s", "s", 2),
        ("VideoCompressed", "Camera: rate", "effective_rate_hz", "Hz", 1),
        ("VideoCompressed", "Camera: usable frames", "valid_fraction", "%", 0),
        ("VideoCompressed", "Camera: missing frames", "missing_samples", "", 0),
    )
    tables = [session.quality for session in data.sessions if session.counted]
    lines = []
    for kind, name, column, unit, decimals in wanted:
        values = np.array(
            [
                number(row.get(column))
                for table in tables
                for row in records(table)
                if row.get("type") == kind
            ]
        )
        known = values[np.isfinite(values)] * (100 if unit == "%" else 1)
        if not values.size:
            continue
        low, high = (known.min(), known.max()) if known.size else (np.nan, np.nan)
        ends = f"{amount(low, '', decimals)} to {amount(high, unit, decimals)}"
        lines.append(
            QualityLine(
                name,
                amount(float(np.median(known)) if known.size else np.nan, unit, decimals),
                ends if known.size else NOTHING,
                f"{known.size} of {values.size}",
            )
        )
    share = [n / total for n, total in excluded_by_participant(data).values() if total]
    lines.append(
        QualityLine(
            "Presentations excluded, per participant",
            amount(100 * float(np.median(share)), "%", 0) if share else NOTHING,
            f"{100 * min(share):.0f} to {100 * max(share):.0f} %" if share else NOTHING,
            str(len(share)),
        )
    )
    return lines
