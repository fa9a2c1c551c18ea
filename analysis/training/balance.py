"""Which pictures an epoch shows, and in what order: rare labels may come more often.

Everything that is drawn depends on the seed and the epoch alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.training.metrics import OCCURS
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from duchenne.analysis.training.settings import Balance

N_CELLS = 20
"""Cells of valence and of arousal, from -1 to 1 (Deng, Chen & Shi 2020)."""
_COPIES = 0x524F


def bin_numbers(values: NDArray[np.floating], n_bins: int = N_CELLS) -> NDArray[np.intp]:
    """Return the number of the bin of each value from -1 to 1, from 0.

    A value between two bins is in the upper one, whatever rounding has done to it; the upper end is in the
    last one.

    Parameters
    ----------
    values : array of float
        Beyond the ends counts as the end; NaN is in bin -1.
    n_bins : int
    """
    values = np.asarray(values, np.float64)
    places = (np.nan_to_num(values) + 1) * (n_bins / 2) + 1e-5
    numbers = np.floor(places).clip(0, n_bins - 1)
    return np.where(np.isfinite(values), numbers, -1).astype(np.intp)


def plane_weights(
    valence: NDArray[np.floating], arousal: NDArray[np.floating], n_bins: int = N_CELLS
) -> NDArray[np.float64]:
    """Return how often each picture is to be shown so that all cells in use come alike: (n,), sums to 1.

    Parameters
    ----------
    valence, arousal : (n,) float
        -1 to 1. Pictures of which one is NaN come as often as the average of the others, and all come
        alike where none is known.
    """
    cells = bin_numbers(valence, n_bins) * n_bins + bin_numbers(arousal, n_bins)
    known = np.isfinite(valence) & np.isfinite(arousal)
    weights = np.ones(len(cells))
    _, place, counts = np.unique(cells[known], return_inverse=True, return_counts=True)
    if len(counts):
        weights[known] = known.sum() / len(counts) / counts[place]
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def imbalance(present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the imbalance of each label: how many times rarer it is than the most frequent one: (k,).

    ``IRLbl`` of Charte et al. (2015); infinite for a label that nobody shows.

    Parameters
    ----------
    present : (n, k) bool
    """
    counts = present.sum(axis=0).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(counts > 0, counts.max(initial=0.0) / counts, np.inf)


