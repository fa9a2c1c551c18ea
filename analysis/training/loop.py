"""The training loop: from settings and prepared faces to the best weights.

What is drawn at random depends on the seed, the epoch and the picture alone, and a checkpoint holds
everything else, so that a training that is killed at any step and goes on ends with the same weights on a
CPU. Under ``torchrun`` every process works on its part of each batch.
"""

from __future__ import annotations

import csv
import math
import time
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from duchenne.analysis.training.balance import Order, repeats
from duchenne.analysis.training.metrics import evaluate
from duchenne.analysis.training.optimizing import (
    learning_rate,
    learnt_groups,
    new_optimizer,
    set_rate,
    short_of_memory,
)
from duchenne.analysis.training.predicting import encoded, predictions
from duchenne.analysis.training.processes import Processes
from duchenne.analysis.training.saved import (
    Learning,
    Place,
    about_training,
    restore,
    write_best,
    write_last,
)
from duchenne.analysis.training.shown import Shown
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from duchenne.analysis.training.augment import Batch
    from duchenne.analysis.training.metrics import Score
    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.settings import TrainSettings
    from duchenne.analysis.training.splits import Split
    from duchenne.analysis.training.tasks import Task

LAST, BEST, LOG = "last.safetensors", "best.safetensors", "log.csv"


