"""Contrasts, curves and robustness of a study as a reader meets them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.reports.charts import Chart, Line, Panel
from duchenne.analysis.reports.charts_still import chart_uri
from duchenne.analysis.reports.style import BLUE, INK, LINE, MUTED, ORANGE, VERMILLION
from duchenne.analysis.reports.words import NOTHING, amount, signed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duchenne.analysis.statistics.results import (
        ContrastResult,
        CurveResult,
        ParticipantDifference,
        StudyStatistics,
    )

LEAST_REACH, MOST_REACH = 1.0, 5.0
CURVE_IN = (6.2, 4.4)
CORRECTIONS = {"holm": "Holm", "fdr_bh": "BH"}
_WIDTH, _HEIGHT = 180, 26


@dataclass(frozen=True)
class ContrastRow:
    """A contrast in words, and its interval drawn."""

    name: str
    compared: str
    measure: str
    window: str
    family: str
    estimate: str
    forest: str
    d: str
    tests: tuple[str, ...]
    verdict: str
    grade: str
    n: str
    in_direction: str
    detectable: str
    note: str


@dataclass(frozen=True)
class CurveFigure:
    """A curve contrast drawn."""

    name: str
    still: str
    chart: Chart
    alt: str
    told: str


def contrast_rows(statistics: StudyStatistics) -> list[ContrastRow]:
    """Return the contrasts, primary ones first."""
    contrasts = sorted(statistics.contrasts, key=lambda one: one.family != "primary")
    reach = _reach(contrasts)
    return [_contrast(one, statistics.participants, reach) for one in contrasts]


def forest_reach(statistics: StudyStatistics) -> float:
    """Return the end of the axis of the drawn intervals, in standard deviations."""
    return _reach(statistics.contrasts)


def p_said(p: float) -> str:
    """Return a probability as journals print it, such as ``.032`` and ``< .001``."""
    if not math.isfinite(p):
        return NOTHING
    return "< .001" if p < 0.001 else f"{p:.3f}".replace("0.", ".", 1) if p < 1 else "1"


def curve_figures(statistics: StudyStatistics) -> list[CurveFigure]:
    """Return each curve contrast: both means with their intervals, the difference, and its clusters."""
    return [_curve(curve) for curve in statistics.curves if len(curve.times_s)]


def curve_notes(statistics: StudyStatistics) -> list[str]:
    """Return why curves that were declared are not drawn."""
    return [f"{one.name}: {one.note}" for one in statistics.curves if not len(one.times_s)]


def _reach(contrasts: Iterable[ContrastResult]) -> float:
    ends = [abs(end) for one in contrasts for end in _in_sd(one) if math.isfinite(end)]
    widest = max(ends, default=LEAST_REACH)
    return float(np.clip(math.ceil(widest * 2) / 2, LEAST_REACH, MOST_REACH))


def _in_sd(one: ContrastResult) -> tuple[float, float, float]:
    """Return estimate and interval in standard deviations; NaN where the size of one is not known."""
    if not (math.isfinite(one.effect_size_d) and one.estimate):
        return math.nan, math.nan, math.nan
    scale = one.effect_size_d / one.estimate
    return one.effect_size_d, one.ci_low * scale, one.ci_high * scale


def _contrast(
    one: ContrastResult, people: Sequence[ParticipantDifference], reach: float
) -> ContrastRow:
    own = [p.difference for p in people if p.contrast == one.name and math.isfinite(p.difference)]
    sign = -1 if one.direction == "negative" else 1
    along = sum(value * sign > 0 for value in own)
    if one.note and not math.isfinite(one.estimate):
        verdict, grade = "not estimated", "poor"
    elif not math.isfinite(one.p_corrected):
        verdict, grade = "not tested", "fair"
    elif one.significant:
        verdict = "differs" if one.in_direction is not False else "differs, against the prediction"
        grade = "good" if one.in_direction is not False else "fair"
    else:
        verdict, grade = "no difference shown", "fair"
    unit = one.unit if one.unit not in (None, "", "1") else ""
    span = f"{amount(one.ci_low)} to {amount(one.ci_high, unit)}"
    return ContrastRow(
        name=one.name,
        compared=one.compared,
        measure=one.measure,
        window=one.window,
        family=one.family,
        estimate=f"{signed(one.estimate, unit)} [{span}]"
        if math.isfinite(one.estimate)
        else NOTHING,
        forest=_forest(one, reach),
        d=signed(one.effect_size_d),
        tests=_tests(one),
        verdict=verdict,
        grade=grade,
        n=f"{one.n_participants} participants, {one.n_stimuli} stimuli, {one.n_rows} rows",
        in_direction=f"{along} of {len(own)}" if own else NOTHING,
        detectable=amount(one.smallest_detectable_effect, unit),
        note=one.note or "",
    )


def _tests(one: ContrastResult) -> tuple[str, ...]:
    """Return the tests of a contrast, a line each."""
    lines = []
    if math.isfinite(one.t):
        lines.append(f"t({one.df:.1f}) = {amount(one.t)}, p {_equals(one.p)}")
    if math.isfinite(one.p_permutation):
        lines.append(f"permuted p {_equals(one.p_permutation)} ({one.n_permutations})")
    if math.isfinite(one.p_corrected):
        how = CORRECTIONS.get(one.correction, one.correction)
        lines.append(f"corrected p {_equals(one.p_corrected)} ({how})")
    return tuple(lines)


def _equals(p: float) -> str:
    told = p_said(p)
    return told if told.startswith("<") else f"= {told}"


def _forest(one: ContrastResult, reach: float) -> str:
    middle, low, high = _in_sd(one)
    what = "standardised difference"
    if not math.isfinite(middle) and math.isfinite(one.estimate):
        # A slope has no standardised size: it fills its own axis.
        scale = 0.8 * reach / max(abs(one.ci_low), abs(one.ci_high), 1e-12)
        middle, low, high = (value * scale for value in (one.estimate, one.ci_low, one.ci_high))
        what = "on an axis of its own, in parts of it"
    label = escape(
        f"{one.name}: {what} {amount(middle)}, 95 % interval {amount(low)} to {amount(high)}",
        quote=True,
    )
    zero = _place(0.0, reach)
    parts = [
        f'<line x1="{zero}" x2="{zero}" y1="0" y2="{_HEIGHT}" stroke="{MUTED}" stroke-dasharray="3 2"/>',
        f'<line x1="8" x2="{_WIDTH - 8}" y1="{_HEIGHT - 1}" y2="{_HEIGHT - 1}" stroke="{LINE}"/>',
    ]
    if math.isfinite(middle):
        y, colour = _HEIGHT / 2, BLUE if one.family == "primary" else INK
        x0, x1, x = (_place(value, reach) for value in (min(low, high), max(low, high), middle))
        size = 5 if one.significant else 4
        fill = colour if one.significant else "#ffffff"
        parts += [
            f'<line x1="{x0:.1f}" x2="{x1:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2.4"/>',
            f'<circle cx="{x:.1f}" cy="{y}" r="{size}" fill="{fill}" stroke="{colour}" stroke-width="2"/>',
        ]
    return (
        f'<svg class="forest" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )


def _place(value: float, reach: float) -> float:
    share = (min(max(value, -reach), reach) + reach) / (2 * reach)
    return round(8 + share * (_WIDTH - 16), 1)


def _curve(curve: CurveResult) -> CurveFigure:
    times = np.asarray(curve.times_s, dtype=np.float64)

    def line(name: str, what: str, colour: str, dash: str = "solid") -> Line:
        parts = [
            np.asarray(getattr(curve, f"{what}{suffix}"), dtype=np.float64)
            for suffix in ("", "_low", "_high")
        ]
        return Line(name, times, parts[0], colour, dash, parts[1], parts[2])

    unit = f" ({curve.unit})" if curve.unit not in (None, "", "1") else ""
    strong = [one for one in curve.clusters if one.p_corrected < 0.05]
    marked = tuple(
        (one.start_s, one.stop_s, f"cluster, p {_equals(one.p_corrected)}") for one in strong
    )
    difference = replace(line("difference", "difference", INK), in_legend=False)
    chart = Chart(
        (
            Panel(
                f"{curve.measure}{unit}",
                (
                    line(curve.plus_label, "plus", VERMILLION),
                    line(curve.minus_label, "minus", BLUE, "dash"),
                ),
                height=1.3,
            ),
            Panel("difference", (difference,), zero=True, marked=marked),
        ),
        "seconds from stimulus onset",
        (float(times[0]), float(times[-1])),
        shade=tuple((one.start_s, one.stop_s, ORANGE) for one in strong),
        at=(0.0,) if times[0] <= 0 <= times[-1] else (),
    )
    told = _clusters_said(curve)
    alt = (
        f"{curve.name}: mean {curve.measure} over time for {curve.plus_label} and {curve.minus_label}, and "
        f"their difference, {curve.n_participants} participants. {told}"
    )
    return CurveFigure(curve.name, chart_uri(chart, CURVE_IN), chart, alt, told)


def _clusters_said(curve: CurveResult) -> str:
    if curve.note:
        return str(curve.note)
    if not curve.clusters:
        return "No cluster of times in which the curves differ."
    said = [
        f"{amount(one.start_s, '', 2)} to {amount(one.stop_s, 's', 2)} "
        f"(corrected p {_equals(one.p_corrected)})"
        for one in sorted(curve.clusters, key=lambda one: one.p)[:4]
    ]
    return (
        f"Clusters (shaded where p is below .05): {'; '.join(said)}. A cluster says that the curves differ, "
        "not exactly when the difference begins and ends."
    )
