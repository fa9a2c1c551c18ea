"""The student: a ResNet-18 that is distilled from the teacher.

After the description of LibreFace (Chang et al., WACV 2024), in our own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from duchenne.analysis.models.backbones import ResNet
from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model

if TYPE_CHECKING:
    from torch import Tensor

FEATURES = 512
HIDDEN = 128


@model(
    "resnet18_student",
    task="intensity",
    input_px=224,
    alignment="A2",
    preprocessing="ImageNet mean and standard deviation",
    paper="Chang et al. 2024, LibreFace (WACV)",
)
class ResNet18Student(nn.Module):
    """ResNet-18, mean over positions, two layers, sigmoid times 5.

    Parameters
    ----------
    n_outputs : int
        Action Units.
    dropout : float
    """

    def __init__(self, n_outputs: int = 12, dropout: float = 0.1) -> None:
        super().__init__()
        self.body = ResNet(18)
        self.head = nn.Sequential(
            nn.Linear(FEATURES, HIDDEN),
            nn.ReLU(),
            nn.BatchNorm1d(HIDDEN),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, n_outputs),
        )

    def forward(self, images: Tensor) -> Answer:
        """Return intensities, 0 to 5, and the 512 features that distillation compares."""
        features = self.body(images).mean(dim=(2, 3))
        logits = self.head(features)
        return Answer(5.0 * torch.sigmoid(logits), logits=logits, features=features)