def rare_copies(
    present: NDArray[np.bool_], share: float, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return which pictures to show once more so that rare labels get less rare: ML-ROS.

    Labels that are rarer than the average imbalance have a bag of the pictures that show them. From each bag
    in turn one picture is drawn at random and copied, until its label is no longer rarer than that average
    or there are copies enough. Charte, Rivera, del Jesus & Herrera (2015), Addressing imbalance in multilabel
    classification: measures and random resampling algorithms, Neurocomputing 163, 3-16.

    Parameters
    ----------
    present : (n, k) bool
    share : float
        Copies to make, as a share of n.
    rng : Generator

    Returns
    -------
    (m,) int
        m is at most ``share`` of n; numbers of pictures, some repeatedly.
    """
    wanted = round(share * len(present))
    counts = present.sum(axis=0).astype(np.float64)
    used = counts > 0
    rare = imbalance(present)
    if not used.any():
        return np.empty(0, np.intp)
    mean = float(rare[used].mean())
    bags = {i: np.flatnonzero(present[:, i]) for i in np.flatnonzero(used & (rare > mean)).tolist()}
    copies: list[int] = []
    while bags and len(copies) < wanted:
        for label in list(bags):
            if len(copies) >= wanted:
                break
            row = int(rng.choice(bags[label]))
            copies.append(row)
            counts += present[row]
            if counts.max() / counts[label] <= mean:
                del bags[label]
    return np.array(copies, np.intp)


def task_weights(
    truth: NDArray[np.float32], names: Sequence[str], share: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return how often each picture is to be shown to a system of several tasks: (n,), sums to 1.

    Pictures whose valence and arousal are known come as `plane_weights` says; of the others, those with a
    class so that all classes come alike, and those with Action Units alone as often as ML-ROS copies them
    (`rare_copies`). Each of the three keeps its share of all pictures (Deng, Chen & Shi 2020, where each
    data set knows one task).

    Parameters
    ----------
    truth : (n, k) float32
        NaN where not known.
    names : sequence of str
        Of the labels; valence and arousal among them.
    share : float
        Copies of pictures with Action Units alone, as a share of these.
    rng : Generator
    """
    valence, arousal = (truth[:, list(names).index(name)] for name in ("valence", "arousal"))
    weights = plane_weights(valence, arousal) * len(truth)
    rest = ~(np.isfinite(valence) & np.isfinite(arousal))
    if "expression" in names:
        classes = truth[:, list(names).index("expression")]
        of_class = rest & np.isfinite(classes)
        _, place, counts = np.unique(classes[of_class], return_inverse=True, return_counts=True)
        if len(counts):
            weights[of_class] = of_class.sum() / len(counts) / counts[place]
        rest &= ~of_class
    units = np.nan_to_num(truth[:, [name.startswith("AU") for name in names]])[rest]
    if units.size:
        copies = rare_copies(units >= least_occurring(truth, names), share, rng)
        shown = 1.0 + np.bincount(copies, minlength=len(units))
        weights[rest] = shown * len(units) / shown.sum()
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def least_occurring(truth: NDArray[np.float32], names: Sequence[str]) -> float:
    """Return from which label an Action Unit occurs: 2 of graded ones, else 0.5."""
    units = truth[:, [name.startswith("AU") for name in names]]
    return OCCURS if float(np.nanmax(units, initial=0.0)) > 1 else 0.5


def class_order(
    classes: NDArray[np.intp], balance: Balance, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return pictures of an epoch in which every class comes equally often, in no order.

    Parameters
    ----------
    classes : (n,) int
        Negative where not known: those are left out.
    balance : {"over", "under"}
        As often as the most frequent class, or as the rarest. Whole rounds of a class come before a part of
        it is drawn, so that no picture comes twice more often than another of its class.
    rng : Generator
    """
    of_class = [np.flatnonzero(classes == c) for c in np.unique(classes[classes >= 0])]
    sizes = [len(rows) for rows in of_class]
    each = max(sizes) if balance == "over" else min(sizes)
    chosen = []
    for rows in of_class:
        rounds, rest = divmod(each, len(rows))
        chosen += [np.tile(rows, rounds), rng.choice(rows, rest, replace=False)]
    return np.concatenate(chosen)


class Order:
    """The order of the pictures in every epoch.

    Parameters
    ----------
    truth : (n, k) float32
        Labels of the pictures.
    names : sequence of str
        Of the labels.
    task : str
        What is learnt from them: intensity, occurrence, expression, affect or pictures.
    balance : {"none", "over", "under"}
    share : float
        Copies of rare Action Units, as a share of all.
    seed : int

    Raises
    ------
    DuchenneError
        When this cannot be balanced so.
    """

    def __init__(
        self,
        truth: NDArray[np.float32],
        names: Sequence[str],
        task: str,
        *,
        balance: Balance = "none",
        share: float = 0.25,
        seed: int = 0,
    ) -> None:
        self._seed, self._balance, self._n = seed, balance, len(truth)
        self._classes: NDArray[np.intp] | None = None
        self._weights: NDArray[np.float64] | None = None
        self._copies = np.empty(0, np.intp)
        if balance == "none":
            return
        if task == "expression":
            self._classes = np.where(
                np.isfinite(truth[:, 0]), np.nan_to_num(truth[:, 0]), -1
            ).astype(np.intp)
            if not (self._classes >= 0).any():
                raise DuchenneError("`balance`: no picture for training has a class.")
        elif balance == "over" and task in {"intensity", "occurrence"}:
            least = least_occurring(truth, names)
            rng = np.random.default_rng((seed, _COPIES))
            self._copies = rare_copies(np.nan_to_num(truth) >= least, share, rng)
        elif balance == "over" and task == "affect":
            rng = np.random.default_rng((seed, _COPIES))
            self._weights = task_weights(truth, names, share, rng)
        else:
            raise DuchenneError(
                f"`balance: {balance}` is not for a system that learns {task}: `over` balances Action Units, "
                "classes and valence with arousal, `under` classes."
            )

    def of(self, epoch: int) -> NDArray[np.intp]:
        """Return the pictures of an epoch in their order; some may come repeatedly."""
        rng = np.random.default_rng((self._seed, epoch))
        if self._classes is not None:
            chosen = class_order(self._classes, self._balance, rng)
        elif self._weights is not None:
            chosen = rng.choice(self._n, self._n, p=self._weights)
        else:
            chosen = np.concatenate([np.arange(self._n), self._copies])
        return chosen[rng.permutation(len(chosen))]


def repeats(order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return how often each entry has come before: 0 for the first time."""
    seen: dict[int, int] = {}
    found = np.empty(len(order), np.intp)
    for i, entry in enumerate(order.tolist()):
        found[i] = seen.get(entry, 0)
        seen[entry] = found[i] + 1
    return found
