"""JAA-Net and JÂA-Net: Action Units and landmarks learnt together, attention that adapts.

After Shao, Liu, Cai & Ma: Deep adaptive attention for joint facial Action Unit detection and face alignment
(ECCV 2018), and JÂA-Net (IJCV 2021); in our own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as fn

from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

INPUT_PX = 176
UNIT = 8
FEATURE_PX = 44
MAP_PX = 52
"""Initial maps are larger than the features by what four convolutions without padding cut off."""
N_LANDMARKS = 49
EMBEDDED = 160 * 5 * 5
FALL, SPREAD = 0.56, 0.14
HALF_PX = 4
BP4D_UNITS = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
DISFA_UNITS = (1, 2, 4, 6, 9, 12, 25, 26)
# Inner eye corners among the 49 points: their horizontal distance is the ruler.
_RULER = (22, 25)
# Pairs of the 49 points about which an Action Unit acts, and how far below them, in rulers. AU5 and AU20
# are not in the publications and lie where AU7 and AU12 do.
CENTRES: dict[int, tuple[tuple[int, int], float]] = {
    1: ((4, 5), -1 / 2),
    2: ((1, 8), -1 / 3),
    4: ((2, 7), 1 / 3),
    5: ((21, 26), 0.0),
    6: ((24, 29), 1.0),
    7: ((21, 26), 0.0),
    9: ((15, 17), -1 / 2),
    10: ((43, 45), 0.0),
    12: ((31, 37), 0.0),
    14: ((31, 37), 0.0),
    15: ((31, 37), 0.0),
    17: ((39, 41), 1 / 2),
    20: ((31, 37), 0.0),
    23: ((34, 40), 0.0),
    24: ((34, 40), 0.0),
    25: ((34, 40), 0.0),
    26: ((39, 41), 1 / 2),
}


def initial_maps(landmarks: Tensor, units: Sequence[int]) -> Tensor:
    """Return where each Action Unit acts, from the landmarks; no gradient goes through.

    Parameters
    ----------
    landmarks : (b, 49, 2) Tensor
        Pixels of the 176-pixel input.
    units : sequence of int

    Returns
    -------
    (b, n_units, 52, 52) Tensor
        1 at two centres per Action Unit, falling with the Manhattan distance within 4 pixels.
    """
    points = landmarks.detach() * (MAP_PX / INPUT_PX)
    ruler = (points[:, _RULER[0], 0] - points[:, _RULER[1], 0]).abs()
    at = torch.arange(MAP_PX, device=points.device, dtype=points.dtype)
    maps = []
    for unit in units:
        pair, below = CENTRES[unit]
        drawn = points.new_zeros(len(points), MAP_PX, MAP_PX)
        for i in pair:
            x = points[:, i, 0].round().clamp(0, MAP_PX - 1)
            y = (points[:, i, 1] + below * ruler).round().clamp(0, MAP_PX - 1)
            dx = (at - x[:, None]).abs()[:, None, :]
            dy = (at - y[:, None]).abs()[:, :, None]
            value = 1 - FALL * (dx + dy) / (MAP_PX * SPREAD)
            inside = (dx <= HALF_PX) & (dy <= HALF_PX)
            drawn = torch.maximum(drawn, torch.where(inside, value, 0.0).clamp(min=0))
        maps.append(drawn)
    return torch.stack(maps, dim=1)


class RegionLayer(nn.Module):
    """Convolutions whose weights differ between patches of the picture, at three scales."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, padding=1)
        widths = ((n_out, n_out // 2), (n_out // 2, n_out // 4), (n_out // 4, n_out // 4))
        self.branches = nn.ModuleList(
            nn.ModuleList(_normalised_first(a, b) for _ in range(side**2))
            for (a, b), side in zip(widths, (8, 4, 2), strict=True)
        )
        self.norm = nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same size: (b, n_out, h, w)."""
        x = self.first(x)
        seen, rest = [], x
        for branch, side in zip(self.branches, (8, 4, 2), strict=True):
            patches = list(branch.children())
            rows = rest.chunk(side, dim=2)
            rest = torch.cat(
                [
                    torch.cat(
                        [
                            patches[i * side + j](cell)
                            for j, cell in enumerate(row.chunk(side, dim=3))
                        ],
                        dim=3,
                    )
                    for i, row in enumerate(rows)
                ],
                dim=2,
            )
            seen.append(rest)
        found: Tensor = torch.relu(self.norm(x + torch.cat(seen, dim=1)))
        return found


def _normalised_first(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(n_in), nn.ReLU(), nn.Conv2d(n_in, n_out, 3, padding=1))


def _convolution(n_in: int, n_out: int, padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, 3, padding=padding), nn.BatchNorm2d(n_out), nn.ReLU()]


def _stack(n_in: int = 8 * UNIT) -> nn.Sequential:
    """Return six convolutions with three poolings: (b, 64, 44, 44) to (b, 160, 5, 5)."""
    layers: list[nn.Module] = []
    for width in (12 * UNIT, 16 * UNIT, 20 * UNIT):
        layers += [*_convolution(n_in, width), *_convolution(width, width), nn.MaxPool2d(2)]
        n_in = width
    return nn.Sequential(*layers)


class _JointNet(nn.Module):
    """What both versions share.

    Parameters
    ----------
    n_outputs : int
        12 Action Units of BP4D or 8 of DISFA, unless `units` names others.
    units : sequence of int, optional
        Numbers of the Action Units; each needs a place in ``CENTRES``.
    """

    second = False

    def __init__(self, n_outputs: int = 12, units: Sequence[int] | None = None) -> None:
        super().__init__()
        if units is None:
            units = DISFA_UNITS if n_outputs == len(DISFA_UNITS) else BP4D_UNITS
        if len(units) != n_outputs:
            raise ValueError(f"{n_outputs} outputs need as many units, not {len(units)}")
        self.units = tuple(units)
        self.regions = nn.Sequential(
            RegionLayer(3, 4 * UNIT),
            nn.MaxPool2d(2),
            RegionLayer(4 * UNIT, 8 * UNIT),
            nn.MaxPool2d(2),
        )
        self.align_stack = _stack()
        self.align = nn.Sequential(nn.Linear(EMBEDDED, 512), nn.Linear(512, 2 * N_LANDMARKS))
        width = 8 * UNIT
        self.refine = nn.ModuleList(
            nn.Sequential(
                *_convolution(1, width, 0), *_convolution(width, width, 0),
                *_convolution(width, width, 0), nn.Conv2d(width, 1, 3),
            )
            for _ in units
        )  # fmt: skip
        self.local = nn.ModuleList(_stack() for _ in units)
        self.whole = _stack()
        self.classify = nn.Sequential(nn.Linear(3 * EMBEDDED, 512), nn.Linear(512, 2 * n_outputs))
        if self.second:
            self.local_classify = nn.ModuleList(
                nn.Sequential(nn.Linear(EMBEDDED, 64), nn.Linear(64, 2)) for _ in units
            )

    def forward(self, images: Tensor) -> Answer:
        """Return probabilities, 49 landmarks and attention maps of images (b, 3, 176, 176)."""
        features = self.regions(images)
        aligned = self.align_stack(features).flatten(1)
        landmarks = self.align(aligned).view(-1, N_LANDMARKS, 2)
        drawn = initial_maps(landmarks, self.units)
        refined = torch.cat(
            [torch.sigmoid(net(drawn[:, i : i + 1])) for i, net in enumerate(self.refine)], dim=1
        )
        local = [net(features * refined[:, i : i + 1]) for i, net in enumerate(self.local)]
        mean = torch.stack(local).mean(dim=0).flatten(1)
        extra: dict[str, Tensor] = {}
        if self.second:
            extra["local_logits"] = torch.stack(
                [net(x.flatten(1)) for net, x in zip(self.local_classify, local, strict=True)],
                dim=1,
            )
            mean = mean.detach()
        whole = self.whole(features).flatten(1)
        logits = self.classify(torch.cat([aligned, whole, mean], dim=1)).view(len(images), -1, 2)
        return Answer(
            values=logits.softmax(dim=2)[..., 1],
            logits=logits,
            features=torch.cat([aligned, whole, mean], dim=1),
            landmarks=landmarks,
            maps={"attention": refined, "initial": drawn},
            extra=extra,
        )


_FACTS = {
    "task": "occurrence",
    "input_px": INPUT_PX,
    "alignment": "A1",
    "preprocessing": "-1 to 1",
}


@model("jaa_net", paper="Shao et al. 2018, JAA-Net (ECCV)", **_FACTS)  # type: ignore[arg-type]
class JaaNet(_JointNet):
    """JAA-Net; see the module."""


@model("jaa_net_v2", paper="Shao et al. 2021, JÂA-Net (IJCV)", **_FACTS)  # type: ignore[arg-type]
class JaaNetV2(_JointNet):
    """JÂA-Net: each Action Unit is also told from its own region alone."""

    second = True


def unit_weights(rates: Tensor) -> Tensor:
    """Return the weight of each Action Unit: rare ones count more, the mean is 1.

    Parameters
    ----------
    rates : (k,) Tensor
        Share of training frames in which each occurs, above 0.
    """
    inverse = 1 / rates
    return inverse / inverse.sum() * len(rates)


def softmax_loss(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted cross entropy: logits (b, k, 2), truth (b, k) with NaN where not known."""
    known = torch.isfinite(truth)
    nll = -logits.log_softmax(dim=2).gather(2, torch.nan_to_num(truth).long()[..., None])[..., 0]
    counts = known.sum(dim=0)
    mean = (nll * known).sum(dim=0) / counts.clamp(min=1)
    return (weights * mean)[counts > 0].sum() / len(weights)


def dice_loss(
    probabilities: Tensor, truth: Tensor, weights: Tensor, *, parity: bool = False
) -> Tensor:
    """Return the weighted Dice loss, ``1 - (2 sum p y + 1) / (sum p² + sum y² + 1)`` of each unit.

    Parameters
    ----------
    probabilities, truth : (b, k) Tensor
        Truth NaN where not known.
    weights : (k,) Tensor
    parity : bool
        As the released code has it, with the fraction divided by the batch size too.
    """
    known = torch.isfinite(truth)
    y = torch.nan_to_num(truth) * known
    p = probabilities * known
    share = (2 * (p * y).sum(dim=0) + 1) / ((p**2).sum(dim=0) + (y**2).sum(dim=0) + 1)
    if parity:
        share = share / len(truth)
    return (weights * (1 - share)).mean()


def landmark_loss(found: Tensor, truth: Tensor, between_eyes_px: Tensor) -> Tensor:
    """Return ``sum |dP|² / (2 d²)``, the mean over faces: points (b, 49, 2), distance (b,) in pixels."""
    squared = ((found - truth) ** 2).sum(dim=(1, 2))
    return (squared / (2 * between_eyes_px**2)).mean()


def jaa_loss(
    answer: Answer,
    truth: Tensor,
    landmarks: Tensor,
    between_eyes_px: Tensor,
    weights: Tensor,
    *,
    parity: bool = False,
) -> dict[str, Tensor]:
    """Return the named losses and their ``total``.

    Parameters
    ----------
    answer : Answer
        Of `JaaNet` or `JaaNetV2`, which are told apart by their outputs.
    truth : (b, k) Tensor
        1, 0, or NaN where not known.
    landmarks : (b, 49, 2) Tensor
    between_eyes_px : (b,) Tensor
        Distance of the eye centres.
    weights : (k,) Tensor
        Of `unit_weights`.
    parity : bool
        See `dice_loss`.
    """
    assert answer.logits is not None
    assert answer.landmarks is not None
    losses = {
        "softmax": softmax_loss(answer.logits, truth, weights),
        "dice": dice_loss(answer.values, truth, weights, parity=parity),
        "landmarks": landmark_loss(answer.landmarks, landmarks, between_eyes_px),
    }
    total = losses["softmax"] + losses["dice"] + 0.5 * losses["landmarks"]
    if "local_logits" in answer.extra:
        logits = answer.extra["local_logits"]
        losses["local"] = softmax_loss(logits, truth, weights) + dice_loss(
            logits.softmax(dim=2)[..., 1], truth, weights, parity=parity
        )
        total = total + losses["local"]
    else:
        wanted = fn.interpolate(answer.maps["initial"], size=FEATURE_PX, mode="bilinear")
        each = fn.binary_cross_entropy(
            answer.maps["attention"], wanted.clamp(0, 1), reduction="none"
        )
        losses["refine"] = each.mean(dim=(0, 2, 3)).sum()
        total = total + 1e-4 * losses["refine"]
    return {"total": total, **losses}
