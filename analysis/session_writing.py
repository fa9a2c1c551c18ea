"""Writing the tables of a session with their codebooks."""

from __future__ import annotations

import shutil
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from duchenne.analysis import codebooks
from duchenne.analysis.affect.columns import affect_columns, with_affect_source
from duchenne.analysis.crossmodal.session import write_crossmodal
from duchenne.analysis.face.dynamics_codebook import with_reasons
from duchenne.analysis.latencies import with_latency_notes
from duchenne.analysis.presentations import other_rating_columns
from duchenne.analysis.summary import ExclusionRules, measured_aus, summary_codebook
from duchenne.analysis.tables import Codebook, remove_table, write_parquet, write_table
from duchenne.analysis.values import records
from duchenne.analysis.windows import windows_codebook
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from duchenne.analysis.gaze.aoi_session import AoiTables
    from duchenne.analysis.measurement import MeasuredTables
    from duchenne.analysis.paths import AnalysisPaths
    from duchenne.analysis.session import SessionTables

MEASURED_TABLES = (
    "events", "fixations", "saccades", "blinks", "au", "quality", "au_events", "microexpressions",
)  # fmt: skip
LEFTOVER_AFTER_S = 3600.0
_PART = ".part"
_TABLE_SUFFIXES = (".tsv", ".parquet")


def write_session_tables(
    tables: SessionTables, paths: AnalysisPaths, rules: ExclusionRules | None = None
) -> None:
    """Write all tables with their codebooks; remove those of an earlier analysis that are no more."""
    write_measured_tables(tables.measured, tables.configuration, paths)
    write_summary_tables(tables.summary, tables.windows, tables.configuration, paths, rules)


def write_measured_tables(
    tables: MeasuredTables, configuration: Mapping[str, Any], paths: AnalysisPaths
) -> None:
    """Write the tables that come of the measurement, with their codebooks."""
    reference = (configuration["face_calibration"] or {}).get("source")
    books: dict[str, Codebook] = {
        "events": codebooks.EVENTS,
        "fixations": codebooks.FIXATIONS,
        "saccades": codebooks.SACCADES,
        "blinks": codebooks.BLINKS,
        "au_events": codebooks.AU_EVENTS,
        "microexpressions": codebooks.MICROEXPRESSIONS,
        "quality": codebooks.QUALITY,
    }
    if tables.au is not None:
        columns = codebooks.au_columns(tables.au.columns) | affect_columns(tables.au.columns)
        affect = (configuration["face"] or {}).get("affect")
        book = codebooks.with_reference(codebooks.AU_FRAME | columns, reference)
        books["au"] = with_affect_source(book, affect)
    for name in MEASURED_TABLES:
        frame = getattr(tables, name)
        if frame is None:
            remove_table(paths.table(name))
        else:
            write_table(frame, paths.table(name), books[name])
    if tables.gaze is None:
        remove_table(paths.gaze)
    else:
        write_parquet(tables.gaze(), paths.gaze, codebooks.GAZE)
    _write_aois(tables.aois, paths)
    write_crossmodal(tables.crossmodal, paths)


def write_summary_tables(
    summary: pd.DataFrame,
    windows: pd.DataFrame,
    configuration: Mapping[str, Any],
    paths: AnalysisPaths,
    rules: ExclusionRules | None = None,
) -> None:
    """Write the summary and the windows of a session, with codebooks that say how it was measured."""
    aus = measured_aus(summary.columns)
    ratings = other_rating_columns(records(summary))
    book = summary_codebook(rules, aus=aus, ratings=ratings, affect=summary.columns)
    for frame, known, path in (
        (summary, book, paths.summary),
        (windows, windows_codebook(aus, windows.columns), paths.windows),
    ):
        said = _as_measured(known, configuration)
        if path.suffix == ".parquet":
            write_parquet(frame, path, said)
        else:
            write_table(frame, path, said)


def _as_measured(book: Codebook, configuration: Mapping[str, Any]) -> Codebook:
    """Return a codebook that says what this session's measures rest on."""
    reference = (configuration["face_calibration"] or {}).get("source")
    gaze, face = (
        configuration[key] if configuration[key] in configuration["latency_unknown"] else None
        for key in ("gaze_stream", "face_stream")
    )
    said = with_latency_notes(codebooks.with_reference(book, reference), gaze=gaze, face=face)
    dynamics = (configuration["face"] or {}).get("dynamics", {})
    said = with_affect_source(said, (configuration["face"] or {}).get("affect"))
    return with_reasons(said, dynamics.get("not_measured", {}))


@contextmanager
def publishing(paths: AnalysisPaths) -> Iterator[AnalysisPaths]:
    """Give a folder to write a session's files to; put them in place when all of them are written.

    Where writing fails, such as on a full disk, the files of the earlier analysis stay as they were.
    What was measured anew replaces all of the earlier measurement: tables that are no more are removed.

    Parameters
    ----------
    paths : AnalysisPaths
        Where the files belong.

    Raises
    ------
    DuchenneError
        If they cannot be written.
    """
    name = f".{paths.stem}.{uuid.uuid4().hex[:8]}{_PART}"
    aside = replace(paths, folder=paths.folder / name)
    try:
        aside.folder.mkdir(parents=True)
        _clear_leftovers(paths)
        yield aside
        _publish(aside, paths)
    except OSError as error:
        raise DuchenneError(
            f"{paths.folder} could not be written ({error.strerror or error})."
        ) from error
    finally:
        shutil.rmtree(aside.folder, ignore_errors=True)


def _clear_leftovers(paths: AnalysisPaths) -> None:
    """Remove what workers that were killed while they wrote left behind."""
    for part in paths.folder.glob(f".{paths.stem}.*{_PART}"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > LEFTOVER_AFTER_S:
                shutil.rmtree(part, ignore_errors=True)


def _publish(aside: AnalysisPaths, paths: AnalysisPaths) -> None:
    """Move the files into place: tables first, provenance last, for it vouches for the others."""
    files = sorted(path for path in aside.folder.iterdir() if path.is_file())
    if aside.measured.is_dir():
        shutil.rmtree(paths.measured, ignore_errors=True)
        fresh = {path.name for path in files}
        for old in paths.folder.glob(f"{paths.stem}_*"):
            if old.suffix in _TABLE_SUFFIXES and old.name not in fresh:
                remove_table(old)
    last = [path for path in files if path == aside.provenance]
    for path in [path for path in files if path not in last]:
        path.replace(paths.folder / path.name)
    if aside.measured.is_dir():
        paths.measured.parent.mkdir(exist_ok=True)
        aside.measured.replace(paths.measured)
    for path in last:
        path.replace(paths.provenance)


def _write_aois(tables: AoiTables | None, paths: AnalysisPaths) -> None:
    from duchenne.analysis.gaze import aoi_codebook as books  # noqa: PLC0415 (only with areas)

    for name, attribute, book in (
        ("aois", "aois", books.AOI_TABLE),
        ("aoi_transitions", "transitions", books.AOI_TRANSITIONS),
        ("aoi_visits", "visits", books.AOI_VISITS),
    ):
        if tables is None:
            remove_table(paths.table(name))
        else:
            write_table(getattr(tables, attribute), paths.table(name), book)
