"""Onset, apex and offset of each Action Unit's events, from its intensity over time.

Curves are smoothed by a local parabola first (:class:`~duchenne.analysis.face.smoothing.Smoothing`).
An event is a stretch above intensity 0.5 that reaches 1 (FACS level A). Onset and offset lie where
the curve crosses a tenth of the peak, and at least 0.25, between frames; the apex is the first time at
95 % of the peak, which on a plateau is its beginning (the ends of a held expression are what FACS calls
onset and offset phase: Ekman, Friesen & Hager 2002).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from duchenne.analysis.face.peaks import runs
from duchenne.analysis.face.smoothing import (
    DEFAULT_SMOOTHING,
    Smoothing,
    local_fit,
    median_step_s,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from duchenne.analysis.face.frames import FloatArray

COLUMNS = (
    "au", "onset_s", "apex_s", "offset_s", "rise_time_s", "duration_s", "peak", "area",
    "onset_speed_per_s", "complete",
)  # fmt: skip

MAX_INTENSITY = 5.0


@dataclass(frozen=True)
class EventRule:
    """What counts as an event.

    Parameters
    ----------
    min_peak : float
        Least intensity of the peak.
    floor : float
        An event ends where the intensity falls to this.
    edge_share, min_edge : float
        Onset and offset lie at this share of the peak, and at least at this intensity.
    apex_share : float
        The apex is the first time at this share of the peak.
    min_valley : float
        Two peaks are two events where the valley between them is this much below the lower one, and
        below half of it.
    min_duration_s : float
        Shorter events are noise.
    """

    min_peak: float = 1.0
    floor: float = 0.5
    edge_share: float = 0.1
    min_edge: float = 0.25
    apex_share: float = 0.95
    min_valley: float = 0.75
    min_duration_s: float = 0.1

    def to_dict(self) -> dict[str, Any]:
        """Return what is written beside the results."""
        return asdict(self)


DEFAULT_RULE = EventRule()


def au_events(
    table: pd.DataFrame,
    aus: Iterable[str],
    *,
    smoothing: Smoothing = DEFAULT_SMOOTHING,
    rule: EventRule = DEFAULT_RULE,
) -> pd.DataFrame:
    """Return the events of several Action Units in the order of their onsets.

    Parameters
    ----------
    table : pandas.DataFrame
        ``time`` (s) and ``AUxx_r`` (0 to 5, NaN where not measured), one row per frame.
    aus : iterable of str
        Such as ``AU12``; those without a column are passed over.
    smoothing, rule
        How curves are smoothed, and what an event is.

    Returns
    -------
    pandas.DataFrame
        ``au onset_s apex_s offset_s rise_time_s duration_s peak area onset_speed_per_s complete``.
        Area is the integral of the smoothed intensity from onset to offset (intensity × s); the onset
        speed is the steepest rise between onset and apex (intensity per s). ``complete`` is False where
        the event was under way when measurement began or ended (also at a gap): then its onset or
        offset is that of what was seen, and times that rest on the end that was not seen are NaN.
    """
    times_s = table["time"].to_numpy(np.float64)
    step_s = median_step_s(times_s)
    rows: list[dict[str, Any]] = []
    for au in aus:
        if f"{au}_r" not in table.columns:
            continue
        values = table[f"{au}_r"].to_numpy(np.float64)
        found = curve_events(times_s, values, step_s, smoothing=smoothing, rule=rule)
        rows.extend({"au": au} | event for event in found)
    rows.sort(key=lambda row: (row["onset_s"], row["au"]))
    made = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = [name for name in COLUMNS if name not in ("au", "complete")]
    return made.astype({**dict.fromkeys(numbers, "float64"), "complete": "bool", "au": "object"})


def beginnings_s(events: pd.DataFrame) -> pd.Series[float]:
    """Return when :func:`au_events` began: NaN where one was under way when measurement began."""
    return events["onset_s"].where(events["rise_time_s"].notna())


def curve_events(
    times_s: FloatArray,
    values: FloatArray,
    step_s: float | None = None,
    *,
    smoothing: Smoothing = DEFAULT_SMOOTHING,
    rule: EventRule = DEFAULT_RULE,
) -> list[dict[str, Any]]:
    """Return the events of one curve, in the order of its stretches without gaps.

    Parameters
    ----------
    times_s, values : (n,) float64
        Times in seconds, and intensities, NaN where not measured.
    step_s : float, optional
        Median step of the recording; of the times where absent.
    smoothing, rule
        How curves are smoothed, and what an event is.

    Returns
    -------
    list of dict
        The columns of :func:`au_events` without ``au``.
    """
    step_s = median_step_s(times_s) if step_s is None else step_s
    fit = local_fit(times_s, values, step_s, smoothing)
    smoothed = np.clip(fit.value, 0.0, MAX_INTENSITY)
    found: list[dict[str, Any]] = []
    for run in runs(times_s, smoothed, step_s, smoothing.bridge_s):
        curve = _Curve(times_s[run], smoothed[run], fit.slope_per_s[run])
        found.extend(_events(curve, rule))
    return found


class _Curve(NamedTuple):
    """One stretch without gaps: times, smoothed intensity, its slope per second."""

    t: FloatArray
    y: FloatArray
    slope: FloatArray


def _events(curve: _Curve, rule: EventRule) -> Iterator[dict[str, Any]]:
    """Yield the events of one stretch without gaps."""
    y = curve.y
    above = np.concatenate([[False], y > rule.floor, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(above))
    peaks: list[int] = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        cuts = _valleys(y, start, stop, rule)
        for first, until in zip([start, *cuts], [*cuts, stop], strict=True):
            peak = first + int(np.argmax(y[first:until]))
            if y[peak] >= rule.min_peak:
                peaks.append(peak)
    # An event ends at the lowest point before the next one, if not earlier.
    between = [left + int(np.argmin(y[left:right])) for left, right in pairwise(peaks)]
    bounds = [0, *between, len(y) - 1]
    for i, peak in enumerate(peaks):
        event = _event(curve, peak, (bounds[i], bounds[i + 1]), rule)
        if event["offset_s"] - event["onset_s"] >= rule.min_duration_s:
            yield event


def _valleys(y: FloatArray, start: int, stop: int, rule: EventRule) -> list[int]:
    """Return the frames at which a stretch above the floor falls apart into several events."""
    cuts: list[int] = []
    peak, valley = start, start
    for i in range(start, stop):
        if y[i] < y[valley]:
            valley = i
        lower = min(y[peak], y[i])
        if valley > peak and lower - y[valley] >= rule.min_valley and y[valley] < lower / 2:
            cuts.append(valley)
            peak = valley = i
        elif y[i] > y[peak]:
            peak = valley = i
    return cuts


def _event(curve: _Curve, peak: int, bounds: tuple[int, int], rule: EventRule) -> dict[str, Any]:
    t, y, slope = curve
    height = float(y[peak])
    edge = max(rule.min_edge, rule.edge_share * height)
    onset_s, first, begun = _crossing(t, y, peak, bounds[0], edge)
    offset_s, last, ended = _crossing(t, y, peak, bounds[1], edge)
    apex = first + int(np.argmax(y[first : peak + 1] >= rule.apex_share * height))
    apex_s = _between(t, y, apex, rule.apex_share * height) if apex > first else float(t[apex])
    rise = slope[first : apex + 1]
    known = rise[np.isfinite(rise)]
    return {
        "onset_s": onset_s,
        "apex_s": apex_s,
        "offset_s": offset_s,
        "rise_time_s": apex_s - onset_s if begun else np.nan,
        "duration_s": offset_s - onset_s if begun and ended else np.nan,
        "peak": height,
        "area": _area(t[first : last + 1], y[first : last + 1]),
        "onset_speed_per_s": float(known.max()) if begun and len(known) else np.nan,
        "complete": begun and ended,
    }


def _crossing(
    t: FloatArray, y: FloatArray, peak: int, bound: int, edge: float
) -> tuple[float, int, bool]:
    """Go from the peak towards a bound; return time and frame of the edge, and whether it was seen.

    A valley towards the neighbouring event counts as seen; the end of the stretch does not.
    """
    step = -1 if bound < peak else 1
    i = peak
    while i != bound and y[i + step] > edge:
        i += step
    if i == bound:
        is_end = bound in (0, len(y) - 1)
        return float(t[i]), i, not (is_end and y[i] > edge)
    share = (y[i] - edge) / (y[i] - y[i + step])
    return float(t[i] + share * (t[i + step] - t[i])), i, True


def _between(t: FloatArray, y: FloatArray, i: int, level: float) -> float:
    """Return when the curve crosses a level between frame i - 1 and frame i."""
    rise = y[i] - y[i - 1]
    share = (level - y[i - 1]) / rise if rise > 0 else 1.0
    return float(t[i - 1] + np.clip(share, 0.0, 1.0) * (t[i] - t[i - 1]))


def _area(t: FloatArray, y: FloatArray) -> float:
    return float(np.sum((y[1:] + y[:-1]) / 2 * np.diff(t)))
