"""The training loop: from settings and prepared faces to the best weights.

What is drawn at random depends on the seed, the epoch and the picture alone, and a checkpoint holds
everything else, so that a training that is killed at any step and goes on ends with the same weights on a
CPU. Under ``torchrun`` every process works on its part of each batch.
"""

from __future__ import annotations

import csv
import json
import math
import os
import time
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from duchenne.analysis.training.augment import plain_batch, varied_batch
from duchenne.analysis.training.checkpoint import (
    git_revision,
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)
from duchenne.analysis.training.metrics import evaluate
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from duchenne.analysis.training.augment import Batch
    from duchenne.analysis.training.metrics import Score
    from duchenne.analysis.training.prepared import Faces, Split
    from duchenne.analysis.training.settings import TrainSettings
    from duchenne.analysis.training.tasks import Task

LAST, BEST, LOG = "last.safetensors", "best.safetensors", "log.csv"
EVALUATED_AT_ONCE = 64


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


@dataclass(frozen=True)
class Told:
    """What is told after every batch."""

    epoch: int
    epochs: int
    step: int
    steps: int
    losses: dict[str, float]


@dataclass(frozen=True)
class Processes:
    """The processes that train together: one, unless torchrun started several."""

    rank: int
    world: int
    device: torch.device

    @classmethod
    def here(cls) -> Processes:
        """Return where this process stands; joins the others."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        rank = int(os.environ.get("RANK", "0"))
        cuda = torch.cuda.is_available()
        local = int(os.environ.get("LOCAL_RANK", "0"))
        device = torch.device("cuda", local) if cuda else torch.device("cpu")
        if world > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if cuda else "gloo")
        return cls(rank, world, device)

    def wait(self) -> None:
        """Wait for all processes."""
        if self.world > 1:
            distributed.barrier()


def train(
    settings: TrainSettings,
    task: Task,
    faces: Faces,
    split: Split,
    folder: Path,
    *,
    resume: bool = False,
    tell: Callable[[Told], object] | None = None,
    stop_after: int | None = None,
) -> Place:
    """Train a system; the best weights are in ``best.safetensors`` of the folder.

    Parameters
    ----------
    settings : TrainSettings
    task : Task
        The system with its losses.
    faces : Faces
    split : Split
        Nobody of ``test`` is looked at.
    folder : Path
        Gets ``best.safetensors``, ``last.safetensors`` and ``log.csv``.
    resume : bool
        Go on from ``last.safetensors`` where it is there.
    tell : callable, optional
        Told after every batch.
    stop_after : int, optional
        Leave after so many batches, as if killed (for tests).

    Returns
    -------
    Place

    Raises
    ------
    DuchenneError
        When a loss is not finite (the last good checkpoint stays), the memory is short, or the folder
        cannot be written or holds a training of other settings or data.
    """
    processes = Processes.here()
    torch.manual_seed(settings.seed)
    task.to(processes.device)
    learnt = [p for p in task.parameters() if p.requires_grad]
    optimizer = _optimizer(settings, learnt)
    run = _Run(
        settings, task, faces, split, folder=folder, processes=processes, optimizer=optimizer
    )
    if resume:
        run.restore()
    try:
        run.go(tell, stop_after)
    except torch.OutOfMemoryError as error:
        raise DuchenneError(
            f"the memory of {processes.device} is short with {settings.batch_size} pictures of "
            f"{task.px} pixels at once: raise `accumulate` (now {settings.accumulate}), lower "
            "`batch_size` or `input_px`, or set `precision: bf16`."
        ) from error
    return run.place


class _Run:
    def __init__(
        self,
        settings: TrainSettings,
        task: Task,
        faces: Faces,
        split: Split,
        *,
        folder: Path,
        processes: Processes,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self.settings, self.task, self.faces = settings, task, faces
        self.split, self.folder, self.processes = split, folder, processes
        self.optimizer = optimizer
        self.place = Place()
        self.mean = deepcopy(task.net) if settings.ema else None
        self.rows = np.flatnonzero(np.isin(faces.subject, list(split.train)))
        self.held = np.flatnonzero(np.isin(faces.subject, list(split.validation or split.test)))
        if len(self.rows) < settings.batch_size:
            raise DuchenneError(
                f"{len(self.rows)} pictures for training are fewer than one batch of "
                f"{settings.batch_size}."
            )
        self.steps = len(self.rows) // settings.batch_size
        self.digest = faces.digest()
        self.saved_s = time.monotonic()
        on_gpu = processes.device.type == "cuda"
        self.scaler = torch.amp.GradScaler(
            processes.device.type, enabled=on_gpu and settings.precision == "fp16"
        )

    def go(self, tell: Callable[[Told], object] | None, stop_after: int | None) -> None:
        """Train to the end, or until patience or `stop_after` is over."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DuchenneError(
                f"{self.folder} cannot be made ({error.strerror or error})."
            ) from error
        module: Any = self.task
        if self.processes.world > 1:
            module = DistributedDataParallel(self.task, find_unused_parameters=True)
        done = 0
        while self.place.epoch < self.settings.epochs and not self._patience_over():
            order = self._order()
            self.task.train()
            begun, counted = time.monotonic(), 0
            sums: dict[str, float] = {}
            while self.place.step < self.steps:
                losses = self._step(module, order)
                self.place.step += 1
                counted += 1
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + value
                if tell is not None:
                    at = self.place
                    tell(Told(at.epoch, self.settings.epochs, at.step, self.steps, losses))
                done += 1
                if stop_after is not None and done >= stop_after:
                    return
                if time.monotonic() - self.saved_s > 60 * self.settings.checkpoint_minutes:
                    self.save()
            means = {name: value / max(counted, 1) for name, value in sums.items()}
            self._finish_epoch(means, time.monotonic() - begun)

    def _order(self) -> NDArray[np.intp]:
        rng = np.random.default_rng((self.settings.seed, self.place.epoch))
        return self.rows[rng.permutation(len(self.rows))]

    def _step(self, module: Any, order: NDArray[np.intp]) -> dict[str, float]:
        settings, place = self.settings, self.place
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(settings, place.epoch + place.step / self.steps)
        first = place.step * settings.batch_size
        rows = order[first : first + settings.batch_size]
        rows = rows[self.processes.rank :: self.processes.world]
        batch = varied_batch(
            self.faces, rows, self.task.px, self.task.entry.preprocessing, settings.augmentation,
            seed=settings.seed, epoch=place.epoch,
        ).to(self.processes.device)  # fmt: skip
        self.optimizer.zero_grad(set_to_none=True)
        told: dict[str, float] = {}
        parts = _parts(batch, settings.accumulate)
        for i, part in enumerate(parts):
            is_last = i == len(parts) - 1
            together = getattr(module, "no_sync", None)
            with nullcontext() if is_last or together is None else together():
                with self._precision():
                    losses = module(part)
                share = len(part) / len(batch)
                self._check(losses)
                self.scaler.scale(losses["total"] * share).backward()
            for name, value in losses.items():
                told[name] = told.get(name, 0.0) + share * float(value.detach())
        self._update()
        return told

    def _update(self) -> None:
        settings = self.settings
        self.scaler.unscale_(self.optimizer)
        if settings.clip_norm:
            learnt = [p for group in self.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(learnt, settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.mean is not None:
            with torch.no_grad():
                own = self.task.net.state_dict()
                for name, value in self.mean.state_dict().items():
                    if value.is_floating_point():
                        value.lerp_(own[name], 1 - settings.ema)
                    else:
                        value.copy_(own[name])

    def _precision(self) -> Any:
        if self.settings.precision == "fp32":
            return nullcontext()
        kind = torch.bfloat16 if self.settings.precision == "bf16" else torch.float16
        return torch.autocast(self.processes.device.type, kind)

    def _check(self, losses: dict[str, Tensor]) -> None:
        if not bool(torch.isfinite(losses["total"])):
            named = ", ".join(f"{name} {float(value.detach()):g}" for name, value in losses.items())
            raise DuchenneError(
                f"the loss is not finite in epoch {self.place.epoch + 1}, batch {self.place.step + 1} "
                f"({named}); {self.folder / LAST} holds the last good weights. A smaller "
                "`learning_rate`, a `clip_norm` or `precision: fp32` may help."
            )

    def _finish_epoch(self, losses: dict[str, float], seconds: float) -> None:
        place = self.place
        entry: dict[str, float] = {"epoch": place.epoch + 1, "seconds": round(seconds, 2)}
        entry |= {f"loss_{name}": value for name, value in losses.items()}
        if self.processes.rank == 0 and len(self.held):
            scores = self.judged(self.held)
            means = {name: score.value for name, score in scores["mean"].items()}
            entry |= means
            value = means[self.task.judgement.best]
            if math.isfinite(value) and not place.best >= value:
                place.best, place.best_epoch = value, place.epoch
                self._save_best(scores)
            elif math.isnan(place.best):
                self._save_best(scores)  # nothing can be told yet: the last weights
        elif self.processes.rank == 0:
            self._save_best({})
        place.history.append(entry)
        place.epoch, place.step = place.epoch + 1, 0
        self._share_best()
        self.save()
        self._write_log()

    def _share_best(self) -> None:
        """Let all processes know the best validation, so that they end together."""
        if self.processes.world > 1:
            best = torch.tensor([self.place.best, self.place.best_epoch], dtype=torch.float64)
            best = best.to(self.processes.device)
            distributed.broadcast(best, 0)
            self.place.best, self.place.best_epoch = float(best[0]), int(best[1])

    def _patience_over(self) -> bool:
        place, patience = self.place, self.settings.patience
        return bool(patience) and place.epoch - 1 - max(place.best_epoch, 0) >= patience

    def judged(self, rows: NDArray[np.intp]) -> dict[str, dict[str, Score]]:
        """Return the figures of some rows, with the running mean of the weights where there is one."""
        own = self.task.net
        if self.mean is not None:
            self.task.net = self.mean
        try:
            found = predictions(self.task, self.faces, rows, self.processes.device)
        finally:
            self.task.net = own
        truth, found, names = self.task.scored(found, self.faces.truth[rows].astype(np.float64))
        return evaluate(truth, found, names, self.task.judgement.metrics)

    def _about(self) -> dict[str, Any]:
        return {
            "settings": json.loads(self.settings.model_dump_json()),
            "labels": list(self.task.labels),
            "n_outputs": self.task.n_outputs,
            "split": asdict(self.split),
            "data_sha256": self.digest,
            "data": self.faces.about,
            "git_revision": git_revision(),
        }

    def _save_best(self, scores: dict[str, dict[str, Score]]) -> None:
        net = self.task.net if self.mean is None else self.mean
        figures = {
            name: {metric: score.value for metric, score in row.items()}
            for name, row in scores.items()
        }
        about = self._about() | {"epoch": self.place.epoch + 1, "validation": figures}
        tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
        write_checkpoint(self.folder / BEST, tensors, about)

    def save(self) -> None:
        """Write everything that going on needs."""
        self.saved_s = time.monotonic()
        if self.processes.rank == 0:
            tensors = {f"net.{k}": v for k, v in self.task.net.state_dict().items()}
            if self.mean is not None:
                tensors |= {f"mean.{k}": v for k, v in self.mean.state_dict().items()}
            if self.task.distillation is not None:
                own = self.task.distillation.state_dict()
                tensors |= {
                    f"distillation.{k}": v for k, v in own.items() if not k.startswith("teacher.")
                }
            tensors |= optimizer_tensors(self.optimizer)
            tensors["rng"] = torch.get_rng_state()
            about = self._about() | {
                "place": asdict(self.place),
                "scaler": self.scaler.state_dict(),
            }
            write_checkpoint(self.folder / LAST, tensors, about)
        self.processes.wait()

    def restore(self) -> None:
        """Go on where the last checkpoint was written; from the start where there is none."""
        path = self.folder / LAST
        if not path.is_file():
            return
        tensors, about = read_checkpoint(path)
        mine = self._about()
        for what in ("settings", "data_sha256", "split"):
            then, now = about[what], json.loads(json.dumps(mine[what]))
            if what == "settings":
                then, now = ({k: v for k, v in d.items() if k != "epochs"} for d in (then, now))
            if then != now:
                raise DuchenneError(
                    f"{path} is of a training with other {what.replace('_sha256', '')}: take another "
                    "folder, or train without --resume."
                )
        self.task.net.load_state_dict(_with_prefix(tensors, "net."))
        if self.mean is not None:
            self.mean.load_state_dict(_with_prefix(tensors, "mean."))
        if self.task.distillation is not None:
            self.task.distillation.load_state_dict(
                _with_prefix(tensors, "distillation."), strict=False
            )
        restore_optimizer(self.optimizer, tensors)
        if about["scaler"]:
            self.scaler.load_state_dict(about["scaler"])
        torch.set_rng_state(tensors["rng"])
        self.place = Place(**about["place"])

    def _write_log(self) -> None:
        if self.processes.rank != 0:
            return
        names = list(dict.fromkeys(name for row in self.place.history for name in row))
        with (self.folder / LOG).open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, names, restval="n/a")
            table.writeheader()
            table.writerows(self.place.history)


def predictions(
    task: Task, faces: Faces, rows: NDArray[np.intp], device: torch.device
) -> NDArray[np.float64]:
    """Return what a system answers to some pictures, without variation: (n, k) float64."""
    was_training = task.training
    task.eval()
    found = []
    with torch.no_grad():
        for first in range(0, len(rows), EVALUATED_AT_ONCE):
            some = rows[first : first + EVALUATED_AT_ONCE]
            batch = plain_batch(faces, some, task.px, task.entry.preprocessing).to(device)
            found.append(task.predicted(batch).float().cpu().numpy().astype(np.float64))
    task.train(was_training)
    return np.concatenate(found)


def learning_rate(settings: TrainSettings, epoch: float) -> float:
    """Return the learning rate at a time in epochs, such as 1.5."""
    rate = settings.learning_rate
    if epoch < settings.warmup_epochs:
        return rate * epoch / settings.warmup_epochs
    if settings.schedule == "cosine":
        span = max(settings.epochs - settings.warmup_epochs, 1e-9)
        return rate * 0.5 * (1 + math.cos(math.pi * (epoch - settings.warmup_epochs) / span))
    if settings.schedule == "step":
        return rate * settings.step_factor ** int(epoch // settings.step_epochs)
    return rate


def _optimizer(settings: TrainSettings, learnt: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            learnt, rate, momentum=settings.momentum, weight_decay=decay,
            nesterov=settings.momentum > 0,
        )  # fmt: skip
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(learnt, rate, weight_decay=decay)


def _parts(batch: Batch, n: int) -> list[Batch]:
    edges = np.linspace(0, len(batch), min(n, len(batch)) + 1).astype(int)
    return [batch.part(int(a), int(b)) for a, b in pairwise(edges) if b > a]


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
