"""How well a system does: per Action Unit, with the mean over those that can be told.

A correlation with something constant does not exist: it is NaN and counted, never 0. Confidence
intervals come from drawing subjects, not frames, since frames of one person resemble each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from duchenne.analysis.face.agreement import icc_3_1

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Floats: TypeAlias = NDArray[np.float64]
Metric: TypeAlias = Callable[[Floats, Floats], float]

OCCURS = 2.0
"""Intensity from which an Action Unit is said to occur (DISFA)."""
FAILED_SHARE = 0.1
"""A face whose landmarks are this far off, in distances of the eye centres, has failed."""


def pcc(truth: Floats, found: Floats) -> float:
    """Return Pearson's correlation; NaN where one of the two is constant."""
    if len(truth) < 2 or np.ptp(truth) == 0 or np.ptp(found) == 0:
        return float("nan")
    return float(np.corrcoef(truth, found)[0, 1])


def ccc(truth: Floats, found: Floats) -> float:
    """Return Lin's concordance, with variances over n; NaN where both are the same constant.

    ``2 cov / (var + var + (mean - mean)²)``, Lin (1989).
    """
    if not len(truth):
        return float("nan")
    spread = truth.var() + found.var() + (truth.mean() - found.mean()) ** 2
    shared = float(np.mean((truth - truth.mean()) * (found - found.mean())))
    return 2 * shared / float(spread) if spread > 0 else float("nan")


def mae(truth: Floats, found: Floats) -> float:
    """Return the mean absolute error."""
    return float(np.abs(found - truth).mean()) if len(truth) else float("nan")


def mse(truth: Floats, found: Floats) -> float:
    """Return the mean squared error."""
    return float(((found - truth) ** 2).mean()) if len(truth) else float("nan")


def rmse(truth: Floats, found: Floats) -> float:
    """Return the root of the mean squared error."""
    return float(np.sqrt(mse(truth, found)))


def icc(truth: Floats, found: Floats) -> float:
    """Return ICC(3,1); NaN where one of the two is constant."""
    if len(truth) < 2 or np.ptp(truth) == 0 or np.ptp(found) == 0:
        return float("nan")
    return icc_3_1(truth, found)


def sagr(truth: Floats, found: Floats) -> float:
    """Return the share of equal signs; the sign of 0 is 0."""
    return float((np.sign(truth) == np.sign(found)).mean()) if len(truth) else float("nan")


def f1(truth: Floats, found: Floats) -> float:
    """Return F1 of yes and no (above 0.5); NaN where neither says yes anywhere."""
    yes, said = truth > 0.5, found > 0.5
    hits = int((yes & said).sum())
    total = int(yes.sum() + said.sum())
    return 2 * hits / total if total else float("nan")


def accuracy(truth: Floats, found: Floats) -> float:
    """Return the share of right answers of yes and no (above 0.5)."""
    return float(((truth > 0.5) == (found > 0.5)).mean()) if len(truth) else float("nan")


def auc(truth: Floats, found: Floats) -> float:
    """Return the area under the curve of yes against no; NaN where the truth is always the same."""
    yes = truth > 0.5
    n_yes, n_no = int(yes.sum()), int((~yes).sum())
    if not n_yes or not n_no:
        return float("nan")
    order = np.argsort(found, kind="stable")
    ranks = np.empty(len(found))
    ranks[order] = np.arange(1, len(found) + 1)
    _, place, counts = np.unique(found, return_inverse=True, return_counts=True)
    ranks = (np.bincount(place, ranks) / counts)[place]
    return float((ranks[yes].sum() - n_yes * (n_yes + 1) / 2) / (n_yes * n_no))


INTENSITY: dict[str, Metric] = {"pcc": pcc, "icc": icc, "ccc": ccc, "mae": mae, "mse": mse}
OCCURRENCE: dict[str, Metric] = {"f1": f1, "accuracy": accuracy, "auc": auc}
AFFECT: dict[str, Metric] = {"ccc": ccc, "pcc": pcc, "rmse": rmse, "sagr": sagr}


@dataclass(frozen=True)
class Score:
    """One figure.

    Parameters
    ----------
    value : float
        NaN where it does not exist.
    low, high : float
        95 % interval from drawing subjects; NaN where not asked for, or fewer than two subjects.
    n_missing : int
        Of a mean: how many of its parts do not exist.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    n_missing: int = 0


def landmark_errors(
    truth: Floats, found: Floats, left: Sequence[int], right: Sequence[int]
) -> Floats:
    """Return the mean distance of the points of each face, in distances of its eye centres.

    Parameters
    ----------
    truth, found : (n, l, 2) float64
    left, right : sequence of int
        The points of each eye (six), whose means are the eye centres.

    Returns
    -------
    (n,) float64
        A face counts as failed above 0.1.
    """
    eyes = truth[:, list(left)].mean(axis=1) - truth[:, list(right)].mean(axis=1)
    away = np.linalg.norm(found - truth, axis=2).mean(axis=1)
    return np.asarray(away / np.linalg.norm(eyes, axis=1), np.float64)


def evaluate(
    truth: Floats,
    found: Floats,
    names: Sequence[str],
    metrics: Mapping[str, Metric],
    *,
    subjects: NDArray[np.generic] | None = None,
    n_draws: int = 0,
    seed: int = 0,
) -> dict[str, dict[str, Score]]:
    """Return every figure of every output, and their mean under the name ``mean``.

    Parameters
    ----------
    truth, found : (n, k) float64
        Rows that are NaN in either are left out, output by output.
    names : sequence of str
        Of the outputs.
    metrics : mapping of str to callable
        Such as ``INTENSITY``.
    subjects : (n,) array, optional
        Whom a row is of; needed for intervals.
    n_draws : int
        How often subjects are drawn; 0 gives no interval.
    seed : int
    """
    scores = _values(truth, found, names, metrics)
    drawn: list[dict[str, dict[str, float]]] = []
    if subjects is not None and n_draws:
        who, place = np.unique(subjects, return_inverse=True)
        rows = [np.flatnonzero(place == i) for i in range(len(who))]
        rng = np.random.default_rng(seed)
        for _ in range(n_draws if len(who) > 1 else 0):
            some = np.concatenate([rows[i] for i in rng.integers(len(who), size=len(who))])
            drawn.append(_values(truth[some], found[some], names, metrics))
    result: dict[str, dict[str, Score]] = {}
    for name, figures in scores.items():
        result[name] = {}
        for metric, value in figures.items():
            spread = np.array([draw[name][metric] for draw in drawn])
            spread = spread[np.isfinite(spread)]
            low, high = np.percentile(spread, (2.5, 97.5)) if len(spread) else (np.nan, np.nan)
            missing = sum(np.isnan(scores[n][metric]) for n in names) if name == "mean" else 0
            result[name][metric] = Score(value, float(low), float(high), int(missing))
    return result


def _values(
    truth: Floats, found: Floats, names: Sequence[str], metrics: Mapping[str, Metric]
) -> dict[str, dict[str, float]]:
    scores = {}
    for i, name in enumerate(names):
        known = np.isfinite(truth[:, i]) & np.isfinite(found[:, i])
        scores[name] = {
            metric: measure(truth[known, i], found[known, i]) for metric, measure in metrics.items()
        }
    mean = {}
    for metric in metrics:
        values = np.array([scores[name][metric] for name in names])
        mean[metric] = float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
    return {**scores, "mean": mean}
