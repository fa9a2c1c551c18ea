"""The optimizer of a training and its learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.training.settings import TrainSettings


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


def learnt_groups(module: torch.nn.Module, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return what a module learns, in groups of one learning rate.

    Parameters
    ----------
    module : torch.nn.Module
    rates : mapping of str to float
        How many times the learning rate parts learn with, by the beginning of their names; others once.
    """
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            times = next((v for start, v in rates.items() if name.startswith(start)), 1.0)
            groups.setdefault(times, []).append(parameter)
    return [{"params": some, "times": times} for times, some in groups.items()]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate, each group its own times it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("times", 1.0)


def short_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that there is too little memory, on a card or in the computer."""
    text = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in text


def new_optimizer(settings: TrainSettings, learnt: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Return the optimizer of the settings for what `learnt_groups` returns."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            learnt, rate, momentum=settings.momentum, weight_decay=decay,
            nesterov=settings.momentum > 0,
        )  # fmt: skip
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(learnt, rate, betas=settings.betas, weight_decay=decay)
