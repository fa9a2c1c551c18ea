"""What the simulated eyes do next: exploration, answers to cues, blinks.

Nothing is committed before its time has come, so that a cue can still change it.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.protocols.target_paths import TargetPath
from duchenne.recorder.sources.oculomotor import (
    BLINK_DURATION_RANGE_S,
    Blink,
    Saccade,
    exploration,
    generator,
    spontaneous_blinks,
)
from duchenne.recorder.sources.screen import RegionDeg

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from duchenne.recorder.sources.listener import Cue
    from duchenne.recorder.sources.participant import Participant

    FloatArray = npt.NDArray[np.float64]

CLEAR_OF_BLINKS_S = 0.12
"""Between a saccade and a blink lies at least so much fixation."""
SHORTEST_FIXATION_S = 0.12
SMALLEST_SACCADE_DEG = 0.5
SACCADE_ROOM_S = 0.06
"""Room that a saccade is given when it has to fit before a blink."""
BLINKS_AHEAD_S = 2.0
OFFSET_BLINK_PROBABILITY = 0.4
OFFSET_BLINK_AFTER_S = (0.2, 0.4)
BLINK_DISTANCE_S = 1.0
STIMULUS_MARGIN = 0.06
PURSUIT_GAIN = 0.95
PURSUIT_LAG_S = 0.05
"""The eyes follow a moving target with this part of its way, so much later."""
TARGETS = {
    ("validation_point", ""),
    ("note", "calibration_point"),
    ("note", "drift_point"),
    ("note", "target_path"),
    ("note", "target_step"),
}
"""Event and kind of the markers whose place is looked at."""
CENTRAL_PART = {
    "stimulus_onset": (0.6, 0.6),
    "stimulus_offset": (0.5, 0.4),
    "instruction_onset": (0.5, 0.4),
    "rating_onset": (0.5, 0.3),
}
"""Part of the screen's width and height that is explored after an event without a rectangle."""


@dataclass(frozen=True)
class Answer:
    """A cue and when the eyes answered it.

    Attributes
    ----------
    cue_time_s : float
        LSL time of the marker.
    onset_s : float
        LSL time of the first saccade; NaN where the eyes were already there.
    event, presentation_id : str
    """

    cue_time_s: float
    onset_s: float
    event: str
    presentation_id: str


