"""Gaze and pupil measures of one time window, such as a stimulus presentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.geometry import to_stimulus
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.pupil import pupil_response

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from duchenne.analysis.gaze.process import GazeResult

    FeatureValue = float | int | str | None

ENTROPY_COLUMNS = 4
ENTROPY_ROWS = 4
"""Grid of the gaze entropy over the stimulus: at most log2(16) = 4 bits."""
ENTROPY_MIN_FIXATIONS = 3


def gaze_features(
    result: GazeResult,
    onset_s: float,
    offset_s: float,
    *,
    rect_px: Sequence[float] | None = None,
) -> dict[str, FeatureValue]:
    """Measure gaze and pupil in one window.

    An event belongs to the window in which it **begins** (onset ≤ event onset < offset): what the eye
    was doing when the stimulus came on is not an answer to it. Means leave out events clipped by loss,
    and mean fixation duration also fixations that outlast the window, whose end is not its own.

    Parameters
    ----------
    result : GazeResult
        From :func:`~duchenne.analysis.gaze.process.analyse_gaze`.
    onset_s, offset_s : float
        The window, in the seconds of the result.
    rect_px : sequence of 4 floats, optional
        Left, top, right, bottom of the stimulus, screen pixels; without it no gaze entropy.

    Returns
    -------
    dict
        The gaze and pupil columns of the summary table; see
        :data:`~duchenne.analysis.gaze.codebook.FEATURES`. NaN is "not measured": no samples, no valid
        gaze, or a measure that the sampling rate cannot carry. Rates of fixations and saccades are
        per second of analysable gaze (loss and blinks taken out), the rate of blinks per second of
        the window.

    Raises
    ------
    ValueError
        When the window does not last.
    """
    if not offset_s > onset_s:
        raise ValueError(f"the window from {onset_s} to {offset_s} s does not last")
    times = result.samples["time"].to_numpy()
    first, last = np.searchsorted(times, [onset_s, offset_s], side="left")
    seen = result.samples["valid"].to_numpy(dtype=bool)[first:last]
    due = max(float(seen.size), (offset_s - onset_s) * result.sampling_rate_hz)
    n_valid = int(np.count_nonzero(seen))
    valid_fraction = n_valid / due if np.isfinite(due) and due > 0 else 0.0
    features: dict[str, FeatureValue] = {"gaze_valid_fraction": valid_fraction}
    labels = result.samples["label"].to_numpy()[first:last]
    analysable = seen & ~np.isin(labels, (Label.BLINK, Label.UNDEFINED))
    analysable_s = float(np.count_nonzero(analysable)) / result.sampling_rate_hz
    features |= _event_features(result, onset_s, offset_s, analysable_s if n_valid else 0.0)
    features |= _pupil_features(result, onset_s, offset_s)
    inside = _begun_in(result.fixations, onset_s, offset_s)
    features["gaze_entropy"] = (
        float("nan")
        if rect_px is None
        else gaze_entropy(inside["x_px"], inside["y_px"], inside["duration"], rect_px)
    )
    return features


def gaze_entropy(
    x_px: ArrayLike,
    y_px: ArrayLike,
    duration_s: ArrayLike,
    rect_px: Sequence[float],
    *,
    n_columns: int = ENTROPY_COLUMNS,
    n_rows: int = ENTROPY_ROWS,
) -> float:
    """Return the stationary gaze entropy: how widely dwell time is spread over the stimulus.

    Parameters
    ----------
    x_px, y_px : array_like, shape (m,)
        Fixation positions, screen pixels; those beside the stimulus are left out.
    duration_s : array_like, shape (m,)
        Fixation durations, the weights.
    rect_px : sequence of 4 floats
        Left, top, right, bottom of the stimulus, screen pixels.
    n_columns, n_rows : int
        The grid.

    Returns
    -------
    float
        Bits, 0 (all in one cell) to log2(cells). NaN for fewer than 3 fixations on the stimulus.

    Notes
    -----
    Shannon's estimate is biased downwards for few fixations, and bounded by log2 of their number:
    compare windows of equal length only. Definition: Shiferaw, Downey & Crewther 2019, Neuroscience &
    Biobehavioral Reviews 96, 353–366; dwell time as weight after Krejtz et al. 2014 (ETRA).
    """
    x, y = to_stimulus(x_px, y_px, rect_px)
    weight = np.asarray(duration_s, dtype=np.float64)
    on = (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
    if np.count_nonzero(on) < ENTROPY_MIN_FIXATIONS:
        return float("nan")
    cell = (y[on] * n_rows).astype(int) * n_columns + (x[on] * n_columns).astype(int)
    share = np.bincount(cell, weights=weight[on])
    share = share[share > 0] / share.sum()
    return abs(float(-np.sum(share * np.log2(share))))


def _begun_in(events: pd.DataFrame, onset_s: float, offset_s: float) -> pd.DataFrame:
    return events[(events["onset"] >= onset_s) & (events["onset"] < offset_s)]


def _event_features(
    result: GazeResult, onset_s: float, offset_s: float, analysable_s: float
) -> dict[str, FeatureValue]:
    nan = float("nan")
    fixations = _begun_in(result.fixations, onset_s, offset_s)
    saccades = _begun_in(result.saccades, onset_s, offset_s)
    n_blinks = len(_begun_in(result.blinks, onset_s, offset_s))
    ends = fixations["onset"] + fixations["duration"]
    whole = fixations[~fixations["clipped"].astype(bool) & (ends <= offset_s)]
    seen_whole = saccades[~saccades["clipped"].astype(bool)]
    measured = analysable_s > 0
    return {
        "n_fixations": len(fixations) if measured else nan,
        "fixation_rate_hz": len(fixations) / analysable_s if measured else nan,
        "mean_fixation_duration_s": _mean(whole["duration"]),
        "n_saccades": len(saccades) if measured else nan,
        "saccade_rate_hz": len(saccades) / analysable_s if measured else nan,
        "mean_saccade_amplitude_deg": _mean(seen_whole["amplitude_deg"]),
        "saccade_peak_velocity_deg_s": _mean(seen_whole["peak_velocity_deg_s"]),
        "n_blinks": n_blinks if measured else nan,
        "blink_rate_hz": n_blinks / (offset_s - onset_s) if measured else nan,
    }


def _pupil_features(result: GazeResult, onset_s: float, offset_s: float) -> dict[str, FeatureValue]:
    response = pupil_response(
        result.samples["time"].to_numpy(),
        result.samples["pupil"].to_numpy(),
        onset_s,
        offset_s,
        usual_size=result.usual_pupil,
        measure=result.pupil_measure,
    )
    return {
        "pupil_baseline": response.baseline,
        "pupil_change_mean": response.change_mean,
        "pupil_change_peak": response.change_peak,
        "pupil_unit": result.pupil_unit,
        "pupil_measure": result.pupil_measure,
    }


def _mean(values: pd.Series[float]) -> float:
    known = values.to_numpy(dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else float("nan")
