"""Trained systems on faces they have not seen: what they answer, and how well that is.

Systems that tell intensity and systems that tell occurrence stand in one table. Where the truth is graded, an
Action Unit occurs from intensity 2; an intensity that was found counts as "occurs" from 2 too, a probability
from 0.5, and a probability is correlated with the true intensity. Errors of probabilities against
intensities do not exist.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from duchenne.analysis.models.emofan import EmoFan
from duchenne.analysis.models.registry import ModelEntry, model_entry, n_parameters
from duchenne.analysis.training.checkpoint import load_fitting, read_checkpoint
from duchenne.analysis.training.metrics import (
    AFFECT,
    CLASSES,
    INTENSITY,
    OCCURS,
    Drawn,
    Floats,
    Metric,
    Score,
    accuracy,
    auc,
    draws,
    evaluate,
    f1,
    landmark_errors,
    scores,
)
from duchenne.analysis.training.metrics import pcc as correlation
from duchenne.analysis.training.predicting import predictions
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.systems import WITHOUT_JAW
from duchenne.analysis.training.tasks import Task
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.analysis.training.prepared import Faces

UNIT_METRICS = ("pcc", "icc", "ccc", "mae", "mse", "f1", "accuracy", "auc")
AT_ONCE = 32
SPEED_S = 1.0
_LANDMARKS = {
    49: (tuple(range(19, 25)), tuple(range(25, 31))),
    68: (tuple(range(36, 42)), tuple(range(42, 48))),
}


@dataclass(frozen=True)
class System:
    """A trained system.

    Parameters
    ----------
    name : str
        How it is called in the tables.
    settings : TrainSettings
    about : dict
        What its checkpoint says of itself.
    task : Task
        With its weights, evaluating.
    members : tuple of System
        Of an ensemble (:mod:`duchenne.analysis.training.heads`), those whose mean it is.
    """

    name: str
    settings: TrainSettings
    about: dict[str, Any]
    task: Task
    members: tuple[System, ...] = ()

    @property
    def entry(self) -> ModelEntry:
        """What it is."""
        return self.task.entry

    @property
    def labels(self) -> tuple[str, ...]:
        """What it answers, in order."""
        return self.task.answers


@dataclass(frozen=True)
class Answered:
    """What a system answers to some faces.

    Parameters
    ----------
    values : (n, k) float64
        Intensities, probabilities, classes or dimensions.
    landmark_error : (n,) float64 or None
        Mean distance of its landmarks, in distances of the eye centres; NaN where a truth is not known.
    heads : dict
        Probabilities of what it tells besides (`Task.heads`): ``au`` (n, u), ``expression`` (n, c).
    """

    values: Floats
    landmark_error: Floats | None
    heads: dict[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """How well a system does.

    Parameters
    ----------
    scores : dict
        Of every output and of ``mean``.
    drawn : dict
        The same in each draw of subjects.
    landmarks : dict
        ``landmark_error`` and ``landmark_failures``; empty where the system has none.
    heads : dict
        Of what it tells besides: ``expression``, each Action Unit, and ``mean_of_units``.
    """

    scores: dict[str, dict[str, Score]]
    drawn: Drawn
    landmarks: dict[str, Score]
    heads: dict[str, dict[str, Score]] = field(default_factory=dict)


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return a short name for each checkpoint: its folder's, or its own, and numbers where alike."""
    short = [
        path.resolve().parent.name if path.stem in {"best", "last"} else path.stem for path in paths
    ]
    return [
        name if short.count(name) == 1 else f"{name} {short[: i + 1].count(name)}"
        for i, name in enumerate(short)
    ]


