"""The analysis of one session: from ``session.h5`` to its tables and its report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.align import (
    Identity,
    ShownFrames,
    annotate,
    neutral_intervals,
    phases,
    presentations,
)
from duchenne.analysis.event_table import event_table
from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND as DEFAULT_AU_BACKEND
from duchenne.analysis.gaze.events import DEFAULT_DETECTOR
from duchenne.analysis.latencies import unknown_latencies
from duchenne.analysis.lids import LidEvidence
from duchenne.analysis.paths import AnalysisPaths, analysis_paths
from duchenne.analysis.provenance import plain, provenance
from duchenne.analysis.quality import quality_table
from duchenne.analysis.session_writing import write_session_tables
from duchenne.analysis.stages import (
    face_features_of,
    gaze_features_of,
    measure_face,
    measure_gaze,
    note_neutral,
    note_ratings,
    place_candidates,
    place_events,
    place_in_stimulus,
    pupil_of,
)
from duchenne.analysis.summary import ExclusionRules, summarise
from duchenne.analysis.tables import (
    SAMPLES_AT_ONCE,
    write_json,
)
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pandas as pd

    from duchenne.analysis.face.process import FaceResult
    from duchenne.analysis.gaze.aoi_files import AoiPlan
    from duchenne.analysis.gaze.aoi_session import AoiTables
    from duchenne.analysis.gaze.process import GazeResult

    Progress = Callable[[str, int, int], None]

__all__ = [
    "DEFAULT_AU_BACKEND",
    "SessionTables",
    "analyze_session",
    "report_session",
    "session_tables",
    "write_session_tables",
]


@dataclass(frozen=True)
class SessionTables:
    """The tables of one session, as they are written.

    Attributes
    ----------
    events, summary, quality : pandas.DataFrame
    fixations, saccades, blinks : pandas.DataFrame or None
        None where no gaze was analysed; blinks are then those of the film of the face, where there is one.
    gaze : callable or None
        Yields the samples in parts, each with its place in the session: hours of samples would not fit into
        memory with it.
    au, au_events : pandas.DataFrame or None
        None where no face was analysed.
    microexpressions : pandas.DataFrame or None
        None where they were not looked for: no face, or less than 60 video frames per second.
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
    au_events: pd.DataFrame | None
    microexpressions: pd.DataFrame | None
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
    leave_out_speech: bool = True,
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
    leave_out_speech : bool, default True
        Leave frames in which the participant speaks out of the summary of the Action Units of the mouth.
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
            recording,
            au_backend=au_backend,
            rules=rules,
            aois=aois,
            eye=eye,
            leave_out_speech=leave_out_speech,
            progress=tell,
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
    leave_out_speech: bool = True,
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
    note_neutral(spans, notes)
    face = measure_face(
        recording,
        au_backend,
        neutral_intervals(spans),
        notes,
        tell,
        leave_out_speech=leave_out_speech,
    )
    lids = LidEvidence.of(face[1]) if face else None
    gaze = measure_gaze(recording, notes, tell, eye=eye, lids=lids)
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
        blinks=_blinks(place, gaze[1] if gaze else None, face[1] if face else None),
        gaze=partial(place.parts, gaze[1].samples) if gaze else None,
        au=place.of(face[1].table, "time") if face else None,
        au_events=place_events(face[1], place.of) if face else None,
        microexpressions=place_candidates(face[1], place.of) if face else None,
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


def _blinks(place: _Place, gaze: GazeResult | None, face: FaceResult | None) -> pd.DataFrame | None:
    """Return the blinks of the gaze; without gaze, those of the film of the face."""
    if gaze is not None:
        return place.of(gaze.blinks, "onset")
    if face is None or face.dynamics is None or "blinks" in face.dynamics.not_measured:
        return None
    blinks = face.dynamics.blinks[["onset", "duration"]]
    return place.of(blinks.assign(source="face"), "onset")


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


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Tell nobody."""
