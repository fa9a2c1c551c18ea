"""ViT-SE: a vision transformer whose pooled features are weighed by squeeze and excitation.

After Aouayeb, Hamidouche, Soladie, Kpalma & Seguier (2021), Learning vision transformer with squeeze and
excitation for facial expression recognition; in our own code, the gate with the sigmoid of the paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import nn
from transformers import ViTConfig, ViTModel

from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model

if TYPE_CHECKING:
    from torch import Tensor


@model(
    "vit_se",
    task="expression",
    input_px=224,
    alignment="A2",
    preprocessing="mean and standard deviation 0.5",
    paper="Aouayeb et al. 2021, ViT + SE",
)
class ViTSqueezeExcite(nn.Module):
    """ViT-B/16, its pooled 768 features gated by themselves, one layer.

    Parameters
    ----------
    n_outputs : int
        Classes.
    config : transformers.ViTConfig, optional
        Shape of the transformer; ViT-B/16 at 224 pixels where absent.
    pool : {"class", "mean"}
        What is pooled: the class token (the paper's encoder learnt to fill it), or the mean of the
        patches, for encoders that never used a class token, as masked auto-encoders and `mae_teacher`.
    """

    taken_over: ClassVar[dict[str, str]] = {"body.vit.": "body.", "encoder.": "body."}
    """Where weights of a pre-trained auto-encoder, or of a teacher, belong."""

    def __init__(
        self, n_outputs: int = 8, config: ViTConfig | None = None, pool: str = "class"
    ) -> None:
        super().__init__()
        if pool not in ("class", "mean"):
            raise ValueError(f"pool is class or mean, not {pool!r}")
        self.pool = pool
        self.body = ViTModel(config or ViTConfig())
        width = self.body.config.hidden_size
        self.gate = nn.Sequential(
            nn.Linear(width, width // 4), nn.ReLU(), nn.Linear(width // 4, width), nn.Sigmoid()
        )
        self.head = nn.Linear(width, n_outputs)

    def forward(self, images: Tensor) -> Answer:
        """Return class probabilities of images (b, 3, 224, 224)."""
        seen = self.body(images)
        pooled: Tensor = seen.pooler_output
        if self.pool == "mean":
            pooled = self.body.pooler(seen.last_hidden_state[:, 1:].mean(dim=1, keepdim=True))
        features = pooled * self.gate(pooled)
        logits = self.head(features)
        return Answer(logits.softmax(dim=1), logits=logits, features=features)
