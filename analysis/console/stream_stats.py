"""What is known of a stream while it runs: rate, age, gaps, jitter, clock, and whether its values change.

Everything here is arithmetic on what has arrived; where it came from, a journal or the network, does not
matter.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.gaps import COUNTERS, DEVICE_TIME, GAP_FACTOR, period_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from duchenne.recorder.streams import StreamInfo

RATE_WINDOW_S = 5.0
KEPT_INTERVALS = 400
LATENESS_BASE_S = 10.0
OFFSET_WINDOW_S = 120.0
MIN_DRIFT_SPAN_S = 20.0
MIN_OFFSETS = 5
NO_VALUES = (*COUNTERS, DEVICE_TIME, "local_time", "system_time", "timestamp")
"""Channels that go on counting where a device has frozen."""
NO_VALUE_UNITS = ("bool",)
NAN = float("nan")


@dataclass
class StreamStats:
    """The course of one stream.

    Parameters
    ----------
    nominal_hz : float
        Declared rate; 0 for an irregular stream.

    Attributes
    ----------
    n : int
        Samples so far.
    lost, gaps : int
        Samples that would fit into the gaps, and how many gaps there were.
    longest_gap_s : float
        The longest of them.
    last_received_s : float
        When the newest samples arrived, on the recorder's LSL clock; NaN before the first.
    """

    nominal_hz: float
    n: int = 0
    lost: int = 0
    gaps: int = 0
    longest_gap_s: float = 0.0
    last_received_s: float = NAN
    _last_stamp_s: float = NAN
    _first_received_s: float = NAN
    _window: deque[tuple[float, int, float, float]] = field(default_factory=deque)
    _intervals: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_INTERVALS))
    _offsets: deque[tuple[float, float]] = field(default_factory=deque)
    _base_lag_s: float = NAN
    _lags: deque[tuple[float, float]] = field(default_factory=deque)

    def add(self, stamps_s: npt.NDArray[np.float64], received_s: float) -> None:
        """Take in samples that arrived together.

        Parameters
        ----------
        stamps_s : ndarray, shape (n,)
            As received, seconds on the sender's clock.
        received_s : float
            When they were drained, seconds on the recorder's clock.
        """
        stamps = stamps_s[np.isfinite(stamps_s)]
        self.n += len(stamps_s)
        if not len(stamps):
            return
        self._first_received_s = (
            received_s if np.isnan(self._first_received_s) else self._first_received_s
        )
        self.last_received_s = received_s
        if self.nominal_hz > 0:
            self._measure_steps(stamps)
        self._last_stamp_s = float(stamps[-1])
        self._window.append((received_s, len(stamps), float(stamps[0]), float(stamps[-1])))
        while self._window[0][0] < received_s - RATE_WINDOW_S:
            self._window.popleft()
        self._measure_lag(received_s - float(stamps[-1]) - self.offset_s, received_s)

    def add_offset(self, time_s: float, offset_s: float) -> None:
        """Take in a measurement of the sender's clock; both in seconds."""
        self._offsets.append((time_s, offset_s))
        while self._offsets[0][0] < time_s - OFFSET_WINDOW_S:
            self._offsets.popleft()

    def age_s(self, now_s: float) -> float:
        """Return how long ago something arrived; NaN before the first sample."""
        return float(np.maximum(now_s - self.last_received_s, 0.0))

    def rate_hz(self, window_s: float = RATE_WINDOW_S) -> float:
        """Return the rate of the last seconds of samples; NaN for an irregular stream or too few."""
        if self.nominal_hz <= 0 or not self._window:
            return NAN
        since_s = self._window[-1][0] - window_s
        rows = [row for row in self._window if row[0] >= since_s]
        n, span_s = sum(row[1] for row in rows), rows[-1][3] - rows[0][2]
        return (n - 1) / span_s if n > 2 and span_s > 0 else NAN

    @property
    def observed_s(self) -> float:
        """For how long samples have been arriving, seconds."""
        span_s = self.last_received_s - self._first_received_s
        return 0.0 if np.isnan(span_s) else span_s

    @property
    def jitter_ms(self) -> float:
        """Median absolute deviation of the intervals between the last stamps."""
        if len(self._intervals) < 10:
            return NAN
        steps = np.array(self._intervals)
        return float(np.median(np.abs(steps - np.median(steps))) * 1e3)

    @property
    def offset_s(self) -> float:
        """The newest clock offset; 0 before the first measurement."""
        return self._offsets[-1][1] if self._offsets else 0.0

    @property
    def n_offsets(self) -> int:
        """How many measurements of the clock the last two minutes brought."""
        return len(self._offsets)

    @property
    def drift_ppm(self) -> float:
        """Drift of the sender's clock over the last two minutes; NaN before it can be told."""
        if len(self._offsets) < MIN_OFFSETS:
            return NAN
        times, offsets = np.array(self._offsets).T
        if times[-1] - times[0] < MIN_DRIFT_SPAN_S:
            return NAN
        return float(np.polyfit(times - times[0], offsets, 1)[0] * 1e6)

    @property
    def offset_spread_ms(self) -> float:
        """Half the range of the last five measured offsets; NaN before two."""
        last = [offset for _, offset in self._offsets][-5:]
        return (max(last) - min(last)) / 2 * 1e3 if len(last) > 1 else NAN

    @property
    def late_s(self) -> float:
        """How much later samples arrive now than in the first ten seconds; NaN before those are over."""
        if self.observed_s < LATENESS_BASE_S or not self._lags:
            return NAN
        return min(lag for _, lag in self._lags) - self._base_lag_s

    def _measure_steps(self, stamps: npt.NDArray[np.float64]) -> None:
        before = [] if np.isnan(self._last_stamp_s) else [self._last_stamp_s]
        steps = np.diff(np.concatenate([before, stamps]))
        usual_s = float(np.median(self._intervals)) if self._intervals else 0.0
        period_s = period_of(usual_s, self.nominal_hz)
        long = steps[steps > GAP_FACTOR * period_s]
        self.gaps += len(long)
        self.lost += int(np.sum(np.maximum(np.round(long / period_s) - 1, 0)))
        self.longest_gap_s = max([self.longest_gap_s, *long.tolist()])
        self._intervals.extend(steps[steps <= GAP_FACTOR * period_s].tolist())

    def _measure_lag(self, lag_s: float, received_s: float) -> None:
        if self.observed_s <= LATENESS_BASE_S:
            self._base_lag_s = float(np.nanmin([self._base_lag_s, lag_s]))
        self._lags.append((received_s, lag_s))
        while self._lags[0][0] < received_s - 1.0:
            self._lags.popleft()


