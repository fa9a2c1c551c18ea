"""The seam of the kinds of step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Shape
    from duchenne.protocols.plan import Step
    from duchenne.protocols.schema import Protocol as ProtocolFile
    from duchenne.stimuli.manifest import Stimulus, StimulusSet


@dataclass(frozen=True, eq=False)
class ScreenView:
    """One screen of a step, for a look at it without running it.

    Attributes
    ----------
    name : str
        Short, unique within the step; part of a file name.
    shapes : sequence of Shape
        What is drawn.
    stimulus : Stimulus or None
        Shown instead of shapes.
    background_grey : float or None
        Where it differs from the protocol's screen.
    """

    name: str
    shapes: Sequence[Shape] = ()
    stimulus: Stimulus | None = None
    background_grey: float | None = None


class StepKind(Protocol):
    """One kind of step.

    The same functions that draw while it runs also give its `views`.
    """

    def run(self, course: Course, step: Step) -> None:
        """Show the step from its first flip to its last and mark both.

        Raises
        ------
        Aborted
            By Escape or by the operator.
        """

    def views(
        self, protocol: ProtocolFile, stimuli: StimulusSet, step: Step
    ) -> Iterator[ScreenView]:
        """Yield every different screen that the step may show."""
