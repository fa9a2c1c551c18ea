"""Pulses in a curve: peaks that stand out from what is around them, and when they begin and end."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.peak_finding import find_peaks, peak_ends
from duchenne.analysis.face.smoothing import run_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duchenne.analysis.face.frames import BoolArray, FloatArray


@dataclass(frozen=True)
class Pulses:
    """Peaks of one curve, in the order of time; (k,) each.

    Parameters
    ----------
    apex : int64
        Frame of the peak.
    onset_s, offset_s : float64
        When the curve crosses the level asked for before and after the peak, between frames.
    height, prominence : float64
        Value at the peak, and how far it rises above the higher of the two valleys beside it.
    """

    apex: np.ndarray[tuple[int], np.dtype[np.int64]]
    onset_s: FloatArray
    offset_s: FloatArray
    height: FloatArray
    prominence: FloatArray

    def __len__(self) -> int:
        return len(self.apex)

    @property
    def duration_s(self) -> FloatArray:
        """Return the time from onset to offset."""
        return np.asarray(self.offset_s - self.onset_s, np.float64)

    def chosen(self, keep: BoolArray) -> Pulses:
        """Return some of the pulses."""
        return Pulses(*(getattr(self, f.name)[keep] for f in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Pulses]) -> Pulses:
        """Return the pulses of consecutive stretches as one."""
        if not parts:
            none = np.zeros(0)
            return cls(np.zeros(0, np.int64), none, none, none, none)
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def runs(
    times_s: FloatArray, values: FloatArray, step_s: float, bridge_s: float
) -> Iterator[slice]:
    """Yield the stretches of measured frames without a gap; see :func:`run_numbers`."""
    number = run_numbers(times_s, np.isfinite(values), step_s, bridge_s)
    known = np.flatnonzero(np.isfinite(number))
    if not len(known):
        return
    for part in np.split(known, np.flatnonzero(np.diff(number[known])) + 1):
        yield slice(int(part[0]), int(part[-1]) + 1)


def find_pulses(
    times_s: FloatArray,
    values: FloatArray,
    step_s: float,
    *,
    prominence: float,
    level: float,
    within_s: float,
    bridge_s: float = 0.0,
) -> Pulses:
    """Return the peaks that rise above both sides by at least so much.

    Parameters
    ----------
    times_s, values : (n,) float64
        NaN where not measured; peaks are looked for in each stretch without NaN or gap by itself.
    step_s : float
        Median step of the recording.
    prominence : float
        Least rise above the higher of the two valleys beside the peak.
    level : float
        Share of the prominence, 0 to 1, at which onset and offset are taken.
    within_s : float
        Valleys are looked for within half of this time on each side.
    bridge_s : float
        See :func:`run_numbers`.
    """
    found = []
    wlen = max(3, round(within_s / step_s)) if step_s > 0 else 3
    for run in runs(times_s, values, step_s, bridge_s):
        t, y = times_s[run], values[run]
        if len(y) < 3:
            continue
        apex, kept = find_peaks(y, prominence=prominence, wlen=wlen)
        if not len(apex):
            continue
        left, right = peak_ends(y, apex, rel_height=1 - level, prominence_data=kept)
        place = np.arange(len(t))
        found.append(
            Pulses(
                apex=np.asarray(apex + run.start, np.int64),
                onset_s=np.interp(left, place, t),
                offset_s=np.interp(right, place, t),
                height=y[apex],
                prominence=np.asarray(kept[0], np.float64),
            )
        )
    return Pulses.joined(found)
