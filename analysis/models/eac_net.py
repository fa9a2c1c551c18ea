"""EAC-Net: VGG-19 that looks harder where Action Units move the skin, and crops there.

After Li, Abtahi, Zhu & Yin (2018), EAC-Net: deep nets with enhancing and cropping for facial Action
Unit detection (IEEE TPAMI), and its released description; in our own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional as fn

from duchenne.analysis.models.backbones import Vgg19, for_rectifiers
from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

INPUT_PX = 224
MAP_PX = 100
"""Attention is drawn on a square of so many pixels, which the face fills."""
EDGE = 0.05
"""The loss is bounded: probabilities are kept this far from 0 and 1."""
SLOPE = 0.095
"""How much attention falls with each pixel of distance: the paper's; the released map has 0.07."""
CROP_PX, CROPPED = 3, 150
_INNER_CORNERS = (39, 42)
# Pairs of landmarks (of 68, from 0) about which attention lies, and how far below them, in eye-corner
# distances. They are named by region: what the reference calls AU 17 and AU 23 is the other way about.
REGIONS: dict[str, tuple[tuple[int, int], float]] = {
    "inner brows (AU1)": ((21, 22), -1 / 2),
    "outer brows (AU2)": ((18, 25), -1 / 3),
    "brows (AU4)": ((19, 24), 1 / 3),
    "cheeks (AU6)": ((41, 46), 1.0),
    "lids (AU7)": ((38, 43), 0.0),
    "upper lip (AU10)": ((49, 53), 0.0),
    "mouth corners (AU12, AU14, AU15)": ((48, 54), 0.0),
    "outer lips (AU23, AU24)": ((51, 57), 0.0),
    "inner lips (AU23, AU24)": ((61, 63), 0.0),
    "chin (AU17)": ((56, 58), 1 / 2),
}
N_CROPS = 2 * len(REGIONS)


