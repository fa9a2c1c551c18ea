"""Linear mixed models for participants crossed with stimuli, fitted by REML.

Participants and stimuli are both samples: an effect must be told from what would change with other
participants *and* with other stimuli (Clark 1973; Judd, Westfall & Kenny 2012). The model of a
contrast therefore has an intercept and a slope for each participant and an intercept for each
stimulus, and a slope for each stimulus where one stimulus is shown under both conditions. Random
effects are not correlated with each other (in lme4's words, ``||``).

The likelihood is profiled as in Bates, Mächler, Bolker & Walker (2015, Journal of Statistical
Software 67(1), eq. 39-42), degrees of freedom follow Satterthwaite as in Kuznetsova, Brockhoff &
Christensen (2017, Journal of Statistical Software 82(13)).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg, optimize, stats

from duchenne.analysis.statistics.derivatives import gradient, hessian

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from duchenne.analysis.statistics.types import FloatArray

__all__ = ["Estimate", "MixedModel", "RandomEffect", "fit", "slope_model"]

# A standard deviation, as a fraction of the residual's, below which a random effect counts as none.
NOTHING = 1e-4
LARGEST_RATIO = 1e3
AGAIN = 0.3
_FINE = (0.0, 0.12, 0.25, 0.45, 0.8, 1.5, 3.0)
_MEDIUM = (0.0, 0.2, 0.45, 1.0, 2.5)
_COARSE = (0.0, 0.3, 1.0)
GRID = {0: (), 1: _FINE, 2: _FINE, 3: _FINE, 4: _MEDIUM, 5: _COARSE}
"""Ratios that `MixedModel.t_of_many` tries, by the number of random effects."""


@dataclass(frozen=True)
class RandomEffect:
    """One random effect: a level's draw times a covariate.

    Attributes
    ----------
    name : str
        Such as ``participant`` or ``participant:condition``.
    level : (n,) int
        Which level each row belongs to, from 0.
    covariate : (n,) float64
        What the draw is multiplied with: ones for an intercept.
    """

    name: str
    level: NDArray[np.int64]
    covariate: FloatArray

    def matrix(self) -> FloatArray:
        """Return the columns that multiply the levels' draws: (n, n_levels) float64."""
        block = np.zeros((len(self.level), int(self.level.max()) + 1))
        block[np.arange(len(self.level)), self.level] = self.covariate
        return block


@dataclass(frozen=True)
class Estimate:
    """A fixed effect with its uncertainty.

    Attributes
    ----------
    value, standard_error : float
        In the unit of the measure.
    df : float
        Degrees of freedom after Satterthwaite.
    t, p : float
        Two-sided.
    ci_low, ci_high : float
        95 % confidence interval.
    """

    value: float
    standard_error: float
    df: float
    t: float
    p: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class Design:
    """What a model is fitted to.

    Attributes
    ----------
    y : (n,) float64
        The measure.
    fixed : dict of str to (n,) float64
        Columns of the fixed effects.
    random : tuple of RandomEffect
        Independent of each other.
    """

    y: FloatArray
    fixed: dict[str, FloatArray]
    random: tuple[RandomEffect, ...]


