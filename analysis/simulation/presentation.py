"""A protocol run without a screen and without waiting: the real runner on a clock of its own.

The display does not draw; each flip moves its clock on by one refresh. Markers and shown frames are kept
instead of being sent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from duchenne.protocols.displays.base import Click, Flip, KeyPress, Typed, fit_rect
from duchenne.protocols.markers import MarkerOutlet, ShownFramesOutlet
from duchenne.protocols.responders import Response, SimulatedRater

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Self

    from duchenne.protocols.displays.base import Input, Rect, Shape
    from duchenne.protocols.responders import Prompt
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import Stimulus

AT_ONCE_S = -1e12
"""A delay that is over whatever the clock of the machine says: the display waits instead."""
RATING_RANGE = (1, 9)


class MarkerLog(MarkerOutlet):
    """Markers that are kept: ``rows`` of LSL time and JSON text."""

    def __init__(self, source_id: str) -> None:
        super().__init__(source_id=source_id)
        self.rows: list[tuple[float, str]] = []

    def push(self, event: str, lsl_time_s: float | None = None, **fields: Any) -> float:
        """Keep one marker, which must say when it happened."""
        if lsl_time_s is None:
            raise ValueError(f"{event} has no time: a simulated session has a clock of its own")
        return super().push(event, lsl_time_s, **fields)

    def send(self, sample: list[Any], lsl_time_s: float) -> None:
        """Keep a marker's text."""
        self.rows.append((lsl_time_s, *sample))


class ShownLog(ShownFramesOutlet):
    """Shown frames that are kept: ``rows`` of LSL time, trial, frame, media time and interval."""

    def __init__(self, source_id: str, nominal_rate_hz: float) -> None:
        super().__init__(source_id=source_id, nominal_rate_hz=nominal_rate_hz)
        self.rows: list[tuple[float, ...]] = []

    def send(self, sample: list[Any], lsl_time_s: float) -> None:
        """Keep what one flip showed."""
        self.rows.append((lsl_time_s, *sample))


class LoadedStill:
    """A picture that needs no loading."""

    def __init__(self, stimulus: Stimulus, rect_px: Rect) -> None:
        self.stimulus = stimulus
        self.rect_px = rect_px
        self.finished = False

    def report(self) -> dict[str, Any]:
        """Return nothing: a picture has no course."""
        return {}

    def close(self) -> None:
        """Do nothing."""


class ClockDisplay:
    """A display that is only a clock.

    Parameters
    ----------
    protocol : Protocol
        Declares screen and refresh rate.
    start_s : float
        LSL time of the first flip.

    Attributes
    ----------
    delay_s : float
        How long after the last flip the next answer comes.
    """

    def __init__(self, protocol: Protocol, start_s: float) -> None:
        screen = protocol.screen
        self.width_px, self.height_px = screen.width_px, screen.height_px
        self.refresh_hz = screen.refresh_hz
        self.delay_s = 0.0
        self._side = protocol.stimulus_height
        self._start_s = start_s
        self._n = -1
        self._actions: list[Callable[[], object]] = []
        self._coming: list[Input] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do nothing."""

    @property
    def now_s(self) -> float:
        """LSL time of the last flip."""
        return self._start_s + self._n / self.refresh_hz

    def description(self) -> dict[str, Any]:
        """Return what it is."""
        return {"renderer": "none", "pacing": "simulated clock", "measured_hz": self.refresh_hz}

    def load(self, stimulus: Stimulus) -> LoadedStill:
        """Return the place of a picture."""
        side = (self._side * self.width_px, self._side * self.height_px)
        width, height = float(stimulus.width_px or 4), float(stimulus.height_px or 3)
        whole = (float(self.width_px), float(self.height_px))
        return LoadedStill(stimulus, fit_rect(width, height, side, whole))

    def show(self, shapes: Sequence[Shape]) -> None:
        """Do nothing."""

    def show_stimulus(self, loaded: Any) -> None:
        """Do nothing."""

    def clear(self) -> None:
        """Do nothing."""

    def call_on_flip(self, action: Callable[[], object]) -> None:
        """Remember what the next flip calls."""
        self._actions.append(action)

    def flip(self) -> Flip:
        """Move the clock on by one refresh."""
        interval = math.nan if self._n < 0 else 1.0 / self.refresh_hz
        self._n += 1
        actions, self._actions = self._actions, []
        for action in actions:
            action()
        return Flip(self.now_s, interval)

    def events(self) -> list[Input]:
        """Return the answers that have become due."""
        due = [one for one in self._coming if one_s(one) <= self.now_s]
        if due:
            self._coming = [one for one in self._coming if one_s(one) > self.now_s]
        return due

    def pointer(self) -> tuple[float, float]:
        """Return the middle of the screen's lower edge, where nothing is."""
        return (self.width_px / 2, self.height_px - 1.0)

    def show_pointer(self, visible: bool) -> None:
        """Do nothing."""

    def press(self, name: str) -> None:
        """Press a key after the delay."""
        self._coming.append(KeyPress(name, self.now_s + self.delay_s))

    def click(self, x_px: float, y_px: float) -> None:
        """Click after the delay."""
        self._coming.append(Click(x_px, y_px, self.now_s + self.delay_s))

    def type_text(self, text: str) -> None:
        """Type after the delay."""
        self._coming.extend(Typed(letter, self.now_s + self.delay_s) for letter in text)

    def screenshot(self) -> npt.NDArray[np.uint8]:
        """Refuse: nothing is drawn."""
        raise NotImplementedError("a simulated clock draws nothing")


class PlantedRater(SimulatedRater):
    """Rates stimuli as the truth says, rounded to the scale; does the rest as any simulated rater.

    Parameters
    ----------
    display : ClockDisplay
        Makes the answer wait.
    ratings : mapping of str to mapping of str to float
        True answers by the name of the rating and the stimulus.
    seed : int
        Of response times.
    """

    def __init__(
        self, display: ClockDisplay, ratings: Mapping[str, Mapping[str, float]], seed: int
    ) -> None:
        super().__init__(seed)
        self._display = display
        self._ratings = ratings

    def respond(self, prompt: Prompt) -> Response | None:
        """Answer at once; the display delays it."""
        response = super().respond(prompt)
        if response is None:
            return None
        self._display.delay_s = response.delay_s
        key = response.key
        answers = self._ratings.get(prompt.name, {})
        if prompt.stimulus is not None and prompt.stimulus.id in answers:
            low, high = RATING_RANGE
            key = str(min(max(round(answers[prompt.stimulus.id]), low), high))
        return Response(AT_ONCE_S, key=key, value=response.value)


def one_s(entry: Input) -> float:
    """Return when something was entered, on the LSL clock."""
    return entry.lsl_time_s
