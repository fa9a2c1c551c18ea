"""Do categories differ in what the eye gets? Effect sizes with confidence intervals, and a warning."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.stimulus import NORMS
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy.typing as npt

    from duchenne.stimuli.stimulus import Stimulus

ETA_LEVEL = 0.90
"""Of the interval of eta²: excludes 0 exactly when the test at 5 % rejects (Steiger, 2004,
Psychological Methods, 9)."""
D_LEVEL = 0.95
MEDIUM_ETA2 = 0.06
"""A medium effect (Cohen, 1988)."""
Verdict = Literal["confound", "watch", "ok", "constant"]
LIGHT = ("luminance", "rms_contrast", "black_share")
_NOT_LOW_LEVEL = (
    *NORMS,
    "norm_",
    "n_ratings",
    "approach",
    "highlight",
    "original_",
    "black_px",
    "white_px",
    "jpeg_bytes",
    "clipped_",
)


@dataclass(frozen=True)
class Cell:
    """One category: how many have the measure, its mean and standard deviation (n - 1)."""

    name: str
    n: int
    mean: float
    sd: float


@dataclass(frozen=True)
class Pair:
    """Two categories: Cohen's d (pooled SD), first minus second, with its 95 % interval."""

    first: str
    second: str
    d: float
    d_low: float
    d_high: float


