"""Where the outputs of a fresh system begin: at the mean of what it is to learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HIGHEST = 5.0
_EDGE = 0.002


def start_at_means(net: nn.Module, means: NDArray[np.float64]) -> bool:
    """Set the last bias of a head that ends in a sigmoid times 5, so that it first answers the means.

    Intensities are 0 in most pictures. A head that begins at 2.5 spends thousands of steps on its bias,
    while the features learn nothing.

    Parameters
    ----------
    net : torch.nn.Module
        Changed where it has a ``head`` whose last layer is linear with one output per label.
    means : (k,) float64
        Mean intensity of each label, 0 to 5.

    Returns
    -------
    bool
        False where the system has no such head.
    """
    head = getattr(net, "head", None)
    last = head[-1] if isinstance(head, nn.Sequential) else head
    if not isinstance(last, nn.Linear) or last.bias is None or last.out_features != len(means):
        return False
    share = torch.as_tensor(means, dtype=last.bias.dtype).div(HIGHEST).clamp(_EDGE, 1 - _EDGE)
    with torch.no_grad():
        last.bias.copy_(torch.logit(share))
    return True
