"""What a running session stands on: flips, markers of what opens and closes, and who is heard.

`Stage` joins a display with the marker outlet. It remembers which phases are open, so that an aborted
session closes them, and listens at every flip to the participant, to the operator and to a simulated
participant's due answers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import pylsl

from duchenne.protocols.displays.base import Click, Flip, KeyPress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from duchenne.protocols.displays.base import Display, Input
    from duchenne.protocols.markers import MarkerOutlet
    from duchenne.protocols.responders import Prompt, Responder, Response
    from duchenne.protocols.scales.base import Scale
    from duchenne.protocols.triggers import Sent, TriggerSender

ABORT_KEY = "escape"
CUT_SHORT = frozenset({"stimulus_offset", "fixation_offset", "neutral_offset", "baseline_offset"})
"""Ends whose markers say so where they came before their time."""


class Operator(Protocol):
    """Whoever runs the session, from outside the screen."""

    def poll(self) -> Sequence[str]:
        """Return the commands since the last call.

        ``abort`` or ``abort REASON``, ``pause``, ``resume``, ``skip``, ``recalibrate``, ``note TEXT``.
        """


class Aborted(Exception):  # noqa: N818 - it is a decision, not an error
    """The session was ended early: by Escape, by the operator or by a signal."""


class Skipped(Exception):  # noqa: N818 - it is a decision, not an error
    """The operator ended the present step early."""


class StopAsked(Exception):  # noqa: N818 - it is a wish, not an error
    """The participant pressed the stop key."""


Ending: TypeAlias = "Callable[[], dict[str, Any]]"
"""Gives the fields of the marker that ends something."""


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
    triggers : TriggerSender, optional
        Sends a code at the flips and answers that have one; their markers say so.

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
    recalibration_wanted : bool
        The operator asked for a calibration before the next step.
    may_skip : bool
        The present step may be skipped.
    stop_key : str or None
        The participant's own stop key, while it is heard.
    """

    def __init__(
        self,
        display: Display,
        markers: MarkerOutlet,
        responder: Responder | None = None,
        operator: Operator | None = None,
        triggers: TriggerSender | None = None,
    ) -> None:
        self.display = display
        self.flip = Flip(math.nan, math.nan)
        self.inputs: list[Input] = []
        self.context: dict[str, Any] = {}
        self.paused = False
        self.recalibration_wanted = False
        self.may_skip = False
        self.stop_key: str | None = None
        self._markers = markers
        self._responder = responder
        self._operator = operator
        self._triggers = triggers
        self._sent: dict[str, Sent] = {}
        self._period_s = 1.0 / display.refresh_hz
        self._open: list[tuple[str, dict[str, Any], Ending | None]] = []
        self._due: tuple[float, Response, Scale | None] | None = None

    def begin(self, event: str, **fields: Any) -> None:
        """Flip what was prepared and mark it, even if the flip fails; only then listen."""
        before = self.flip
        self.expect(event)
        if self._triggers is not None:
            fields["trigger_codes"] = self._triggers.codes.to_json()
        try:
            self.flip = self.display.flip()
        finally:
            self.push(event, self._flipped_since(before), **fields)
        self.listen()

    def expect(self, event: str) -> None:
        """Send the code of an event within the next flip, if it has one.

        A flip sends one code: the last one that was expected. Without this, the code follows when the
        event is marked, some tenths of a millisecond after the flip.
        """
        triggers = self._triggers
        code = None if triggers is None else triggers.codes.of(event, self.context.get("stimulus"))
        self._sent.clear()
        if triggers is None or code is None:
            return

        def send() -> None:
            self._sent[event] = triggers.send(code)

        self.display.call_on_flip(send)

    def next_flip(self) -> Flip:
        """Flip once, then listen.

        Raises
        ------
        Aborted
            By Escape or by the operator.
        Skipped
            By the operator.
        """
        self.flip = self.display.flip()
        self.listen()
        return self.flip

    def onset(self, event: str, offset: str, **fields: Any) -> None:
        """Flip what was prepared, mark it, and remember the event that will end it."""
        self.expect(event)
        self.flip = self.display.flip()
        self.opened(event, offset, **fields)
        self.listen()

    def opened(
        self, event: str, offset: str, *, ending: Ending | None = None, **fields: Any
    ) -> None:
        """Mark what the last flip began, and remember the event that will end it.

        Whatever ends it, `ending` gives further fields of that marker.
        """
        self.push(event, self.flip.lsl_time_s, **fields)
        self._open.append((offset, dict(self.context), ending))

    def reopen(self, offset: str, **context: Any) -> None:
        """Remember the event that will end what was begun before this process."""
        self._open.append((offset, context, None))

    @property
    def depth(self) -> int:
        """How many things are open."""
        return len(self._open)

    def offset(self, then: str | None = None) -> None:
        """Flip what was prepared, and mark that what was opened last is over.

        Where the same flip begins something, `then` names that event: its code is sent, not the one
        of what is over.
        """
        self.expect(then or self._open[-1][0])
        self.flip = self.display.flip()
        event, context, ending = self._open.pop()
        sent = {} if then else self._trigger_fields(event)
        fields = {} if ending is None else ending()
        self._markers.push(event, self.flip.lsl_time_s, **context, **fields, **sent)
        self.listen()

    def push(self, event: str, lsl_time_s: float | None = None, **fields: Any) -> None:
        """Send a marker in the present context; stamped now where no time is given."""
        stamp = pylsl.local_clock() if lsl_time_s is None else lsl_time_s
        self._markers.push(event, stamp, **self.context, **fields, **self._trigger_fields(event))

    def _trigger_fields(self, event: str) -> dict[str, Any]:
        """Return what a marker says of its code; send it now if no flip has."""
        triggers = self._triggers
        code = None if triggers is None else triggers.codes.of(event, self.context.get("stimulus"))
        if triggers is None or code is None:
            return {}
        return (self._sent.pop(event, None) or triggers.send(code)).fields()

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
            self.expect(end_event)
            self.flip = self.display.flip()
        finally:
            self._mark_end(self._flipped_since(before), end_event, fields)

    def _mark_end(self, at_s: float, end_event: str, fields: dict[str, Any]) -> None:
        try:
            self._end_down_to(0, at_s, "abort")
        finally:
            self.context = {}
            self.push(end_event, at_s, **fields)

    def cut(self, depth: int) -> None:
        """Clear the screen and mark, at that flip, the end of all that was opened beyond a depth."""
        self.forget_prompt()
        self.display.show_pointer(False)
        self.display.clear()
        self.flip = self.display.flip()
        self._end_down_to(depth, self.flip.lsl_time_s, "skip")

    def _end_down_to(self, depth: int, at_s: float, why: str) -> None:
        while len(self._open) > depth:
            event, context, ending = self._open.pop()
            cut = {"cut_short": why} if event in CUT_SHORT else {}
            try:
                fields = {} if ending is None else ending()
            except Exception as error:  # noqa: BLE001 - the marker matters more than what it tells
                fields = {"error": f"{type(error).__name__}: {error}"}
            self._markers.push(event, at_s, **context, **fields, **cut)

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

    def prompt(self, prompt: Prompt, scale: Scale | None = None) -> None:
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
        Skipped
            By the operator, where the step may be skipped.
        StopAsked
            By the participant.
        """
        self._respond()
        self.inputs = self.display.events()
        if self.pressed(ABORT_KEY):
            raise Aborted("operator")
        if self.stop_key is not None and self.pressed(self.stop_key):
            raise StopAsked
        for command in self._operator.poll() if self._operator is not None else ():
            word, _, rest = command.strip().partition(" ")
            if word == "abort":
                raise Aborted(rest.strip() or "operator")
            if word in ("pause", "resume"):
                self.paused = word == "pause"
            if word == "recalibrate":
                self.recalibration_wanted = True
            if word == "note":
                self.push("note", text=rest.strip(), by="operator")
            if word == "skip" and self.may_skip:
                raise Skipped

    def _respond(self) -> None:
        """Press or click what the simulated participant decided, once it is time."""
        if self._due is None or self._due[0] > pylsl.local_clock():
            return
        _, response, scale = self._due
        self._due = None
        if response.key is not None:
            self.display.press(response.key)
        elif response.value is not None and scale is not None:
            for entry in scale.entries(response.value):
                self._enter(entry)

    def _enter(self, entry: Input) -> None:
        """Do on the participant's behalf what a scale says."""
        if isinstance(entry, KeyPress):
            self.display.press(entry.name)
        elif isinstance(entry, Click):
            self.display.click(entry.x_px, entry.y_px)
        else:
            self.display.type_text(entry.text)
