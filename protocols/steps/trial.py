"""A trial: fixation cross, stimulus, ratings, empty screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.protocols.layout import Layout
from duchenne.protocols.steps.base import ScreenView
from duchenne.protocols.steps.rating import ask, rating_screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Loaded
    from duchenne.protocols.plan import Step, Trial
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import Stimulus

LATE = 1.5
"""A flip more than this many refresh periods after the one before came late."""
FILM_GRACE_S = 0.25
"""Films start some frames late; they may run over by this much to come to their end."""


@dataclass(frozen=True)
class TrialKind:
    """One presentation of one stimulus, with what belongs to it."""

    def run(self, course: Course, step: Step) -> None:
        """Show the trial; load the next one's stimulus in the pause after it."""
        trial = step.trial
        assert trial is not None
        stage = course.stage
        stimulus = course.stimuli[trial.stimulus_id]
        loaded = course.media.load(trial)
        stage.context = {
            "trial": trial.trial,
            "block": trial.block,
            "stimulus": stimulus.id,
            "presentation_id": course.presentation_id(trial),
        }
        _fixation(course, trial)
        _stimulus(course, trial, stimulus, loaded)
        for name in trial.ratings:
            ask(course, name, stimulus)
        stage.context["phase"] = "iti"
        course.display.clear()
        end_s = stage.next_flip().lsl_time_s + trial.iti_s
        if course.next_trial is not None:
            course.media.load(course.next_trial)
        stage.hold_until(end_s)

    def views(self, protocol: Protocol, step: Step) -> Iterator[ScreenView]:
        """Yield the cross, the stimulus and the ratings."""
        trial = step.trial
        assert trial is not None
        yield ScreenView("fixation", [Layout.of(protocol.screen).cross()])
        yield ScreenView("stimulus", stimulus=protocol.stimulus_set()[trial.stimulus_id])
        for name in trial.ratings:
            yield ScreenView(f"rating-{name}", rating_screen(protocol, name).shapes())


def _fixation(course: Course, trial: Trial) -> None:
    stage = course.stage
    stage.context["phase"] = "fixation"
    cross = course.layout.cross()
    course.display.show([cross])
    stage.onset("fixation_onset", "fixation_offset", position_px=[cross.x_px, cross.y_px])
    stage.hold_until(stage.flip.lsl_time_s + trial.fixation_s)


def _stimulus(course: Course, trial: Trial, stimulus: Stimulus, loaded: Loaded) -> None:
    stage, tally = course.stage, course.tally
    course.display.show_stimulus(loaded)
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
    _tell_frame(course, trial)
    end_s = stage.flip.lsl_time_s + trial.duration_s
    end_s += FILM_GRACE_S if stimulus.kind == "video" else 0.0
    while stage.more_before(end_s) and not loaded.finished:
        stage.next_flip()
        _tell_frame(course, trial)
        tally.n_stimulus_flips += 1
        tally.n_late_flips += stage.flip.interval_s * course.display.refresh_hz > LATE
    tally.n_trials += 1
    course.display.clear()
    stage.offset()


def _tell_frame(course: Course, trial: Trial) -> None:
    flip = course.stage.flip
    if flip.media_frame is not None and flip.media_time_s is not None:
        course.shown_frames.push(
            trial.trial, flip.media_frame, flip.media_time_s, flip.interval_s, flip.lsl_time_s
        )
