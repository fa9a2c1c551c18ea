"""A rating after a stimulus: the scale, the answer by key or mouse, the time it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duchenne.protocols.displays.base import Click, KeyPress
from duchenne.protocols.ratings import SamScale
from duchenne.protocols.responders import Prompt

if TYPE_CHECKING:
    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Input
    from duchenne.protocols.schema import Protocol
    from duchenne.protocols.stage import Stage
    from duchenne.stimuli.manifest import Stimulus

FEEDBACK_S = 0.25
"""How long a chosen rating stays marked before the session goes on."""


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


def ask(course: Course, name: str, stimulus: Stimulus) -> None:
    """Show a rating and mark its onset and the answer, or that none came in time."""
    stage, display = course.stage, course.display
    rating = course.protocol.ratings[name]
    scale = rating_screen(course.protocol, name)
    stage.context["phase"] = "rating"
    display.show(scale.shapes())
    display.show_pointer(True)
    onset_s = stage.next_flip().lsl_time_s
    asked: dict[str, Any] = {"scale": name, "dimension": rating.dimension}
    stage.push("rating_onset", onset_s, **asked)
    stage.prompt(Prompt("rating", stage.context["presentation_id"], rating, stimulus), scale)
    end_s = None if rating.timeout_s is None else onset_s + rating.timeout_s
    value, answer = _await_choice(stage, scale, end_s)
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
    stage: Stage, scale: SamScale, end_s: float | None
) -> tuple[int | None, Input | None]:
    """Flip until a step is chosen or the time is over, marking the one under the mouse."""
    hover = None
    while end_s is None or stage.more_before(end_s):
        stage.next_flip()
        for answer in stage.inputs:
            value = _choice(answer, scale)
            if value is not None:
                return value, answer
        under = scale.value_at(*stage.display.pointer())
        if under != hover:
            hover = under
            stage.display.show(scale.shapes(hover=hover))
    return None, None


def _choice(answer: Input, scale: SamScale) -> int | None:
    """Return the step that a key or a click chooses, if any."""
    if isinstance(answer, KeyPress):
        return int(answer.name) if answer.name in set("123456789") else None
    return scale.value_at(answer.x_px, answer.y_px)