@dataclass
class ChangeWatch:
    """Whether the values of a stream change.

    Attributes
    ----------
    same_s : float
        For how long they have been the same.
    n_same : int
        For how many looks.
    """

    same_s: float = 0.0
    n_same: int = 0
    _last: bytes | None = None
    _since_s: float = NAN

    def see(self, values: bytes, at_s: float) -> None:
        """Look at the values once more.

        Parameters
        ----------
        values : bytes
            Equal bytes for equal values.
        at_s : float
            When they were, seconds on any clock that goes forward.
        """
        if values != self._last:
            self._last, self._since_s, self.n_same = values, at_s, 0
        self.n_same += 1
        self.same_s = at_s - self._since_s


def telling_channels(info: StreamInfo) -> list[int]:
    """Return the channels whose values tell that a device is alive: no counters, times or flags."""
    return [
        index
        for index, channel in enumerate(info.channels)
        if channel.label.lower() not in NO_VALUES
        and channel.unit.lower() not in NO_VALUE_UNITS
        and not channel.label.lower().endswith("_valid")
    ]


def signature(samples: npt.NDArray[Any], channels: Sequence[int]) -> bytes | None:
    """Return bytes that stand for the values of samples; None where they hold no values (all NaN).

    Parameters
    ----------
    samples : ndarray, shape (n, channels)
    channels : sequence of int
        Those to look at.
    """
    values = np.asarray(samples)[:, list(channels)]
    if values.dtype.kind == "f" and not np.isfinite(values).any():
        return None
    first = values[0]
    is_constant = all(row.tobytes() == first.tobytes() for row in values)
    return first.tobytes() if is_constant else values.tobytes()
