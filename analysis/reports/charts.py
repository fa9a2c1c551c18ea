"""Curves as values: what a chart shows, whichever way it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_POINTS = 400
"""Points kept of a line: more than a figure of the width of a card can show."""


@dataclass(frozen=True)
class Line:
    """A curve, and how far it may be off.

    Parameters
    ----------
    name : str
        As the legend says it.
    x, y : ndarray, shape (n,)
        NaN in `y` breaks the line.
    colour : str
        ``#rrggbb``.
    dash : {"solid", "dash", "dot"}
        Lines of one colour differ in it.
    low, high : ndarray, shape (n,), optional
        Edges of the band around the line.
    in_legend : bool
        Whether the legend names it.
    """

    name: str
    x: Floats
    y: Floats
    colour: str
    dash: str = "solid"
    low: Floats | None = None
    high: Floats | None = None
    in_legend: bool = True

    @property
    def has_band(self) -> bool:
        """Whether the line has a band."""
        return self.low is not None and self.high is not None


@dataclass(frozen=True)
class Panel:
    """Curves on one vertical axis.

    Parameters
    ----------
    label : str
        Of the vertical axis, with its unit.
    lines : tuple of Line
    limits : (float, float), optional
        Of the vertical axis; from the curves where absent.
    height : float
        Relative to the other panels.
    zero : bool
        Whether zero is drawn as a line.
    marked : tuple of (float, float, str)
        Stretches marked along the bottom: start, end, and what they are.
    """

    label: str
    lines: tuple[Line, ...]
    limits: tuple[float, float] | None = None
    height: float = 1.0
    zero: bool = False
    marked: tuple[tuple[float, float, str], ...] = ()


@dataclass(frozen=True)
class Chart:
    """Panels above each other on one horizontal axis.

    Parameters
    ----------
    panels : tuple of Panel
        From the top.
    x_label : str
    x_limits : (float, float)
    shade : tuple of (float, float, str)
        Stretches shaded in all panels: start, end and colour.
    at : tuple of float
        Where vertical lines are drawn.
    """

    panels: tuple[Panel, ...]
    x_label: str
    x_limits: tuple[float, float]
    shade: tuple[tuple[float, float, str], ...] = ()
    at: tuple[float, ...] = ()


def limits_of(lines: tuple[Line, ...], *, zero: bool = False) -> tuple[float, float]:
    """Return limits of a vertical axis that hold all lines and their bands, with a margin."""
    parts = [part for line in lines for part in (line.y, line.low, line.high) if part is not None]
    values = np.concatenate([part[np.isfinite(part)] for part in parts]) if parts else np.zeros(0)
    if zero:
        values = np.append(values, 0.0)
    if not values.size:
        return (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 0.5
    return (low - margin, high + margin)


def thinned(line: Line, most: int = MOST_POINTS) -> Line:
    """Return a line with at most so many points: means of neighbours; NaN where none is known."""
    n = line.x.size
    if n <= most:
        return line
    step = int(np.ceil(n / most))
    edges = np.arange(0, n, step)

    def means(values: Floats) -> Floats:
        known = np.isfinite(values)
        total = np.add.reduceat(np.where(known, values, 0.0), edges)
        count = np.add.reduceat(known.astype(np.float64), edges)
        made: Floats = np.divide(total, count, out=np.full(edges.size, np.nan), where=count > 0)
        return made

    return Line(
        line.name,
        means(line.x),
        means(line.y),
        line.colour,
        line.dash,
        None if line.low is None else means(line.low),
        None if line.high is None else means(line.high),
        line.in_legend,
    )
