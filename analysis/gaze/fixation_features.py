"""What fixations say about one time window: number, duration, spread, order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.entropy import (
    ENTROPY_COLUMNS,
    ENTROPY_ROWS,
    grid_cells,
    miller_madow_entropy,
    stationary_entropy,
    transition_counts,
    transition_entropy,
)
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.quality import bcea_deg2
from duchenne.analysis.gaze.scanpath import (
    coefficient_k,
    following_amplitude_deg,
    scanpath_length_deg,
)
from duchenne.analysis.gaze.windows import finite_mean, finite_median, finite_sd

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from duchenne.analysis.gaze.process import GazeResult
    from duchenne.analysis.gaze.windows import Window

_CELLS = ENTROPY_COLUMNS * ENTROPY_ROWS


def fixation_features(
    result: GazeResult, window: Window, rect_px: Sequence[float] | None
) -> dict[str, float | int | str | None]:
    """Return the measures of fixations in a window; see ``FEATURES`` of the codebook."""
    nan = float("nan")
    begun, whole = window.fixations, window.whole_fixations
    x, y = begun["x_deg"].to_numpy(), begun["y_deg"].to_numpy()
    on_samples = window.samples["label"].to_numpy() == Label.FIXATION
    features: dict[str, float | int | str | None] = {
        "n_fixations": len(begun) if window.measured else nan,
        "fixation_rate_hz": len(begun) / window.analysable_s if window.measured else nan,
        "mean_fixation_duration_s": finite_mean(whole["duration"]),
        "median_fixation_duration_s": finite_median(whole["duration"]),
        "sd_fixation_duration_s": finite_sd(whole["duration"]),
        "mean_fixation_dispersion_deg": finite_mean(begun["dispersion_deg"]),
        "gaze_dispersion_deg": _spread(x, y),
        "gaze_bcea_deg2": bcea_deg2(
            window.samples["x_deg"].to_numpy()[on_samples],
            window.samples["y_deg"].to_numpy()[on_samples],
        ),
        "first_fixation_latency_s": _first(begun, window.onset_s),
        "scanpath_length_deg": scanpath_length_deg(x, y),
        "coefficient_k": _coefficient_k(result, window),
    }
    return features | _on_stimulus(result, window, rect_px)


def _on_stimulus(
    result: GazeResult, window: Window, rect_px: Sequence[float] | None
) -> dict[str, float]:
    names = (
        "first_fixation_on_stimulus_latency_s", "on_stimulus_fraction", "centre_bias_deg",
        "gaze_entropy", "gaze_entropy_normalised", "gaze_entropy_miller_madow",
        "gaze_transition_entropy", "gaze_transition_entropy_normalised",
    )  # fmt: skip
    if rect_px is None:
        return dict.fromkeys(names, float("nan"))
    begun = window.fixations
    cells = grid_cells(begun["x_px"], begun["y_px"], rect_px)
    on = cells >= 0
    duration = begun["duration"].to_numpy(dtype=np.float64)
    spread = stationary_entropy(cells, duration)
    moves = transition_entropy(transition_counts(cells, _CELLS))
    most = np.log2(_CELLS)
    values = (
        _first(begun[on], window.onset_s),
        float(duration[on].sum() / duration.sum()) if duration.sum() > 0 else float("nan"),
        _centre_distance(result, begun[on], rect_px),
        spread,
        spread / most,
        miller_madow_entropy(cells, _CELLS),
        moves,
        moves / most,
    )
    return dict(zip(names, values, strict=True))


def _spread(x: np.ndarray, y: np.ndarray) -> float:
    """Return the root mean square distance of fixations from their centre; NaN for fewer than two."""
    if x.size < 2:
        return float("nan")
    return float(np.sqrt(x.var() + y.var()))


def _first(fixations: pd.DataFrame, onset_s: float) -> float:
    return float(fixations["onset"].iloc[0]) - onset_s if len(fixations) else float("nan")


def _centre_distance(
    result: GazeResult, fixations: pd.DataFrame, rect_px: Sequence[float]
) -> float:
    """Return the distance of fixations from the middle of the stimulus, weighted by duration."""
    if result.screen is None or fixations.empty:
        return float("nan")
    left, top, right, bottom = (float(edge) for edge in rect_px)
    cx, cy = result.screen.to_deg((left + right) / 2, (top + bottom) / 2)
    distance = np.hypot(fixations["x_deg"] - float(cx), fixations["y_deg"] - float(cy))
    return float(np.average(distance, weights=fixations["duration"]))


def _coefficient_k(result: GazeResult, window: Window) -> float:
    """Return coefficient K of the window, with z-scores over the recording."""
    unclipped = ~result.fixations["clipped"].to_numpy(dtype=bool)
    onset = result.fixations["onset"].to_numpy(dtype=np.float64)
    duration = result.fixations["duration"].to_numpy(dtype=np.float64)
    amplitude = following_amplitude_deg(
        onset, duration, result.saccades["onset"], result.saccades["amplitude_deg"]
    )
    amplitude = np.where(unclipped, amplitude, np.nan)
    inside = (onset >= window.onset_s) & (onset + duration <= window.offset_s)
    return coefficient_k(duration[inside], amplitude[inside], duration, amplitude)
