"""What a system answers to prepared faces, without variation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from duchenne.analysis.models.mae_fusion import MaeFusion
from duchenne.analysis.training.clips import NOTHING
from duchenne.analysis.training.shown import Shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from duchenne.analysis.training.augment import Batch
    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.tasks import Task

EVALUATED_AT_ONCE = 64


def predictions(
    task: Task,
    faces: Faces,
    rows: NDArray[np.intp],
    device: torch.device,
    ask: Callable[[Batch], Tensor] | None = None,
) -> NDArray[np.float64]:
    """Return what a system answers to some pictures: (n, k) float64.

    Pairs are shown with the neutral faces that the prepared faces have of the same person, films in clips
    that cover every picture; a picture in two clips gets the mean of both answers.

    Parameters
    ----------
    task : Task
    faces : Faces
        With its labels.
    rows : (n,) int
        Each once.
    device : torch.device
    ask : callable, optional
        What a batch is asked; `Task.predicted` where absent.
    """
    ask = ask or task.predicted
    shown = Shown.to(task.entry, task.settings, faces)
    items = shown.items(rows, whole=True)
    at_once = max(1, EVALUATED_AT_ONCE // items.shape[1])
    was_training = task.training
    task.eval()
    found = []
    with torch.no_grad():
        for first in range(0, len(items), at_once):
            batch = shown.plain(items[first : first + at_once]).to(device)
            found.append(ask(batch).float().cpu().numpy().astype(np.float64))
    task.train(was_training)
    answers = np.concatenate(found)
    if task.kind != "clip":
        return answers
    return _of_rows(answers, items, rows)


def _of_rows(
    answers: NDArray[np.float64], items: NDArray[np.intp], rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the mean answer to each picture from those of clips (m, t, k)."""
    place = {row: i for i, row in enumerate(rows.tolist())}
    there = items != NOTHING
    at = np.array([place[row] for row in items[there].tolist()], np.intp)
    total = np.zeros((len(rows), answers.shape[-1]))
    count = np.zeros((len(rows), 1))
    np.add.at(total, at, answers[there])
    np.add.at(count, at, 1.0)
    return total / count


def encoded(
    task: Task, faces: Faces, rows: NDArray[np.intp], device: torch.device
) -> NDArray[np.float32] | None:
    """Return what a frozen encoder tells of some pictures: (all pictures, f), 0 for others.

    None for a system without one whose answers could be kept.
    """
    net = task.net
    if not isinstance(net, MaeFusion):
        return None
    found: NDArray[np.float32] | None = None
    with torch.no_grad():
        for first in range(0, len(rows), EVALUATED_AT_ONCE):
            some = rows[first : first + EVALUATED_AT_ONCE]
            batch = task.shown_plain(faces, some).to(device)
            told = net.encode(batch.images).float().cpu().numpy()
            if found is None:
                found = np.zeros((len(faces), told.shape[1]), np.float32)
            found[some] = told
    return found
