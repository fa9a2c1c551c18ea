"""Colours and axes that all figures of eye movements share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#1d2733"
SOFT = "#5b6775"
GRID = "#eceff3"
BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, YELLOW, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442", "#000000",
)  # fmt: skip
"""The colours of Okabe & Ito (2008), which people with any kind of colour vision tell apart."""
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)), (0, (8, 2)))
"""One per colour, for print without colour."""


def new_figure(width_in: float, height_in: float, title: str | None = None) -> Figure:
    """Return an empty figure drawn by Agg, which belongs to no window."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, fontsize=10, color=INK)
    return figure


def tidy(axes: Axes, *, grid: str = "both") -> None:
    """Remove the frame's right and top and put a quiet grid below the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b4bcc6")
    axes.tick_params(colors=SOFT, labelsize=8)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
    if grid != "none":
        axes.grid(axis="both" if grid == "both" else "x" if grid == "x" else "y", color=GRID)
    axes.set_axisbelow(True)


def say(axes: Axes, text: str) -> None:
    """Write in the middle of empty axes why there is nothing to see."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=SOFT)
