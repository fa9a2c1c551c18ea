"""The analysis of one session: from ``session.h5`` to its tables and its report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from duchenne.analysis.affect.registry import DEFAULT_AFFECT_BACKEND
from duchenne.analysis.align import presentations
from duchenne.analysis.exclusions import NO_CATEGORY, WITHDREW, ExclusionRules, read_exclusions
from duchenne.analysis.exclusions_lock import known_lock
from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND as DEFAULT_AU_BACKEND
from duchenne.analysis.inputs import SessionInputs, inputs_of
from duchenne.analysis.measurement import MeasuredTables, Measurement, measure_session
from duchenne.analysis.measurement_store import read_measurement, write_measurement
from duchenne.analysis.one_thread import one_thread
from duchenne.analysis.paths import AnalysisPaths, analysis_paths, study_of
from duchenne.analysis.presentation_features import face_features_of, gaze_features_of
from duchenne.analysis.privacy.scopes import scopes_of
from duchenne.analysis.provenance import provenance, table_hashes
from duchenne.analysis.session_writing import (
    publishing,
    write_measured_tables,
    write_session_tables,
    write_summary_tables,
)
from duchenne.analysis.settings import AnalysisSettings
from duchenne.analysis.summary import summarise
from duchenne.analysis.tables import write_json
from duchenne.analysis.window_plan import DEFAULT_PLAN, WindowPlan, read_window_plan
from duchenne.analysis.windows import window_table
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pandas as pd

    from duchenne.analysis.crossmodal.session import CrossModal
    from duchenne.analysis.gaze.aoi_session import AoiTables

    Progress = Callable[[str, int, int], None]

__all__ = [
    "DEFAULT_AU_BACKEND",
    "SessionTables",
    "analyze_session",
    "report_session",
    "session_tables",
    "write_session_tables",
]

PROTOCOL_HASH_LENGTH = 12


@dataclass(frozen=True)
class SessionTables:
    """The tables of one session, as they are written.

    Attributes
    ----------
    measured : MeasuredTables
        Those that come of the measurement alone; each is an attribute of this value, too.
    summary, windows : pandas.DataFrame
    configuration : dict
        Every resolved setting.
    notes : tuple of str
        What was not analysed, and why, one sentence each.
    """

    measured: MeasuredTables
    summary: pd.DataFrame
    windows: pd.DataFrame
    configuration: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def events(self) -> pd.DataFrame:
        """Phases and markers."""
        return self.measured.events

    @property
    def quality(self) -> pd.DataFrame:
        """One row per stream."""
        return self.measured.quality

    @property
    def fixations(self) -> pd.DataFrame | None:
        """None where no gaze was analysed."""
        return self.measured.fixations

    @property
    def saccades(self) -> pd.DataFrame | None:
        """None where no gaze was analysed."""
        return self.measured.saccades

    @property
    def blinks(self) -> pd.DataFrame | None:
        """Of the gaze; without gaze those of the film of the face, where there is one."""
        return self.measured.blinks

    @property
    def gaze(self) -> Callable[[], Iterator[pd.DataFrame]] | None:
        """The samples in parts."""
        return self.measured.gaze

    @property
    def au(self) -> pd.DataFrame | None:
        """None where no face was analysed."""
        return self.measured.au

    @property
    def au_events(self) -> pd.DataFrame | None:
        """None where no face was analysed."""
        return self.measured.au_events

    @property
    def microexpressions(self) -> pd.DataFrame | None:
        """None where they were not looked for."""
        return self.measured.microexpressions

    @property
    def aois(self) -> AoiTables | None:
        """None where there are no areas of interest, or no gaze."""
        return self.measured.aois

    @property
    def crossmodal(self) -> CrossModal:
        """Reactions of the face, and mimicry."""
        return self.measured.crossmodal


def analyze_session(
    h5: Path,
    out_dir: Path | None = None,
    *,
    au_backend: str = DEFAULT_AU_BACKEND,
    affect_backend: str = DEFAULT_AFFECT_BACKEND,
    rules: ExclusionRules | None = None,
    report: bool = True,
    aois: Path | str | None = None,
    eye: str = "both",
    leave_out_speech: bool = True,
    windows: WindowPlan | None = None,
    force: bool = True,
    inputs: SessionInputs | None = None,
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
    affect_backend : str
        What tells valence and arousal: ``rule``, or ``checkpoint:FILE``.
    rules : ExclusionRules, optional
        When a presentation is flagged; those of the file's study where absent.
    report : bool
        Whether to write the report; without, one that an earlier analysis drew is removed.
    aois : Path or str, optional
        File of areas of interest, or ``auto``: eyes, mouth and face found in each picture and film. By
        default ``aois.tsv`` or ``aois.json`` beside the stimulus manifest, where there is one.
    eye : {"both", "cyclopean", "left", "right"}
        What gaze rests on; see :func:`~duchenne.analysis.gaze.process.analyse_gaze`.
    leave_out_speech : bool, default True
        Leave frames in which the participant speaks out of the summary of the Action Units of the mouth.
    windows : WindowPlan, optional
        Windows of ``windows.parquet``; those of the file's study where absent.
    force : bool, default True
        Measure anew; False: what was measured before from the same file with the same settings is used.
    inputs : SessionInputs, optional
        What is known of the files already, so that they are not read again.
    progress : callable, optional
        Called with the name of the stage, what is done, and how much there is (0: unknown).

    Returns
    -------
    AnalysisPaths
        Where everything is, with notes on what was not analysed. Earlier results are replaced when all
        of the new ones are written.

    Raises
    ------
    DuchenneError
        If the file is no readable session, the areas of interest cannot be read, or the folder cannot
        be written.
    """
    tell = progress or _silent
    paths = analysis_paths(h5, out_dir)
    settings = AnalysisSettings(
        au_backend, None if aois is None else str(aois), eye, leave_out_speech, affect_backend
    )
    study = study_of(h5)
    exclusions = read_exclusions(study)
    if rules is not None:
        exclusions = exclusions.model_copy(update={"presentation": rules})
    plan = windows or read_window_plan(study / "study.yaml" if study else None)
    with one_thread(), Recording.open(h5) as recording:
        if inputs is None:
            lock = known_lock(study, exclusions)
            inputs = inputs_of(h5, settings, exclusions, plan, study=study, lock=lock)
        measured = None if force else read_measurement(paths, inputs.measurement_key)
        tables = None
        if measured is None:
            films = paths.folder.parent.parent / ".films" if study else None
            measured, tables = measure_session(recording, settings, tell, films=films)
        with publishing(paths) as aside:
            tell("tables", 0, 2)
            if tables is not None:
                write_measured_tables(tables, measured.configuration, aside)
                tables = None
                write_measurement(measured, aside, inputs.measurement_key)
            tell("tables", 1, 2)
            summary, table = summary_tables(recording, measured, exclusions.presentation, plan)
            write_summary_tables(
                summary, table, measured.configuration, aside, exclusions.presentation
            )
            about = provenance(recording, measured.configuration, inputs)
            about |= {"notes": list(measured.notes), "summary": _about_summary(summary)}
            about["tables"] = table_hashes(paths, aside)
            write_json(about, aside.provenance)
            tell("tables", 2, 2)
        paths = replace(paths, notes=measured.notes)
        del measured
        if report:
            from duchenne.analysis.reports.session import write_session_report  # noqa: PLC0415

            write_session_report(recording, paths, progress=tell)
        else:
            paths.report.unlink(missing_ok=True)
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
    affect_backend: str = DEFAULT_AFFECT_BACKEND,
    rules: ExclusionRules | None = None,
    aois: Path | str | None = None,
    eye: str = "both",
    leave_out_speech: bool = True,
    windows: WindowPlan = DEFAULT_PLAN,
    progress: Progress | None = None,
) -> SessionTables:
    """Compute all tables of an open session; see `analyze_session`."""
    settings = AnalysisSettings(
        au_backend, None if aois is None else str(aois), eye, leave_out_speech, affect_backend
    )
    measured, tables = measure_session(recording, settings, progress or _silent)
    summary, table = summary_tables(recording, measured, rules or ExclusionRules(), windows)
    return SessionTables(tables, summary, table, measured.configuration, measured.notes)


