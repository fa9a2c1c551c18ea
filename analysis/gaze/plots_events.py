"""Figures of events over time: a ribbon of eye movements, and the sequence of regions looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch

from duchenne.analysis.gaze.aoi import OUTSIDE
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.plots_style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SERIES,
    SKY,
    SOFT,
    VERMILION,
    new_figure,
    say,
    tidy,
)
from duchenne.analysis.gaze.signal import runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    Visit = tuple[str, float, float]

LABEL_STYLE: dict[int, tuple[str, str]] = {
    Label.FIXATION: (SKY, "fixation"),
    Label.SACCADE: (VERMILION, "saccade"),
    Label.PSO: (ORANGE, "post-saccadic oscillation"),
    Label.PURSUIT: (GREEN, "pursuit"),
    Label.BLINK: (INK, "blink"),
    Label.UNDEFINED: ("#b4bcc6", "undefined or lost"),
}
_HATCHES = ("", "///", "...", "xxx", "\\\\\\")
_SCARF_COLOURS = tuple(colour for colour in SERIES if colour != "#000000")


def plot_event_ribbon(
    samples: pd.DataFrame,
    onset_s: float | None = None,
    offset_s: float | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """Draw gaze over time with a strip that says what the eye was doing.

    Parameters
    ----------
    samples : DataFrame
        ``time`` (s), ``x_deg``, ``y_deg`` (right and up positive; NaN in loss) and ``label``.
    onset_s, offset_s : float, optional
        The stretch to draw; seconds are counted from its beginning. All by default.
    title : str, optional
        Above the figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(9.0, 3.6, title)
    traces, strip = figure.subplots(2, 1, sharex=True, height_ratios=(6, 1))
    times = samples["time"].to_numpy(dtype=float)
    begin = onset_s if onset_s is not None else float(times[0]) if times.size else 0.0
    end = offset_s if offset_s is not None else float(times[-1]) if times.size else begin + 1.0
    inside = (times >= begin) & (times <= end)
    t = times[inside] - begin
    strip.set_xlabel("time (s)")
    strip.set_yticks([])
    traces.set_ylabel("gaze from centre (°)")
    if t.size == 0:
        say(traces, "no gaze in this stretch")
        tidy(traces)
        return figure
    for name, colour, dash, text in (
        ("x_deg", BLUE, "-", "x, right positive"),
        ("y_deg", PURPLE, (0, (4, 1.5)), "y, up positive"),
    ):
        values = samples[name].to_numpy(dtype=float)[inside]
        traces.plot(t, values, color=colour, linewidth=1.2, linestyle=dash, label=text)
    labels = samples["label"].to_numpy()[inside]
    period = float(np.median(np.diff(t))) if t.size > 1 else 0.0
    present = []
    for code, (colour, text) in LABEL_STYLE.items():
        starts, stops = runs(labels == code)
        if starts.size == 0:
            continue
        present.append(Patch(color=colour, label=text))
        spans = [
            (float(t[a]), float(t[b - 1] - t[a]) + period)
            for a, b in zip(starts, stops, strict=True)
        ]
        strip.broken_barh(spans, (0, 1), facecolors=colour, linewidth=0)
        if code in {Label.SACCADE, Label.BLINK}:
            for start, width in spans:
                traces.axvspan(start, start + width, color=colour, alpha=0.12, linewidth=0)
    strip.set_ylim(0, 1)
    strip.set_xlim(0.0, max(end - begin, period, 1e-3))
    tidy(traces)
    tidy(strip, grid="none")
    strip.spines["left"].set_visible(False)
    handles, _ = traces.get_legend_handles_labels()
    figure.legend(
        handles=[*handles, *present], loc="outside right center", frameon=False, fontsize=8,
        labelcolor=INK,
    )  # fmt: skip
    return figure


def plot_scarf(
    sequences: Mapping[str, Sequence[Visit]] | Sequence[Visit],
    *,
    duration_s: float | None = None,
    title: str | None = None,
) -> Figure:
    """Draw which regions were looked at, in order: one strip per viewer or presentation.

    Parameters
    ----------
    sequences : mapping of str to sequence, or one sequence, of (aoi, onset_s, duration_s)
        Seconds from stimulus onset. Time between visits stays empty; the region ``"none"`` is drawn
        in pale grey.
    duration_s : float, optional
        End of the time axis; by default the end of the last visit.
    title : str, optional
        Above the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Regions keep one colour in all strips, in the order of their first appearance; beyond six
        they are told apart by hatching.
    """
    rows = dict(sequences) if isinstance(sequences, Mapping) else {"": list(sequences)}
    figure = new_figure(9.0, 1.3 + 0.34 * max(1, len(rows)), title)
    axes = figure.subplots()
    axes.set_xlabel("time from onset (s)")
    visits = [visit for row in rows.values() for visit in row]
    if not visits:
        say(axes, "no region was looked at")
        axes.set_yticks([])
        tidy(axes, grid="x")
        return figure
    names = [n for n in dict.fromkeys(visit[0] for visit in visits) if n != OUTSIDE]
    styles = {
        name: (
            _SCARF_COLOURS[i % len(_SCARF_COLOURS)],
            _HATCHES[(i // len(_SCARF_COLOURS)) % len(_HATCHES)],
        )
        for i, name in enumerate(names)
    }
    if any(visit[0] == OUTSIDE for visit in visits):
        styles[OUTSIDE] = ("#dfe4ea", "")
    for place, row in enumerate(rows.values()):
        for name, onset, duration in row:
            colour, hatch = styles[name]
            axes.broken_barh(
                [(onset, duration)], (place - 0.38, 0.76), facecolors=colour, hatch=hatch,
                edgecolor="white", linewidth=0.6,
            )  # fmt: skip
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, duration_s or max(onset + duration for _, onset, duration in visits))
    tidy(axes, grid="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    handles = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=_told(name, visits))
        for name, (colour, hatch) in styles.items()
    ]
    legend = figure.legend(
        handles=handles, loc="outside right center", frameon=False, fontsize=8, labelcolor=INK,
        title="share of visits' time", title_fontsize=7.5,
    )  # fmt: skip
    legend.get_title().set_color(SOFT)
    return figure


def _told(name: str, visits: Sequence[Visit]) -> str:
    total = sum(duration for _, _, duration in visits)
    mine = sum(duration for visited, _, duration in visits if visited == name)
    shown = "elsewhere" if name == OUTSIDE else name
    return f"{shown} ({100 * mine / total:.0f} %)" if total > 0 else shown
