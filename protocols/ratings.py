"""Self-assessment by manikins: our own drawings, nine steps, for valence, arousal and dominance.

The idea of rating one's feelings on rows of simple figures, from a frown to a smile, from calm to
excited and from small to large, is that of the Self-Assessment Manikin (Bradley & Lang, 1994, J. Behav.
Ther. Exp. Psychiatry 25, 49-59). The figures here are drawn by this module, one for each of the nine steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from duchenne.protocols.displays.base import Box, Picture, Rect, Shape
from duchenne.protocols.layout import ACCENT_RGB as CHOSEN_RGB
from duchenne.protocols.layout import Layout
from duchenne.protocols.scales.base import question_words

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.ImageDraw import ImageDraw

Dimension = Literal["valence", "arousal", "dominance"]
STEPS = 9
DOMINANCE_SIZES = (0.24, 1.0)
"""Of the smallest and the largest figure, against the others."""
OVERSAMPLING = 4
"""Figures are drawn so many times larger and reduced, which smooths their edges."""
HOVER_RGB = (0.93, 0.93, 0.93)


@dataclass(frozen=True)
class SamScale:
    """One rating screen: a question over nine numbered figures in a row.

    Parameters
    ----------
    dimension : {"valence", "arousal", "dominance"}
        What the figures depict: 1 unpleasant, calm or controlled, 9 pleasant, excited or in control.
    question : str
        Text above them.
    width_px, height_px : int
        Size of the screen.
    background_grey, foreground_grey : float
        sRGB grey levels, 0 to 1.
    font : str or None
        See `duchenne.protocols.fonts.font_for`.
    """

    dimension: Dimension
    question: str
    width_px: int
    height_px: int
    background_grey: float = 0.5
    foreground_grey: float = 0.0
    font: str | None = None

    @property
    def layout(self) -> Layout:
        """The screen it is drawn on."""
        return Layout(
            self.width_px, self.height_px, self.background_grey, self.foreground_grey, self.font
        )

    def cell_px(self, value: int) -> Rect:
        """Return the clickable rectangle of a value, 1 to 9: the figure and its number."""
        cell = self._cell_width_px
        left = self.width_px / 2 + (value - 1 - STEPS / 2) * cell
        middle = self.height_px * 0.55
        return (left, middle - cell * 0.82, left + cell, middle + cell * 0.98)

    def value_at(self, x_px: float, y_px: float) -> int | None:
        """Return the value whose cell holds a point of the screen; None outside all cells."""
        for value in range(1, STEPS + 1):
            x0, y0, x1, y1 = self.cell_px(value)
            if x0 <= x_px < x1 and y0 <= y_px < y1:
                return value
        return None

    def shapes(self, *, hover: int | None = None, chosen: int | None = None) -> list[Shape]:
        """Return what to draw, with the value under the mouse and the one chosen marked."""
        layout, cell = self.layout, self._cell_width_px
        result: list[Shape] = [question_words(layout, self.question, 0.24), self._figures]
        for value in range(1, STEPS + 1):
            x0, _, x1, y1 = self.cell_px(value)
            is_chosen = value == chosen
            style = layout.style(
                cell * 0.24 / self.height_px,
                bold=is_chosen,
                ink=CHOSEN_RGB if is_chosen else layout.ink,
            )
            place = ((x0 + x1) / 2, y1 - cell * 0.21)
            result.append(layout.words(str(value), place, cell * 0.9, style))
        if hover is not None and chosen is None:
            result.append(Box(self.cell_px(hover), HOVER_RGB, max(2.0, cell * 0.025)))
        if chosen is not None:
            result.append(Box(self.cell_px(chosen), CHOSEN_RGB, max(3.0, cell * 0.04)))
        return result

    @property
    def _cell_width_px(self) -> float:
        return min(0.9 * self.width_px / STEPS, 0.24 * self.height_px)

    @property
    def _figures(self) -> Picture:
        size = round(self._cell_width_px)
        x0, y0, x1 = *self.cell_px(1)[:2], self.cell_px(STEPS)[2]
        row = manikin_row(self.dimension, size, self.background_grey, self.foreground_grey)
        top = round(y0 + 0.07 * size)
        left = round((x0 + x1 - row.shape[1]) / 2)
        return Picture(row, (left, top, left + row.shape[1], top + row.shape[0]))


@lru_cache(maxsize=8)
def manikin_row(
    dimension: Dimension, cell_px: int, background_grey: float, ink_grey: float
) -> npt.NDArray[np.uint8]:
    """Return the nine figures side by side.

    Returns
    -------
    ndarray
        Shape (1.3 cell_px, 9 cell_px, 3), uint8.
    """
    figures = [
        manikin(dimension, value, cell_px, background_grey, ink_grey)
        for value in range(1, STEPS + 1)
    ]
    return np.concatenate(figures, axis=1)


def manikin(
    dimension: Dimension,
    value: int,
    cell_px: int,
    background_grey: float = 0.5,
    ink_grey: float = 0.0,
) -> npt.NDArray[np.uint8]:
    """Draw one figure.

    Parameters
    ----------
    dimension : {"valence", "arousal", "dominance"}
        Valence goes from a frown to a smile; arousal from closed eyes and a quiet chest to wide eyes
        and a large burst in the chest; dominance from a very small figure to one that fills its place.
    value : int
        1 to 9.
    cell_px : int
        Width of the drawing; its height is 1.3 times that.
    background_grey, ink_grey : float
        sRGB grey levels, 0 to 1.

    Returns
    -------
    ndarray
        Shape (1.3 cell_px, cell_px, 3), uint8.
    """
    from PIL import Image, ImageDraw  # noqa: PLC0415 - not part of the core install

    if not 1 <= value <= STEPS:
        raise ValueError(f"value {value} is not between 1 and {STEPS}")
    width, height = cell_px * OVERSAMPLING, round(cell_px * 1.3) * OVERSAMPLING
    image = Image.new("L", (width, height), round(255 * background_grey))
    level = (value - 1) / (STEPS - 1)
    size = DOMINANCE_SIZES[0] + (DOMINANCE_SIZES[1] - DOMINANCE_SIZES[0]) * level
    scale = size if dimension == "dominance" else 1.0
    pen = _Pen(ImageDraw.Draw(image), width, round(255 * ink_grey), scale)
    if dimension == "valence":
        pen.body(0.33, arms=True)
        pen.valence_face(2 * level - 1)
    elif dimension == "dominance":
        pen.body(0.33, arms=True)
        pen.valence_face(0.0)
    else:
        pen.body(0.38, arms=False)
        pen.arousal_face(level)
        pen.burst(level)
    small = image.resize((cell_px, round(cell_px * 1.3)), Image.Resampling.LANCZOS)
    return np.repeat(np.asarray(small, dtype=np.uint8)[:, :, None], 3, axis=2)


class _Pen:
    """Draws the parts of a figure in units of the cell's width."""

    HEAD = (0.5, 0.33, 0.285)
    """Centre x, centre y and radius."""
    SKIN = 246

    FOOT = (0.5, 1.27)
    """The point that stays where it is when a figure is drawn smaller."""

    def __init__(self, draw: ImageDraw, cell: float, ink: int, size: float = 1.0) -> None:
        self._draw = draw
        self._scale = cell * size
        self._origin = tuple(cell * (1.0 - size) * length for length in self.FOOT)
        self._ink = ink
        self._line = max(1, round(0.02 * cell * max(size, 0.6)))

    def _px(self, *lengths: float) -> tuple[float, ...]:
        """Return x, y, x, y, … in pixels."""
        return tuple(self._origin[i % 2] + self._scale * length for i, length in enumerate(lengths))

    def body(self, half_width: float, *, arms: bool) -> None:
        """Draw a rounded torso and, before it, the head."""
        line, ink = self._line, self._ink
        box = self._px(0.5 - half_width, 0.57, 0.5 + half_width, 1.27)
        self._draw.rounded_rectangle(box, self._scale * 0.17, self.SKIN, ink, line)
        if arms:
            for side in (-1, 1):
                x = 0.5 + side * (half_width - 0.115)
                self._draw.line(self._px(x, 0.86, x, 1.27 - 0.02), ink, line)
        x, y, r = self.HEAD
        self._draw.ellipse(self._px(x - r, y - r, x + r, y + r), self.SKIN, ink, line)

    def valence_face(self, mood: float) -> None:
        """Draw eyes, brows and mouth; `mood` runs from -1 (frown) to 1 (smile)."""
        x, y, _ = self.HEAD
        sorrow = max(-mood, 0.0)
        for side in (-1, 1):
            self._dot(x + side * 0.105, y - 0.05, 0.03)
            if mood > 0:
                self._arc(x + side * 0.11, y - 0.135 - 0.01 * mood, 0.055, -0.035 * mood)
            else:
                inner = (x + side * 0.055, y - 0.13 - 0.035 * sorrow)
                self._stroke([inner, (x + side * 0.165, y - 0.13 + 0.03 * sorrow)])
        self._arc(x, y + 0.125, 0.145, 0.105 * mood)

    def arousal_face(self, level: float) -> None:
        """Draw eyes that open and a mouth that opens; `level` runs from 0 to 1."""
        x, y, _ = self.HEAD
        for side in (-1, 1):
            eye_x, eye_y = x + side * 0.11, y - 0.05
            half_height = 0.08 * level
            if half_height < 0.015:
                self._arc(eye_x, eye_y, 0.062, 0.03)
                continue
            box = self._px(eye_x - 0.062, eye_y - half_height, eye_x + 0.062, eye_y + half_height)
            self._draw.ellipse(box, 255, self._ink, max(1, self._line * 2 // 3))
            self._dot(eye_x, eye_y, min(half_height * 0.7, 0.03))
        half_width, half_height = 0.055, 0.009 + 0.05 * level
        box = self._px(
            x - half_width, y + 0.14 - half_height, x + half_width, y + 0.14 + half_height
        )
        self._draw.ellipse(box, self._ink)

    def burst(self, level: float) -> None:
        """Draw a star in the chest that grows from a point with `level`, 0 to 1."""
        x, y = 0.5, 0.94
        outer = 0.03 + 0.255 * level
        inner = outer * (0.85 - 0.4 * level)
        points = []
        for i in range(24):
            radius = outer if i % 2 == 0 else inner
            angle = math.pi * i / 12
            points.append(self._px(x + radius * math.sin(angle), y - radius * math.cos(angle)))
        self._draw.polygon(points, self._ink)

    def _dot(self, x: float, y: float, radius: float) -> None:
        self._draw.ellipse(self._px(x - radius, y - radius, x + radius, y + radius), self._ink)

    def _arc(self, x: float, y: float, half_width: float, depth: float) -> None:
        """Stroke a parabola whose middle hangs `depth` below its ends; a negative depth arches."""
        steps = [i / 16 - 1 for i in range(33)]
        self._stroke([(x + u * half_width, y + depth * (0.5 - u * u)) for u in steps])

    def _stroke(self, points: list[tuple[float, float]]) -> None:
        """Draw a line with round ends."""
        path = [self._px(*point) for point in points]
        self._draw.line(path, self._ink, self._line, joint="curve")
        r = self._line / 2
        for x, y in (path[0], path[-1]):
            self._draw.ellipse((x - r, y - r, x + r, y + r), self._ink)
