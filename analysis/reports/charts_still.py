"""Charts as pictures: what is printed, and what is seen without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.reports.charts import limits_of
from duchenne.analysis.reports.drawing import legend_above
from duchenne.analysis.reports.style import DASHES, INK, LINE, MUTED, figure, raster_uri, svg_uri

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from duchenne.analysis.reports.charts import Chart, Panel

RASTER_DPI = 130.0
LABELS_IN, TICKS_IN, EDGE_IN = 0.68, 0.45, 0.06
LEGEND_ROW_IN, PANEL_GAP_IN = 0.2, 0.12


def chart_uri(
    chart: Chart, size_in: tuple[float, float], *, detail: float = 1.0, legend_columns: int = 2
) -> str:
    """Return a chart as the data URI of a picture.

    Parameters
    ----------
    chart : Chart
    size_in : (float, float)
        Width and height in inches.
    detail : float
        Below 1 the picture is a coarser WebP that takes less room than lines.
    legend_columns : int
        Of the legend above each panel.
    """
    with figure(*size_in, layout=None) as drawing:
        drawing.subplots_adjust(**_margins(chart, size_in, legend_columns))
        grid = drawing.subplots(
            len(chart.panels),
            1,
            sharex=True,
            squeeze=False,
            gridspec_kw={"height_ratios": [panel.height for panel in chart.panels]},
        )
        for ax, panel in zip(grid[:, 0], chart.panels, strict=True):
            for start, stop, colour in chart.shade:
                ax.axvspan(start, stop, color=colour, alpha=0.13, linewidth=0)
            for x in chart.at:
                ax.axvline(x, color=MUTED, linewidth=0.8)
            ax.grid(axis="y")
            ax.label_outer()
            _draw(ax, panel, legend_columns)
        last = grid[-1, 0]
        last.set_xlim(*chart.x_limits)
        last.set_xlabel(chart.x_label)
        drawing.align_ylabels()
        return (
            svg_uri(drawing) if detail >= 1 else raster_uri(drawing, RASTER_DPI * max(detail, 0.7))
        )


def _margins(chart: Chart, size_in: tuple[float, float], legend_columns: int) -> dict[str, float]:
    """Return the margins as parts of the figure: room for letters, and for the legend of each panel."""
    width, height = size_in
    rows = [
        -(-sum(line.in_legend for line in panel.lines) // legend_columns) for panel in chart.panels
    ]
    between = max(rows[1:], default=0) * LEGEND_ROW_IN + PANEL_GAP_IN
    mean_panel = height / len(chart.panels)
    return {
        "left": LABELS_IN / width,
        "right": 1 - EDGE_IN / width,
        "bottom": TICKS_IN / height,
        "top": 1 - (EDGE_IN + rows[0] * LEGEND_ROW_IN) / height,
        "hspace": between / mean_panel,
    }


def _draw(ax: Axes, panel: Panel, legend_columns: int) -> None:
    if panel.zero:
        ax.axhline(0, color=LINE, linewidth=1.0)
    for line in panel.lines:
        if line.low is not None and line.high is not None:
            ax.fill_between(line.x, line.low, line.high, color=line.colour, alpha=0.16, linewidth=0)
        ax.plot(
            line.x,
            line.y,
            color=line.colour,
            linestyle=DASHES[line.dash],
            label=line.name if line.in_legend else "_",
        )
    limits = panel.limits or limits_of(panel.lines, zero=panel.zero)
    ax.set(ylabel=panel.label, ylim=limits)
    for start, stop, _ in panel.marked:
        height = limits[0] + 0.02 * np.ptp(limits)
        ax.plot([start, stop], [height, height], color=INK, linewidth=4, solid_capstyle="butt")
    if len(panel.lines) > 1 or any(line.in_legend for line in panel.lines):
        legend_above(ax, legend_columns)
