"""What a system answers to a batch of faces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Answer:
    """The outputs of one forward pass; what a system does not have is None.

    Parameters
    ----------
    values : (b, k) Tensor
        Action Unit intensities 0 to 5, or probabilities 0 to 1 of occurrence.
    logits : (b, k) Tensor, optional
        What the probabilities come from.
    features : (b, f) Tensor, optional
        The embedding that distillation compares.
    landmarks : (b, l, 2) Tensor, optional
        Points in pixels of the input.
    maps : dict of str to Tensor
        Attention maps and heat maps, (b, m, h, w).
    extra : dict of str to Tensor
        Outputs that only the system's own loss reads.
    """

    values: Tensor
    logits: Tensor | None = None
    features: Tensor | None = None
    landmarks: Tensor | None = None
    maps: dict[str, Tensor] = field(default_factory=dict)
    extra: dict[str, Tensor] = field(default_factory=dict)