def centres(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centres of attention.

    Parameters
    ----------
    landmarks : (n, 68, 2) float64
        x right and y down, 0 to 1 over the picture.

    Returns
    -------
    (n, 20, 2) float64
        0 to 1, clipped to the picture.
    """
    ruler = np.abs(landmarks[:, _INNER_CORNERS[0], 0] - landmarks[:, _INNER_CORNERS[1], 0])
    points = []
    for pair, below in REGIONS.values():
        shift = np.stack([np.zeros(len(landmarks)), below * ruler], axis=1)
        points += [landmarks[:, i] + shift for i in pair]
    return np.clip(np.stack(points, axis=1), 0.0, 1.0)


def attention_map(points: NDArray[np.float64], slope: float = SLOPE) -> NDArray[np.float32]:
    """Return the attention maps of faces.

    Parameters
    ----------
    points : (n, 20, 2) float64
        As `centres` returns them.
    slope : float
        How much attention falls with each of a hundred pixels of Manhattan distance, down to 0 outside
        of a square of half width ``(1 - 0.05) / (2 slope)``, rounded: 5 pixels for 0.095 (the paper), 7
        for 0.07 (the released map).

    Returns
    -------
    (n, 100, 100) float32
        0 to 1: the largest over the centres.
    """
    half = round((1 - 0.05) / (2 * slope))
    at = np.arange(MAP_PX)
    where = np.round(points * (MAP_PX - 1))
    dx = np.abs(at - where[..., 0, None])
    dy = np.abs(at - where[..., 1, None])
    distance = dy[..., :, None] + dx[..., None, :]
    inside = (dy <= half)[..., :, None] & (dx <= half)[..., None, :]
    values = np.where(inside, np.maximum(0.0, 1.0 - slope * distance), 0.0)
    return np.asarray(values.max(axis=1), np.float32)


@model(
    "eac_net",
    task="occurrence",
    input_px=INPUT_PX,
    alignment="crop",
    preprocessing="BGR, 0 to 255 less 103.94, 116.78, 123.68; needs 68 landmarks for its attention",
    paper="Li et al. 2018, EAC-Net (IEEE TPAMI)",
    sizes="one",
)
class EacNet(nn.Module):
    """Enhancing and cropping nets over one VGG-19.

    Parameters
    ----------
    n_outputs : int
        Action Units.
    width : int
        Units of the first layer of the enhancing head; 4096 in the paper, less for small trials.
    slope : float
        Of the maps that are drawn for it (`attention_map`).
    """

    def __init__(self, n_outputs: int = 12, width: int = 4096, slope: float = SLOPE) -> None:
        super().__init__()
        self.slope = slope
        self.vgg = Vgg19()
        for stage in list(self.vgg)[:2]:
            stage.requires_grad_(requires_grad=False)
        self.enhanced = nn.Sequential(
            nn.Linear(512 * 7 * 7, width), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(width, width // 2), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(width // 2, n_outputs),
        )  # fmt: skip
        self.normalised = nn.LocalResponseNorm(5, alpha=2e-5, beta=0.75)
        self.crop_convolutions = nn.ModuleList(nn.Conv2d(512, 512, 3) for _ in range(N_CROPS))
        self.crop_convolutions.apply(for_rectifiers)
        self.crop_layers = nn.ModuleList(nn.Linear(512 * 4 * 4, CROPPED) for _ in range(N_CROPS))
        self.cropped = nn.Sequential(
            nn.Linear(N_CROPS * CROPPED, 2048), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(2048, n_outputs),
        )  # fmt: skip

    def forward(
        self, images: Tensor, attention: Tensor | None = None, points: Tensor | None = None
    ) -> Answer:
        """Return probabilities of occurrence.

        Parameters
        ----------
        images : (b, 3, 224, 224) float32
        attention : (b, 100, 100) float32, optional
            Of `attention_map`; the whole picture alike where absent.
        points : (b, 20, 2) float32, optional
            Of `centres`; the middle of the picture where absent.

        Returns
        -------
        Answer
            ``extra["enhancing_logits"]`` are the outputs of the enhancing net alone.
        """
        if attention is None:
            attention = images.new_ones(len(images), MAP_PX, MAP_PX)
        if points is None:
            points = images.new_full((len(images), N_CROPS, 2), 0.5)
        drawn = fn.interpolate(attention[:, None], size=INPUT_PX, mode="bilinear")
        at = {size: fn.adaptive_avg_pool2d(drawn, size) for size in (56, 28)}
        x = images
        for number, stage in enumerate(self.vgg, 1):
            first = None
            for layer in stage.children():
                x = layer(x)
                first = x if first is None else first
            assert first is not None
            if number in (3, 4):
                x = x + at[x.shape[-1]] * first
            if number == 4:
                middle = x
            x = fn.max_pool2d(x, 2)
        enhancing = self.enhanced(x.flatten(1))
        logits = self.cropped(self._crops(self.normalised(middle), points))
        return Answer(
            torch.sigmoid(logits),
            logits=logits,
            maps={"attention": drawn},
            extra={"enhancing_logits": enhancing},
        )

    def _crops(self, features: Tensor, points: Tensor) -> Tensor:
        """Return what is seen about every centre: (b, 20 x 150).

        A crop holds 3 x 3 cells about a centre, brought to 6 x 6; cells are kept off the border.
        """
        n_cells = features.shape[-1]
        cell = (points * n_cells).floor().clamp(1, n_cells - 2)
        steps = torch.linspace(-1.25, 1.25, 2 * CROP_PX, device=features.device)
        down, across = torch.meshgrid(steps, steps, indexing="ij")
        around = torch.stack([across, down], dim=-1)
        seen = []
        for i, (convolution, layer) in enumerate(
            zip(self.crop_convolutions, self.crop_layers, strict=True)
        ):
            places = cell[:, i, None, None, :] + around
            grid = (2 * places + 1) / n_cells - 1
            crop = fn.grid_sample(features, grid, align_corners=False)
            seen.append(torch.relu(layer(torch.relu(convolution(crop)).flatten(1))))
        return torch.cat(seen, dim=1)


def bounded_loss(probabilities: Tensor, truth: Tensor) -> Tensor:
    """Return the loss of the paper, at most log 21 for a wrong answer.

    ``-sum(l log((p + .05) / 1.05) + (1 - l) log((1.05 - p) / 1.05)) / (n AUs x batch)``

    Parameters
    ----------
    probabilities : (b, k) Tensor
        0 to 1.
    truth : (b, k) Tensor
        1 occurs, 0 does not, NaN not known (left out).
    """
    known = torch.isfinite(truth)
    target = torch.nan_to_num(truth)
    shown = target * torch.log((probabilities + EDGE) / (1 + EDGE))
    absent = (1 - target) * torch.log((1 + EDGE - probabilities) / (1 + EDGE))
    return -((shown + absent) * known).sum() / known.sum().clamp(min=1)


def eac_loss(answer: Answer, truth: Tensor) -> dict[str, Tensor]:
    """Return the named losses of both nets and their ``total``."""
    cropping = bounded_loss(answer.values, truth)
    enhancing = bounded_loss(torch.sigmoid(answer.extra["enhancing_logits"]), truth)
    return {"total": cropping + enhancing, "cropping": cropping, "enhancing": enhancing}
