"""Figures of eye movements for files and papers: scan path, heat map, main sequence.

Time courses of the pupil are in :mod:`~duchenne.analysis.gaze.plots_pupil`, the event ribbon and the
sequence of regions in :mod:`~duchenne.analysis.gaze.plots_events`; all are re-exported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from scipy.ndimage import gaussian_filter

from duchenne.analysis.gaze.plots_events import plot_event_ribbon, plot_scarf
from duchenne.analysis.gaze.plots_pupil import plot_pupil_course, pupil_epochs
from duchenne.analysis.gaze.plots_style import BLUE, INK, SOFT, VERMILION, new_figure, say, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "plot_event_ribbon",
    "plot_heatmap",
    "plot_main_sequence",
    "plot_pupil_course",
    "plot_scanpath",
    "plot_scarf",
    "pupil_epochs",
]

PATH = BLUE
FIRST = VERMILION
_ASPECT = 4 / 3
WIDTH_IN = 6.0
_HEAT_COLUMNS = 320
_SAME_PLACE = 0.022
"""Fixations closer than this part of the width would hide each other's numbers, on 6 inches."""


def plot_scanpath(
    fixations: pd.DataFrame,
    saccades: pd.DataFrame | None = None,
    image: NDArray[Any] | None = None,
    *,
    aspect: float | None = None,
    width_in: float = WIDTH_IN,
    title: str | None = None,
) -> Figure:
    """Draw the fixations in order over the stimulus.

    Parameters
    ----------
    fixations : DataFrame
        ``x_stim y_stim`` (0–1 within the stimulus, y down) and ``duration`` (seconds), in order; rows
        without a position are left out. Circle area is proportional to duration.
    saccades : DataFrame, optional
        Only their number and mean ``amplitude_deg`` are told, below the picture.
    image : ndarray, shape (height, width, 3 or 4) or (height, width), optional
        The stimulus.
    aspect : float, optional
        Width ÷ height where there is no image; 4 ÷ 3 where not given.
    width_in : float
        Width of the figure, inches; letters keep their size.
    title : str, optional
        Above the picture.

    Returns
    -------
    matplotlib.figure.Figure
        Drawn by Agg; belongs to no window.
    """
    figure, axes = _stage(image, aspect, title, veil=0.35, width_in=width_in)
    placed = fixations[fixations["x_stim"].notna() & fixations["y_stim"].notna()]
    x, y = placed["x_stim"].to_numpy(dtype=float), placed["y_stim"].to_numpy(dtype=float)
    seconds = placed["duration"].to_numpy(dtype=float)
    if x.size == 0:
        say(axes, "no fixations on the stimulus")
        return figure
    axes.plot(x, y, color="white", linewidth=3.6, alpha=0.8, zorder=2)
    axes.plot(x, y, color=PATH, linewidth=1.4, zorder=3)
    colours = [FIRST] + [PATH] * (x.size - 1)
    scale = width_in / WIDTH_IN
    area = np.clip(900 * scale * seconds, 80, 2500)
    axes.scatter(x, y, s=area, c=colours, alpha=0.75, edgecolors="white", linewidths=1.2, zorder=4)
    for left, top, numbers in _joined(x, y, _ratio(image, aspect), _SAME_PLACE / scale):
        axes.text(
            left, top, numbers, color="white", fontsize=7, fontweight="bold",
            ha="center", va="center_baseline", zorder=5, clip_on=True,
            path_effects=[withStroke(linewidth=2, foreground=INK)],
        )  # fmt: skip
    parts = [f"{x.size} fixations, mean {1000 * seconds.mean():.0f} ms; first in orange"]
    if saccades is not None and len(saccades):
        mean = float(saccades["amplitude_deg"].mean())
        parts.append(f"{len(saccades)} saccades, mean {mean:.1f}°")
    _caption(axes, " · ".join(parts))
    return figure


