"""Other clocks against LSL's: paired readings, the offset they allow, and how sure it is.

A device that stamps with a clock of its own (the eye tracker, its driver, another program's timer) is
placed on LSL's clock by reading both clocks in one breath. Between the two LSL readings around a
reading of the other clock lies the truth, so the narrowest of a few tries bounds the error.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pylsl

if TYPE_CHECKING:
    from collections.abc import Callable

TRIES = 10
SLEW_PPM = 500.0
"""Two clocks of one computer may drift apart by this much (a system clock that is being disciplined)
before the difference counts as a jump."""
DEVICE_DRIFT_PPM = 200.0
"""A device's own oscillator is within this of the computer's; usual ones are within 50."""
FIT_WINDOW_S = 120.0
FIT_FROM_S = 10.0
"""A drift is fitted once the readings span so much time."""
WIDE = 2.0
"""Readings whose round trip is longer than this many times the shortest do not enter the fit."""


@dataclass(frozen=True)
class Pair:
    """One paired reading.

    Attributes
    ----------
    other_s : float
        What the other clock said, in seconds.
    offset_s : float
        LSL time minus the other clock's.
    half_width_s : float
        The true offset lies within ± so much.
    """

    other_s: float
    offset_s: float
    half_width_s: float


def read_pair(
    read_other_s: Callable[[], float],
    tries: int = TRIES,
    read_lsl_s: Callable[[], float] = pylsl.local_clock,
) -> Pair:
    """Read two clocks together a few times and return the tightest reading.

    Parameters
    ----------
    read_other_s : callable
        Returns the other clock's time in seconds.
    tries : int
    read_lsl_s : callable
        Returns LSL's time in seconds.
    """
    best: Pair | None = None
    for _ in range(max(tries, 1)):
        before_s = read_lsl_s()
        other_s = read_other_s()
        after_s = read_lsl_s()
        half_s = (after_s - before_s) / 2
        if best is None or half_s < best.half_width_s:
            best = Pair(other_s, before_s + half_s - other_s, half_s)
    if best is None:
        raise RuntimeError("no reading was taken")
    return best


class ClockMap:
    """The running map from another clock of this computer to LSL's.

    The offset is held while new readings agree with it, so that two clocks of one oscillator do not
    jitter against each other; it follows a slow drift, and a step is told.

    Parameters
    ----------
    first : Pair

    Attributes
    ----------
    offset_s, uncertainty_s : float
        LSL time minus the other clock's, and the bound of its error.
    n_jumps : int
    """

    def __init__(self, first: Pair) -> None:
        self.offset_s = first.offset_s
        self.uncertainty_s = first.half_width_s
        self.n_jumps = 0
        self._read_at_s = first.other_s

    def to_lsl_s(self, other_s: float) -> float:
        """Return the LSL time of a moment on the other clock."""
        return other_s + self.offset_s

    def update(self, pair: Pair) -> float:
        """Take a new reading in.

        Returns
        -------
        float
            The jump in seconds, new offset minus old; 0 where there was none.
        """
        change_s = pair.offset_s - self.offset_s
        since_s = max(pair.other_s - self._read_at_s, 0.0)
        unsure_s = pair.half_width_s + self.uncertainty_s
        self._read_at_s = pair.other_s
        if abs(change_s) <= unsure_s:
            if pair.half_width_s < self.uncertainty_s:
                self.offset_s, self.uncertainty_s = pair.offset_s, pair.half_width_s
            return 0.0
        self.offset_s, self.uncertainty_s = pair.offset_s, pair.half_width_s
        if abs(change_s) <= unsure_s + SLEW_PPM * 1e-6 * since_s:
            return 0.0
        self.n_jumps += 1
        return change_s


@dataclass(frozen=True)
class DeviceFit:
    """Where a device's clock stands against the computer's.

    Attributes
    ----------
    offset_s : float
        Computer minus device, at `at_s`.
    drift_ppm : float
        Change of the offset per second; NaN before it can be told.
    uncertainty_s : float
        Half of the shortest round trip in the window, plus the scatter of the readings around the fit.
    at_s : float
        Device time for which `offset_s` holds.
    """

    offset_s: float
    drift_ppm: float
    uncertainty_s: float
    at_s: float

    def to_system_s(self, device_s: float) -> float:
        """Return the computer's time of a moment on the device's clock."""
        drift = 0.0 if math.isnan(self.drift_ppm) else self.drift_ppm * 1e-6
        return device_s + self.offset_s + drift * (device_s - self.at_s)


class DeviceClock:
    """A device's clock, from requests that the computer sent and the device stamped.

    Each reading says: the device's time lies between the computer's time of the request and that of
    the response. Over the last two minutes a line through the readings with short round trips gives
    offset and drift; a reading that the line cannot explain begins anew.

    Attributes
    ----------
    fit : DeviceFit or None
        None before the first reading.
    n_jumps : int
    """

    def __init__(self) -> None:
        self.fit: DeviceFit | None = None
        self.n_jumps = 0
        self._readings: deque[tuple[float, float, float]] = deque()

    def add(self, request_s: float, device_s: float, response_s: float) -> float:
        """Take a reading in.

        Parameters
        ----------
        request_s, response_s : float
            The computer's clock when it asked and when it had the answer.
        device_s : float
            The device's clock in between.

        Returns
        -------
        float
            The jump of the device's clock in seconds, 0 where there was none.
        """
        half_s = max(response_s - request_s, 0.0) / 2
        offset_s = (request_s + response_s) / 2 - device_s
        jump_s = self._jump_s(device_s, offset_s, half_s)
        if jump_s:
            self.n_jumps += 1
            self._readings.clear()
        self._readings.append((device_s, offset_s, half_s))
        while device_s - self._readings[0][0] > FIT_WINDOW_S:
            self._readings.popleft()
        self.fit = _line(np.array(self._readings))
        return jump_s

    def _jump_s(self, device_s: float, offset_s: float, half_s: float) -> float:
        if self.fit is None:
            return 0.0
        expected_s = self.fit.to_system_s(device_s) - device_s
        since_s = abs(device_s - self._readings[-1][0])
        allowed_s = half_s + self.fit.uncertainty_s + DEVICE_DRIFT_PPM * 1e-6 * since_s
        change_s = offset_s - expected_s
        return -change_s if abs(change_s) > allowed_s else 0.0


def _line(readings: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> DeviceFit:
    """Fit offset and drift to readings, an array (n, 3): device time, offset, half width, in s."""
    device_s, offset_s, half_s = readings.T
    tight = half_s <= WIDE * half_s.min()
    at_s = float(device_s[-1])
    x, y = device_s[tight] - at_s, offset_s[tight]
    if x.max() - x.min() < FIT_FROM_S:
        best = int(np.argmin(half_s))
        away_s = abs(at_s - float(device_s[best])) * DEVICE_DRIFT_PPM * 1e-6
        return DeviceFit(float(offset_s[best]), math.nan, float(half_s[best]) + away_s, at_s)
    drift, offset = np.polyfit(x, y, 1)
    scatter_s = float(np.sqrt(np.mean((y - offset - drift * x) ** 2)))
    return DeviceFit(float(offset), float(drift) * 1e6, float(half_s.min()) + scatter_s, at_s)
