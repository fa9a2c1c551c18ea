"""What of a training is written down, and how it goes on from there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from duchenne.analysis.training.checkpoint import (
    git_revision,
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)
from duchenne.analysis.training.settings import TrainSettings
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from duchenne.analysis.training.metrics import Score
    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.splits import Split
    from duchenne.analysis.training.tasks import Task


@dataclass
class Place:
    """Where a training is.

    Parameters
    ----------
    epoch, step : int
        The epoch at hand and the batches of it that are done.
    best : float
        Best validation so far; NaN before the first.
    best_epoch : int
    history : list of dict
        One entry per finished epoch.
    """

    epoch: int = 0
    step: int = 0
    best: float = float("nan")
    best_epoch: int = -1
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Learning:
    """What changes while a training runs, besides its place.

    Parameters
    ----------
    task : Task
    mean : nn.Module or None
        The running mean of the weights.
    optimizer : torch.optim.Optimizer
    scaler : torch.amp.GradScaler
    """

    task: Task
    mean: nn.Module | None
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler


def about_training(
    settings: TrainSettings, task: Task, split: Split, faces: Faces
) -> dict[str, Any]:
    """Return what every checkpoint of a training says of itself."""
    return {
        "settings": json.loads(settings.model_dump_json()),
        "labels": list(task.labels),
        "n_outputs": task.n_outputs,
        "split": asdict(split),
        "data_sha256": faces.digest(),
        "data": faces.about,
        "git_revision": git_revision(),
    }


def write_best(
    path: Path, net: nn.Module, about: dict[str, Any], scores: dict[str, dict[str, Score]]
) -> None:
    """Write weights with their figures."""
    figures = {
        name: {metric: score.value for metric, score in row.items()} for name, row in scores.items()
    }
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    write_checkpoint(path, tensors, about | {"validation": figures})


def write_last(path: Path, learning: Learning, place: Place, about: dict[str, Any]) -> None:
    """Write everything that going on needs."""
    task = learning.task
    tensors = {f"net.{k}": v for k, v in task.net.state_dict().items()}
    if learning.mean is not None:
        tensors |= {f"mean.{k}": v for k, v in learning.mean.state_dict().items()}
    if task.distillation is not None:
        own = task.distillation.state_dict()
        tensors |= {f"distillation.{k}": v for k, v in own.items() if not k.startswith("teacher.")}
    tensors |= optimizer_tensors(learning.optimizer)
    tensors["rng"] = torch.get_rng_state()
    now = {"place": asdict(place), "scaler": learning.scaler.state_dict()}
    write_checkpoint(path, tensors, about | now)


def restore(path: Path, learning: Learning, about: dict[str, Any]) -> Place:
    """Put everything back as it was written, and return where the training was.

    Parameters
    ----------
    path : Path
        Written by `write_last`.
    learning : Learning
    about : dict
        Of the training that is to go on.

    Raises
    ------
    DuchenneError
        When it is of other settings, another split or other data.
    """
    tensors, then = read_checkpoint(path)
    _refuse_others(path, then, about)
    task = learning.task
    task.net.load_state_dict(_with_prefix(tensors, "net."))
    if learning.mean is not None:
        learning.mean.load_state_dict(_with_prefix(tensors, "mean."))
    if task.distillation is not None:
        task.distillation.load_state_dict(_with_prefix(tensors, "distillation."), strict=False)
    restore_optimizer(learning.optimizer, tensors)
    if then["scaler"]:
        learning.scaler.load_state_dict(then["scaler"])
    torch.set_rng_state(tensors["rng"])
    return Place(**then["place"])


def _refuse_others(path: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse a checkpoint of another training; one may go on for more epochs."""
    whole = TrainSettings.model_validate(then["settings"]).model_dump(mode="json")
    before = {**then, "settings": {k: v for k, v in whole.items() if k != "epochs"}}
    mine = json.loads(json.dumps(now))
    mine["settings"].pop("epochs")
    for what in ("settings", "data_sha256", "split"):
        if before[what] != mine[what]:
            raise DuchenneError(
                f"{path} is of a training with other {what.replace('_sha256', '')}: take another "
                "folder, or train without --resume."
            )


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
