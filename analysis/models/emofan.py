"""EmoFAN (EmoNet): landmarks by a face-alignment network, whose maps say where to look for affect.

After Toisoul, Kossaifi, Bulat, Tzimiropoulos & Pantic (2021), Estimation of continuous valence and arousal
levels from faces in naturalistic conditions (Nature Machine Intelligence), and Bulat & Tzimiropoulos (2017),
How far are we from solving the 2D & 3D face alignment problem (ICCV); in our own code, from a description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as fn

from duchenne.analysis.models.heatmap import Hourglass
from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model
from duchenne.analysis.training.losses import (
    concordance,
    correlation,
    masked_cross_entropy,
    masked_mse,
)

if TYPE_CHECKING:
    from torch import Tensor

N_LANDMARKS, WIDTH, STACKS, DEPTH = 68, 256, 2, 4


class HierarchicalBlock(nn.Module):
    """Three convolutions in a row, each activated before, whose outputs are put side by side."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        widths = ((n_in, n_out // 2), (n_out // 2, n_out // 4), (n_out // 4, n_out // 4))
        self.steps = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(a), nn.ReLU(), nn.Conv2d(a, b, 3, padding=1, bias=False))
            for a, b in widths
        )
        self.skip = (
            nn.Identity()
            if n_in == n_out
            else nn.Sequential(
                nn.BatchNorm2d(n_in), nn.ReLU(), nn.Conv2d(n_in, n_out, 1, bias=False)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, n_out, h, w)."""
        parts, rest = [], x
        for step in self.steps:
            rest = step(rest)
            parts.append(rest)
        found: Tensor = torch.cat(parts, dim=1) + self.skip(x)
        return found


class MaxHourglass(Hourglass):
    """An hourglass that keeps the highest of four cells on the way down, not their mean."""

    def pool(self, x: Tensor) -> Tensor:
        """Return the highest of four cells."""
        return fn.max_pool2d(x, 2)


def _top() -> nn.ModuleDict:
    """Return what stands on an hourglass: block, features, heat maps."""
    return nn.ModuleDict(
        {
            "block": HierarchicalBlock(WIDTH, WIDTH),
            "features": nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 1), nn.BatchNorm2d(WIDTH), nn.ReLU()),
            "heat": nn.Conv2d(WIDTH, N_LANDMARKS, 1),
        }
    )


@model(
    "emofan",
    task="affect",
    input_px=256,
    alignment="A3",
    preprocessing="RGB, 0 to 1",
    paper="Toisoul et al. 2021 (Nature Machine Intelligence)",
    default_n_outputs=8,
    weights="the authors' weights are CC BY-NC-ND 4.0: you load your own copy, nothing is converted",
)
class EmoFan(nn.Module):
    """Two stacked hourglasses, frozen; attention from the landmark maps; expression, valence, arousal.

    Parameters
    ----------
    n_outputs : int
        Classes of expression, 8 or 5; valence and arousal come besides.
    alignment : bool
        Let the face-alignment network learn too, from landmarks (`alignment_loss`): what a training without
        weights for it begins with. It is frozen otherwise, as published.
    """

    def __init__(self, n_outputs: int = 8, *, alignment: bool = False) -> None:
        super().__init__()
        self.alignment = alignment
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, stride=2, padding=3), nn.BatchNorm2d(64), nn.ReLU(),
            HierarchicalBlock(64, 128), nn.MaxPool2d(2),
            HierarchicalBlock(128, 128), HierarchicalBlock(128, WIDTH),
        )  # fmt: skip
        self.hourglasses = nn.ModuleList(
            MaxHourglass(DEPTH, WIDTH, HierarchicalBlock) for _ in range(STACKS)
        )
        self.tops = nn.ModuleList(_top() for _ in range(STACKS))
        self.back_features = nn.Conv2d(WIDTH, WIDTH, 1)
        self.back_heat = nn.Conv2d(N_LANDMARKS, WIDTH, 1)
        for part in self.alignment_parts():
            part.requires_grad_(requires_grad=alignment)
        self.join = nn.Conv2d((1 + STACKS) * WIDTH, WIDTH, 1)
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [HierarchicalBlock(WIDTH, WIDTH), nn.MaxPool2d(2)]
        self.affect = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(WIDTH, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, n_outputs + 2)
        )

    def alignment_parts(self) -> list[nn.Module]:
        """Return the face-alignment network, which is frozen as a rule."""
        return [self.stem, self.hourglasses, self.tops, self.back_features, self.back_heat]

    def train(self, mode: bool = True) -> EmoFan:
        """Train what reads affect; a frozen face-alignment network stays as it is."""
        super().train(mode)
        for part in () if self.alignment else self.alignment_parts():
            part.eval()
        return self

    def forward(self, images: Tensor) -> Answer:
        """Return valence and arousal, not bounded, of images (b, 3, 256, 256).

        ``extra["expression"]`` are class logits; ``landmarks`` are in pixels of the input.
        """
        x = self.stem(images)
        before, kept, heats = x, [], []
        for i, (hourglass, top) in enumerate(zip(self.hourglasses, self.tops, strict=True)):
            parts = dict(top.named_children())
            features = parts["features"](parts["block"](hourglass(before)))
            heats.append(parts["heat"](features))
            if i < STACKS - 1:
                features = self.back_features(features)
                before = before + features + self.back_heat(heats[-1])
            kept.append(features)
        heat = heats[-1]
        mask = heat.sum(dim=1, keepdim=True)
        joined = self.join(torch.cat([x, *(mask * features for features in kept)], dim=1))
        features = self.affect(joined).mean(dim=(2, 3))
        outputs = self.head(features)
        extra = {"expression": outputs[:, :-2]}
        if self.alignment:
            extra["heats"] = torch.stack(heats, dim=1)
        return Answer(
            outputs[:, -2:],
            features=features,
            landmarks=_peaks(heat) * (images.shape[-1] / heat.shape[-1]),
            maps={"attention": mask, "heat": heat},
            extra=extra,
        )


def _peaks(heat: Tensor) -> Tensor:
    """Return where each map is highest, in its own pixels: (b, n, h, w) to (b, n, 2), x first."""
    width = heat.shape[-1]
    highest = heat.flatten(2).argmax(dim=2)
    return torch.stack([highest % width + 0.5, highest // width + 0.5], dim=2)


def alignment_loss(answer: Answer, points: Tensor, side_px: int) -> Tensor:
    """Return how far the maps of all stacks are from bells about the landmarks: a scalar.

    The squared differences are summed over each map and averaged over maps and faces; a bell has a standard
    deviation of one cell, and a map without any answer counts about 3.

    Parameters
    ----------
    answer : Answer
        Of a system whose alignment learns.
    points : (b, 68, 2) Tensor
        Pixels of the input; NaN where not known.
    side_px : int
        Side of the input.
    """
    found = answer.extra["heats"].float()
    n = found.shape[-1]
    at = torch.arange(n, device=found.device, dtype=found.dtype) + 0.5
    places = points * (n / side_px)
    dx = at[None, None, None, :] - places[..., 0, None, None]
    dy = at[None, None, :, None] - places[..., 1, None, None]
    bells = torch.exp(-(dx**2 + dy**2) / 2)[:, None].expand_as(found)
    known = torch.isfinite(bells)
    squared = ((found - torch.nan_to_num(bells)) ** 2 * known).sum(dim=(-2, -1))
    return squared.sum() / known.amax(dim=(-2, -1)).sum().clamp(min=1)


def shake_weights(generator: torch.Generator | None = None) -> Tensor:
    """Return three random weights that sum to 1, of squared error, correlation and concordance."""
    drawn = torch.rand(3, generator=generator) + 1e-6
    return drawn / drawn.sum()


def shake_loss(
    answer: Answer, affect: Tensor, classes: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """Return the named losses of one iteration and their ``total``.

    Parameters
    ----------
    answer : Answer
    affect : (b, 2) Tensor
        Valence and arousal, NaN where not known.
    classes : (b,) Tensor
        Expression, negative where not known.
    weights : (3,) Tensor
        Of `shake_weights`, drawn anew for each iteration.
    """
    found = answer.values.float()
    r = (correlation(found[:, 0], affect[:, 0]) + correlation(found[:, 1], affect[:, 1])) / 2
    c = (concordance(found[:, 0], affect[:, 0]) + concordance(found[:, 1], affect[:, 1])) / 2
    losses = {
        "expression": masked_cross_entropy(answer.extra["expression"].float(), classes),
        "mse": masked_mse(found, affect),
        "correlation": 1 - r,
        "concordance": 1 - c,
    }
    shaken = weights[0] * losses["mse"] + weights[1] * (1 - r) + weights[2] * (1 - c)
    return {"total": losses["expression"] + shaken, **losses}


def mirrored_affect(net: nn.Module, images: Tensor) -> Tensor:
    """Return valence and arousal, the mean over the picture and its mirror image, -1 to 1: (b, 2)."""
    both: Tensor = (net(images).values + net(images.flip(-1)).values) / 2
    return fn.hardtanh(both)
