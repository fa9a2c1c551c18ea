"""What a running session stands on: flips, markers of what opens and closes, and who is heard.

`Stage` joins a display with the marker outlet. It remembers which phases are open, so that an aborted
session closes them, and listens at every flip to the participant, to the operator and to a simulated
participant's due answers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import pylsl

from duchenne.protocols.displays.base import Flip, KeyPress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from duchenne.protocols.displays.base import Display, Input
    from duchenne.protocols.markers import MarkerOutlet
    from duchenne.protocols.ratings import SamScale
    from duchenne.protocols.responders import Prompt, Responder, Response

ABORT_KEY = "escape"


class Operator(Protocol):
    """Whoever runs the session, from outside the screen."""

    def poll(self) -> Sequence[str]:
        """Return the commands since the last call: ``abort``, ``abort REASON``, ``pause``, ``resume``."""


class Aborted(Exception):  # noqa: N818 - it is a decision, not an error
    """The session was ended early: by Escape, by the operator or by a signal."""


class Stage:
    """A display whose changes are marked.

    Parameters
    ----------
    display : Display
        Open.
    markers : MarkerOutlet
        Open.
    responder : Responder, optional
        Answers in place of a participant.
    operator : Operator, optional
        Is asked for commands at every flip.

    Attributes
    ----------
    flip : Flip
        The last one; its times are NaN before the first.
    inputs : list
        What the participant did between the last two flips.
    context : dict
        Fields of every marker: trial, block, stimulus, presentation_id, phase.
    paused : bool
        The operator asked for a pause.
    """

    def __init__(
        self,
        display: Display,
        markers: MarkerOutlet,
        responder: Responder | None = None,
        operator: Operator | None = None,
    ) -> None:
        self.display = display
        self.flip = Flip(math.nan, math.nan)
        self.inputs: list[Input] = []
        self.context: dict[str, Any] = {}
        self.paused = False
        self._markers = markers
        self._responder = responder
        self._operator = operator
        self._period_s = 1.0 / display.refresh_hz
        self._open: list[tuple[str, dict[str, Any]]] = []
        self._due: tuple[float, Response, SamScale | None] | None = None

    def begin(self, event: str, **fields: Any) -> None:
        """Flip what was prepared and mark it, even if the flip fails; only then listen."""
        before = self.flip
        try:
            self.flip = self.display.flip()
        finally:
            self.push(event, self._flipped_since(before), **fields)
        self.listen()

    def next_flip(self) -> Flip:
        """Flip once, then listen.

        Raises
        ------
        Aborted
            By Escape or by the operator.
        """
        self.flip = self.display.flip()
        self.listen()
        return self.flip

    def onset(self, event: str, offset: str, **fields: Any) -> None:
        """Flip what was prepared, mark it, and remember the event that will end it."""
        self.flip = self.display.flip()
        self.opened(event, offset, **fields)
        self.listen()

    def opened(self, event: str, offset: str, **fields: Any) -> None:
        """Mark what the last flip began, and remember the event that will end it."""
        self.push(event, self.flip.lsl_time_s, **fields)
        self._open.append((offset, dict(self.context)))

    def offset(self) -> None:
        """Flip what was prepared, and mark that what was opened last is over."""
        self.flip = self.display.flip()
        event, context = self._open.pop()
        self._markers.push(event, self.flip.lsl_time_s, **context)
        self.listen()

    def push(self, event: str, lsl_time_s: float | None = None, **fields: Any) -> None:
        """Send a marker in the present context; stamped now where no time is given."""
        self._markers.push(event, lsl_time_s, **self.context, **fields)

    def close(self, end_event: str, **fields: Any) -> None:
        """Clear the screen and mark, at that flip, the end of all that is open, then `end_event`.

        Where the display has failed, the markers carry the time at which that showed.

        Raises
        ------
        Exception
            Whatever the display raised, once everything has been marked.
        """
        self.forget_prompt()
        before = self.flip
        try:
            self.display.show_pointer(False)
            self.display.clear()
            self.flip = self.display.flip()
        finally:
            self._mark_end(self._flipped_since(before), end_event, fields)

    def _mark_end(self, at_s: float, end_event: str, fields: dict[str, Any]) -> None:
        try:
            while self._open:
                event, context = self._open.pop()
                self._markers.push(event, at_s, **context)
        finally:
            self.context = {}
            self.push(end_event, at_s, **fields)

    def _flipped_since(self, before: Flip) -> float:
        """Return the time of the last flip, or now if there was none after `before`."""
        return pylsl.local_clock() if self.flip is before else self.flip.lsl_time_s

    def more_before(self, end_s: float) -> bool:
        """Say whether another flip of the same comes before the one nearest to a time."""
        return self.flip.lsl_time_s + 1.5 * self._period_s < end_s

    def hold_until(self, end_s: float, each: Callable[[], object] | None = None) -> None:
        """Flip the same until the next flip is the one nearest to a time."""
        while self.more_before(end_s):
            self.next_flip()
            if each is not None:
                each()

    def pressed(self, *names: str) -> bool:
        """Say whether one of these keys was pressed before the last flip."""
        return any(isinstance(i, KeyPress) and i.name in names for i in self.inputs)

    def prompt(self, prompt: Prompt, scale: SamScale | None = None) -> None:
        """Ask the simulated participant, if there is one, what it will do and when."""
        response = None if self._responder is None else self._responder.respond(prompt)
        if response is not None:
            self._due = (self.flip.lsl_time_s + response.delay_s, response, scale)

    def forget_prompt(self) -> None:
        """Drop an answer that is no longer waited for."""
        self._due = None

    def listen(self) -> None:
        """Collect what the participant and the operator did.

        Raises
        ------
        Aborted
            By Escape or by the operator.
        """
        self._respond()
        self.inputs = self.display.events()
        if self.pressed(ABORT_KEY):
            raise Aborted("operator")
        for command in self._operator.poll() if self._operator is not None else ():
            word, _, rest = command.strip().partition(" ")
            if word == "abort":
                raise Aborted(rest.strip() or "operator")
            if word in ("pause", "resume"):
                self.paused = word == "pause"

    def _respond(self) -> None:
        """Press or click what the simulated participant decided, once it is time."""
        if self._due is None or self._due[0] > pylsl.local_clock():
            return
        _, response, scale = self._due
        self._due = None
        if response.key is not None:
            self.display.press(response.key)
        elif response.value is not None and scale is not None:
            x0, y0, x1, y1 = scale.cell_px(response.value)
            self.display.click((x0 + x1) / 2, (y0 + y1) / 2)
