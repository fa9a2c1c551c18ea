"""Areas of interest of a session: from the stimulus set's file to tables, one row per area shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.gaze.aoi import Aoi, AoiSet
from duchenne.analysis.gaze.aoi_codebook import AOI_TABLE, AOI_TRANSITIONS, AOI_VISITS
from duchenne.analysis.gaze.aoi_files import (
    AoiEntry,
    AoiPlan,
    aoi_file_of,
    automatic_plan,
    read_aoi_file,
)
from duchenne.analysis.gaze.aoi_measures import AoiResult, measure_aois
from duchenne.analysis.stimulus_files import stimulus_file, stimulus_folder
from duchenne.analysis.values import number, records, text
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from duchenne.analysis.gaze.process import GazeResult
    from duchenne.analysis.tables import Codebook
    from duchenne.recorder.recording import Recording

    Floats = NDArray[np.float64]
    Progress = Callable[[str, int, int], None]

DEFAULT_MARGIN_DEG = 1.0
"""Around areas where the accuracy of the recording is not known: what good trackers reach in practice
(Holmqvist et al. 2023, Behavior Research Methods 55, 364–416)."""
AUTO = "auto"
_SEEN = {"image", "video"}


@dataclass(frozen=True)
class AoiTables:
    """Gaze on the areas of interest of a session.

    Attributes
    ----------
    aois, transitions, visits : pandas.DataFrame
        As :mod:`~duchenne.analysis.gaze.aoi_codebook` describes them.
    """

    aois: pd.DataFrame
    transitions: pd.DataFrame
    visits: pd.DataFrame


def aoi_plan(recording: Recording, asked: str | Path | None = None) -> AoiPlan | None:
    """Return which areas to measure in a session.

    Parameters
    ----------
    recording : Recording
        An open session.
    asked : str, Path or None
        A file, ``auto`` (eyes, mouth and face found in every picture and film), or None: the file
        ``aois.tsv`` or ``aois.json`` beside the manifest.

    Returns
    -------
    AoiPlan or None
        None where nothing was asked for and there is no file.

    Raises
    ------
    DuchenneError
        Naming file and line of what is wrong with the file.
    """
    if asked is not None and str(asked) == AUTO:
        return automatic_plan()
    folder = stimulus_folder(recording.stimuli_source)
    if asked is not None:
        return read_aoi_file(Path(asked))
    file = aoi_file_of(folder) if folder is not None else None
    return read_aoi_file(file, known=_ids(folder)) if file is not None else None


def margin_of(
    result: GazeResult, plan: AoiPlan, asked_deg: float | None = None
) -> tuple[float, str]:
    """Return the margin around areas in degrees, and where it is from.

    What was asked for, but never less than the validated accuracy (``accuracy_deg`` of the gaze
    quality); without either, 1°.
    """
    asked = number(plan.margin_deg if asked_deg is None else asked_deg)
    accuracy = number(result.quality.get("accuracy_deg"))
    if np.isfinite(asked) and not asked < accuracy:
        return asked, "asked"
    if np.isfinite(accuracy):
        return accuracy, "validated"
    return DEFAULT_MARGIN_DEG, "default"


def session_aois(
    recording: Recording,
    result: GazeResult,
    shown: pd.DataFrame,
    media_time_s: Floats,
    plan: AoiPlan,
    *,
    notes: list[str],
    margin_deg: float | None = None,
    progress: Progress | None = None,
) -> AoiTables:
    """Measure gaze on the areas of interest of all presentations.

    Parameters
    ----------
    recording : Recording
        An open session.
    result : GazeResult
        Its gaze.
    shown : DataFrame
        From :func:`~duchenne.analysis.presentations.presentations`.
    media_time_s : ndarray, shape of the samples
        Position of the shown frame in its film at each sample; NaN where none was shown.
    plan : AoiPlan
        From :func:`aoi_plan`.
    notes : list of str
        What could not be measured is added to it.
    margin_deg : float, optional
        Asked for instead of the plan's; see :func:`margin_of`.
    progress : callable, optional
        Called with the name of the stage, what is done, and how much there is.
    """
    margin, source = margin_of(result, plan, margin_deg)
    finder = _Finder(recording)
    aois: list[dict[str, Any]] = []
    transitions: list[dict[str, Any]] = []
    visits: list[dict[str, Any]] = []
    rows = records(shown)
    for done, row in enumerate(rows):
        if progress is not None:
            progress("areas", done, len(rows))
        entries = plan.of(str(row["stimulus_id"])) if row["kind"] in _SEEN else ()
        if not entries or not row["offset_s"] > row["onset_s"]:
            continue
        where = {name: row.get(name) for name in _WHERE_COLUMNS}
        areas, reason = finder.areas(row, entries)
        if row["rect_px"] is None:
            reason = "where the stimulus was on the screen is not recorded"
        elif areas.moving and not _any_media(result, row, media_time_s):
            reason = "which frames of the film were shown is not recorded"
        if reason or not areas.aois:
            found = None
        else:
            found = measure_aois(
                result, areas, row["onset_s"], row["offset_s"], row["rect_px"],
                margin_deg=margin, media_time_s=media_time_s if areas.moving else None,
            )  # fmt: skip
        about = {"margin_deg": margin, "margin_source": source}
        aois += [where | about | area for area in _areas(entries, found, reason)]
        if found is not None:
            transitions += [where | part for part in _transitions(found)]
            visits += [where | visit for visit in records(found.visits)]
    notes.extend(finder.notes)
    if not aois:
        notes.append(f"No stimulus of the session has areas of interest in {plan.source}.")
    return AoiTables(
        _frame(aois, AOI_TABLE), _frame(transitions, AOI_TRANSITIONS), _frame(visits, AOI_VISITS)
    )


class _Finder:
    """Areas of each stimulus, found once."""

    def __init__(self, recording: Recording) -> None:
        self.notes: list[str] = []
        self._folder = stimulus_folder(recording.stimuli_source)
        self._rows = {str(row.get("id")): row for row in records(recording.stimuli)}
        self._known: dict[str, tuple[AoiSet, str]] = {}

    def areas(self, row: Mapping[str, Any], entries: Sequence[AoiEntry]) -> tuple[AoiSet, str]:
        """Return the areas of a presentation and why there are none."""
        name = str(row["stimulus_id"])
        if name not in self._known:
            self._known[name] = self._find(name, str(row["kind"]), entries)
        return self._known[name]

    def _find(self, name: str, kind: str, entries: Sequence[AoiEntry]) -> tuple[AoiSet, str]:
        automatic = {entry.name for entry in entries if entry.polygon is None}
        found, why = self._automatic(name, kind) if automatic else (AoiSet(()), "")
        aois: list[Aoi] = []
        for entry in entries:
            if entry.polygon is not None:
                aois.append(Aoi(entry.name, entry.polygon))
            else:
                aois += [aoi for aoi in found.aois if aoi.name == entry.name]
        if why and len(automatic) < len({entry.name for entry in entries}):
            self.notes.append(f"Areas of {name}: {why}; only those of the file are measured.")
            why = ""
        return AoiSet(tuple(aois), found.frames_s), why

    def _automatic(self, name: str, kind: str) -> tuple[AoiSet, str]:
        from duchenne.analysis.gaze.aoi_film import aois_in  # noqa: PLC0415  (heavy)

        path, why = stimulus_file(self._rows.get(name, {}), self._folder)
        if path is None:
            return AoiSet(()), f"the stimulus's {why}"
        try:
            found = aois_in(path, kind)
        except DuchenneError as error:
            return AoiSet(()), str(error)
        return found, "" if found.aois else "no face was found in the stimulus"


def _areas(
    entries: Sequence[AoiEntry], found: AoiResult | None, reason: str
) -> list[dict[str, Any]]:
    """Return a row for each area that was asked for, with what was measured of it."""
    measured = {} if found is None else {row["aoi"]: row for row in records(found.table)}
    rows = []
    for name, entry in {entry.name: entry for entry in entries}.items():
        row = dict(measured.get(name, {"aoi": name}))
        row["aoi_source"] = AUTO if entry.polygon is None else "file"
        if name not in measured:
            row["reason"] = reason or "no face was found in the stimulus"
        elif not np.isfinite(number(row["dwell_fraction"])):
            row["reason"] = "no gaze was measured while the stimulus was shown"
            row["dwell_s"] = np.nan
            row |= dict.fromkeys(("n_fixations", "n_visits", "n_revisits"))
        elif row["area_fraction"] == 0:
            row["reason"] = "wholly covered by areas that come first"
        rows.append(row)
    return rows


def _transitions(found: AoiResult) -> list[dict[str, Any]]:
    rows = []
    for source, counts in found.transitions.iterrows():
        total = int(counts.sum())
        for target, n in counts.items():
            if target != source:
                rows.append(
                    {
                        "from_aoi": source,
                        "to_aoi": target,
                        "n_transitions": int(n),
                        "probability": n / total if total else np.nan,
                        "transition_entropy_bits": found.transition_entropy_bits,
                    }
                )
    return rows


def _any_media(result: GazeResult, row: Mapping[str, Any], media_time_s: Floats) -> bool:
    times = result.samples["time"].to_numpy(dtype=np.float64)
    part = slice(*np.searchsorted(times, [row["onset_s"], row["offset_s"]]))
    inside = media_time_s[part]
    # Without any sample in the window that is what is wrong, not the frames.
    return inside.size == 0 or bool(np.isfinite(inside).any())


def _ids(folder: Path | None) -> list[str]:
    """Return the ids of the set; none where the manifest cannot be read."""
    from duchenne.stimuli.manifest import StimulusSet  # noqa: PLC0415

    try:
        return [stimulus.id for stimulus in StimulusSet.load(folder)] if folder else []
    except DuchenneError:
        return []


def _frame(rows: list[dict[str, Any]], book: Codebook) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(book))
    for name, column in book.items():
        if column.kind == "integer":
            frame[name] = pd.array([_whole(v) for v in frame[name]], dtype="Int64")
        elif column.kind == "boolean":
            values = [None if text(v) is None else bool(v) for v in frame[name]]
            frame[name] = pd.array(values, dtype="boolean")
        elif column.kind == "number":
            frame[name] = frame[name].astype("float64")
    return frame


def _whole(value: Any) -> Any:
    finite = np.isfinite(number(value))
    return int(number(value)) if finite else pd.NA


_WHERE_COLUMNS = (
    "participant", "session", "task", "run", "presentation_id", "trial", "stimulus_id", "category",
)  # fmt: skip