def read_system(path: Path, faces: Faces, name: str) -> System:
    """Return a trained system, ready for faces.

    Parameters
    ----------
    path : Path
        Checkpoint of `duchenne train` or `duchenne models import`.
    faces : Faces
        Landmarks are taken from them where the system needs any.
    name : str

    Raises
    ------
    DuchenneError
        When it is no checkpoint, does not fit its system, or the faces lack landmarks that it needs.
    """
    tensors, about = read_checkpoint(path)
    how = TrainSettings.model_validate(about["settings"])
    if model_entry(how.model).task == "pictures":
        raise DuchenneError(f"{path} is a pre-training: train a system from it, and score that.")
    blank = replace(
        faces, truth=np.zeros((len(faces), len(how.labels)), np.float32), names=how.labels
    )
    task = Task(how, blank, n_outputs=about["n_outputs"])
    problems = load_fitting(task.net, tensors)
    if problems:
        raise DuchenneError(f"{path} does not fit {how.model}: {problems[0]}")
    return System(name, how, about, task.eval())


def known_labels(faces: Faces, names: Iterable[str]) -> tuple[Faces, tuple[str, ...]]:
    """Return the faces with these labels, NaN for those that they lack, and which these are."""
    wanted = tuple(names)
    truth = np.full((len(faces), len(wanted)), np.nan, np.float32)
    for i, name in enumerate(wanted):
        if name in faces.names:
            truth[:, i] = faces.truth[:, faces.names.index(name)]
    missing = tuple(name for i, name in enumerate(wanted) if not np.isfinite(truth[:, i]).any())
    known = replace(faces, truth=truth, names=wanted, departure=faces.from_neutral())
    return known, missing


def answered(
    system: System,
    faces: Faces,
    rows: NDArray[np.intp],
    tell: Callable[[int], object] | None = None,
) -> Answered:
    """Return what a system answers to some rows; `tell` is given the number of faces after each batch."""
    task, told, errors = system.task, [], []
    if task.kind != "picture":
        every = predictions(task, faces, rows, torch.device("cpu"), task.everything)
        return _split(task, every, None)
    with torch.no_grad():
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            batch = task.shown_plain(faces, some)
            answer = task.answer(batch)
            if isinstance(task.net, EmoFan):  # as published: the mean with the mirror image
                mirrored = task.net(batch.images.flip(-1)).values
                answer = replace(answer, values=(answer.values + mirrored) / 2)
            told.append(task.beside(answer).float().numpy().astype(np.float64))
            if answer.landmarks is not None and batch.landmarks is not None:
                points = answer.landmarks.float().numpy().astype(np.float64)
                truth = batch.landmarks.numpy().astype(np.float64)
                if points.shape[1] == len(WITHOUT_JAW):
                    truth = truth[:, WITHOUT_JAW]
                errors.append(landmark_errors(truth, points, *_LANDMARKS[points.shape[1]]))
            if tell is not None:
                tell(len(some))
    return _split(task, np.concatenate(told), np.concatenate(errors) if errors else None)


def _split(task: Task, every: Floats, errors: Floats | None) -> Answered:
    """Return values and heads out of what stands side by side."""
    sizes = task.head_sizes()
    n = every.shape[1] - sum(sizes.values())
    ends = np.cumsum([n, *sizes.values()])[:-1]
    values, *heads = np.split(every, ends, axis=1) if sizes else [every]
    if task.entry.task == "affect":
        values = values.clip(-1, 1)  # EmoFAN is not bounded
    return Answered(values, errors, dict(zip(sizes, heads, strict=True)))


def pooled(answers: Sequence[Answered]) -> Answered:
    """Return the answers of several systems to different faces, one after another."""
    errors = [answer.landmark_error for answer in answers]
    together = [error for error in errors if error is not None]
    return Answered(
        np.concatenate([answer.values for answer in answers]),
        np.concatenate(together) if len(together) == len(answers) else None,
        {
            name: np.concatenate([answer.heads[name] for answer in answers])
            for name in answers[0].heads
        },
    )


def is_graded(truth: NDArray[np.float32], names: Sequence[str]) -> bool:
    """Return whether Action Units are graded from 0 to 5, not only present or absent."""
    units = truth[:, [name.startswith("AU") for name in names]]
    return bool(np.nanmax(units, initial=0.0) > 1)


