"""The analysis of one session: from ``session.h5`` to its tables and its report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis import codebooks
from duchenne.analysis.align import (
    Identity,
    ShownFrames,
    annotate,
    neutral_intervals,
    phases,
    presentations,
)
from duchenne.analysis.event_table import event_table
from duchenne.analysis.gaze.events import DEFAULT_DETECTOR
from duchenne.analysis.latencies import unknown_latencies, with_latency_notes
from duchenne.analysis.paths import AnalysisPaths, analysis_paths
from duchenne.analysis.presentations import other_rating_columns
from duchenne.analysis.provenance import plain, provenance
from duchenne.analysis.quality import quality_table
from duchenne.analysis.stages import (
    face_features_of,
    gaze_features_of,
    measure_face,
    measure_gaze,
    note_neutral,
    note_ratings,
    place_in_stimulus,
    pupil_of,
)
from duchenne.analysis.summary import ExclusionRules, summarise, summary_codebook
from duchenne.analysis.tables import (
    SAMPLES_AT_ONCE,
    Codebook,
    write_json,
    write_parquet,
    write_table,
)
from duchenne.analysis.values import records
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pandas as pd

    from duchenne.analysis.gaze.aoi_files import AoiPlan
    from duchenne.analysis.gaze.aoi_session import AoiTables
    from duchenne.analysis.gaze.process import GazeResult

    Progress = Callable[[str, int, int], None]

DEFAULT_AU_BACKEND = "blendshapes"


@dataclass(frozen=True)
class SessionTables:
    """The tables of one session, as they are written.

    Attributes
    ----------
    events, summary, quality : pandas.DataFrame
    fixations, saccades, blinks : pandas.DataFrame or None
        None where no gaze was analysed.
    gaze : callable or None
        Yields the samples in parts, each with its place in the session: hours of samples would not fit into
        memory with it.
    au : pandas.DataFrame or None
        None where no face was analysed.
    aois : AoiTables or None
        None where there are no areas of interest, or no gaze.
    configuration : dict
        Every resolved setting.
    notes : tuple of str
        What was not analysed, and why, one sentence each.
    """

    events: pd.DataFrame
    summary: pd.DataFrame
    quality: pd.DataFrame
    fixations: pd.DataFrame | None
    saccades: pd.DataFrame | None
    blinks: pd.DataFrame | None
    gaze: Callable[[], Iterator[pd.DataFrame]] | None
    au: pd.DataFrame | None
    aois: AoiTables | None
    configuration: dict[str, Any]
    notes: tuple[str, ...]


def analyze_session(
    h5: Path,
    out_dir: Path | None = None,
    *,
    au_backend: str = DEFAULT_AU_BACKEND,
    rules: ExclusionRules | None = None,
    report: bool = True,
    aois: Path | str | None = None,
    eye: str = "both",
    progress: Progress | None = None,
) -> AnalysisPaths:
    """Analyse a session and write its tables, their codebooks and its report.

    Parameters
    ----------
    h5 : Path
        A sealed session file.
    out_dir : Path, optional
        Folder to write to; derived from the location of the file where absent.
    au_backend : str
        Which backend measures Action Units.
    rules : ExclusionRules, optional
        When a presentation is flagged.
    report : bool
        Whether to write the report.
    aois : Path or str, optional
        File of areas of interest, or ``auto``: eyes, mouth and face found in each picture and film. By
        default ``aois.tsv`` or ``aois.json`` beside the stimulus manifest, where there is one.
    eye : {"both", "cyclopean", "left", "right"}
        What gaze rests on; see :func:`~duchenne.analysis.gaze.process.analyse_gaze`.
    progress : callable, optional
        Called with the name of the stage, what is done, and how much there is (0: unknown).

    Returns
    -------
    AnalysisPaths
        Where everything is, with notes on what was not analysed. Earlier results are replaced.

    Raises
    ------
    DuchenneError
        If the file is no readable session, the areas of interest cannot be read, or the folder cannot
        be written.
    """
    tell = progress or _silent
    paths = analysis_paths(h5, out_dir)
    with Recording.open(h5) as recording:
        tables = session_tables(
            recording, au_backend=au_backend, rules=rules, aois=aois, eye=eye, progress=tell
        )
        tell("tables", 0, 1)
        write_session_tables(tables, paths, rules)
        about = provenance(recording, tables.configuration) | {"notes": list(tables.notes)}
        write_json(about, paths.provenance)
        tell("tables", 1, 1)
        paths = replace(paths, notes=tables.notes)
        if report:
            from duchenne.analysis.reports.session import write_session_report  # noqa: PLC0415

            write_session_report(recording, paths, progress=tell)
    return paths


def report_session(
    h5: Path, out_dir: Path | None = None, *, progress: Progress | None = None
) -> AnalysisPaths:
    """Draw the report of a session from its tables; analyse it first where it was not.

    Parameters and errors are those of `analyze_session`.
    """
    from duchenne.analysis.reports.session import write_session_report  # noqa: PLC0415

    paths = analysis_paths(h5, out_dir)
    with Recording.open(h5) as recording:
        if paths.complete:
            write_session_report(recording, paths, progress=progress)
            return paths
    return analyze_session(h5, out_dir, progress=progress)


def session_tables(
    recording: Recording,
    *,
    au_backend: str = DEFAULT_AU_BACKEND,
    rules: ExclusionRules | None = None,
    aois: Path | str | None = None,
    eye: str = "both",
    progress: Progress | None = None,
) -> SessionTables:
    """Compute all tables of an open session; see `analyze_session`."""
    from duchenne.analysis.gaze.aoi_session import aoi_plan  # noqa: PLC0415 (scipy)

    tell = progress or _silent
    notes: list[str] = []
    plan = aoi_plan(recording, aois)
    spans = phases(recording)
    shown = presentations(recording)
    place = _Place(spans, Identity.of(recording), ShownFrames.of(recording))
    gaze = measure_gaze(recording, notes, tell, eye=eye)
    note_neutral(spans, notes)
    face = measure_face(recording, au_backend, neutral_intervals(spans), notes, tell)
    pupil_unit, pupil_measure = pupil_of(gaze[0]) if gaze else (None, None)
    note_ratings(recording, notes)
    if not len(shown):
        notes.append("No stimulus was shown: the summary is empty.")
    summary = summarise(
        shown,
        recording.stimuli,
        gaze=gaze_features_of(recording, gaze[1], shown, notes) if gaze else (),
        face=face_features_of(face[1], shown) if face else (),
        pupil_unit=pupil_unit,
        pupil_measure=pupil_measure,
        rules=rules,
        withdrawn=recording.withdrawn,
    )
    quality = quality_table(
        recording,
        gaze={**gaze[1].quality, "stream": gaze[0].key, "pupil_unit": pupil_unit}
        | {"pupil_measure": pupil_measure}
        if gaze
        else None,
        face={"stream": face[0].key, "usable_fraction": float(face[1].table["usable"].mean())}
        if face
        else None,
    )
    used = (gaze[0].key if gaze else None, face[0].key if face else None)
    unknown = unknown_latencies(recording, used)
    return SessionTables(
        events=place.of(event_table(recording.events, spans, shown), "onset"),
        summary=summary,
        quality=quality,
        fixations=place.of(place_in_stimulus(gaze[1].fixations, shown), "onset") if gaze else None,
        saccades=place.of(gaze[1].saccades, "onset") if gaze else None,
        blinks=place.of(gaze[1].blinks, "onset") if gaze else None,
        gaze=partial(place.parts, gaze[1].samples) if gaze else None,
        au=place.of(face[1].table, "time") if face else None,
        aois=_aois(recording, gaze[1], shown, place, plan, notes=notes, tell=tell)
        if plan and gaze
        else None,
        configuration={
            "au_backend": au_backend,
            "exclusion_rules": asdict(rules or ExclusionRules()),
            "neutral_intervals_s": [
                [round(start, 6), round(stop, 6)] for start, stop in neutral_intervals(spans)
            ],
            "screen": recording.screen,
            "gaze_stream": gaze[0].key if gaze else None,
            "gaze_eye": gaze[1].eye if gaze else None,
            "gaze_detector": DEFAULT_DETECTOR if gaze else None,
            "gaze": plain(gaze[1].quality) if gaze else None,
            "aois": plan.source if plan else None,
            "face_stream": face[0].key if face else None,
            "face_calibration": plain(face[1].neutral) if face else None,
            "face": plain(face[1].quality) if face else None,
            "latency_unknown": list(unknown),
        },
        notes=tuple(notes),
    )


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
    for name in ("events", "fixations", "saccades", "blinks", "au", "quality", "summary"):
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


def _aois(
    recording: Recording,
    result: GazeResult,
    shown: pd.DataFrame,
    place: _Place,
    plan: AoiPlan,
    *,
    notes: list[str],
    tell: Progress,
) -> AoiTables:
    from duchenne.analysis.gaze.aoi_session import session_aois  # noqa: PLC0415 (scipy)

    media_time_s = np.concatenate(
        [
            part["media_time_s"].to_numpy(np.float64)
            for part in place.parts(result.samples[["time"]])
        ]
    )
    return session_aois(recording, result, shown, media_time_s, plan, notes=notes, progress=tell)


@dataclass(frozen=True)
class _Place:
    phases: pd.DataFrame
    identity: Identity
    shown_frames: ShownFrames | None

    def of(self, table: pd.DataFrame, time_column: str) -> pd.DataFrame:
        return annotate(table, time_column, self.phases, self.identity, self.shown_frames)

    def parts(self, table: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Yield a table of samples with their place, in parts."""
        for first in range(0, max(1, len(table)), SAMPLES_AT_ONCE):
            yield self.of(table.iloc[first : first + SAMPLES_AT_ONCE], "time")


def _is_au_mean(name: str) -> bool:
    return name.startswith("AU") and name.endswith("_mean") and not name.endswith("_change_mean")


def _remove(table: Path) -> None:
    table.unlink(missing_ok=True)
    table.with_suffix(".json").unlink(missing_ok=True)


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Tell nobody."""
