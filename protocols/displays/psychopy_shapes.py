"""What a PsychoPy window draws for each shape; imported by `psychopy` alone, as it needs the same care."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psychopy
from PIL import Image
from psychopy import visual

from duchenne.protocols.displays.base import Cross, Disc, Fill, Picture, Text
from duchenne.protocols.displays.psychopy_media import place

if TYPE_CHECKING:
    from duchenne.protocols.displays.base import Box, Rect, Rgb, Shape

FONT = "Noto Sans"
FONT_FILES = tuple(
    str(Path(psychopy.__file__).parent / "assets" / "fonts" / f"NotoSans-{style}.ttf")
    for style in ("Regular", "Bold")
)
DISC_EDGES = 48


class ShapeMaker:
    """Makes the stimuli of a window.

    Parameters
    ----------
    win : psychopy.visual.Window
    width_px, height_px : int
        Of the window.
    """

    def __init__(self, win: Any, width_px: int, height_px: int) -> None:
        self._win = win
        self._size_px = (width_px, height_px)

    def stim(self, shape: Shape) -> Any:
        """Return what draws a shape."""
        if isinstance(shape, Text):
            return self._text(shape)
        if isinstance(shape, Picture):
            return self._picture(shape)
        if isinstance(shape, Cross):
            return self._cross(shape)
        if isinstance(shape, Fill):
            return self._fill(shape)
        if isinstance(shape, Disc):
            return self._disc(shape)
        return self._outline(shape)

    def square(self, rect_px: Rect, grey: float) -> Any:
        """Return what draws a grey rectangle."""
        position, (width, height) = self._place(rect_px)
        return visual.Rect(
            self._win, width=width, height=height, pos=position, **_filled((grey,) * 3)
        )

    def _text(self, text: Text) -> Any:
        return visual.TextStim(
            self._win,
            text=text.text,
            font=FONT,
            fontFiles=FONT_FILES,
            bold=text.bold,
            height=text.height_px,
            wrapWidth=text.wrap_px,
            pos=self._centred(text.x_px, text.y_px),
            color=colour(text.rgb),
            alignText="center",
            anchorHoriz="center",
            anchorVert="center",
            autoLog=False,
        )

    def _picture(self, picture: Picture) -> Any:
        image = Image.fromarray(picture.rgb)
        position, size = self._place(picture.rect_px)
        return visual.ImageStim(
            self._win, image=image, pos=position, size=size, interpolate=True, autoLog=False
        )

    def _cross(self, cross: Cross) -> Any:
        outline = _cross_outline(cross.size_px, cross.width_px)
        return self._polygon(outline, self._centred(cross.x_px, cross.y_px), cross.rgb)

    def _disc(self, disc: Disc) -> Any:
        return visual.Circle(
            self._win,
            radius=disc.radius_px,
            edges=DISC_EDGES,
            pos=self._centred(disc.x_px, disc.y_px),
            **_filled(disc.rgb),
        )

    def _fill(self, fill: Fill) -> Any:
        position, (width, height) = self._place(fill.rect_px)
        return self._polygon(_corners(width / 2, height / 2), position, fill.rgb)

    def _outline(self, box: Box) -> Any:
        position, (width, height) = self._place(box.rect_px)
        loops = [_corners(width / 2 - m, height / 2 - m) for m in (0.0, box.width_px)]
        return self._polygon(loops, position, box.rgb)

    def _polygon(self, vertices: Any, position: tuple[float, float], rgb: Rgb) -> Any:
        return visual.ShapeStim(self._win, vertices=vertices, pos=position, **_filled(rgb))

    def _centred(self, x_px: float, y_px: float) -> tuple[float, float]:
        return (x_px - self._size_px[0] / 2, self._size_px[1] / 2 - y_px)

    def _place(self, rect_px: Rect) -> tuple[tuple[float, float], tuple[float, float]]:
        return place(rect_px, self._size_px)


def colour(rgb: Rgb) -> tuple[float, float, float]:
    """Return PsychoPy's colour, -1 to 1."""
    return (2 * rgb[0] - 1, 2 * rgb[1] - 1, 2 * rgb[2] - 1)


def _filled(rgb: Rgb) -> dict[str, Any]:
    return {"fillColor": colour(rgb), "lineColor": None, "autoLog": False}


def _corners(x: float, y: float) -> list[tuple[float, float]]:
    return [(-x, -y), (x, -y), (x, y), (-x, y)]


def _cross_outline(size_px: float, width_px: float) -> list[tuple[float, float]]:
    a, b = width_px / 2, size_px / 2
    return [
        (-a, b), (a, b), (a, a), (b, a), (b, -a), (a, -a),
        (a, -b), (-a, -b), (-a, -a), (-b, -a), (-b, a), (-a, a),
    ]  # fmt: skip
