"""Mean curves over participants: Action Units and pupil on the time of each stimulus.

Memory: of each session only the columns drawn are read, one session at a time, and of each presentation at
most 400 points are kept.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.reports.charts import Line
from duchenne.analysis.reports.study_data import KEYS
from duchenne.analysis.values import number, records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.analysis.reports.study_data import StudyData, StudySession

    Floats = NDArray[np.float64]

BEFORE_S = 1.0
LEAST_STEP_S = 0.1
MOST_POINTS = 400
LEAST_IN_BAND = 3
"""Participants from which a mean has a confidence interval."""
LEAST_CHANGE = 0.1
"""Action Units that change less on every stimulus are left out of the curves."""
EYELIDS = {"AU43", "AU45"}
PUPIL = "pupil"


@dataclass(frozen=True)
class Grid:
    """Times relative to onset, in steps of the same width."""

    step_s: float
    n: int

    @classmethod
    def of(cls, duration_s: float) -> Grid:
        """Return the grid of a stimulus: a second before it to its end."""
        span = BEFORE_S + duration_s
        step = max(LEAST_STEP_S, span / MOST_POINTS)
        return cls(step, max(round(span / step), 1))

    @property
    def times_s(self) -> Floats:
        """Centres of the steps, (n,)."""
        return np.asarray((np.arange(self.n) + 0.5) * self.step_s - BEFORE_S)

    def means(self, t_s: Floats, values: Floats) -> Floats:
        """Return the mean of the values in each step; NaN where there is none."""
        index = np.floor((t_s + BEFORE_S) / self.step_s).astype(np.intp)
        known = np.isfinite(values) & (index >= 0) & (index < self.n)
        count = np.bincount(index[known], minlength=self.n).astype(np.float64)
        count[count == 0] = np.nan
        total = np.bincount(index[known], weights=values[known], minlength=self.n)
        return np.asarray(total / count)


@dataclass
class Gathered:
    """Curves of one stimulus: by measure and participant, the curves of its presentations."""

    grid: Grid
    duration_s: float
    curves: dict[str, dict[str, list[NDArray[np.float32]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def by_participant(self, measure: str) -> Floats:
        """Return the mean curve of each participant, (participants, n)."""
        rows = [_mean(np.stack(each)) for each in self.curves.get(measure, {}).values()]
        return np.stack(rows) if rows else np.empty((0, self.grid.n))


def gather(
    data: StudyData,
    aus: Sequence[str],
    tell: Callable[[int, int], None],
    unreadable: list[str] | None = None,
) -> dict[str, Gathered]:
    """Return the curves of every stimulus; those of excluded presentations are left out.

    Parameters
    ----------
    data : StudyData
    aus : sequence of str
        Action Units to read, such as ``AU12``.
    tell : callable
        Called with the sessions that are done and all of them.
    unreadable : list of str, optional
        Filled with the sessions whose frames or samples cannot be read.

    Returns
    -------
    dict of str to Gathered
        By stimulus id.
    """
    used = data.used
    found = {
        str(name): Gathered(Grid.of(length), length)
        for name, length in used.groupby("stimulus_id")["duration"].median().items()
        if np.isfinite(length)
    }
    sessions = [session for session in data.sessions if session.counted]
    for done, session in enumerate(sessions):
        tell(done, len(sessions))
        rows = records(used[_of_session(used, session)])
        try:
            _add_faces(found, rows, session, aus)
            _add_pupils(found, rows, session)
        except (OSError, ValueError, KeyError) as error:
            why = " ".join(str(error).split())[:120]
            if unreadable is not None:
                unreadable.append(f"{session.paths.stem}: {why}")
    tell(len(sessions), len(sessions))
    return found


def mean_line(
    gathered: Gathered, measure: str, name: str, colour: str, dash: str = "solid"
) -> tuple[Line, int] | None:
    """Return the mean over participants as a line with its 95 % interval, and how many they are."""
    return line_of(gathered.by_participant(measure), gathered.grid.times_s, name, colour, dash)


def line_of(
    curves: Floats, times_s: Floats, name: str, colour: str, dash: str = "solid"
) -> tuple[Line, int] | None:
    """Return the mean of curves, (curves, n), as a line with a t interval from three curves on."""
    if not np.isfinite(curves).any():
        return None
    mean, half = interval(curves)
    n = int(np.isfinite(curves).any(axis=1).sum())
    has_band = n >= LEAST_IN_BAND
    line = Line(
        name,
        times_s,
        mean,
        colour,
        dash,
        mean - half if has_band else None,
        mean + half if has_band else None,
    )
    return line, n


def interval(curves: Floats) -> tuple[Floats, Floats]:
    """Return mean and half of its 95 % t interval over the first axis; NaN where too few are known."""
    from scipy.special import stdtrit  # noqa: PLC0415 (heavy)

    count = np.isfinite(curves).sum(axis=0)
    mean = _mean(curves)
    square = np.where(np.isfinite(curves), (curves - mean) ** 2, 0.0).sum(axis=0)
    enough = count >= LEAST_IN_BAND
    freedom = np.maximum(count - 1, 1)
    error = np.sqrt(square / freedom / np.maximum(count, 1))
    return mean, np.where(enough, stdtrit(freedom, 0.975) * error, np.nan)


def strongest_measures(summary: pd.DataFrame, at_most: int) -> list[str]:
    """Return the Action Units that change most on any stimulus, in the order of their numbers."""
    reach = {}
    for column in map(str, summary.columns):
        unit = column.removesuffix("_change_mean")
        if not re.fullmatch(r"AU\d\d", unit) or unit in EYELIDS or unit == column:
            continue
        means = summary.groupby("stimulus_id")[column].mean().dropna()
        if len(means):
            reach[unit] = float(means.abs().max())
    ranked = sorted(reach, key=lambda unit: reach[unit], reverse=True)
    moved = [unit for unit in ranked if reach[unit] > LEAST_CHANGE]
    return sorted((moved or ranked[:2])[:at_most])


def _of_session(table: pd.DataFrame, session: StudySession) -> pd.Series[bool]:
    chosen = pd.Series(data=True, index=table.index)
    for name, value in zip(KEYS, session.key, strict=True):
        chosen &= table[name].astype(str) == value
    return chosen


def _add_faces(
    found: dict[str, Gathered], rows: Sequence[Mapping[str, Any]], session: StudySession, aus: Any
) -> None:
    frames = _columns(session.paths.au, ["time", "usable", *(f"{au}_r" for au in aus)])
    if frames is None:
        return
    times = frames["time"].to_numpy(np.float64)
    told = frames["usable"].astype(str).str.lower() if "usable" in frames else None
    usable = None if told is None else told.to_numpy() != "false"
    for row in rows:
        gathered, span = found.get(str(row["stimulus_id"])), _span(times, row)
        if gathered is None or span.start == span.stop:
            continue
        t_s = times[span] - float(row["onset"])
        for au in aus:
            if f"{au}_r" not in frames:
                continue
            values = frames[f"{au}_r"].to_numpy(np.float64)[span]
            if usable is not None:
                values = np.where(usable[span], values, np.nan)
            _keep(gathered, au, session.participant, t_s, values)


def _add_pupils(
    found: dict[str, Gathered], rows: Sequence[Mapping[str, Any]], session: StudySession
) -> None:
    path = session.paths.gaze
    with_baseline = [row for row in rows if np.isfinite(number(row.get("pupil_baseline")))]
    if not path.is_file() or not with_baseline:
        return
    samples = pd.read_parquet(path, columns=["time", "pupil"])
    times = samples["time"].to_numpy(np.float64)
    pupil = samples["pupil"].to_numpy(np.float64)
    for row in with_baseline:
        gathered, span = found.get(str(row["stimulus_id"])), _span(times, row)
        if gathered is None or span.start == span.stop:
            continue
        change = pupil[span] - number(row["pupil_baseline"])
        _keep(gathered, PUPIL, session.participant, times[span] - float(row["onset"]), change)


def _keep(gathered: Gathered, measure: str, participant: str, t_s: Floats, values: Floats) -> None:
    curve = gathered.grid.means(t_s, values)
    if np.isfinite(curve).any():
        gathered.curves[measure][participant].append(curve.astype(np.float32))


def _span(times: Floats, row: Mapping[str, Any]) -> slice:
    onset, duration = float(row["onset"]), float(row["duration"])
    first, last = np.searchsorted(times, [onset - BEFORE_S, onset + duration])
    return slice(int(first), int(last))


def _columns(path: Path, names: Sequence[str]) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    wanted = set(names)
    return pd.read_csv(
        path, sep="\t", na_values=["n/a"], usecols=lambda name: name in wanted, quoting=3
    )


def _mean(curves: NDArray[Any]) -> Floats:
    known = np.isfinite(curves)
    total = np.where(known, curves, 0.0).sum(axis=0, dtype=np.float64)
    count = known.sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
