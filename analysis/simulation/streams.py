"""What eye tracker and face measurement of a simulated participant send, as arrays.

Both answer a stimulus after a latency and come back to rest after it. How far they go is set so that the
**mean over the stimulus** is the planted answer: for Action Units from onset to offset, for the pupil from
220 ms after the onset, where its mean change is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.emotion import LABELS, NEUTRAL
from duchenne.analysis.face.live_neutral import NEUTRAL_PHASE
from duchenne.analysis.face.live_streams import AFFECT_CHANNELS
from duchenne.analysis.simulation.effects import AU_NAMES
from duchenne.recorder.sources.gaze_plan import GazePlan
from duchenne.recorder.sources.gaze_signal import EyeTrackerSignal
from duchenne.recorder.sources.oculomotor import SlowNoise, generator
from duchenne.recorder.sources.pupil_response import (
    AROUSAL,
    PupilPlan,
    Smoothing,
    Step,
    pupil_diameter,
    steady_diameter_mm,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duchenne.analysis.statistics.types import FloatArray
    from duchenne.recorder.sources.listener import Cue
    from duchenne.recorder.sources.participant import Participant

FACE = Smoothing(latency_s=0.3, scale_s=0.1, shape=3)
"""How an expression comes and goes."""
PUPIL_FROM_S = 0.22
"""The first time after an onset that counts for the pupil's mean change."""
FACE_RATE_HZ = 25.0
FACE_LATENCY_S = 0.03
REST = (0.25, 0.45)
"""Lowest and highest intensity of a resting Action Unit."""
SLOW_SD, SLOW_BAND_HZ = 0.04, (0.05, 0.4)
FRAME_SD = 0.05
HIGHEST = 5.0
GAZE_CHUNK_S = 1.0
GAZE_NOISE_DEG = 0.05
LOSS_PROBABILITY = 0.03
"""Of a presentation in which the eye tracker loses the eyes for most of the time."""
LOST_PART = (0.15, 0.9)
POSE_SD_DEG, POSE_BAND_HZ = 2.0, (0.02, 0.3)


@dataclass(frozen=True)
class Shown:
    """One presentation as it was shown.

    Attributes
    ----------
    stimulus : str
    onset_s, offset_s : float
        LSL times.
    """

    stimulus: str
    onset_s: float
    offset_s: float


def presentations_of(cues: Sequence[Cue]) -> tuple[Shown, ...]:
    """Return what was shown, from the markers."""
    found, onset = [], None
    for cue in cues:
        if cue.event == "stimulus_onset":
            onset = cue
        elif cue.event == "stimulus_offset" and onset is not None:
            found.append(Shown(onset.stimulus, onset.time_s, cue.time_s))
            onset = None
    return tuple(found)


def gain(smoothing: Smoothing, start_s: float, stop_s: float) -> float:
    """Return how far an answer must go so that its mean between two times after its cause is 1."""
    times = np.linspace(start_s, stop_s, 2001)
    return 1.0 / float(np.mean(smoothing.progress(times)))


def share_in(start_s: float, stop_s: float, duration_s: float) -> float:
    """Return the mean of a face's answer within a window, as a part of that over the whole stimulus."""
    return gain(FACE, 0.0, duration_s) / gain(FACE, start_s, min(stop_s, duration_s))


class PlantedPupil(PupilPlan):
    """A pupil that answers each presentation by a given dilation.

    Parameters
    ----------
    participant : Participant
    shown : sequence of Shown
    dilation_mm : mapping of str to float
        Mean change by stimulus.
    """

    def __init__(
        self, participant: Participant, shown: Sequence[Shown], dilation_mm: Mapping[str, float]
    ) -> None:
        super().__init__(participant)
        self._answers: list[tuple[Shown, tuple[Step, Step]]] = []
        for one in shown:
            length_s = one.offset_s - one.onset_s
            change = dilation_mm[one.stimulus] * gain(AROUSAL, PUPIL_FROM_S, length_s)
            steps = (Step(one.onset_s, change, AROUSAL), Step(one.offset_s, -change, AROUSAL))
            self._answers.append((one, steps))
        self._resting_mm = steady_diameter_mm(participant.background)

    def diameter_mm(self, times_s: FloatArray) -> FloatArray:
        """Return the mean diameter of the two eyes, without noise."""
        first, last = float(times_s[0]), float(times_s[-1])
        near = [
            step
            for one, steps in self._answers
            if one.onset_s <= last and one.offset_s + 12.0 >= first
            for step in steps
        ]
        return pupil_diameter(near, self._resting_mm, times_s)


