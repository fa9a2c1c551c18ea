"""Where words and crosses go on the screen of a protocol, in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from duchenne.protocols.displays.base import Cross, Fill, Picture, Rgb
from duchenne.protocols.typesetting import Style, broken_lines, height_of, typeset
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from duchenne.protocols.displays.base import Rect
    from duchenne.protocols.parts import Screen
    from duchenne.protocols.typesetting import Align

LETTER_HEIGHT = 0.045
"""Height of a line of text in screen heights."""
TEXT_WIDTH = 0.8
"""Width of the text in screen widths."""
NARROW = 0.75
"""Letters are no larger than on a screen whose height is this part of its width."""
ACCENT_RGB: Rgb = (0.10, 0.35, 0.75)
MAX_KEPT_PX = 200_000
"""Pictures of words up to this size are kept to be shown again."""
SHORTEN = 60
"""So many characters of a text are quoted in a message."""


class DoesNotFit(DuchenneError):  # noqa: N818 - reads as what it says
    """A text is too long for its place on the screen."""


@dataclass(frozen=True)
class Layout:
    """The screen as step kinds draw on it.

    Parameters
    ----------
    width_px, height_px : int
        Size of the screen.
    background_grey, foreground_grey : float
        sRGB grey levels, 0 (black) to 1 (white).
    font : str or None
        See `duchenne.protocols.fonts.font_for`.
    """

    width_px: int
    height_px: int
    background_grey: float = 0.5
    foreground_grey: float = 0.0
    font: str | None = None

    @classmethod
    def of(cls, screen: Screen) -> Layout:
        """Return the layout of a declared screen."""
        return cls(
            screen.width_px,
            screen.height_px,
            screen.background_grey,
            screen.foreground_grey,
            screen.font,
        )

    @property
    def ink(self) -> Rgb:
        """Colour of words and lines."""
        return (self.foreground_grey,) * 3

    @property
    def paper(self) -> Rgb:
        """Colour of the background."""
        return (self.background_grey,) * 3

    @property
    def panel(self) -> Rgb:
        """Colour of buttons and fields: a little lighter than the background, or darker on white."""
        grey = self.background_grey
        return (grey + 0.12 if grey < 0.8 else grey - 0.12,) * 3

    def style(
        self,
        height: float = LETTER_HEIGHT,
        *,
        bold: bool = False,
        align: Align = "center",
        ink: Rgb | None = None,
        paper: Rgb | None = None,
    ) -> Style:
        """Return the look of words `height` screen heights high, or less on a narrow screen."""
        size_px = max(8, round(height * min(self.height_px, NARROW * self.width_px)))
        return Style(size_px, ink or self.ink, paper or self.paper, bold, align, self.font)

    def text(self, text: str, y: float = 0.5, *, height: float = LETTER_HEIGHT) -> Picture:
        """Return words in the middle of the screen, `y` screen heights from the top.

        Raises
        ------
        DoesNotFit
            They are too long.
        """
        width_px = TEXT_WIDTH * self.width_px
        return self.words(
            text, (self.width_px / 2, y * self.height_px), width_px, self.style(height)
        )

    def words(
        self,
        text: str,
        centre_px: tuple[float, float],
        width_px: float,
        style: Style,
        *,
        max_height_px: float | None = None,
    ) -> Picture:
        """Return words centred on a point.

        Parameters
        ----------
        text : str
        centre_px : (float, float)
        width_px : float
            Where lines are broken.
        style : Style
        max_height_px : float, optional
            What the words may take; the screen where not given.

        Raises
        ------
        DoesNotFit
            They take more.
        """
        lines = broken_lines(text.strip(), style, int(width_px))
        height = height_of(lines, style)
        x, y = round(centre_px[0] - int(width_px) / 2), round(centre_px[1] - height / 2)
        if max_height_px is None and (y < 0 or y + height > self.height_px):
            max_height_px = 2 * min(centre_px[1], self.height_px - centre_px[1])
        if max_height_px is not None and height > max_height_px + 1:
            quoted = text.strip().replace("\n", " ")
            quoted = quoted if len(quoted) <= SHORTEN else quoted[:SHORTEN] + "…"
            raise DoesNotFit(
                f"the text “{quoted}” needs {height} px of height and has {max_height_px:.0f} on a "
                f"screen of {self.width_px}x{self.height_px}; shorten it"
            )
        return self.lines(lines, (x, y), int(width_px), style)

    def lines(
        self, lines: tuple[str, ...], corner_px: tuple[int, int], width_px: int, style: Style
    ) -> Picture:
        """Return lines that are broken already, from their top left corner."""
        x, y = corner_px
        rect_px = (x, y, x + width_px, y + height_of(lines, style))
        if width_px * (rect_px[3] - y) > MAX_KEPT_PX:
            return Picture(typeset(lines, style, width_px), rect_px)
        return _picture(lines, style, rect_px)

    def cross(self) -> Cross:
        """Return a fixation cross in the middle of the screen."""
        height_px = self.height_px
        return Cross(
            self.width_px / 2, height_px / 2, 0.06 * height_px, 0.0075 * height_px, self.ink
        )


def filled(rect_px: Rect, rgb: Rgb) -> Fill:
    """Return a plain rectangle with its edges between pixels."""
    x0, y0, x1, y1 = rect_px
    return Fill(
        (round(x0), round(y0), max(round(x1), round(x0) + 1), max(round(y1), round(y0) + 1)), rgb
    )


@lru_cache(maxsize=256)
def _picture(lines: tuple[str, ...], style: Style, rect_px: Rect) -> Picture:
    """Return the same picture for the same words, so that a display keeps its texture."""
    return Picture(typeset(lines, style, round(rect_px[2] - rect_px[0])), rect_px)
