"""Action Unit intensity from heat maps: high where and as strongly as an Action Unit acts.

Two systems after Fan, Lam & Li (2020), Facial Action Unit intensity estimation via semantic correspondence
learning (AAAI), with and without its correspondence layers, and one after Sánchez-Lozano, Tzimiropoulos &
Valstar (2018), Joint Action Unit localisation and intensity estimation through heatmap regression (BMVC);
in our own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn
from torch.nn import functional as fn

from duchenne.analysis.models.backbones import ResNet
from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model

if TYPE_CHECKING:
    from torch import Tensor

INPUT_PX, MAP_PX = 256, 64
PEAK = 255.0
"""A map of the first two systems is as high as this for each intensity."""
SIGMA_PX = 2.0
UNITS = (6, 10, 12, 14, 17)
"""Action Units of BP4D with intensities, in the order of the maps."""
NEIGHBOURS = 7


class _Upsampling(nn.Sequential):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
        )


class Correspondence(nn.Module):
    """Channels that are alike look at each other.

    Each channel is a node, its map the features; the nearest channels in squared Euclidean distance are its
    neighbours, and the strongest of what it makes of each counts (Wang et al. 2019, dynamic graph CNN).

    Parameters
    ----------
    n_cells : int
        Cells of a map.
    neighbours : int
    """

    def __init__(self, n_cells: int, neighbours: int = NEIGHBOURS) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.edge = nn.Conv2d(2 * n_cells, n_cells, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape: (b, channels, h, w)."""
        nodes = maps.flatten(2)
        b, n, cells = nodes.shape
        near = torch.cdist(nodes, nodes).topk(min(self.neighbours, n), largest=False).indices
        others = nodes.gather(1, near.flatten(1)[..., None].expand(-1, -1, cells))
        others = others.view(b, n, -1, cells)
        own = nodes[:, :, None].expand_as(others)
        edges = torch.cat([own, others - own], dim=3).permute(0, 3, 1, 2)
        found: Tensor = self.edge(edges).amax(dim=3).transpose(1, 2)
        return torch.relu(found).reshape_as(maps)


def _intensities(maps: Tensor) -> Tensor:
    """Return the mean of the two points of each Action Unit: (b, 2 n, h, w) to (b, n)."""
    highest = (maps.flatten(2).amax(dim=2) / PEAK).clamp(0, 5)
    return highest.view(len(maps), -1, 2).mean(dim=2)


_PAPER = "Fan, Lam & Li 2020 (AAAI)"
_PREPROCESSING = "RGB, 0 to 255 less 123.68, 116.78, 103.94"


@model(
    "heatmap_deconv",
    task="intensity",
    input_px=INPUT_PX,
    alignment="A4",
    preprocessing=_PREPROCESSING,
    paper=f"{_PAPER}, without its correspondence layers",
    default_n_outputs=len(UNITS),
)
class HeatmapDeconv(nn.Module):
    """ResNet-50 and three transposed convolutions: two maps of 64 x 64 for each Action Unit.

    Parameters
    ----------
    n_outputs : int
        Action Units.
    """

    widths = (256, 256, 256)
    has_correspondence = False
    rates: ClassVar[dict[str, float]] = {"to_maps.": PEAK}
    """Times the learning rate: maps reach 5 x 255, far beyond what steps of an adaptive rate can follow."""

    def __init__(self, n_outputs: int = 5) -> None:
        super().__init__()
        self.body = ResNet(50)
        layers: list[nn.Module] = []
        n_in, side = self.body.n_channels, INPUT_PX // 32
        for width in self.widths:
            side *= 2
            layers.append(_Upsampling(n_in, width))
            if self.has_correspondence:
                layers.append(Correspondence(side**2))
            n_in = width
        self.up = nn.Sequential(*layers)
        self.to_maps = nn.Conv2d(n_in, 2 * n_outputs, 1)

    def forward(self, images: Tensor) -> Answer:
        """Return intensities, 0 to 5, and ``maps["heat"]``, of images (b, 3, 256, 256)."""
        maps = self.to_maps(self.up(self.body(images)))
        return Answer(_intensities(maps), maps={"heat": maps})


@model(
    "heatmap_scc",
    task="intensity",
    input_px=INPUT_PX,
    alignment="A4",
    preprocessing=_PREPROCESSING,
    paper=_PAPER,
    default_n_outputs=len(UNITS),
    sizes="one",
)
class HeatmapCorrespondence(HeatmapDeconv):
    """The same with a correspondence layer after each transposed convolution; input of 256 pixels only."""

    widths = (256, 128, 64)
    has_correspondence = True


class Bottleneck(nn.Module):
    """Residual block of three convolutions, activated after each."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        middle = n_out // 2
        self.body = nn.Sequential(
            nn.Conv2d(n_in, middle, 1, bias=False), nn.BatchNorm2d(middle), nn.ReLU(),
            nn.Conv2d(middle, middle, 3, padding=1, bias=False), nn.BatchNorm2d(middle), nn.ReLU(),
            nn.Conv2d(middle, n_out, 1, bias=False), nn.BatchNorm2d(n_out),
        )  # fmt: skip
        self.skip = (
            nn.Identity()
            if n_in == n_out
            else nn.Sequential(nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, n_out, h, w)."""
        return torch.relu(self.body(x) + self.skip(x))


