"""The affect grid: one mark for two values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from duchenne.protocols.displays.base import Box, Click, KeyPress
from duchenne.protocols.layout import ACCENT_RGB, filled
from duchenne.protocols.scales.base import (
    CONFIRM_KEYS,
    Draft,
    click,
    framed,
    holds,
    question_words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.protocols.displays.base import Input, Rect, Rgb, Shape
    from duchenne.protocols.layout import Layout
    from duchenne.protocols.parts_ratings import GridRating

FIELDS = 9
LABEL = 0.026
STEPS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


@dataclass(frozen=True)
class Grid:
    """9 by 9 fields: valence to the right, arousal upwards, 1 to 9 each.

    A click answers; or the arrow keys, from the middle, and Enter.

    Parameters
    ----------
    rating : GridRating
    layout : Layout
    """

    rating: GridRating
    layout: Layout

    @property
    def frame_px(self) -> Rect:
        """Where the grid is."""
        side = min(0.6 * self.layout.height_px, 0.5 * self.layout.width_px)
        x, y = self.layout.width_px / 2, 0.585 * self.layout.height_px
        return (x - side / 2, y - side / 2, x + side / 2, y + side / 2)

    def field_px(self, column: int, row: int) -> Rect:
        """Return a field's rectangle; columns from the left and rows from the top, from 0."""
        x0, y0, x1, _ = self.frame_px
        side = (x1 - x0) / FIELDS
        left, top = x0 + column * side, y0 + row * side
        return (left, top, left + side, top + side)

    def start(self) -> Draft:
        """Return an empty draft."""
        return Draft()

    def react(self, draft: Draft, entry: Input) -> Draft:
        """Take a click on a field, a step of the arrow keys, or Enter."""
        if isinstance(entry, Click):
            under = self.hover(entry.x_px, entry.y_px)
            return draft if under is None else Draft(_value(under), under, done=True)
        if not isinstance(entry, KeyPress):
            return draft
        if entry.name in STEPS:
            middle = FIELDS * FIELDS // 2
            if draft.focus < 0:
                return replace(draft, focus=middle)
            dx, dy = STEPS[entry.name]
            column = min(max(draft.focus % FIELDS + dx, 0), FIELDS - 1)
            row = min(max(draft.focus // FIELDS + dy, 0), FIELDS - 1)
            return replace(draft, focus=row * FIELDS + column)
        if entry.name in CONFIRM_KEYS and draft.focus >= 0:
            return Draft(_value(draft.focus), draft.focus, done=True)
        return draft

    def hover(self, x_px: float, y_px: float) -> int | None:
        """Return the field under the mouse, counted row by row from 0."""
        if not holds(self.frame_px, x_px, y_px):
            return None
        x0, y0, x1, y1 = self.frame_px
        column = int((x_px - x0) / (x1 - x0) * FIELDS)
        return int((y_px - y0) / (y1 - y0) * FIELDS) * FIELDS + column

    def shapes(self, draft: Draft, hover: object = None) -> list[Shape]:
        """Return question, grid and labels."""
        layout = self.layout
        shapes: list[Shape] = [question_words(layout, self.rating.question, 0.1)]
        shapes.append(filled(self.frame_px, layout.panel))
        x0, y0, x1, y1 = self.frame_px
        thin = max(1, round(0.0015 * layout.height_px))
        for i in range(FIELDS + 1):
            at = i * (x1 - x0) / FIELDS
            shapes.append(_bar((x0 + at, y0), (x0 + at, y1), layout.ink, thin))
            shapes.append(_bar((x0, y0 + at), (x1, y0 + at), layout.ink, thin))
        middle = FIELDS // 2
        shapes.append(Box(self.field_px(middle, middle), layout.ink, 2 * thin))
        shapes += self._labels()
        marked = draft.focus if draft.focus >= 0 else None
        for which, chosen in ((hover, False), (marked, True)):
            if isinstance(which, int):
                rect = self.field_px(which % FIELDS, which // FIELDS)
                if chosen and draft.done:
                    shapes.append(filled(rect, ACCENT_RGB))
                else:
                    shapes.append(framed(rect, layout, chosen=chosen))
        return shapes

    def _labels(self) -> list[Shape]:
        layout, rating = self.layout, self.rating
        x0, y0, x1, y1 = self.frame_px
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        margin, line = 0.015 * layout.height_px, 1.4 * LABEL * layout.height_px
        side = min(x0 - 2 * margin, 0.32 * layout.height_px)
        style = layout.style(LABEL)
        ends = (
            (rating.top, (x, y0 - margin - line / 2), (x1 - x0) * 0.55, line),
            (rating.bottom, (x, y1 + margin + line / 2), (x1 - x0) * 0.55, line),
            (rating.left, (x0 - margin - side / 2, y), side, 4 * line),
            (rating.right, (x1 + margin + side / 2, y), side, 4 * line),
        )
        found: list[Shape] = [
            layout.words(words, place, width, style, max_height_px=room)
            for words, place, width, room in ends
        ]
        corners = ((x0, y0), (x1, y0), (x0, y1), (x1, y1))
        for words, (corner_x, corner_y) in zip(rating.corners, corners, strict=False):
            outwards = -1 if corner_x == x0 else 1
            down = 1 if corner_y == y1 else -1
            place = (
                corner_x + outwards * (side / 2 + margin),
                corner_y - down * line / 2,
            )
            found.append(layout.words(words, place, side, style, max_height_px=2 * line))
        return found

    def entries(self, value: Any) -> Sequence[Input]:
        """Click on the field."""
        return [click(self.field_px(value["valence"] - 1, FIELDS - value["arousal"]))]


def _value(field: int) -> dict[str, int]:
    return {"valence": field % FIELDS + 1, "arousal": FIELDS - field // FIELDS}


def _bar(start_px: tuple[float, float], end_px: tuple[float, float], ink: Rgb, width: int) -> Shape:
    """Return a thin line along an axis, as thick everywhere."""
    x, y = round(start_px[0]) - width // 2, round(start_px[1]) - width // 2
    along_x, along_y = round(end_px[0] - start_px[0]), round(end_px[1] - start_px[1])
    return filled((x, y, x + along_x + width, y + along_y + width), ink)
