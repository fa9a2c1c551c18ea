"""Pacing of flips by a timer, for screens that do not wait for a refresh themselves."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import pylsl

if TYPE_CHECKING:
    from collections.abc import Callable

SPIN_S = 0.0008
"""The last part of a wait is spent spinning, since a sleep may end late by about 0.1 ms."""
PUMP_EVERY_S = 0.004
"""While waiting, keys and clicks are looked for so often; their times are as good as that."""


class RefreshGrid:
    """Evenly spaced points in time, each taken at most once: a refresh without a screen.

    Parameters
    ----------
    rate_hz : float
        Points per second, above 0.
    start_s : float
        Time of point 0 on the LSL clock.

    Examples
    --------
    >>> grid = RefreshGrid(10.0, start_s=0.0)
    >>> [round(grid.take(now_s), 1) for now_s in (0.01, 0.02, 0.57)]
    [0.1, 0.2, 0.6]
    """

    def __init__(self, rate_hz: float, start_s: float) -> None:
        self._period_s = 1.0 / rate_hz
        self._start_s = start_s
        self._taken = 0

    def take(self, now_s: float) -> float:
        """Return the time of the next free point that is not past, and take it."""
        earliest = math.ceil((now_s - self._start_s) / self._period_s - 1e-9)
        self._taken = max(self._taken + 1, earliest)
        return self._start_s + self._taken * self._period_s


def wait_until(due_s: float, meanwhile: Callable[[], object]) -> None:
    """Wait for a time on the LSL clock, calling `meanwhile` every few milliseconds.

    Mostly asleep, so that other processes get the processor; returns at once if the time is past.
    """
    while (left_s := due_s - pylsl.local_clock()) > SPIN_S:
        time.sleep(min(left_s - SPIN_S, PUMP_EVERY_S))
        meanwhile()
    while pylsl.local_clock() < due_s:
        pass