def summary_tables(
    recording: Recording, measured: Measurement, rules: ExclusionRules, plan: WindowPlan
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the summary and the table of windows of an open session from what was measured.

    Parameters
    ----------
    recording : Recording
    measured : Measurement
        Of the same session, new or kept.
    rules : ExclusionRules
    plan : WindowPlan
    """
    from duchenne.analysis.windows_face import FaceSeries  # noqa: PLC0415
    from duchenne.analysis.windows_gaze import GazeSeries  # noqa: PLC0415 (scipy)

    shown = presentations(recording)
    gaze, face = measured.gaze, measured.face
    frames = FaceSeries.of(face) if face is not None else None
    of_face = face_features_of(face, shown, frames) if face is not None and frames else []
    more = measured.crossmodal if of_face else ()
    protocol = recording.protocol_yaml
    summary = summarise(
        shown,
        recording.stimuli,
        gaze=gaze_features_of(gaze, measured.pupil, shown) if gaze else (),
        face=[row | other for row, other in zip(of_face, more, strict=True)],
        pupil_unit=measured.pupil_unit,
        pupil_measure=measured.pupil_measure,
        rules=rules,
        withdrawn=scopes_of(recording).withdrawn,
        protocol_hash=_short_hash(protocol),
    )
    windows = window_table(
        summary,
        plan,
        gaze=GazeSeries.of(gaze) if gaze else None,
        pupil=measured.pupil,
        face=frames,
    )
    return summary, windows


def _about_summary(summary: pd.DataFrame) -> dict[str, Any]:
    """Return what putting a study together needs to know of a summary without reading it."""
    category = summary["category"].fillna(NO_CATEGORY).astype(str)
    reasons = summary["exclusion_reason"].astype("string").fillna("")
    kept = ~summary["excluded"].fillna(value=False).astype(bool)
    return {
        "columns": [str(name) for name in summary.columns],
        "withdrawn": bool(reasons.str.contains(WITHDREW, regex=False).any()),
        "shown": {str(k): int(n) for k, n in category.value_counts(sort=False).items()},
        "usable": {str(k): int(n) for k, n in category[kept].value_counts(sort=False).items()},
        "ratings": {
            str(name): "object" if summary[name].dtype == object else "float64"
            for name in summary.columns
            if str(name).startswith("rating_")
        },
    }


def _short_hash(protocol: str) -> str | None:
    from duchenne.analysis.provenance import sha256_of_text  # noqa: PLC0415

    return sha256_of_text(protocol)[:PROTOCOL_HASH_LENGTH] if protocol else None


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Tell nobody."""