def plot_heatmap(
    fixations: pd.DataFrame,
    image: NDArray[Any] | None = None,
    *,
    sigma: float = 0.04,
    aspect: float | None = None,
    width_in: float = WIDTH_IN,
    title: str | None = None,
) -> Figure:
    """Draw where gaze dwelt on the stimulus: fixation durations, blurred.

    Parameters
    ----------
    fixations : DataFrame
        ``x_stim y_stim`` (0–1 within the stimulus, y down) and ``duration`` (seconds).
    image : ndarray, shape (height, width, 3 or 4) or (height, width), optional
        The stimulus.
    sigma : float
        Standard deviation of the blur as a part of the stimulus's width; about 1° is usual.
    aspect : float, optional
        Width ÷ height where there is no image; 4 ÷ 3 where not given.
    width_in : float
        Width of the figure, inches; letters keep their size.
    title : str, optional
        Above the picture.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = _stage(image, aspect, title, veil=0.25, width_in=width_in)
    ratio = _ratio(image, aspect)
    rows = max(1, round(_HEAT_COLUMNS / ratio))
    dwell, _, _ = np.histogram2d(
        fixations["y_stim"].to_numpy(dtype=float),
        fixations["x_stim"].to_numpy(dtype=float),
        bins=(rows, _HEAT_COLUMNS),
        range=((0, 1), (0, 1)),
        weights=fixations["duration"].to_numpy(dtype=float),
    )
    total = float(dwell.sum())
    if total <= 0:
        say(axes, "no fixations on the stimulus")
        return figure
    density = gaussian_filter(dwell, sigma * _HEAT_COLUMNS, mode="constant")
    share = density / density.max()
    colours = colormaps["inferno"](0.15 + 0.85 * share)
    colours[..., 3] = 0.85 * np.clip(share / 0.35, 0, 1) ** 1.2
    axes.imshow(colours, extent=(0, 1, 1, 0), aspect="auto", zorder=3, interpolation="bilinear")
    _caption(axes, f"{total:.1f} s of fixation; bright: longest")
    return figure


def plot_main_sequence(saccades: pd.DataFrame, *, title: str | None = None) -> Figure:
    """Draw peak velocity and duration of saccades against their amplitude.

    Parameters
    ----------
    saccades : DataFrame
        ``amplitude_deg``, ``peak_velocity_deg_s`` (NaN where the rate could not carry it) and
        ``duration`` (seconds); rows marked ``clipped`` are left out.
    title : str, optional
        Above the figure.

    Returns
    -------
    matplotlib.figure.Figure
        The grey line of durations is 21 ms + 2.2 ms per degree (Carpenter 1988).
    """
    figure = new_figure(7.5, 3.2, title)
    velocity, duration = figure.subplots(1, 2)
    if "clipped" in saccades.columns:
        saccades = saccades[~saccades["clipped"].astype(bool)]
    amplitude = saccades["amplitude_deg"].to_numpy(dtype=float)
    peak = saccades["peak_velocity_deg_s"].to_numpy(dtype=float)
    velocity.scatter(amplitude, peak, s=12, color=PATH, alpha=0.6, linewidths=0)
    if not np.isfinite(peak).any():
        say(velocity, "not measured below 250 Hz")
    velocity.set_ylabel("peak velocity (°/s)")
    milliseconds = 1000 * saccades["duration"].to_numpy(dtype=float)
    duration.scatter(amplitude, milliseconds, s=12, color=PATH, alpha=0.6, linewidths=0)
    span = np.array([0.0, float(np.nanmax(amplitude)) if amplitude.size else 1.0])
    duration.plot(span, 21 + 2.2 * span, color="#8a94a0", linewidth=1.2, label="21 ms + 2.2 ms/°")
    duration.legend(frameon=False, fontsize=8, loc="upper left")
    duration.set_ylabel("duration (ms)")
    for axes in (velocity, duration):
        axes.set_xlabel("amplitude (°)")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        tidy(axes)
    velocity.set_title(f"{amplitude.size} saccades", fontsize=8.5, color=SOFT, loc="left")
    return figure


def _joined(
    x: NDArray[np.float64], y: NDArray[np.float64], ratio: float, same: float
) -> list[tuple[float, float, str]]:
    """Return places and numbers of fixations; those nearly on top of each other share a place."""
    places: list[tuple[float, float, list[str]]] = []
    for number, (left, top) in enumerate(zip(x.tolist(), y.tolist(), strict=True), 1):
        for at_left, at_top, numbers in places:
            if np.hypot(left - at_left, (top - at_top) / ratio) < same:
                numbers.append(str(number))
                break
        else:
            places.append((left, top, [str(number)]))
    return [(left, top, ",".join(numbers)) for left, top, numbers in places]


def _ratio(image: NDArray[Any] | None, aspect: float | None) -> float:
    if image is not None:
        return float(image.shape[1] / image.shape[0])
    return _ASPECT if aspect is None else aspect


def _stage(
    image: NDArray[Any] | None,
    aspect: float | None,
    title: str | None,
    *,
    veil: float,
    width_in: float,
) -> tuple[Figure, Axes]:
    """Return a figure whose axes are the stimulus: 0–1 across, y down."""
    ratio = _ratio(image, aspect)
    figure = new_figure(width_in, width_in / ratio + 0.32)
    axes = figure.subplots()
    axes.set_facecolor("#eef1f5")
    if image is not None:
        axes.imshow(image, extent=(0, 1, 1, 0), aspect="auto", cmap="gray", zorder=0)
        axes.add_patch(
            Rectangle((0, 0), 1, 1, facecolor="white", alpha=veil, linewidth=0, zorder=1)
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(1, 0)
    axes.set_box_aspect(1 / ratio)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if title:
        axes.set_title(title, fontsize=10, color=INK)
    return figure, axes


def _caption(axes: Axes, text: str) -> None:
    axes.set_xlabel(text, fontsize=8.5, color=SOFT)
