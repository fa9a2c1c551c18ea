"""Multi-task teacher and students with missing labels: Action Units, expression, valence and arousal.

After Deng, Chen & Shi (2020), Multitask emotion recognition with incomplete labels (FG); in our own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as fn

from duchenne.analysis.models.backbones import ResNet
from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model
from duchenne.analysis.training.losses import concordance, masked_bce, masked_cross_entropy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

N_BINS = 20
BIN_WIDTH = 2.0 / N_BINS
N_UNITS, N_CLASSES, FEATURES = 8, 7, 128
TASKS = {"au": N_UNITS, "expression": N_CLASSES, "affect": 2 * N_BINS}
TEMPERATURE, TEACHER_SHARE = 1.5, 0.4


def bin_centres(*, parity: bool = False) -> Tensor:
    """Return the middle of each of the 20 bins from -1 to 1: (20,) float32.

    Parameters
    ----------
    parity : bool
        As the released code has it: 20 points from -1 to 1 themselves, which are no bins' middles.
    """
    if parity:
        return torch.linspace(-1, 1, N_BINS)
    return torch.linspace(-1 + BIN_WIDTH / 2, 1 - BIN_WIDTH / 2, N_BINS)


def to_bins(values: Tensor) -> Tensor:
    """Return the number of the bin of each value from -1 to 1, the upper end in the last; -1 for NaN."""
    numbers = ((torch.nan_to_num(values) + 1) / BIN_WIDTH).floor().clamp(0, N_BINS - 1).long()
    return torch.where(torch.isfinite(values), numbers, -1)


def expectation(logits: Tensor, *, parity: bool = False) -> Tensor:
    """Return the expected value of logits over bins: (..., 20) to (...)."""
    return logits.softmax(dim=-1) @ bin_centres(parity=parity).to(logits)


def _answer(outputs: Mapping[str, Tensor], features: Tensor) -> Answer:
    bins = outputs["affect"].view(*outputs["affect"].shape[:-1], 2, N_BINS)
    return Answer(
        expectation(bins), logits=bins, features=features,
        extra={"au": outputs["au"], "expression": outputs["expression"]},
    )  # fmt: skip


@model(
    "deng_cnn",
    task="affect",
    input_px=112,
    alignment="A1",
    preprocessing="ImageNet mean and standard deviation",
    paper="Deng, Chen & Shi 2020 (FG)",
    weights="the authors' code is MIT; their weights stand under the terms of Aff-Wild2",
)
class DengCnn(nn.Module):
    """ResNet-50 with a head for each task.

    Parameters
    ----------
    n_outputs : int
        Always 2: valence and arousal.
    """

    def __init__(self, n_outputs: int = 2) -> None:
        super().__init__()
        if n_outputs != 2:
            raise ValueError("this system answers valence and arousal: 2 outputs")
        self.body = ResNet(50)
        self.embed = nn.ModuleDict(
            {
                task: nn.Sequential(
                    nn.BatchNorm1d(self.body.n_channels),
                    nn.Linear(self.body.n_channels, FEATURES),
                    nn.ReLU(),
                    nn.BatchNorm1d(FEATURES),
                )
                for task in TASKS
            }
        )
        self.head = nn.ModuleDict({task: nn.Linear(FEATURES, n) for task, n in TASKS.items()})

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return the 128 features of each task: (b, 128)."""
        pooled = self.body(images).mean(dim=(2, 3))
        return {task: embed(pooled) for task, embed in self.embed.items()}

    def forward(self, images: Tensor) -> Answer:
        """Return valence and arousal, -1 to 1, and logits of the other tasks in ``extra``."""
        features = self.features(images)
        outputs = {task: head(features[task]) for task, head in self.head.items()}
        return _answer(outputs, torch.cat(list(features.values()), dim=1))


