"""A trial: fixation cross, stimulus, ratings, empty screen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.protocols.steps.base import ScreenView
from duchenne.protocols.steps.fixation import fixate, fixation_views
from duchenne.protocols.steps.rating import ask_about, rating_view
from duchenne.protocols.tally import StimulusLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Loaded
    from duchenne.protocols.plan import Step, Trial
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import Stimulus, StimulusSet

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
        due_s = fixate(course, step, stimulus, loaded)
        _stimulus(course, trial, stimulus, loaded, due_s)
        if trial.post_s > 0:
            stage.context["phase"] = "post"
            stage.hold_until(stage.flip.lsl_time_s + trial.post_s)
        for name in trial.ratings:
            ask_about(course, name, stimulus)
        stage.context["phase"] = "iti"
        course.display.clear()
        end_s = stage.next_flip().lsl_time_s + trial.iti_s
        if course.next_trial is not None:
            course.media.load(course.next_trial)
        stage.hold_until(end_s)

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield the cross, the stimulus and the ratings."""
        trial = step.trial
        assert trial is not None
        yield from fixation_views(protocol, stimuli[trial.stimulus_id], step)
        yield ScreenView("stimulus", stimulus=stimuli[trial.stimulus_id])
        for name in trial.ratings:
            yield rating_view(protocol, name)


def _stimulus(
    course: Course, trial: Trial, stimulus: Stimulus, loaded: Loaded, due_s: float
) -> None:
    stage, period_s = course.stage, 1.0 / course.display.refresh_hz
    log = StimulusLog(loaded, period_s, course.tally)
    course.display.show_stimulus(loaded)
    stage.offset(then="stimulus_onset")
    delay_s = stage.flip.lsl_time_s - due_s
    x0, y0, x1, y1 = loaded.rect_px
    stage.context["phase"] = "stimulus"
    stage.opened(
        "stimulus_onset",
        "stimulus_offset",
        ending=lambda: log.ended(stage.flip),
        kind=stimulus.kind,
        category=stimulus.category,
        file=stimulus.file,
        rect_px=[round(edge, 2) for edge in loaded.rect_px] if x1 > x0 and y1 > y0 else None,
        planned_duration_s=trial.duration_s,
        onset_delay_s=round(delay_s, 5),
    )
    course.tally.add_onset(delay_s, period_s)
    log.begun(stage.flip)
    _tell_flip(course, trial)
    end_s = stage.flip.lsl_time_s + trial.duration_s
    end_s += FILM_GRACE_S if stimulus.kind == "video" else 0.0
    while stage.more_before(end_s) and not loaded.finished:
        stage.next_flip()
        _tell_flip(course, trial)
        log.flipped(stage.flip)
    course.display.clear()
    stage.offset()
    course.tally.add(log)


def _tell_flip(course: Course, trial: Trial) -> None:
    """Say on ShownFrames what the last flip showed; NaN where that was no film."""
    flip = course.stage.flip
    course.shown_frames.push(
        trial.trial,
        math.nan if flip.media_frame is None else flip.media_frame,
        math.nan if flip.media_time_s is None else flip.media_time_s,
        flip.interval_s,
        flip.lsl_time_s,
    )
