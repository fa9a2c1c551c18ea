"""Runs a schedule on a display and says on LSL what happens, flip by flip.

Every onset and offset marker carries the LSL time taken in the callback of the flip that changed the
screen; every response carries the time at which the key or click arrived.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from duchenne import __version__
from duchenne.protocols.course import Course
from duchenne.protocols.stage import Aborted, Stage
from duchenne.protocols.steps.registry import step_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from duchenne.protocols.displays.base import Display
    from duchenne.protocols.markers import MarkerOutlet, ShownFramesOutlet
    from duchenne.protocols.responders import Responder
    from duchenne.protocols.schedule import Schedule
    from duchenne.protocols.schema import Protocol
    from duchenne.protocols.stage import Operator
    from duchenne.stimuli.manifest import StimulusSet


@dataclass(frozen=True)
class Outcome:
    """How a session went.

    Attributes
    ----------
    aborted : str or None
        The reason, if it was aborted.
    n_trials : int
        Stimuli shown to their end.
    n_stimulus_flips, n_late_flips : int
        Flips while stimuli were shown, and those of them that came late.
    """

    aborted: str | None
    n_trials: int
    n_stimulus_flips: int
    n_late_flips: int


def run_schedule(
    schedule: Schedule,
    protocol: Protocol,
    stimuli: StimulusSet,
    display: Display,
    *,
    markers: MarkerOutlet,
    shown_frames: ShownFramesOutlet,
    run: str = "01",
    responder: Responder | None = None,
    operator: Operator | None = None,
    on_step: Callable[[int, int, str], None] | None = None,
) -> Outcome:
    """Run a session from ``session_start`` to ``session_end``.

    Parameters
    ----------
    schedule : Schedule
        What to show, in order.
    protocol : Protocol
        Screen, texts and ratings.
    stimuli : StimulusSet
        Holds every stimulus of the schedule.
    display : Display
        Open.
    markers, shown_frames : outlets
        Open.
    run : str, default "01"
        Label of this run.
    responder : Responder, optional
        Answers in place of a participant.
    operator : Operator, optional
        Is asked for commands at every flip.
    on_step : callable, optional
        Called with the number of each step (from 1), how many there are, and a label.

    Returns
    -------
    Outcome
        Also after an abort, which leaves ``abort``, the offsets of what was open, and ``session_end``.

    Raises
    ------
    Exception
        Whatever went wrong on the way, after the same closing markers.
    """
    stage = Stage(display, markers, responder, operator)
    course = Course(schedule, protocol, stimuli, stage, shown_frames, run)
    running = _Session(course, on_step or (lambda _i, _n, _label: None))
    return running.run(simulated=responder is not None)


@dataclass
class _Session:
    """One run of a schedule."""

    course: Course
    on_step: Callable[[int, int, str], None]
    ended: bool = False

    def run(self, *, simulated: bool) -> Outcome:
        """Run all steps; close everything whatever happens."""
        reason = None
        course, steps = self.course, self.course.schedule.steps
        try:
            self._start(simulated)
            for i, step in enumerate(steps):
                self.on_step(i + 1, len(steps), step.label)
                self._wait_while_paused()
                course.next_trial = next((s.trial for s in steps[i + 1 :] if s.trial), None)
                step_kind(step.kind).run(course, step)
            self._finish()
        except Aborted as abort:
            reason = str(abort)
            self._finish(reason)
        except BaseException as error:
            with suppress(Exception):
                self._finish(f"error: {error}")
            raise
        finally:
            course.media.close()
        tally = course.tally
        return Outcome(reason, tally.n_trials, tally.n_stimulus_flips, tally.n_late_flips)

    def _start(self, simulated: bool) -> None:
        course = self.course
        schedule = course.schedule
        course.display.clear()
        course.stage.begin(
            "session_start",
            participant=schedule.participant,
            session=schedule.session,
            run=course.run,
            task=course.protocol.name,
            protocol_hash=schedule.protocol_hash,
            seed=schedule.seed,
            n_trials=len(schedule.trials),
            screen=course.protocol.screen.model_dump(mode="json"),
            display=course.display.description(),
            software_version=__version__,
            simulated=simulated,
        )

    def _finish(self, abort_reason: str | None = None) -> None:
        if self.ended:  # the display failed while the session was being closed
            return
        self.ended = True
        course = self.course
        try:
            if abort_reason is not None:
                course.stage.push("abort", reason=abort_reason)
        finally:
            course.stage.close("session_end", **asdict(course.tally))

    def _wait_while_paused(self) -> None:
        stage, display = self.course.stage, self.course.display
        stage.listen()
        if not stage.paused:
            return
        block = stage.context.get("block")
        stage.context = {"block": block, "phase": "pause"}
        display.show([self.course.layout.text("Pause")])
        stage.next_flip()
        stage.push("pause", stage.flip.lsl_time_s)
        while stage.paused:
            stage.next_flip()
        display.clear()
        stage.next_flip()
        stage.push("resume", stage.flip.lsl_time_s)
        stage.context = {"block": block}
