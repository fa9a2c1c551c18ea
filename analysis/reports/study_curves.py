"""Time courses of a study: one card per stimulus, and the categories against each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.reports.charts import Chart, Panel, limits_of
from duchenne.analysis.reports.charts_still import chart_uri
from duchenne.analysis.reports.drawing import au_label
from duchenne.analysis.reports.group_curves import (
    BEFORE_S,
    LEAST_IN_BAND,
    PUPIL,
    Gathered,
    Grid,
    line_of,
    mean_line,
)
from duchenne.analysis.reports.style import INK, au_look
from duchenne.analysis.values import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.reports.charts import Line
    from duchenne.analysis.reports.strips import Strip
    from duchenne.analysis.reports.study_data import StudyData

MOST_STIMULI = 40
"""Cards in a report; of the rest, the table and the means of the categories tell."""
N_AUS = 4
CARD_IN = (6.2, 4.0)
FULL_DETAIL = 12
CATEGORY_PANELS = 5
LEAST_TOP = 1.0
"""Least upper end of the axis of intensities."""


@dataclass(frozen=True)
class GroupCard:
    """What the report shows of one stimulus over all participants."""

    stimulus_id: str
    category: str
    colour: str
    strip: str | None
    strip_said: str
    n_participants: int
    n_presentations: int
    n_excluded: int
    still: str | None
    chart: Chart | None
    alt: str


def chosen_stimuli(summary: pd.DataFrame) -> list[str]:
    """Return the stimuli that get a card: those that most participants saw, by category and name."""
    seen = summary.groupby("stimulus_id")["participant"].nunique().sort_index()
    most = seen.sort_values(ascending=False, kind="stable").head(MOST_STIMULI).index
    first = summary.drop_duplicates("stimulus_id").set_index("stimulus_id")["category"]
    return sorted(map(str, most), key=lambda name: (str(first.get(name)), name))


def group_cards(
    data: StudyData,
    gathered: Mapping[str, Gathered],
    strips: Mapping[str, Strip],
    colours: Mapping[str, str],
    aus: Sequence[str],
) -> list[GroupCard]:
    """Return a card per chosen stimulus."""
    names = chosen_stimuli(data.summary)
    limits = _shared_limits([gathered[name] for name in names if name in gathered], aus)
    detail = 1.0 if len(names) <= FULL_DETAIL else 0.7
    cards = []
    for name in names:
        rows = data.summary[data.summary["stimulus_id"] == name]
        used = data.used[data.used["stimulus_id"] == name]
        category = text(rows["category"].iloc[0]) or "–"
        own = gathered.get(name)
        chart = _chart(own, aus, colours.get(category, INK), limits, data) if own else None
        strip = strips.get(name)
        cards.append(
            GroupCard(
                stimulus_id=name,
                category=category,
                colour=colours.get(category, "#8a94a0"),
                strip=strip.uri if strip else None,
                strip_said=strip.said if strip else "session files not found",
                n_participants=int(used["participant"].nunique()),
                n_presentations=len(rows),
                n_excluded=len(rows) - len(used),
                still=chart_uri(chart, CARD_IN, detail=detail, legend_columns=4) if chart else None,
                chart=chart,
                alt=_alt(name, own, aus) if own else "",
            )
        )
    return cards


def category_chart(
    data: StudyData,
    gathered: Mapping[str, Gathered],
    colours: Mapping[str, str],
    aus: Sequence[str],
) -> Chart | None:
    """Return the mean of each category, a panel per measure: first over stimuli, then participants."""
    category_of = data.summary.drop_duplicates("stimulus_id").set_index("stimulus_id")["category"]
    shortest = min((own.duration_s for own in gathered.values()), default=0.0)
    grid = Grid.of(shortest)
    panels: list[Panel] = []
    for measure in (*aus[: CATEGORY_PANELS - 1], PUPIL):
        lines = []
        for i, category in enumerate(data.categories):
            members = [
                own for name, own in gathered.items() if text(category_of.get(name)) == category
            ]
            curves = _per_participant(members, measure, grid)
            # Dashes tell lines apart that lie on each other, and for those who see no colours.
            dash = ("solid", "dash", "dot")[i % 3]
            drawn = line_of(curves, grid.times_s, category, colours[category], dash)
            lines += [drawn[0]] if drawn else []
        if lines:
            label = (
                f"pupil change\n({_pupil_unit(data)})" if measure == PUPIL else f"{measure}\n(0–5)"
            )
            panels.append(Panel(label, tuple(_named_once(lines, first=not panels)), zero=True))
    if not panels:
        return None
    return Chart(
        tuple(_on_one_scale(panels)),
        "seconds from stimulus onset",
        (-BEFORE_S, shortest),
        at=(0.0,),
    )


def _on_one_scale(panels: list[Panel]) -> list[Panel]:
    """Return panels of which those of Action Units share their limits, lest noise looks like an effect."""
    lines = tuple(line for panel in panels if panel.label.startswith("AU") for line in panel.lines)
    low, high = limits_of(lines, zero=True)
    limits = (low, max(high, LEAST_TOP))
    return [
        replace(panel, limits=limits) if panel.label.startswith("AU") else panel for panel in panels
    ]


def _named_once(lines: list[Line], *, first: bool) -> list[Line]:
    return lines if first else [replace(line, in_legend=False) for line in lines]


def _per_participant(members: list[Gathered], measure: str, grid: Grid) -> NDArray[np.float64]:
    curves: dict[str, list[NDArray[np.float64]]] = {}
    for own in members:
        for participant, each in own.curves.get(measure, {}).items():
            for curve in each:
                known = np.isfinite(curve)
                if known.any():
                    moved = grid.means(own.grid.times_s, curve.astype(np.float64))
                    curves.setdefault(participant, []).append(moved)
    rows = []
    for moved_curves in curves.values():
        stacked = np.stack(moved_curves)
        known = np.isfinite(stacked)
        count = known.sum(axis=0)
        total = np.where(known, stacked, 0).sum(axis=0)
        rows.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    return np.stack(rows) if rows else np.empty((0, grid.n))


def _chart(
    own: Gathered,
    aus: Sequence[str],
    colour: str,
    limits: Mapping[str, tuple[float, float]],
    data: StudyData,
) -> Chart | None:
    panels = []
    lines = [mean_line(own, au, au_label(au), *au_look(au)) for au in aus]
    drawn = tuple(line[0] for line in lines if line)
    if drawn:
        panels.append(Panel("AU intensity", drawn, limits["au"], height=1.4))
    pupil = mean_line(own, PUPIL, "pupil", INK)
    if pupil:
        label = f"pupil change ({_pupil_unit(data)})"
        line = replace(pupil[0], in_legend=False)
        panels.append(Panel(label, (line,), limits["pupil"], zero=True))
    if not panels:
        return None
    return Chart(
        tuple(panels),
        "seconds from stimulus onset",
        (-BEFORE_S, own.duration_s),
        shade=((0.0, own.duration_s, colour),),
        at=(0.0,),
    )


def _shared_limits(
    all_gathered: list[Gathered], aus: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Return limits that suit the bands of every stimulus."""
    found = {}
    for what, measures in (("au", list(aus)), ("pupil", [PUPIL])):
        edges = []
        for own in all_gathered:
            for measure in measures:
                drawn = mean_line(own, measure, "", INK)
                if drawn:
                    parts = (drawn[0].y, drawn[0].low, drawn[0].high)
                    edges += [part[np.isfinite(part)] for part in parts if part is not None]
        values = np.concatenate(edges) if edges else np.zeros(0)
        if not values.size:
            found[what] = (0.0, 1.0)
            continue
        low, high = (float(v) for v in np.quantile(values, [0.002, 0.998]))
        margin = 0.08 * (high - low) or 0.1
        bottom = -0.05 if what == "au" else min(low - margin, 0.0)
        found[what] = (bottom, max(high + margin, 0.0))
    return found


def _pupil_unit(data: StudyData) -> str:
    units = [unit for unit in map(text, data.summary.get("pupil_unit", [])) if unit]
    return units[0] if units else "as the device gives it"


def _alt(name: str, own: Gathered, aus: Sequence[str]) -> str:
    said = []
    for measure in (*aus, PUPIL):
        curves = own.by_participant(measure)
        shown = own.grid.times_s >= 0
        known = curves[:, shown][np.isfinite(curves[:, shown])] if len(curves) else np.zeros(0)
        if known.size:
            said.append(f"{measure} {known.mean():.2f}")
    n = max((len(own.by_participant(m)) for m in (*aus, PUPIL)), default=0)
    band = "with its 95 % interval" if n >= LEAST_IN_BAND else "without interval"
    means = ", ".join(said) or "nothing measured"
    return f"Mean time course on {name} over {n} participants {band}. Means while shown: {means}."
