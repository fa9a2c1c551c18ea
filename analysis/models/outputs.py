"""What a system answers to a batch of faces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast, get_args

if TYPE_CHECKING:
    from torch import Tensor

Learns = Literal["intensity", "occurrence", "expression"]
"""What a system with one plain head can learn."""


def told(logits: Tensor, learns: Learns) -> Tensor:
    """Return what the outputs (b, k) of a plain head say: 0 to 5, or probabilities of units or classes."""
    if learns == "intensity":
        return 5.0 * logits.sigmoid()
    return logits.sigmoid() if learns == "occurrence" else logits.softmax(dim=1)


def learnable(learns: str) -> Learns:
    """Return what is to be learnt where a plain head can learn it.

    Raises
    ------
    ValueError
        When it cannot.
    """
    if learns not in get_args(Learns):
        raise ValueError(f"learns may be {', '.join(get_args(Learns))}, not {learns}")
    return cast("Learns", learns)


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
