"""The report of one session: a single HTML file that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.codebooks import CATEGORIES, REFERENCES
from duchenne.analysis.privacy.words import shown_notes
from duchenne.analysis.quality import overall_grade
from duchenne.analysis.reports.alignment import alignment_table, alignments
from duchenne.analysis.reports.areas import area_rows, margin_said
from duchenne.analysis.reports.bands import band_said
from duchenne.analysis.reports.cards import StimulusCard, stimulus_cards
from duchenne.analysis.reports.charts import MOST_POINTS
from duchenne.analysis.reports.charts_live import charts_json, plotly_script
from duchenne.analysis.reports.data import ReportData
from duchenne.analysis.reports.gaze_figures import (
    detail_of,
    main_sequence_uri,
    pupil_course_uri,
    scarf_uri,
)
from duchenne.analysis.reports.pictures import stimulus_pictures
from duchenne.analysis.reports.rating_scales import rating_scales, scales_said
from duchenne.analysis.reports.rendering import Fact, render
from duchenne.analysis.reports.style import CATEGORY_COLOURS, category_colour
from duchenne.analysis.reports.timeline import timeline_uri
from duchenne.analysis.reports.words import amount, clock, percent
from duchenne.analysis.tables import replacing
from duchenne.analysis.values import number, records, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from duchenne.analysis.paths import AnalysisPaths
    from duchenne.recorder.recording import Recording

NOTE = (
    "Expressions are matched to prototypes of the Facial Action Coding System: a prototype match "
    "describes what the face did, not what the person felt. For research use; not for inferring the "
    "emotions of employees or students, and no diagnosis."
)
LEAST_POINTS = 120
"""Points of a curve in a report of very many presentations."""
_STREAM_WORDS = {
    "Gaze": "Gaze",
    "VideoCompressed": "Face video",
    "ActionUnits": "Action Units",
    "Affect": "Affect",
    "Markers": "Markers",
    "StimulusFrames": "Shown frames",
}


def write_session_report(
    recording: Recording,
    paths: AnalysisPaths,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Draw the report of a session from its tables and write it.

    Parameters
    ----------
    recording : Recording
        The open session, for what was shown and when it was recorded.
    paths : AnalysisPaths
        Where its tables are; the report goes beside them.
    progress : callable, optional
        Called with the name of the stage, what is done, and how much there is.

    Returns
    -------
    Path
        The HTML file.

    Raises
    ------
    DuchenneError
        If a table is missing or the report cannot be written.
    """
    html = session_report(recording, ReportData.read(paths), progress=progress)
    with replacing(paths.report) as aside:
        aside.write_text(html, encoding="utf-8", errors="replace")
    return paths.report


