"""The same contrast under every declared choice: a specification curve."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.reports.style import BLUE, INK, LINE, ORANGE, figure, raster_uri, svg_uri
from duchenne.analysis.reports.words import amount

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from duchenne.analysis.statistics.results import (
        Specification,
        SpecificationSummary,
        StudyStatistics,
    )

CHOICES = ("measure", "window", "exclusions", "backend", "covariates")
MOST_LINES = 120
MOST_LEVELS = 24


@dataclass(frozen=True)
class MultiverseFigure:
    """The specification curve of one contrast."""

    contrast: str
    uri: str
    alt: str
    told: str


def multiverse_figures(statistics: StudyStatistics) -> list[MultiverseFigure]:
    """Return a specification curve per contrast that was run under several choices."""
    by_contrast: dict[str, list[Specification]] = defaultdict(list)
    for one in statistics.multiverse:
        if math.isfinite(one.estimate):
            by_contrast[one.contrast].append(one)
    told = {one.contrast: summary_said(one) for one in statistics.multiverse_summary}
    return [
        MultiverseFigure(
            name,
            _drawn(ones),
            _alt(name, ones),
            told.get(name, ""),
        )
        for name, ones in by_contrast.items()
    ]


def summary_said(one: SpecificationSummary) -> str:
    """Return how a contrast fared under all choices, in a sentence."""
    note = f" {one.note}" if one.note else ""
    size = (
        f" Standardised difference {amount(one.d_median)} in the middle, from {amount(one.d_low)} to "
        f"{amount(one.d_high)}."
        if math.isfinite(one.d_median)
        else ""
    )
    if not one.n_fitted:
        return f"None of {one.n_specifications} analyses could be fitted.{note}"
    return (
        f"{one.n_fitted} of {one.n_specifications} analyses could be fitted; "
        f"{100 * one.share_with_sign:.0f} % of them agree in the sign, {100 * one.share_significant:.0f} % "
        f"have that sign and p below the level (not corrected: they are one question).{size}{note}"
    )


def _alt(name: str, ones: list[Specification]) -> str:
    scales = _scales(ones)
    sizes = [one.estimate * scale for one, scale in zip(ones, scales, strict=True)]
    return (
        f"Specification curve of {name}: {len(ones)} analyses in order of their {_what(ones)}, from "
        f"{min(sizes):.2f} to {max(sizes):.2f}, and the choices behind each."
    )


def _has_sizes(ones: list[Specification]) -> bool:
    return all(math.isfinite(one.effect_size_d) and one.estimate for one in ones)


def _what(ones: list[Specification]) -> str:
    return "standardised difference" if _has_sizes(ones) else "estimate"


def _scales(ones: list[Specification]) -> list[float]:
    """Return what turns each estimate into a standardised size; ones where not all have a size."""
    if not _has_sizes(ones):
        return [1.0] * len(ones)
    return [one.effect_size_d / one.estimate for one in ones]


def _drawn(ones: list[Specification]) -> str:
    pairs = sorted(
        zip(ones, _scales(ones), strict=True), key=lambda pair: pair[0].estimate * pair[1]
    )
    ordered = [one for one, _ in pairs]
    levels = _levels(ordered)
    height = 2.4 + 0.19 * len(levels)
    with figure(11.0, height) as drawing:
        top, bottom = drawing.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [2.2, 0.19 * max(len(levels), 1)]}
        )
        _estimates(top, ordered, [scale for _, scale in pairs])
        _choices(bottom, ordered, levels)
        many = len(ordered) > MOST_LINES
        return raster_uri(drawing, 130) if many else svg_uri(drawing)


def _estimates(ax: Axes, ordered: list[Specification], scales: list[float]) -> None:
    ax.axhline(0, color=LINE, linewidth=1.2)
    for i, (one, scale) in enumerate(zip(ordered, scales, strict=True)):
        clear = one.ci_low * one.ci_high > 0
        colour = BLUE if clear else "#8a94a0"
        ends = [one.ci_low * scale, one.ci_high * scale]
        ax.plot([i, i], ends, color=colour, linewidth=1.2, alpha=0.7)
        ax.plot(i, one.estimate * scale, marker="o", markersize=3.2, color=colour)
        if one.declared:
            ax.plot(
                i, one.estimate * scale, marker="D", markersize=8, color="none",
                markeredgecolor=ORANGE, markeredgewidth=2,
            )  # fmt: skip
    ax.set_ylabel(_what(ordered).replace(" ", "\n"))
    ax.grid(axis="y")


def _choices(ax: Axes, ordered: list[Specification], levels: list[tuple[str, str]]) -> None:
    for row, (choice, level) in enumerate(levels):
        at = [i for i, one in enumerate(ordered) if _level(one, choice) == level]
        ax.plot(at, np.full(len(at), row), linestyle="none", marker="|", markersize=6, color=INK)
    ax.set_yticks(range(len(levels)), [f"{choice}: {level}" for choice, level in levels])
    ax.set_ylim(len(levels) - 0.4, -0.6)
    ax.set_xlim(-1, len(ordered))
    ax.set_xticks([])
    ax.set_xlabel(f"{len(ordered)} analyses, in order of the difference")


def _levels(ones: list[Specification]) -> list[tuple[str, str]]:
    found = []
    for choice in CHOICES:
        own = sorted({_level(one, choice) for one in ones})
        if len(own) > 1:
            found += [(choice, level) for level in own]
    return found[:MOST_LEVELS]


def _level(one: Specification, choice: str) -> str:
    value = getattr(one, choice, "")
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    return str(value or "none")
