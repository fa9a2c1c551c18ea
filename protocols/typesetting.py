"""Words as pictures: lines broken, measured and drawn before a session, in any language.

Lines are broken first and put in order afterwards, so that right-to-left text of several lines reads as
it should. Letters are joined by HarfBuzz where Pillow has it, otherwise by arabic-reshaper and
python-bidi, which come with PsychoPy.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from duchenne.protocols.fonts import font_for

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

LINE_SPACING = 1.35
PARAGRAPH_SPACING = 0.6
"""In letter heights, on top of the line spacing."""
Align = Literal["center", "start"]
Grey = float
Ink = tuple[float, float, float]


@dataclass(frozen=True)
class Style:
    """How words look.

    Parameters
    ----------
    size_px : int
        Height of the letters' square.
    ink, paper : (float, float, float)
        Colour of the letters and behind them, sRGB 0 to 1.
    bold : bool
    align : {"center", "start"}
        Start is the left, or the right of text that runs from right to left.
    font : str or None
        See `duchenne.protocols.fonts.font_for`.
    """

    size_px: int
    ink: Ink = (0.0, 0.0, 0.0)
    paper: Ink = (0.5, 0.5, 0.5)
    bold: bool = False
    align: Align = "center"
    font: str | None = None


def is_right_to_left(text: str) -> bool:
    """Say whether the first letter with a direction belongs to a script that runs leftwards."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


@lru_cache(maxsize=512)
def broken_lines(text: str, style: Style, width_px: int) -> tuple[str, ...]:
    """Break a text into lines no wider than a width; an empty string parts paragraphs.

    Lines break at spaces, and between Chinese, Japanese and Korean characters; a word that is wider
    than the line is cut.

    Raises
    ------
    DuchenneError
        A character has no glyph in any font.
    """
    pen = _Pen.of(text, style)
    lines: list[str] = []
    for paragraph in text.strip("\n").split("\n"):
        line, so_far_px = "", 0.0
        for piece in _pieces(paragraph.strip()):
            if line and so_far_px + _width_px(pen, piece.rstrip()) > width_px:
                lines.append(line.rstrip())
                line, so_far_px = "", 0.0
            rest = piece if line else piece.lstrip()
            while _width_px(pen, rest.rstrip()) > width_px and len(rest) > 1:
                fits = next(
                    n
                    for n in range(len(rest) - 1, 0, -1)
                    if n == 1 or pen.width_px(rest[:n]) <= width_px
                )
                lines.append(rest[:fits])
                rest = rest[fits:]
            line += rest
            so_far_px += _width_px(pen, rest)
        lines.append(line.rstrip())
    return tuple(lines)


def height_of(lines: tuple[str, ...], style: Style) -> int:
    """Return the height of lines in pixels."""
    step = style.size_px * LINE_SPACING
    gap = style.size_px * PARAGRAPH_SPACING
    return max(1, round(sum(step if line else gap for line in lines)))


def typeset(lines: tuple[str, ...], style: Style, width_px: int) -> npt.NDArray[np.uint8]:
    """Draw lines.

    Parameters
    ----------
    lines : tuple of str
        As `broken_lines` returns them.
    style : Style
    width_px : int
        Of the picture.

    Returns
    -------
    ndarray
        Shape (height, width, 3), uint8; the height is that of `height_of`.
    """
    from PIL import Image, ImageDraw  # noqa: PLC0415 -- of the extra lab

    pen = _Pen.of("\n".join(lines), style)
    image = Image.new("L", (width_px, height_of(lines, style)), 0)
    draw = ImageDraw.Draw(image)
    top = 0.0
    for line in lines:
        if not line:
            top += style.size_px * PARAGRAPH_SPACING
            continue
        left = (width_px - pen.width_px(line)) / 2
        if style.align == "start":
            left = width_px - pen.width_px(line) if is_right_to_left(line) else 0.0
        pen.draw(draw, line, max(0.0, left), top + style.size_px * LINE_SPACING / 2)
        top += style.size_px * LINE_SPACING
    cover = np.arange(256)[:, None] / 255.0
    mixed = cover * np.array(style.ink) + (1 - cover) * np.array(style.paper)
    pixels: npt.NDArray[np.uint8] = np.round(255 * mixed).astype(np.uint8)[np.asarray(image)]
    return pixels


def words(text: str, style: Style, width_px: int) -> npt.NDArray[np.uint8]:
    """Break and draw a text; see `broken_lines` and `typeset`."""
    return typeset(broken_lines(text, style, width_px), style, width_px)


@dataclass(frozen=True, eq=False)
class _Pen:
    """One font at one size, in the order and the forms of a script."""

    font: Any
    shapes_itself: bool

    @classmethod
    def of(cls, text: str, style: Style) -> _Pen:
        itself = _can_shape()
        drawn = text if itself else "\n".join(_ordered(line) for line in text.split("\n"))
        path = font_for(drawn, style.font, bold=style.bold)
        return _pen(path, style.size_px, itself)

    def width_px(self, line: str) -> float:
        return float(self.font.getlength(*self._prepared(line)))

    def draw(self, draw: Any, line: str, left_px: float, middle_px: float) -> None:
        ascent, descent = self.font.getmetrics()
        baseline_px = middle_px + (ascent - descent) / 2
        text, *direction = self._prepared(line)
        options = {"direction": direction[1]} if direction else {}
        draw.text((left_px, baseline_px), text, 255, self.font, anchor="ls", **options)

    def _prepared(self, line: str) -> tuple[Any, ...]:
        if self.shapes_itself:
            return (line, "", "rtl" if is_right_to_left(line) else "ltr")
        return (_ordered(line),)


@lru_cache(maxsize=4096)
def _width_px(pen: _Pen, piece: str) -> float:
    """Return the width of a word; a line is as wide as its words, to a pixel or so."""
    return pen.width_px(piece)


@lru_cache(maxsize=64)
def _pen(path: Path, size_px: int, shapes_itself: bool) -> _Pen:
    from PIL import ImageFont  # noqa: PLC0415

    engine = ImageFont.Layout.RAQM if shapes_itself else ImageFont.Layout.BASIC
    return _Pen(ImageFont.truetype(str(path), size_px, layout_engine=engine), shapes_itself)


@lru_cache(maxsize=1)
def _can_shape() -> bool:
    from PIL import features  # noqa: PLC0415

    return bool(features.check("raqm") and features.check("fribidi"))


def _ordered(line: str) -> str:
    """Return a line in the order and with the joined letters in which it is drawn."""
    if all(unicodedata.bidirectional(character) not in ("R", "AL", "AN") for character in line):
        return line
    from arabic_reshaper import ArabicReshaper  # noqa: PLC0415 -- comes with PsychoPy
    from bidi.algorithm import get_display  # noqa: PLC0415

    # Few fonts have the ligature of the word Allah as one character.
    reshaper = ArabicReshaper({"delete_harakat": False, "ARABIC LIGATURE ALLAH": False})
    joined = reshaper.reshape(line)
    return str(get_display(joined, base_dir="R" if is_right_to_left(line) else "L"))


def _pieces(paragraph: str) -> list[str]:
    """Return the parts between which a line may be broken, each with the spaces that follow it."""
    pieces: list[str] = []
    for character in paragraph:
        joins = bool(pieces) and (
            character.isspace()
            or not (pieces[-1][-1].isspace() or _is_wide(character) or _is_wide(pieces[-1][-1]))
            or unicodedata.category(character).startswith("P")
        )
        if joins and not (character.isspace() is False and pieces[-1][-1].isspace()):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in ("W", "F")
