"""The manikins as a scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.protocols.displays.base import Click, KeyPress
from duchenne.protocols.ratings import SamScale
from duchenne.protocols.scales.base import Draft, press

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.protocols.displays.base import Input, Shape
    from duchenne.protocols.layout import Layout
    from duchenne.protocols.parts_ratings import SamRating


@dataclass(frozen=True)
class Sam:
    """Nine figures in a row: a number key or a click answers.

    Parameters
    ----------
    rating : SamRating
    layout : Layout
    """

    rating: SamRating
    layout: Layout

    @property
    def figures(self) -> SamScale:
        """What is drawn."""
        layout = self.layout
        return SamScale(
            self.rating.dimension,
            self.rating.question,
            layout.width_px,
            layout.height_px,
            layout.background_grey,
            layout.foreground_grey,
            layout.font,
        )

    def start(self) -> Draft:
        """Return an empty draft."""
        return Draft()

    def react(self, draft: Draft, entry: Input) -> Draft:
        """Take a digit or a click on a figure."""
        value = None
        if isinstance(entry, KeyPress) and entry.name in set("123456789"):
            value = int(entry.name)
        elif isinstance(entry, Click):
            value = self.figures.value_at(entry.x_px, entry.y_px)
        return draft if value is None else Draft(value, done=True)

    def hover(self, x_px: float, y_px: float) -> int | None:
        """Return the value under the mouse."""
        return self.figures.value_at(x_px, y_px)

    def shapes(self, draft: Draft, hover: object = None) -> list[Shape]:
        """Return question, figures and numbers."""
        over = hover if isinstance(hover, int) else None
        return self.figures.shapes(hover=over, chosen=draft.value)

    def entries(self, value: Any) -> Sequence[Input]:
        """Press the number."""
        return [press(str(value))]
