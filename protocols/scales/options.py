"""Scales on which one of several is chosen: points in a row, and options one below the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from duchenne.protocols.displays.base import Click, KeyPress
from duchenne.protocols.layout import ACCENT_RGB, filled
from duchenne.protocols.scales.base import (
    CONFIRM_KEYS,
    SMALL,
    WHITE,
    Button,
    Draft,
    click,
    framed,
    holds,
    question_words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.protocols.displays.base import Input, Rect, Shape
    from duchenne.protocols.layout import Layout
    from duchenne.protocols.parts_ratings import LikertRating

FORWARD, BACK = ("right", "down"), ("left", "up")


@dataclass(frozen=True)
class Likert:
    """Numbered points in a row: a number key, the arrow keys and Enter, or a click answers.

    Parameters
    ----------
    rating : LikertRating
    layout : Layout
    """

    rating: LikertRating
    layout: Layout

    def cell_px(self, i: int) -> Rect:
        """Return the clickable rectangle of a point: its number and its label."""
        layout, n = self.layout, self.rating.points
        width = min(0.9 * layout.width_px / n, 0.3 * layout.height_px)
        left = layout.width_px / 2 + (i - n / 2) * width
        return (left, 0.42 * layout.height_px, left + width, 0.72 * layout.height_px)

    def start(self) -> Draft:
        """Return an empty draft."""
        return Draft()

    def react(self, draft: Draft, entry: Input) -> Draft:
        """Take a number, a step of the arrow keys, Enter, or a click."""
        first, n = self.rating.first, self.rating.points
        if isinstance(entry, Click):
            under = self.hover(entry.x_px, entry.y_px)
            return draft if under is None else Draft(first + under, under, done=True)
        if not isinstance(entry, KeyPress):
            return draft
        if entry.name.isdigit() and first <= int(entry.name) < first + n:
            return Draft(int(entry.name), int(entry.name) - first, done=True)
        return _by_arrows(draft, entry.name, [first + i for i in range(n)])

    def hover(self, x_px: float, y_px: float) -> int | None:
        """Return the point under the mouse, counted from 0."""
        return _under([self.cell_px(i) for i in range(self.rating.points)], x_px, y_px)

    def shapes(self, draft: Draft, hover: object = None) -> list[Shape]:
        """Return question, points and labels."""
        rating, layout = self.rating, self.layout
        shapes: list[Shape] = [question_words(layout, rating.question)]
        for i in range(rating.points):
            x0, y0, x1, y1 = self.cell_px(i)
            half = min(0.035 * layout.height_px, 0.42 * (x1 - x0))
            x, y = (x0 + x1) / 2, y0 + 0.07 * layout.height_px
            chosen = draft.done and draft.focus == i
            disc = (x - half, y - half, x + half, y + half)
            face = ACCENT_RGB if chosen else layout.panel
            style = layout.style(0.036, ink=WHITE if chosen else layout.ink, paper=face)
            shapes.append(filled(disc, face))
            shapes.append(layout.words(str(rating.first + i), (x, y), 2 * half, style))
            if len(rating.labels) == rating.points:
                room = (y1 - y0) - 0.13 * layout.height_px
                shapes.append(
                    layout.words(
                        rating.labels[i],
                        (x, y1 - room / 2),
                        x1 - x0 - 0.01 * layout.width_px,
                        layout.style(min(SMALL, 0.15 * (x1 - x0) / layout.height_px)),
                        max_height_px=room,
                    )
                )
            if i in (hover, draft.focus) and not draft.done:
                shapes.append(framed(self.cell_px(i), layout, chosen=i == draft.focus))
        if len(rating.labels) == 2:
            shapes += self._ends()
        return shapes

    def _ends(self) -> list[Shape]:
        layout = self.layout
        y = 0.63 * layout.height_px
        first, last = self.cell_px(0), self.cell_px(self.rating.points - 1)
        centres = ((first[0] + first[2]) / 2, (last[0] + last[2]) / 2)
        width = min(0.24 * layout.width_px, 0.98 * (centres[1] - centres[0]))
        left = max(centres[0], width / 2 + 0.02 * layout.width_px)
        right = layout.width_px - left
        room = 0.18 * layout.height_px
        style = layout.style(SMALL)
        return [
            layout.words(words, (x, y), width, style, max_height_px=room)
            for words, x in zip(self.rating.labels, (left, right), strict=True)
        ]

    def entries(self, value: Any) -> Sequence[Input]:
        """Click on the point."""
        return [click(self.cell_px(int(value) - self.rating.first))]


@dataclass(frozen=True)
class Choice:
    """Options one below the other: a number key, the arrow keys and Enter, or a click answers.

    Parameters
    ----------
    question : str
    options : tuple of str
        Words on the screen.
    values : tuple of str
        What is stored.
    layout : Layout
    """

    question: str
    options: tuple[str, ...]
    values: tuple[str, ...]
    layout: Layout

    def cell_px(self, i: int) -> Rect:
        """Return the rectangle of an option."""
        layout, n = self.layout, len(self.options)
        step = min(0.095, 0.52 / n) * layout.height_px
        top = 0.6 * layout.height_px - n * step / 2 + i * step
        half = 0.3 * layout.width_px
        x = layout.width_px / 2
        return (x - half, top, x + half, top + 0.84 * step)

    def start(self) -> Draft:
        """Return an empty draft."""
        return Draft()

    def react(self, draft: Draft, entry: Input) -> Draft:
        """Take a number, a step of the arrow keys, Enter, or a click."""
        if isinstance(entry, Click):
            under = self.hover(entry.x_px, entry.y_px)
            return draft if under is None else Draft(self.values[under], under, done=True)
        if not isinstance(entry, KeyPress):
            return draft
        if entry.name.isdigit() and 1 <= int(entry.name) <= len(self.values):
            i = int(entry.name) - 1
            return Draft(self.values[i], i, done=True)
        return _by_arrows(draft, entry.name, self.values)

    def hover(self, x_px: float, y_px: float) -> int | None:
        """Return the option under the mouse, counted from 0."""
        return _under([self.cell_px(i) for i in range(len(self.options))], x_px, y_px)

    def shapes(self, draft: Draft, hover: object = None) -> list[Shape]:
        """Return the question and the options."""
        shapes: list[Shape] = [question_words(self.layout, self.question)]
        for i, words in enumerate(self.options):
            chosen = draft.done and draft.focus == i
            button = Button(self.cell_px(i), f"{i + 1}   {words}")
            shapes += button.shapes(self.layout, hover=hover == i and not draft.done, chosen=chosen)
            if draft.focus == i and not draft.done:
                shapes.append(framed(self.cell_px(i), self.layout, chosen=True))
        return shapes

    def entries(self, value: Any) -> Sequence[Input]:
        """Click on the option."""
        return [click(self.cell_px(self.values.index(value)))]


@dataclass(frozen=True)
class Decision:
    """Two buttons side by side under a page of text; each has a letter.

    Parameters
    ----------
    buttons : tuple of (value, words, key)
        Two.
    layout : Layout
    """

    buttons: tuple[tuple[str, str, str], ...]
    layout: Layout

    def cell_px(self, i: int) -> Rect:
        """Return the rectangle of a button."""
        layout = self.layout
        width, gap = 0.3 * layout.width_px, 0.06 * layout.width_px
        left = layout.width_px / 2 + (i - 1) * width + (i - 0.5) * gap
        return (left, 0.865 * layout.height_px, left + width, 0.945 * layout.height_px)

    def start(self) -> Draft:
        """Return an empty draft."""
        return Draft()

    def react(self, draft: Draft, entry: Input) -> Draft:
        """Take one of the letters or a click."""
        i = None
        if isinstance(entry, Click):
            i = self.hover(entry.x_px, entry.y_px)
        elif isinstance(entry, KeyPress):
            found = [i for i, (_, _, key) in enumerate(self.buttons) if key == entry.name]
            i = found[0] if found else None
        return draft if i is None else Draft(self.buttons[i][0], i, done=True)

    def hover(self, x_px: float, y_px: float) -> int | None:
        """Return the button under the mouse, counted from 0."""
        return _under([self.cell_px(i) for i in range(len(self.buttons))], x_px, y_px)

    def shapes(self, draft: Draft, hover: object = None) -> list[Shape]:
        """Return the buttons."""
        shapes: list[Shape] = []
        for i, (_, words, key) in enumerate(self.buttons):
            button = Button(self.cell_px(i), f"{words}   [{key.upper()}]")
            chosen = draft.done and draft.focus == i
            shapes += button.shapes(self.layout, hover=hover == i, chosen=chosen)
        return shapes

    def entries(self, value: Any) -> Sequence[Input]:
        """Click on the button."""
        values = [value_ for value_, _, _ in self.buttons]
        return [click(self.cell_px(values.index(value)))]


def _by_arrows(draft: Draft, key: str, values: Sequence[Any]) -> Draft:
    """Move the focus, or take what it is on."""
    if key in FORWARD:
        return replace(draft, focus=min(draft.focus + 1, len(values) - 1))
    if key in BACK:
        return replace(
            draft, focus=max(draft.focus - 1, 0) if draft.focus >= 0 else len(values) - 1
        )
    if key in CONFIRM_KEYS and draft.focus >= 0:
        return Draft(values[draft.focus], draft.focus, done=True)
    return draft


def _under(cells: Sequence[Rect], x_px: float, y_px: float) -> int | None:
    return next((i for i, cell in enumerate(cells) if holds(cell, x_px, y_px)), None)
