"""Parts that every figure of time courses shares."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.codebooks import FACS_NAMES
from duchenne.analysis.face.smoothing import smooth
from duchenne.analysis.reports.style import INK, au_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_INTENSITY = re.compile(r"AU(\d\d)_r$")
_EYELIDS = {"AU43", "AU45"}


def main_aus(au: pd.DataFrame | None, at_most: int) -> list[str]:
    """Return the Action Units that reach the highest intensities, in order of their numbers.

    Parameters
    ----------
    au : pandas.DataFrame or None
        Video frames; those in which a stimulus is shown count, or all where there is none.
    at_most : int
        How many; blinks and closed eyes are never among them.
    """
    if au is None:
        return []
    shown = au[au["phase"] == "stimulus"] if (au["phase"] == "stimulus").any() else au
    heights: dict[str, float] = {}
    for column in au.columns:
        name = str(column).removesuffix("_r")
        if not _INTENSITY.match(str(column)) or name in _EYELIDS:
            continue
        values = shown[column].dropna()
        heights[name] = float(values.quantile(0.95)) if len(values) else 0.0
    ranked = sorted(heights, key=lambda name: heights[name], reverse=True)
    return sorted(name for name in ranked[:at_most] if heights[name] > 0)


def au_label(name: str) -> str:
    """Return an Action Unit with its name in words, such as ``AU12 lip corner puller``."""
    return f"{name} {FACS_NAMES.get(int(name[2:4]), '')}".strip()


def binned(
    times: NDArray[np.float64], values: NDArray[np.float64], width_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of the values in bins of equal width; NaN where a bin has none.

    Parameters
    ----------
    times, values : ndarray, shape (n,)
        Ascending times, and values that may be NaN.
    width_s : float
        Width of the bins.

    Returns
    -------
    times, values : ndarray, shape (m,)
        Centres of the bins and their means.
    """
    if times.size == 0:
        return times, values
    index = ((times - times[0]) / width_s).astype(np.intp)
    known = np.isfinite(values)
    n = int(index[-1]) + 1
    count = np.bincount(index[known], minlength=n).astype(np.float64)
    count[count == 0] = np.nan
    means = np.bincount(index[known], weights=values[known], minlength=n) / count
    return times[0] + (np.arange(n) + 0.5) * width_s, means


def au_lines(ax: Axes, times: NDArray[np.float64], au: pd.DataFrame, aus: Sequence[str]) -> None:
    """Draw intensities, smoothed over a fifth of a second, each with its colour and name."""
    for name in aus:
        values = smooth(times, au[f"{name}_r"].to_numpy(np.float64))
        ax.plot(times, values, label=au_label(name), **au_line(name))


def au_top(au: pd.DataFrame | None, aus: Sequence[str]) -> float:
    """Return the upper limit of the intensity axis: a little above what is reached."""
    columns = [f"{name}_r" for name in aus]
    values = au[columns].to_numpy(np.float64) if au is not None and columns else np.empty(0)
    known = values[np.isfinite(values)]
    return float(np.clip(np.ceil(np.quantile(known, 0.999) + 0.2), 1.5, 5.2)) if known.size else 5.0


def legend_above(ax: Axes, columns: int) -> None:
    """Draw a legend above the upper left corner, in so many columns."""
    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return
    ax.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        borderaxespad=0.2,
        handlelength=1.4,
        columnspacing=1.4,
        labelcolor=INK,
    )
