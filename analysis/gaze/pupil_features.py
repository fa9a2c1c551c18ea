"""The pupil's answer to each presentation: raw, without light, and corrected for gaze position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.pupil import (
    BASELINE_MIN_VALID,
    BASELINE_S,
    CHANGE_MIN_VALID,
    LATENCY_S,
)
from duchenne.analysis.gaze.pupil_light import SOURCES
from duchenne.analysis.tables import Column
from duchenne.analysis.values import records

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.gaze.pupil_session import SessionPupil

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    FeatureValue = float | int | str | bool | None

SMALLEST_MM = 1.0
BASELINE_Z = 3.0
BASELINES_MIN = 5
"""Fewer baselines than this say nothing about which of them is unusual."""
FLAGS = {
    "ok": "enough was measured",
    "low_coverage": "less than half of the window was measured",
    "low_baseline_coverage": "less than half of the baseline was measured",
    "implausible_baseline": "the baseline is unlike the session's others, or below 1 mm",
    "no_pupil": "no pupil was measured",
}


@dataclass(frozen=True)
class Course:
    """What a trace does in one window, against the median of the 500 ms before it.

    Parameters
    ----------
    baseline, change_mean, change_peak : float
        Unit of the trace; the window starts 220 ms after onset. NaN where less than half of the
        baseline (all of them) or of the window (the changes) was measured.
    peak_latency_s : float
        From onset to the peak.
    change_area : float
        Time integral of the change, unit of the trace times seconds.
    baseline_coverage, coverage : float
        Measured, not bridged, share, 0–1.
    """

    baseline: float
    change_mean: float
    change_peak: float
    peak_latency_s: float
    change_area: float
    baseline_coverage: float
    coverage: float


def measure_course(
    times_s: Floats, size: Floats, measured: Bools, onset_s: float, offset_s: float
) -> Course:
    """Measure a trace in one window.

    Parameters
    ----------
    times_s, size : ndarray, shape (n,)
        Seconds ascending at equal steps, and a clean trace.
    measured : ndarray of bool, shape (n,)
        False where the trace was bridged.
    onset_s, offset_s : float
        When the stimulus was shown.
    """
    nan = float("nan")
    before = _window(times_s, onset_s - BASELINE_S, onset_s)
    after = _window(times_s, onset_s + LATENCY_S, offset_s)
    seen_before = measured_share(times_s, measured, onset_s - BASELINE_S, onset_s)
    seen = measured_share(times_s, measured, onset_s + LATENCY_S, offset_s)
    resting, answer = size[before], size[after]
    enough = seen_before >= BASELINE_MIN_VALID and bool(np.isfinite(resting).any())
    baseline = float(np.nanmedian(resting)) if enough else nan
    known = np.isfinite(answer)
    if not enough or seen < CHANGE_MIN_VALID or not known.any():
        return Course(baseline, nan, nan, nan, nan, seen_before, seen)
    change = answer[known] - baseline
    when = times_s[after][known]
    highest = int(np.argmax(change))
    return Course(
        baseline,
        float(change.mean()),
        float(change[highest]),
        float(when[highest] - onset_s),
        float(np.sum((change[1:] + change[:-1]) / 2 * np.diff(when))),
        seen_before,
        seen,
    )


def plausible_baselines(
    baselines: Floats, *, unit: str | None = None, measure: str | None = None
) -> Bools:
    """Return which of a session's baselines can be believed.

    Parameters
    ----------
    baselines : ndarray, shape (m,)
        NaN where not measured; these are not implausible.
    unit, measure : str, optional
        A diameter in ``mm`` must be at least 1.

    Returns
    -------
    ndarray of bool, shape (m,)
        False more than 3 robust standard deviations (1.4826 MAD, at least 5 % of the median) from the
        median of at least 5 baselines.
    """
    plausible: Bools = np.ones(baselines.shape, dtype=bool)
    known = np.isfinite(baselines)
    if unit == "mm" and (measure or "diameter") == "diameter":
        plausible &= ~(known & (np.nan_to_num(baselines) < SMALLEST_MM))
    trusted = baselines[known & plausible]
    if trusted.size >= BASELINES_MIN:
        median = float(np.median(trusted))
        spread = 1.4826 * float(np.median(np.abs(trusted - median)))
        limit = BASELINE_Z * max(spread, 0.05 * abs(median))
        plausible &= ~(known & (np.abs(np.nan_to_num(baselines) - median) > limit))
    return plausible


def pupil_features(pupil: SessionPupil, shown: pd.DataFrame) -> list[dict[str, FeatureValue]]:
    """Measure the pupil in each presentation.

    Parameters
    ----------
    pupil : SessionPupil
        From :func:`~duchenne.analysis.gaze.pupil_session.correct_pupil`.
    shown : DataFrame
        The presentations, with ``onset_s`` and ``offset_s``.

    Returns
    -------
    list of dict
        One per row, with the columns of :data:`PUPIL_FEATURES`. A presentation with too little pupil
        is not left out: ``pupil_flag`` says why its measures are NaN.
    """
    spans = [(float(row["onset_s"]), float(row["offset_s"])) for row in records(shown)]
    raw = [measure_course(pupil.times_s, pupil.size, pupil.measured, *span) for span in spans]
    baselines = np.array([course.baseline for course in raw])
    plausible = plausible_baselines(baselines, unit=pupil.unit, measure=pupil.measure)
    return [
        _features(pupil, span, course, believed=bool(ok))
        for span, course, ok in zip(spans, raw, plausible, strict=True)
    ]


def _features(
    pupil: SessionPupil, span: tuple[float, float], raw: Course, *, believed: bool
) -> dict[str, FeatureValue]:
    flag = _flag(pupil, raw, believed=believed)
    traces = {
        "clean": pupil.size,
        "light_corrected": pupil.size - pupil.light,
        "local_light_corrected": pupil.size - pupil.light_local,
        "position_geometry": pupil.by_geometry,
        "position_regression": pupil.by_regression,
    }
    usable = pupil.measured & (flag == "ok")
    courses = {
        name: measure_course(pupil.times_s, trace, usable & np.isfinite(trace), *span)
        for name, trace in traces.items()
    }
    after = _window(pupil.times_s, span[0] + LATENCY_S, span[1])
    before = _window(pupil.times_s, span[0] - BASELINE_S, span[0])
    during = _window(pupil.times_s, *span)
    features: dict[str, FeatureValue] = {
        "pupil_valid_fraction": raw.coverage,
        "pupil_baseline_valid_fraction": raw.baseline_coverage,
        "pupil_flag": flag,
        "pupil_change_clean_mean": courses["clean"].change_mean,
        "pupil_change_clean_peak": courses["clean"].change_peak,
        "pupil_peak_latency_s": courses["clean"].peak_latency_s,
        "pupil_change_area": courses["clean"].change_area,
    }
    for name in ("light_corrected", "local_light_corrected"):
        features[f"pupil_change_mean_{name}"] = courses[name].change_mean
        features[f"pupil_change_peak_{name}"] = courses[name].change_peak
    features["pupil_peak_latency_light_corrected_s"] = courses["light_corrected"].peak_latency_s
    features["pupil_change_area_light_corrected"] = courses["light_corrected"].change_area
    for name in ("position_geometry", "position_regression"):
        features[f"pupil_change_mean_{name}"] = courses[name].change_mean
    features |= {
        "pupil_light_change_mean": _mean(pupil.light[after]) - _mean(pupil.light[before]),
        "pupil_light_source": pupil.model.source,
        "pupil_light_extrapolated": _extrapolated(pupil, during),
        "luminance_mean": _mean(pupil.luminance[during]),
        "luminance_local_mean": _mean(pupil.luminance_local[during]),
    }
    return features


def _extrapolated(pupil: SessionPupil, during: slice) -> bool | None:
    """Return whether light beyond the fitted range was shown; None where nothing was fitted."""
    if not np.isfinite(pupil.model.range_mm[0]):
        return None
    effect = pupil.luminance[during]
    fitted = pupil.luminance[pupil.fit_mask]
    effect, fitted = effect[np.isfinite(effect)], fitted[np.isfinite(fitted)]
    if not effect.size or not fitted.size:
        return None
    return bool(effect.min() < 0.9 * fitted.min() or effect.max() > 1.1 * fitted.max())


def _flag(pupil: SessionPupil, course: Course, *, believed: bool) -> str:
    if not np.isfinite(pupil.size).any():
        return "no_pupil"
    if course.baseline_coverage < BASELINE_MIN_VALID:
        return "low_baseline_coverage"
    if not believed:
        return "implausible_baseline"
    return "low_coverage" if course.coverage < CHANGE_MIN_VALID else "ok"


def _window(times_s: Floats, first_s: float, last_s: float) -> slice:
    first, last = np.searchsorted(times_s, [first_s, last_s], side="left")
    return slice(int(first), int(max(first, last)))


def measured_share(times_s: Floats, measured: Bools, first_s: float, last_s: float) -> float:
    """Return in which share of a time a trace was measured; not before its first sample or after its last.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        Seconds ascending at equal steps.
    measured : ndarray of bool, shape (n,)
    first_s, last_s : float
        The time; its end is excluded.
    """
    within = measured[_window(times_s, first_s, last_s)]
    step_s = float(times_s[1] - times_s[0]) if times_s.size > 1 else np.inf
    n_due = max(within.size, int((last_s - first_s) / step_s + 1e-6))
    return float(np.count_nonzero(within) / n_due) if within.size else 0.0


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _number(description: str, unit: str | None = None) -> Column:
    return Column(description, unit, kind="number")


_LIGHT = "minus the response to the light of the whole screen (see pupil_light_source)"
_LOCAL = "minus the response to the light within 2 deg (standard deviation) of gaze"
_WINDOW = "from 220 ms after onset to offset, minus its own baseline, in pupil_unit"

PUPIL_FEATURES: dict[str, Column] = {
    "pupil_valid_fraction": _number(
        "Share of the time from 220 ms after onset to offset in which a pupil was measured; what was "
        "interpolated through blinks does not count.",
        "1",
    ),
    "pupil_baseline_valid_fraction": _number("The same for the 500 ms before onset.", "1"),
    "pupil_flag": Column(
        "Whether the pupil measures can be used; they are n/a unless ok.",
        levels=FLAGS,
        kind="string",
    ),
    "pupil_change_clean_mean": _number(
        f"Mean cleaned pupil, blinks interpolated, {_WINDOW}. Light is not accounted for."
    ),
    "pupil_change_clean_peak": _number("Largest value of that trace, minus its baseline."),
    "pupil_peak_latency_s": _number("From onset to that largest value.", "s"),
    "pupil_change_area": _number("Time integral of that change, in pupil_unit times seconds."),
    "pupil_change_mean_light_corrected": _number(f"Mean cleaned pupil {_LIGHT}, {_WINDOW}."),
    "pupil_change_peak_light_corrected": _number(f"Largest cleaned pupil {_LIGHT}, {_WINDOW}."),
    "pupil_change_mean_local_light_corrected": _number(f"Mean cleaned pupil {_LOCAL}, {_WINDOW}."),
    "pupil_change_peak_local_light_corrected": _number(
        f"Largest cleaned pupil {_LOCAL}, {_WINDOW}."
    ),
    "pupil_peak_latency_light_corrected_s": _number(
        "From onset to the peak of the light-corrected pupil.", "s"
    ),
    "pupil_change_area_light_corrected": _number(
        "Time integral of the light-corrected change, in pupil_unit times seconds."
    ),
    "pupil_change_mean_position_geometry": _number(
        f"Mean cleaned pupil corrected for foreshortening by geometry (camera below the screen), {_WINDOW}. "
        "Wrong for devices that already report true diameters."
    ),
    "pupil_change_mean_position_regression": _number(
        f"Mean cleaned pupil corrected by regression on gaze position where nothing emotional is "
        f"shown, {_WINDOW}; n/a where gaze moved too little there."
    ),
    "pupil_light_change_mean": _number(
        "Mean response to the light of the whole screen in the window, minus that in the baseline, in "
        "pupil_unit: what was taken off."
    ),
    "pupil_light_source": Column(
        "Where the response to light comes from.", levels=SOURCES, kind="string"
    ),
    "pupil_light_extrapolated": Column(
        "The screen was darker or brighter than where the response to light was fitted, by more than "
        "a tenth; n/a where it was not fitted.",
        kind="boolean",
    ),
    "luminance_mean": _number(
        "Displayed luminance of the whole screen, 0 black to 1 white, linear.", "1"
    ),
    "luminance_local_mean": _number("The same within 2 deg of gaze.", "1"),
}
