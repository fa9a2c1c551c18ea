"""Pages: text that stays for a time or until a key, such as instructions and breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.protocols.layout import Layout
from duchenne.protocols.responders import Prompt
from duchenne.protocols.steps.base import ScreenView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Shape
    from duchenne.protocols.plan import Step
    from duchenne.protocols.schema import Protocol

CONTINUE_KEYS = ("space", "return")


@dataclass(frozen=True)
class Page:
    """A page of text.

    Parameters
    ----------
    onset, offset : str
        Events that mark it.
    """

    onset: str
    offset: str

    def run(self, course: Course, step: Step) -> None:
        """Show the page until its time is over or the participant goes on."""
        stage = course.stage
        stage.context = {"block": step.block, "phase": step.kind}
        course.display.show(_shapes(course.layout, step))
        stage.onset(self.onset, self.offset)
        end_s = None if step.duration_s is None else stage.flip.lsl_time_s + step.duration_s
        may_go_on = end_s is None or step.skip_with_key
        if may_go_on:
            stage.prompt(Prompt("continue", f"{step.block}-{step.kind}"))
        while end_s is None or stage.more_before(end_s):
            stage.next_flip()
            if may_go_on and stage.pressed(*CONTINUE_KEYS):
                break
        stage.forget_prompt()
        course.display.clear()
        stage.offset()

    def views(self, protocol: Protocol, step: Step) -> Iterator[ScreenView]:
        """Yield the page."""
        yield ScreenView(step.kind, _shapes(Layout.of(protocol.screen), step))


@dataclass(frozen=True)
class Neutral:
    """A phase with a relaxed, neutral face, looking at a cross."""

    def run(self, course: Course, step: Step) -> None:
        """Show the cross for the declared time."""
        stage = course.stage
        stage.context = {"block": step.block, "phase": "neutral"}
        course.display.show(self._shapes(course.layout, step))
        stage.onset("neutral_onset", "neutral_offset")
        stage.hold_until(stage.flip.lsl_time_s + (step.duration_s or 0.0))
        course.display.clear()
        stage.offset()

    def views(self, protocol: Protocol, step: Step) -> Iterator[ScreenView]:
        """Yield the cross with its reminder."""
        yield ScreenView("neutral", self._shapes(Layout.of(protocol.screen), step))

    @staticmethod
    def _shapes(layout: Layout, step: Step) -> list[Shape]:
        text = [layout.text(step.text, 0.33)] if step.text else []
        return [layout.cross(), *text]


@dataclass(frozen=True)
class BlockMark:
    """The beginning or the end of a block: an empty screen and a marker."""

    begins: bool

    def run(self, course: Course, step: Step) -> None:
        """Mark it at a flip of the empty screen."""
        stage = course.stage
        stage.context = {"block": step.block}
        course.display.clear()
        if self.begins:
            stage.onset("block_start", "block_end")
        else:
            stage.offset()

    def views(self, protocol: Protocol, step: Step) -> Iterator[ScreenView]:  # noqa: ARG002 -- the seam
        """Yield nothing: there is nothing to see."""
        yield from ()


def _shapes(layout: Layout, step: Step) -> list[Shape]:
    return [layout.text(step.text or "")]
