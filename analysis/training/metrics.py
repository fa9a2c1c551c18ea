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
    """Return Lin's concordance, with variances over n; NaN where one of the two is constant.

    ``2 cov / (var + var + (mean - mean)²)``, Lin (1989).
    """
    if len(truth) < 2 or np.ptp(truth) == 0 or np.ptp(found) == 0:
        return float("nan")
    spread = truth.var() + found.var() + (truth.mean() - found.mean()) ** 2
    shared = float(np.mean((truth - truth.mean()) * (found - found.mean())))
    return 2 * shared / float(spread)


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
    """Return F1 of yes (0.5 or more) and no; NaN where neither says yes anywhere."""
    yes, said = truth >= 0.5, found >= 0.5
    hits = int((yes & said).sum())
    total = int(yes.sum() + said.sum())
    return 2 * hits / total if total else float("nan")


def accuracy(truth: Floats, found: Floats) -> float:
    """Return the share of right answers of yes (0.5 or more) and no."""
    return float(((truth >= 0.5) == (found >= 0.5)).mean()) if len(truth) else float("nan")


def auc(truth: Floats, found: Floats) -> float:
    """Return the area under the curve of yes against no; NaN where the truth is always the same."""
    yes = truth >= 0.5
    n_yes, n_no = int(yes.sum()), int((~yes).sum())
    if not n_yes or not n_no:
        return float("nan")
    order = np.argsort(found, kind="stable")
    ranks = np.empty(len(found))
    ranks[order] = np.arange(1, len(found) + 1)
    _, place, counts = np.unique(found, return_inverse=True, return_counts=True)
    ranks = (np.bincount(place, ranks) / counts)[place]
    return float((ranks[yes].sum() - n_yes * (n_yes + 1) / 2) / (n_yes * n_no))


def same_class(truth: Floats, found: Floats) -> float:
    """Return the share of right classes."""
    return float((truth == found).mean()) if len(truth) else float("nan")


def balanced(truth: Floats, found: Floats) -> float:
    """Return the mean over the true classes of the share of each that is found; NaN without any.

    What is guessed scores one by the number of classes, however often each of them comes.
    """
    shares = [float((found[truth == c] == c).mean()) for c in np.unique(truth)]
    return float(np.mean(shares)) if shares else float("nan")


def macro_f1(truth: Floats, found: Floats) -> float:
    """Return the mean F1 over the classes that are true or found anywhere; NaN without any."""
    each = [
        f1((truth == c).astype(np.float64), (found == c).astype(np.float64))
        for c in np.unique(np.concatenate([truth, found]))
    ]
    return float(np.mean(each)) if each else float("nan")


INTENSITY: dict[str, Metric] = {"pcc": pcc, "icc": icc, "ccc": ccc, "mae": mae, "mse": mse}
OCCURRENCE: dict[str, Metric] = {"f1": f1, "accuracy": accuracy, "auc": auc}
CLASSES: dict[str, Metric] = {
    "accuracy": same_class,
    "balanced": balanced,
    "macro_f1": macro_f1,
}
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


Drawn: TypeAlias = dict[str, dict[str, Floats]]
"""Of every output and figure, its value in each draw of subjects."""


def evaluate(
    truth: Floats,
    found: Floats,
    names: Sequence[str],
    metrics: Mapping[str, Metric],
    *,
    subjects: NDArray[np.generic] | None = None,
    n_draws: int = 0,
    seed: int = 0,
    mean_of: Sequence[str] | None = None,
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
    mean_of : sequence of str, optional
        Outputs that the mean is over; all where absent.
    """
    over = tuple(names if mean_of is None else mean_of)
    values = _values(truth, found, names, metrics, over)
    drawn: Drawn = {}
    if subjects is not None:
        drawn = draws(
            truth, found, names, metrics, subjects, n_draws=n_draws, seed=seed, mean_of=over
        )
    return scores(values, drawn, over)


def draws(
    truth: Floats,
    found: Floats,
    names: Sequence[str],
    metrics: Mapping[str, Metric],
    subjects: NDArray[np.generic],
    *,
    n_draws: int,
    seed: int = 0,
    mean_of: Sequence[str] | None = None,
) -> Drawn:
    """Return every figure in each draw of subjects with replacement.

    The same subjects, number and seed give the same draws: figures of two systems on the same rows are
    then paired. Parameters are those of `evaluate`; fewer than two subjects give none.
    """
    over = tuple(names if mean_of is None else mean_of)
    who, place = np.unique(subjects, return_inverse=True)
    rows = [np.flatnonzero(place == i) for i in range(len(who))]
    rng = np.random.default_rng(seed)
    each = []
    for _ in range(n_draws if len(who) > 1 else 0):
        some = np.concatenate([rows[i] for i in rng.integers(len(who), size=len(who))])
        each.append(_values(truth[some], found[some], names, metrics, over))
    return {
        name: {m: np.array([draw[name][m] for draw in each]) for m in metrics}
        for name in (*names, "mean")
    }


def scores(
    values: Mapping[str, Mapping[str, float]], drawn: Drawn, mean_of: Sequence[str]
) -> dict[str, dict[str, Score]]:
    """Return figures with their 95 % intervals.

    Parameters
    ----------
    values : mapping
        Of every output, and of ``mean``, the value of every figure.
    drawn : dict
        Of `draws`; empty for no intervals.
    mean_of : sequence of str
        Outputs that the mean is over.
    """
    result: dict[str, dict[str, Score]] = {}
    for name, figures in values.items():
        result[name] = {}
        for metric, value in figures.items():
            low, high = interval(drawn.get(name, {}).get(metric, np.empty(0)))
            missing = (
                sum(bool(np.isnan(values[n][metric])) for n in mean_of) if name == "mean" else 0
            )
            result[name][metric] = Score(value, low, high, missing)
    return result


def differences(
    first: tuple[Mapping[str, Mapping[str, Score]], Drawn],
    second: tuple[Mapping[str, Mapping[str, Score]], Drawn],
) -> dict[str, dict[str, Score]]:
    """Return by how much the second system is above the first, in everything that both have.

    Parameters
    ----------
    first, second : tuple of dict
        Figures, and their values in the same draws of the same subjects.

    Returns
    -------
    dict
        Second less first, with the interval of the paired differences.
    """
    result: dict[str, dict[str, Score]] = {}
    for name, figures in first[0].items():
        if name not in second[0]:
            continue
        result[name] = {}
        for metric, score in figures.items():
            if metric not in second[0][name]:
                continue
            apart = second[1][name][metric] - first[1][name][metric]
            low, high = interval(apart)
            result[name][metric] = Score(second[0][name][metric].value - score.value, low, high)
    return result


def interval(drawn: Floats) -> tuple[float, float]:
    """Return the 95 % interval of drawn values; NaN where none of them exists."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)


def _values(
    truth: Floats,
    found: Floats,
    names: Sequence[str],
    metrics: Mapping[str, Metric],
    mean_of: Sequence[str],
) -> dict[str, dict[str, float]]:
    values = {}
    for i, name in enumerate(names):
        known = np.isfinite(truth[:, i]) & np.isfinite(found[:, i])
        values[name] = {
            metric: measure(truth[known, i], found[known, i]) for metric, measure in metrics.items()
        }
    mean = {}
    for metric in metrics:
        some = np.array([values[name][metric] for name in mean_of])
        mean[metric] = float(np.nanmean(some)) if np.isfinite(some).any() else float("nan")
    return {**values, "mean": mean}
