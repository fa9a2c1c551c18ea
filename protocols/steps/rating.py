"""Ratings: the scale, the answer by key, mouse or typing, and the time it took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duchenne.protocols.displays.base import Click
from duchenne.protocols.layout import Layout
from duchenne.protocols.responders import Prompt
from duchenne.protocols.scales.registry import dimension, passed, result, scale_of
from duchenne.protocols.steps.base import ScreenView

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Input, Shape
    from duchenne.protocols.parts_ratings import Rating
    from duchenne.protocols.plan import Step
    from duchenne.protocols.scales.base import Draft, Scale
    from duchenne.protocols.schema import Protocol
    from duchenne.protocols.stage import Stage
    from duchenne.stimuli.manifest import Stimulus, StimulusSet

FEEDBACK_S = 0.25
"""How long a chosen answer stays marked before the session goes on."""


@dataclass(frozen=True)
class Asked:
    """One question, as it is asked and marked.

    Attributes
    ----------
    rating : Rating
    scale_name : str
        What the markers call it.
    prompt_id : str
        What the simulated participant knows it by.
    stimulus : Stimulus or None
        What it is about.
    above : sequence of Shape
        Drawn besides the scale.
    fields : mapping
        Further fields of the markers.
    """

    rating: Rating
    scale_name: str
    prompt_id: str
    stimulus: Stimulus | None = None
    above: Sequence[Shape] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RatingKind:
    """Ratings of the protocol that belong to no stimulus."""

    def run(self, course: Course, step: Step) -> None:
        """Ask them in order."""
        course.stage.context = {"block": step.block, "phase": "rating"}
        for name in step.content["ratings"]:
            ask(course, Asked(course.protocol.ratings[name], name, f"{step.block}-{name}"))
        course.display.clear()
        course.stage.next_flip()

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield each scale, unanswered."""
        for name in step.content["ratings"]:
            yield rating_view(protocol, name)


def rating_view(protocol: Protocol, name: str) -> ScreenView:
    """Return the screen of one of a protocol's ratings."""
    return ScreenView(f"rating-{name}", rating_shapes(protocol, name))


def rating_shapes(protocol: Protocol, name: str) -> list[Shape]:
    """Return what one of a protocol's ratings looks like before an answer."""
    scale = scale_of(protocol.ratings[name], Layout.of(protocol.screen))
    return scale.shapes(scale.start())


def ask_about(course: Course, name: str, stimulus: Stimulus) -> None:
    """Ask one of the protocol's ratings about the stimulus of the present trial."""
    stage = course.stage
    stage.context["phase"] = "rating"
    asked = Asked(course.protocol.ratings[name], name, stage.context["presentation_id"], stimulus)
    ask(course, asked)


def ask(course: Course, asked: Asked) -> Any:
    """Show a question, mark its onset and the answer or that none came in time; return the answer."""
    stage, display, rating = course.stage, course.display, asked.rating
    scale = scale_of(rating, course.layout)
    fields = {"scale": asked.scale_name, "dimension": dimension(rating), **asked.fields}
    display.show([*scale.shapes(scale.start()), *asked.above])
    display.show_pointer(True)
    stage.expect("rating_onset")
    onset_s = stage.next_flip().lsl_time_s
    stage.push("rating_onset", onset_s, **fields)
    prompt = Prompt("rating", asked.prompt_id, rating, asked.stimulus, asked.scale_name)
    stage.prompt(prompt, scale)
    end_s = None if rating.timeout_s is None else onset_s + rating.timeout_s
    draft, answer = await_answer(stage, scale, end_s, asked.above)
    stage.forget_prompt()
    value = None if answer is None else result(scale, draft)
    check = passed(rating, value)
    fields |= {} if check is None else {"passed": check}
    if answer is None:
        stage.push("rating_response", **fields, value=None, rt_s=None, device="timeout")
    else:
        stage.push(
            "rating_response",
            answer.lsl_time_s,
            **fields,
            value=value,
            rt_s=round(answer.lsl_time_s - onset_s, 4),
            device="mouse" if isinstance(answer, Click) else "keyboard",
        )
        display.show([*scale.shapes(draft), *asked.above])
        stage.hold_until(stage.next_flip().lsl_time_s + FEEDBACK_S)
    display.show_pointer(False)
    return value


def await_answer(
    stage: Stage, scale: Scale, end_s: float | None, above: Sequence[Shape] = ()
) -> tuple[Draft, Input | None]:
    """Flip until an answer is given or the time is over, showing what has been entered.

    Returns
    -------
    Draft, Input or None
        What was entered, and the key or click that completed it; None where time ran out.
    """
    draft, hover = scale.start(), None
    while end_s is None or stage.more_before(end_s):
        stage.next_flip()
        before = (draft, hover)
        for entry in stage.inputs:
            draft = scale.react(draft, entry)
            if draft.done:
                return draft, entry
        hover = scale.hover(*stage.display.pointer())
        if (draft, hover) != before:
            stage.display.show([*scale.shapes(draft, hover), *above])
    return draft, None
