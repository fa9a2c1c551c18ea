"""Windowed cross-lagged correlation: how one curve follows another within windows, at each lag.

After Boker, Xu, Rotondo & King (2002), Psychological Methods 7, 338–355. The level by chance is that of the
same two curves, one of them moved around in time as a circle: it keeps how slowly each moves, which alone
makes correlations in windows large. The same curve run backwards gives as many shifts again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.crossmodal.shifts import (
    SHIFT_STEP_S,
    Chance,
    Sums,
    correlations_of_sums,
    shifts_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

GRID_HZ = 20.0
WINDOW_S = 4.0
STEP_S = 1.0
MAX_LAG_S = 2.0
MOVING_SD = 0.2
"""Windows in which the leading curve varies less (intensity, 0 to 5) hold nothing to follow."""
MIN_KNOWN = 0.5
BLOCK_S = 300.0
"""Longer films are moved around within blocks of at most this length."""
_MAX_R = 0.99
_AT_ONCE = 64


@dataclass(frozen=True)
class Lagged:
    """Mean Fisher z over the windows, for every circular shift of the following curve.

    Parameters
    ----------
    z : ndarray, shape (n,)
        n: samples of the curve, or of a block of at most 5 minutes of a longer one. Entry ``d``: the
        following curve is read ``d`` samples later; NaN where no window can be used.
    z_backwards : ndarray, shape (n,)
        The same with the following curve run backwards.
    n_windows : int
        Windows that hold something to follow and are measured at lag 0.
    max_lag : int
        Lags up to this many samples are looked at.
    """

    z: Floats
    z_backwards: Floats
    n_windows: int
    max_lag: int


@dataclass(frozen=True)
class Following:
    """How well one curve follows another.

    Parameters
    ----------
    r : float
        Mean correlation over the windows (by Fisher z) at the best lag, −1 to 1.
    lag_s : float
        That lag, seconds; between samples by a parabola.
    chance : Chance
        Of the correlation at the best lag, with one curve moved around in time.
    n_windows : int
    """

    r: float
    lag_s: float
    chance: Chance
    n_windows: int


def lagged_correlation(
    leading: ArrayLike,
    following: ArrayLike,
    *,
    rate_hz: float = GRID_HZ,
    window_s: float = WINDOW_S,
    max_lag_s: float = MAX_LAG_S,
    moving_sd: float = MOVING_SD,
) -> Lagged:
    """Correlate two curves within windows, at every circular shift.

    Parameters
    ----------
    leading, following : array_like, shape (n,)
        On one time axis; NaN where not measured.
    rate_hz : float
        Samples per second.
    window_s : float
        Length of the windows, a quarter of shorter curves at most; one begins each second, or each quarter
        of a shorter window.
    max_lag_s : float
        Largest lag, at most a window.
    moving_sd : float
        Windows in which the leading curve has a smaller standard deviation are left out.

    Notes
    -----
    Where the leading curve moves and the following one is measured but does not, the correlation is 0.
    Windows of which less than half is measured in both are left out, and so are those that the circle
    cuts in two.
    """
    lead, own = _in_blocks(leading, following, rate_hz)
    n = lead.shape[1]
    width, max_lag, step = _sizes(n, rate_hz, window_s, max_lag_s)
    mean, backwards = _Mean.over(n), _Mean.over(n)
    for a, b in zip(lead, own, strict=True) if width > 1 else ():
        starts = _starts(a, np.arange(0, n - width + 1, step), width, moving_sd)
        for first in range(0, starts.size, _AT_ONCE):
            some = starts[first : first + _AT_ONCE]
            mean.add(_windows(a, b, some, width))
            backwards.add(_windows(a, b[::-1], some, width))
    n_windows = int(mean.count[0]) if n else 0
    return Lagged(mean.z, backwards.z, n_windows, max_lag)


def best_correlation(
    leading: ArrayLike,
    following: ArrayLike,
    *,
    rate_hz: float = GRID_HZ,
    window_s: float = WINDOW_S,
    max_lag_s: float = MAX_LAG_S,
    moving_sd: float = MOVING_SD,
) -> float:
    """Return the mean correlation over the windows at the best lag, without the level by chance.

    Parameters are those of :func:`lagged_correlation`; NaN where no window can be used.
    """
    lead, own = np.asarray(leading, np.float64), np.asarray(following, np.float64)
    n = min(lead.size, own.size)
    lead, own = lead[:n], own[:n]
    width, max_lag, step = _sizes(n, rate_hz, window_s, max_lag_s)
    if width < 2:
        return np.nan
    starts = _starts(lead, np.arange(0, n - width - max_lag + 1, step), width, moving_sd)
    if not starts.size:
        return np.nan
    mean = _Mean.over(max_lag + 1)
    mean.add(_at_lags(lead, own, starts, width, max_lag))
    return float(np.tanh(_highest(mean.z)))


def mean_of(parts: Sequence[Lagged]) -> Lagged:
    """Return the mean of several pairs of curves of one time axis, such as of all Action Units."""
    return Lagged(
        _mean_known([part.z for part in parts]),
        _mean_known([part.z_backwards for part in parts]),
        max(part.n_windows for part in parts),
        parts[0].max_lag,
    )


def following_of(found: Lagged, *, rate_hz: float = GRID_HZ) -> Following:
    """Return the best lag, and what the same search finds by chance.

    Parameters
    ----------
    found : Lagged
    rate_hz : float
        Samples per second.
    """
    lags = found.z[: found.max_lag + 1]
    if not np.isfinite(lags).any():
        return Following(np.nan, np.nan, Chance.of(np.nan), 0)
    best = int(np.nanargmax(lags))
    highest = float(lags[best])
    # Each shift is searched as the true pairing is: the highest of its lags counts.
    shifts = shifts_of(found.z.size, rate_hz, kept_free=found.max_lag)
    every = np.arange(0, found.z.size - found.max_lag, max(1, round(SHIFT_STEP_S * rate_hz)))
    by_chance = [
        np.tanh([_highest(z[s : s + found.max_lag + 1]) for s in at.tolist()])
        for z, at in ((found.z, shifts), (found.z_backwards, every))
    ]
    return Following(
        float(np.tanh(highest)),
        (best + _between(lags, best)) / rate_hz,
        Chance.of(float(np.tanh(highest)), *by_chance),
        found.n_windows,
    )


@dataclass
class _Mean:
    """Mean Fisher z over windows that come one after the other."""

    total: Floats
    count: Floats

    @classmethod
    def over(cls, n: int) -> _Mean:
        return cls(np.zeros(n), np.zeros(n))

    def add(self, correlations: Floats) -> None:
        z = np.arctanh(np.clip(correlations, -_MAX_R, _MAX_R))
        known = np.isfinite(z)
        self.total += np.where(known, z, 0.0).sum(axis=0)
        self.count += known.sum(axis=0)

    @property
    def z(self) -> Floats:
        mean: Floats = np.where(self.count > 0, self.total / np.maximum(self.count, 1.0), np.nan)
        return mean


def _in_blocks(leading: ArrayLike, following: ArrayLike, rate_hz: float) -> tuple[Floats, Floats]:
    """Return both curves as blocks of equal length, in whole seconds: (blocks, samples) each.

    Whole seconds are lengths that Fourier transforms are fast for; blocks keep long films linear in time.
    """
    lead, own = np.asarray(leading, np.float64), np.asarray(following, np.float64)
    n = min(lead.size, own.size)
    second = max(1, round(rate_hz))
    n_blocks = max(1, int(np.ceil(n / (BLOCK_S * rate_hz))))
    length = n // n_blocks // second * second
    shape = (n_blocks, length)
    return lead[: n_blocks * length].reshape(shape), own[: n_blocks * length].reshape(shape)


def _at_lags(
    lead: Floats, own: Floats, starts: NDArray[np.intp], width: int, max_lag: int
) -> Floats:
    """Return the correlation of each window at each lag: (windows, lags)."""
    windows = np.lib.stride_tricks.sliding_window_view
    a = windows(lead, width)[starts][:, None, :]
    b = windows(windows(own, width), max_lag + 1, axis=0)[starts].transpose(0, 2, 1)
    known = np.isfinite(a) & np.isfinite(b)
    a, b = np.where(known, a, 0.0), np.where(known, b, 0.0)
    sums = Sums(*(v.sum(axis=2) for v in (known, a, b, a * a, b * b, a * b)))
    return _following(sums, width)


def _mean_known(rows: Sequence[Floats]) -> Floats:
    stacked = np.array(rows)
    known = np.isfinite(stacked)
    count = known.sum(axis=0)
    mean = np.where(known, stacked, 0.0).sum(axis=0) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan)


def _windows(lead: Floats, own: Floats, starts: NDArray[np.intp], width: int) -> Floats:
    """Return the correlation of each window of `lead` with `own` at each circular shift."""
    n = lead.size
    inside = np.zeros((starts.size, n), np.bool_)
    for row, start in enumerate(starts.tolist()):
        inside[row, start : start + width] = True
    known_a, known_b = inside & np.isfinite(lead), np.isfinite(own)
    a = np.where(known_a, np.nan_to_num(lead), 0.0)
    a = np.where(known_a, a - a.sum(1, keepdims=True) / known_a.sum(1, keepdims=True), 0.0)
    b = np.where(known_b, own - (own[known_b].mean() if known_b.any() else 0.0), 0.0)
    # conj(window) * curve is the sum over t of window[t] * curve[t + shift].
    fa, fa2, fm = (np.conj(np.fft.rfft(v, axis=1)) for v in (a, a**2, known_a.astype(np.float64)))
    gb, gb2, gm = (np.fft.rfft(v) for v in (b, b**2, known_b.astype(np.float64)))
    pairs = ((fm, gm), (fa, gm), (fm, gb), (fa2, gm), (fm, gb2), (fa, gb))
    sums = Sums(*(np.fft.irfft(f * g, n, axis=1) for f, g in pairs))
    r = _following(sums, width)
    place = (starts[:, None] + np.arange(n)[None, :]) % n
    return np.where(place + width <= n, r, np.nan)


def _following(sums: Sums, width: int) -> Floats:
    """Return correlations, 0 where a curve is measured but does not move."""
    least = max(3, round(MIN_KNOWN * width))
    r = correlations_of_sums(sums, min_shared=least)
    return np.where(np.isnan(r) & (np.rint(sums.n) >= least), 0.0, r)


def _sizes(n: int, rate_hz: float, window_s: float, max_lag_s: float) -> tuple[int, int, int]:
    """Return the samples of a window, of the largest lag, and from one window to the next."""
    width = min(round(window_s * rate_hz), n // 4)
    max_lag = min(round(max_lag_s * rate_hz), width)
    return width, max_lag, max(1, min(round(STEP_S * rate_hz), width // 4))


def _starts(
    lead: Floats, starts: NDArray[np.intp], width: int, moving_sd: float
) -> NDArray[np.intp]:
    """Return those of the windows in which the leading curve moves."""
    return starts[[_moves(lead[s : s + width], moving_sd) for s in starts.tolist()]]


def _moves(values: Floats, least_sd: float) -> bool:
    known = values[np.isfinite(values)]
    return known.size >= MIN_KNOWN * values.size and bool(known.std() >= least_sd)


def _highest(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if known.size else np.nan


def _between(values: Floats, best: int) -> float:
    """Return how far the top of the parabola through three points lies from the middle one."""
    if not 0 < best < values.size - 1:
        return 0.0
    left, middle, right = values[best - 1 : best + 2].tolist()
    bend = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0
