"""What a system of affect tells besides valence and arousal, and several systems as one.

A system that learns several tasks has a head for each: classes of expression, Action Units. They are scored
where the faces know the truth. An ensemble answers the mean of its members: of their values, and of their
probabilities, of which the largest is then the class.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.training.metrics import CLASSES, Score, evaluate
from duchenne.analysis.training.scoring import (
    Answered,
    Figures,
    System,
    figures,
    is_graded,
    metrics_for,
    truth_of,
)
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from duchenne.analysis.training.prepared import Faces

TOGETHER = "all together"
UNITS_MEAN = "mean_of_units"
_LEAST_TO_AVERAGE = 2


def ensemble(systems: Sequence[System]) -> System:
    """Return systems as one whose answer is the mean of theirs.

    Raises
    ------
    UsageError
        When they are fewer than two, or do not answer the same.
    """
    if len(systems) < _LEAST_TO_AVERAGE:
        raise UsageError("--ensemble needs two or more weights.")
    first = systems[0]
    same = (first.entry.name, first.labels, first.task.head_sizes())
    for system in systems[1:]:
        if (system.entry.name, system.labels, system.task.head_sizes()) != same:
            raise UsageError(
                f"--ensemble takes weights of one system with the same labels: {system.name} and "
                f"{first.name} differ."
            )
    return replace(first, name=TOGETHER, members=tuple(systems))


def mean_answer(answers: Sequence[Answered], task: str) -> Answered:
    """Return the mean of what the members of an ensemble answered to the same faces.

    Parameters
    ----------
    answers : sequence of Answered
    task : str
        What they learn: of classes, the mean probability decides.
    """
    heads = {
        name: np.asarray(np.mean([answer.heads[name] for answer in answers], axis=0), np.float64)
        for name in answers[0].heads
    }
    if task == "expression":
        values = heads["expression"].argmax(axis=1)[:, None].astype(np.float64)
    else:
        values = np.asarray(np.mean([answer.values for answer in answers], axis=0), np.float64)
    return Answered(values, None, heads)


def all_figures(
    system: System,
    found: Answered,
    faces: Faces,
    rows: NDArray[np.intp],
    *,
    mean_of: Sequence[str],
    n_draws: int,
) -> Figures:
    """Return how well answers agree with the truth, with those of the further heads; as `figures`."""
    plain = figures(system, found, faces, rows, mean_of=mean_of, n_draws=n_draws)
    if system.entry.task != "affect":
        return plain
    return replace(plain, heads=head_scores(system, found, faces, rows, n_draws=n_draws))


def head_scores(
    system: System, found: Answered, faces: Faces, rows: NDArray[np.intp], *, n_draws: int
) -> dict[str, dict[str, Score]]:
    """Return the figures of the further heads that the faces know the truth of.

    Returns
    -------
    dict
        ``expression``: accuracy, mean recall and macro F1; each Action Unit and ``mean_of_units``: F1,
        accuracy, area under the curve. Empty where there is no such head.
    """
    scores: dict[str, dict[str, Score]] = {}
    subjects = faces.subject[rows]
    if "expression" in found.heads:
        truth = truth_of(("expression",), faces)[rows]
        said = found.heads["expression"].argmax(axis=1)[:, None].astype(np.float64)
        every = evaluate(truth, said, ("expression",), CLASSES, subjects=subjects, n_draws=n_draws)
        if np.isfinite(truth).any():
            scores["expression"] = every["expression"]
    if "au" in found.heads:
        names = tuple(name for name in system.task.labels if name.startswith("AU"))
        truth = truth_of(names, faces)[rows]
        known = [name for i, name in enumerate(names) if np.isfinite(truth[:, i]).any()]
        metrics = dict(metrics_for("occurrence", graded=is_graded(faces.truth, faces.names)))
        metrics.pop("pcc", None)
        if known:
            every = evaluate(
                truth, found.heads["au"], names, metrics,
                subjects=subjects, n_draws=n_draws, mean_of=known,
            )  # fmt: skip
            scores |= {name: every[name] for name in known} | {UNITS_MEAN: every["mean"]}
    return scores
