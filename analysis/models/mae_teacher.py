"""The teacher: a vision transformer pre-trained as masked auto-encoder, with a head over all patches.

Pre-training after He et al. 2022 (Masked autoencoders are scalable vision learners); the head after
the description of LibreFace (Chang et al., WACV 2024), in our own code.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import ViTMAEConfig, ViTMAEForPreTraining, ViTMAEModel

from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model

if TYPE_CHECKING:
    from torch import Tensor

FEATURES = 128
MASKED = 0.75


def mae_config(
    *,
    input_px: int = 224,
    patch_px: int = 16,
    width: int = 768,
    depth: int = 12,
    heads: int = 12,
    decoder_width: int = 512,
    decoder_depth: int = 8,
) -> ViTMAEConfig:
    """Return the shape of the auto-encoder; ViT-B/16 with a decoder of 8 × 512 by default."""
    return ViTMAEConfig(
        image_size=input_px,
        patch_size=patch_px,
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        decoder_hidden_size=decoder_width,
        decoder_num_hidden_layers=decoder_depth,
        decoder_num_attention_heads=max(1, decoder_width // 32),
        decoder_intermediate_size=4 * decoder_width,
        mask_ratio=MASKED,
        norm_pix_loss=True,
    )


def sine_positions(side: int, width: int) -> Tensor:
    """Return the fixed positions of patches, none for the class token: (1, side² + 1, width) float32.

    Sines and cosines of the column, then of the row, at wavelengths from 2 pi to 20,000 pi (Vaswani et al.
    2017; He et al. 2022).

    Parameters
    ----------
    side : int
        Patches in a row.
    width : int
        Divisible by 4.
    """
    quarter = width // 4
    rates = 10_000.0 ** -(torch.arange(quarter, dtype=torch.float64) / quarter)
    row, column = torch.meshgrid(
        torch.arange(side, dtype=torch.float64),
        torch.arange(side, dtype=torch.float64),
        indexing="ij",
    )
    waves = [
        wave(at.flatten()[:, None] * rates)
        for at in (column, row)
        for wave in (torch.sin, torch.cos)
    ]
    patches = torch.cat(waves, dim=1)
    return torch.cat([torch.zeros(1, width), patches.float()])[None]


def _place(positions: nn.Parameter) -> None:
    """Fill in the positions of patches, which the library leaves at 0 in a fresh network."""
    side = round((positions.shape[1] - 1) ** 0.5)
    with torch.no_grad():
        positions.copy_(sine_positions(side, positions.shape[2]))


class MaskedAutoencoder(nn.Module):
    """Encoder and decoder for pre-training: three quarters of the patches are hidden and painted again.

    Parameters
    ----------
    config : transformers.ViTMAEConfig
    """

    def __init__(self, config: ViTMAEConfig) -> None:
        super().__init__()
        self.body = ViTMAEForPreTraining(config)
        nn.init.normal_(self.body.decoder.mask_token, std=config.initializer_range)
        _place(self.body.decoder.decoder_pos_embed)
        _place(self.encoder.embeddings.position_embeddings)

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return the mean squared error over the hidden patches: a scalar.

        Parameters
        ----------
        images : (b, 3, h, w) float32
        noise : (b, n_patches) float32, optional
            Decides which patches are hidden: those of the largest numbers. Random where absent.
        """
        loss: Tensor = self.body(images, noise=noise).loss
        return loss

    @property
    def encoder(self) -> ViTMAEModel:
        """The part that the teacher goes on with."""
        found: ViTMAEModel = self.body.vit
        return found


@model(
    "mae_teacher",
    task="intensity",
    input_px=224,
    alignment="A2",
    preprocessing="ImageNet mean and standard deviation",
    paper="He et al. 2022 (MAE); head of Chang et al. 2024, LibreFace (WACV)",
)
class MaeTeacher(nn.Module):
    """ViT encoder; all patches flattened, 128, 32, then the outputs.

    The encoder of the transformers library carries a class token besides the patches; the head does not
    look at it.

    Parameters
    ----------
    n_outputs : int
        Action Units.
    config : transformers.ViTMAEConfig, optional
        Shape of the encoder; ViT-B/16 at 224 pixels where absent.
    dropout : float
    """

    def __init__(
        self, n_outputs: int = 12, config: ViTMAEConfig | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.config = deepcopy(config or mae_config())
        self.config.mask_ratio = 0.0
        self.encoder = ViTMAEModel(self.config)
        _place(self.encoder.embeddings.position_embeddings)
        n_patches = (self.config.image_size // self.config.patch_size) ** 2
        self.to_features = nn.Linear(n_patches * self.config.hidden_size, FEATURES)
        self.head = nn.Sequential(
            nn.Linear(FEATURES, 32),
            nn.ReLU(),
            nn.BatchNorm1d(32),
            nn.Dropout(dropout),
            nn.Linear(32, n_outputs),
        )

    def load_encoder(self, pretrained: MaskedAutoencoder) -> None:
        """Take over the weights of a pre-trained auto-encoder of the same shape."""
        self.encoder.load_state_dict(pretrained.encoder.state_dict())

    def forward(self, images: Tensor) -> Answer:
        """Return intensities, 0 to 5, and the 128 features that distillation compares."""
        in_order = torch.arange(self.n_patches, device=images.device, dtype=torch.float32)
        tokens = self.encoder(images, noise=in_order.expand(len(images), -1)).last_hidden_state
        features = self.to_features(tokens[:, 1:].flatten(1))
        return self.answer(features)

    def answer(self, features: Tensor) -> Answer:
        """Return what the head answers to features: (b, 128)."""
        logits = self.head(features)
        return Answer(5.0 * torch.sigmoid(logits), logits=logits, features=features)

    @property
    def n_patches(self) -> int:
        """Patches of an image."""
        side: int = self.config.image_size // self.config.patch_size
        return side**2
