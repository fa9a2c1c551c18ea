"""The whole session at a glance."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.reports.drawing import (
    au_lines,
    au_top,
    binned,
    legend_above,
    main_aus,
)
from duchenne.analysis.reports.style import (
    BLUE,
    INK,
    VERMILLION,
    category_colour,
    figure,
    svg_uri,
)
from duchenne.analysis.reports.words import NOTHING
from duchenne.analysis.values import integer, records, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from duchenne.analysis.reports.data import ReportData
    from duchenne.analysis.reports.pictures import Picture

TIMELINE_BINS = 2400
WIDTH_IN = 13.0
N_AUS = 6


def timeline_uri(data: ReportData, pictures: Mapping[str, Picture]) -> str:
    """Return the session over time: stimuli, gaze position, pupil and main Action Units.

    Parameters
    ----------
    data : ReportData
        The tables of the session.
    pictures : mapping of str to Picture
        By stimulus id.

    Returns
    -------
    str
        Data URI of an SVG.
    """
    events, summary, gaze, au = data.events, data.summary, data.gaze, data.au
    aus = main_aus(au, N_AUS)
    panels = ["strip"]
    panels += ["gaze", "pupil"] if gaze is not None else []
    panels += ["au"] if au is not None and aus else []
    heights = {"strip": 0.55, "gaze": 1.0, "pupil": 0.8, "au": 1.1}
    total = 0.6 + 1.45 * sum(heights[name] for name in panels)
    with figure(WIDTH_IN, total) as drawing:
        grid = drawing.subplots(
            len(panels),
            1,
            sharex=True,
            squeeze=False,
            gridspec_kw={"height_ratios": [heights[name] for name in panels]},
        )
        axes: dict[str, Axes] = dict(zip(panels, grid[:, 0], strict=True))
        end = _session_end(events, gaze, au)
        _stimulus_strip(axes["strip"], summary, pictures, end)
        for name, ax in axes.items():
            _shade(ax, summary, events)
            ax.label_outer()
            if name != "strip":
                ax.grid(axis="y")
        if gaze is not None:
            _gaze_panel(axes["gaze"], gaze, data.blinks)
            _pupil_panel(axes["pupil"], gaze, summary)
        if "au" in axes and au is not None:
            au_lines(axes["au"], au["time"].to_numpy(np.float64), au, aus)
            axes["au"].set(ylabel="AU intensity", ylim=(-0.1, au_top(au, aus)))
            legend_above(axes["au"], 6)
        last = axes[panels[-1]]
        last.set_xlim(min(0.0, float(events["onset"].min()) if len(events) else 0.0), end)
        last.set_xlabel("seconds from the start of the session")
        drawing.align_ylabels()
        return svg_uri(drawing)


def _session_end(events: pd.DataFrame, gaze: pd.DataFrame | None, au: pd.DataFrame | None) -> float:
    ends = [float((events["onset"] + events["duration"]).max())] if len(events) else []
    if not ends:
        ends = [float(table["time"].max()) for table in (gaze, au) if table is not None]
    return max([end for end in ends if np.isfinite(end)], default=1.0)


def _stimulus_strip(
    ax: Axes, summary: pd.DataFrame, pictures: Mapping[str, Picture], end: float
) -> None:
    ax.set(ylim=(0, 1), yticks=[])
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_visible(False)
    seconds_per_height = end / (WIDTH_IN * 0.92) * 0.8
    for row in records(summary):
        onset, duration = float(row["onset"]), float(row["duration"])
        centre = onset + duration / 2
        picture = pictures.get(str(row["stimulus_id"]))
        top = 0.5
        if picture is not None and picture.thumbnail_uri is not None:
            width = min(duration, 0.66 * seconds_per_height * picture.aspect)
            top = 0.04 + width / picture.aspect / seconds_per_height
            extent = (centre - width / 2, centre + width / 2, 0.04, top)
            image = _decoded(picture.thumbnail_uri)
            ax.imshow(image, extent=extent, aspect="auto", interpolation="antialiased", zorder=3)
        number = _number_of(row)
        ax.text(
            centre, top + 0.07, number, ha="center", va="bottom", fontsize=8.5, fontweight="bold"
        )


def _number_of(row: Mapping[str, Any]) -> str:
    trial = integer(row.get("trial"))
    return NOTHING if trial is None else str(trial)


def _decoded(uri: str) -> NDArray[np.uint8]:
    from PIL import Image  # noqa: PLC0415

    content = base64.b64decode(uri.partition(",")[2])
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _shade(ax: Axes, summary: pd.DataFrame, events: pd.DataFrame) -> None:
    for row in records(summary):
        start, stop = float(row["onset"]), float(row["onset"]) + float(row["duration"])
        ax.axvspan(start, stop, color=category_colour(row.get("category")), alpha=0.16, linewidth=0)
    for row in records(events[events["trial_type"] == "neutral"]):
        start, stop = float(row["onset"]), float(row["onset"]) + float(row["duration"])
        ax.axvspan(start, stop, facecolor="none", edgecolor="#c3cad3", hatch="////", linewidth=0)


def _gaze_panel(ax: Axes, gaze: pd.DataFrame, blinks: pd.DataFrame | None) -> None:
    times = gaze["time"].to_numpy(np.float64)
    width = _bin_width(times)
    for column, label, colour in (("x_deg", "right", BLUE), ("y_deg", "up", VERMILLION)):
        ax.plot(
            *binned(times, gaze[column].to_numpy(np.float64), width),
            color=colour,
            linewidth=1.0,
            label=label,
        )
    if blinks is not None and len(blinks):
        onsets = blinks["onset"].to_numpy(np.float64)
        ax.plot(
            onsets,
            np.full(onsets.size, 0.03),
            linestyle="none",
            marker="|",
            markersize=6,
            color=INK,
            transform=ax.get_xaxis_transform(),
            label="blink",
        )
    ax.set_ylabel("gaze (°)")
    spread = np.nanquantile(np.abs(gaze[["x_deg", "y_deg"]].to_numpy(np.float64)), 0.99)
    if np.isfinite(spread):
        ax.set_ylim(-1.3 * spread - 1, 1.3 * spread + 1)
    legend_above(ax, 6)


def _pupil_panel(ax: Axes, gaze: pd.DataFrame, summary: pd.DataFrame) -> None:
    times = gaze["time"].to_numpy(np.float64)
    ax.plot(
        *binned(times, gaze["pupil"].to_numpy(np.float64), _bin_width(times)),
        color=INK,
        linewidth=1.0,
    )
    units = [unit for unit in map(text, summary["pupil_unit"]) if unit]
    ax.set_ylabel(f"pupil ({units[0]})" if units else "pupil")


def _bin_width(times: NDArray[np.float64]) -> float:
    return max(float(times[-1] - times[0]) / TIMELINE_BINS, 1e-3) if times.size else 1.0
