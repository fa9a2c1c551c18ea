"""What the face did in a window of time: every Action Unit, the prototypes, valence and arousal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.affect.series import AffectSeries
from duchenne.analysis.face.au_events import beginnings_s
from duchenne.analysis.face.dynamics import is_lower_face
from duchenne.analysis.face.emotion import EXPRESSIONS, NEUTRAL, NONE, NOT_ASSESSABLE
from duchenne.analysis.face.features import (
    BASELINE_S,
    MIN_MEASURED_FRACTION,
    MIN_PROTOTYPE_FRACTION,
    PEAK_PERCENTILE,
)
from duchenne.analysis.face.smoothing import DEFAULT_SMOOTHING, local_fit, median_step_s

if TYPE_CHECKING:
    import pandas as pd

    from duchenne.analysis.face.frames import BoolArray, FloatArray
    from duchenne.analysis.face.process import FaceResult

ACTIVE = 1.0
"""An Action Unit counts as active from this intensity (FACS level A)."""
LABELS = (*EXPRESSIONS, NEUTRAL, NONE)
MIN_FOR_ERROR = 8
"""A standard error needs this many measured frames."""
_UNBRIDGED = replace(DEFAULT_SMOOTHING, bridge_s=0.0)


@dataclass(frozen=True)
class FaceSeries:
    """The frames of a face as arrays, so that many windows are quickly measured.

    Parameters
    ----------
    times_s : (n,) float64
        Ascending.
    step_s : float
        Median step between frames.
    names : tuple of str
        Action Units, the two sides of the face as well.
    values : (n, n_aus) float64
        Intensities, 0 to 5; NaN where not measured, and those of the mouth where it speaks.
    smoothed : (n, n_aus) float64
        The same, smoothed by local parabolas over the whole recording.
    usable : (n,) bool
    speaking, valence, arousal : (n,) float64
    labels : (n,) int
        Index in `LABELS` of the prototype; -1 where the frame is not usable or not assessable.
    events : dict of str to (m,) float64
        Onsets of the events of each Action Unit, ascending.
    bursts_s : (m,) float64 or None
        Onsets of candidates of micro-expressions; None where they were not looked for.
    affect : AffectSeries or None
        None where no affect model was asked.
    """

    times_s: FloatArray
    step_s: float
    names: tuple[str, ...]
    values: FloatArray
    smoothed: FloatArray
    usable: BoolArray
    speaking: FloatArray
    valence: FloatArray
    arousal: FloatArray
    labels: FloatArray
    events: dict[str, FloatArray]
    bursts_s: FloatArray | None
    affect: AffectSeries | None = None

    @classmethod
    def of(cls, result: FaceResult) -> FaceSeries:
        """Return the frames of a measured face, in the order of time."""
        leave_out = result.dynamics is None or result.dynamics.options.leave_out_speech
        table = result.table
        times = table["time"].to_numpy(np.float64)
        order = np.argsort(times, kind="stable")
        times = times[order]
        names = tuple(str(c)[:-2] for c in table.columns if _is_intensity(str(c)))
        speaking = table["speaking"].to_numpy(np.float64)[order]
        talks = (speaking == 1.0) & leave_out
        step_s = median_step_s(times)
        values = np.empty((len(times), len(names)))
        smoothed = np.empty_like(values)
        for i, au in enumerate(names):
            own = table[f"{au}_r"].to_numpy(np.float64)[order]
            values[:, i] = np.where(talks, np.nan, own) if is_lower_face(au) else own
            smoothed[:, i] = local_fit(times, values[:, i], step_s, _UNBRIDGED).value
        usable = table["usable"].to_numpy(np.bool_)[order]
        index = {name: i for i, name in enumerate(LABELS)}
        prototypes = table["expr_prototype"].to_numpy(object)[order]
        labels = np.array([index.get(name, -1) for name in prototypes], dtype=np.float64)
        return cls(
            times,
            step_s,
            names,
            values,
            smoothed,
            usable,
            speaking,
            table["expr_valence"].to_numpy(np.float64)[order],
            table["expr_arousal"].to_numpy(np.float64)[order],
            np.where(usable, labels, -1),
            _event_onsets(result, names, leave_out_speech=leave_out),
            _burst_onsets(result),
            AffectSeries.of(table, order),
        )

    def measures(
        self, start_s: float, stop_s: float, onset_s: float, *, sides: bool = True
    ) -> dict[str, Any]:
        """Measure one window.

        Parameters
        ----------
        start_s, stop_s : float
            The window; its end is excluded.
        onset_s : float
            Onset of the stimulus: the baseline is the second before it, latencies count from it.
        sides : bool, default True
            Also the Action Units of one side of the face.

        Returns
        -------
        dict
            The columns that :func:`duchenne.analysis.windows_codebook.face_window_columns` describes.
        """
        first, last = np.searchsorted(self.times_s, [start_s, stop_s], side="left")
        before, until = np.searchsorted(self.times_s, [onset_s - BASELINE_S, onset_s], side="left")
        within, resting = slice(int(first), int(last)), slice(int(before), int(until))
        expected = self._expected(within, stop_s - start_s)
        has_baseline = (
            _share(self.usable[resting], self._expected(resting, BASELINE_S))
            >= MIN_MEASURED_FRACTION
        )
        row: dict[str, Any] = {"face_usable_fraction": _share(self.usable[within], expected)}
        spoken = self.speaking[within]
        told = np.isfinite(spoken)
        enough = _share(told, expected) >= MIN_MEASURED_FRACTION
        row["speaking_fraction"] = float(spoken[told].mean()) if enough else np.nan
        row |= self._units(
            within,
            resting,
            (start_s, stop_s, onset_s),
            expected=expected,
            sides=sides,
        )
        row |= self._expression(within, resting, has_baseline=bool(has_baseline))
        if self.affect is not None:
            row |= self.affect.measures(within)
        if self.bursts_s is not None and row["face_usable_fraction"] >= MIN_MEASURED_FRACTION:
            found = np.searchsorted(self.bursts_s, [start_s, stop_s], side="left")
            row["n_microexpression_candidates"] = float(found[1] - found[0])
        else:
            row["n_microexpression_candidates"] = np.nan
        return row

    def top_prototype(self, start_s: float, stop_s: float) -> str | None:
        """Return the prototype that matches most usable frames of a window, at least a tenth of them.

        Else the most frequent of ``neutral``, ``none`` and ``not_assessable``; None without usable frames.
        """
        first, last = np.searchsorted(self.times_s, [start_s, stop_s], side="left")
        labels = self.labels[first:last][self.usable[first:last]].astype(np.intp)
        if not len(labels):
            return None
        counts = np.bincount(labels + 1, minlength=len(LABELS) + 1)[1:]
        n = len(EXPRESSIONS)
        best = int(np.argmax(counts[:n]))
        if counts[best] and counts[best] >= MIN_PROTOTYPE_FRACTION * len(labels):
            return LABELS[best]
        rest = {name: int(counts[n + i]) for i, name in enumerate(LABELS[n:])}
        rest[NOT_ASSESSABLE] = int((labels < 0).sum())
        return max(rest, key=lambda name: rest[name])

    def _expected(self, frames: slice, duration_s: float) -> int:
        regular = int(duration_s / self.step_s + 1e-6) if self.step_s > 0 else 0
        return max(int(frames.stop - frames.start), regular)

    def _units(
        self,
        within: slice,
        resting: slice,
        when: tuple[float, float, float],
        *,
        expected: int,
        sides: bool,
    ) -> dict[str, Any]:
        values = self.values[within]
        known = np.isfinite(values)
        n = known.sum(axis=0)
        mean = _means(values, known, n)
        error = standard_errors(values)
        coverage = n / expected if expected else np.zeros(len(n))
        base = self.values[resting]
        is_base = np.isfinite(base)
        n_base = is_base.sum(axis=0)
        due = self._expected(resting, BASELINE_S)
        baseline = _means(base, is_base, n_base)
        baseline[n_base < MIN_MEASURED_FRACTION * due] = np.nan
        peak = _percentiles(self.smoothed[within], PEAK_PERCENTILE)
        active = _means((values >= ACTIVE).astype(np.float64), known, n)
        area = np.where(known, values, 0.0).sum(axis=0) * (self.step_s if self.step_s > 0 else 0.0)
        area = np.where(coverage >= MIN_MEASURED_FRACTION, area, np.nan)
        row: dict[str, Any] = {}
        for i, au in enumerate(self.names):
            if au[-1] in "LR" and not sides:
                continue
            row[f"{au}_mean"] = float(mean[i])
            row[f"{au}_peak"] = float(peak[i])
            row[f"{au}_change_mean"] = float(mean[i] - baseline[i])
            if au[-1] in "LR":
                continue
            row[f"{au}_mean_se"] = float(error[i])
            row[f"{au}_coverage"] = float(coverage[i])
            row[f"{au}_baseline"] = float(baseline[i])
            row[f"{au}_change_peak"] = float(peak[i] - baseline[i])
            row[f"{au}_area"] = float(area[i])
            row[f"{au}_active_fraction"] = float(active[i])
            row[f"{au}_latency_s"] = self._latency(au, *when)
        return row

    def _latency(self, au: str, start_s: float, stop_s: float, onset_s: float) -> float:
        onsets = self.events.get(au)
        if onsets is None or not len(onsets):
            return np.nan
        first = int(np.searchsorted(onsets[:, 0], start_s, side="left"))
        inside = first < len(onsets) and onsets[first, 0] < stop_s
        return float(onsets[first, 1] - onset_s) if inside else np.nan

    def _expression(self, within: slice, resting: slice, *, has_baseline: bool) -> dict[str, Any]:
        row: dict[str, Any] = {}
        labels = self.labels[within]
        assessed = labels[labels >= 0]
        for i, name in enumerate(LABELS):
            share = float(np.mean(assessed == i)) if len(assessed) else np.nan
            row[f"expr_{name}_fraction"] = share
        for name, series in (("valence", self.valence), ("arousal", self.arousal)):
            column = series[within][:, None]
            known = np.isfinite(column)
            mean = float(_means(column, known, known.sum(axis=0))[0])
            row[f"expr_{name}_mean"] = mean
            row[f"expr_{name}_mean_se"] = float(standard_errors(column)[0])
            before = series[resting]
            before = before[np.isfinite(before)]
            rest = float(before.mean()) if has_baseline and len(before) else np.nan
            row[f"expr_{name}_change_mean"] = mean - rest
        return row


def standard_errors(values: FloatArray) -> FloatArray:
    """Return the standard error of the mean of each column of a series of frames.

    Neighbouring frames are alike, so that n frames are fewer independent ones: n (1 - r) / (1 + r) of a
    first-order autoregression with the correlation r of neighbours (Bayley & Hammersley 1946, Supplement
    to the Journal of the Royal Statistical Society 8), r not below 0.

    Parameters
    ----------
    values : (n, m) float64
        NaN where not measured.

    Returns
    -------
    (m,) float64
        NaN for fewer than 8 measured frames.
    """
    known = np.isfinite(values)
    n = known.sum(axis=0)
    mean = _means(values, known, n)
    apart = np.where(known, values - mean, 0.0)
    square = (apart**2).sum(axis=0)
    pairs = (apart[1:] * apart[:-1]).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = np.where(square > 0, pairs / square, 0.0)
        alike = np.clip(alike, 0.0, 1.0 - 1.0 / np.maximum(n, 1))
        effective = np.maximum(n * (1 - alike) / (1 + alike), 1.0)
        error = np.sqrt(square / np.maximum(n - 1, 1) / effective)
    return np.where(n >= MIN_FOR_ERROR, error, np.nan)


def _is_intensity(column: str) -> bool:
    return column.startswith("AU") and column.endswith("_r")


def _event_onsets(
    result: FaceResult, names: tuple[str, ...], *, leave_out_speech: bool
) -> dict[str, FloatArray]:
    """Return for each unit when its events are first seen, and when they began: (n, 2), in order.

    The second is NaN for an event that was under way when measurement began.
    """
    if result.dynamics is None or not len(result.dynamics.events):
        return {}
    events: pd.DataFrame = result.dynamics.events
    found = {}
    for au in names:
        own = events[events["au"] == au]
        if leave_out_speech and is_lower_face(au):
            own = own[~own["in_speech"].astype(bool)]
        own = own.sort_values("onset_s")
        found[au] = np.column_stack([own["onset_s"], beginnings_s(own)]).astype(np.float64)
    return found


def _burst_onsets(result: FaceResult) -> FloatArray | None:
    if result.dynamics is None or "microexpressions" in result.dynamics.not_measured:
        return None
    return np.sort(result.dynamics.microexpressions["onset"].to_numpy(np.float64))


def _share(true: BoolArray, n_expected: int) -> float:
    return float(true.sum()) / n_expected if n_expected else 0.0


def _means(values: FloatArray, known: BoolArray, n: FloatArray) -> FloatArray:
    """Return the mean of the known values of each column; NaN where there is none."""
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _percentiles(values: FloatArray, percentile: float) -> FloatArray:
    """Return a percentile of each column, between the ranks, clipped to 0 to 5; NaN is passed over."""
    if not len(values):
        return np.full(values.shape[1], np.nan)
    ranked = np.sort(values, axis=0)  # NaN last
    n = np.isfinite(values).sum(axis=0)
    place = np.maximum(n - 1, 0) * percentile / 100.0
    low = np.floor(place).astype(np.intp)
    high = np.minimum(low + 1, np.maximum(n - 1, 0))
    columns = np.arange(values.shape[1])
    lower, upper = ranked[low, columns], ranked[high, columns]
    return np.clip(np.where(n > 0, lower + (place - low) * (upper - lower), np.nan), 0.0, 5.0)