@dataclass(frozen=True)
class MixedModel:
    """A fitted model.

    Attributes
    ----------
    names : tuple of str
        Fixed effects.
    coefficients : (k,) float64
        Of the fixed effects.
    covariance : (k, k) float64
        Of the coefficients.
    random_sd : dict of str to float
        Standard deviation of each random effect, and of the ``residual``.
    n : int
        Rows.
    design : Design
        What was fitted.
    """

    names: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    random_sd: dict[str, float]
    n: int
    design: Design
    _profile: _Profile
    _ratios: FloatArray

    def estimate(self, weights: ArrayLike | str) -> Estimate:
        """Return a fixed effect, or a weighted sum of them, with its uncertainty.

        Parameters
        ----------
        weights : (k,) float64 or str
            Weights of the fixed effects, or the name of one.
        """
        if isinstance(weights, str):
            if weights not in self.names:
                raise ValueError(f"no fixed effect {weights!r}; there are {', '.join(self.names)}")
            row = np.array([float(name == weights) for name in self.names])
        else:
            row = np.asarray(weights, np.float64)
        value = float(row @ self.coefficients)
        variance = float(row @ self.covariance @ row)
        df = self._profile.satterthwaite(row, self._ratios)
        error = float(np.sqrt(variance))
        t = value / error if error > 0 else np.nan
        margin = float(stats.t.ppf(0.975, df)) * error
        return Estimate(
            value=value,
            standard_error=error,
            df=df,
            t=t,
            p=float(2 * stats.t.sf(abs(t), df)),
            ci_low=value - margin,
            ci_high=value + margin,
        )

    def t_of_many(self, ys: FloatArray, name: str) -> FloatArray:
        """Return t of a fixed effect when the same model is fitted to other measures.

        The spread of the random effects is searched on a grid (`GRID`), the same for all measures: coarser
        than `fit`, but equally coarse for each of them, which is what a permutation test needs.

        Parameters
        ----------
        ys : (n, n_measures) float64
            One measure per column.
        name : str
            The fixed effect.

        Returns
        -------
        (n_measures,) float64
        """
        return self._profile.t_on_grid(ys, self.names.index(name))

    @property
    def is_singular(self) -> bool:
        """Whether some random effect was estimated to be nothing."""
        return bool(np.any(self._ratios == 0))


def slope_model(
    value: ArrayLike,
    contrast: ArrayLike,
    participant: Sequence[str] | NDArray[np.str_],
    stimulus: Sequence[str] | NDArray[np.str_],
    *,
    covariates: dict[str, ArrayLike] | None = None,
) -> MixedModel:
    """Fit the model of one contrast: ``value ~ contrast + covariates``, all random effects it may have.

    Parameters
    ----------
    value : (n,) float64
        The measure, one row per presentation; rows that are NaN in anything are left out.
    contrast : (n,) float64
        Coded so that a step of 1 is the difference asked for, such as −0.5 and 0.5.
    participant, stimulus : (n,) str
        Who saw what.
    covariates : dict of str to (n,) float64, optional
        Further fixed effects, such as the trial's number; centred here.

    Raises
    ------
    ValueError
        If fewer than three participants or stimuli are left, or the contrast does not vary.
    """
    y, x = np.asarray(value, np.float64), np.asarray(contrast, np.float64)
    further = {name: np.asarray(values, np.float64) for name, values in (covariates or {}).items()}
    kept = np.isfinite(y) & np.isfinite(x)
    for values in further.values():
        kept &= np.isfinite(values)
    who, what = np.asarray(participant)[kept], np.asarray(stimulus)[kept]
    y, x = y[kept], x[kept]
    _, person = np.unique(who, return_inverse=True)
    _, item = np.unique(what, return_inverse=True)
    if person.max(initial=-1) < 2 or item.max(initial=-1) < 2:
        raise ValueError("a mixed model needs at least three participants and three stimuli")
    if np.ptp(x) == 0:
        raise ValueError("the contrast does not vary")
    ones = np.ones(len(y))
    random = [
        RandomEffect("participant", person, ones),
        RandomEffect("stimulus", item, ones),
    ]
    for name, level in (("participant:contrast", person), ("stimulus:contrast", item)):
        if _varies_within(x, level):
            random.append(RandomEffect(name, level, x))
    fixed = {"intercept": ones, "contrast": x}
    fixed |= {name: values[kept] - values[kept].mean() for name, values in further.items()}
    return fit(y, fixed, random)