def session_report(
    recording: Recording,
    data: ReportData,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> str:
    """Return the report of a session as HTML; see `write_session_report`."""
    tell = progress or (lambda _stage, _done, _total: None)
    total = len(data.summary) + 2
    tell("report", 0, total)
    pictures = stimulus_pictures(recording.stimuli, recording.stimuli_source)
    timeline = timeline_uri(data, pictures)
    tell("report", 1, total)
    cards: list[StimulusCard] = []
    scales = rating_scales(recording.protocol_yaml)
    for card in stimulus_cards(data, recording.screen, pictures, scales):
        cards.append(card)
        tell("report", 1 + len(cards), total)
    certificates = recording.certificate
    charts = {f"p{i}": card.chart for i, card in enumerate(cards, 1) if card.chart is not None}
    most = max(round(MOST_POINTS * detail_of(len(cards))), LEAST_POINTS)
    html = render(
        "session.html",
        charts=charts_json(charts, most_points=most),
        plotly=plotly_script() if charts else None,
        bands=band_said(data.au_backend) if data.au is not None else "",
        categories=list(dict.fromkeys(card.category for card in cards)),
        backend=data.au_backend if data.au is not None else "",
        title=f"sub-{recording.participant} ses-{recording.session} run-{recording.run}",
        recording=recording,
        facts=_facts(recording, data),
        grade=overall_grade(data.quality),
        streams=_streams(data),
        timeline=timeline,
        timeline_alt=_timeline_alt(data),
        legend=_legend(data),
        cards=cards,
        ratings_said=scales_said(scales),
        pupil_course=pupil_course_uri(data),
        main_sequence=main_sequence_uri(data),
        scarf=scarf_uri(data),
        areas=area_rows(data),
        margin=margin_said(data),
        alignments=alignments(certificates),
        alignment_table=alignment_table(certificates),
        note=NOTE,
        notes=shown_notes(recording, data.provenance.get("notes", [])),
        provenance=data.provenance,
        reference=_reference(data),
    )
    tell("report", total, total)
    return html


def _facts(recording: Recording, data: ReportData) -> list[Fact]:
    ends = (data.events["onset"] + data.events["duration"]).max() if len(data.events) else np.nan
    created = str(recording.attrs.get("created_utc", ""))
    flagged = int(data.summary["excluded"].fillna(value=False).astype(bool).sum())
    facts = [
        Fact("Participant", recording.participant or "–"),
        Fact("Session", f"{recording.session or '–'}, run {recording.run or '–'}"),
        Fact("Protocol", recording.protocol_name or recording.task or "–"),
        Fact("Recorded", created.replace("T", " ").removesuffix("Z")[:16] + " UTC"),
        Fact("Duration", clock(float(ends))),
        Fact("Presentations", f"{len(data.summary)}, {flagged} flagged"),
    ]
    if recording.attrs.get("recovered"):
        facts.append(Fact("File", "recovered after a crash"))
    return facts


def _reference(data: ReportData) -> str:
    """Return what Action Units were measured from, as the analysis says."""
    calibration = data.provenance.get("configuration", {}).get("face_calibration") or {}
    return REFERENCES.get(str(calibration.get("source")), "")


def _streams(data: ReportData) -> list[dict[str, str]]:
    return [
        {
            "name": text(row["stream"]) or "–",
            "what": _STREAM_WORDS.get(str(row["type"]), text(row["type"]) or "–"),
            "rate": amount(number(row["effective_rate_hz"]), "Hz", 1),
            "nominal": amount(number(row["nominal_rate_hz"]), "Hz", 0),
            "samples": f"{int(number(row['n_samples'])):,}".replace(",", "\u2009"),
            "valid": percent(number(row["valid_fraction"])),
            "gaps": amount(number(row["n_gaps"]), "", 0),
            "missing": amount(number(row["missing_samples"]), "", 0),
            "longest": amount(number(row["longest_gap_s"]), "s", 3),
            "jitter": amount(number(row["jitter_ms"]), "ms", 2),
            "offset": amount(number(row["clock_offset_ms"]), "ms", 3),
            "uncertainty": amount(number(row["clock_offset_uncertainty_ms"]), "ms", 3),
            "precision": amount(number(row["precision_rms_deg"]), "°", 3),
            "grade": str(row["grade"]),
            "reasons": text(row["reasons"]) or "",
        }
        for row in records(data.quality)
    ]


def _legend(data: ReportData) -> list[tuple[str, str, str]]:
    present = [str(name) for name in data.summary["category"].dropna().unique()]
    known = [name for name in CATEGORY_COLOURS if name in present]
    rest = [name for name in present if name not in CATEGORY_COLOURS]
    meanings = CATEGORIES | {"neutral": ""}
    return [(name, meanings.get(name, ""), category_colour(name)) for name in known + rest]


def _timeline_alt(data: ReportData) -> str:
    drawn = [
        name
        for name, table in (("gaze position and pupil", data.gaze), ("Action Units", data.au))
        if table is not None
    ]
    what = " and ".join(drawn) or "no measured stream"
    return escape(f"Timeline of the session: {what} over {len(data.summary)} presentations.")