def metrics_for(task: str, *, graded: bool) -> dict[str, Metric]:
    """Return the figures that exist for a kind of system on a kind of truth; see the module.

    Parameters
    ----------
    task : {"intensity", "occurrence", "expression", "affect"}
    graded : bool
        Whether the truth of Action Units is an intensity.
    """
    if task == "affect":
        return AFFECT
    if task == "expression":
        return CLASSES
    least_true = OCCURS if graded else 0.5
    least_found = OCCURS if task == "intensity" else 0.5

    def of(metric: Metric) -> Metric:
        def measured(truth: Floats, found: Floats) -> float:
            return metric(
                (truth >= least_true).astype(np.float64), (found >= least_found).astype(np.float64)
            )

        return measured

    def area(truth: Floats, found: Floats) -> float:
        return auc((truth >= least_true).astype(np.float64), found)

    occurrence: dict[str, Metric] = {"f1": of(f1), "accuracy": of(accuracy), "auc": area}
    if not graded:
        return occurrence
    if task == "occurrence":
        return {"pcc": correlation, **occurrence}
    return {**INTENSITY, **occurrence}


def truth_of(names: Sequence[str], faces: Faces) -> Floats:
    """Return the truth of some labels: (n, k) float64, NaN where not known."""
    own, _ = known_labels(faces, names)
    return own.truth.astype(np.float64)


def figures(
    system: System,
    found: Answered,
    faces: Faces,
    rows: NDArray[np.intp],
    *,
    mean_of: Sequence[str],
    n_draws: int,
) -> Figures:
    """Return how well answers agree with the truth.

    Parameters
    ----------
    system : System
    found : Answered
        To these rows.
    faces : Faces
    rows : (n,) int
    mean_of : sequence of str
        Outputs that means are over.
    n_draws : int
        Draws of subjects for the intervals.
    """
    truth = truth_of(system.labels, faces)[rows]
    metrics = metrics_for(system.entry.task, graded=is_graded(faces.truth, faces.names))
    subjects = faces.subject[rows]
    over = [name for name in mean_of if name in system.labels] or list(system.labels)
    plain = evaluate(truth, found.values, system.labels, metrics, mean_of=over)
    drawn = draws(
        truth, found.values, system.labels, metrics, subjects, n_draws=n_draws, mean_of=over
    )
    values = {name: {m: s.value for m, s in row.items()} for name, row in plain.items()}
    return Figures(scores(values, drawn, over), drawn, _landmark_scores(found, subjects, n_draws))


def _landmark_scores(found: Answered, subjects: NDArray[np.str_], n_draws: int) -> dict[str, Score]:
    if found.landmark_error is None:
        return {}
    away = found.landmark_error[:, None]
    measures: dict[str, Metric] = {
        "landmark_error": lambda _, f: float(f.mean()) if len(f) else float("nan"),
        "landmark_failures": lambda _, f: float((f > 0.1).mean()) if len(f) else float("nan"),
    }
    every = evaluate(
        np.zeros_like(away), away, ("face",), measures, subjects=subjects, n_draws=n_draws
    )
    return every["face"]


def images_per_s(system: System, batch_size: int) -> float | None:
    """Return how many faces a system answers in a second of one thread of this machine's processor.

    None for systems that see clips.

    The time of the processor counts, not of the clock, so that other programs disturb little; the median of
    as many batches as fit into a second, at least three.
    """
    if system.task.kind == "clip":
        return None
    if system.members:
        each = [images_per_s(member, batch_size) or math.nan for member in system.members]
        return 1 / sum(1 / speed for speed in each)
    px = system.task.px
    threads = torch.get_num_threads()
    images = torch.rand(batch_size, 3, px, px)
    took: list[float] = []
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            system.task.net(images)
            while len(took) < 3 or (sum(took) < SPEED_S and len(took) < 200):
                begun = time.process_time()
                system.task.net(images)
                took.append(time.process_time() - begun)
    finally:
        torch.set_num_threads(threads)
    return batch_size / max(float(np.median(took)), 1e-9)


def size_of(system: System) -> int:
    """Return the number of parameters."""
    if system.members:
        return sum(map(size_of, system.members))
    return n_parameters(system.task.net)
