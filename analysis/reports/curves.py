"""The time courses around one presentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.smoothing import smooth
from duchenne.analysis.reports.bands import au_half_width
from duchenne.analysis.reports.charts import Chart, Line, Panel
from duchenne.analysis.reports.charts_still import chart_uri
from duchenne.analysis.reports.drawing import au_label, au_top, binned, main_aus
from duchenne.analysis.reports.style import INK, au_look, category_colour
from duchenne.analysis.values import number, records, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

AROUND_S = 1.0
"""Time shown before and after a presentation."""
PUPIL_BIN_S = 1 / 60
CARD_IN = (6.2, 5.6)
N_AUS = 4


def presentation_chart(
    row: Mapping[str, Any],
    gaze: pd.DataFrame | None,
    au: pd.DataFrame | None,
    limits: Mapping[str, tuple[float, float]],
    *,
    backend: str = "",
) -> Chart | None:
    """Return the Action Units and the pupil around one presentation.

    Parameters
    ----------
    row : mapping
        Its row of the summary.
    gaze, au : pandas.DataFrame or None
        Samples and frames of the session.
    limits : mapping of str to (float, float)
        Limits of the vertical axes (``au``, ``pupil``), the same for all presentations. A pupil
        without a baseline is drawn around its mean, says so, and has limits of its own.
    backend : str
        What measured the Action Units: its error is part of their bands.

    Returns
    -------
    Chart or None
        None where there is nothing to draw.
    """
    onset, duration = float(row["onset"]), float(row["duration"])
    frames = _near(au, onset, duration) if au is not None else None
    aus = main_aus(frames, N_AUS)
    samples = _near(gaze, onset, duration) if gaze is not None else None
    panels = []
    if frames is not None and aus:
        times = frames["time"].to_numpy(np.float64)
        lines = tuple(_au_line(name, times, onset, frames, backend) for name in aus)
        panels.append(Panel("AU intensity", lines, limits["au"], height=1.5))
    if samples is not None and samples["pupil"].notna().any():
        panels.append(_pupil_panel(samples, row, limits["pupil"]))
    if not panels:
        return None
    return Chart(
        tuple(panels),
        "seconds from stimulus onset",
        (-AROUND_S, duration + AROUND_S),
        shade=((0.0, duration, category_colour(row.get("category"))),),
        at=(0.0,),
    )


def presentation_uri(chart: Chart, *, detail: float = 1.0) -> str:
    """Return the chart of a presentation as a picture; below a detail of 1 coarser, but smaller."""
    height = CARD_IN[1] if len(chart.panels) == 2 else CARD_IN[1] * 0.6
    return chart_uri(chart, (CARD_IN[0], height), detail=detail)


def _au_line(
    name: str, times: NDArray[np.float64], onset: float, frames: pd.DataFrame, backend: str
) -> Line:
    values = frames[f"{name}_r"].to_numpy(np.float64)
    smoothed = smooth(times, values)
    half = au_half_width(name, times, values, smoothed, backend)
    colour, dash = au_look(name)
    return Line(
        au_label(name),
        times - onset,
        smoothed,
        colour,
        dash,
        np.clip(smoothed - half, 0, 5),
        np.clip(smoothed + half, 0, 5),
    )


def shared_limits(
    summary: pd.DataFrame,
    gaze: pd.DataFrame | None,
    au: pd.DataFrame | None,
) -> dict[str, tuple[float, float]]:
    """Return limits of the vertical axes that suit every presentation."""
    limits = {"au": (-0.1, au_top(au, main_aus(au, N_AUS))), "pupil": (-0.5, 0.5)}
    if gaze is None:
        return limits
    extremes = []
    for row in records(summary):
        near = _near(gaze, float(row["onset"]), float(row["duration"]))
        change = near["pupil"].to_numpy(np.float64) - number(row.get("pupil_baseline"))
        known = change[np.isfinite(change)]
        if known.size:
            extremes.append(np.quantile(known, [0.005, 0.995]))
    if extremes:
        low, high = float(np.min(extremes)), float(np.max(extremes))
        margin = 0.12 * max(high - low, 1e-6)
        limits["pupil"] = (min(low - margin, 0.0), max(high + margin, 0.0))
    return limits


def _near(table: pd.DataFrame, onset: float, duration: float) -> pd.DataFrame:
    times = table["time"]
    return table[(times >= onset - AROUND_S) & (times < onset + duration + AROUND_S)]


def _pupil_panel(
    samples: pd.DataFrame, row: Mapping[str, Any], limits: tuple[float, float]
) -> Panel:
    times = samples["time"].to_numpy(np.float64) - float(row["onset"])
    pupil = samples["pupil"].to_numpy(np.float64)
    baseline = number(row.get("pupil_baseline"))
    has_baseline = bool(np.isfinite(baseline))
    level = baseline if has_baseline else float(np.nanmean(pupil))
    x, y = binned(times, pupil - level, PUPIL_BIN_S)
    line = Line("pupil", x, y, INK, in_legend=False)
    label = pupil_axis(row, has_baseline=has_baseline)
    return Panel(label, (line,), limits if has_baseline else None, zero=True)


def pupil_axis(row: Mapping[str, Any], *, has_baseline: bool) -> str:
    """Return the name of the pupil axis of one presentation."""
    unit = text(row.get("pupil_unit"))
    what = "pupil change" if has_baseline else "pupil − its mean\nno baseline"
    return f"{what} ({unit})" if unit else what
