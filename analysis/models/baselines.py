"""A plain convolutional network, which every other system has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model

if TYPE_CHECKING:
    from torch import Tensor

WIDTHS = (32, 64, 128, 256)


@model(
    "cnn_baseline",
    task="intensity",
    input_px=112,
    alignment="A2",
    preprocessing="ImageNet mean and standard deviation",
    paper="none: four convolutions and two layers, the floor of the comparison",
)
class CnnBaseline(nn.Module):
    """Four convolutions with batch normalisation and pooling, then two layers.

    Parameters
    ----------
    n_outputs : int
        Action Units.
    """

    def __init__(self, n_outputs: int = 12) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 3
        for width in WIDTHS:
            layers += [
                nn.Conv2d(n_in, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            n_in = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(WIDTHS[-1], 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, n_outputs)
        )

    def forward(self, images: Tensor) -> Answer:
        """Return intensities, 0 to 5, of images (b, 3, 112, 112) or of another size."""
        features = self.features(images).mean(dim=(2, 3))
        logits = self.head(features)
        return Answer(5.0 * torch.sigmoid(logits), logits=logits, features=features)
