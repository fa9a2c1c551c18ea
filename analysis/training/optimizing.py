"""The optimizer of a training and its learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
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


def new_optimizer(
    settings: TrainSettings, learnt: list[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Return the optimizer of the settings for some parameters."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            learnt, rate, momentum=settings.momentum, weight_decay=decay,
            nesterov=settings.momentum > 0,
        )  # fmt: skip
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(learnt, rate, betas=settings.betas, weight_decay=decay)
