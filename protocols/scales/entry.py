"""Answers that are typed: words and numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from duchenne.protocols.displays.base import Click, Typed
from duchenne.protocols.layout import DoesNotFit, filled
from duchenne.protocols.scales.base import (
    SMALL,
    Button,
    Draft,
    button_rect,
    hint_words,
    holds,
    press,
    question_words,
)
from duchenne.protocols.typesetting import broken_lines, height_of
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.protocols.displays.base import Input, Rect, Shape
    from duchenne.protocols.layout import Layout
    from duchenne.protocols.parts_ratings import NumberRating, TextRating
    from duchenne.protocols.typesetting import Align, Style

BUTTON = "button"
CARET = "|"
INSET = 0.015
"""Between the field's edge and the text, in screen heights."""
LONGEST_NUMBER = 12


@dataclass(frozen=True)
class Entry:
    """A field that takes what is typed; backspace takes it away, Enter or the button answers.

    The draft's value is the text as typed; `result` gives what is stored.

    Parameters
    ----------
    rating : TextRating or NumberRating
    layout : Layout
    button : str
        Words on the button.
    """

    rating: TextRating | NumberRating
    layout: Layout
    button: str = "Continue"

    @property
    def field_px(self) -> Rect:
        """Where the typed text is."""
        layout = self.layout
        wide = 0.8 if self.rating.type == "text" else 0.3
        top, bottom = (0.36, 0.72) if self.rating.type == "text" else (0.48, 0.58)
        x, half = layout.width_px / 2, wide * layout.width_px / 2
        return (x - half, top * layout.height_px, x + half, bottom * layout.height_px)

    def start(self) -> Draft:
        """Return an empty draft."""
        return Draft("")

    def react(self, draft: Draft, entry: Input) -> Draft:
        """Take a character, a backspace, Enter, or a click on the button."""
        if isinstance(entry, Typed):
            return self._typed(draft, entry.text)
        if isinstance(entry, Click):
            over_button = self.hover(entry.x_px, entry.y_px) == BUTTON
            return self._answered(draft) if over_button else draft
        if entry.name == "backspace":
            return replace(draft, value=draft.value[:-1])
        return self._answered(draft) if entry.name == "return" else draft

    def _typed(self, draft: Draft, text: str) -> Draft:
        rating = self.rating
        if rating.type == "number":
            if not all(c.isdigit() or c in ".,-" for c in text):
                return draft
            longest = LONGEST_NUMBER
        else:
            longest = rating.max_length
        after = replace(draft, value=(draft.value + text)[:longest])
        try:
            self._broken(after.value + CARET)
        except DuchenneError:  # the field is full, or no font has the character
            return draft
        return after

    def _answered(self, draft: Draft) -> Draft:
        return replace(draft, done=True) if self.is_complete(draft) else draft

    def is_complete(self, draft: Draft) -> bool:
        """Say whether the draft is an answer."""
        rating = self.rating
        if rating.type == "number":
            value = self.result(draft)
            return value is not None and rating.min <= value <= rating.max
        return rating.optional or bool(draft.value.strip())

    def result(self, draft: Draft) -> Any:
        """Return the text without outer spaces, or the number; None for what is no number."""
        if self.rating.type == "text":
            return draft.value.strip()
        try:
            number = float(draft.value.replace(",", "."))
        except ValueError:
            return None
        return int(number) if number.is_integer() else number

    def hover(self, x_px: float, y_px: float) -> object:
        """Say whether the mouse is over the button."""
        return BUTTON if holds(button_rect(self.layout), x_px, y_px) else None

    def shapes(self, draft: Draft, hover: object = None) -> list[Shape]:
        """Return question, field, what has been typed, and button."""
        layout, rating = self.layout, self.rating
        shapes: list[Shape] = [question_words(layout, rating.question)]
        shapes.append(filled(self.field_px, layout.panel))
        shapes += self._content(draft.value + ("" if draft.done else CARET))
        shapes += Button(button_rect(layout), self.button).shapes(
            layout,
            hover=hover == BUTTON,
            chosen=draft.done,
            enabled=self.is_complete(draft),
        )
        if rating.type == "number":
            bounds = f"{rating.min:g} – {rating.max:g} {rating.unit}".strip()
            place = (layout.width_px / 2, self.field_px[3] + 0.04 * layout.height_px)
            shapes.append(layout.words(bounds, place, 0.5 * layout.width_px, layout.style(0.026)))
        elif len(draft.value) >= rating.max_length:
            shapes.append(hint_words(layout, f"{len(draft.value)} / {rating.max_length}"))
        return shapes

    def _content(self, text: str) -> list[Shape]:
        """Return what has been typed, line by line, so that those that stay are not drawn again.

        Raises
        ------
        DoesNotFit
            The field is too small for it.
        """
        lines, style, width = self._broken(text)
        inset = round(INSET * self.layout.height_px)
        x0, y0, _, y1 = (round(edge) for edge in self.field_px)
        height = height_of(lines, style)
        top = y0 + inset if style.align == "start" else round((y0 + y1 - height) / 2)
        shapes: list[Shape] = []
        for line in lines:
            if line:
                shapes.append(self.layout.lines((line,), (x0 + inset, top), width, style))
            top += height_of((line,), style)
        return shapes

    def _broken(self, text: str) -> tuple[tuple[str, ...], Style, int]:
        """Return the lines of a text, how they look, and how wide they are.

        Raises
        ------
        DoesNotFit
            The field is too small for it.
        """
        layout = self.layout
        x0, y0, x1, y1 = self.field_px
        inset = round(INSET * layout.height_px)
        width = int(x1 - x0) - 2 * inset
        align: Align = "start" if self.rating.type == "text" else "center"
        style = layout.style(SMALL if align == "start" else 0.04, align=align, paper=layout.panel)
        lines = broken_lines(text, style, width)
        if height_of(lines, style) > y1 - y0 - inset:
            raise DoesNotFit("the field is full")
        return lines, style, width

    def entries(self, value: Any) -> Sequence[Input]:
        """Type it and press Enter."""
        return [*(Typed(c, 0.0) for c in str(value)), press("return")]
