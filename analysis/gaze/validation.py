"""Accuracy and precision from a validation: targets of known place that the participant looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.quality import bcea_deg2
from duchenne.analysis.gaze.windows import finite_mean
from duchenne.analysis.values import field, markers_in_order, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from duchenne.analysis.gaze.geometry import ScreenGeometry
    from duchenne.analysis.gaze.process import GazeResult

SETTLE_S = 0.5
"""The eye needs about this long to land on a new target and settle."""

POINT_EVENT = "validation_point"
POINT_MAX_S = 3.0
"""Longer than this nobody looks at one point."""


class Target(NamedTuple):
    """One point of a validation, as shown."""

    onset_s: float
    offset_s: float
    x_px: float
    y_px: float


def validate(
    result: GazeResult,
    targets: Iterable[Target],
    *,
    settle_s: float = SETTLE_S,
    eye: str | None = None,
) -> pd.DataFrame:
    """Measure gaze on the targets of a validation.

    Parameters
    ----------
    result : GazeResult
        From :func:`~duchenne.analysis.gaze.process.analyse_gaze`, with its screen.
    targets : iterable of Target
        Seconds of the result, screen pixels.
    settle_s : float
        Left out at the beginning of each target, at most half of its time.
    eye : {"left", "right"}, optional
        One eye instead of the gaze that the analysis rests on.

    Returns
    -------
    DataFrame
        One row per target: ``x_px y_px accuracy_deg offset_x_deg offset_y_deg rms_s2s_deg std_deg
        bcea_deg2 loss_fraction n_samples``. Accuracy is the angle between the target and the mean
        of the fixation samples; NaN where there is none. The mean of ``accuracy_deg`` is the validated
        accuracy that areas of interest need as margin.

    Raises
    ------
    ValueError
        When the result has no screen geometry.

    References
    ----------
    Holmqvist et al. 2023, Behavior Research Methods 55, 364–416; Niehorster et al. 2020 (precision).
    """
    screen = result.screen
    if screen is None:
        raise ValueError("a validation needs the screen geometry of the result")
    times = result.samples["time"].to_numpy()
    rows = []
    for target in targets:
        settled_s = target.onset_s + min(settle_s, (target.offset_s - target.onset_s) / 2)
        first, last = np.searchsorted(times, [settled_s, target.offset_s])
        part = result.samples.iloc[first : max(first, last)]
        fixating = part["label"].to_numpy() == Label.FIXATION
        x, y = (np.where(fixating, axis, np.nan) for axis in _degrees(part, screen, eye))
        known = np.isfinite(x) & np.isfinite(y)
        tx, ty = (float(v) for v in screen.to_deg(target.x_px, target.y_px))
        due = max(
            float(len(part)),
            (target.offset_s - settled_s) * result.sampling_rate_hz,
        )
        row = {"x_px": target.x_px, "y_px": target.y_px, "n_samples": int(known.sum())}
        row["loss_fraction"] = 1 - float(part["valid"].sum()) / due if len(part) else 1.0
        nothing = dict.fromkeys(_MEASURES, float("nan"))
        rows.append(row | (_measure(x, y, known, tx, ty) if known.any() else nothing))
    return pd.DataFrame(rows, columns=["x_px", "y_px", *_MEASURES, "loss_fraction", "n_samples"])


def validation_targets(events: pd.DataFrame) -> list[Target]:
    """Return the points of a session's validation.

    Parameters
    ----------
    events : DataFrame
        As ``Recording.events``: markers ``validation_point`` with ``position_px`` (x, y on the screen)
        and, where they have it, ``duration_s``.

    Returns
    -------
    list of Target
        In order of time. A point lasts until the next marker, for as long as it says, or for 3 s,
        whichever is shortest. Of a place shown more than once the last showing counts: a validation
        that failed is repeated.
    """
    found: dict[tuple[float, float], Target] = {}
    markers = markers_in_order(events)
    ends = [float(marker["time_s"]) for marker in markers]
    for marker in markers:
        if marker["event"] != POINT_EVENT:
            continue
        place = field(marker, "position_px")
        if not (isinstance(place, list | tuple) and len(place) == 2):
            continue
        x, y, onset = number(place[0]), number(place[1]), float(marker["time_s"])
        lasts_s = number(field(marker, "duration_s"))
        longest_s = min(POINT_MAX_S, lasts_s) if lasts_s > 0 else POINT_MAX_S
        offset = min([onset + longest_s, *(end for end in ends if end > onset)])
        if np.isfinite(x) and np.isfinite(y):
            found[x, y] = Target(onset, offset, x, y)
    return sorted(found.values())


def validated(result: GazeResult, targets: Iterable[Target]) -> GazeResult:
    """Return the result with what its validation showed in its ``quality``.

    Parameters
    ----------
    result : GazeResult
        With its screen.
    targets : iterable of Target
        From :func:`validation_targets`.

    Returns
    -------
    GazeResult
        ``quality`` has besides: ``accuracy_deg``, ``accuracy_left_deg``, ``accuracy_right_deg``
        (means over the points; NaN without validation or without that eye), the same of
        ``validation_rms_deg`` (RMS-S2S) and ``validation_sd_deg`` (STD), and
        ``n_validation_points`` (those with a fixation on them).
    """
    points = list(targets)
    found: dict[str, float | int] = {}
    for eye, part in ((None, ""), ("left", "left_"), ("right", "right_")):
        table = validate(result, points, eye=eye)
        for name, measure in _SUMMARY.items():
            found[f"{name}_{part}deg"] = finite_mean(table[measure].to_numpy(dtype=np.float64))
        if eye is None:
            found["n_validation_points"] = int((table["n_samples"] > 0).sum())
    return replace(result, quality=result.quality | found)


def accuracy_deg(result: GazeResult) -> float:
    """Return the validated accuracy, the least margin of areas of interest; NaN where unknown."""
    return number(result.quality.get("accuracy_deg"))


def angle_between_deg(x0_deg: float, y0_deg: float, x1_deg: float, y1_deg: float) -> float:
    """Return the angle between two lines of sight given as degrees from the screen centre per axis."""
    first, second = (
        np.array([np.tan(np.radians(x)), np.tan(np.radians(y)), 1.0])
        for x, y in ((x0_deg, y0_deg), (x1_deg, y1_deg))
    )
    across = np.linalg.norm(np.cross(first, second))
    return float(np.degrees(np.arctan2(across, first @ second)))


_MEASURES = (
    "accuracy_deg", "offset_x_deg", "offset_y_deg", "rms_s2s_deg", "std_deg", "bcea_deg2",
)  # fmt: skip


_SUMMARY = {
    "accuracy": "accuracy_deg",
    "validation_rms": "rms_s2s_deg",
    "validation_sd": "std_deg",
}


def _degrees(
    part: pd.DataFrame, screen: ScreenGeometry, eye: str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return gaze in degrees, of one eye where it is named."""
    if eye is None:
        return part["x_deg"].to_numpy(np.float64), part["y_deg"].to_numpy(np.float64)
    return screen.to_deg(*screen.to_px(part[f"{eye}_x"].to_numpy(), part[f"{eye}_y"].to_numpy()))


def _measure(
    x: np.ndarray, y: np.ndarray, known: np.ndarray, tx: float, ty: float
) -> dict[str, float]:
    mean_x, mean_y = float(x[known].mean()), float(y[known].mean())
    step = np.diff(x) ** 2 + np.diff(y) ** 2
    step = step[np.isfinite(step)]
    return {
        "accuracy_deg": angle_between_deg(mean_x, mean_y, tx, ty),
        "offset_x_deg": mean_x - tx,
        "offset_y_deg": mean_y - ty,
        "rms_s2s_deg": float(np.sqrt(step.mean())) if step.size else float("nan"),
        "std_deg": float(np.hypot(x[known].std(), y[known].std())),
        "bcea_deg2": bcea_deg2(x, y),
    }
