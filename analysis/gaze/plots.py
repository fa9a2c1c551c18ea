"""Figures of eye movements for files and papers: scan path, heat map, main sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

INK = "#1d2733"
PATH = "#0072B2"
FIRST = "#D55E00"
_ASPECT = 4 / 3
_WIDTH_IN = 6.0
_HEAT_COLUMNS = 320


def plot_scanpath(
    fixations: pd.DataFrame,
    saccades: pd.DataFrame | None = None,
    image: NDArray[Any] | None = None,
    *,
    aspect: float | None = None,
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
    title : str, optional
        Above the picture.

    Returns
    -------
    matplotlib.figure.Figure
        Drawn by Agg; belongs to no window.
    """
    figure, axes = _stage(image, aspect, title, veil=0.35)
    placed = fixations[fixations["x_stim"].notna() & fixations["y_stim"].notna()]
    x, y = placed["x_stim"].to_numpy(dtype=float), placed["y_stim"].to_numpy(dtype=float)
    seconds = placed["duration"].to_numpy(dtype=float)
    if x.size == 0:
        _say(axes, "no fixations on the stimulus")
        return figure
    axes.plot(x, y, color="white", linewidth=3.6, alpha=0.8, zorder=2)
    axes.plot(x, y, color=PATH, linewidth=1.4, zorder=3)
    colours = [FIRST] + [PATH] * (x.size - 1)
    area = np.clip(900 * seconds, 90, 2500)
    axes.scatter(x, y, s=area, c=colours, alpha=0.75, edgecolors="white", linewidths=1.2, zorder=4)
    for number, (left, top) in enumerate(zip(x, y, strict=True), 1):
        axes.text(
            left, top, str(number), color="white", fontsize=7, fontweight="bold",
            ha="center", va="center_baseline", zorder=5, clip_on=True,
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
    title : str, optional
        Above the picture.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = _stage(image, aspect, title, veil=0.25)
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
        _say(axes, "no fixations on the stimulus")
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
        ``duration`` (seconds).
    title : str, optional
        Above the figure.

    Returns
    -------
    matplotlib.figure.Figure
        The grey line of durations is 21 ms + 2.2 ms per degree (Carpenter 1988).
    """
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    velocity, duration = figure.subplots(1, 2)
    amplitude = saccades["amplitude_deg"].to_numpy(dtype=float)
    peak = saccades["peak_velocity_deg_s"].to_numpy(dtype=float)
    velocity.scatter(amplitude, peak, s=12, color=PATH, alpha=0.6, linewidths=0)
    if not np.isfinite(peak).any():
        _say(velocity, "not measured below 250 Hz")
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
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#eceff3")
        axes.set_axisbelow(True)
    if title:
        figure.suptitle(title, fontsize=10, color=INK)
    return figure


def _ratio(image: NDArray[Any] | None, aspect: float | None) -> float:
    if image is not None:
        return float(image.shape[1] / image.shape[0])
    return _ASPECT if aspect is None else aspect


def _stage(
    image: NDArray[Any] | None, aspect: float | None, title: str | None, *, veil: float
) -> tuple[Figure, Axes]:
    """Return a figure whose axes are the stimulus: 0–1 across, y down."""
    ratio = _ratio(image, aspect)
    figure = Figure(figsize=(_WIDTH_IN, _WIDTH_IN / ratio + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_facecolor("#eef1f5")
    if image is not None:
        axes.imshow(image, extent=(0, 1, 1, 0), aspect="auto", cmap="gray", zorder=0)
        axes.imshow(np.ones((1, 1, 3)), extent=(0, 1, 1, 0), aspect="auto", alpha=veil, zorder=1)
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
    axes.set_xlabel(text, fontsize=8.5, color="#5b6775")


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#5b6775")
