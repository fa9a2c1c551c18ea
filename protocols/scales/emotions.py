"""Discrete emotions: a list in which any number are marked, each with an intensity."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from duchenne.protocols.displays.base import Click, KeyPress
from duchenne.protocols.layout import ACCENT_RGB, filled
from duchenne.protocols.scales.base import (
    WHITE,
    Button,
    Draft,
    button_rect,
    click,
    framed,
    holds,
    middle,
    question_words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.protocols.displays.base import Input, Rect, Shape
    from duchenne.protocols.layout import Layout
    from duchenne.protocols.parts_ratings import EmotionsRating

BUTTON = "button"
ONE_COLUMN = 5
"""So many emotions fit in one column; more take two."""


@dataclass(frozen=True)
class Emotions:
    """Each emotion with boxes from 1 to the strongest; none marked is 0.

    A click marks a box, a second one takes the mark away. Arrow keys go from emotion to emotion, digits
    set the intensity. Enter or the button answers.

    Parameters
    ----------
    rating : EmotionsRating
    layout : Layout
    button : str
        Words on the button.
    """

    rating: EmotionsRating
    layout: Layout
    button: str = "Continue"

    def row_px(self, i: int) -> Rect:
        """Return the rectangle of an emotion: its name and its boxes."""
        layout, n = self.layout, len(self.rating.emotions)
        columns = 1 if n <= ONE_COLUMN else 2
        rows = math.ceil(n / columns)
        height = min(0.08, 0.5 / rows) * layout.height_px
        width = (0.5 if columns == 1 else 0.46) * layout.width_px
        column, row = divmod(i, rows)
        left = layout.width_px / 2 + (column - columns / 2) * width
        top = 0.52 * layout.height_px + (row - rows / 2) * height
        inset = 0.022 * layout.width_px
        return (left + inset, top, left + width - inset, top + 0.86 * height)

    def box_px(self, i: int, level: int) -> Rect:
        """Return the rectangle of a box, `level` from 1."""
        x0, y0, x1, y1 = self.row_px(i)
        pitch = min(y1 - y0, (x1 - x0) * 0.55 / self.rating.intensity)
        left = x1 - (self.rating.intensity - level + 1) * pitch
        side = 0.86 * pitch
        y = (y0 + y1) / 2
        return (left, y - side / 2, left + side, y + side / 2)

    def start(self) -> Draft:
        """Return a draft in which nothing is felt."""
        return Draft(dict.fromkeys(self.rating.emotions, 0))

    def react(self, draft: Draft, entry: Input) -> Draft:
        """Mark a box, move on, or answer."""
        if isinstance(entry, Click):
            over = self.hover(entry.x_px, entry.y_px)
            if over == BUTTON:
                return replace(draft, done=True)
            return self._set(draft, *over) if isinstance(over, tuple) else draft
        if isinstance(entry, KeyPress):
            return self._pressed(draft, entry.name)
        return draft

    def _pressed(self, draft: Draft, key: str) -> Draft:
        n = len(self.rating.emotions)
        if key == "return":
            return replace(draft, done=True)
        if key in ("down", "right", "tab"):
            return replace(draft, focus=min(draft.focus + 1, n - 1))
        if key in ("up", "left"):
            return replace(draft, focus=max(draft.focus - 1, 0))
        if key.isdigit() and draft.focus >= 0 and int(key) <= self.rating.intensity:
            name = self.rating.emotions[draft.focus]
            return replace(draft, value={**draft.value, name: int(key)})
        return draft

    def _set(self, draft: Draft, i: int, level: int) -> Draft:
        name = self.rating.emotions[i]
        value = 0 if draft.value[name] == level else level
        return replace(draft, value={**draft.value, name: value}, focus=i)

    def hover(self, x_px: float, y_px: float) -> object:
        """Return emotion and level under the mouse, or that it is over the button."""
        if holds(button_rect(self.layout, 0.87), x_px, y_px):
            return BUTTON
        for i in range(len(self.rating.emotions)):
            if holds(self.row_px(i), x_px, y_px):
                for level in range(1, self.rating.intensity + 1):
                    if holds(self.box_px(i, level), x_px, y_px):
                        return (i, level)
        return None

    def shapes(self, draft: Draft, hover: object = None) -> list[Shape]:
        """Return question, what the numbers mean, emotions, boxes and button."""
        layout, rating = self.layout, self.rating
        shapes: list[Shape] = [question_words(layout, rating.question, 0.14)]
        if rating.intensity > 1:
            shapes.append(self._ends())
        for i, name in enumerate(rating.emotions):
            x0, y0, _, y1 = self.row_px(i)
            width = self.box_px(i, 1)[0] - x0 - 0.015 * layout.width_px
            style = layout.style(min(0.032, 0.6 * (y1 - y0) / layout.height_px), align="start")
            place = (x0 + width / 2, (y0 + y1) / 2)
            shapes.append(layout.words(name, place, width, style, max_height_px=(y1 - y0) * 1.1))
            for level in range(1, rating.intensity + 1):
                shapes += self._box(i, level, draft.value[name], over=hover == (i, level))
            if i == draft.focus and not draft.done:
                margin = 0.01 * layout.width_px
                x1 = self.box_px(i, rating.intensity)[2]
                shapes.append(framed((x0 - margin, y0, x1 + margin, y1), layout))
        shapes += Button(button_rect(layout, 0.87), self.button).shapes(
            layout, hover=hover == BUTTON, chosen=draft.done
        )
        return shapes

    def _ends(self) -> Shape:
        """Return what the lowest and the highest number stand for."""
        layout, rating = self.layout, self.rating
        words = f"1  {rating.weak}   –   {rating.intensity}  {rating.strong}"
        place = (layout.width_px / 2, 0.235 * layout.height_px)
        width, height = 0.9 * layout.width_px, 0.05 * layout.height_px
        return layout.words(words, place, width, layout.style(0.03), max_height_px=height)

    def _box(self, i: int, level: int, chosen: int, *, over: bool) -> list[Shape]:
        layout, rect = self.layout, self.box_px(i, level)
        marked = level <= chosen
        face = ACCENT_RGB if marked else layout.panel
        style = layout.style(
            0.5 * (rect[3] - rect[1]) / layout.height_px,
            ink=WHITE if marked else layout.ink,
            paper=face,
        )
        words = str(level) if self.rating.intensity > 1 else "×" if marked else ""
        label = [layout.words(words, middle(rect), rect[2] - rect[0], style)] if words else []
        frame = [framed(rect, layout)] if over else []
        return [filled(rect, face), *label, *frame]

    def entries(self, value: Any) -> Sequence[Input]:
        """Click on the boxes and on the button."""
        clicks = [
            click(self.box_px(i, value[name]))
            for i, name in enumerate(self.rating.emotions)
            if value.get(name, 0) > 0
        ]
        return [*clicks, click(button_rect(self.layout, 0.87))]
