"""Valence and arousal as a wheel: where the expression went, what was rated, what the norm says."""

from __future__ import annotations

import math
from html import escape
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.smoothing import smooth
from duchenne.analysis.reports.colours import on_scale
from duchenne.analysis.reports.rating_scales import DIMENSIONS, SAM
from duchenne.analysis.reports.style import BLUE, FONT_STACK, INK, LINE, MUTED
from duchenne.analysis.values import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.reports.rating_scales import RatingScale

    Floats = NDArray[np.float64]

_SIZE, _RADIUS = 250, 92
_POINTS = 48


def wheel_svg(
    frames: pd.DataFrame | None,
    row: Mapping[str, Any],
    scales: Mapping[str, RatingScale] = MappingProxyType({}),
) -> str:
    """Return the wheel of one presentation as SVG.

    Parameters
    ----------
    frames : pandas.DataFrame or None
        Video frames while the stimulus was shown: ``time expr_valence expr_arousal``.
    row : mapping
        The row of the summary, for rating and norm.
    scales : mapping of str to RatingScale
        Of ``valence`` and ``arousal``; the Self-Assessment Manikin's where absent.
    """
    track = _track(frames)
    valence = _valence_range(frames) if track is None else None
    rating = _point(
        *(
            2 * scales.get(name, SAM).share(number(row.get(f"rating_{name}"))) - 1
            for name in DIMENSIONS
        )
    )
    norm = _point(number(row.get("norm_valence_scaled")), number(row.get("norm_arousal_scaled")))
    parts = [_ground()]
    if track is not None:
        parts.append(_path(track))
    elif valence is not None:
        parts.append(_bar(valence))
    if norm is not None:
        x, y = _at(*norm)
        parts.append(
            f'<rect x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12" fill="#fff" stroke="{MUTED}" '
            f'stroke-width="2" transform="rotate(45 {x:.1f} {y:.1f})"/>'
        )
    if rating is not None:
        x, y = _at(*rating)
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="{INK}" stroke="#fff" stroke-width="1.5"/>'
        )
    label = escape(wheel_said(frames, row), quote=True)
    return (
        f'<svg viewBox="0 0 {_SIZE} {_SIZE - 8}" role="img" aria-label="{label}" '
        f'font-family="{escape(FONT_STACK, quote=True)}"><title>{label}</title>{"".join(parts)}</svg>'
    )


def wheel_said(frames: pd.DataFrame | None, row: Mapping[str, Any]) -> str:
    """Return what the wheel shows, in words."""
    said = []
    track, valence = _track(frames), _valence_range(frames)
    if track is not None:
        (v0, a0), (v1, a1) = track[0], track[-1]
        said.append(
            f"the expression went from valence {v0:.1f}, arousal {a0:.1f} to valence {v1:.1f}, "
            f"arousal {a1:.1f}"
        )
    elif valence is not None:
        said.append(
            f"valence of the expression between {valence[0]:.1f} and {valence[2]:.1f}, arousal not measured"
        )
    else:
        said.append("no expression measured")
    for name, v, a in (
        ("rating", row.get("rating_valence"), row.get("rating_arousal")),
        ("norm", row.get("norm_valence"), row.get("norm_arousal")),
    ):
        if math.isfinite(number(v)) and math.isfinite(number(a)):
            said.append(f"{name} valence {number(v):.3g}, arousal {number(a):.3g}")
    return "Valence and arousal: " + "; ".join(said)


def wheel_caption(frames: pd.DataFrame | None) -> str:
    """Return what is drawn in the wheel's blue, in words."""
    if _track(frames) is not None:
        return "Blue: the expression from its start (open dot) to its end (full dot)"
    if _valence_range(frames) is not None:
        return "Blue: valence of the expression, middle and 90 % of the time; its arousal was not measured"
    return "The expression was not measured"


def _track(frames: pd.DataFrame | None) -> Floats | None:
    """Return the smoothed course, shape (n, 2); None unless both were measured in five frames."""
    if frames is None or "expr_arousal" not in frames or not len(frames):
        return None
    times = frames["time"].to_numpy(np.float64)
    both = np.column_stack(
        [
            smooth(times, frames[name].to_numpy(np.float64), window_s=1.0)
            for name in ("expr_valence", "expr_arousal")
        ]
    )
    both = both[np.isfinite(both).all(axis=1)]
    if len(both) < 5:
        return None
    chosen = np.unique(np.linspace(0, len(both) - 1, _POINTS).round().astype(int))
    return np.asarray(np.clip(both[chosen], -1, 1))


