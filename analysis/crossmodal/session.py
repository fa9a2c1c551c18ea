"""The cross-modal measures of one session: reactions, what was looked at, mimicry of films."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.codebooks import IDENTITY
from duchenne.analysis.crossmodal.codebook import MIMICRY, REACTION_AOIS, REACTIONS
from duchenne.analysis.crossmodal.content import with_content
from duchenne.analysis.crossmodal.reactions import (
    FACE,
    first_reactions,
    whole_face_aus,
)
from duchenne.analysis.face.backends.base import MIN_RELIABILITY
from duchenne.analysis.tables import remove_table, write_table
from duchenne.analysis.values import number, records, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from duchenne.analysis.align import ShownFrames
    from duchenne.analysis.crossmodal.film_faces import FilmFace
    from duchenne.analysis.crossmodal.mimicry import Viewing
    from duchenne.analysis.face.process import FaceResult
    from duchenne.analysis.gaze.aoi_session import AoiTables
    from duchenne.analysis.paths import AnalysisPaths
    from duchenne.analysis.tables import Codebook
    from duchenne.recorder.recording import Recording

    Progress = Callable[[str, int, int], None]

_WHERE = (*IDENTITY, "presentation_id", "trial", "stimulus_id", "category")
TABLES = (
    ("reactions", REACTIONS),
    ("reaction_aois", REACTION_AOIS),
    ("mimicry", MIMICRY),
)


@dataclass(frozen=True)
class CrossModal:
    """The cross-modal tables of a session.

    Attributes
    ----------
    reactions : pandas.DataFrame or None
        One row per presentation and Action Unit; None where no face was analysed.
    reaction_aois : pandas.DataFrame or None
        One row per reaction and area of interest; None without face or areas.
    mimicry : pandas.DataFrame or None
        One row per film shown and Action Unit; None without face or films, or where not asked for.
    """

    reactions: pd.DataFrame | None = None
    reaction_aois: pd.DataFrame | None = None
    mimicry: pd.DataFrame | None = None


def session_crossmodal(
    recording: Recording,
    shown: pd.DataFrame,
    face: FaceResult | None,
    *,
    backend: str,
    shown_frames: ShownFrames | None = None,
    fixations: pd.DataFrame | None = None,
    aois: AoiTables | None = None,
    latency_known: bool = False,
    cache: Path | None = None,
    mimicry: bool = True,
    notes: list[str],
    progress: Progress | None = None,
) -> CrossModal:
    """Compute the cross-modal tables of an open session.

    Parameters
    ----------
    recording : Recording
        An open session.
    shown : pandas.DataFrame
        From :func:`~duchenne.analysis.presentations.presentations`.
    face : FaceResult or None
        None where no face was analysed: then there are no tables.
    backend : str
        What measured its Action Units; films are measured with the same.
    shown_frames : ShownFrames, optional
        Which frames of films were on the screen.
    fixations : pandas.DataFrame, optional
        ``onset duration x_stim y_stim``.
    aois : AoiTables, optional
        Gaze on areas of interest.
    latency_known : bool
        Whether the latency of the camera is known.
    cache : Path, optional
        Where the Action Units of films are kept for other sessions.
    mimicry : bool, default True
        Whether to measure the faces in the films that were shown.
    notes : list of str
        What could not be measured is added to it.
    progress : callable, optional
        Called with the name of the stage, what is done, and how much there is.
    """
    if face is None or not len(shown):
        return CrossModal()
    tell = progress or (lambda _stage, _done, _total: None)
    reliability = _reliability(backend)
    reactions = first_reactions(face.table, shown, reliability=reliability)
    visits = None if aois is None else aois.visits
    areas = None if aois is None else aois.aois
    table, content = with_content(reactions, shown, fixations, visits, areas)
    table = table.assign(latency_known=latency_known)
    viewings: list[Viewing] = []
    if mimicry:
        trusted = [
            au
            for au in whole_face_aus(face.table.columns)
            if reliability.get(au, 1.0) >= MIN_RELIABILITY
        ]
        films = [r for r in records(shown) if r["kind"] == "video" and _lasts(r)]
        found = _Films(recording, backend, cache, tell)
        viewings = [found.viewing(row, face, shown_frames, trusted) for row in films]
        notes.extend(found.notes)
    return CrossModal(
        _with_place(table, shown, REACTIONS),
        None if content is None else _with_place(content, shown, REACTION_AOIS),
        _mimicry(viewings, shown) if viewings else None,
    )


def crossmodal_features(cross: CrossModal, shown: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what enters the summary of each presentation, in their order."""
    reactions, mimicry = _of_face(cross.reactions), _of_face(cross.mimicry)
    rows = []
    for name in shown["presentation_id"].tolist():
        features: dict[str, Any] = {}
        if (found := reactions.get(name)) is not None:
            features |= _reaction_features(found)
        if (found := mimicry.get(name)) is not None:
            features |= {f"mimicry_{part}": number(found[part]) for part in ("r", "lag_s", "z")}
        rows.append(features)
    return rows


