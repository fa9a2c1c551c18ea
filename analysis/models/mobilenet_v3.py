"""MobileNetV3-Large, the encoder of the difference-of-embeddings models.

After Howard et al. (2019), Searching for MobileNetV3 (ICCV), Table 1; in our own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

N_CHANNELS = 960
# Kernel, expanded channels, channels out, squeeze-and-excite, h-swish (else rectifier), stride.
_BLOCKS = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)


def _rounded(channels: float, step: int = 8) -> int:
    """Return the nearest multiple of 8 that is not more than a tenth smaller."""
    near = max(step, int(channels + step / 2) // step * step)
    return near if near >= 0.9 * channels else near + step


class SqueezeExcite(nn.Module):
    """Weighs channels by what all positions show together (Hu et al. 2018)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        middle = _rounded(n_channels / 4)
        self.gate = nn.Sequential(
            nn.Conv2d(n_channels, middle, 1), nn.ReLU(), nn.Conv2d(middle, n_channels, 1),
            nn.Hardsigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, n_channels, h, w)."""
        found: Tensor = x * self.gate(x.mean(dim=(2, 3), keepdim=True))
        return found


def _convolved(
    n_in: int, n_out: int, kernel: int, act: type[nn.Module], *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            n_in, n_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(n_out, eps=1e-3, momentum=0.01),
        act(),
    )


class _Inverted(nn.Module):
    def __init__(
        self,
        n_in: int,
        kernel: int,
        wide: int,
        n_out: int,
        *,
        excite: bool,
        swish: bool,
        stride: int,
    ) -> None:
        super().__init__()
        act: type[nn.Module] = nn.Hardswish if swish else nn.ReLU
        layers: list[nn.Module] = []
        if wide != n_in:
            layers.append(_convolved(n_in, wide, 1, act))
        layers.append(_convolved(wide, wide, kernel, act, stride=stride, groups=wide))
        if excite:
            layers.append(SqueezeExcite(wide))
        layers.append(_convolved(wide, n_out, 1, nn.Identity))
        self.body = nn.Sequential(*layers)
        self.is_residual = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.body(x)
        return x + found if self.is_residual else found


class MobileNetV3(nn.Module):
    """MobileNetV3-Large without its classifier; the mean over positions is the embedding."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolved(3, 16, 3, nn.Hardswish, stride=2)]
        n_in = 16
        for kernel, wide, n_out, excite, swish, stride in _BLOCKS:
            layers.append(
                _Inverted(n_in, kernel, wide, n_out, excite=excite, swish=swish, stride=stride)
            )
            n_in = n_out
        layers.append(_convolved(n_in, N_CHANNELS, 1, nn.Hardswish))
        self.body = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings, (b, 960), of images (b, 3, h, w)."""
        found: Tensor = self.body(images).mean(dim=(2, 3))
        return found


class Frozen(nn.Module):
    """A network that neither learns nor renews its batch statistics, whatever mode it is put into.

    Parameters
    ----------
    body : nn.Module
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body.eval().requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> Frozen:
        """Stay in evaluation mode."""
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return what the network answers, without a gradient."""
        with torch.no_grad():
            found: Tensor = self.body(images)
        return found
