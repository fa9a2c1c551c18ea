"""Which frame of which clip the simulated face shows, as a pure script.

It rests, answers a stimulus after a latency, and finds a smooth way back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.recorder.sources.participant import NEUTRAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.recorder.sources.clips import ClipValues
    from duchenne.recorder.sources.listener import Cue
    from duchenne.recorder.sources.participant import Participant


@dataclass(frozen=True)
class Shown:
    """One frame as shown.

    Attributes
    ----------
    clip : str
    frame : int
        In the clip, from 0.
    presentation_id : str
        The presentation that the face answers; empty at rest.
    reaction_s : float or None
        LSL time of the first frame of the answer; None at rest.
    """

    clip: str
    frame: int
    presentation_id: str = ""
    reaction_s: float | None = None


@dataclass(frozen=True)
class _Answer:
    due_s: float
    clip: str
    presentation_id: str


class FaceScript:
    """Plays the neutral clip to and fro, and an expression's clip when a stimulus calls for it.

    Parameters
    ----------
    participant : Participant
    clips : mapping of str to ClipValues
        With `NEUTRAL` among them.
    """

    def __init__(self, participant: Participant, clips: Mapping[str, ClipValues]) -> None:
        self._participant = participant
        self._clips = clips
        self._rest = 0
        self._pending: list[_Answer] = []
        self._playing: Shown | None = None

    def hear(self, cue: Cue) -> None:
        """Take note of a cue: a stimulus starts an answer, a fixation cross ends it."""
        if cue.event == "stimulus_onset":
            expression = self._participant.answer(cue).expression
            if expression != NEUTRAL and expression in self._clips:
                due_s = cue.time_s + self._participant.expression_latency_s(cue)
                self._pending.append(_Answer(due_s, expression, cue.presentation_id))
        elif cue.event in ("fixation_onset", "abort", "session_end"):
            self._pending.clear()
            if self._playing is not None:
                playing = self._playing
                frame = self._clips[playing.clip].release_frame(playing.frame)
                self._playing = _at_frame(playing, frame)

    def next(self, time_s: float) -> Shown:
        """Return what the frame exposed at `time_s` shows; called once per frame, in order."""
        if self._pending and time_s >= self._pending[0].due_s:
            answer = self._pending.pop(0)
            self._playing = Shown(answer.clip, 0, answer.presentation_id, time_s)
            return self._playing
        if self._playing is not None:
            playing = self._playing
            if playing.frame + 1 < len(self._clips[playing.clip]):
                self._playing = _at_frame(playing, playing.frame + 1)
                return self._playing
            self._playing = None
            neutral = self._clips[NEUTRAL]
            self._rest = neutral.nearest_pose(self._clips[playing.clip], playing.frame)
        n = len(self._clips[NEUTRAL])
        frame = _to_and_fro(self._rest, n)
        self._rest += 1
        return Shown(NEUTRAL, frame)


def _at_frame(shown: Shown, frame: int) -> Shown:
    return Shown(shown.clip, frame, shown.presentation_id, shown.reaction_s)


def _to_and_fro(step: int, n: int) -> int:
    """Return 0, 1, …, n - 1, n - 2, …, 1, 0, 1 and so on for the steps from 0."""
    phase = step % max(2 * (n - 1), 1)
    return phase if phase < n else 2 * (n - 1) - phase