@dataclass(frozen=True)
class Comparison:
    """How categories differ in one measure.

    Attributes
    ----------
    measure : str
        Its name.
    n, n_missing : int
        Stimuli with and without it.
    cells : tuple of Cell
        By category.
    eta2, eta2_low, eta2_high : float
        Share of the variance between categories, 0 to 1, with its 90 % interval; NaN where the
        measure does not
        vary.
    p : float
        Of the one-way analysis of variance.
    pairs : tuple of Pair
        Every two categories, largest difference first.
    verdict : {"confound", "watch", "ok", "constant"}
        ``confound``: eta² at least 0.06 and its interval excludes 0; ``watch``: at least 0.06, but
        so few stimuli
        that chance may do it; ``constant``: the measure does not vary.
    """

    measure: str
    n: int
    n_missing: int
    cells: tuple[Cell, ...]
    eta2: float
    eta2_low: float
    eta2_high: float
    p: float
    pairs: tuple[Pair, ...]
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; NaN becomes None."""
        found: dict[str, Any] = _plain(asdict(self))
        return found

    @property
    def sentence(self) -> str:
        """What it means, in one line."""
        worst = self.pairs[0]
        light = self.measure.startswith(LIGHT)
        pupil = (
            "; pupil size follows luminance, so match the set or draw from it matched"
            if light
            else ""
        )
        return (
            f"{self.measure}: eta² = {self.eta2:.2f} [{self.eta2_low:.2f}, "
            f"{self.eta2_high:.2f}], most between "
            f"{worst.first} and {worst.second} (d = {worst.d:.2f} [{worst.d_low:.2f}, "
            f"{worst.d_high:.2f}]){pupil}"
        )


def compare(
    stimuli: Sequence[Stimulus],
    *,
    on: Collection[str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> list[Comparison]:
    """Compare categories on low-level measures.

    Parameters
    ----------
    stimuli : sequence of Stimulus
        With their measures.
    on : collection of str, optional
        Measures to compare; by default every number of the manifest that is no norm.
    groups : mapping of str to str, optional
        Cell of each stimulus by id; its category by default.

    Returns
    -------
    list of Comparison
        Largest eta² first.

    Raises
    ------
    DuchenneError
        No measures, an unknown one, or fewer than two categories with two stimuli each.
    """
    cell_of = {s.id: groups[s.id] if groups is not None else s.category for s in stimuli}
    names = list(dict.fromkeys(cell_of.values()))
    if len(names) < 2:
        raise DuchenneError(
            f"only one category ({names[0] if names else 'none'}); there is nothing to "
            "compare it with"
        )
    found = []
    for measure in measures_of(stimuli) if on is None else _known(stimuli, on):
        values = [
            np.array(
                [
                    v
                    for s in stimuli
                    if cell_of[s.id] == name and (v := s.measure(measure)) is not None
                ]
            )
            for name in names
        ]
        missing = len(stimuli) - sum(map(len, values))
        usable = [(n, v) for n, v in zip(names, values, strict=True) if len(v) >= 2]
        if len(usable) >= 2:
            found.append(_compare(measure, usable, missing))
    if not found:
        raise DuchenneError(
            "no measure is known of two stimuli in each of two categories; "
            "first: duchenne stimuli measure MANIFEST --write"
        )
    return sorted(found, key=lambda c: -c.eta2 if math.isfinite(c.eta2) else 1.0)


def measures_of(stimuli: Sequence[Stimulus]) -> list[str]:
    """Return the low-level measures that a set has: its numbers that are no norms and no sizes alone."""
    names = dict.fromkeys(key for s in stimuli for key in s.measures)
    own = [n for n in ("luminance", "duration_s") if any(s.measure(n) is not None for s in stimuli)]
    return own + [name for name in names if not name.startswith(_NOT_LOW_LEVEL)]


def _known(stimuli: Sequence[Stimulus], on: Collection[str]) -> list[str]:
    known = measures_of(stimuli)
    for name in on:
        if all(s.measure(name) is None for s in stimuli):
            raise UsageError(
                f"--on {name}: no stimulus has such a measure{did_you_mean(name, known, most=40)}"
            )
    return list(on)


def _compare(
    measure: str, cells: Sequence[tuple[str, npt.NDArray[np.float64]]], missing: int
) -> Comparison:
    groups = [values for _, values in cells]
    eta2, low, high, p = eta_squared(groups)
    pairs = [Pair(a, b, *cohens_d(x, y)) for (a, x), (b, y) in itertools.combinations(cells, 2)]
    pairs.sort(key=lambda pair: -abs(pair.d) if math.isfinite(pair.d) else 0.0)
    verdict: Verdict = "ok" if math.isfinite(eta2) else "constant"
    if eta2 >= MEDIUM_ETA2:
        verdict = "confound" if low > 0 else "watch"
    return Comparison(
        measure,
        sum(map(len, groups)),
        missing,
        tuple(Cell(n, len(v), float(v.mean()), float(v.std(ddof=1))) for n, v in cells),
        eta2,
        low,
        high,
        p,
        tuple(pairs),
        verdict,
    )


def eta_squared(
    groups: Sequence[npt.NDArray[np.float64]],
) -> tuple[float, float, float, float]:
    """Return eta² of groups, the ends of its 90 % interval, and p.

    The interval inverts the noncentral F distribution: eta² = λ / (λ + N) (Steiger, 2004).

    Parameters
    ----------
    groups : sequence of ndarray
        At least two, of two values or more.
    """
    from scipy import stats  # noqa: PLC0415 - not part of the core install

    pooled = np.concatenate(groups)
    n, k = len(pooled), len(groups)
    between = sum(len(g) * (g.mean() - pooled.mean()) ** 2 for g in groups)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups)
    total = float(between + within)
    scale = max(float(np.abs(pooled).max()), 1e-300)
    if total <= (1e-9 * scale) ** 2 * n:
        return math.nan, math.nan, math.nan, math.nan
    eta2 = float(between / total)
    df1, df2 = k - 1, n - k
    if within <= (1e-12 * scale) ** 2 * n:
        return eta2, 1.0, 1.0, 0.0
    f = float((between / df1) / (within / df2))
    ends = [
        _noncentrality(lambda nc, f=f: float(stats.ncf.cdf(f, df1, df2, nc)), q, start=f * df1)
        for q in ((1 + ETA_LEVEL) / 2, (1 - ETA_LEVEL) / 2)
    ]
    return eta2, ends[0] / (ends[0] + n), ends[1] / (ends[1] + n), float(stats.f.sf(f, df1, df2))


def cohens_d(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Return Cohen's d of two samples (x minus y over the pooled SD) and its 95 % interval.

    The interval inverts the noncentral t distribution (Cumming & Finch, 2001). NaN where nothing varies.
    """
    from scipy import stats  # noqa: PLC0415 - not part of the core install

    n, m = len(x), len(y)
    pooled = math.sqrt(((n - 1) * x.var(ddof=1) + (m - 1) * y.var(ddof=1)) / (n + m - 2))
    gap = float(x.mean() - y.mean())
    if pooled <= 1e-9 * max(abs(float(x.mean())), abs(float(y.mean())), 1e-300):
        return (0.0, 0.0, 0.0) if gap == 0 else (math.copysign(math.inf, gap), math.nan, math.nan)
    d, unit = gap / pooled, math.sqrt(n * m / (n + m))
    sign = math.copysign(1.0, d)
    t, df = abs(d) * unit, n + m - 2
    ends = [
        _signed(lambda nc: float(stats.nct.cdf(t, df, nc)), q, around=t) / unit
        for q in ((1 + D_LEVEL) / 2, (1 - D_LEVEL) / 2)
    ]
    low, high = sorted(sign * end for end in ends)
    return d, low, high


def _noncentrality(cdf: Any, q: float, start: float) -> float:
    """Return the noncentrality at which a falling distribution function is q; 0 where it is below at 0."""
    from scipy.optimize import brentq  # noqa: PLC0415 - not part of the core install

    if cdf(0.0) <= q:
        return 0.0
    high = max(4.0, 2.0 * start)
    while cdf(high) > q:
        high *= 2.0
    return float(brentq(lambda nc: cdf(nc) - q, 0.0, high))


def _signed(cdf: Any, q: float, around: float) -> float:
    from scipy.optimize import brentq  # noqa: PLC0415 - not part of the core install

    low, high = around - 4.0, around + 4.0
    while cdf(low) < q:
        low -= 4.0 + 0.5 * around
    while cdf(high) > q:
        high += 4.0 + 0.5 * around
    return float(brentq(lambda nc: cdf(nc) - q, low, high))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
