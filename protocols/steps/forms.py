"""Forms: one question after the other, whose answers are kept with the participant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.protocols.layout import Layout
from duchenne.protocols.parts_forms import Form
from duchenne.protocols.scales.registry import scale_of
from duchenne.protocols.steps.base import ScreenView
from duchenne.protocols.steps.rating import Asked, ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Shape
    from duchenne.protocols.plan import Step
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet

SMALL = 0.026


@dataclass(frozen=True)
class FormKind:
    """A form: its questions, and sums of the answers."""

    def run(self, course: Course, step: Step) -> None:
        """Ask all questions, then mark the scores."""
        stage = course.stage
        form = _form(step)
        stage.context = {"block": step.block, "phase": "form"}
        answers: dict[str, Any] = {}
        questions = form.questions()
        for number, (name, rating) in enumerate(questions.items(), 1):
            answers[name] = ask(
                course,
                Asked(
                    rating,
                    f"{form.name}.{name}",
                    f"{step.block}-{form.name}-{name}",
                    above=_heading(course.layout, form, number, len(questions)),
                    fields={"form": form.name, "field": name},
                ),
            )
        course.display.clear()
        stage.next_flip()
        if form.scores:
            found = scores(form.scores, answers)
            stage.push("note", text=f"scores of {form.name}", form=form.name, scores=found)

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield each question, unanswered."""
        form, layout = _form(step), Layout.of(protocol.screen)
        questions = form.questions()
        for number, (name, rating) in enumerate(questions.items(), 1):
            scale = scale_of(rating, layout)
            heading = _heading(layout, form, number, len(questions))
            yield ScreenView(f"{form.name}-{name}", [*scale.shapes(scale.start()), *heading])


def scores(sums: Mapping[str, tuple[str, ...]], answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return sums of numeric answers; None where one of them is missing or no number.

    Examples
    --------
    >>> scores({"total": ("a", "b")}, {"a": 2, "b": 3})
    {'total': 5}
    """
    found: dict[str, Any] = {}
    for score, members in sums.items():
        values = [answers.get(member) for member in members]
        numbers = [v for v in values if isinstance(v, (int, float))]
        found[score] = sum(numbers) if len(numbers) == len(values) else None
    return found


def _form(step: Step) -> Form:
    return Form.model_validate({"type": "form", **step.content})


def _heading(layout: Layout, form: Form, number: int, n: int) -> list[Shape]:
    """Return the line above the question, and which question of how many this is."""
    shapes: list[Shape] = [layout.text(f"{number} / {n}", 0.965, height=0.024)]
    if form.instruction:
        place = (layout.width_px / 2, 0.05 * layout.height_px)
        room = 0.075 * layout.height_px
        width, style = 0.9 * layout.width_px, layout.style(SMALL)
        shapes.append(layout.words(form.instruction, place, width, style, max_height_px=room))
    return shapes
