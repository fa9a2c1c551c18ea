"""What a scale is: a screen whose answer grows with what the participant presses, clicks and types."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from duchenne.protocols.displays.base import Box, Click, KeyPress
from duchenne.protocols.layout import ACCENT_RGB, filled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.protocols.displays.base import Input, Picture, Rect, Shape
    from duchenne.protocols.layout import Layout

CONFIRM_KEYS = ("return", "space")
WHITE = (1.0, 1.0, 1.0)
HOVER_RGB = (0.93, 0.93, 0.93)
QUESTION_Y, HINT_Y = 0.2, 0.94
QUESTION_ROOM = 0.24
"""Height of the place for the question, in screen heights."""
SMALL = 0.03
"""Height of labels and hints, in screen heights."""


@dataclass(frozen=True)
class Draft:
    """An answer while it is being given.

    Attributes
    ----------
    value : Any
        What would be stored now; None before anything was chosen.
    focus : int
        What the arrow keys have reached; -1 for nothing.
    done : bool
        The answer is given.
    """

    value: Any = None
    focus: int = -1
    done: bool = False

    def with_value(self, value: Any, **more: Any) -> Draft:
        """Return the draft with another value."""
        return replace(self, value=value, **more)


class Scale(Protocol):
    """A question on the screen."""

    def start(self) -> Draft:
        """Return what there is before the participant does anything."""

    def react(self, draft: Draft, entry: Input) -> Draft:
        """Return the draft after a key, a click or a character; the same one if it means nothing."""

    def hover(self, x_px: float, y_px: float) -> object:
        """Say what the mouse is over; None for nothing."""

    def shapes(self, draft: Draft, hover: object = None) -> list[Shape]:
        """Return what to draw."""

    def entries(self, value: Any) -> Sequence[Input]:
        """Return what a simulated participant does to give an answer; times are of no account."""


def press(name: str) -> KeyPress:
    """Return a key press of a simulated participant."""
    return KeyPress(name, 0.0)


def click(rect_px: Rect) -> Click:
    """Return a click of a simulated participant in the middle of a rectangle."""
    x0, y0, x1, y1 = rect_px
    return Click((x0 + x1) / 2, (y0 + y1) / 2, 0.0)


def holds(rect_px: Rect, x_px: float, y_px: float) -> bool:
    """Say whether a point lies in a rectangle."""
    x0, y0, x1, y1 = rect_px
    return x0 <= x_px < x1 and y0 <= y_px < y1


def middle(rect_px: Rect) -> tuple[float, float]:
    """Return the centre of a rectangle."""
    x0, y0, x1, y1 = rect_px
    return ((x0 + x1) / 2, (y0 + y1) / 2)


def question_words(layout: Layout, question: str, y: float = QUESTION_Y) -> Picture:
    """Return the question above a scale.

    Raises
    ------
    DoesNotFit
        It is too long.
    """
    return layout.words(
        question,
        (layout.width_px / 2, y * layout.height_px),
        0.86 * layout.width_px,
        layout.style(0.042),
        max_height_px=QUESTION_ROOM * layout.height_px,
    )


def hint_words(layout: Layout, hint: str) -> Picture:
    """Return the line at the foot of the screen."""
    place = (layout.width_px / 2, HINT_Y * layout.height_px)
    return layout.words(hint, place, 0.9 * layout.width_px, layout.style(0.026))


@dataclass(frozen=True)
class Button:
    """A button with words on it.

    Parameters
    ----------
    rect_px : Rect
    words : str
    """

    rect_px: Rect
    words: str

    def shapes(
        self, layout: Layout, *, hover: bool = False, chosen: bool = False, enabled: bool = True
    ) -> list[Shape]:
        """Return the button, marked where the mouse is over it or it was pressed.

        Raises
        ------
        DoesNotFit
            The words are too long for it.
        """
        x0, y0, x1, y1 = self.rect_px
        face = ACCENT_RGB if chosen else layout.panel
        ink = WHITE if chosen else layout.ink
        if not enabled:
            grey = (2 * face[0] + layout.foreground_grey) / 3
            ink = (grey, grey, grey)
        label = layout.words(
            self.words,
            middle(self.rect_px),
            x1 - x0 - 0.02 * layout.width_px,
            layout.style(SMALL, ink=ink, paper=face),
            max_height_px=y1 - y0,
        )
        frame = [framed(self.rect_px, layout)] if hover and enabled and not chosen else []
        return [filled(self.rect_px, face), label, *frame]


def framed(rect_px: Rect, layout: Layout, *, chosen: bool = False) -> Box:
    """Return the frame of what the mouse is over, or of what was chosen."""
    width_px = max(2.0, 0.004 * layout.height_px)
    return Box(rect_px, ACCENT_RGB if chosen else HOVER_RGB, width_px)


def button_rect(layout: Layout, y: float = 0.83, width: float = 0.24) -> Rect:
    """Return the place of a button in the middle of the screen."""
    half_w, half_h = width * layout.width_px / 2, 0.037 * layout.height_px
    x, middle_px = layout.width_px / 2, y * layout.height_px
    return (x - half_w, middle_px - half_h, x + half_w, middle_px + half_h)