class Hourglass(nn.Module):
    """Down and up again, with what was seen on the way added at each level (Newell et al. 2016).

    Parameters
    ----------
    depth : int
        Levels.
    block : callable
        Makes a block of so many channels in and out.
    n_channels : int
    """

    def __init__(self, depth: int, n_channels: int, block: type[nn.Module] = Bottleneck) -> None:
        super().__init__()
        self.beside = block(n_channels, n_channels)
        self.down = block(n_channels, n_channels)
        self.inner: nn.Module = (
            type(self)(depth - 1, n_channels, block) if depth > 1 else block(n_channels, n_channels)
        )
        self.up = block(n_channels, n_channels)

    def pool(self, x: Tensor) -> Tensor:
        """Return what four cells become on the way down: their mean."""
        return fn.avg_pool2d(x, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, n_channels, h, w)."""
        low = self.up(self.inner(self.down(self.pool(x))))
        found: Tensor = self.beside(x) + fn.interpolate(low, size=x.shape[-2:], mode="nearest")
        return found


@model(
    "heatmap_hourglass",
    task="intensity",
    input_px=INPUT_PX,
    alignment="A4",
    preprocessing="RGB, 0 to 1",
    paper="Sánchez-Lozano, Tzimiropoulos & Valstar 2018 (BMVC)",
    default_n_outputs=len(UNITS),
    sizes=64,
)
class HeatmapHourglass(nn.Module):
    """One hourglass of four levels: a map of 64 x 64 for each Action Unit.

    Parameters
    ----------
    n_outputs : int
        Action Units.
    """

    def __init__(self, n_outputs: int = 5) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, stride=2, padding=3), nn.BatchNorm2d(64), nn.ReLU(),
            Bottleneck(64, 128), nn.AvgPool2d(2), Bottleneck(128, 128), Bottleneck(128, 256),
        )  # fmt: skip
        self.hourglass = Hourglass(4, 256)
        self.top = nn.Sequential(
            Bottleneck(256, 256), nn.Conv2d(256, 256, 1), nn.BatchNorm2d(256), nn.ReLU(),
            nn.Conv2d(256, n_outputs, 1),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Answer:
        """Return intensities, 0 to 5, the highest of each map, and ``maps["heat"]``."""
        maps = self.top(self.hourglass(self.stem(images)))
        return Answer(maps.flatten(2).amax(dim=2).clamp(0, 5), maps={"heat": maps})


def point_maps(
    points: Tensor, intensities: Tensor, sigma_px: float = SIGMA_PX, side: int = MAP_PX
) -> Tensor:
    """Return the target maps of the first two systems: ``255 I exp(-|x - point|² / 2 sigma²)``.

    Parameters
    ----------
    points : (b, n, 2, 2) Tensor
        Two points of each Action Unit, in pixels of the map.
    intensities : (b, n) Tensor
        0 to 5; NaN where not known, which makes NaN maps.
    sigma_px : float
    side : int
        Of the maps.

    Returns
    -------
    (b, 2 n, side, side) Tensor
    """
    at = torch.arange(side, device=points.device, dtype=points.dtype)
    flat = points.flatten(1, 2)
    dx = at[None, None, None, :] - flat[..., 0, None, None]
    dy = at[None, None, :, None] - flat[..., 1, None, None]
    bell = torch.exp(-(dx**2 + dy**2) / (2 * sigma_px**2))
    return PEAK * intensities.repeat_interleave(2, dim=1)[..., None, None] * bell


def growing_maps(
    points: Tensor, intensities: Tensor, sigma_px: float = SIGMA_PX, side: int = MAP_PX
) -> Tensor:
    """Return the target maps of the hourglass: height and width grow with intensity.

    Parameters and shapes are those of `point_maps`, but both points of an Action Unit share one map: (b, n,
    side, side), as high as the intensity; a point is ``sigma_px (1 + I / 5)`` wide.
    """
    at = torch.arange(side, device=points.device, dtype=points.dtype)
    dx = at[None, None, None, None, :] - points[..., 0, None, None]
    dy = at[None, None, None, :, None] - points[..., 1, None, None]
    wide = sigma_px * (1 + intensities / 5)[..., None, None, None]
    bells = torch.exp(-(dx**2 + dy**2) / (2 * wide**2))
    return intensities[..., None, None] * bells.amax(dim=2)


def heat_loss(answer: Answer, targets: Tensor) -> dict[str, Tensor]:
    """Return the mean squared error of the maps as ``total``; maps that are NaN are left out."""
    known = torch.isfinite(targets)
    squared = (answer.maps["heat"] - torch.nan_to_num(targets)) ** 2 * known
    return {"total": squared.sum() / known.sum().clamp(min=1)}
