"""One card per presentation: the stimulus, where they looked, what the face did, how they rated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.reports.curves import presentation_chart, presentation_uri, shared_limits
from duchenne.analysis.reports.gaze_figures import (
    detail_of,
    heat_map_uri,
    ribbon_uri,
    scan_path_uri,
)
from duchenne.analysis.reports.pictures import Picture
from duchenne.analysis.reports.rating_scales import DIMENSIONS, SAM, scales_said
from duchenne.analysis.reports.style import FONT_STACK, INK, LINE, MUTED, category_colour
from duchenne.analysis.reports.wheel import wheel_caption, wheel_svg
from duchenne.analysis.reports.words import NOTHING, amount, percent, signed
from duchenne.analysis.values import integer, number, records, rectangle, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from duchenne.analysis.reports.charts import Chart
    from duchenne.analysis.reports.data import ReportData
    from duchenne.analysis.reports.rating_scales import RatingScale

SAME_TIME_S = 2e-6
"""Times in tables are written to the microsecond."""
AU_SHOWN = 0.5
"""Mean intensity from which an Action Unit is named in the table of presentations."""


@dataclass(frozen=True)
class StimulusCard:
    """What the template shows of one presentation; drawings are ready-made SVG or data URIs."""

    number: str
    stimulus_id: str
    category: str
    colour: str
    is_film: bool
    thumbnail: str | None
    heat_map: str | None
    scan_path: str | None
    ribbon: str | None
    stimulus: str | None
    missing: str | None
    n_fixations: int
    curves: str | None
    curves_alt: str
    chart: Chart | None
    wheel: str
    wheel_caption: str
    ratings: str
    facts: tuple[tuple[str, str], ...]
    cells: Mapping[str, str]
    excluded: str | None


def stimulus_cards(
    data: ReportData,
    screen: Mapping[str, Any] | None,
    pictures: Mapping[str, Picture],
    scales: Mapping[str, RatingScale] = MappingProxyType({}),
) -> Iterator[StimulusCard]:
    """Yield a card per presentation, in order.

    Parameters
    ----------
    data : ReportData
        The tables of the session.
    screen : mapping or None
        Size and distance of the screen.
    pictures : mapping of str to Picture
        By stimulus id.
    scales : mapping of str to RatingScale
        Of ratings of ``valence`` and ``arousal``; the Self-Assessment Manikin's where absent.
    """
    limits = shared_limits(data.summary, data.gaze, data.au)
    detail = detail_of(len(data.summary))
    unknown = Picture(None, None, 4 / 3, "file not found")
    for row in records(data.summary):
        stimulus_id = text(row["stimulus_id"]) or NOTHING
        trial = integer(row["trial"])
        picture = pictures.get(stimulus_id, unknown)
        drawn = _gaze_drawings(data, row, picture, screen)
        chart = presentation_chart(row, data.gaze, data.au, limits, backend=data.au_backend)
        frames = _while_shown(data.au, "time", row) if data.au is not None else None
        yield StimulusCard(
            number=NOTHING if trial is None else str(trial),
            stimulus_id=stimulus_id,
            category=text(row["category"]) or NOTHING,
            colour=category_colour(row["category"]),
            is_film=row.get("kind") == "video",
            thumbnail=picture.thumbnail_uri,
            heat_map=drawn.get("heat_map"),
            scan_path=drawn.get("scan_path"),
            ribbon=drawn.get("ribbon"),
            stimulus=picture.uri,
            missing=picture.missing,
            n_fixations=integer(row.get("n_fixations")) or 0,
            curves=None if chart is None else presentation_uri(chart, detail=detail),
            curves_alt=_curves_alt(chart, row),
            chart=chart,
            wheel=wheel_svg(frames, row, scales),
            wheel_caption=wheel_caption(frames),
            ratings=ratings_svg(row, scales),
            facts=_facts(row),
            cells=summary_cells(row),
            excluded=text(row["exclusion_reason"]),
        )


def strongest_aus(row: Mapping[str, Any], *, at_most: int = 3) -> list[str]:
    """Return the Action Units with the highest mean intensity, from half an intensity step on."""
    means = {
        name.removesuffix("_mean"): number(value)
        for name, value in row.items()
        if name.startswith("AU") and name.endswith("_mean") and not name.endswith("_change_mean")
    }
    loud = {name: mean for name, mean in means.items() if mean >= AU_SHOWN and name[4:] == ""}
    ranked = sorted(loud, key=lambda name: loud[name], reverse=True)
    return [f"{name} {loud[name]:.1f}" for name in ranked if name != "AU45"][:at_most]


def summary_cells(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the row of the overview table in words, by column heading."""
    unit = text(row.get("pupil_unit")) or ""
    return {
        "Valence": _rating(row, "valence"),
        "Arousal": _rating(row, "arousal"),
        "Fixations": amount(number(row.get("n_fixations")), "", 0),
        "Saccade amplitude": amount(number(row.get("mean_saccade_amplitude_deg")), "°", 1),
        "Pupil change": signed(number(row.get("pupil_change_mean")), unit, 2),
        "Main AUs (mean)": ", ".join(strongest_aus(row)) or NOTHING,
        "Prototype match": _prototype(row),
    }


