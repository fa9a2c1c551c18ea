"""Figures of pupil size: mean time courses with confidence bands, by category."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t as student

from duchenne.analysis.gaze.plots_style import (
    DASHES,
    INK,
    SERIES,
    SOFT,
    new_figure,
    say,
    tidy,
)
from duchenne.analysis.gaze.pupil import BASELINE_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

CONFIDENCE = 0.95
MIN_BAND_TRIALS = 3
"""Of two trials the interval is 13 standard errors wide: it says nothing and hides the rest."""


def pupil_epochs(
    times_s: Floats,
    size: Floats,
    onsets_s: ArrayLike,
    *,
    before_s: float = BASELINE_S,
    after_s: float = 5.0,
) -> tuple[Floats, Floats]:
    """Cut a trace around onsets, each minus the median of its 500 ms before.

    Parameters
    ----------
    times_s, size : ndarray, shape (n,)
        Seconds at equal steps, and the trace; NaN where missing.
    onsets_s : array_like, shape (m,)
        When the stimuli appeared.
    before_s, after_s : float
        How much to cut.

    Returns
    -------
    t_s : ndarray, shape (k,)
        Seconds from onset.
    change : ndarray, shape (m, k)
        NaN where missing; a whole row where the baseline is less than half known.
    """
    onsets = np.atleast_1d(np.asarray(onsets_s, dtype=np.float64))
    step = float(np.median(np.diff(times_s))) if times_s.size > 1 else 1.0
    offsets = np.arange(-round(before_s / step), round(after_s / step) + 1)
    change = np.full((onsets.size, offsets.size), np.nan)
    for row, onset_s in enumerate(onsets.tolist()):
        index = int(np.searchsorted(times_s, onset_s)) + offsets
        inside = (index >= 0) & (index < times_s.size)
        change[row, inside] = size[index[inside]]
        resting = change[row, (offsets < 0) & (offsets * step >= -BASELINE_S - step / 2)]
        known = np.isfinite(resting)
        enough = resting.size > 0 and 2 * np.count_nonzero(known) >= resting.size
        change[row] -= np.median(resting[known]) if enough else np.nan
    return np.asarray(offsets * step, dtype=np.float64), change


def confidence_band(change: Floats, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
    """Return the mean over trials and half the width of its confidence interval (Student's t).

    Parameters
    ----------
    change : ndarray, shape (m, k)
        One row per trial; NaN is left out at its time.
    confidence : float
        0–1.

    Returns
    -------
    mean, half_width : ndarray, shape (k,)
        NaN where no trial, and the width where less than two, is known.
    """
    known = np.isfinite(change)
    n = known.sum(axis=0)
    filled = np.where(known, change, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / n
        spread = np.where(known, change - mean, 0.0)
        variance = (spread**2).sum(axis=0) / np.where(n > 1, n - 1, np.nan)
        factor = student.ppf(0.5 + confidence / 2, np.maximum(n - 1, 1))
        half: Floats = np.where(n > 1, factor * np.sqrt(variance / n), np.nan)
    return mean, half


def plot_pupil_course(
    t_s: Floats,
    change: Mapping[str, Floats],
    *,
    corrected: Mapping[str, Floats] | None = None,
    offset_s: float | None = None,
    unit: str | None = None,
    colours: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the mean pupil of each category over time, with 95 % confidence bands over trials.

    Parameters
    ----------
    t_s : ndarray, shape (k,)
        Seconds from onset.
    change : mapping of str to ndarray, shape (m, k)
        Trials of each category, minus their baselines; see :func:`pupil_epochs`.
    corrected : mapping of str to ndarray, optional
        The same without light, drawn beside it on the same scale.
    offset_s : float, optional
        When the stimulus ended.
    unit : str, optional
        Of the pupil; "arbitrary units" where not given.
    colours : mapping of str to str, optional
        Colour of each category; lines differ in dashes, too.
    title : str, optional
        Above the figure.

    Returns
    -------
    matplotlib.figure.Figure
        A band needs three trials; with fewer there is the line alone. The shaded strip is the baseline.
    """
    figure = new_figure(9.2 if corrected is not None else 6.0, 3.6, title)
    n_panels = 1 if corrected is None else 2
    panels = np.atleast_1d(figure.subplots(1, n_panels, sharey=True, sharex=True)).ravel().tolist()
    own = colours or {}
    palette = {name: own.get(name, SERIES[i % len(SERIES)]) for i, name in enumerate(change)}
    drawn = [_courses(panels[0], t_s, change, palette, offset_s)]
    if corrected is not None:
        panels[0].set_title("as measured", fontsize=9, color=SOFT)
        panels[1].set_title("light taken off", fontsize=9, color=SOFT)
        drawn.append(_courses(panels[1], t_s, corrected, palette, offset_s))
        panels[1].tick_params(labelleft=True)
    panels[0].set_ylabel(f"pupil minus baseline ({unit or 'arbitrary units'})")
    if any(drawn):
        handles, labels = panels[0].get_legend_handles_labels()
        legend = figure.legend(
            handles, labels, loc="outside right center", frameon=False, fontsize=8, labelcolor=INK,
            handlelength=2.6, title="mean (trials), 95 % band", title_fontsize=7.5,
        )  # fmt: skip
        legend.get_title().set_color(SOFT)
    return figure


def _courses(
    axes: Axes,
    t_s: Floats,
    change: Mapping[str, Floats],
    palette: Mapping[str, str],
    offset_s: float | None,
) -> bool:
    """Draw one panel; return whether there was anything to draw."""
    axes.axvspan(-BASELINE_S, 0, color="#e3e7ec", linewidth=0, zorder=0)
    axes.axhline(0, color="#8a94a0", linewidth=0.8, zorder=1)
    axes.axvline(0, color="#8a94a0", linewidth=0.8, zorder=1)
    if offset_s is not None:
        axes.axvline(offset_s, color="#8a94a0", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    seen = False
    for number, (name, colour) in enumerate(palette.items()):
        trials = np.atleast_2d(change.get(name, np.empty((0, t_s.size))))
        trials = trials[np.isfinite(trials).any(axis=1)]
        mean, half = confidence_band(trials) if len(trials) else (np.full(t_s.size, np.nan),) * 2
        half = np.where(np.isfinite(trials).sum(axis=0) < MIN_BAND_TRIALS, np.nan, half)
        axes.fill_between(t_s, mean - half, mean + half, color=colour, alpha=0.18, linewidth=0)
        axes.plot(
            t_s, mean, color=colour, linewidth=1.8, linestyle=DASHES[number % len(DASHES)],
            label=f"{name} ({len(trials)})",
        )  # fmt: skip
        seen |= len(trials) > 0
    if not seen:
        say(axes, "no trial with a baseline")
    axes.set_xlabel("time from onset (s)")
    if t_s.size:
        axes.set_xlim(float(t_s[0]), float(t_s[-1]))
    tidy(axes)
    return seen
