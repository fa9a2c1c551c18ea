"""The visual analogue scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.protocols.displays.base import Click, KeyPress
from duchenne.protocols.layout import ACCENT_RGB, filled
from duchenne.protocols.scales.base import (
    CONFIRM_KEYS,
    HOVER_RGB,
    SMALL,
    Button,
    Draft,
    button_rect,
    click,
    holds,
    question_words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.protocols.displays.base import Input, Rect, Shape
    from duchenne.protocols.layout import Layout
    from duchenne.protocols.parts_ratings import SliderRating

LARGEST = 100
MIDDLE = 50
BUTTON = "button"


@dataclass(frozen=True)
class Slider:
    """A line from 0 to 100 without a mark at first.

    A click sets the mark, and so do the arrow keys, from the middle; Enter or the button answers.

    Parameters
    ----------
    rating : SliderRating
    layout : Layout
    button : str
        Words on the button.
    """

    rating: SliderRating
    layout: Layout
    button: str = "Continue"

    @property
    def track_px(self) -> Rect:
        """The line, and the band around it in which clicks count."""
        layout = self.layout
        x0, x1 = 0.15 * layout.width_px, 0.85 * layout.width_px
        y, half = 0.55 * layout.height_px, 0.04 * layout.height_px
        return (x0, y - half, x1, y + half)

    def start(self) -> Draft:
        """Return a draft without a mark."""
        return Draft()

    def react(self, draft: Draft, entry: Input) -> Draft:
        """Move the mark, or answer with where it is."""
        if isinstance(entry, Click):
            over = self.hover(entry.x_px, entry.y_px)
            if over == BUTTON and draft.value is not None:
                return draft.with_value(draft.value, done=True)
            return draft.with_value(over) if isinstance(over, int) else draft
        if not isinstance(entry, KeyPress):
            return draft
        if entry.name in CONFIRM_KEYS:
            return draft.with_value(draft.value, done=True) if draft.value is not None else draft
        step = self.rating.step
        moves = {
            "left": -step, "down": -step, "right": step, "up": step,
            "pagedown": -10 * step, "pageup": 10 * step,
        }  # fmt: skip
        if entry.name not in moves:
            return draft
        start = MIDDLE if draft.value is None else draft.value
        return draft.with_value(min(max(start + moves[entry.name], 0), LARGEST))

    def hover(self, x_px: float, y_px: float) -> object:
        """Return the position under the mouse, or that it is over the button."""
        x0, y0, x1, y1 = self.track_px
        if holds(button_rect(self.layout), x_px, y_px):
            return BUTTON
        margin = 0.02 * self.layout.width_px
        if not holds((x0 - margin, y0, x1 + margin, y1), x_px, y_px):
            return None
        return round(LARGEST * min(max((x_px - x0) / (x1 - x0), 0.0), 1.0))

    def shapes(self, draft: Draft, hover: object = None) -> list[Shape]:
        """Return question, line, mark and button."""
        layout, rating = self.layout, self.rating
        x0, y0, x1, y1 = self.track_px
        y, half = (y0 + y1) / 2, max(1.0, 0.003 * layout.height_px)
        shapes: list[Shape] = [question_words(layout, rating.question)]
        shapes.append(filled((x0, y - half, x1, y + half), layout.ink))
        for x in (x0, x1):
            end = (x - half, y - 6 * half, x + half, y + 6 * half)
            shapes.append(filled(end, layout.ink))
        room = 0.09 * layout.height_px
        width = 0.25 * layout.width_px
        for words, x in ((rating.left, x0), (rating.right, x1)):
            place = (min(max(x, width / 2 + 0.02 * layout.width_px), 0.98 * layout.width_px - width / 2),
                     y1 + 0.02 * layout.height_px + room / 2)  # fmt: skip
            shapes.append(
                layout.words(words, place, width, layout.style(SMALL), max_height_px=room)
            )
        if isinstance(hover, int) and not draft.done:
            shapes.append(self._mark(hover, HOVER_RGB, 0.5))
        if draft.value is not None:
            shapes.append(self._mark(draft.value, ACCENT_RGB, 1.0))
        shapes += Button(button_rect(layout), self.button).shapes(
            layout,
            hover=hover == BUTTON,
            chosen=draft.done,
            enabled=draft.value is not None,
        )
        return shapes

    def _mark(self, value: int, rgb: tuple[float, float, float], size: float) -> Shape:
        x0, y0, x1, y1 = self.track_px
        x = x0 + (x1 - x0) * value / LARGEST
        half = max(2.0, 0.006 * self.layout.height_px) * size
        middle, reach = (y0 + y1) / 2, (y1 - y0) / 2 * size
        return filled((x - half, middle - reach, x + half, middle + reach), rgb)

    def entries(self, value: Any) -> Sequence[Input]:
        """Click on the line and on the button."""
        x0, y0, x1, y1 = self.track_px
        x = x0 + (x1 - x0) * value / LARGEST
        return [Click(x, (y0 + y1) / 2, 0.0), click(button_rect(self.layout))]
