"""Distillation: a student that learns from the truth and from its teacher at once.

After the description of LibreFace (Chang et al., WACV 2024); the divergence is written with the sign
that makes it one (see ``generalised_kl``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from torch.nn import functional as fn

from duchenne.analysis.models.deng import student_loss
from duchenne.analysis.training.losses import (
    class_kl,
    class_numbers,
    generalised_kl,
    masked_bce,
    masked_cross_entropy,
    masked_mse,
    occurrence_kl,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from duchenne.analysis.models.mae_teacher import MaeTeacher
    from duchenne.analysis.models.outputs import Answer

Resize = Literal["linear_proj", "nearest"]


@dataclass(frozen=True)
class DistillWeights:
    """How much each part of the loss counts.

    Parameters
    ----------
    features : float
        Mean squared difference between the teacher's features and the resized ones of the student.
    task : float
        Error against the truth: squared of intensities, cross entropy of occurrence and of classes.
    divergence : float
        Kullback-Leibler divergence between what the teacher's head answers to its own features and to the
        student's: generalised for intensities.
    """

    features: float = 1.0
    task: float = 1.0
    divergence: float = 1.0


class Distillation(nn.Module):
    """The loss of a student beside its frozen teacher.

    Parameters
    ----------
    teacher : MaeTeacher
        Is frozen and put into evaluation mode.
    n_student : int
        Features of the student.
    resize : {"linear_proj", "nearest"}
        How the student's features get the length of the teacher's: by a layer that is learnt, or by taking
        every fourth (what the released code does).
    weights : DistillWeights
    """

    def __init__(
        self,
        teacher: MaeTeacher,
        n_student: int = 512,
        resize: Resize = "linear_proj",
        weights: DistillWeights = DistillWeights(),
    ) -> None:
        super().__init__()
        self.teacher = teacher.eval().requires_grad_(requires_grad=False)
        n_teacher = teacher.to_features.out_features
        self.every = n_student // n_teacher
        self.project = nn.Linear(n_student, n_teacher) if resize == "linear_proj" else None
        self.weights = weights

    def train(self, mode: bool = True) -> Distillation:
        """Train the resizing layer; the teacher stays as it is."""
        super().train(mode)
        self.teacher.eval()
        return self

    def resized(self, features: Tensor) -> Tensor:
        """Return the student's features in the length of the teacher's: (b, n_teacher)."""
        if self.project is None:
            return features[:, :: self.every]
        projected: Tensor = self.project(features)
        return projected

    def forward(self, images: Tensor, answer: Answer, truth: Tensor) -> dict[str, Tensor]:
        """Return the named losses and their ``total``.

        Parameters
        ----------
        images : (b, 3, h, w) Tensor
            What the student saw; resized where the teacher sees another size.
        answer : Answer
            Of the student.
        truth : (b, k) Tensor
            0 to 5, 0 or 1, or (k = 1) the number of the class, as the teacher learnt; NaN where not known.
        """
        assert answer.features is not None
        side = self.teacher.config.image_size
        if images.shape[-1] != side:
            images = fn.interpolate(
                images, size=side, mode="bilinear", align_corners=False, antialias=True
            )
        with torch.no_grad():
            wanted = self.teacher(images)
        resized = self.resized(answer.features)
        losses = {
            "features": ((wanted.features - resized) ** 2).mean(),
            "task": self._task(answer, truth),
            "divergence": self._divergence(wanted, self.teacher.answer(resized)),
        }
        total = sum(getattr(self.weights, name) * loss for name, loss in losses.items())
        assert isinstance(total, torch.Tensor)
        return {"total": total, **losses}

    def _task(self, answer: Answer, truth: Tensor) -> Tensor:
        if self.teacher.learns == "intensity":
            return masked_mse(answer.values, truth)
        assert answer.logits is not None
        if self.teacher.learns == "occurrence":
            return masked_bce(answer.logits, truth)
        return masked_cross_entropy(answer.logits, class_numbers(truth))

    def _divergence(self, wanted: Answer, found: Answer) -> Tensor:
        if self.teacher.learns == "intensity":
            return generalised_kl(wanted.values, found.values)
        assert wanted.logits is not None
        assert found.logits is not None
        of = occurrence_kl if self.teacher.learns == "occurrence" else class_kl
        return of(wanted.logits, found.logits)


class TaskDistillation(nn.Module):
    """The loss of a multi-task student beside its frozen teacher, which fills in labels that lack.

    Parameters
    ----------
    teacher : nn.Module
        Of the same system; is frozen and put into evaluation mode.
    """

    def __init__(self, teacher: nn.Module) -> None:
        super().__init__()
        self.teacher = teacher.eval().requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> TaskDistillation:
        """Leave the teacher as it is."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(
        self, images: Tensor, answer: Answer, truth: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the named losses of :func:`duchenne.analysis.models.deng.student_loss`."""
        with torch.no_grad():
            wanted = self.teacher(images)
        return student_loss(answer, wanted, truth)
