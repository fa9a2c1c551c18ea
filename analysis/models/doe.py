"""Difference of embeddings: what changed from the neutral face of the same person.

Two models of one idea: a frozen encoder sees the neutral and the shown face, and a small network their
difference beside the shown face; in the disentangled one, that encoder has first learnt emotion beside
a frozen one that knows identity. Nothing but that side information separates the two. In our own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import nn

from duchenne.analysis.models.backbones import ResNet
from duchenne.analysis.models.mobilenet_v3 import N_CHANNELS, Frozen, MobileNetV3
from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model

if TYPE_CHECKING:
    from torch import Tensor

HIDDEN = (256, 128, 64, 32)
IDENTITY = 2048


def _perceptron(n_in: int, n_outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in HIDDEN:
        layers += [nn.Linear(n_in, width), nn.ReLU()]
        n_in = width
    return nn.Sequential(*layers, nn.Linear(n_in, n_outputs))


@model(
    "doe",
    task="expression",
    input_px=224,
    alignment="crop",
    preprocessing="ImageNet mean and standard deviation; pairs of neutral and shown face",
    paper="difference of embeddings, MobileNetV3-Large (seed study)",
)
class DifferenceOfEmbeddings(nn.Module):
    """Frozen MobileNetV3-Large; difference and shown embedding, 1920, through five layers.

    Parameters
    ----------
    n_outputs : int
        Classes.
    encoder : nn.Module, optional
        Gives embeddings of images; a fresh MobileNetV3-Large (960) where absent. Is frozen.
    residual : {18, 50}, optional
        Depth of a residual network in the place of MobileNetV3, such as one that has learnt Action Units.
    """

    taken_over: ClassVar[dict[str, str]] = {
        "emotion.": "encoder.body.",
        "body.": "encoder.body.body.",
    }
    """Where weights of the first stage of the disentangled model, or of a residual network, belong."""

    def __init__(
        self,
        n_outputs: int = 8,
        encoder: nn.Module | None = None,
        *,
        residual: Literal[18, 50] | None = None,
    ) -> None:
        super().__init__()
        own, self.n_embedding = _encoder(residual)
        self.encoder = Frozen(encoder or own)
        self.head = _perceptron(2 * self.n_embedding, n_outputs)

    def forward(self, pairs: Tensor) -> Answer:
        """Return class probabilities.

        Parameters
        ----------
        pairs : (b, 2, 3, h, w) float32
            The neutral face and the shown one. A single image (b, 3, h, w) counts as its own neutral face:
            the difference is 0.
        """
        if pairs.ndim == 4:
            pairs = torch.stack([pairs, pairs], dim=1)
        neutral, shown = self.encoder(pairs.flatten(0, 1)).view(len(pairs), 2, -1).unbind(dim=1)
        features = torch.cat([shown - neutral, shown], dim=1)
        logits = self.head(features)
        return Answer(logits.softmax(dim=1), logits=logits, features=features)


@model(
    "ddoe",
    task="expression",
    input_px=224,
    alignment="crop",
    preprocessing="ImageNet mean and standard deviation; pairs of neutral and shown face in stage 2",
    paper="disentangled difference of embeddings, two stages (seed study)",
)
class DisentangledEmbeddings(nn.Module):
    """First stage: an encoder of emotion learns beside a frozen encoder of identity.

    Parameters
    ----------
    n_outputs : int
        Classes.
    identity : nn.Module, optional
        Gives (b, 2048) of images, such as a ResNet-50 trained on VGGFace2 that the user supplies; a fresh
        ResNet-50 where absent, which knows nobody. Is frozen.
    identity_depth : {50, 18}
        Of that fresh network; the study has 50.
    residual : {18, 50}, optional
        Depth of a residual network that learns emotion in the place of MobileNetV3.
    """

    taken_over: ClassVar[dict[str, str]] = {"body.": "emotion.body."}
    """Where weights of a residual network belong."""

    def __init__(
        self,
        n_outputs: int = 8,
        identity: nn.Module | None = None,
        *,
        identity_depth: Literal[18, 50] = 50,
        residual: Literal[18, 50] | None = None,
    ) -> None:
        super().__init__()
        self.n_outputs, self.residual = n_outputs, residual
        self.emotion, n_emotion = _encoder(residual)
        body = ResNet(identity_depth)
        self.identity = Frozen(identity or _Pooled(body))
        n_identity = IDENTITY if identity is not None else body.n_channels
        self.head = _perceptron(n_emotion + n_identity, n_outputs)

    def forward(self, images: Tensor) -> Answer:
        """Return class probabilities of images (b, 3, h, w)."""
        features = torch.cat([self.emotion(images), self.identity(images)], dim=1)
        logits = self.head(features)
        return Answer(logits.softmax(dim=1), logits=logits, features=features)

    def second_stage(self) -> DifferenceOfEmbeddings:
        """Return the second stage: difference of embeddings of the emotion encoder, now frozen."""
        return DifferenceOfEmbeddings(self.n_outputs, self.emotion, residual=self.residual)


def _encoder(residual: Literal[18, 50] | None) -> tuple[nn.Module, int]:
    """Return a fresh encoder and the length of its embeddings."""
    if residual is None:
        return MobileNetV3(), N_CHANNELS
    body = ResNet(residual)
    return _Pooled(body), body.n_channels


class _Pooled(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.body(images).mean(dim=(2, 3))
        return found
