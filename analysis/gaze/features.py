"""Gaze and pupil measures of one time window, such as a stimulus presentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.codebook import FEATURES
from duchenne.analysis.gaze.entropy import gaze_entropy
from duchenne.analysis.gaze.fixation_features import fixation_features
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.limits import carried
from duchenne.analysis.gaze.pupil import pupil_response
from duchenne.analysis.gaze.pursuit import pursuit_gain, pursuit_speed_deg_s
from duchenne.analysis.gaze.saccade_features import microsaccade_features, saccade_features
from duchenne.analysis.gaze.windows import Window, finite_mean, make_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from duchenne.analysis.gaze.process import GazeResult

    FeatureValue = float | int | str | None

PURSUIT_DETECTORS = ("adaptive", "remodnav")
"""Detectors that label pursuit: none found by them is none, not unknown."""

__all__ = ["gaze_entropy", "gaze_features"]


def gaze_features(
    result: GazeResult,
    onset_s: float,
    offset_s: float,
    *,
    rect_px: Sequence[float] | None = None,
    target: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
) -> dict[str, FeatureValue]:
    """Measure gaze and pupil in one window.

    An event belongs to the window in which it **begins** (onset ≤ event onset < offset): what the eye
    was doing when the stimulus came on is not an answer to it. Means leave out events clipped by loss,
    and fixation durations also fixations that outlast the window, whose end is not its own.

    Parameters
    ----------
    result : GazeResult
        From :func:`~duchenne.analysis.gaze.process.analyse_gaze`.
    onset_s, offset_s : float
        The window, in the seconds of the result.
    rect_px : sequence of 4 floats, optional
        Left, top, right, bottom of the stimulus, screen pixels; without it what is measured on the
        stimulus (entropy, its share of fixations, centre bias) is n/a.
    target : tuple of array_like, optional
        Seconds, ``x_deg`` and ``y_deg`` of a moving target, for the gain of pursuit.

    Returns
    -------
    dict
        The gaze and pupil columns of the summary table; see
        :data:`~duchenne.analysis.gaze.codebook.FEATURES`. NaN is "not measured": no samples, no valid
        gaze, too few events, or a measure that the sampling rate cannot carry
        (:data:`~duchenne.analysis.gaze.limits.MIN_RATE_HZ`). Rates of fixations and saccades are
        per second of analysable gaze (loss and blinks taken out), the rate of blinks per second of
        the window.

    Raises
    ------
    ValueError
        When the window does not last.
    """
    window = make_window(result, onset_s, offset_s)
    features: dict[str, FeatureValue] = {"gaze_valid_fraction": window.valid_fraction}
    features |= fixation_features(result, window, rect_px)
    features |= saccade_features(window)
    features |= microsaccade_features(result, window)
    features |= _blink_features(window)
    features |= _pursuit_features(result, window, target)
    features |= _pupil_features(result, onset_s, offset_s)
    for name in features:
        if not carried(name, result.sampling_rate_hz):
            features[name] = float("nan")
    return {name: features[name] for name in FEATURES if name in features}


def _blink_features(window: Window) -> dict[str, FeatureValue]:
    nan = float("nan")
    n_blinks = len(window.blinks)
    return {
        "n_blinks": n_blinks if window.measured else nan,
        "blink_rate_hz": n_blinks / window.duration_s if window.measured else nan,
        "mean_blink_duration_s": finite_mean(window.blinks["duration"]),
    }


def _pursuit_features(
    result: GazeResult,
    window: Window,
    target: tuple[ArrayLike, ArrayLike, ArrayLike] | None,
) -> dict[str, FeatureValue]:
    """Return the measures of pursuit; n/a where the detector knows none."""
    nan = float("nan")
    known = result.detector in PURSUIT_DETECTORS
    known |= bool((result.samples["label"].to_numpy() == Label.PURSUIT).any())
    if not (known and window.measured):
        return dict.fromkeys(("pursuit_fraction", "pursuit_speed_deg_s", "pursuit_gain"), nan)
    part = window.samples
    pursuing = part["label"].to_numpy() == Label.PURSUIT
    gaze = (part["time"].to_numpy(), part["x_deg"].to_numpy(), part["y_deg"].to_numpy(), pursuing)
    return {
        "pursuit_fraction": float(np.count_nonzero(pursuing & window.analysable))
        / np.count_nonzero(window.analysable),
        "pursuit_speed_deg_s": pursuit_speed_deg_s(*gaze),
        "pursuit_gain": nan if target is None else pursuit_gain(*gaze, target),
    }


def _pupil_features(result: GazeResult, onset_s: float, offset_s: float) -> dict[str, FeatureValue]:
    response = pupil_response(
        result.samples["time"].to_numpy(),
        result.samples["pupil"].to_numpy(),
        onset_s,
        offset_s,
        usual_size=result.usual_pupil,
        measure=result.pupil_measure,
        rate_hz=float("nan") if result.quality.get("rate_varies") else result.sampling_rate_hz,
    )
    return {
        "pupil_baseline": response.baseline,
        "pupil_change_mean": response.change_mean,
        "pupil_change_peak": response.change_peak,
        "pupil_unit": result.pupil_unit,
        "pupil_measure": result.pupil_measure,
    }
