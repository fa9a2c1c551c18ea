"""The codes of the per-sample labels and where a measure needs a faster tracker."""

from __future__ import annotations

from enum import IntEnum

PEAK_VELOCITY_MIN_HZ = 250.0
"""Below this sampling rate a saccade's peak velocity is not stated (Mack et al. 2017)."""


class Label(IntEnum):
    """What the eye does at one sample."""

    NONE = 0
    FIXATION = 1
    SACCADE = 2
    PSO = 3
    PURSUIT = 4
    BLINK = 5
    UNDEFINED = 6
