"""Permutation tests: of a mixed model's contrast, and of curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, stats

from duchenne.analysis.statistics.mixed import fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from duchenne.analysis.statistics.mixed import MixedModel
    from duchenne.analysis.statistics.types import BoolArray, FloatArray

__all__ = ["Cluster", "cluster_test", "permutation_p"]

AT_ONCE = 1000
"""Permuted data sets that are held in memory together."""


def permutation_p(
    model: MixedModel,
    name: str = "contrast",
    *,
    n: int = 999,
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> float:
    """Return the two-sided p of a fixed effect by permuting weighted residuals.

    The model without the effect is fitted; its residuals are freed of their correlations by the
    Cholesky factor of their covariance, permuted, and given their correlations back (Lee & Braun 2012,
    Biometrics 68(2)). The spread of the random effects is searched anew for each permuted data set
    (`MixedModel.t_of_many`), so that its uncertainty is part of the reference distribution of t.

    Parameters
    ----------
    model : MixedModel
        As fitted, with the effect.
    name : str
        The fixed effect; all random effects stay.
    n : int
        Number of permutations; the smallest p is 1 / (n + 1).
    seed : int
        Of the permutations.
    progress : callable, optional
        Told the number of permutations done.
    """
    design = model.design
    others = {other: column for other, column in design.fixed.items() if other != name}
    null = fit(design.y, others, design.random)
    residual = null.random_sd["residual"]
    spread = np.array([null.random_sd[effect.name] for effect in design.random])
    covariance = np.eye(null.n) * residual**2
    for effect, sd in zip(design.random, spread, strict=True):
        if sd > 0:
            z = effect.matrix()
            covariance += sd**2 * (z @ z.T)
    factor = np.linalg.cholesky(covariance)
    mean = np.column_stack(list(others.values())) @ null.coefficients
    free = np.linalg.solve(factor, design.y - mean)
    rng = np.random.default_rng(seed)
    found = abs(float(model.t_of_many(design.y[:, None], name)[0]))
    beyond = 0
    for first in range(0, n, AT_ONCE):
        several = min(AT_ONCE, n - first)
        drawn = rng.permuted(np.repeat(free[:, None], several, axis=1), axis=0)
        t = model.t_of_many(mean[:, None] + factor @ drawn, name)
        beyond += int(np.sum(np.abs(t) >= found - 1e-9))
        if progress is not None:
            progress(first + several)
    return (beyond + 1) / (n + 1)


@dataclass(frozen=True)
class Cluster:
    """A stretch of a curve in which two conditions differ.

    Attributes
    ----------
    start, stop : int
        Samples ``start`` to ``stop - 1``.
    mass : float
        Sum of t; its sign is the difference's.
    p : float
        Corrected for the whole curve.
    """

    start: int
    stop: int
    mass: float
    p: float


def cluster_test(
    difference: FloatArray,
    *,
    n: int = 1999,
    seed: int = 0,
    threshold_p: float = 0.05,
) -> tuple[Cluster, ...]:
    """Find where a within-participant difference of curves departs from 0 (cluster mass, sign flips).

    Maris & Oostenveld (2007, Journal of Neuroscience Methods 164). What is corrected for is the
    number of samples; the test is about this set of stimuli and does not carry over to others. A
    cluster's limits are a description, not tested themselves (Sassenhagen & Draschkow 2019).

    Parameters
    ----------
    difference : (participants, samples) float64
        Condition minus condition; samples at which fewer than three participants have values, or all
        differences are the same, form no cluster. NaN = not measured.
    n : int
        Sign flips drawn; all of them where there are fewer.
    seed : int
        Of the draws.
    threshold_p : float
        Two-sided p of the samples that form clusters.

    Returns
    -------
    tuple of Cluster
        In the order of time.

    Raises
    ------
    ValueError
        With fewer than five participants: their sign flips cannot reach p < .05.
    """
    values = np.asarray(difference, np.float64)
    n_participants = len(values)
    if n_participants < 5:
        raise ValueError("a cluster test needs at least five participants")
    limit = _limit(values, threshold_p)
    rng = np.random.default_rng(seed)
    found = _clusters(_t_curve(values), limit)
    if n_participants <= 11 and 2**n_participants <= n + 1:
        flips = 1.0 - 2.0 * (
            (np.arange(1, 2**n_participants)[:, None] >> np.arange(n_participants)) & 1
        )
    else:
        flips = rng.choice([-1.0, 1.0], (n, n_participants))
    largest = np.zeros(len(flips))
    for i, signs in enumerate(flips):
        masses = [abs(mass) for _, _, mass in _clusters(_t_curve(values * signs[:, None]), limit)]
        largest[i] = max(masses, default=0.0)
    return tuple(
        Cluster(
            start,
            stop,
            mass,
            float((np.sum(largest >= abs(mass) - 1e-9) + 1) / (len(largest) + 1)),
        )
        for start, stop, mass in found
    )


def _limit(values: FloatArray, threshold_p: float) -> FloatArray:
    count = np.isfinite(values).sum(axis=0)
    return np.where(count >= 3, stats.t.ppf(1 - threshold_p / 2, np.maximum(count - 1, 1)), np.inf)


def _t_curve(values: FloatArray) -> FloatArray:
    finite = np.isfinite(values)
    count = np.maximum(finite.sum(axis=0), 1)
    filled = np.where(finite, values, 0.0)
    mean = filled.sum(axis=0) / count
    square = (np.where(finite, values - mean, 0.0) ** 2).sum(axis=0)
    error = np.sqrt(square / np.maximum(count - 1, 1) / count)
    return np.asarray(np.divide(mean, error, out=np.zeros_like(mean), where=error > 0))


def _clusters(t: FloatArray, limit: FloatArray) -> list[tuple[int, int, float]]:
    result = []
    for beyond in (t > limit, t < -limit):
        result += [(run.start, run.stop, float(t[run].sum())) for run in _runs(beyond)]
    return sorted(result)


def _runs(mask: BoolArray) -> list[slice]:
    labels, n = ndimage.label(mask)
    return [one[0] for one in ndimage.find_objects(labels, max_label=n)]
