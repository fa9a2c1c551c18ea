"""Correlation at every circular shift at once, and what it says of the one that was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]

LEAST_SHIFT_S = 5.0
SHIFT_STEP_S = 0.5
FLAT_SD = 1e-3
"""A curve that varies less than this does not move."""


@dataclass(frozen=True)
class Chance:
    """What a measure is by chance, and how far the true one lies above.

    Parameters
    ----------
    mean, q95 : float
        Mean and 95th percentile of the measure over the shifts.
    z : float
        Distance of the true value from that mean in standard deviations over the shifts.
    p : float
        (1 + m f) / (1 + m), one-sided, where f is the share of shifts that reach the true value and m is
        `n_independent`.
    n : int
        Shifts.
    n_independent : float
        How many independent shifts they are worth: slow curves give nearly the same value at
        neighbouring shifts.
    """

    mean: float
    q95: float
    z: float
    p: float
    n: int
    n_independent: float

    @classmethod
    def of(cls, value: float, *by_chance: ArrayLike) -> Chance:
        """Compare a value with those of one or more series of shifts; NaN ones are left out."""
        series = [np.asarray(part, np.float64) for part in by_chance]
        series = [part[np.isfinite(part)] for part in series]
        drawn = np.concatenate([*series, np.zeros(0)])
        if not drawn.size or not np.isfinite(value):
            return cls(np.nan, np.nan, np.nan, np.nan, int(drawn.size), 0.0)
        spread = float(drawn.std(ddof=1)) if drawn.size > 1 else 0.0
        mean = float(drawn.mean())
        worth = sum(independent(part) for part in series)
        reached = float((drawn >= value - 1e-12).mean())
        return cls(
            mean,
            float(np.quantile(drawn, 0.95)),
            (value - mean) / spread if spread > 0 else np.nan,
            (1 + worth * reached) / (1 + worth),
            int(drawn.size),
            worth,
        )


def independent(series: Floats) -> float:
    """Return how many independent values a regular series is worth, 0 to its length.

    Its length divided by 1 + 2 times the sum of its autocorrelations up to the first that is not positive
    (Bartlett 1946).
    """
    n = series.size
    centred = series - series.mean() if n else series
    power = float(centred @ centred)
    if n < 3 or power <= 0:
        return float(min(n, 1))
    full = np.correlate(centred, centred, "full")[n - 1 :] / power
    falls = np.flatnonzero(full <= 0)
    until = int(falls[0]) if falls.size else n
    return float(n / (1 + 2 * full[1:until].sum()))


def shifts_of(n_samples: int, rate_hz: float, *, kept_free: int = 0) -> NDArray[np.intp]:
    """Return the circular shifts that stand for chance, one each half second.

    Parameters
    ----------
    n_samples : int
        Of the curve.
    rate_hz : float
        Samples per second.
    kept_free : int
        Lags that are looked at after each shift: the last shift leaves them free too.

    Returns
    -------
    ndarray of int
        From 5 s on (a quarter of a curve below 20 s) to as much before the end.
    """
    least = max(1, min(round(LEAST_SHIFT_S * rate_hz), n_samples // 4))
    step = max(1, round(SHIFT_STEP_S * rate_hz))
    return np.arange(least, n_samples - least - kept_free + 1, step, dtype=np.intp)


def circular_correlations(first: ArrayLike, second: ArrayLike, *, min_shared: int = 10) -> Floats:
    """Return the correlation of two curves for every circular shift of the first.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        NaN where lost; each pair of samples that are both known counts.
    min_shared : int
        Fewer shared samples give NaN.

    Returns
    -------
    ndarray, shape (n,)
        Entry ``d`` is the correlation of ``first[(t + d) % n]`` with ``second[t]``; NaN where one of them
        does not move.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    n = a.size
    known_a, known_b = np.isfinite(a), np.isfinite(b)
    if not known_a.any() or not known_b.any():
        return np.full(n, np.nan)
    a = np.where(known_a, a - a[known_a].mean(), 0.0)
    b = np.where(known_b, b - b[known_b].mean(), 0.0)
    fa, fa2, fm = (np.fft.rfft(v) for v in (a, a**2, known_a.astype(np.float64)))
    gb, gb2, gm = (np.conj(np.fft.rfft(v)) for v in (b, b**2, known_b.astype(np.float64)))
    # (f * conj(g)) is the sum over t of first[t + d] * second[t].
    pairs = ((fm, gm), (fa, gm), (fm, gb), (fa2, gm), (fm, gb2), (fa, gb))
    sums = Sums(*(np.fft.irfft(f * g, n) for f, g in pairs))
    return correlations_of_sums(sums, min_shared=min_shared)


class Sums(NamedTuple):
    """Sums over the samples that two curves share: their number, a, b, a², b², a·b."""

    n: Floats
    a: Floats
    b: Floats
    aa: Floats
    bb: Floats
    ab: Floats


def correlations_of_sums(sums: Sums, *, min_shared: int) -> Floats:
    """Return correlations; NaN where fewer samples are shared, or a curve does not move."""
    count = np.rint(sums.n)
    n = np.maximum(count, 1.0)
    var_a, var_b = sums.aa / n - (sums.a / n) ** 2, sums.bb / n - (sums.b / n) ** 2
    usable = (count >= min_shared) & (var_a > FLAT_SD**2) & (var_b > FLAT_SD**2)
    covariance = sums.ab / n - sums.a * sums.b / n**2
    scale = np.sqrt(np.where(usable, var_a * var_b, 1.0))
    return np.where(usable, np.clip(covariance / scale, -1.0, 1.0), np.nan)
