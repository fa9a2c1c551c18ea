"""Where words and crosses go on the screen of a protocol, in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.protocols.displays.base import Cross, Rgb, Text

if TYPE_CHECKING:
    from duchenne.protocols.parts import Screen

LETTER_HEIGHT = 0.045
"""Height of a line of text in screen heights."""


@dataclass(frozen=True)
class Layout:
    """The screen as step kinds draw on it.

    Parameters
    ----------
    width_px, height_px : int
        Size of the screen.
    background_grey, foreground_grey : float
        sRGB grey levels, 0 (black) to 1 (white).
    """

    width_px: int
    height_px: int
    background_grey: float = 0.5
    foreground_grey: float = 0.0

    @classmethod
    def of(cls, screen: Screen) -> Layout:
        """Return the layout of a declared screen."""
        return cls(
            screen.width_px, screen.height_px, screen.background_grey, screen.foreground_grey
        )

    @property
    def ink(self) -> Rgb:
        """Colour of words and lines."""
        return (self.foreground_grey,) * 3

    def text(self, text: str, y: float = 0.5, *, height: float = LETTER_HEIGHT) -> Text:
        """Return words in the middle of the screen, `y` screen heights from the top."""
        return Text(
            text.strip(),
            self.width_px / 2,
            y * self.height_px,
            height * self.height_px,
            0.8 * self.width_px,
            self.ink,
        )

    def cross(self) -> Cross:
        """Return a fixation cross in the middle of the screen."""
        height_px = self.height_px
        return Cross(
            self.width_px / 2, height_px / 2, 0.06 * height_px, 0.0075 * height_px, self.ink
        )