@dataclass(frozen=True)
class Pursuit:
    """A moving target as the eyes follow it: with a known gain and lag.

    Attributes
    ----------
    begins_s : float
        LSL time at which the target begins to move.
    path : TargetPath
    """

    begins_s: float
    path: TargetPath

    def moved_deg(self, times_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how far the eyes have moved from where the target began, at LSL times."""
        x, y = self.path.position_deg(times_s - self.begins_s - PURSUIT_LAG_S)
        x0, y0 = self.path.position_deg(0.0)
        return PURSUIT_GAIN * (x - x0), PURSUIT_GAIN * (y - y0)


@dataclass(frozen=True)
class _Intention:
    time_s: float
    cue: Cue


class GazePlan:
    """The scripted path of the eyes, extended step by step.

    Parameters
    ----------
    participant : Participant
    start_s : float
        LSL time from which the eyes move; they begin at the screen's centre.
    blinking : bool, default True

    Attributes
    ----------
    saccades, blinks : list
        In order. Saccades are final; blinks lie up to 2 s ahead.
    answers : list of Answer
    pursuits : list of Pursuit
    """

    def __init__(self, participant: Participant, start_s: float, *, blinking: bool = True) -> None:
        self.saccades: list[Saccade] = []
        self.blinks: list[Blink] = []
        self.answers: list[Answer] = []
        self.pursuits: list[Pursuit] = []
        self._participant = participant
        self._screen = participant.screen
        self._here = (0.0, 0.0)
        self._free_s = start_s
        self._intentions: list[_Intention] = []
        self._script: Iterator[tuple[float, float, float]] | None = None
        self._explore(self._screen.central_region(0.5, 0.4), "rest")
        self._next_s = start_s + 0.3
        self._spontaneous = spontaneous_blinks(start_s, participant.seed) if blinking else iter(())
        self._blinking = blinking
        self._next_blink = next(self._spontaneous, None)

    def hear(self, cue: Cue, now_s: float) -> None:
        """Take note of a cue; what was committed before `now_s` stays.

        Parameters
        ----------
        cue : Cue
        now_s : float
            LSL time up to which the path has been used.
        """
        if cue.screen is not None:
            self._screen = cue.screen
        if cue.event == "stimulus_offset" and self._blinking:
            self._blink_at_offset(cue, now_s)
        if cue.kind == "target_path":
            self._pursue(cue)
        if self._place(cue) is not None:
            time_s = max(cue.time_s + self._participant.gaze_latency_s(cue), now_s)
            self._intentions.append(_Intention(time_s, cue))

    def _pursue(self, cue: Cue) -> None:
        with suppress(KeyError, TypeError, ValueError):
            begins_s = cue.time_s + float(cue.content["hold_s"])
            self.pursuits.append(Pursuit(begins_s, TargetPath.from_fields(cue.content)))

    def pursued(self, times_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how far smooth pursuit has moved the eyes at LSL times, degrees."""
        x, y = np.zeros(times_s.shape), np.zeros(times_s.shape)
        for pursuit in self.pursuits[-2:]:
            dx, dy = pursuit.moved_deg(times_s)
            x, y = x + dx, y + dy
        return x, y

    def advance(self, until_s: float) -> None:
        """Commit all that begins before `until_s`."""
        while self._next_blink is not None and self._next_blink.onset_s < until_s + BLINKS_AHEAD_S:
            self._insert(self._next_blink)
            self._next_blink = next(self._spontaneous, None)
        while self._step(until_s):
            pass

    def around(self, first_s: float, last_s: float) -> tuple[list[Saccade], tuple[float, float]]:
        """Return the saccades that matter between two times, and the position before them."""
        chosen: list[Saccade] = []
        for saccade in reversed(self.saccades):
            if saccade.onset_s > last_s:
                continue
            chosen.insert(0, saccade)
            if saccade.offset_s < first_s - 0.1:
                break
        if not chosen:
            return [], (0.0, 0.0)
        return chosen, (chosen[0].x0_deg, chosen[0].y0_deg)

    def closed(self, first_s: float, last_s: float) -> list[Blink]:
        """Return the blinks that touch the time between two moments."""
        found = []
        for blink in reversed(self.blinks):
            if blink.offset_s < first_s:
                break
            if blink.onset_s <= last_s:
                found.append(blink)
        return found

    def _step(self, until_s: float) -> bool:
        """Commit the next saccade if it begins before `until_s`; say whether there may be more."""
        if self._intentions:
            intended_s = max(self._intentions[0].time_s, self._free_s + SHORTEST_FIXATION_S)
            if intended_s < self._next_s + SHORTEST_FIXATION_S:
                return intended_s < until_s and self._answer(intended_s, until_s)
        if self._script is None or self._next_s >= until_s:
            return False
        self._next_s = self._clear_of_blinks(self._next_s)
        if self._next_s < until_s:
            onset_s = self._next_s
            x, y, fixation_s = next(self._script)
            self._jump((x, y), onset_s)
            self._next_s = self._free_s + fixation_s
        return True

    def _answer(self, onset_s: float, until_s: float) -> bool:
        intention = self._intentions[0]
        onset_s = self._clear_of_blinks(onset_s)
        if onset_s >= until_s:
            self._intentions[0] = _Intention(onset_s, intention.cue)
            return False
        del self._intentions[0]
        cue = intention.cue
        place = self._place(cue)
        if isinstance(place, RegionDeg):
            script = self._explore(place, cue.presentation_id or cue.event)
            x, y, fixation_s = next(script)
            moved = self._jump((x, y), onset_s)
            self._next_s = self._free_s + fixation_s
        else:
            self._script, self._next_s = None, math.inf
            moved = place is not None and self._jump(place, onset_s)
        self.answers.append(
            Answer(cue.time_s, onset_s if moved else math.nan, cue.event, cue.presentation_id)
        )
        return True

    def _place(self, cue: Cue) -> RegionDeg | tuple[float, float] | None:
        """Return where a cue sends the eyes: a region, a point, or nowhere."""
        screen = self._screen
        if cue.event == "stimulus_onset" and cue.rect_px is not None:
            return screen.region_deg(cue.rect_px).shrunk(STIMULUS_MARGIN)
        if cue.event == "fixation_onset" and cue.position_px is not None:
            return screen.point_deg(*cue.position_px)
        if cue.event in ("fixation_onset", "neutral_onset", "baseline_onset"):
            return (0.0, 0.0)
        if cue.position_px is not None and (cue.event, cue.kind) in TARGETS:
            x, y = screen.point_deg(*cue.position_px)
            return (-x, -y) if cue.content.get("path") == "antisaccade" else (x, y)
        part = CENTRAL_PART.get(cue.event)
        return None if part is None else screen.central_region(*part)

    def _explore(self, region: RegionDeg, key: str) -> Iterator[tuple[float, float, float]]:
        self._script = exploration(region, self._here, self._participant.seed, key)
        return self._script

    def _jump(self, target: tuple[float, float], onset_s: float) -> bool:
        saccade = Saccade(onset_s, *self._here, *target)
        if saccade.amplitude_deg < SMALLEST_SACCADE_DEG:
            self._free_s = onset_s
            return False
        self.saccades.append(saccade)
        self._here = target
        self._free_s = saccade.offset_s
        return True

    def _clear_of_blinks(self, onset_s: float) -> float:
        """Return when a saccade may begin, at `onset_s` or after the blink that is in its way."""
        for blink in self.blinks[-8:]:
            ends_before = onset_s + SACCADE_ROOM_S + CLEAR_OF_BLINKS_S <= blink.onset_s
            if not ends_before and onset_s < blink.offset_s + CLEAR_OF_BLINKS_S:
                onset_s = blink.offset_s + CLEAR_OF_BLINKS_S
        return onset_s

    def _blink_at_offset(self, cue: Cue, now_s: float) -> None:
        random = generator(self._participant.seed, "offset-blink", cue.presentation_id)
        wanted, after, duration = random.uniform(size=3)
        if wanted > OFFSET_BLINK_PROBABILITY:
            return
        low, high = OFFSET_BLINK_AFTER_S
        short, long = BLINK_DURATION_RANGE_S
        onset_s = max(cue.time_s, now_s) + low + after * (high - low)
        self._insert(Blink(onset_s, short + duration * (long - short)))

    def _insert(self, blink: Blink) -> None:
        if any(abs(blink.onset_s - other.onset_s) < BLINK_DISTANCE_S for other in self.blinks[-8:]):
            return
        self.blinks.append(blink)
        self.blinks.sort(key=lambda b: b.onset_s)
