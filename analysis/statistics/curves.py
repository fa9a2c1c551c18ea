"""Time courses of Action Units and of the pupil, compared between groups of stimuli.

Samples are averaged over steps of time for each presentation, presentations for each participant and group
of stimuli; the participants' differences are tested by cluster mass and sign flips. The test is about these
stimuli: it does not carry over to others of their kind, as the mixed models do.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from duchenne.analysis.statistics.contrasts import METHODS
from duchenne.analysis.statistics.multiplicity import corrected
from duchenne.analysis.statistics.permutation import cluster_test
from duchenne.analysis.statistics.results import CurveCluster, CurveResult
from duchenne.analysis.statistics.sample import CannotTell, excluded_rows, group_code
from duchenne.analysis.tables import read_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from duchenne.analysis.paths import AnalysisPaths
    from duchenne.analysis.statistics.types import BoolArray, FloatArray
    from duchenne.analysis.study_plan import Curve, Settings

BASELINE_S = 0.5
PUPIL = "pupil"
MIN_PARTICIPANTS = 5
SAME_ONSET_S = 0.001
_TASK = re.compile(r"_task-([^_]+)")
_PLACE = ("time", "presentation_id", "t_from_onset_s")


def steps_of(curve: Curve) -> FloatArray:
    """Return the edges of the steps of time, seconds from the onset."""
    n = max(round((curve.stop_s - curve.start_s) / curve.step_s), 2)
    return np.asarray(curve.start_s + curve.step_s * np.arange(n + 1), np.float64)


def read_courses(
    sessions: Sequence[AnalysisPaths], curves: Sequence[Curve]
) -> dict[str, dict[str, FloatArray]]:
    """Return the course of each presentation for each curve.

    Parameters
    ----------
    sessions : sequence of AnalysisPaths
    curves : sequence of Curve

    Returns
    -------
    dict of curve's name to dict of presentation to (steps,) float64
        By `course_name`; NaN where nothing was measured; sessions without the measure are left out.
    """
    found: dict[str, dict[str, FloatArray]] = {curve.name: {} for curve in curves}
    for paths in sessions:
        task = _TASK.search(paths.stem)
        naming = partial(course_name, task[1] if task else "")
        faces = [curve for curve in curves if curve.measure != PUPIL]
        pupils = [curve for curve in curves if curve.measure == PUPIL]
        if faces and paths.au.is_file():
            columns = {f"{curve.measure}_r" for curve in faces}
            table = _of_used_attempts(_face_table(paths, columns), paths)
            for curve in faces:
                found[curve.name] |= _courses(table, f"{curve.measure}_r", curve, naming)
        if pupils and paths.gaze.is_file():
            table = _of_used_attempts(_gaze_table(paths), paths)
            for curve in pupils:
                found[curve.name] |= _courses(table, PUPIL, curve, naming)
    return found


def course_name(task: str, presentation_id: str) -> str:
    """Return what a course is found by: two tasks of one session number their presentations alike."""
    return f"{task}/{presentation_id}" if task else presentation_id


def curve_result(
    curve: Curve,
    courses: Mapping[str, FloatArray],
    summary: pd.DataFrame,
    settings: Settings,
    *,
    unit: str | None,
    declared: str,
) -> CurveResult:
    """Compare the two courses of one curve; what cannot be told has a note.

    Parameters
    ----------
    curve : Curve
    courses : mapping of str to (steps,) float64
        By `course_name`.
    summary : pandas.DataFrame
        Tells participant, category and exclusion of each presentation.
    settings : Settings
    unit : str or None
    declared : str
        ``before data`` or ``after data``.

    Returns
    -------
    CurveResult
        Clusters are corrected for the times of the curve; for several curves see `correct_curves`.
    """
    labels = " + ".join(curve.plus), " + ".join(curve.minus)
    empty = CurveResult(curve.name, curve.measure, unit, curve.family, declared, *labels)
    try:
        plus, minus = _by_participant(curve, courses, summary)
    except CannotTell as reason:
        return replace(empty, note=f"{reason}.")
    edges = steps_of(curve)
    bands: dict[str, Any] = {
        **_band("plus", plus),
        **_band("minus", minus),
        **_band("difference", plus - minus),
    }
    middles = _numbers((edges[:-1] + edges[1:]) / 2)
    result = replace(empty, n_participants=len(plus), times_s=middles, **bands)
    if len(plus) < MIN_PARTICIPANTS:
        return replace(
            result,
            note=f"{len(plus)} participants are too few for a test of the curves: {MIN_PARTICIPANTS} are "
            "needed.",
        )
    if not settings.permutations:
        return replace(result, note="No test of the curves was asked for (permutations: 0).")
    found = cluster_test(plus - minus, n=settings.permutations, seed=settings.seed)
    clusters = tuple(
        CurveCluster(
            round(float(edges[one.start]), 6),
            round(float(edges[one.stop]), 6),
            one.mass,
            one.p,
            math.nan,
        )
        for one in found
    )
    return replace(result, clusters=clusters)


def correct_curves(results: Sequence[CurveResult]) -> tuple[CurveResult, ...]:
    """Return the curves with clusters corrected for the number of curves in their family.

    Each curve counts with its smallest p (1 where nothing differs); what correction does to that is done to
    the p of all of its clusters.
    """
    found = list(results)
    for family, method in METHODS.items():
        tested = [i for i, one in enumerate(found) if one.family == family and not one.note]
        least = [min((c.p for c in found[i].clusters), default=1.0) for i in tested]
        adjusted = corrected(least, method).tolist() if least else []
        for i, p, after in zip(tested, least, adjusted, strict=True):
            clusters = tuple(
                replace(c, p_corrected=min(1.0, c.p * after / p)) for c in found[i].clusters
            )
            found[i] = replace(found[i], clusters=clusters)
    return tuple(found)


def _by_participant(
    curve: Curve, courses: Mapping[str, FloatArray], summary: pd.DataFrame
) -> tuple[FloatArray, FloatArray]:
    """Return the two mean courses of each participant that has both: (participants, steps) each."""
    if not courses:
        raise CannotTell(f"no session has a course of {curve.measure}")
    code = group_code(summary, curve.factor, curve.plus, curve.minus)
    kept = np.isfinite(code) & ~excluded_rows(summary)
    ids = _names_of(summary)
    kept &= np.array([one in courses for one in ids], np.bool_)
    who = summary["participant"].astype("string").fillna("").to_numpy(dtype=np.str_)
    sides: list[list[FloatArray]] = [[], []]
    for person in np.unique(who[kept]):
        own = [
            _mean([courses[i] for i in ids[kept & (who == person) & (code == side)]])
            for side in (0.5, -0.5)
        ]
        if any(one is None or not np.isfinite(one).any() for one in own):
            continue
        for side, one in zip(sides, own, strict=True):
            side.append(np.asarray(one))
    if len(sides[0]) < 2:
        raise CannotTell(f"{len(sides[0])} participants have both curves; two are needed")
    return np.stack(sides[0]), np.stack(sides[1])


def _names_of(summary: pd.DataFrame) -> NDArray[np.str_]:
    """Return the name of the course of each presentation."""
    ids = summary["presentation_id"].astype("string").fillna("")
    if "task" not in summary.columns:
        return ids.to_numpy(dtype=np.str_)
    tasks = summary["task"].astype("string").fillna("")
    return np.array([course_name(*pair) for pair in zip(tasks, ids, strict=True)], np.str_)


def _mean(rows: Sequence[FloatArray]) -> FloatArray | None:
    """Return the mean of courses, NaN where none of them has a value; None without any."""
    return _nanmean(np.stack(rows)) if rows else None


def _nanmean(table: FloatArray) -> FloatArray:
    known = np.isfinite(table)
    count = known.sum(axis=0)
    total = np.where(known, table, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _band(name: str, table: FloatArray) -> dict[str, tuple[float, ...]]:
    """Return mean and 95 % interval over participants."""
    count = np.isfinite(table).sum(axis=0)
    mean = _nanmean(table)
    square = np.where(np.isfinite(table), (table - mean) ** 2, 0.0).sum(axis=0)
    enough = count >= 2
    error = np.sqrt(square / np.maximum(count - 1, 1) / np.maximum(count, 1))
    half = np.where(enough, stats.t.ppf(0.975, np.maximum(count - 1, 1)) * error, np.nan)
    return {
        name: _numbers(mean),
        f"{name}_low": _numbers(mean - half),
        f"{name}_high": _numbers(mean + half),
    }


def _numbers(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(f"{value:.7g}") for value in values.tolist())


def _courses(
    table: pd.DataFrame, column: str, curve: Curve, naming: Callable[[str], str]
) -> dict[str, FloatArray]:
    """Average the samples of each presentation over the steps of time."""
    if column not in table.columns or not len(table):
        return {}
    edges = steps_of(curve)
    since = table["t_from_onset_s"].to_numpy(np.float64)
    values = table[column].to_numpy(np.float64)
    first = -BASELINE_S if curve.is_from_baseline else curve.start_s
    near = (since >= min(first, curve.start_s)) & (since < edges[-1]) & np.isfinite(values)
    ids = table["presentation_id"].astype("string").fillna("")
    near &= (ids != "").to_numpy(np.bool_)
    code, names = pd.factorize(ids[near])
    since, values = since[near], values[near]
    step = np.searchsorted(edges, since, side="right") - 1
    inside = (step >= 0) & (step < len(edges) - 1)
    course = _means(values[inside], code[inside], step[inside], len(names), len(edges) - 1)
    if curve.is_from_baseline:
        before = (since >= -BASELINE_S) & (since < 0)
        zero = np.zeros(int(before.sum()), np.int64)
        course -= _means(values[before], code[before], zero, len(names), 1)
    return {naming(str(name)): row for name, row in zip(names, course, strict=True)}


def _means(
    values: FloatArray,
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    n_rows: int,
    n_columns: int,
) -> FloatArray:
    """Return means over the samples of each row and column, NaN where there are none."""
    at = row * n_columns + column
    size = n_rows * n_columns
    count = np.bincount(at, minlength=size)
    total = np.bincount(at, weights=values, minlength=size)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean.reshape(n_rows, n_columns)


def _of_used_attempts(table: pd.DataFrame, paths: AnalysisPaths) -> pd.DataFrame:
    """Leave out the attempts at a presentation that its row of the summary is not about."""
    if "time" not in table.columns or not paths.summary.is_file():
        return table
    summary = read_table(paths.summary)
    onsets = dict(zip(summary["presentation_id"], summary["onset"], strict=True))
    used = table["presentation_id"].map(onsets).to_numpy(np.float64)
    began = table["time"].to_numpy(np.float64) - table["t_from_onset_s"].to_numpy(np.float64)
    with np.errstate(invalid="ignore"):
        other: BoolArray = np.abs(began - used) > SAME_ONSET_S
    return table.loc[~other]


def _face_table(paths: AnalysisPaths, columns: set[str]) -> pd.DataFrame:
    """Return the usable frames of a face."""
    table = read_table(paths.au)
    usable: BoolArray = np.ones(len(table), np.bool_)
    if "usable" in table.columns:
        usable = table["usable"].fillna(False).astype(bool).to_numpy()
    wanted = [*_PLACE, *sorted(columns)]
    return table.loc[usable, [name for name in wanted if name in table.columns]]


def _gaze_table(paths: AnalysisPaths) -> pd.DataFrame:
    """Return the cleaned pupil of a session."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        names = set(pq.read_schema(paths.gaze).names)
        wanted = [name for name in (*_PLACE, PUPIL) if name in names]
        table: pd.DataFrame = pq.read_table(paths.gaze, columns=wanted).to_pandas()
    except (OSError, pa.ArrowInvalid) as error:
        raise DuchenneError(f"{paths.gaze} cannot be read: {error}") from error
    return table
