"""Frame features and sound, fused by a transformer over clips of 100 frames.

After Zhang, Ma, Qiu & Ding (2023), Facial affective analysis based on MAE and multi-modal information for 5th
ABAW competition (CVPR workshops); in our own code, with the root in the attention and a bounded answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from duchenne.analysis.models.mae_teacher import PatchEncoder
from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model
from duchenne.analysis.training.losses import concordance

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import ViTMAEConfig

CLIP_FRAMES = 100
FRAME_FEATURES, SOUND_FEATURES = 768, 896


@model(
    "mae_fusion",
    task="affect",
    input_px=224,
    alignment="A2",
    preprocessing="ImageNet mean and standard deviation; clips of 100 frames and their sound",
    paper="Zhang et al. 2023 (CVPR workshops)",
)
class MaeFusion(nn.Module):
    """One layer over both kinds of features, a transformer over the frames, a head for each dimension.

    Parameters
    ----------
    n_outputs : int
        2: valence and arousal; 3 with dominance.
    n_frame, n_sound : int
        Features of a frame and of its sound; 0 for silent films.
    width, layers : int
        256 and 6 as the paper says; the released code has 128 and 4.
    config : transformers.ViTMAEConfig, optional
        Shape of a frozen encoder that turns pictures into the features of frames, the mean over their
        patches; ``n_frame`` is then its width. Without, features must be given.
    """

    taken_over: ClassVar[dict[str, str]] = {
        "body.vit.": "encoder.body.",
        "encoder.": "encoder.body.",
    }
    """Where weights of a pre-trained auto-encoder, or of a teacher, belong."""

    def __init__(
        self,
        n_outputs: int = 2,
        n_frame: int = FRAME_FEATURES,
        n_sound: int = SOUND_FEATURES,
        *,
        width: int = 256,
        layers: int = 6,
        heads: int = 4,
        dropout: float = 0.3,
        config: ViTMAEConfig | None = None,
    ) -> None:
        super().__init__()
        self.encoder = None if config is None else PatchEncoder(config)
        if config is not None:
            n_frame = config.hidden_size
        self.n_sound = n_sound
        self.join = nn.Sequential(nn.Conv1d(n_frame + n_sound, width, 1), nn.LeakyReLU(0.1))
        layer = nn.TransformerEncoderLayer(
            width, heads, dim_feedforward=width, dropout=dropout, batch_first=True
        )
        self.over_frames = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 64), nn.BatchNorm1d(64), nn.Linear(64, 1))
            for _ in range(n_outputs)
        )

    def encode(self, images: Tensor) -> Tensor:
        """Return the features of pictures (..., 3, h, w), by the frozen encoder: (..., n_frame)."""
        if self.encoder is None:
            raise ValueError("this system has no encoder of pictures")
        found: Tensor = self.encoder(images.flatten(0, -4))
        return found.view(*images.shape[:-3], -1)

    def forward(
        self, frames: Tensor, sound: Tensor | None = None, missing: Tensor | None = None
    ) -> Answer:
        """Return valence and arousal of each frame, -1 to 1: (b, t, n_outputs).

        Parameters
        ----------
        frames : (b, t, n_frame) float32
        sound : (b, t, n_sound) float32, optional
            Silence, zeros, where absent.
        missing : (b, t) bool, optional
            Frames that nobody looks at, such as those without a face.
        """
        if self.n_sound:
            if sound is None:
                sound = frames.new_zeros(*frames.shape[:2], self.n_sound)
            frames = torch.cat([frames, sound], dim=2)
        x = self.join(frames.transpose(1, 2)).transpose(1, 2)
        x = self.over_frames(x, src_key_padding_mask=missing)
        flat = x.flatten(0, 1)
        answers = torch.cat([head(flat) for head in self.heads], dim=1)
        return Answer(torch.tanh(answers).view(*x.shape[:2], -1), features=x)


def fusion_loss(answer: Answer, truth: Tensor) -> dict[str, Tensor]:
    """Return ``sum (1 - CCC)`` over the dimensions as ``total``, and each under its number.

    Parameters
    ----------
    answer : Answer
    truth : (b, t, k) Tensor
        -1 to 1, NaN where not known.
    """
    found, wanted = answer.values.flatten(0, 1).float(), truth.flatten(0, 1)
    losses = {str(i): 1 - concordance(found[:, i], wanted[:, i]) for i in range(wanted.shape[1])}
    return {"total": sum(losses.values(), start=found.sum() * 0.0), **losses}
