"""Writing the tables of a session with their codebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis import codebooks
from duchenne.analysis.face.dynamics_codebook import with_reasons
from duchenne.analysis.latencies import with_latency_notes
from duchenne.analysis.paths import TABLES
from duchenne.analysis.presentations import other_rating_columns
from duchenne.analysis.summary import ExclusionRules, summary_codebook
from duchenne.analysis.tables import Codebook, write_parquet, write_table
from duchenne.analysis.values import records

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.gaze.aoi_session import AoiTables
    from duchenne.analysis.paths import AnalysisPaths
    from duchenne.analysis.session import SessionTables


def write_session_tables(
    tables: SessionTables, paths: AnalysisPaths, rules: ExclusionRules | None = None
) -> None:
    """Write the tables with their codebooks; remove those of an earlier analysis that are no more."""
    aus = [str(name).removesuffix("_mean") for name in tables.summary if _is_au_mean(str(name))]
    ratings = other_rating_columns(records(tables.summary))
    reference = (tables.configuration["face_calibration"] or {}).get("source")
    books: dict[str, Codebook] = {
        "events": codebooks.EVENTS,
        "fixations": codebooks.FIXATIONS,
        "saccades": codebooks.SACCADES,
        "blinks": codebooks.BLINKS,
        "au_events": codebooks.AU_EVENTS,
        "microexpressions": codebooks.MICROEXPRESSIONS,
        "quality": codebooks.QUALITY,
        "summary": codebooks.with_reference(
            summary_codebook(rules, aus=aus, ratings=ratings), reference
        ),
    }
    about = tables.configuration
    gaze, face = (
        about[key] if about[key] in about["latency_unknown"] else None
        for key in ("gaze_stream", "face_stream")
    )
    books["summary"] = with_latency_notes(books["summary"], gaze=gaze, face=face)
    if tables.au is not None:
        columns = codebooks.au_columns(tables.au.columns)
        books["au"] = codebooks.with_reference(codebooks.AU_FRAME | columns, reference)
    dynamics = (about["face"] or {}).get("dynamics", {})
    books["summary"] = with_reasons(books["summary"], dynamics.get("not_measured", {}))
    for name in (*TABLES, "au_events", "microexpressions"):
        frame = getattr(tables, name)
        if frame is None:
            _remove(paths.table(name))
        else:
            write_table(frame, paths.table(name), books[name])
    if tables.gaze is None:
        _remove(paths.gaze)
    else:
        write_parquet(tables.gaze(), paths.gaze, codebooks.GAZE)
    _write_aois(tables.aois, paths)


def _write_aois(tables: AoiTables | None, paths: AnalysisPaths) -> None:
    from duchenne.analysis.gaze import aoi_codebook as books  # noqa: PLC0415 (only with areas)

    for name, attribute, book in (
        ("aois", "aois", books.AOI_TABLE),
        ("aoi_transitions", "transitions", books.AOI_TRANSITIONS),
        ("aoi_visits", "visits", books.AOI_VISITS),
    ):
        if tables is None:
            _remove(paths.table(name))
        else:
            write_table(getattr(tables, attribute), paths.table(name), book)


def _is_au_mean(name: str) -> bool:
    return name.startswith("AU") and name.endswith("_mean") and not name.endswith("_change_mean")


def _remove(table: Path) -> None:
    table.unlink(missing_ok=True)
    table.with_suffix(".json").unlink(missing_ok=True)
