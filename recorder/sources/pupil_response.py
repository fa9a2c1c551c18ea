"""How the simulated pupil answers light and arousal. Pure functions; diameters in millimetres.

The steady diameter follows Moon and Spencer (1944, J. Opt. Soc. Am. 34):
D = 4.9 - 3 tanh(0.4 log10 L), L in cd/m². Each change of light or arousal adds a step smoothed by
an Erlang distribution after a latency, as the gamma-shaped pupil impulse response of Hoeks and
Levelt (1993, Behav. Res. Methods 25), with a faster shape for light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.recorder.sources.participant import linear_luminance

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from duchenne.recorder.sources.listener import Cue
    from duchenne.recorder.sources.participant import Participant

    FloatArray = npt.NDArray[np.float64]

WHITE_CD_M2 = 200.0
"""Luminance of the simulated screen's white."""
DARKEST_CD_M2 = 0.5
"""What a black screen still gives off."""
AROUSAL_DILATION_MM = 0.45
"""Dilation at the highest arousal of the norm scale."""
GREY_ENDS = ("calibration_end", "stimulus_onset", "fixation_onset", "abort", "session_end")
"""Events after which a screen of plain grey is gone."""
SETTLED_S = 12.0
"""Time after which a step has reached its end (to better than 1e-12)."""


@dataclass(frozen=True)
class Smoothing:
    """An Erlang distribution after a latency.

    Attributes
    ----------
    latency_s : float
        Nothing happens before.
    scale_s : float
        The mean time of the change after the latency is ``shape * scale_s``.
    shape : int
    """

    latency_s: float
    scale_s: float
    shape: int

    def progress(self, since_s: FloatArray) -> FloatArray:
        """Return the part (0 to 1) of a step that is over `since_s` seconds after its cause."""
        x = np.maximum(since_s - self.latency_s, 0.0) / self.scale_s
        term = np.ones_like(x)
        total = np.ones_like(x)
        for k in range(1, self.shape):
            term = term * x / k
            total = total + term
        result: FloatArray = 1.0 - np.exp(-x) * total
        return result


LIGHT = Smoothing(latency_s=0.22, scale_s=0.13, shape=3)
AROUSAL = Smoothing(latency_s=0.5, scale_s=0.17, shape=4)


@dataclass(frozen=True)
class Step:
    """A lasting change of the diameter, caused at `time_s`."""

    time_s: float
    change_mm: float
    smoothing: Smoothing


def steady_diameter_mm(relative_luminance: float) -> float:
    """Return the settled diameter for a screen of mean relative luminance 0 to 1.

    Notes
    -----
    3.0 mm for a screen of half its white, 2.7 mm for white, 5.3 mm for black.
    """
    luminance = max(relative_luminance * WHITE_CD_M2, DARKEST_CD_M2)
    return 4.9 - 3.0 * math.tanh(0.4 * math.log10(luminance))


def arousal_dilation_mm(arousal_scaled: float) -> float:
    """Return the lasting dilation for an arousal norm in [-1, 1]; 0 for the lowest."""
    return AROUSAL_DILATION_MM * (min(max(arousal_scaled, -1.0), 1.0) + 1.0) / 2.0


def pupil_diameter(steps: Sequence[Step], rest_mm: float, times_s: FloatArray) -> FloatArray:
    """Return the diameter without noise.

    Parameters
    ----------
    steps : sequence of Step
    rest_mm : float
        Diameter before the first of them.
    times_s : (n,) array
        On the clock of the steps.

    Returns
    -------
    (n,) array, mm
    """
    diameter = np.full(times_s.shape, rest_mm)
    for step in steps:
        diameter += step.change_mm * step.smoothing.progress(times_s - step.time_s)
    return diameter


def settle(
    steps: Sequence[Step], rest_mm: float, before_s: float
) -> tuple[tuple[Step, ...], float]:
    """Fold the steps that are over before a time into the resting diameter."""
    over = [s for s in steps if s.time_s + SETTLED_S < before_s]
    rest = rest_mm + sum(s.change_mm for s in over)
    return tuple(s for s in steps if s.time_s + SETTLED_S >= before_s), rest


class PupilPlan:
    """The steps of light and arousal of a session, as the cues bring them.

    Parameters
    ----------
    participant : Participant
        What it knows of the stimuli and the screen.
    """

    def __init__(self, participant: Participant) -> None:
        self._participant = participant
        self._screen = participant.screen
        self._steps: tuple[Step, ...] = ()
        self._rest_mm = steady_diameter_mm(participant.background)
        self._shown_mm: tuple[float, float] | None = None
        self._filled = participant.background

    def hear(self, cue: Cue, now_s: float) -> None:
        """Take note of a cue; what has been used before `now_s` stays as it was."""
        if cue.screen is not None:
            self._screen = cue.screen
        # The shortest latency is longer than a marker's way here, so that its own time is in time.
        if cue.event in ("stimulus_offset", "stimulus_onset", "fixation_onset", "abort"):
            self._take_away(cue.time_s)
        if cue.grey_level is not None:
            self._fill(linear_luminance(cue.grey_level), cue.time_s)
        elif cue.event in GREY_ENDS:
            self._fill(self._participant.background, cue.time_s)
        if cue.event == "stimulus_onset":
            self._show(cue)
        self._steps, self._rest_mm = settle(self._steps, self._rest_mm, now_s)

    def diameter_mm(self, times_s: FloatArray) -> FloatArray:
        """Return the mean diameter of the two eyes at LSL times, without noise."""
        return pupil_diameter(self._steps, self._rest_mm, times_s)

    def _show(self, cue: Cue) -> None:
        traits = self._participant.answer(cue)
        background = self._participant.background
        covered = 1.0 if cue.rect_px is None else self._screen.covered_fraction(cue.rect_px)
        luminance = covered * traits.luminance + (1.0 - covered) * background
        light = steady_diameter_mm(luminance) - steady_diameter_mm(background)
        arousal = arousal_dilation_mm(traits.arousal_scaled)
        self._shown_mm = (light, arousal)
        self._steps += (Step(cue.time_s, light, LIGHT), Step(cue.time_s, arousal, AROUSAL))

    def _fill(self, luminance: float, time_s: float) -> None:
        """Answer to a screen of plain grey."""
        if luminance == self._filled:
            return
        change = steady_diameter_mm(luminance) - steady_diameter_mm(self._filled)
        self._filled = luminance
        self._steps += (Step(time_s, change, LIGHT),)

    def _take_away(self, time_s: float) -> None:
        if self._shown_mm is None:
            return
        light, arousal = self._shown_mm
        self._shown_mm = None
        self._steps += (Step(time_s, -light, LIGHT), Step(time_s, -arousal, AROUSAL))
