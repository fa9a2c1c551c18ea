"""The student: a ResNet-18 that is distilled from the teacher.

After the description of LibreFace (Chang et al., WACV 2024), in our own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from duchenne.analysis.models.backbones import ResNet
from duchenne.analysis.models.outputs import Answer, Learns, learnable, told
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
        Action Units, or classes.
    dropout : float
    learns : {"intensity", "occurrence", "expression"}
        Whether outputs are intensities, probabilities of Action Units, or of classes.
    """

    def __init__(
        self, n_outputs: int = 12, dropout: float = 0.1, learns: Learns = "intensity"
    ) -> None:
        super().__init__()
        self.learns = learnable(learns)
        self.body = ResNet(18)
        self.head = nn.Sequential(
            nn.Linear(FEATURES, HIDDEN),
            nn.ReLU(),
            nn.BatchNorm1d(HIDDEN),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, n_outputs),
        )

    def forward(self, images: Tensor) -> Answer:
        """Return intensities, 0 to 5 (see ``learns``), and the 512 features that distillation compares."""
        features = self.body(images).mean(dim=(2, 3))
        logits = self.head(features)
        return Answer(told(logits, self.learns), logits=logits, features=features)
