"""Count what the stamps of a stream show, block by block, so that memory stays small however long it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from duchenne.recorder.gaps import GAP_FACTOR, Gap, find_gaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

NAN = float("nan")
N_PROBED = 1000
"""So many samples of each block are compared with the measurements of the clock."""


@dataclass
class Tally:
    """What was counted so far.

    Parameters
    ----------
    period_s : float
        Interval of a regular stream, seconds; NaN: irregular.
    starts : sequence of int
        Index of the first sample of each appearance.

    Attributes
    ----------
    n, n_finite : int
        Samples; those whose stamp is a number.
    low_s, high_s : float
        Earliest and latest time.
    n_backwards, n_duplicates : int
    gaps : list of Gap
    spans : list of (float, float)
        Times of the first and the last sample of each appearance; NaN without samples.
    delays_s : list of ndarray
        From the last stamp of each chunk, on the recorder's clock, to its arrival.
    """

    period_s: float
    starts: Sequence[int]
    n: int = 0
    n_finite: int = 0
    low_s: float = np.inf
    high_s: float = -np.inf
    n_backwards: int = 0
    n_duplicates: int = 0
    gaps: list[Gap] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    delays_s: list[Floats] = field(default_factory=list)
    _n_within: int = 0
    _within_s: float = 0.0
    _jitters_s: list[float] = field(default_factory=list)
    _probed_s: list[Floats] = field(default_factory=list)
    _last: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((3, 0)))

    def __post_init__(self) -> None:
        self.spans = [(NAN, NAN)] * len(self.starts)

    def add(self, stamps: Floats, corrected: Floats, times_s: Floats) -> None:
        """Take in the next block: stamps, the same on the recorder's clock, and the times derived of them."""
        begin, self.n = self.n, self.n + len(stamps)
        finite = np.isfinite(stamps)
        self.n_finite += int(finite.sum())
        usable = finite & np.isfinite(times_s)
        own = times_s[usable]
        if not len(own):
            return
        self.low_s = min(self.low_s, float(own.min()))
        self.high_s = max(self.high_s, float(own.max()))
        self._probed_s.append(own[:: max(len(own) // N_PROBED, 1)])
        self._extend_spans(times_s, usable, begin)
        n_before = self._last.shape[1]
        places = np.cumsum(usable) - usable + n_before
        again = [int(places[i - begin]) for i in self.starts if begin <= i < self.n]
        joined = np.concatenate(
            [self._last, np.array([stamps[usable], corrected[usable], own])], axis=1
        )
        self._count_steps(joined[0], joined[1], joined[2], again)
        self._last = joined[:, -1:]

    def add_arrivals(self, corrected_s: Floats, received_s: Floats) -> None:
        """Take in the last stamps of some chunks, on the recorder's clock, and when these arrived."""
        known = (received_s > 0) & np.isfinite(corrected_s)
        self.delays_s.append(received_s[known] - corrected_s[known])

    def _extend_spans(self, times_s: Floats, usable: npt.NDArray[np.bool_], begin: int) -> None:
        for number, start in enumerate(self.starts):
            stop = self.starts[number + 1] if number + 1 < len(self.starts) else self.n
            low, high = max(start, begin) - begin, min(stop, self.n) - begin
            if low >= high:
                continue
            own = times_s[low:high][usable[low:high]]
            if len(own):
                first_s = self.spans[number][0]
                first_s = float(own[0]) if np.isnan(first_s) else first_s
                self.spans[number] = (first_s, float(own[-1]))

    def _count_steps(
        self, stamps: Floats, corrected: Floats, times_s: Floats, again: Sequence[int]
    ) -> None:
        steps = np.diff(corrected)
        self.n_backwards += int(np.sum(steps < 0))
        self.gaps += find_gaps(times_s, self.period_s, again)
        if not (np.isfinite(self.period_s) and steps.size):
            return
        derived = np.diff(times_s)
        within = derived[derived <= GAP_FACTOR * self.period_s]
        self._n_within += within.size
        self._within_s += float(within.sum())
        self._jitters_s.append(float(np.median(np.abs(steps - np.median(steps)))))
        self.n_duplicates += int(np.sum(np.diff(stamps) == 0))

    @property
    def rate_hz(self) -> float:
        """Mean rate between gaps; NaN for an irregular stream."""
        return self._n_within / self._within_s if self._within_s > 0 else NAN

    @property
    def jitter_s(self) -> float:
        """Median absolute deviation of the intervals; of a long stream the median over its blocks."""
        return float(np.median(self._jitters_s)) if self._jitters_s else NAN

    def farthest_from(self, measured_s: Floats) -> float:
        """Return how far the sample that is farthest from any measurement is from it, seconds; NaN: none."""
        if not len(measured_s) or not self._probed_s:
            return NAN
        times = np.concatenate([*self._probed_s, self._last[2]])
        known = np.sort(measured_s)
        at = np.searchsorted(known, times)
        before = np.abs(times - known[np.maximum(at - 1, 0)])
        after = np.abs(known[np.minimum(at, len(known) - 1)] - times)
        return float(np.minimum(before, after).max())
