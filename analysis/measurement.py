"""The slow half of an analysis: gaze and face of one session, measured once and kept.

Exclusion rules, windows and norms do not enter here, so that changing them measures nothing again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
from duchenne.analysis.crossmodal.session import CrossModal, crossmodal_features, session_crossmodal
from duchenne.analysis.event_table import event_table
from duchenne.analysis.face.backends.files import without_folder
from duchenne.analysis.gaze.events import DEFAULT_DETECTOR
from duchenne.analysis.latencies import unknown_latencies
from duchenne.analysis.lids import LidEvidence
from duchenne.analysis.provenance import plain
from duchenne.analysis.quality import quality_table
from duchenne.analysis.stages import (
    measure_face,
    measure_gaze,
    measure_pupil,
    note_neutral,
    note_ratings,
    place_candidates,
    place_events,
    place_in_stimulus,
    pupil_of,
)
from duchenne.analysis.tables import SAMPLES_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pandas as pd

    from duchenne.analysis.face.process import FaceResult
    from duchenne.analysis.gaze.aoi_files import AoiPlan
    from duchenne.analysis.gaze.aoi_session import AoiTables
    from duchenne.analysis.gaze.process import GazeResult
    from duchenne.analysis.gaze.pupil_session import SessionPupil
    from duchenne.analysis.settings import AnalysisSettings
    from duchenne.recorder.recording import Recording

    Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Measurement:
    """What was measured in one session, for its summary and its windows.

    Attributes
    ----------
    gaze : GazeResult or None
    pupil : SessionPupil or None
    face : FaceResult or None
        None where the stream was not recorded or could not be analysed.
    pupil_unit, pupil_measure : str or None
        As the device gives them.
    crossmodal : tuple of dict
        What the cross-modal measures add to each presentation; empty where there are none.
    configuration : dict
        Every resolved setting.
    notes : tuple of str
        What was not analysed, and why, one sentence each.
    """

    gaze: GazeResult | None
    pupil: SessionPupil | None
    face: FaceResult | None
    pupil_unit: str | None
    pupil_measure: str | None
    crossmodal: tuple[dict[str, Any], ...] = ()
    configuration: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MeasuredTables:
    """The tables that come of the measurement alone.

    Attributes
    ----------
    events, quality : pandas.DataFrame
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
    crossmodal : CrossModal
    """

    events: pd.DataFrame
    quality: pd.DataFrame
    fixations: pd.DataFrame | None
    saccades: pd.DataFrame | None
    blinks: pd.DataFrame | None
    gaze: Callable[[], Iterator[pd.DataFrame]] | None
    au: pd.DataFrame | None
    au_events: pd.DataFrame | None
    microexpressions: pd.DataFrame | None
    aois: AoiTables | None
    crossmodal: CrossModal


def measure_session(
    recording: Recording,
    settings: AnalysisSettings,
    tell: Progress,
    *,
    films: Path | None = None,
) -> tuple[Measurement, MeasuredTables]:
    """Measure gaze, pupil and face of an open session.

    Parameters
    ----------
    recording : Recording
        An open session.
    settings : AnalysisSettings
    tell : callable
        Told the name of the stage, what is done, and how much there is (0: unknown).
    films : Path, optional
        Where the Action Units of stimulus films are kept for other sessions.

    Raises
    ------
    DuchenneError
        If the areas of interest cannot be read.
    """
    from duchenne.analysis.gaze.aoi_session import aoi_plan  # noqa: PLC0415 (scipy)

    notes: list[str] = []
    plan = aoi_plan(recording, settings.aois)
    spans = phases(recording)
    shown = presentations(recording)
    place = _Place(spans, Identity.of(recording), ShownFrames.of(recording))
    note_neutral(spans, notes)
    found_face = measure_face(
        recording,
        settings.au_backend,
        neutral_intervals(spans),
        notes,
        tell,
        leave_out_speech=settings.leave_out_speech,
        affect=settings.affect_backend,
    )
    face = found_face[1] if found_face else None
    lids = LidEvidence.of(face)
    found_gaze = measure_gaze(recording, notes, tell, eye=settings.eye, lids=lids)
    gaze = found_gaze[1] if found_gaze else None
    unit, measure = pupil_of(found_gaze[0]) if found_gaze else (None, None)
    note_ratings(recording, notes)
    if not len(shown):
        notes.append("No stimulus was shown: the summary is empty.")
    pupil = measure_pupil(recording, gaze, shown, notes) if gaze else None
    streams = {
        "gaze_stream": found_gaze[0].key if found_gaze else None,
        "face_stream": found_face[0].key if found_face else None,
    }
    unknown = unknown_latencies(recording, tuple(streams.values()))
    aois = _aois(recording, gaze, shown, place, plan, notes=notes, tell=tell) if gaze else None
    fixations = place_in_stimulus(gaze.fixations, shown) if gaze else None
    cross = session_crossmodal(
        recording,
        shown,
        face,
        backend=settings.au_backend,
        shown_frames=place.shown_frames,
        fixations=fixations,
        aois=aois,
        latency_known=streams["face_stream"] not in unknown,
        cache=films,
        notes=notes,
        progress=tell,
    )
    quality = quality_table(
        recording,
        gaze={**gaze.quality, "stream": streams["gaze_stream"], "pupil_unit": unit}
        | {"pupil_measure": measure}
        if gaze
        else None,
        face={
            "stream": streams["face_stream"],
            "usable_fraction": float(face.table["usable"].mean()),
        }
        if face
        else None,
    )
    tables = MeasuredTables(
        events=place.of(event_table(recording.events, spans, shown), "onset"),
        quality=quality,
        fixations=place.of(fixations, "onset") if fixations is not None else None,
        saccades=place.of(gaze.saccades, "onset") if gaze else None,
        blinks=_blinks(place, gaze, face),
        gaze=partial(place.parts, gaze.samples) if gaze else None,
        au=place.of(face.table, "time") if face else None,
        au_events=place_events(face, place.of) if face else None,
        microexpressions=place_candidates(face, place.of) if face else None,
        aois=aois,
        crossmodal=cross,
    )
    configuration = {
        "au_backend": without_folder(settings.au_backend),
        "affect_backend": settings.affect_backend.partition(":")[0],
        "neutral_intervals_s": [
            [round(start, 6), round(stop, 6)] for start, stop in neutral_intervals(spans)
        ],
        "screen": recording.screen,
        **streams,
        "gaze_eye": gaze.eye if gaze else None,
        "gaze_detector": DEFAULT_DETECTOR if gaze else None,
        "gaze": plain(gaze.quality) if gaze else None,
        "aois": plan.source if plan else None,
        "face_calibration": plain(face.neutral) if face else None,
        "face": plain(face.quality) if face else None,
        "latency_unknown": list(unknown),
    }
    features = tuple(plain(row) for row in crossmodal_features(cross, shown))
    measured = Measurement(gaze, pupil, face, unit, measure, features, configuration, tuple(notes))
    return measured, tables


def _aois(
    recording: Recording,
    result: GazeResult,
    shown: pd.DataFrame,
    place: _Place,
    plan: AoiPlan | None,
    *,
    notes: list[str],
    tell: Progress,
) -> AoiTables | None:
    from duchenne.analysis.gaze.aoi_session import session_aois  # noqa: PLC0415 (scipy)

    if plan is None:
        return None
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
