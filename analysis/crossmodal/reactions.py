"""When the face first reacts to a stimulus: the first rise of each Action Unit above its own baseline."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.face.au_events import DEFAULT_RULE, EventRule, curve_events
from duchenne.analysis.face.backends.base import MIN_RELIABILITY
from duchenne.analysis.face.dynamics import is_lower_face
from duchenne.analysis.face.smoothing import DEFAULT_SMOOTHING, Smoothing, median_step_s
from duchenne.analysis.values import records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from duchenne.analysis.face.frames import BoolArray, FloatArray

FACE = "face"
"""Stands in the column ``au`` for the first reaction of any Action Unit."""
EYELIDS = ("AU43", "AU45")
NO_RISE = "no rise above the baseline"
_MAD_TO_SD = 1.4826
_OVERSHOOT = 0.5


@dataclass(frozen=True)
class ReactionRule:
    """What counts as a reaction.

    Parameters
    ----------
    baseline_s : float
        Seconds before the onset of the stimulus that a reaction is compared with.
    min_fraction : float
        Least share of the expected frames, of the baseline and of the stimulus, that must be measured.
    noise_factor : float
        A reaction rises above the median of the baseline by at least so many standard deviations of the
        baseline (1.4826 times its median absolute deviation).
    min_rise : float
        And by at least this intensity (1: the least that FACS calls visible).
    tail_s : float
        A reaction begins while the stimulus is shown; it may reach its peak until this much later.
    early_s : float
        Reactions that begin sooner are flagged: the fastest facial muscles answer a picture after 300 to
        400 ms (Dimberg & Thunberg 1998), a startle blink aside.
    """

    baseline_s: float = 1.0
    min_fraction: float = 0.5
    noise_factor: float = 3.0
    min_rise: float = DEFAULT_RULE.min_peak
    tail_s: float = 1.0
    early_s: float = 0.1

    def to_dict(self) -> dict[str, Any]:
        """Return what is written beside the results."""
        return asdict(self)


DEFAULT_REACTION = ReactionRule()


def first_reactions(
    table: pd.DataFrame,
    shown: pd.DataFrame,
    *,
    reliability: Mapping[str, float] | None = None,
    rule: ReactionRule = DEFAULT_REACTION,
    smoothing: Smoothing = DEFAULT_SMOOTHING,
) -> pd.DataFrame:
    """Return the first reaction of each Action Unit, and of the whole face, to each presentation.

    Parameters
    ----------
    table : pandas.DataFrame
        Frames: ``time`` (s), ``usable``, ``speaking`` (1, 0, NaN) and ``AUxx_r`` (0 to 5, NaN where not
        measured), as :func:`~duchenne.analysis.face.process.analyse_face` returns them.
    shown : pandas.DataFrame
        Presentations: ``presentation_id onset_s offset_s``; further columns are left alone.
    reliability : mapping of str to float, optional
        Correlation of each Action Unit with the truth; those below 0.5 get a row, but do not count for the
        face. All count where absent.
    rule, smoothing
        What counts as a reaction; how curves are smoothed.

    Returns
    -------
    pandas.DataFrame
        For each presentation a row for ``face`` and one for each Action Unit (eyelids and single sides
        aside): ``presentation_id au reacted latency_s uncertainty_s early rise apex_latency_s baseline
        threshold measured_fraction first_au reason``. The onset is where the curve, minus its baseline,
        crosses a tenth of its peak (at least 0.25 and one standard deviation of the baseline).
        ``uncertainty_s`` is the time between the two measured frames around it. Times are NaN, ``reacted``
        is None, and ``reason`` says why, where nothing can be said.
    """
    times_s = table["time"].to_numpy(np.float64)
    step_s = median_step_s(times_s)
    aus = whole_face_aus(table.columns)
    trusted = [au for au in aus if (reliability or {}).get(au, 1.0) >= MIN_RELIABILITY]
    values = table[[f"{au}_r" for au in aus]].to_numpy(np.float64)
    speaks = table["speaking"].to_numpy(np.float64) == 1.0
    rows: list[dict[str, Any]] = []
    for row in records(shown):
        onset_s, offset_s = float(row["onset_s"]), float(row["offset_s"])
        part = (times_s >= onset_s - rule.baseline_s) & (times_s < offset_s + rule.tail_s)
        frames = _Frames.of(times_s[part], speaks[part], (onset_s, offset_s), step_s, rule)
        found = {
            au: _reaction(own, au, frames, rule, smoothing)
            for au, own in zip(aus, values[part].T.copy(), strict=True)
        }
        first = _face({au: found[au] for au in trusted})
        name = {"presentation_id": row["presentation_id"]}
        rows.append(name | {"au": FACE} | first)
        rows.extend(name | {"au": au} | values for au, values in found.items())
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def whole_face_aus(columns: Iterable[object]) -> list[str]:
    """Return the Action Units among the columns of a table, single sides and eyelids aside."""
    numbers = (str(name).removeprefix("AU").removesuffix("_r") for name in columns)
    named = [f"AU{number}" for number in numbers if number.isdigit()]
    return [au for au in dict.fromkeys(named) if au not in EYELIDS]


COLUMNS = {
    "presentation_id": "object",
    "au": "object",
    "reacted": "boolean",
    "latency_s": "float64",
    "uncertainty_s": "float64",
    "early": "boolean",
    "rise": "float64",
    "apex_latency_s": "float64",
    "baseline": "float64",
    "threshold": "float64",
    "measured_fraction": "float64",
    "first_au": "object",
    "reason": "object",
}


@dataclass(frozen=True)
class _Frames:
    """The frames of one presentation: what is baseline, what is stimulus, and how much is measured."""

    onset_s: float
    offset_s: float
    times_s: FloatArray
    before: BoolArray
    during: BoolArray
    speaks: BoolArray
    n_before: int
    n_during: int

    @classmethod
    def of(
        cls,
        times_s: FloatArray,
        speaks: BoolArray,
        shown_s: tuple[float, float],
        step_s: float,
        rule: ReactionRule,
    ) -> _Frames:
        onset_s, offset_s = shown_s
        before, during = times_s < onset_s, (times_s >= onset_s) & (times_s < offset_s)
        return cls(
            onset_s,
            offset_s,
            times_s,
            before,
            during,
            speaks,
            _expected(before, rule.baseline_s, step_s),
            _expected(during, offset_s - onset_s, step_s),
        )


def _reaction(
    values: FloatArray, au: str, frames: _Frames, rule: ReactionRule, smoothing: Smoothing
) -> dict[str, Any]:
    known = np.isfinite(values)
    n_before, n_during = int((known & frames.before).sum()), int((known & frames.during).sum())
    share = n_during / frames.n_during if frames.n_during else 0.0
    row: dict[str, Any] = {"measured_fraction": share}
    if not frames.n_before or n_before < rule.min_fraction * frames.n_before:
        return row | {"reason": "the second before the stimulus was not measured"}
    level = float(np.median(values[known & frames.before]))
    spread = _MAD_TO_SD * float(np.median(np.abs(values[known & frames.before] - level)))
    least = max(rule.min_rise, rule.noise_factor * spread)
    row |= {"baseline": level, "threshold": level + least}
    if share < rule.min_fraction:
        return row | {"reason": "the face was measured in less than half of the stimulus"}
    inside = values[known & (frames.times_s >= frames.onset_s)] - level
    # A fitted parabola overshoots its frames by less than half of their range.
    if inside.max() + _OVERSHOOT * np.ptp(inside) < least:
        return row | {"reacted": False, "reason": NO_RISE}
    asked = replace(DEFAULT_RULE, min_peak=least, min_edge=max(DEFAULT_RULE.min_edge, spread))
    found = next(_rises(frames, values - level, au, asked, smoothing), None)
    if found is None:
        return row | {"reacted": False, "reason": NO_RISE}
    seen = bool(np.isfinite(found["rise_time_s"]))
    latency_s = float(found["onset_s"]) - frames.onset_s
    row |= {"reacted": True, "rise": float(found["peak"]), "first_au": au}
    row["apex_latency_s"] = float(found["apex_s"]) - frames.onset_s
    if not seen:
        return row | {"reason": "the beginning of the rise was not measured"}
    return row | {
        "latency_s": latency_s,
        "uncertainty_s": _interval_s(frames.times_s[known], float(found["onset_s"])),
        "early": latency_s < rule.early_s,
    }


def _rises(
    frames: _Frames, values: FloatArray, au: str, rule: EventRule, smoothing: Smoothing
) -> Iterator[dict[str, Any]]:
    """Yield the events that begin while the stimulus is shown; of the mouth, those without speech."""
    found = curve_events(frames.times_s, values, smoothing=smoothing, rule=rule)
    for event in sorted(found, key=lambda one: float(one["onset_s"])):
        if not frames.onset_s <= event["onset_s"] < frames.offset_s:
            continue
        inside = (frames.times_s >= event["onset_s"]) & (frames.times_s <= event["offset_s"])
        if not (is_lower_face(au) and frames.speaks[inside].any()):
            yield event


def _face(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the first reaction of any Action Unit."""
    timed = {au: row for au, row in found.items() if np.isfinite(row.get("latency_s", np.nan))}
    share = max((float(row["measured_fraction"]) for row in found.values()), default=0.0)
    row: dict[str, Any] = {"measured_fraction": share}
    if timed:
        au = min(timed, key=lambda name: (float(timed[name]["latency_s"]), name))
        return dict(timed[au]) | row
    judged = [r for r in found.values() if r.get("reacted") is not None]
    if any(r["reacted"] for r in judged):
        return row | {"reacted": True, "reason": "the beginning of the rise was not measured"}
    if judged:
        return row | {"reacted": False, "reason": NO_RISE}
    reasons = [str(r["reason"]) for r in found.values()]
    return row | {"reason": reasons[0] if reasons else "no Action Unit was measured"}


def _interval_s(measured_s: FloatArray, at_s: float) -> float:
    """Return the time between the two measured frames around a moment."""
    after = int(np.clip(np.searchsorted(measured_s, at_s), 1, max(len(measured_s) - 1, 1)))
    return float(measured_s[after] - measured_s[after - 1]) if len(measured_s) > 1 else np.nan


def _expected(frames: BoolArray, duration_s: float, step_s: float) -> int:
    regular = int(duration_s / step_s + 1e-6) if step_s > 0 and duration_s > 0 else 0
    return max(int(frames.sum()), regular)