@model(
    "deng_rnn",
    task="affect",
    input_px=112,
    alignment="A1",
    preprocessing="ImageNet mean and standard deviation; clips of 32 frames",
    paper="Deng, Chen & Shi 2020 (FG)",
)
class DengRnn(nn.Module):
    """A bidirectional GRU for each task over the frozen features of the convolutional network.

    Parameters
    ----------
    n_outputs : int
        Always 2: valence and arousal.
    encoder : DengCnn, optional
        Is frozen.
    """

    def __init__(self, n_outputs: int = 2, encoder: DengCnn | None = None) -> None:
        super().__init__()
        self.encoder = (encoder or DengCnn(n_outputs)).eval().requires_grad_(requires_grad=False)
        self.gru = nn.ModuleDict(
            {
                task: nn.GRU(FEATURES, FEATURES, batch_first=True, bidirectional=True)
                for task in TASKS
            }
        )
        self.head = nn.ModuleDict({task: nn.Linear(2 * FEATURES, n) for task, n in TASKS.items()})

    def train(self, mode: bool = True) -> DengRnn:
        """Train the recurrent part; the encoder stays as it is."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, clips: Tensor) -> Answer:
        """Return valence and arousal of every frame, (b, t, 2), of clips (b, t, 3, h, w)."""
        with torch.no_grad():
            flat = self.encoder.features(clips.flatten(0, 1))
        series = {task: self.gru[task](x.view(*clips.shape[:2], -1))[0] for task, x in flat.items()}
        outputs = {task: head(series[task]) for task, head in self.head.items()}
        return _answer(outputs, torch.cat(list(series.values()), dim=-1))


def affect_loss(bins: Tensor, truth: Tensor, *, parity: bool = False) -> Tensor:
    """Return cross entropy over bins plus ``1 - CCC`` of the expectation, for valence and arousal together.

    Parameters
    ----------
    bins : (n, 2, 20) Tensor
    truth : (n, 2) Tensor
        -1 to 1, NaN where not known.
    parity : bool
        See `bin_centres`.
    """
    found = expectation(bins, parity=parity)
    total = bins.sum() * 0.0
    for i in range(2):
        if bool(torch.isfinite(truth[:, i]).any()):
            total = total + masked_cross_entropy(bins[:, i], to_bins(truth[:, i]))
            total = total + 1 - concordance(found[:, i], truth[:, i])
    return total


def teacher_loss(answer: Answer, truth: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the named losses of the teacher; a task without labels in the batch counts nothing.

    Parameters
    ----------
    answer : Answer
    truth : mapping
        Any of ``au`` (b, 8) with NaN, ``expression`` (b,) with -1, ``affect`` (b, 2) with NaN.
    """
    assert answer.logits is not None
    losses: dict[str, Tensor] = {}
    if "au" in truth:
        losses["au"] = N_UNITS * masked_bce(answer.extra["au"], truth["au"])
    if "expression" in truth:
        losses["expression"] = masked_cross_entropy(answer.extra["expression"], truth["expression"])
    if "affect" in truth:
        losses["affect"] = affect_loss(answer.logits, truth["affect"])
    total = sum(losses.values(), start=answer.values.sum() * 0.0)
    return {"total": total, **losses}


def student_loss(answer: Answer, teacher: Answer, truth: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the named losses of a student.

    Tasks whose labels the batch has count 0.6 of the truth and 0.4 of the teacher, the others the teacher
    alone: what is missing is filled in by the teacher.

    Parameters
    ----------
    answer, teacher : Answer
        Of the same faces.
    truth : mapping
        As in `teacher_loss`.
    """
    assert answer.logits is not None
    assert teacher.logits is not None
    told = {
        "au": N_UNITS
        * fn.binary_cross_entropy_with_logits(
            answer.extra["au"], torch.sigmoid(teacher.extra["au"].detach())
        ),
        "expression": _divergence(answer.extra["expression"], teacher.extra["expression"]),
        "affect": 2 * _divergence(answer.logits, teacher.logits),
    }
    known = teacher_loss(answer, truth)
    losses = {}
    for task, from_teacher in told.items():
        losses[task] = from_teacher
        if task in truth:
            losses[task] = TEACHER_SHARE * from_teacher + (1 - TEACHER_SHARE) * known[task]
    return {"total": sum(losses.values(), start=answer.values.sum() * 0.0) / 3, **losses}


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the KL divergence of softened classes, the mean over all but the last dimension."""
    wanted = (teacher.detach() / TEMPERATURE).softmax(dim=-1)
    found = (student / TEMPERATURE).log_softmax(dim=-1)
    each = fn.kl_div(found, wanted, reduction="none").sum(dim=-1)
    return each.mean()
