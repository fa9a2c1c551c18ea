"""Runs a schedule on a display and says on LSL what happens, flip by flip.

Every onset and offset marker carries the LSL time taken in the callback of the flip that changed the
screen; every response carries the time at which the key or click arrived.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from duchenne import __version__
from duchenne.protocols.calibrators import LslCalibrator
from duchenne.protocols.course import Course
from duchenne.protocols.stage import Aborted, Skipped, Stage, StopAsked
from duchenne.protocols.steps.registry import step_kind
from duchenne.protocols.steps.stop import ask_to_stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from duchenne.protocols.displays.base import Display
    from duchenne.protocols.gaze_feed import GazeFeed
    from duchenne.protocols.markers import MarkerOutlet, ShownFramesOutlet
    from duchenne.protocols.plan import Step
    from duchenne.protocols.responders import Responder
    from duchenne.protocols.schedule import Schedule
    from duchenne.protocols.schema import Protocol
    from duchenne.protocols.stage import Operator
    from duchenne.protocols.triggers import TriggerSender
    from duchenne.stimuli.manifest import StimulusSet

CALIBRATIONS = ("calibration",)
"""Kinds of step that the operator's ``recalibrate`` can go back to."""


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


@dataclass(frozen=True)
class Beginning:
    """Where a run of a schedule begins.

    Attributes
    ----------
    step : int
        Number of the first step, from 1.
    failed_lsl_s : float or None
        The display failed at this time and the same recording goes on: the time until it is up again is
        marked as a pause, and no second ``session_start`` is sent.
    resumed_from : str or None
        Label of the run whose schedule is continued here, in a recording of its own.
    pilot : bool
        Not to enter the study's results.
    """

    step: int = 1
    failed_lsl_s: float | None = None
    resumed_from: str | None = None
    pilot: bool = False


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
    triggers: TriggerSender | None = None,
    on_step: Callable[[int, int, str], None] | None = None,
    beginning: Beginning | None = None,
    gaze: GazeFeed | None = None,
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
    triggers : TriggerSender, optional
        Sends a code at the flips and answers that have one.
    on_step : callable, optional
        Called with the number of each step (from 1), how many there are, and a label.
    beginning : Beginning, optional
        Where to begin; at the first step by default.
    gaze : GazeFeed, optional
        Live gaze, for steps that need it.

    Returns
    -------
    Outcome
        Also after an abort, which leaves ``abort``, the offsets of what was open, and ``session_end``.

    Raises
    ------
    Exception
        Whatever went wrong on the way, after the same closing markers.
    """
    stage = Stage(display, markers, responder, operator, triggers)
    course = Course(schedule, protocol, stimuli, stage, shown_frames, run, gaze=gaze)
    if gaze is not None and gaze.can_calibrate:
        course.calibrator = LslCalibrator(gaze.source_id)
    running = _Session(course, on_step or (lambda _i, _n, _label: None), beginning or Beginning())
    return running.run(simulated=responder is not None)


@dataclass
class _Session:
    """One run of a schedule."""

    course: Course
    on_step: Callable[[int, int, str], None]
    beginning: Beginning
    ended: bool = False

    def run(self, *, simulated: bool) -> Outcome:
        """Run all steps; close everything whatever happens."""
        reason = None
        course, steps = self.course, self.course.schedule.steps
        try:
            self._start(simulated)
            for i in range(self.beginning.step - 1, len(steps)):
                self.on_step(i + 1, len(steps), steps[i].label)
                self._wait_while_paused()
                self._recalibrate_if_wanted()
                course.next_trial = next((s.trial for s in steps[i + 1 :] if s.trial), None)
                self._run_step(steps[i])
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

    def _run_step(self, step: Step) -> None:
        """Run a step; the operator may skip it, unless it begins or ends a block.

        A participant who asks to stop and then goes on sees the step again; a trial is left out.
        """
        stage = self.course.stage
        depth = stage.depth
        is_mark = step.kind in ("block_start", "block_end")
        stop = self.course.protocol.stop
        while True:
            stage.may_skip = not is_mark
            stage.stop_key = None if is_mark or stop is None else stop.key
            try:
                step_kind(step.kind).run(self.course, step)
            except (Skipped, StopAsked) as leaving:
                stage.may_skip, stage.stop_key = False, None
                stage.cut(depth)
                if isinstance(leaving, StopAsked):
                    ask_to_stop(self.course, step.block)
                    if step.trial is None:
                        continue
                stage.push("skip", stage.flip.lsl_time_s, step=step.kind)
                self.course.tally.n_skipped += 1
            finally:
                stage.may_skip, stage.stop_key = False, None
            return

    def _recalibrate_if_wanted(self) -> None:
        """Calibrate between two steps, if the operator asked for it and the protocol can."""
        course, stage = self.course, self.course.stage
        if not stage.recalibration_wanted:
            return
        stage.recalibration_wanted = False
        step = next((s for s in course.schedule.steps if s.kind in CALIBRATIONS), None)
        if course.recalibrate is not None:
            course.recalibrate()
        elif step is not None:
            self._run_step(step)
        else:
            stage.push("note", text="the operator asked for a calibration; the protocol has none")

    def _go_on(self) -> None:
        """Mark the time without a display as a pause, and go on where it failed."""
        stage, beginning = self.course.stage, self.beginning
        stage.context = {"block": self._open_block()}
        what = {"reason": "display failed", "step": beginning.step}
        self.course.display.clear()
        stage.push("pause", beginning.failed_lsl_s, **what)
        stage.next_flip()
        stage.push("resume", stage.flip.lsl_time_s, **what)

    def _open_block(self) -> str | None:
        """Return the block that the first step is in, where it began before; its end is due here."""
        steps = self.course.schedule.steps[: self.beginning.step - 1]
        marks = [step for step in steps if step.kind in ("block_start", "block_end")]
        if not marks or marks[-1].kind == "block_end":
            return None
        return marks[-1].block

    def _start(self, simulated: bool) -> None:
        course = self.course
        beginning, block = self.beginning, self._open_block()
        if beginning.failed_lsl_s is not None:
            if block is not None:
                course.stage.reopen("block_end", block=block)
            self._go_on()
            return
        self._open_session(simulated)
        if block is not None:
            course.stage.context = {"block": block}
            course.stage.onset("block_start", "block_end")

    def _open_session(self, simulated: bool) -> None:
        course, beginning = self.course, self.beginning
        schedule = course.schedule
        course.display.clear()
        more: dict[str, object] = {"pilot": True} if beginning.pilot else {}
        if schedule.number is not None:
            more["number"] = schedule.number
        if beginning.resumed_from is not None:
            more |= {"resumed_from": beginning.resumed_from, "first_step": beginning.step}
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
            **more,
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
        stage.expect("pause")
        stage.next_flip()
        stage.push("pause", stage.flip.lsl_time_s)
        while stage.paused:
            stage.next_flip()
        display.clear()
        stage.expect("resume")
        stage.next_flip()
        stage.push("resume", stage.flip.lsl_time_s)
        stage.context = {"block": block}
