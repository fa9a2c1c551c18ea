"""The time courses around one presentation."""

from __future__ import annotations

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
    INK,
    LINE,
    MUTED,
    category_colour,
    figure,
    raster_uri,
    svg_uri,
)
from duchenne.analysis.values import number, records, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

AROUND_S = 1.0
"""Time shown before and after a presentation."""
PUPIL_BIN_S = 1 / 60
CARD_IN = (6.2, 5.6)
CARD_DPI = 130.0
N_AUS = 4


def presentation_uri(
    row: Mapping[str, Any],
    gaze: pd.DataFrame | None,
    au: pd.DataFrame | None,
    limits: Mapping[str, tuple[float, float]],
    *,
    detail: float = 1.0,
) -> str | None:
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
    detail : float
        Below 1 the figure is a picture, coarser, that takes less room than lines.

    Returns
    -------
    str or None
        Data URI of an SVG or a WebP; None where there is nothing to draw.
    """
    onset, duration = float(row["onset"]), float(row["duration"])
    frames = _near(au, onset, duration) if au is not None else None
    aus = main_aus(frames, N_AUS)
    samples = _near(gaze, onset, duration) if gaze is not None else None
    panels = ["au"] if frames is not None and aus else []
    panels += ["pupil"] if samples is not None and samples["pupil"].notna().any() else []
    if not panels:
        return None
    height = CARD_IN[1] if len(panels) == 2 else CARD_IN[1] * 0.6
    with figure(CARD_IN[0], height) as drawing:
        ratios = [1.5 if name == "au" else 1.0 for name in panels]
        grid = drawing.subplots(
            len(panels), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": ratios}
        )
        axes: dict[str, Axes] = dict(zip(panels, grid[:, 0], strict=True))
        colour = category_colour(row.get("category"))
        for ax in axes.values():
            ax.axvspan(0, duration, color=colour, alpha=0.13, linewidth=0)
            ax.axvline(0, color=MUTED, linewidth=0.8)
            ax.grid(axis="y")
            ax.label_outer()
        if "au" in axes and frames is not None:
            au_lines(axes["au"], frames["time"].to_numpy(np.float64) - onset, frames, aus)
            axes["au"].set(ylabel="AU intensity", ylim=limits["au"])
            legend_above(axes["au"], 2)
        if "pupil" in axes and samples is not None:
            _pupil_panel(axes["pupil"], samples, row, limits["pupil"])
        axes[panels[-1]].set_xlim(-AROUND_S, duration + AROUND_S)
        axes[panels[-1]].set_xlabel("seconds from stimulus onset")
        drawing.align_ylabels()
        return svg_uri(drawing) if detail >= 1 else raster_uri(drawing, CARD_DPI * max(detail, 0.7))


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
    ax: Axes, samples: pd.DataFrame, row: Mapping[str, Any], limits: tuple[float, float]
) -> None:
    times = samples["time"].to_numpy(np.float64) - float(row["onset"])
    pupil = samples["pupil"].to_numpy(np.float64)
    baseline = number(row.get("pupil_baseline"))
    has_baseline = bool(np.isfinite(baseline))
    level = baseline if has_baseline else float(np.nanmean(pupil))
    ax.axhline(0, color=LINE, linewidth=1.0)
    ax.plot(*binned(times, pupil - level, PUPIL_BIN_S), color=INK, linewidth=1.3)
    ax.set_ylabel(pupil_axis(row, has_baseline=has_baseline))
    if has_baseline:
        ax.set_ylim(limits)


def pupil_axis(row: Mapping[str, Any], *, has_baseline: bool) -> str:
    """Return the name of the pupil axis of one presentation."""
    unit = text(row.get("pupil_unit"))
    what = "pupil change" if has_baseline else "pupil − its mean\nno baseline"
    return f"{what} ({unit})" if unit else what
