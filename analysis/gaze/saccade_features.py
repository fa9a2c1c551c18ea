"""What saccades and microsaccades say about one time window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.directions import direction_statistics
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.limits import carried
from duchenne.analysis.gaze.mainsequence import fit_main_sequence
from duchenne.analysis.gaze.microsaccades import (
    MICROSACCADE_MAX_DEG,
    THRESHOLD_MAX_DEG_S,
    find_microsaccades,
    microsaccade_onsets,
)
from duchenne.analysis.gaze.signal import pieces
from duchenne.analysis.gaze.windows import finite_mean, finite_median

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from duchenne.analysis.gaze.geometry import ScreenGeometry
    from duchenne.analysis.gaze.process import GazeResult
    from duchenne.analysis.gaze.windows import Window

    Values = dict[str, float | int | str | None]


def saccade_features(window: Window) -> Values:
    """Return the measures of saccades in a window; see ``FEATURES`` of the codebook."""
    nan = float("nan")
    begun, whole = window.saccades, window.whole_saccades
    directions = direction_statistics(whole["direction_deg"])
    fit = fit_main_sequence(whole["amplitude_deg"], whole["peak_velocity_deg_s"])
    first = float(begun["onset"].iloc[0]) - window.onset_s if len(begun) else nan
    return {
        "n_saccades": len(begun) if window.measured else nan,
        "saccade_rate_hz": len(begun) / window.analysable_s if window.measured else nan,
        "mean_saccade_amplitude_deg": finite_mean(whole["amplitude_deg"]),
        "median_saccade_amplitude_deg": finite_median(whole["amplitude_deg"]),
        "mean_saccade_duration_s": finite_mean(whole["duration"]),
        "saccade_peak_velocity_deg_s": finite_mean(whole["peak_velocity_deg_s"]),
        "saccade_direction_mean_deg": directions.mean_deg,
        "saccade_direction_resultant": directions.resultant,
        "saccade_horizontal_share": directions.horizontal_share,
        "main_sequence_vmax_deg_s": fit.v_max_deg_s,
        "main_sequence_scale_deg": fit.scale_deg,
        "main_sequence_r2": fit.r_squared,
        "first_saccade_latency_s": first,
    }


def microsaccade_features(result: GazeResult, window: Window) -> Values:
    """Return number and rate of microsaccades; n/a below 300 Hz or where noise would hide most."""
    nan = float("nan")
    missing: Values = {"n_microsaccades": nan, "microsaccade_rate_hz": nan}
    rate_hz = result.sampling_rate_hz
    if not (window.measured and carried("microsaccade_rate_hz", rate_hz)):
        return missing
    calm = _calm(result, window)
    calm_s = np.count_nonzero(calm) / rate_hz
    found = find_microsaccades(_eyes_deg(result, window), rate_hz)
    if not (found.threshold_deg_s <= THRESHOLD_MAX_DEG_S and calm_s > 0):
        return missing
    n = len(microsaccade_onsets(found, calm, rate_hz))
    return {"n_microsaccades": n, "microsaccade_rate_hz": n / calm_s}


def _eyes_deg(result: GazeResult, window: Window) -> list[tuple[ArrayLike, ArrayLike]]:
    """Return the eyes that are there, in degrees; the combined gaze where none is named."""
    found: list[tuple[ArrayLike, ArrayLike]] = []
    for eye in ("left", "right"):
        x, y = (window.samples[f"{eye}_{axis}"].to_numpy() for axis in ("x", "y"))
        if result.screen is not None and np.isfinite(x).any():
            found.append(_degrees(result.screen, x, y))
    return found or [(window.samples["x_deg"].to_numpy(), window.samples["y_deg"].to_numpy())]


def _degrees(
    screen: ScreenGeometry, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    degrees = np.empty_like(x), np.empty_like(y)
    for part in pieces(x.size):
        degrees[0][part], degrees[1][part] = screen.to_deg(*screen.to_px(x[part], y[part]))
    return degrees


def _calm(result: GazeResult, window: Window) -> NDArray[np.bool_]:
    """Return the analysable samples outside saccades of 1° and more, and their oscillations."""
    times = window.samples["time"].to_numpy()
    calm = window.analysable.copy()
    large = result.saccades["amplitude_deg"].to_numpy() >= MICROSACCADE_MAX_DEG
    large |= ~np.isfinite(result.saccades["amplitude_deg"].to_numpy())
    begin = result.saccades["onset"].to_numpy(dtype=np.float64)[large]
    end = begin + result.saccades["duration"].to_numpy(dtype=np.float64)[large]
    inside = (end > window.onset_s) & (begin < window.offset_s)
    for a, b in zip(begin[inside], end[inside], strict=True):
        calm[np.searchsorted(times, a) : np.searchsorted(times, b)] = False
    calm &= window.samples["label"].to_numpy() != Label.PSO
    return calm