def gaze_samples(
    participant: Participant,
    cues: Sequence[Cue],
    shown: Sequence[Shown],
    dilation_mm: Mapping[str, float],
    *,
    rate_hz: float,
) -> tuple[FloatArray, FloatArray]:
    """Return times and samples of the eye tracker for a whole session.

    Parameters
    ----------
    participant : Participant
    cues : sequence of Cue
        All markers, in order.
    shown : sequence of Shown
    dilation_mm : mapping of str to float
        The pupil's mean change by stimulus.
    rate_hz : float

    Returns
    -------
    times_s : (n,) float64
        LSL times.
    samples : (n, 11) float64
        Channels of a Gaze stream; NaN while the eyes are closed or lost.
    """
    start_s, end_s = cues[0].time_s, cues[-1].time_s
    plan = GazePlan(participant, start_s)
    pupil = PlantedPupil(participant, shown, dilation_mm)
    signal = EyeTrackerSignal(
        start_s, rate_hz, seed=participant.seed, noise_deg=GAZE_NOISE_DEG, clock_drift_ppm=20.0
    )
    total, per_chunk = int((end_s - start_s) * rate_hz), max(int(GAZE_CHUNK_S * rate_hz), 1)
    times, samples = [], []
    waiting = list(cues)
    screen = participant.screen
    for first in range(0, total, per_chunk):
        n = min(per_chunk, total - first)
        until_s = start_s + (first + n) / rate_hz
        while waiting and waiting[0].time_s <= until_s:
            cue = waiting.pop(0)
            screen = cue.screen or screen
            plan.advance(cue.time_s)
            plan.hear(cue, cue.time_s)
        plan.advance(until_s)
        chunk = signal.chunk(plan, pupil, screen, first, n)
        times.append(chunk.times_s)
        samples.append(chunk.samples)
    found = np.concatenate(samples)
    _lose(found, np.concatenate(times), shown, participant.seed)
    return np.concatenate(times), found


def _lose(samples: FloatArray, times_s: FloatArray, shown: Sequence[Shown], seed: int) -> None:
    """Take the eyes away for most of a few presentations."""
    random = generator(seed, "lost")
    for one in shown:
        if random.random() >= LOSS_PROBABILITY:
            continue
        begin, end = (one.onset_s + part * (one.offset_s - one.onset_s) for part in LOST_PART)
        gone = (times_s >= begin) & (times_s < end)
        samples[gone, :6] = np.nan
        samples[gone, 6:8] = 0.0
        samples[gone, 8:10] = np.nan


def face_samples(
    start_s: float,
    end_s: float,
    shown: Sequence[Shown],
    answers: Mapping[str, Mapping[str, float]],
    seed: int,
) -> tuple[FloatArray, FloatArray]:
    """Return times and intensities of the stream of Action Units for a whole session.

    Parameters
    ----------
    start_s, end_s : float
        LSL times.
    shown : sequence of Shown
    answers : mapping of str to mapping of str to float
        Mean intensity above rest, by Action Unit and stimulus; the other units rest.
    seed : int
        Of the participant.

    Returns
    -------
    times_s : (n,) float64
    intensities : (n, 17) float64
        0 to 5, in the order of `AU_NAMES`.
    """
    random = generator(seed, "face")
    times = np.arange(start_s, end_s, 1.0 / FACE_RATE_HZ)
    times = times + random.uniform(0, 0.002, len(times))
    table = np.empty((len(times), len(AU_NAMES)))
    for column, name in enumerate(AU_NAMES):
        rest = generator(seed, "rest", name).uniform(*REST)
        curve = rest + SlowNoise.draw(seed, name, sd=SLOW_SD, band_hz=SLOW_BAND_HZ).at(times)
        for one in shown if name in answers else ():
            curve += _expression(times, one, answers[name][one.stimulus])
        table[:, column] = curve
    table += FRAME_SD * random.standard_normal(table.shape)
    return times, np.clip(table, 0.0, HIGHEST)


def _expression(times_s: FloatArray, one: Shown, mean: float) -> FloatArray:
    """Return the course of one expression, 0 before and after it."""
    height = mean * gain(FACE, 0.0, one.offset_s - one.onset_s)
    course = np.zeros(len(times_s))
    begin, end = np.searchsorted(times_s, (one.onset_s, one.offset_s + 6.0))
    near = times_s[begin:end]
    up, down = FACE.progress(near - one.onset_s), FACE.progress(near - one.offset_s)
    course[begin:end] = height * (up - down)
    return course


def affect_samples(times_s: FloatArray, intensities: FloatArray, seed: int) -> FloatArray:
    """Return the stream of affect and quality beside the Action Units: (n, channels) float64.

    The face is always usable; valence follows the smile (AU12) less the frown (AU04); prototypes are
    not matched.
    """
    at = {label: i for i, (label, _, _) in enumerate(AFFECT_CHANNELS)}
    table = np.zeros((len(times_s), len(at)))
    smile = intensities[:, AU_NAMES.index("AU12")] - intensities[:, AU_NAMES.index("AU04")]
    table[:, at["expr_valence"]] = np.clip(smile / HIGHEST, -1.0, 1.0)
    table[:, at["expr_arousal"]] = np.nan
    table[:, at["expr_prototype"]] = LABELS.index(NEUTRAL)
    table[:, at["confidence"]] = 0.95
    table[:, at["usable"]] = 1.0
    for axis in ("pitch", "yaw", "roll"):
        pose = SlowNoise.draw(seed, f"pose-{axis}", sd=POSE_SD_DEG, band_hz=POSE_BAND_HZ)
        table[:, at[f"pose_{axis}_deg"]] = pose.at(times_s)
    table[:, at["reference"]] = NEUTRAL_PHASE
    table[:, at["latency_s"]] = FACE_LATENCY_S
    return table