def fit(y: ArrayLike, fixed: dict[str, FloatArray], random: Sequence[RandomEffect]) -> MixedModel:
    """Fit a linear mixed model by REML.

    Parameters
    ----------
    y : (n,) float64
        Finite.
    fixed : dict of str to (n,) float64
        Columns of the fixed effects.
    random : sequence of RandomEffect
        Independent of each other.

    Raises
    ------
    ValueError
        If the fixed effects depend on each other, or there are not more rows than effects.
    """
    design = Design(np.asarray(y, np.float64), fixed, tuple(random))
    profile = _Profile(design)
    ratios = profile.best()
    coefficients, covariance, residual = profile.solution(ratios)
    spread = {e.name: float(r * residual) for e, r in zip(random, ratios, strict=True)}
    return MixedModel(
        names=tuple(fixed),
        coefficients=coefficients,
        covariance=covariance,
        random_sd=spread | {"residual": residual},
        n=profile.n,
        design=design,
        _profile=profile,
        _ratios=ratios,
    )


class _Profile:
    """The REML deviance as a function of the random effects' spread, everything else profiled out.

    Spreads are ratios to the residual's standard deviation. Only cross-products are kept, so that an
    evaluation costs what the number of levels costs, whatever the number of rows.
    """

    def __init__(self, design: Design) -> None:
        y, x = design.y, np.column_stack(list(design.fixed.values()))
        self.n, self.k = x.shape
        if self.n <= self.k:
            raise ValueError("there are not more rows than fixed effects")
        if np.linalg.matrix_rank(x) < self.k:
            raise ValueError("the fixed effects depend on each other")
        blocks = [effect.matrix() for effect in design.random]
        z = np.hstack(blocks)
        self.effect = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
        self.n_effects = len(blocks)
        self._z, self._x = z, x
        self.zz, self.zx, self.zy = z.T @ z, z.T @ x, z.T @ y
        self.xx, self.xy, self.yy = x.T @ x, x.T @ y, float(y @ y)

    def t_on_grid(self, ys: FloatArray, index: int) -> FloatArray:
        """Return t of a fixed effect for many measures, the columns of `ys`; see `MixedModel.t_of_many`."""
        zy, xy, yy = self._z.T @ ys, self._x.T @ ys, (ys**2).sum(axis=0)
        free = self.n - self.k
        least = np.full(ys.shape[1], np.inf)
        t = np.zeros(ys.shape[1])
        for point in product(GRID[min(self.n_effects, 5)], repeat=self.n_effects):
            scale = np.asarray(point)[self.effect]
            lower = np.linalg.cholesky(scale[:, None] * self.zz * scale + np.eye(len(scale)))
            inverse = linalg.solve_triangular(lower, np.diag(scale), lower=True, check_finite=False)
            rzx, cu = inverse @ self.zx, inverse @ zy
            rx = np.linalg.cholesky(self.xx - rzx.T @ rzx)
            cb = np.linalg.solve(rx, xy - rzx.T @ cu)
            rss = np.maximum(yy - (cu**2).sum(axis=0) - (cb**2).sum(axis=0), 1e-300)
            constant = 2 * (np.log(np.diag(lower)).sum() + np.log(np.diag(rx)).sum())
            deviance = constant + free * np.log(rss)
            better = deviance < least
            half = np.linalg.inv(rx).T[index]  # β = R⁻ᵀ cb, and its variance is |row of R⁻ᵀ|² σ²
            value = half @ cb / np.sqrt(half @ half * rss / free)
            least, t = np.where(better, deviance, least), np.where(better, value, t)
        return t

    def _reduced(self, ratios: FloatArray) -> tuple[float, FloatArray, FloatArray, float]:
        """Return log |L|, the factor of X'V⁻¹X, the coefficients and the residual sum of squares."""
        scale = ratios[self.effect]
        lower = np.linalg.cholesky(scale[:, None] * self.zz * scale + np.eye(len(scale)))
        right = scale[:, None] * np.column_stack([self.zx, self.zy])
        solved = linalg.solve_triangular(lower, right, lower=True, check_finite=False)
        rzx, cu = solved[:, :-1], solved[:, -1]
        rx = np.linalg.cholesky(self.xx - rzx.T @ rzx)
        cb = np.linalg.solve(rx, self.xy - rzx.T @ cu)
        beta = np.linalg.solve(rx.T, cb)
        rss = self.yy - float(cu @ cu) - float(cb @ cb)
        return float(np.log(np.diag(lower)).sum()), rx, np.asarray(beta), max(rss, 1e-300)

    def deviance(self, ratios: FloatArray) -> float:
        """Return the profiled REML deviance, less a constant."""
        log_l, rx, _, rss = self._reduced(ratios)
        return float(2 * (log_l + np.log(np.diag(rx)).sum()) + (self.n - self.k) * np.log(rss))

    def full_deviance(self, spread: FloatArray) -> float:
        """Return the REML deviance at standard deviations; the last is the residual's."""
        residual = spread[-1]
        log_l, rx, _, rss = self._reduced(spread[:-1] / residual)
        free = self.n - self.k
        return float(
            2 * (log_l + np.log(np.diag(rx)).sum())
            + 2 * free * np.log(residual)
            + rss / residual**2
        )

    def solution(self, ratios: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """Return coefficients, their covariance and the residual's standard deviation."""
        _, rx, beta, rss = self._reduced(ratios)
        residual = float(np.sqrt(rss / (self.n - self.k)))
        inverse = linalg.cho_solve((rx, True), np.eye(self.k))
        return beta, inverse * residual**2, residual

    def best(self, starts: Sequence[FloatArray | float] = (0.5,)) -> FloatArray:
        """Return the ratios with the least deviance; 0 for an effect of which there is no sign.

        At 0 the deviance is flat along an effect's spread, so that a search can stay there although there is
        less elsewhere: it is tried again from there with the effects at 0 set to `AGAIN`.
        """
        found = min((self._search(start) for start in starts), key=lambda one: one[0])
        none = found[1] < NOTHING
        if none.any():
            found = min(
                found, self._search(np.where(none, AGAIN, found[1])), key=lambda one: one[0]
            )
        return np.where(found[1] < NOTHING, 0.0, found[1])

    def _search(self, start: FloatArray | float) -> tuple[float, FloatArray]:
        """Return the least deviance found from a start, and its ratios."""
        result = optimize.minimize(
            self.deviance,
            np.broadcast_to(start, (self.n_effects,)),
            method="L-BFGS-B",
            bounds=[(0.0, LARGEST_RATIO)] * self.n_effects,
        )
        return float(result.fun), np.asarray(result.x, np.float64)

    def variance(self, row: FloatArray, spread: FloatArray) -> float:
        """Return the variance of a sum of fixed effects at standard deviations."""
        _, rx, _, _ = self._reduced(spread[:-1] / spread[-1])
        half = np.linalg.solve(rx, row)
        return float(half @ half) * float(spread[-1]) ** 2

    def satterthwaite(self, row: FloatArray, ratios: FloatArray) -> float:
        """Return the degrees of freedom of a sum of fixed effects.

        Effects at 0 lie on the edge of what is possible, where the deviance is not flat; they are
        held there.
        """
        _, _, residual = self.solution(ratios)
        spread = np.append(ratios, 1.0) * residual
        free = np.flatnonzero(spread > 0)
        most = float(self.n - self.k)

        def at(values: FloatArray) -> FloatArray:
            moved = spread.copy()
            moved[free] = values
            return moved

        start = spread[free]
        second = hessian(lambda v: self.full_deviance(at(v)), start)
        first = gradient(lambda v: self.variance(row, at(v)), start)
        values, vectors = np.linalg.eigh(second)
        kept = values > 1e-8 * values.max()
        along = vectors[:, kept].T @ first
        spread_of_variance = 2 * float(np.sum(along**2 / values[kept]))
        variance = self.variance(row, spread)
        if spread_of_variance <= 0:
            return most
        return float(np.clip(2 * variance**2 / spread_of_variance, 1.0, most))


def _varies_within(x: FloatArray, level: NDArray[np.int64]) -> bool:
    """Return whether at least two levels have several values of x."""
    several = 0
    for one in range(int(level.max()) + 1):
        several += np.ptp(x[level == one]) > 0
    return several >= 2
