"""What the participant's own stop key asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.protocols.answers import STOPPED
from duchenne.protocols.scales.options import Choice
from duchenne.protocols.stage import Aborted
from duchenne.protocols.steps.rating import await_answer

if TYPE_CHECKING:
    from duchenne.protocols.course import Course
    from duchenne.protocols.layout import Layout
    from duchenne.protocols.parts_forms import Stop

ASKED = "the participant asked to stop"


def stop_screen(stop: Stop, layout: Layout) -> Choice:
    """Return the question and its three answers."""
    return Choice(
        stop.question, (stop.go_on, stop.stop, stop.delete), ("go on", "stop", "delete"), layout
    )


def ask_to_stop(course: Course, block: str) -> None:
    """Ask; come back if the participant goes on.

    Raises
    ------
    Aborted
        The participant stops; the reason says whether the data are to be deleted.
    """
    stage, display, stop = course.stage, course.display, course.protocol.stop
    assert stop is not None
    stage.context = {"block": block, "phase": "pause"}
    scale = stop_screen(stop, course.layout)
    display.show(scale.shapes(scale.start()))
    display.show_pointer(True)
    stage.expect("pause")
    stage.push("pause", stage.next_flip().lsl_time_s, reason=ASKED)
    draft, _ = await_answer(stage, scale, None)
    display.show_pointer(False)
    if draft.value != "go on":
        raise Aborted(STOPPED[draft.value])
    display.clear()
    stage.expect("resume")
    stage.push("resume", stage.next_flip().lsl_time_s, reason=ASKED)
