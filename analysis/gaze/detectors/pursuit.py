"""Smooth pursuit: which of the intervals between saccades follow something that moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.signal import event_groups, runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]
    Labels = NDArray[np.int8]

_VARIANCE_FLOOR_DEG2 = 1e-4
_STEP_RANGE_DEG = (0.05, 20.0)


@dataclass(frozen=True)
class PursuitSettings:
    """Constants of the pursuit rule.

    Parameters
    ----------
    spread_deg : float
        An interval is pursuit when ``spread × elongation**line_power × step**-step_power`` exceeds
        this: gaze spreads (degrees, root mean square, noise subtracted), along a line (elongation:
        variance along the main axis over that across it), between catch-up saccades, which are small
        (step: geometric mean of the jumps of gaze before and after, in degrees).
    line_power, step_power : float
        Weights of the two, from a logistic regression on 1150 hand-labelled intervals.
    auto_share : float
        When the stimulus is not known, pursuit is believed only where it takes at least this share
        of the time between saccades within ``auto_window_s``: still images have false pursuit too.
    auto_window_s : float
        Length of that window.
    """

    spread_deg: float = 0.33
    line_power: float = 0.25
    step_power: float = 0.18
    auto_share: float = 0.45
    auto_window_s: float = 20.0


DEFAULT = PursuitSettings()


def mark_pursuit(
    labels: Labels,
    x_deg: Floats,
    y_deg: Floats,
    rate_hz: float,
    *,
    stimulus: str | None,
    settings: PursuitSettings = DEFAULT,
) -> Labels:
    """Return labels with the fixations that are smooth pursuit called so.

    Parameters
    ----------
    labels : ndarray of int8, shape (n,)
        Codes of :class:`~duchenne.analysis.gaze.labels.Label`.
    x_deg, y_deg : ndarray, shape (n,)
        Degrees; NaN where lost.
    rate_hz : float
        Sampling rate.
    stimulus : {"image", "dots", "video"} or None
        Nothing to pursue in an image; None lets the recording decide, stretch by stretch.
    settings : PursuitSettings
        Constants.

    References
    ----------
    The criteria of dispersion, consistent direction and displacement are those of Larsson, Nyström,
    Andersson & Stridh 2015, Biomedical Signal Processing and Control 18, 145–152; this rule is one
    product of them instead of four thresholds.
    """
    starts, stops = runs((labels == Label.FIXATION) & np.isfinite(x_deg) & np.isfinite(y_deg))
    if stimulus == "image" or starts.size == 0:
        return labels
    score = pursuit_score(x_deg, y_deg, starts, stops, settings)
    pursued = score > settings.spread_deg
    if stimulus is None:
        pursued &= _believable(pursued, starts, stops, rate_hz, settings)
    marked = labels.copy()
    for start, stop in zip(starts[pursued].tolist(), stops[pursued].tolist(), strict=True):
        marked[start:stop] = Label.PURSUIT
    return marked


def pursuit_score(
    x_deg: Floats, y_deg: Floats, starts: Ints, stops: Ints, settings: PursuitSettings = DEFAULT
) -> Floats:
    """Return how much each interval looks like pursuit, in degrees (see :class:`PursuitSettings`).

    Parameters
    ----------
    x_deg, y_deg : ndarray, shape (n,)
        Degrees; known within the intervals.
    starts, stops : ndarray of int, shape (m,)
        Half-open intervals, ascending.
    settings : PursuitSettings
        Exponents.
    """
    parts = []
    for group in event_groups(starts, stops):
        first = int(starts[group][0])
        span = slice(first, int(stops[group][-1]) + 1)
        x, y = x_deg[span].astype(np.float64), y_deg[span].astype(np.float64)
        parts.append(_moments(x, y, starts[group] - first, stops[group] - first))
    var_x, var_y, cov = (np.concatenate(values) for values in zip(*parts, strict=True))
    middle, half = (var_x + var_y) / 2, np.hypot((var_x - var_y) / 2, cov)
    along = np.maximum(middle + half, _VARIANCE_FLOOR_DEG2)
    across = np.maximum(middle - half, _VARIANCE_FLOOR_DEG2)
    step = _neighbouring_steps(x_deg, y_deg, starts, stops)
    score: Floats = (
        np.sqrt(along + across) * (along / across) ** settings.line_power
    ) * step**-settings.step_power
    return score


def _moments(x: Floats, y: Floats, starts: Ints, stops: Ints) -> tuple[Floats, Floats, Floats]:
    """Return variances and covariance per interval; white noise is taken off the variances."""
    count = (stops - starts).astype(np.float64)

    def sums(values: Floats, ends: Ints) -> Floats:
        edges = np.stack((starts, ends), axis=1).ravel()
        if edges[-1] == values.size:
            edges = edges[:-1]
        total: Floats = np.add.reduceat(values, edges)[::2]
        return total

    def noise(values: Floats) -> Floats:
        squares = np.append(np.diff(values) ** 2, 0.0)
        total = np.where(count > 1, sums(squares, stops - 1), 0.0)
        level: Floats = total / np.maximum(count - 1, 1) / 2
        return level

    mean_x, mean_y = sums(x, stops) / count, sums(y, stops) / count
    return (
        sums(x * x, stops) / count - mean_x**2 - noise(x),
        sums(y * y, stops) / count - mean_y**2 - noise(y),
        sums(x * y, stops) / count - mean_x * mean_y,
    )


def _neighbouring_steps(x: Floats, y: Floats, starts: Ints, stops: Ints) -> Floats:
    """Return the geometric mean of the jumps of gaze into and out of each interval."""
    jump_x, jump_y = (axis[starts[1:]].astype(np.float64) - axis[stops[:-1] - 1] for axis in (x, y))
    jumps = np.hypot(jump_x, jump_y)
    log_jumps = np.log(np.clip(jumps, *_STEP_RANGE_DEG))
    step: Floats = np.exp(
        (np.concatenate(([0.0], log_jumps)) + np.concatenate((log_jumps, [0.0]))) / 2
    )
    return step


def _believable(
    pursued: NDArray[np.bool_], starts: Ints, stops: Ints, rate_hz: float, settings: PursuitSettings
) -> NDArray[np.bool_]:
    """Return where pursuit takes enough of the time around an interval."""
    length = (stops - starts).astype(np.float64)
    total = np.concatenate(([0.0], np.cumsum(length)))
    of_pursuit = np.concatenate(([0.0], np.cumsum(length * pursued)))
    middle = (starts + stops) / 2
    reach = settings.auto_window_s * rate_hz / 2
    low = np.searchsorted(middle, middle - reach, side="left")
    high = np.searchsorted(middle, middle + reach, side="right")
    enough: NDArray[np.bool_] = (of_pursuit[high] - of_pursuit[low]) >= settings.auto_share * (
        total[high] - total[low]
    )
    return enough