def write_crossmodal(tables: CrossModal | None, paths: AnalysisPaths) -> None:
    """Write the tables with their codebooks; remove those of an earlier analysis that are no more."""
    for name, book in TABLES:
        path = paths.table(name)
        frame = None if tables is None else getattr(tables, name)
        if frame is None:
            remove_table(path)
        else:
            write_table(frame, path, book)


class _Films:
    """The faces in the films of a session, each measured once."""

    def __init__(
        self, recording: Recording, backend: str, cache: Path | None, tell: Progress
    ) -> None:
        from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND  # noqa: PLC0415
        from duchenne.analysis.stimulus_files import stimulus_folder  # noqa: PLC0415

        self.notes: list[str] = []
        self._folder = stimulus_folder(recording.stimuli_source)
        self._rows = {str(row.get("id")): row for row in records(recording.stimuli)}
        # A backend that reads a table of the participant's film knows nothing of other films.
        self._backend = DEFAULT_BACKEND if ":" in backend else backend
        self._cache, self._tell = cache, tell
        self._faces: dict[str, FilmFace] = {}

    def viewing(
        self,
        shown: Mapping[str, Any],
        face: FaceResult,
        flips: ShownFrames | None,
        trusted: Sequence[str],
    ) -> Viewing:
        """Return one presentation with the face of its film."""
        from duchenne.analysis.crossmodal.film_time import media_times  # noqa: PLC0415
        from duchenne.analysis.crossmodal.mimicry import viewing  # noqa: PLC0415

        name = str(shown["stimulus_id"])
        if name not in self._faces:
            self._faces[name] = self._measure(name)
        times_s = face.table["time"].to_numpy(np.float64)
        during = (times_s >= shown["onset_s"]) & (times_s < shown["offset_s"])
        part = face.table[during]
        media_s = np.full(len(part), np.nan)
        if flips is not None:
            media_s = media_times(times_s[during], flips, shown["onset_s"], shown["offset_s"])
        label = str(shown["presentation_id"])
        face_of = self._faces[name]
        return viewing(label, name, face_of, table=part, media_s=media_s, trusted=trusted)

    def _measure(self, name: str) -> FilmFace:
        from duchenne.analysis.crossmodal.film_faces import FilmFace, film_face  # noqa: PLC0415
        from duchenne.analysis.stimulus_files import stimulus_file  # noqa: PLC0415

        row = self._rows.get(name, {})
        path, why = stimulus_file(row, self._folder)
        if path is None:
            return FilmFace(pd.DataFrame({"time": []}), f"the film's {why}")
        found = film_face(
            path,
            backend=self._backend,
            cache=self._cache,
            sha256=text(row.get("sha256")),
            progress=lambda done: self._tell("films", done, 0),
        )
        if found.reason.startswith("the film was not"):
            self.notes.append(f"Mimicry of {name}: {found.reason}")
        return found


def _reliability(backend: str) -> Mapping[str, float]:
    """Return how far the Action Units of a backend can be relied on; empty where it says nothing."""
    from duchenne.analysis.face.backends import registry  # noqa: PLC0415
    from duchenne.analysis.face.geometry.reliability import shipped_card  # noqa: PLC0415

    if backend == registry.DEFAULT_BACKEND:
        return {au: float(row["pcc"]) for au, row in shipped_card()["reliability"].items()}
    return registry.load_backend(backend).reliability


def _mimicry(viewings: Sequence[Viewing], shown: pd.DataFrame) -> pd.DataFrame:
    from duchenne.analysis.crossmodal.mimicry import mimicry  # noqa: PLC0415

    return _with_place(mimicry(viewings), shown, MIMICRY)


def _with_place(table: pd.DataFrame, shown: pd.DataFrame, book: Codebook) -> pd.DataFrame:
    """Return a table with who saw what, in the order of its codebook."""
    joined = table.merge(shown[list(_WHERE)], on="presentation_id", how="left")
    return joined.reindex(columns=list(book))


def _of_face(table: pd.DataFrame | None) -> dict[str, dict[str, Any]]:
    rows = [] if table is None else records(table[table["au"] == FACE])
    return {str(row["presentation_id"]): row for row in rows}


def _reaction_features(row: Mapping[str, Any]) -> dict[str, Any]:
    early = row["early"] is True or row["early"] is np.True_
    features: dict[str, Any] = {"face_reacted": None if pd.isna(row["reacted"]) else row["reacted"]}
    if pd.isna(row["latency_s"]) or early:
        return features
    return features | {
        "face_reaction_latency_s": number(row["latency_s"]),
        "face_reaction_uncertainty_s": number(row["uncertainty_s"]),
        "face_reaction_au": text(row["first_au"]),
        "face_reaction_aoi": text(row["aoi"]),
    }


def _lasts(row: Mapping[str, Any]) -> bool:
    return bool(row["offset_s"] > row["onset_s"])
