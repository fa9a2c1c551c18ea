"""Multi-task teacher and students with missing labels: Action Units, expression, valence and arousal.

After Deng, Chen & Shi (2020), Multitask emotion recognition with incomplete labels (FG); in our own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

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
TEMPERATURE, TEACHER_SHARE = 1.5, 0.4


def task_sizes(units: int = N_UNITS, classes: int = N_CLASSES) -> dict[str, int]:
    """Return how many outputs each task has; the publication has 8 Action Units and 7 classes."""
    return {"au": units, "expression": classes, "affect": 2 * N_BINS}


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
    """Return the number of the bin of each value from -1 to 1; -1 for NaN.

    A value between two bins is in the upper one, and so is what rounding has put up to 1e-6 below; the upper
    end is in the last one.
    """
    places = (torch.nan_to_num(values) + 1) / BIN_WIDTH + 1e-5
    numbers = places.floor().clamp(0, N_BINS - 1).long()
    return torch.where(torch.isfinite(values), numbers, -1)


def expectation(logits: Tensor, *, parity: bool = False) -> Tensor:
    """Return the expected value of logits over bins: (..., 20) to (...)."""
    return (logits.softmax(dim=-1) * bin_centres(parity=parity).to(logits)).sum(dim=-1)


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
    units, classes : int
        Action Units and classes of expression that it learns besides.
    depth : {50, 18}
        Of the residual network; the publication has 50.
    """

    def __init__(
        self,
        n_outputs: int = 2,
        units: int = N_UNITS,
        classes: int = N_CLASSES,
        *,
        depth: Literal[18, 50] = 50,
    ) -> None:
        super().__init__()
        if n_outputs != 2:
            raise ValueError("this system answers valence and arousal: 2 outputs")
        self.sizes = task_sizes(units, classes)
        self.body = ResNet(depth)
        self.embed = nn.ModuleDict(
            {
                task: nn.Sequential(
                    nn.BatchNorm1d(self.body.n_channels),
                    nn.Linear(self.body.n_channels, FEATURES),
                    nn.ReLU(),
                    nn.BatchNorm1d(FEATURES),
                )
                for task in self.sizes
            }
        )
        self.head = nn.ModuleDict({task: nn.Linear(FEATURES, n) for task, n in self.sizes.items()})

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
    units, classes, depth : int
        As in `DengCnn`.
    """

    taken_over: ClassVar[dict[str, str]] = {"body.": "encoder.body.", "embed.": "encoder.embed."}
    """Where weights of the convolutional network belong."""

    def __init__(
        self,
        n_outputs: int = 2,
        encoder: DengCnn | None = None,
        *,
        units: int = N_UNITS,
        classes: int = N_CLASSES,
        depth: Literal[18, 50] = 50,
    ) -> None:
        super().__init__()
        self.sizes = task_sizes(units, classes) if encoder is None else encoder.sizes
        own = encoder or DengCnn(n_outputs, units, classes, depth=depth)
        self.encoder = own.eval().requires_grad_(requires_grad=False)
        self.gru = nn.ModuleDict(
            {
                task: nn.GRU(FEATURES, FEATURES, batch_first=True, bidirectional=True)
                for task in self.sizes
            }
        )
        self.head = nn.ModuleDict(
            {task: nn.Linear(2 * FEATURES, n) for task, n in self.sizes.items()}
        )

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
        Of pictures or of clips.
    truth : mapping
        Any of ``au`` (b, units) with NaN, ``expression`` (b,) with -1, ``affect`` (b, 2) with NaN; of clips
        the same with the frames of all clips one after another.
    """
    found = _flat(answer)
    losses: dict[str, Tensor] = {}
    if "au" in truth:
        losses["au"] = found["au"].shape[1] * masked_bce(found["au"], truth["au"])
    if "expression" in truth:
        losses["expression"] = masked_cross_entropy(found["expression"], truth["expression"])
    if "affect" in truth:
        losses["affect"] = affect_loss(found["affect"], truth["affect"])
    total = sum(losses.values(), start=answer.values.sum() * 0.0)
    return {"total": total, **losses}


def student_loss(answer: Answer, teacher: Answer, truth: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the named losses of a student.

    A face whose label of a task is known counts 0.6 of the truth and 0.4 of the teacher there, another the
    teacher alone: what is missing is filled in by the teacher. A batch may hold faces of both kinds.

    Parameters
    ----------
    answer, teacher : Answer
        Of the same faces.
    truth : mapping
        As in `teacher_loss`.
    """
    found, wanted = _flat(answer), {name: v.detach() for name, v in _flat(teacher).items()}
    bce = fn.binary_cross_entropy_with_logits
    told = {
        "au": bce(found["au"], torch.sigmoid(wanted["au"]), reduction="none").sum(dim=1),
        "expression": _divergence(found["expression"], wanted["expression"]),
        "affect": _divergence(found["affect"], wanted["affect"]).sum(dim=1),
    }
    known = teacher_loss(answer, truth)
    losses = {}
    for task, from_teacher in told.items():
        here = (
            _is_known(truth[task]) if task in truth else from_teacher.new_zeros(len(from_teacher))
        )
        share = 1 - (1 - TEACHER_SHARE) * here
        losses[task] = (share * from_teacher).mean()
        if task in truth:
            losses[task] = losses[task] + (1 - TEACHER_SHARE) * here.mean() * known[task]
    return {"total": sum(losses.values(), start=answer.values.sum() * 0.0) / 3, **losses}


def _flat(answer: Answer) -> dict[str, Tensor]:
    """Return the logits of each task, in single precision, the frames of clips one after another."""
    assert answer.logits is not None
    return {
        "au": answer.extra["au"].flatten(0, -2).float(),
        "expression": answer.extra["expression"].flatten(0, -2).float(),
        "affect": answer.logits.flatten(0, -3).float(),
    }


def _is_known(truth: Tensor) -> Tensor:
    """Return 1 for each face of which something of a task is known: (n,) float."""
    if truth.ndim == 1:
        return (truth >= 0).float()
    return torch.isfinite(truth).any(dim=1).float()


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the KL divergence of softened classes, over the last dimension."""
    wanted = (teacher / TEMPERATURE).softmax(dim=-1)
    found = (student / TEMPERATURE).log_softmax(dim=-1)
    return fn.kl_div(found, wanted, reduction="none").sum(dim=-1)