def ratings_svg(
    row: Mapping[str, Any], scales: Mapping[str, RatingScale] = MappingProxyType({})
) -> str:
    """Return the ratings against the norms of the stimulus, each on its scale."""
    width, left, right, step = 266, 68, 254, 40
    parts = []
    for i, name in enumerate(DIMENSIONS):
        y, scale = 24 + i * step, scales.get(name, SAM)
        rating, norm = number(row.get(f"rating_{name}")), _norm_share(row, name)
        at = scale.share(rating)
        parts.append(
            f'<text x="0" y="{y + 4}" font-size="12" fill="{INK}">{name.capitalize()}</text>'
            f'<line x1="{left}" x2="{right}" y1="{y}" y2="{y}" stroke="{LINE}" stroke-width="3" '
            'stroke-linecap="round"/>'
        )
        parts += [
            f'<circle cx="{_at(scale.share(tick), left, right):.1f}" cy="{y}" r="2" fill="#b6bfca"/>'
            for tick in scale.ticks
        ]
        parts += [
            f'<text x="{_at(scale.share(tick), left, right):.1f}" y="{y + 24}" font-size="10" '
            f'fill="{MUTED}" text-anchor="middle">{tick:g}</text>'
            for tick in scale.labels
        ]
        if math.isfinite(norm):
            x = _at(norm, left, right)
            parts.append(
                f'<rect x="{x - 8:.1f}" y="{y - 8}" width="16" height="16" rx="1.5" fill="#fff" '
                f'stroke="{MUTED}" stroke-width="2" transform="rotate(45 {x:.1f} {y})"/>'
            )
        if math.isfinite(at):
            x = _at(at, left, right)
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y}" r="8" fill="{INK}" '
                f'stroke="#fff" stroke-width="1.5"/><text x="{x:.1f}" y="{y + 4}" font-size="11" '
                f'font-weight="700" text-anchor="middle" fill="#fff">{rating:.3g}</text>'
            )
    bottom = 24 + step + 24
    label = escape(_ratings_alt(row, scales), quote=True)
    return (
        f'<svg viewBox="0 0 {width} {bottom + 4}" role="img" aria-label="{label}" '
        f'font-family="{escape(FONT_STACK, quote=True)}"><title>{label}</title>'
        f"{''.join(parts)}</svg>"
    )


def _gaze_drawings(
    data: ReportData,
    row: Mapping[str, Any],
    picture: Picture,
    screen: Mapping[str, Any] | None,
) -> dict[str, str]:
    """Return the figures of gaze on a presentation as data URIs; none without gaze."""
    if data.gaze is None or data.fixations is None:
        return {}
    samples, detail = _while_shown(data.gaze, "time", row), detail_of(len(data.summary))
    drawn = {"ribbon": ribbon_uri(samples, row, detail=detail)} if len(samples) else {}
    rect = _rectangle_of(data.events, row)
    if rect is None or screen is None:
        return drawn
    fixations = _while_shown(data.fixations, "onset", row).sort_values("onset")
    sigma = _px_per_deg(screen) / (rect[2] - rect[0])
    drawn["heat_map"] = heat_map_uri(fixations, rect, picture, sigma=sigma, detail=detail)
    drawn["scan_path"] = scan_path_uri(fixations, rect, picture, detail=detail)
    return drawn


