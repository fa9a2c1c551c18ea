"""Accuracy and precision from a validation: targets of known place that the participant looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.quality import bcea_deg2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duchenne.analysis.gaze.process import GazeResult

SETTLE_S = 0.5
"""The eye needs about this long to land on a new target and settle."""


class Target(NamedTuple):
    """One point of a validation, as shown."""

    onset_s: float
    offset_s: float
    x_px: float
    y_px: float


def validate(
    result: GazeResult, targets: Iterable[Target], *, settle_s: float = SETTLE_S
) -> pd.DataFrame:
    """Measure gaze on the targets of a validation.

    Parameters
    ----------
    result : GazeResult
        From :func:`~duchenne.analysis.gaze.process.analyse_gaze`, with its screen.
    targets : iterable of Target
        Seconds of the result, screen pixels.
    settle_s : float
        Left out at the beginning of each target.

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
        first, last = np.searchsorted(times, [target.onset_s + settle_s, target.offset_s])
        part = result.samples.iloc[first : max(first, last)]
        fixating = part["label"].to_numpy() == Label.FIXATION
        x = np.where(fixating, part["x_deg"].to_numpy(dtype=np.float64), np.nan)
        y = np.where(fixating, part["y_deg"].to_numpy(dtype=np.float64), np.nan)
        known = np.isfinite(x) & np.isfinite(y)
        tx, ty = (float(v) for v in screen.to_deg(target.x_px, target.y_px))
        due = max(
            float(len(part)),
            (target.offset_s - target.onset_s - settle_s) * result.sampling_rate_hz,
        )
        row = {"x_px": target.x_px, "y_px": target.y_px, "n_samples": int(known.sum())}
        row["loss_fraction"] = 1 - float(part["valid"].sum()) / due if len(part) else 1.0
        nothing = dict.fromkeys(_MEASURES, float("nan"))
        rows.append(row | (_measure(x, y, known, tx, ty) if known.any() else nothing))
    return pd.DataFrame(rows, columns=["x_px", "y_px", *_MEASURES, "loss_fraction", "n_samples"])


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
