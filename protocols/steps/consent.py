"""The consent screen: what is stored, a decision, and what else is agreed to one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.protocols.answers import NO_CONSENT, WITHDRAWN
from duchenne.protocols.layout import TEXT_WIDTH, Layout
from duchenne.protocols.responders import Prompt
from duchenne.protocols.scales.options import Decision
from duchenne.protocols.stage import Aborted
from duchenne.protocols.steps.base import ScreenView
from duchenne.protocols.steps.pages import BACK_KEYS, CONTINUE_KEYS, page_number, paged, text_page
from duchenne.protocols.steps.rating import FEEDBACK_S, await_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Picture, Shape
    from duchenne.protocols.plan import Step
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet

LETTERS = 0.034
ROOM = 0.76
"""What the text may take of the screen's height."""


@dataclass(frozen=True)
class ConsentKind:
    """Pages of text, under the last one the two buttons; then a screen for each scope."""

    def run(self, course: Course, step: Step) -> None:
        """Ask; end the session where consent is refused before it.

        Raises
        ------
        Aborted
            The participant declines.
        """
        stage, display = course.stage, course.display
        stage.context = {"block": step.block, "phase": "consent"}
        pages = _pages(course.layout, step)
        display.show(pages[0])
        display.show_pointer(True)
        stage.onset("instruction_onset", "instruction_offset")
        page = 0
        prompt = Prompt("continue", f"{step.block}-{step.kind}")
        while page < len(pages) - 1:
            stage.prompt(prompt)
            page = _turned(course, page)
            display.show(pages[page])
        name = "consent_after_debriefing" if step.content["after_debriefing"] else "consent"
        agreed = _asked(course, step, pages[-1], name, "answer")
        for scope in step.content.get("scopes", {}) if agreed else ():
            _asked(course, step, _scope_page(course.layout, step, scope), name, scope)
        display.show_pointer(False)
        display.clear()
        stage.offset()
        if agreed:
            return
        if step.content["after_debriefing"]:
            stage.push("note", text=WITHDRAWN)
        else:
            raise Aborted(NO_CONSENT)

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield the pages, the last one with its buttons."""
        layout = Layout.of(protocol.screen)
        pages = _pages(layout, step)
        scale = _decision(step.content, layout)
        for number, shapes in enumerate(pages, 1):
            buttons = scale.shapes(scale.start()) if number == len(pages) else []
            name = "consent" if len(pages) == 1 else f"consent-{number}"
            yield ScreenView(name, [*shapes, *buttons])
        for scope in step.content.get("scopes", {}):
            choice = _decision(step.content, layout, ("scope_yes", "scope_no"))
            shapes = _scope_page(layout, step, scope)
            yield ScreenView(f"consent-{scope}", [*shapes, *choice.shapes(choice.start())])


def _asked(course: Course, step: Step, page: list[Shape], form: str, field: str) -> bool:
    """Show a page with two buttons, mark the answer, and return whether the participant agrees."""
    stage, display = course.stage, course.display
    is_scope = field != "answer"
    words = ("scope_yes", "scope_no") if is_scope else ("agree", "decline")
    scale = _decision(step.content, course.layout, words)
    display.show([*page, *scale.shapes(scale.start())])
    shown_s = stage.next_flip().lsl_time_s
    scale_name = f"{form}.{field}" if is_scope else form
    stage.prompt(Prompt("consent", f"{step.block}-{scale_name}", name=field), scale)
    draft, answer = await_answer(stage, scale, None, page)
    stage.forget_prompt()
    assert answer is not None
    stage.push(
        "rating_response",
        answer.lsl_time_s,
        scale=scale_name,
        form=form,
        field=field,
        value=draft.value,
        rt_s=round(answer.lsl_time_s - shown_s, 4),
    )
    display.show([*page, *scale.shapes(draft)])
    stage.hold_until(stage.next_flip().lsl_time_s + FEEDBACK_S)
    return bool(draft.value == "agree")


def _turned(course: Course, page: int) -> int:
    """Wait until the participant turns the page; return the new one."""
    stage = course.stage
    while True:
        stage.next_flip()
        if stage.pressed(*CONTINUE_KEYS, "right"):
            return page + 1
        if stage.pressed(*BACK_KEYS) and page > 0:
            return page - 1


def _decision(
    content: Mapping[str, Any], layout: Layout, words: tuple[str, str] = ("agree", "decline")
) -> Decision:
    return Decision(
        (
            ("agree", content[words[0]], content["agree_key"]),
            ("decline", content[words[1]], content["decline_key"]),
        ),
        layout,
    )


def _scope_page(layout: Layout, step: Step, scope: str) -> list[Shape]:
    style = layout.style(LETTERS, align="start")
    width = int(TEXT_WIDTH * layout.width_px)
    text = str(step.content["scopes"][scope]).strip()
    lines = paged(text, style, width, ROOM * layout.height_px)[0]
    return [text_page(layout, lines, style, 0.44)]


def _pages(layout: Layout, step: Step) -> list[list[Shape]]:
    content = step.content
    text = (step.text or "").strip()
    if content["statements"]:
        text += "\n\n" + "\n".join(f"•  {line.strip()}" for line in content["statements"])
    if content["stored"]:
        listed = "\n".join(f"•  {line.strip()}" for line in content["stored"])
        text += f"\n\n{content['stored_heading'].strip()}\n{listed}"
    style = layout.style(LETTERS, align="start")
    width = int(TEXT_WIDTH * layout.width_px)
    pages = paged(text, style, width, ROOM * layout.height_px)
    shown: list[list[Shape]] = []
    for number, lines in enumerate(pages, 1):
        words: Picture = text_page(layout, lines, style, 0.44)
        count = [page_number(layout, number, len(pages))] if len(pages) > 1 else []
        shown.append([words, *count])
    return shown