def _rectangle_of(
    events: pd.DataFrame, row: Mapping[str, Any]
) -> tuple[float, float, float, float] | None:
    """Return where the stimulus was on the screen, from its own row of the event table."""
    near = (events["onset"] - float(row["onset"])).abs() < SAME_TIME_S
    found = events[(events["trial_type"] == "stimulus") & near]
    if not len(found):
        return None
    first = records(found)[0]
    return rectangle([first.get(f"stim_{edge}_px") for edge in ("left", "top", "right", "bottom")])


def _while_shown(table: pd.DataFrame, time_column: str, row: Mapping[str, Any]) -> pd.DataFrame:
    onset, times = float(row["onset"]), table[time_column]
    shown = (times >= onset - SAME_TIME_S) & (times < onset + float(row["duration"]))
    chosen: pd.DataFrame = table.loc[shown]
    return chosen


def _rating(row: Mapping[str, Any], scale: str) -> str:
    rating = number(row.get(f"rating_{scale}"))
    return f"{rating:.3g}" if math.isfinite(rating) else NOTHING


def _px_per_deg(screen: Mapping[str, Any]) -> float:
    """Return the screen pixels per degree of visual angle at the centre of the screen."""
    cm = 2 * number(screen.get("distance_cm")) * math.tan(math.radians(0.5))
    return cm * number(screen.get("width_px")) / number(screen.get("width_cm"))


def _facts(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    unit = text(row.get("pupil_unit")) or ""
    return (
        ("Shown", amount(number(row["duration"]), "s", 2)),
        ("Gaze valid", percent(number(row.get("gaze_valid_fraction")))),
        ("Face usable", percent(number(row.get("face_usable_fraction")))),
        ("Fixations", amount(number(row.get("n_fixations")), "", 0)),
        ("Saccade amplitude", amount(number(row.get("mean_saccade_amplitude_deg")), "°", 1)),
        ("Blinks", amount(number(row.get("n_blinks")), "", 0)),
        ("Pupil change", signed(number(row.get("pupil_change_mean")), unit, 2)),
        ("Prototype match", _prototype(row)),
        *_affect_facts(row),
        ("Rating time", amount(number(row.get("rating_rt_s")), "s", 2)),
    )


def _affect_facts(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return what the affect model says of the expression; nothing where none was given."""
    said = {
        "Quadrant (model)": (text(row.get("expr_quadrant")) or "").replace("_", " "),
        "Class (model)": (text(row.get("expr_class")) or "").replace("_", " "),
    }
    return tuple((name, value) for name, value in said.items() if value)


def _curves_alt(chart: Chart | None, row: Mapping[str, Any]) -> str:
    """Return what the curves show, in words."""
    if chart is None:
        return ""
    drawn = [line.name for panel in chart.panels for line in panel.lines]
    loud = ", ".join(strongest_aus(row)) or "none above 0.5"
    change = signed(number(row.get("pupil_change_mean")), text(row.get("pupil_unit")) or "", 2)
    return (
        f"Curves around the onset of {text(row['stimulus_id']) or NOTHING}: {', '.join(drawn)}. "
        f"Mean intensities: {loud}. Mean pupil change: {change}."
    )


def _prototype(row: Mapping[str, Any]) -> str:
    return (text(row.get("expr_prototype_top")) or NOTHING).replace("_", " ")


def _norm_share(row: Mapping[str, Any], name: str) -> float:
    return (number(row.get(f"norm_{name}_scaled")) + 1) / 2


def _at(share: float, left: float, right: float) -> float:
    return left + float(np.clip(share, 0, 1)) * (right - left)


def _ratings_alt(row: Mapping[str, Any], scales: Mapping[str, RatingScale]) -> str:
    said = []
    for name in DIMENSIONS:
        scale = scales.get(name, SAM)
        rating, norm = number(row.get(f"rating_{name}")), _norm_share(row, name)
        given = f"rated {rating:.3g}" if math.isfinite(rating) else "not rated"
        norm_there = scale.low + norm * (scale.high - scale.low)
        usual = f", norm {norm_there:.3g}" if math.isfinite(norm) else ""
        said.append(f"{name} {given}{usual}")
    every = {name: scales.get(name, SAM) for name in DIMENSIONS}
    return f"{scales_said(every)}: " + "; ".join(said)