def _valence_range(frames: pd.DataFrame | None) -> tuple[float, float, float] | None:
    if frames is None or "expr_valence" not in frames:
        return None
    known = frames["expr_valence"].to_numpy(np.float64)
    known = known[np.isfinite(known)]
    if known.size < 5:
        return None
    low, middle, high = np.clip(np.quantile(known, [0.05, 0.5, 0.95]), -1, 1)
    return float(low), float(middle), float(high)


def _point(valence: float, arousal: float) -> tuple[float, float] | None:
    if not (math.isfinite(valence) and math.isfinite(arousal)):
        return None
    return min(max(valence, -1.0), 1.0), min(max(arousal, -1.0), 1.0)


def _at(valence: float, arousal: float) -> tuple[float, float]:
    return _SIZE / 2 + valence * _RADIUS, _SIZE / 2 - 4 - arousal * _RADIUS


def _ground() -> str:
    x, y = _at(0, 0)
    r = _RADIUS
    words = (
        (x + r + 3, y + 3.5, "start", "+"),
        (x - r - 3, y + 3.5, "end", "−"),
        (x, y - r - 18, "middle", "aroused"),
        (x, y + r + 26, "middle", "calm"),
        (x - r, y - r - 6, "start", ""),
    )
    frame = (
        f'<rect x="{x - r}" y="{y - r}" width="{2 * r}" height="{2 * r}" rx="8" fill="none" stroke="{LINE}"/>'
        f'<circle cx="{x}" cy="{y}" r="{r}" fill="#f5f7f9" stroke="{LINE}"/>'
        f'<circle cx="{x}" cy="{y}" r="{r / 2}" fill="none" stroke="{LINE}"/>'
        f'<line x1="{x - r}" x2="{x + r}" y1="{y}" y2="{y}" stroke="{LINE}"/>'
        f'<line x1="{x}" x2="{x}" y1="{y - r}" y2="{y + r}" stroke="{LINE}"/>'
    )
    labels = "".join(
        f'<text x="{tx:.0f}" y="{ty:.0f}" text-anchor="{anchor}" font-size="11" fill="{MUTED}">{word}</text>'
        for tx, ty, anchor, word in words
        if word
    )
    sides = (
        f'<text x="{x - r - 14}" y="{y - 6}" font-size="11" fill="{MUTED}" text-anchor="middle" '
        f'transform="rotate(-90 {x - r - 14} {y - 6})">unpleasant</text>'
        f'<text x="{x + r + 14}" y="{y - 6}" font-size="11" fill="{MUTED}" text-anchor="middle" '
        f'transform="rotate(90 {x + r + 14} {y - 6})">pleasant</text>'
    )
    return frame + labels + sides


def _path(track: Floats) -> str:
    places = [_at(v, a) for v, a in track]
    parts = []
    for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(places)):
        colour = on_scale(0.3 + 0.7 * (i + 1) / (len(places) - 1), BLUE, strongest=1.0)
        parts.append(
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}" '
            'stroke-width="2.4" stroke-linecap="round"/>'
        )
    x0, y0 = places[0]
    x1, y1 = places[-1]
    parts.append(
        f'<circle cx="{x0:.1f}" cy="{y0:.1f}" r="4.5" fill="#fff" stroke="{BLUE}" stroke-width="2"/>'
        f'<circle cx="{x1:.1f}" cy="{y1:.1f}" r="4.5" fill="{BLUE}"/>'
    )
    return "".join(parts)


def _bar(valence: tuple[float, float, float]) -> str:
    low, middle, high = (_at(v, 0)[0] for v in valence)
    y = _at(0, 0)[1]
    return (
        f'<text x="{_at(0, 0)[0]}" y="{y - 14}" font-size="11" fill="{MUTED}" text-anchor="middle" '
        'stroke="#f5f7f9" stroke-width="3" paint-order="stroke">arousal n/a</text>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="{BLUE}" stroke-width="6" '
        f'stroke-linecap="round" opacity="0.45"/><circle cx="{middle:.1f}" cy="{y}" r="4.5" fill="{BLUE}"/>'
    )
