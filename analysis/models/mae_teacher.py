"""The teacher: a vision transformer pre-trained as masked auto-encoder, with a head over all patches.

Pre-training after He et al. 2022 (Masked autoencoders are scalable vision learners); the head after
the description of LibreFace (Chang et al., WACV 2024), in our own code.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn
from transformers import ViTMAEConfig, ViTMAEForPreTraining, ViTMAEModel

from duchenne.analysis.models.outputs import Answer, Learns, learnable, told
from duchenne.analysis.models.registry import model

if TYPE_CHECKING:
    from torch import Tensor

FEATURES = 128
MASKED = 0.75


_LIBRARY = {
    "patch_size": "patch_px",
    "hidden_size": "width",
    "num_hidden_layers": "depth",
    "num_attention_heads": "heads",
    "decoder_hidden_size": "decoder_width",
    "decoder_num_hidden_layers": "decoder_depth",
}
"""What the transformers library calls the sizes."""


def mae_config(
    *,
    input_px: int = 224,
    patch_px: int = 16,
    width: int = 768,
    depth: int = 12,
    heads: int | None = None,
    decoder_width: int = 512,
    decoder_depth: int = 8,
    masked: float = MASKED,
    standardised: bool = True,
) -> ViTMAEConfig:
    """Return the shape of the auto-encoder; ViT-B/16 with a decoder of 8 × 512 by default.

    Parameters
    ----------
    input_px, patch_px : int
        Sides of a picture and of a patch; the first must be a multiple of the second.
    width, depth, heads : int
        Of the encoder; a head for every 64 of the width where none are given.
    decoder_width, decoder_depth : int
    masked : float
        Share of the patches that are hidden in pre-training.
    standardised : bool
        Paint each patch less its mean and by its spread, rather than its pixels.

    Raises
    ------
    ValueError
        When the sizes do not divide each other.
    """
    heads = heads or max(1, width // 64)
    if input_px % patch_px:
        raise ValueError(f"{input_px} pixels are no whole number of patches of {patch_px}")
    if width % heads or width % 4:
        raise ValueError(f"a width of {width} cannot be shared by {heads} heads and 4 waves")
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
        mask_ratio=masked,
        norm_pix_loss=standardised,
    )


def encoder_config(input_px: int, encoder: dict[str, Any]) -> ViTMAEConfig:
    """Return the shape that settings ask for, in our words or in those of the transformers library."""
    return mae_config(
        **{"input_px": input_px, **{_LIBRARY.get(k, k): v for k, v in encoder.items()}}
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
        return self.errors(images, noise).mean()

    def errors(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return the mean squared error over the hidden patches of each picture: (b,)."""
        found = self.body(images, noise=noise)
        wanted = self.body.patchify(images)
        return hidden_error(
            wanted, found.logits, found.mask, standardised=self.body.config.norm_pix_loss
        )

    @property
    def n_patches(self) -> int:
        """Patches of an image."""
        return _n_patches(self.body.config)

    @property
    def encoder(self) -> ViTMAEModel:
        """The part that the teacher goes on with."""
        found: ViTMAEModel = self.body.vit
        return found


class PatchEncoder(nn.Module):
    """A frozen encoder that sees every patch; the mean over them is what it tells of a picture.

    Parameters
    ----------
    config : transformers.ViTMAEConfig
    """

    def __init__(self, config: ViTMAEConfig) -> None:
        super().__init__()
        config = deepcopy(config)
        config.mask_ratio = 0.0
        self.body = ViTMAEModel(config)
        _place(self.body.embeddings.position_embeddings)
        self.n_patches = _n_patches(config)
        self.eval().requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> PatchEncoder:  # noqa: ARG002 (it never learns)
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of pictures (b, 3, h, w), without a gradient: (b, width)."""
        in_order = torch.arange(self.n_patches, device=images.device, dtype=torch.float32)
        with torch.no_grad():
            tokens = self.body(images, noise=in_order.expand(len(images), -1)).last_hidden_state
        found: Tensor = tokens[:, 1:].mean(dim=1)
        return found


def hidden_error(
    wanted: Tensor, painted: Tensor, hidden: Tensor, *, standardised: bool = False
) -> Tensor:
    """Return the mean squared error over the hidden patches of each picture: (b,).

    Parameters
    ----------
    wanted, painted : (b, n_patches, n_values) Tensor
        Values of the pixels of each patch.
    hidden : (b, n_patches) Tensor
        1 where a patch was hidden, 0 where it was seen.
    standardised : bool
        What is wanted of a patch is less its mean and by its standard deviation (over n - 1).
    """
    wanted = wanted.float()
    if standardised:
        spread = (wanted.var(dim=-1, keepdim=True) + 1e-6).sqrt()
        wanted = (wanted - wanted.mean(dim=-1, keepdim=True)) / spread
    squared = ((painted.float() - wanted) ** 2).mean(dim=-1)
    return (squared * hidden).sum(dim=1) / hidden.sum(dim=1)


@model(
    "mae_pretraining",
    task="pictures",
    input_px=224,
    alignment="A2",
    preprocessing="ImageNet mean and standard deviation",
    paper="He et al. 2022 (MAE)",
)
def mae_pretraining(n_outputs: int = 0, config: ViTMAEConfig | None = None) -> MaskedAutoencoder:
    """Return the auto-encoder for pre-training.

    Parameters
    ----------
    n_outputs : int
        Always 0: it learns from pictures alone.
    config : transformers.ViTMAEConfig, optional
        ViT-B/16 at 224 pixels where absent.
    """
    if n_outputs:
        raise ValueError("pre-training takes no labels")
    return MaskedAutoencoder(config or mae_config())


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
        Action Units, or classes.
    config : transformers.ViTMAEConfig, optional
        Shape of the encoder; ViT-B/16 at 224 pixels where absent.
    dropout : float
    learns : {"intensity", "occurrence", "expression"}
        Whether outputs are intensities, probabilities of Action Units, or of classes.
    """

    taken_over: ClassVar[dict[str, str]] = {"body.vit.": "encoder."}
    """Where weights of a pre-trained auto-encoder belong."""

    def __init__(
        self,
        n_outputs: int = 12,
        config: ViTMAEConfig | None = None,
        dropout: float = 0.1,
        learns: Learns = "intensity",
    ) -> None:
        super().__init__()
        self.learns = learnable(learns)
        self.config = deepcopy(config or mae_config())
        self.config.mask_ratio = 0.0
        self.encoder = ViTMAEModel(self.config)
        _place(self.encoder.embeddings.position_embeddings)
        self.to_features = nn.Linear(self.n_patches * self.config.hidden_size, FEATURES)
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
        """Return intensities, 0 to 5 (see ``learns``), and the 128 features that distillation compares."""
        in_order = torch.arange(self.n_patches, device=images.device, dtype=torch.float32)
        tokens = self.encoder(images, noise=in_order.expand(len(images), -1)).last_hidden_state
        features = self.to_features(tokens[:, 1:].flatten(1))
        return self.answer(features)

    def answer(self, features: Tensor) -> Answer:
        """Return what the head answers to features: (b, 128)."""
        logits = self.head(features)
        return Answer(told(logits, self.learns), logits=logits, features=features)

    @property
    def n_patches(self) -> int:
        """Patches of an image."""
        return _n_patches(self.config)


def _n_patches(config: ViTMAEConfig) -> int:
    side: int = config.image_size // config.patch_size
    return side**2
