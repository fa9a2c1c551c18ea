"""Measures of a scan path: its length, how ambient or focal it is, and its likeness to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

COEFFICIENT_K_MIN_PAIRS = 3
MULTIMATCH_MIN_FIXATIONS = 3
_MULTIMATCH_FIELDS = [("start_x", "f8"), ("start_y", "f8"), ("duration", "f8")]


def scanpath_length_deg(x_deg: ArrayLike, y_deg: ArrayLike) -> float:
    """Return the length of the path through fixations: the sum of straight distances, degrees.

    Parameters
    ----------
    x_deg, y_deg : array_like, shape (m,)
        Positions of consecutive fixations; those with NaN are left out.

    Returns
    -------
    float
        NaN for fewer than two fixations.
    """
    x, y = np.asarray(x_deg, dtype=np.float64), np.asarray(y_deg, dtype=np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    if np.count_nonzero(known) < 2:
        return float("nan")
    return float(np.hypot(np.diff(x[known]), np.diff(y[known])).sum())


def following_amplitude_deg(
    fixation_onset_s: ArrayLike,
    fixation_duration_s: ArrayLike,
    saccade_onset_s: ArrayLike,
    amplitude_deg: ArrayLike,
) -> Floats:
    """Return the amplitude of the saccade that ends each fixation.

    Parameters
    ----------
    fixation_onset_s, fixation_duration_s : array_like, shape (m,)
        Fixations, ascending.
    saccade_onset_s, amplitude_deg : array_like, shape (k,)
        Saccades, ascending.

    Returns
    -------
    ndarray, shape (m,)
        NaN where no saccade begins between the end of the fixation and the next fixation.
    """
    begin = np.asarray(fixation_onset_s, dtype=np.float64)
    end = begin + np.asarray(fixation_duration_s, dtype=np.float64)
    onset = np.asarray(saccade_onset_s, dtype=np.float64)
    amplitude = np.append(np.asarray(amplitude_deg, dtype=np.float64), np.nan)
    following = np.searchsorted(onset, end - 1e-6)
    before_next = np.append(onset, np.inf)[following] < np.append(begin[1:], np.inf)
    found: Floats = np.where(before_next, amplitude[following], np.nan)
    return found


def coefficient_k(
    duration_s: ArrayLike,
    amplitude_deg: ArrayLike,
    reference_duration_s: ArrayLike,
    reference_amplitude_deg: ArrayLike,
) -> float:
    """Return coefficient K: above 0 focal viewing, below 0 ambient viewing.

    The mean over fixations of z(duration) − z(amplitude of the next saccade).

    Parameters
    ----------
    duration_s, amplitude_deg : array_like, shape (m,)
        Fixations and the saccades that end them; pairs with NaN are left out.
    reference_duration_s, reference_amplitude_deg : array_like, shape (k,)
        Pairs whose means and standard deviations make the z-scores, such as all of the recording.

    Returns
    -------
    float
        Standard deviations. NaN for fewer than 3 pairs, or a reference that does not vary.

    References
    ----------
    Krejtz, Duchowski, Krejtz, Szarkowska & Kopacz 2016, ACM Transactions on Applied Perception 13(3), 11.
    """
    given = _pairs(duration_s, amplitude_deg)
    reference = _pairs(reference_duration_s, reference_amplitude_deg)
    if given.shape[1] < COEFFICIENT_K_MIN_PAIRS or reference.shape[1] < COEFFICIENT_K_MIN_PAIRS:
        return float("nan")
    spread = reference.std(axis=1, ddof=1)
    if not (spread > 0).all():
        return float("nan")
    z = (given.mean(axis=1) - reference.mean(axis=1)) / spread
    return float(z[0] - z[1])


@dataclass(frozen=True)
class ScanpathSimilarity:
    """Likeness of two scan paths, 0 to 1 each (1: the same)."""

    shape: float
    direction: float
    length: float
    position: float
    duration: float


def multimatch(
    first: Sequence[ArrayLike], second: Sequence[ArrayLike], screen_px: tuple[int, int]
) -> ScanpathSimilarity:
    """Compare two scan paths in five respects by MultiMatch (optional: extra ``peers``).

    Parameters
    ----------
    first, second : sequence of 3 array_like
        ``x_px``, ``y_px`` and ``duration_s`` of consecutive fixations.
    screen_px : tuple of int
        Width and height of the screen.

    Returns
    -------
    ScanpathSimilarity
        NaN throughout when a path has fewer than 3 fixations.

    Raises
    ------
    DuchenneError
        Where multimatch-gaze is not installed.

    References
    ----------
    Dewhurst et al. 2012, Behavior Research Methods 44, 1079–1100; Wagner, Halchenko & Hanke 2019,
    Journal of Open Source Software 4(40), 1525.
    """
    try:
        from multimatch_gaze import docomparison  # noqa: PLC0415  (optional)
    except ImportError:
        raise DuchenneError(
            "Scan paths are compared by multimatch-gaze, which is not installed: "
            "pip install 'duchenne[peers]'."
        ) from None
    paths = []
    for path in (first, second):
        x, y, duration = (np.asarray(values, dtype=np.float64) for values in path)
        known = np.isfinite(x) & np.isfinite(y) & np.isfinite(duration)
        if np.count_nonzero(known) < MULTIMATCH_MIN_FIXATIONS:
            return ScanpathSimilarity(*[float("nan")] * 5)
        path_rows = np.zeros(np.count_nonzero(known), dtype=_MULTIMATCH_FIELDS)
        path_rows["start_x"], path_rows["start_y"] = x[known], y[known]
        path_rows["duration"] = duration[known]
        paths.append(path_rows)
    found = docomparison(paths[0], paths[1], list(screen_px))
    return ScanpathSimilarity(*(float(value) for value in np.ravel(found)))


def _pairs(duration_s: ArrayLike, amplitude_deg: ArrayLike) -> Floats:
    pairs: Floats = np.array([duration_s, amplitude_deg], dtype=np.float64)
    return pairs[:, np.isfinite(pairs).all(axis=0)]
