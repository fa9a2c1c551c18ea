"""What faces did on each category of stimuli: Action Units and matched prototypes as tables of colour."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.reports.colours import on_scale
from duchenne.analysis.reports.drawing import au_label
from duchenne.analysis.reports.style import BLUE, ORANGE
from duchenne.analysis.reports.words import NOTHING, signed
from duchenne.analysis.values import text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.reports.study_data import StudyData

_EYELIDS = {"AU43", "AU45"}
LEAST_SCALE = 0.5
"""The strongest colour stands for at least this change, lest noise looks like an effect."""


@dataclass(frozen=True)
class Cell:
    """A number and the colour behind it."""

    told: str
    colour: str
    more: str = ""


@dataclass(frozen=True)
class Matrix:
    """A table of colour: a row per measure, a column per category.

    Parameters
    ----------
    columns : tuple of str
    rows : tuple of (str, tuple of Cell)
    n : tuple of int
        Participants behind each column.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    n: tuple[int, ...]


def au_profile(data: StudyData) -> Matrix | None:
    """Return the mean change of each Action Unit on each category: first within, then over participants."""
    names = [
        str(name)
        for name in data.used.columns
        if str(name).startswith("AU")
        and str(name).endswith("_change_mean")
        and str(name)[4:] == "_change_mean"
        and str(name)[:4] not in _EYELIDS
    ]
    used = data.used[data.used["category"].notna()]
    if not names or not len(used) or not used[names].notna().any().any():
        return None
    per_person = used.groupby(["category", "participant"])[names].mean()
    people_of = {
        str(name): rows.to_numpy(np.float64) for name, rows in per_person.groupby("category")
    }
    categories = [name for name in data.categories if name in people_of]
    means = np.stack([_means(people_of[name]) for name in categories], axis=1)
    strongest = max(float(np.nanmax(np.abs(means))), LEAST_SCALE)
    rows = []
    for i, name in sorted(enumerate(names), key=lambda pair: pair[1]):
        if not np.isfinite(means[i]).any():
            continue
        cells = []
        for category, value in zip(categories, means[i].tolist(), strict=True):
            own = people_of[category][:, i]
            own = own[np.isfinite(own)]
            n = own.size
            error = float(own.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
            colour = on_scale(abs(value) / strongest, ORANGE if value > 0 else BLUE)
            cells.append(
                Cell(
                    signed(value, "", 2),
                    colour if math.isfinite(value) else "#ffffff",
                    f"standard error {error:.2f}, {n} participants" if math.isfinite(error) else "",
                )
            )
        rows.append((au_label(name[:4]), tuple(cells)))
    people = used.groupby("category")["participant"].nunique()
    return Matrix(tuple(categories), tuple(rows), tuple(int(people[name]) for name in categories))


def _means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each column over the rows that are known; NaN where none is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def prototype_profile(data: StudyData) -> Matrix | None:
    """Return in how many presentations of each category each prototype of expression matched best."""
    used = data.used[data.used["category"].notna()]
    if "expr_prototype_top" not in used or not used["expr_prototype_top"].notna().any():
        return None
    known = used[used["expr_prototype_top"].notna()]
    pairs = Counter(zip(known["expr_prototype_top"], known["category"], strict=True))
    totals = Counter(known["category"])
    categories = [name for name in data.categories if totals[name]]
    last = ("neutral", "none", "not_assessable")
    rows = []
    found = {prototype for prototype, _ in pairs}
    for prototype in sorted(found, key=lambda name: (name in last, name)):
        cells = []
        for category in categories:
            n, total = pairs[prototype, category], totals[category]
            share = n / total if total else 0.0
            told = f"{100 * share:.0f} %" if n else NOTHING
            cells.append(Cell(told, on_scale(share, BLUE), f"{n} of {total} presentations"))
        told_as = "no match" if prototype == "none" else (text(prototype) or NOTHING)
        rows.append((told_as.replace("_", " "), tuple(cells)))
    people = known.groupby("category")["participant"].nunique()
    return Matrix(tuple(categories), tuple(rows), tuple(int(people[name]) for name in categories))
