"""JAA-Net and JÂA-Net: Action Units and landmarks learnt together, attention that adapts.

After Shao, Liu, Cai & Ma: Deep adaptive attention for joint facial Action Unit detection and face alignment
(ECCV 2018), and JÂA-Net (IJCV 2021); in our own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

INPUT_PX = 176
UNIT = 8
MAP_PX = 52
"""Initial maps are larger than the features by what four convolutions without padding cut off."""
N_LANDMARKS = 49
EMBEDDED = 160 * 5 * 5
FALL, SPREAD = 0.56, 0.14
HALF_PX = 4
BP4D_UNITS = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
DISFA_UNITS = (1, 2, 4, 6, 9, 12, 25, 26)
STAND_INS = {9: 12, 26: 17, 25: 23}
"""Whose branches an Action Unit starts from where the initial weights do not know it (BP4D to DISFA)."""
BRANCHES = ("refine", "local", "local_classify")
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
    points = landmarks.detach().float() * (MAP_PX / INPUT_PX)
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
    parity : bool
        Learn by the Dice loss of the released code (`dice_loss`).
    """

    second = False
    rates: ClassVar[dict[str, float]] = {}
    """How many times the learning rate parts learn with, by the beginning of their names."""

    def __init__(
        self, n_outputs: int = 12, units: Sequence[int] | None = None, *, parity: bool = False
    ) -> None:
        super().__init__()
        self.parity = parity
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

    def taken_from(self, given: Sequence[int]) -> dict[str, str]:
        """Return which of the parts that belong to one Action Unit start from which of other weights.

        Parameters
        ----------
        given : sequence of int
            Action Units of those weights, in their order.

        Returns
        -------
        dict
            From the beginning of names here to the beginning of names there: the branches of the same
            Action Unit, or of its stand-in; empty where there is none. The last layer, which answers all
            of them, starts fresh where they differ.
        """
        if tuple(given) == self.units:
            return {}
        places = {unit: i for i, unit in enumerate(given)}
        found = {"classify.1.": ""}
        for i, unit in enumerate(self.units):
            there = places.get(unit, places.get(STAND_INS.get(unit, 0)))
            for branch in BRANCHES:
                found[f"{branch}.{i}."] = "" if there is None else f"{branch}.{there}."
        return found

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
    "sizes": "one",
}


@model("jaa_net", paper="Shao et al. 2018, JAA-Net (ECCV)", **_FACTS)  # type: ignore[arg-type]
class JaaNet(_JointNet):
    """JAA-Net; see the module. Its maps are refined at twice the learning rate."""

    rates: ClassVar[dict[str, float]] = {"refine.": 2.0}


@model("jaa_net_v2", paper="Shao et al. 2021, JÂA-Net (IJCV)", **_FACTS)  # type: ignore[arg-type]
class JaaNetV2(_JointNet):
    """JÂA-Net: each Action Unit is also told from its own region alone."""

    second = True
