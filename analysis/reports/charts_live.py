"""Charts to point at: the same curves as data for Plotly, drawn in the reader's browser.

Plotly's script lies in the page compressed and is unpacked when the first chart comes into view: the
page stays a third as large, loads at once, and asks nobody for anything. A browser that cannot unpack it,
and paper, show the pictures of :mod:`duchenne.analysis.reports.charts_still`.
"""

from __future__ import annotations

import base64
import gzip
import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.reports.charts import MOST_POINTS, limits_of, thinned
from duchenne.analysis.reports.style import INK, LINE, MUTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.reports.charts import Chart, Line, Panel

_GAP = 0.05
"""Room between two panels, as a part of the height."""


@cache
def plotly_script() -> str | None:
    """Return Plotly's script, gzipped and base64-encoded; None where plotly is not installed."""
    try:
        script = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    except (ImportError, OSError):
        return None
    return base64.b64encode(gzip.compress(script, compresslevel=6, mtime=0)).decode("ascii")


def charts_json(charts: Mapping[str, Chart], *, most_points: int = MOST_POINTS) -> str:
    """Return charts by their key as JSON that may lie within a page."""
    figures = {key: plotly_figure(chart, most_points=most_points) for key, chart in charts.items()}
    return json.dumps(figures, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def plotly_figure(chart: Chart, *, most_points: int = MOST_POINTS) -> dict[str, Any]:
    """Return a chart as the data and layout that Plotly takes."""
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "xaxis": {
            "title": {"text": chart.x_label},
            "range": list(chart.x_limits),
            "anchor": "y" if len(chart.panels) == 1 else f"y{len(chart.panels)}",
        },
        "shapes": _shapes(chart),
    }
    for index, (panel, domain) in enumerate(zip(chart.panels, _domains(chart.panels), strict=True)):
        axis = "y" if index == 0 else f"y{index + 1}"
        limits = panel.limits or limits_of(panel.lines, zero=panel.zero)
        layout[f"yaxis{index + 1 if index else ''}"] = {
            "title": {"text": panel.label.replace("\n", "<br>")},
            "domain": domain,
            "range": [_rounded(limit) for limit in limits],
            "anchor": "x",
        }
        for line in panel.lines:
            traces += _traces(thinned(line, most_points), axis)
        for start, stop, what in panel.marked:
            height = limits[0] + 0.02 * (limits[1] - limits[0])
            traces.append(
                {
                    "x": [_rounded(start), _rounded(stop)],
                    "y": [_rounded(height)] * 2,
                    "yaxis": axis,
                    "mode": "lines",
                    "line": {"color": INK, "width": 6},
                    "name": what,
                    "hoverinfo": "name",
                    "showlegend": False,
                }
            )
    return {"data": traces, "layout": layout}


def _domains(panels: tuple[Panel, ...]) -> list[list[float]]:
    total = sum(panel.height for panel in panels)
    room = 1 - _GAP * (len(panels) - 1)
    domains, top = [], 1.0
    for panel in panels:
        height = room * panel.height / total
        domains.append([round(max(top - height, 0.0), 4), round(top, 4)])
        top -= height + _GAP
    return domains


def _shapes(chart: Chart) -> list[dict[str, Any]]:
    bands = [
        {
            "type": "rect", "x0": start, "x1": stop, "y0": 0, "y1": 1, "yref": "paper",
            "fillcolor": colour, "opacity": 0.13, "line": {"width": 0}, "layer": "below",
        }
        for start, stop, colour in chart.shade
    ]  # fmt: skip
    uprights = [
        {
            "type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper",
            "line": {"color": MUTED, "width": 1}, "layer": "below",
        }
        for x in chart.at
    ]  # fmt: skip
    zeros = [
        {
            "type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": 0, "y1": 0,
            "yref": "y" if index == 0 else f"y{index + 1}",
            "line": {"color": LINE, "width": 1.5}, "layer": "below",
        }
        for index, panel in enumerate(chart.panels)
        if panel.zero
    ]  # fmt: skip
    return bands + uprights + zeros


def _traces(line: Line, axis: str) -> list[dict[str, Any]]:
    traces: list[dict[str, Any]] = []
    if line.low is not None and line.high is not None:
        x, y = _outline(line)
        if x:
            traces.append(
                {
                    "x": x, "y": y, "yaxis": axis, "mode": "lines", "fill": "toself",
                    "fillcolor": _faint(line.colour), "line": {"width": 0},
                    "hoverinfo": "skip", "showlegend": False, "legendgroup": line.name + axis,
                }
            )  # fmt: skip
    traces.append(
        {
            "x": _values(line.x), "y": _values(line.y), "yaxis": axis, "mode": "lines",
            "name": line.name, "legendgroup": line.name + axis, "showlegend": line.in_legend,
            "line": {"color": line.colour, "width": 2, "dash": line.dash},
            "hovertemplate": "%{y:.2f}",
        }
    )  # fmt: skip
    return traces


def _outline(line: Line) -> tuple[list[float | None], list[float | None]]:
    """Return the band as closed outlines, one per run of known values, with gaps between."""
    assert line.low is not None
    assert line.high is not None
    known = np.isfinite(line.low) & np.isfinite(line.high)
    edges = np.flatnonzero(np.diff(np.r_[False, known, False].astype(np.int8)))
    x: list[float | None] = []
    y: list[float | None] = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if x:
            x.append(None)
            y.append(None)
        run = line.x[start:stop]
        x += _values(np.r_[run, run[::-1]])
        y += _values(np.r_[line.high[start:stop], line.low[start:stop][::-1]])
    return x, y


def _values(values: Any) -> list[float | None]:
    return [_rounded(value) for value in values.tolist()]


def _rounded(value: float) -> float | None:
    if not np.isfinite(value):
        return None
    return round(value, 3) if abs(value) >= 0.01 else float(f"{value:.2g}")


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"
