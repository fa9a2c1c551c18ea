"""From a device's own clock to LSL's, where samples come in bursts and later than they were taken."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

BIN_S = 0.25
WINDOW_S = 30.0
RECENT_BINS = 4
"""Before a rate is known, the shortest delay of the last second counts."""
LEAST_SPAN_S = 2.0
"""A rate is estimated once so much has been seen; before, the device's own is believed."""
MOST_DRIFT = 0.02
"""Clocks that differ by more than 2 % are not taken for clocks (ceramic resonators are good to 0.5 %)."""
JUMP_S = 0.25
"""A sample that comes so much earlier or later than it should begins a new count: samples were lost."""


class DeviceClock:
    """Maps device times to LSL times through the samples that came with the least delay.

    A sample can arrive late but not early, so that the lower edge of arrival minus device time is the
    offset of the clocks plus the shortest delay of the transport. That edge is found in bins of
    0.25 s and a line is fitted through it over the last 30 s, which follows the drift of the device.
    The times given out never go back.

    Parameters
    ----------
    first_device_s, first_arrival_s : float
        Device time of the first sample and the LSL time at which it came, in seconds.
    after_s : float, optional
        No time that is given out is earlier than this.

    Attributes
    ----------
    n_jumps : int
        How often the count began anew, because samples had been lost or the device had stood still.
    """

    def __init__(
        self, first_device_s: float, first_arrival_s: float, *, after_s: float = -math.inf
    ) -> None:
        self.n_jumps = 0
        self._last_s = after_s
        self._begin(first_device_s, first_arrival_s)

    @property
    def rate_ratio(self) -> float:
        """Seconds of LSL per second of the device; 1 until 2 s have been seen."""
        return self._slope

    def map(self, device_s: npt.NDArray[np.float64], arrival_s: float) -> npt.NDArray[np.float64]:
        """Return the LSL times of samples that came together.

        Parameters
        ----------
        device_s : array of float, shape (n,)
            Device time of each sample in seconds, rising.
        arrival_s : float
            LSL time at which they had come, in seconds.

        Returns
        -------
        array of float, shape (n,)
            LSL times in seconds, rising.
        """
        newest = float(device_s[-1])
        self._note(newest, arrival_s)
        times = self._origin_s + self._offset_s + self._slope * (device_s - self._origin_s)
        return self._rising(times)

    def _begin(self, device_s: float, arrival_s: float) -> None:
        self._origin_s = device_s
        self._offset_s = arrival_s - device_s
        self._slope = 1.0
        self._bins: deque[tuple[float, float]] = deque()
        self._bin_begins_s = device_s

    def _note(self, device_s: float, arrival_s: float) -> None:
        expected_s = self._origin_s + self._offset_s + self._slope * (device_s - self._origin_s)
        if arrival_s - expected_s > JUMP_S or expected_s - arrival_s > JUMP_S:
            self.n_jumps += 1
            self._begin(device_s, arrival_s)
        delay_s = arrival_s - device_s
        if not self._bins or device_s - self._bin_begins_s >= BIN_S:
            self._fit()
            self._bins.append((device_s, delay_s))
            self._bin_begins_s = device_s
            while self._bins[-1][0] - self._bins[0][0] > WINDOW_S:
                self._bins.popleft()
        elif delay_s < self._bins[-1][1]:
            self._bins[-1] = (device_s, delay_s)
        if self._slope == 1.0:
            self._offset_s = min(delay for _, delay in list(self._bins)[-RECENT_BINS:])

    def _fit(self) -> None:
        """Fit the lower edge of the bins that are complete."""
        if len(self._bins) < 3 or self._bins[-1][0] - self._bins[0][0] < LEAST_SPAN_S:
            return
        x, y = np.array(self._bins).T
        middle = float(x.mean())
        slope = 0.0
        for _ in range(3):  # a bin without any prompt sample lies above the line: leave it out
            slope, height = np.polyfit(x - middle, y, 1)
            off = y - (slope * (x - middle) + height)
            keep = off <= np.quantile(off, 0.75)
            if keep.sum() < 3:
                break
            x, y = x[keep], y[keep]
        if abs(slope) > MOST_DRIFT:
            return
        self._slope = 1.0 + slope
        self._offset_s = float(height + slope * (self._origin_s - middle))

    def _rising(self, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Let a correction backwards shorten the steps instead of turning time round."""
        if times[0] <= self._last_s:
            end_s = max(float(times[-1]), self._last_s + 1e-6 * len(times))
            times = np.linspace(self._last_s, end_s, len(times) + 1)[1:]
        self._last_s = float(times[-1])
        return times
