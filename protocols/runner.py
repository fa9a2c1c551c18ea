"""Runs a schedule on a display and says on LSL what happens, flip by flip.

Every onset and offset marker carries the LSL time taken in the callback of the flip that changed the
screen; every response carries the time at which the key or click arrived.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne import __version__
from duchenne.protocols.displays.base import Click, Cross, KeyPress, Text
from duchenne.protocols.ratings import SamScale
from duchenne.protocols.responders import Prompt
from duchenne.protocols.stage import Aborted, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from duchenne.protocols.displays.base import Display, Input, Loaded
    from duchenne.protocols.markers import MarkerOutlet, ShownFramesOutlet
    from duchenne.protocols.responders import Responder
    from duchenne.protocols.schedule import Schedule, Step, Trial
    from duchenne.protocols.schema import Protocol
    from duchenne.protocols.stage import Operator
    from duchenne.stimuli.manifest import Stimulus, StimulusSet

CONTINUE_KEYS = ("space", "return")
FEEDBACK_S = 0.25
"""How long a chosen rating stays marked before the session goes on."""
LATE = 1.5
"""A flip more than this many refresh periods after the one before came late."""
FILM_GRACE_S = 0.25
"""Films start some frames late; they may run over by this much to come to their end."""


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
    session = _Session(schedule, protocol, stimuli, stage, shown_frames=shown_frames, run=run)
    return session.run(on_step or (lambda _i, _n, _label: None), simulated=responder is not None)


class _Session:
    """One run of a schedule."""

    def __init__(
        self,
        schedule: Schedule,
        protocol: Protocol,
        stimuli: StimulusSet,
        stage: Stage,
        *,
        shown_frames: ShownFramesOutlet,
        run: str,
    ) -> None:
        self._schedule = schedule
        self._protocol = protocol
        self._stimuli = stimuli
        self._stage = stage
        self._display = stage.display
        self._shown_frames = shown_frames
        self._run = run
        self._loaded: Loaded | None = None
        self._loaded_for = 0
        self._n_trials = self._n_stimulus_flips = self._n_late_flips = 0
        self._ended = False

    # The course of the session

    def run(self, on_step: Callable[[int, int, str], None], *, simulated: bool) -> Outcome:
        """Run all steps; close everything whatever happens."""
        reason = None
        steps = self._schedule.steps
        try:
            self._start(simulated)
            for i, step in enumerate(steps):
                on_step(i + 1, len(steps), step.label)
                self._wait_while_paused()
                self._step(step, next((s.trial for s in steps[i + 1 :] if s.trial), None))
            self._finish()
        except Aborted as abort:
            reason = str(abort)
            self._finish(reason)
        except BaseException as error:
            with suppress(Exception):
                self._finish(f"error: {error}")
            raise
        finally:
            self._unload()
        return Outcome(reason, self._n_trials, self._n_stimulus_flips, self._n_late_flips)

    def _start(self, simulated: bool) -> None:
        schedule, stage = self._schedule, self._stage
        self._display.clear()
        stage.begin(
            "session_start",
            participant=schedule.participant,
            session=schedule.session,
            run=self._run,
            task=self._protocol.name,
            protocol_hash=schedule.protocol_hash,
            seed=schedule.seed,
            n_trials=len(schedule.trials),
            screen=self._protocol.screen.model_dump(mode="json"),
            display=self._display.description(),
            software_version=__version__,
            simulated=simulated,
        )

    def _finish(self, abort_reason: str | None = None) -> None:
        if self._ended:  # the display failed while the session was being closed
            return
        self._ended = True
        try:
            if abort_reason is not None:
                self._stage.push("abort", reason=abort_reason)
        finally:
            self._stage.close(
                "session_end",
                n_trials=self._n_trials,
                n_stimulus_flips=self._n_stimulus_flips,
                n_late_flips=self._n_late_flips,
            )

    def _step(self, step: Step, next_trial: Trial | None) -> None:
        if step.trial is not None:
            self._trial(step.trial, next_trial)
        elif step.kind in ("block_start", "block_end"):
            self._block(step)
        elif step.kind == "neutral":
            self._neutral(step)
        elif step.kind == "instruction":
            self._page(step, "instruction_onset", "instruction_offset")
        else:
            self._page(step, "break_start", "break_end")

    def _wait_while_paused(self) -> None:
        stage = self._stage
        stage.listen()
        if not stage.paused:
            return
        block = stage.context.get("block")
        stage.context = {"block": block, "phase": "pause"}
        self._display.show([self._text("Pause", 0.5)])
        stage.next_flip()
        stage.push("pause", stage.flip.lsl_time_s)
        while stage.paused:
            stage.next_flip()
        self._display.clear()
        stage.next_flip()
        stage.push("resume", stage.flip.lsl_time_s)
        stage.context = {"block": block}

    # Steps

    def _block(self, step: Step) -> None:
        self._stage.context = {"block": step.block}
        self._display.clear()
        if step.kind == "block_start":
            self._stage.onset("block_start", "block_end")
        else:
            self._stage.offset()

    def _page(self, step: Step, onset: str, offset: str) -> None:
        stage = self._stage
        stage.context = {"block": step.block, "phase": step.kind}
        self._display.show([self._text(step.text or "", 0.5)])
        stage.onset(onset, offset)
        end_s = None if step.duration_s is None else stage.flip.lsl_time_s + step.duration_s
        may_go_on = end_s is None or step.skip_with_key
        if may_go_on:
            stage.prompt(Prompt("continue", f"{step.block}-{step.kind}"))
        while end_s is None or stage.more_before(end_s):
            stage.next_flip()
            if may_go_on and stage.pressed(*CONTINUE_KEYS):
                break
        stage.forget_prompt()
        self._display.clear()
        stage.offset()

    def _neutral(self, step: Step) -> None:
        stage = self._stage
        stage.context = {"block": step.block, "phase": "neutral"}
        text = [self._text(step.text, 0.33)] if step.text else []
        self._display.show([self._cross(), *text])
        stage.onset("neutral_onset", "neutral_offset")
        stage.hold_until(stage.flip.lsl_time_s + (step.duration_s or 0.0))
        self._display.clear()
        stage.offset()

    def _trial(self, trial: Trial, next_trial: Trial | None) -> None:
        stage = self._stage
        stimulus = self._stimuli[trial.stimulus_id]
        loaded = self._load(trial)
        labels = (self._schedule.participant, self._schedule.session, self._run)
        stage.context = {
            "trial": trial.trial,
            "block": trial.block,
            "stimulus": stimulus.id,
            "presentation_id": f"{'-'.join(labels)}-{trial.trial:03d}",
        }
        self._fixation(trial)
        self._stimulus(trial, stimulus, loaded)
        for name in trial.ratings:
            self._rating(name, stimulus)
        stage.context["phase"] = "iti"
        self._display.clear()
        end_s = stage.next_flip().lsl_time_s + trial.iti_s
        if next_trial is not None:
            self._load(next_trial)
        stage.hold_until(end_s)

    def _fixation(self, trial: Trial) -> None:
        stage = self._stage
        stage.context["phase"] = "fixation"
        cross = self._cross()
        self._display.show([cross])
        stage.onset("fixation_onset", "fixation_offset", position_px=[cross.x_px, cross.y_px])
        stage.hold_until(stage.flip.lsl_time_s + trial.fixation_s)

    def _stimulus(self, trial: Trial, stimulus: Stimulus, loaded: Loaded) -> None:
        stage = self._stage
        self._display.show_stimulus(loaded)
        stage.offset()
        stage.context["phase"] = "stimulus"
        stage.opened(
            "stimulus_onset",
            "stimulus_offset",
            kind=stimulus.kind,
            category=stimulus.category,
            file=stimulus.file,
            rect_px=[round(edge, 2) for edge in loaded.rect_px],
            planned_duration_s=trial.duration_s,
        )
        self._tell_frame(trial)
        end_s = stage.flip.lsl_time_s + trial.duration_s
        end_s += FILM_GRACE_S if stimulus.kind == "video" else 0.0
        while stage.more_before(end_s) and not loaded.finished:
            stage.next_flip()
            self._tell_frame(trial)
            self._n_stimulus_flips += 1
            self._n_late_flips += stage.flip.interval_s * self._display.refresh_hz > LATE
        self._n_trials += 1
        self._display.clear()
        stage.offset()

    def _tell_frame(self, trial: Trial) -> None:
        flip = self._stage.flip
        if flip.media_frame is not None and flip.media_time_s is not None:
            self._shown_frames.push(
                trial.trial, flip.media_frame, flip.media_time_s, flip.interval_s, flip.lsl_time_s
            )

    def _rating(self, name: str, stimulus: Stimulus) -> None:
        stage, display = self._stage, self._display
        rating = self._protocol.ratings[name]
        scale = rating_screen(self._protocol, name)
        stage.context["phase"] = "rating"
        display.show(scale.shapes())
        display.show_pointer(True)
        onset_s = stage.next_flip().lsl_time_s
        asked: dict[str, Any] = {"scale": name, "dimension": rating.dimension}
        stage.push("rating_onset", onset_s, **asked)
        stage.prompt(Prompt("rating", stage.context["presentation_id"], rating, stimulus), scale)
        end_s = None if rating.timeout_s is None else onset_s + rating.timeout_s
        value, answer = self._await_choice(scale, end_s)
        stage.forget_prompt()
        if answer is None:
            stage.push("rating_response", **asked, value=None, rt_s=None, device="timeout")
        else:
            stage.push(
                "rating_response",
                answer.lsl_time_s,
                **asked,
                value=value,
                rt_s=round(answer.lsl_time_s - onset_s, 4),
                device="mouse" if isinstance(answer, Click) else "keyboard",
            )
            display.show(scale.shapes(chosen=value))
            stage.hold_until(stage.next_flip().lsl_time_s + FEEDBACK_S)
        display.show_pointer(False)

    def _await_choice(
        self, scale: SamScale, end_s: float | None
    ) -> tuple[int | None, Input | None]:
        """Flip until a step is chosen or the time is over, marking the one under the mouse."""
        stage, display = self._stage, self._display
        hover = None
        while end_s is None or stage.more_before(end_s):
            stage.next_flip()
            for answer in stage.inputs:
                value = _choice(answer, scale)
                if value is not None:
                    return value, answer
            under = scale.value_at(*display.pointer())
            if under != hover:
                hover = under
                display.show(scale.shapes(hover=hover))
        return None, None

    # Stimuli in memory, and what else is drawn

    def _load(self, trial: Trial) -> Loaded:
        """Load the stimulus of a trial, in place of the one before, unless it has been loaded."""
        if self._loaded is None or self._loaded_for != trial.trial:
            self._unload()
            self._loaded = self._display.load(self._stimuli[trial.stimulus_id])
            self._loaded_for = trial.trial
        return self._loaded

    def _unload(self) -> None:
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None

    def _text(self, text: str, y: float) -> Text:
        """Return words in the middle, `y` screen heights from the top."""
        width_px, height_px = self._display.width_px, self._display.height_px
        ink = (self._protocol.screen.foreground_grey,) * 3
        return Text(
            text.strip(), width_px / 2, y * height_px, 0.045 * height_px, 0.8 * width_px, ink
        )

    def _cross(self) -> Cross:
        width_px, height_px = self._display.width_px, self._display.height_px
        ink = (self._protocol.screen.foreground_grey,) * 3
        return Cross(width_px / 2, height_px / 2, 0.06 * height_px, 0.0075 * height_px, ink)


def rating_screen(protocol: Protocol, name: str) -> SamScale:
    """Return the layout of one of a protocol's ratings."""
    rating, screen = protocol.ratings[name], protocol.screen
    return SamScale(
        rating.dimension,
        rating.question,
        screen.width_px,
        screen.height_px,
        screen.background_grey,
        screen.foreground_grey,
    )


def _choice(answer: Input, scale: SamScale) -> int | None:
    """Return the step that a key or a click chooses, if any."""
    if isinstance(answer, KeyPress):
        return int(answer.name) if answer.name in set("123456789") else None
    return scale.value_at(answer.x_px, answer.y_px)
