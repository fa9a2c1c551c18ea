"""Networks of others that several systems are built on, with fresh or given weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from transformers import ResNetConfig, ResNetModel

if TYPE_CHECKING:
    from torch import Tensor

_DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
_VGG19 = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)


class ResNet(nn.Module):
    """ResNet-18 or ResNet-50 without its classifier (He et al. 2016).

    Parameters
    ----------
    depth : {18, 50}

    Examples
    --------
    >>> ResNet(18)(images).shape                                              # doctest: +SKIP
    torch.Size([2, 512, 7, 7])
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        basic = depth == 18
        self.n_channels = 512 if basic else 2048
        self.body = ResNetModel(
            ResNetConfig(
                depths=list(_DEPTHS[depth]),
                hidden_sizes=[64, 128, 256, 512] if basic else [256, 512, 1024, 2048],
                layer_type="basic" if basic else "bottleneck",
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the last feature map: (b, n_channels, h / 32, w / 32)."""
        found: Tensor = self.body(images).last_hidden_state
        return found


def for_rectifiers(layer: nn.Module) -> None:
    """Draw a convolution's first weights so that pictures keep their contrast through rectifiers.

    Sixteen convolutions without normalisation would bring all pictures to the same otherwise (He et al.
    2015, Delving deep into rectifiers, ICCV).
    """
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class Vgg19(nn.ModuleList):
    """The convolutions of VGG-19 in its five stages (Simonyan & Zisserman 2015).

    Each stage is a list of convolutions, each followed by a rectifier; pooling is left to the caller.
    """

    def __init__(self) -> None:
        super().__init__()
        n_in = 3
        for widths in _VGG19:
            stage = nn.ModuleList()
            for n_out in widths:
                stage.append(nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()))
                n_in = n_out
            self.append(stage)
        self.apply(for_rectifiers)