@dataclass(frozen=True)
class Told:
    """What is told after every batch."""

    epoch: int
    epochs: int
    step: int
    steps: int
    losses: dict[str, float]


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
    before: Collection[str] = (),
) -> Place:
    """Train a system; the best weights are in ``best.safetensors`` of the folder.

    Parameters
    ----------
    settings : TrainSettings
    task : Task
        The system with its losses.
    faces : Faces
    split : Split
        Nobody of ``test`` is looked at, unless the settings ask for the paper protocol. Without anybody
        for validation the last weights are the best.
    folder : Path
        Gets ``best.safetensors``, ``last.safetensors`` and ``log.csv``.
    resume : bool
        Go on from ``last.safetensors`` where it is there.
    tell : callable, optional
        Told after every batch.
    stop_after : int, optional
        Leave after so many batches, as if killed (for tests).
    before : collection of str
        Subjects that the initial weights or the teacher have learnt from.

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
    run = _Run(settings, task, faces, split, folder=folder, processes=processes)
    run.about["learnt_from"] = sorted({*split.train, *split.validation, *before})
    if resume and (folder / LAST).is_file():
        run.place = restore(folder / LAST, run.learning, run.about)
    try:
        run.go(tell, stop_after)
    except (RuntimeError, MemoryError) as error:
        if not short_of_memory(error):
            raise
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
    ) -> None:
        self.settings, self.task, self.faces = settings, task, faces
        self.folder, self.processes = folder, processes
        self.place = Place()
        rows = np.flatnonzero(np.isin(faces.subject, list(split.train)))
        judges = split.validation or (split.test if settings.paper_protocol else ())
        self.held = np.flatnonzero(np.isin(faces.subject, list(judges)))
        shown = Shown.to(task.entry, settings, faces)
        self.shown = replace(shown, features=encoded(task, faces, rows, processes.device))
        self.items = self.shown.items(rows)
        if task.kind == "clip" and settings.balance != "none":
            raise DuchenneError("`balance` is for systems that see pictures, not clips.")
        self.order = Order(
            faces.truth[self.items[:, 0]], faces.names, task.entry.task,
            balance=settings.balance, share=settings.balance_share, seed=settings.seed,
        )  # fmt: skip
        self.steps = len(self.order.of(0)) // settings.batch_size
        if not self.steps:
            what = "clips" if task.kind == "clip" else "pictures"
            raise DuchenneError(
                f"{len(self.items)} {what} for training are fewer than one batch of "
                f"{settings.batch_size}."
            )
        self.about = about_training(settings, task, split, faces)
        self.saved_s = time.monotonic()
        rates = {f"net.{start}": times for start, times in getattr(task.net, "rates", {}).items()}
        on_gpu = processes.device.type == "cuda"
        self.learning = Learning(
            task,
            deepcopy(task.net) if settings.ema else None,
            new_optimizer(settings, learnt_groups(task, rates)),
            torch.amp.GradScaler(
                processes.device.type, enabled=on_gpu and settings.precision == "fp16"
            ),
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
            order = self.order.of(self.place.epoch)
            before = repeats(order)
            self.task.train()
            begun, counted = time.monotonic(), 0
            sums: dict[str, float] = {}
            while self.place.step < self.steps:
                losses = self._step(module, order, before)
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

    def _step(
        self, module: Any, order: NDArray[np.intp], before: NDArray[np.intp]
    ) -> dict[str, float]:
        settings, place = self.settings, self.place
        rate = learning_rate(settings, place.epoch + place.step / self.steps)
        set_rate(self.learning.optimizer, rate)
        first = place.step * settings.batch_size
        mine = slice(first + self.processes.rank, first + settings.batch_size, self.processes.world)
        batch = self.shown.varied(
            self.items[order[mine]], epoch=place.epoch, repeats=before[mine]
        ).to(self.processes.device)
        self.learning.optimizer.zero_grad(set_to_none=True)
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
                self.learning.scaler.scale(losses["total"] * share).backward()
            for name, value in losses.items():
                told[name] = told.get(name, 0.0) + share * float(value.detach())
        self._update()
        return told

    def _update(self) -> None:
        settings, learning = self.settings, self.learning
        learning.scaler.unscale_(learning.optimizer)
        learnt = [p for group in learning.optimizer.param_groups for p in group["params"]]
        length = torch.nn.utils.clip_grad_norm_(learnt, settings.clip_norm or math.inf)
        if not learning.scaler.is_enabled() and not bool(torch.isfinite(length)):
            self._stop("the gradient", "")
        learning.scaler.step(learning.optimizer)
        learning.scaler.update()
        if learning.mean is not None:
            with torch.no_grad():
                own = self.task.net.state_dict()
                for name, value in learning.mean.state_dict().items():
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
            self._stop("the loss", f" ({named})")

    def _stop(self, what: str, named: str) -> NoReturn:
        last = self.folder / LAST
        kept = (
            f"{last} holds the last good weights" if last.is_file() else "no weights were kept yet"
        )
        raise DuchenneError(
            f"{what} is not finite in epoch {self.place.epoch + 1}, batch {self.place.step + 1}{named}; "
            f"{kept}. A smaller `learning_rate`, a `clip_norm` or `precision: fp32` may help."
        )

    def _finish_epoch(self, losses: dict[str, float], seconds: float) -> None:
        place, judgement = self.place, self.task.judgement
        entry: dict[str, float] = {"epoch": place.epoch + 1, "seconds": round(seconds, 2)}
        entry |= {f"loss_{name}": value for name, value in losses.items()}
        if self.processes.rank == 0 and len(self.held):
            scores = self.judged(self.held)
            means = {name: score.value for name, score in scores["mean"].items()}
            entry |= means
            value, sign = means[judgement.best], judgement.sign
            if math.isfinite(value) and not sign * place.best > sign * value:
                # Of equals the later one, which has learnt for longer; patience counts from the first.
                if value != place.best:
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
        return (
            bool(patience and len(self.held))
            and place.epoch - 1 - max(place.best_epoch, 0) >= patience
        )

    def judged(self, rows: NDArray[np.intp]) -> dict[str, dict[str, Score]]:
        """Return the figures of some rows, with the running mean of the weights where there is one."""
        own = self.task.net
        if self.learning.mean is not None:
            self.task.net = self.learning.mean
        try:
            found = predictions(self.task, self.faces, rows, self.processes.device)
        finally:
            self.task.net = own
        truth, found, names = self.task.scored(found, self.faces.truth[rows].astype(np.float64))
        return evaluate(truth, found, names, self.task.judgement.metrics)

    def _save_best(self, scores: dict[str, dict[str, Score]]) -> None:
        net = self.task.net if self.learning.mean is None else self.learning.mean
        about = self.about | {"epoch": self.place.epoch + 1}
        write_best(self.folder / BEST, net, about, scores)

    def save(self) -> None:
        """Write everything that going on needs."""
        self.saved_s = time.monotonic()
        if self.processes.rank == 0:
            write_last(self.folder / LAST, self.learning, self.place, self.about)
        self.processes.wait()

    def _write_log(self) -> None:
        if self.processes.rank != 0:
            return
        names = list(dict.fromkeys(name for row in self.place.history for name in row))
        with (self.folder / LOG).open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, names, restval="n/a")
            table.writeheader()
            table.writerows(self.place.history)


def _parts(batch: Batch, n: int) -> list[Batch]:
    edges = np.linspace(0, len(batch), min(n, len(batch)) + 1).astype(int)
    return [batch.part(int(a), int(b)) for a, b in pairwise(edges) if b > a]
