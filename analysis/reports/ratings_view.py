"""Whether the stimuli did what they were chosen for: ratings by category, and of each participant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.reports.group_curves import interval
from duchenne.analysis.reports.style import INK, figure, svg_uri
from duchenne.analysis.reports.words import amount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from duchenne.analysis.reports.study_data import StudyData

MOST_RATINGS = 6
LEAST_LINE = 0.12


@dataclass(frozen=True)
class RatingCheck:
    """One rating over the categories.

    Parameters
    ----------
    name : str
    means : tuple of (str, str, int)
        Category, mean with its interval in words, and participants.
    by_participant : tuple of (str, tuple of str)
        Mean of each participant on each category.
    norm : str
        How the ratings go with the norms of the stimuli, in a sentence; empty without norms.
    """

    name: str
    means: tuple[tuple[str, str, int], ...]
    by_participant: tuple[tuple[str, tuple[str, ...]], ...]
    norm: str


def rating_names(data: StudyData) -> list[str]:
    """Return the numeric ratings that were answered, such as ``valence``."""
    names = []
    for column in map(str, data.used.columns):
        if not column.startswith("rating_") or column.endswith("rt_s"):
            continue
        values = data.used[column]
        if pd.api.types.is_numeric_dtype(values) and values.notna().any():
            names.append(column.removeprefix("rating_"))
    return names[:MOST_RATINGS]


def participant_means(data: StudyData, rating: str) -> pd.DataFrame:
    """Return the mean rating of each participant (rows) on each category (columns)."""
    column = f"rating_{rating}"
    known = data.used[data.used[column].notna() & data.used["category"].notna()]
    table = known.pivot_table(index="participant", columns="category", values=column)
    return table.reindex(columns=[name for name in data.categories if name in table.columns])


def rating_checks(data: StudyData) -> list[RatingCheck]:
    """Return each rating over the categories, in words."""
    return [_check(data, name) for name in rating_names(data)]


def ratings_uri(data: StudyData, colours: Mapping[str, str]) -> str | None:
    """Return all ratings as a figure: a dot per participant, mean and 95 % interval per category."""
    names = [name for name in rating_names(data) if participant_means(data, name).size]
    if not names:
        return None
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    with figure(13.0 if columns > 2 else 5.2 * columns, 3.1 * rows) as drawing:
        grid = drawing.subplots(rows, columns, squeeze=False)
        for ax, name in zip(grid.flat, names, strict=False):
            _panel(ax, participant_means(data, name), name, colours)
        for ax in grid.flat[len(names) :]:
            ax.set_visible(False)
        return svg_uri(drawing)


def _panel(ax: Axes, table: pd.DataFrame, name: str, colours: Mapping[str, str]) -> None:
    values = table.to_numpy(np.float64)
    x = np.arange(values.shape[1])
    moved = np.random.default_rng(0).uniform(-0.1, 0.1, len(values)) + 0.14
    opacity = float(np.clip(8 / max(len(values), 1), LEAST_LINE, 0.9))
    for each, shift in zip(values, moved, strict=True):
        ax.plot(x + shift, each, color="#b6bfca", linewidth=0.8, alpha=opacity, zorder=1)
    mean, half = interval(values)
    for i, category in enumerate(map(str, table.columns)):
        ax.scatter(
            i + moved, values[:, i], s=18, color=colours[category], alpha=0.7, linewidth=0, zorder=2
        )
        error = half[i] if np.isfinite(half[i]) else None
        ax.errorbar(
            i - 0.12, mean[i], yerr=error, fmt="o", markersize=7, color=INK, ecolor=INK,
            elinewidth=2, capsize=4, capthick=2, zorder=3,
        )  # fmt: skip
    ax.set_xticks(x, [str(category) for category in table.columns])
    ax.set_title(name, loc="left", fontsize=10, fontweight="bold", color=INK)
    ax.set_xlim(-0.5, len(x) - 0.5)
    ax.grid(axis="y")


def _check(data: StudyData, rating: str) -> RatingCheck:
    table = participant_means(data, rating)
    values = table.to_numpy(np.float64)
    mean, half = interval(values)
    means = []
    for i, category in enumerate(map(str, table.columns)):
        n = int(np.isfinite(values[:, i]).sum())
        span = (
            f" (95 % interval {amount(mean[i] - half[i])} to {amount(mean[i] + half[i])})"
            if np.isfinite(half[i])
            else ""
        )
        means.append((category, f"{amount(float(mean[i]))}{span}", n))
    people = tuple(
        (str(label), tuple(amount(float(value), "", 2) for value in row))
        for label, row in zip(table.index, values, strict=True)
    )
    return RatingCheck(rating, tuple(means), people, _norm_said(data, rating))


def _norm_said(data: StudyData, rating: str) -> str:
    norm, given = f"norm_{rating}", f"rating_{rating}"
    if norm not in data.used or not data.used[norm].notna().any():
        return ""
    found = []
    for _, rows in data.used.groupby("participant"):
        pair = rows[[given, norm]].dropna().to_numpy(np.float64)
        found.append(_correlation(pair))
    known = np.array([r for r in found if np.isfinite(r)])
    if not known.size:
        return ""
    return (
        f"Correlation of {rating} ratings with the norms of the stimuli: median "
        f"{np.median(known):.2f}, from {known.min():.2f} to {known.max():.2f} over {known.size} of "
        f"{len(found)} participants; positive in {int((known > 0).sum())}."
    )


def _correlation(pair: NDArray[np.float64]) -> float:
    if len(pair) < 3 or np.ptp(pair[:, 0]) == 0 or np.ptp(pair[:, 1]) == 0:
        return float("nan")
    return float(np.corrcoef(pair.T)[0, 1])
