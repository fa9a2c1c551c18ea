"""What JAA-Net and JÂA-Net learn by.

After Shao, Liu, Cai & Ma (ECCV 2018; IJCV 2021); in our own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as fn

if TYPE_CHECKING:
    from torch import Tensor

    from duchenne.analysis.models.outputs import Answer

_LEAST = 1e-30


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
    """Return ``sum |dP|² / (2 d²)``: points (b, 49, 2), distance (b,) in pixels.

    The mean over the faces whose points are known; 0 where none is. Points that are not known are NaN.
    """
    known = torch.isfinite(truth).flatten(1).all(dim=1) & torch.isfinite(between_eyes_px)
    squared = ((found - truth)[known] ** 2).sum(dim=(1, 2))
    return (squared / (2 * between_eyes_px[known] ** 2)).sum() / known.sum().clamp(min=1)


def refine_loss(refined: Tensor, initial: Tensor) -> Tensor:
    """Return the cross entropy between refined and resized initial maps (b, k, h, w), summed over units."""
    wanted = fn.interpolate(initial.float(), size=refined.shape[-1], mode="bilinear").clamp(0, 1)
    p = refined.float()
    each = wanted * p.clamp(min=_LEAST).log() + (1 - wanted) * (1 - p).clamp(min=_LEAST).log()
    return -each.mean(dim=(0, 2, 3)).sum()


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
        losses["refine"] = refine_loss(answer.maps["attention"], answer.maps["initial"])
        total = total + 1e-4 * losses["refine"]
    return {"total": total, **losses}
