"""Losses that several systems share; those of one system alone stand beside it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as fn

SMALL = 1e-7


def masked_mse(found: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared error over what is known (truth not NaN): a scalar."""
    known = torch.isfinite(truth)
    squared = (found - torch.nan_to_num(truth)) ** 2 * known
    return squared.sum() / known.sum().clamp(min=1)


def masked_bce(logits: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the binary cross entropy over what is known.

    Parameters
    ----------
    logits, truth : (b, k) Tensor
        Truth 1, 0 or NaN.
    weights : (k,) Tensor, optional
    """
    known = torch.isfinite(truth)
    each = fn.binary_cross_entropy_with_logits(logits, torch.nan_to_num(truth), reduction="none")
    if weights is not None:
        each = each * weights
    return (each * known).sum() / known.sum().clamp(min=1)


def masked_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the cross entropy over faces whose class is known.

    Parameters
    ----------
    logits : (b, c) Tensor
    classes : (b,) Tensor
        Numbers of classes; negative where not known.
    """
    known = classes >= 0
    if not bool(known.any()):
        return logits.sum() * 0.0
    return fn.cross_entropy(logits[known], classes[known])


def generalised_kl(teacher: Tensor, student: Tensor) -> Tensor:
    """Return the generalised Kullback-Leibler divergence of intensities, the mean over all of them.

    ``t log(t / s) - t + s``: 0 where both agree and above elsewhere, although intensities do not sum to 1.

    Parameters
    ----------
    teacher, student : (b, k) Tensor
        0 or more.
    """
    t, s = teacher.clamp(min=SMALL), student.clamp(min=SMALL)
    return (t * (t / s).log() - t + s).mean()


def class_numbers(truth: Tensor) -> Tensor:
    """Return the numbers of classes (b,) of truth (b, 1), -1 where it is NaN."""
    return torch.where(torch.isfinite(truth[:, 0]), torch.nan_to_num(truth[:, 0]), -1.0).long()


def class_kl(teacher: Tensor, student: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of classes from their logits (b, c): ``sum t log(t / s)``."""
    return fn.kl_div(
        student.log_softmax(dim=1),
        teacher.log_softmax(dim=1),
        reduction="batchmean",
        log_target=True,
    )


def occurrence_kl(teacher: Tensor, student: Tensor) -> Tensor:
    """Return the mean Kullback-Leibler divergence of yes and no from their logits (b, k)."""
    t = torch.stack([fn.logsigmoid(teacher), fn.logsigmoid(-teacher)])
    s = torch.stack([fn.logsigmoid(student), fn.logsigmoid(-student)])
    return (t.exp() * (t - s)).sum(dim=0).mean()


def concordance(found: Tensor, truth: Tensor) -> Tensor:
    """Return Lin's concordance over what is known, with variances over n: a scalar.

    0 where nothing is known, or where truth and answer are the same constant.

    Parameters
    ----------
    found, truth : (b,) Tensor
        Truth NaN where not known.
    """
    known = torch.isfinite(truth)
    x, y = found[known], truth[known]
    if not len(x):
        return found.sum() * 0.0
    shared = ((x - x.mean()) * (y - y.mean())).mean()
    spread = x.var(unbiased=False) + y.var(unbiased=False) + (x.mean() - y.mean()) ** 2
    return 2 * shared / (spread + SMALL)


def correlation(found: Tensor, truth: Tensor) -> Tensor:
    """Return Pearson's correlation over what is known; 0 where one of the two is constant."""
    known = torch.isfinite(truth)
    x, y = found[known], truth[known]
    if len(x) < 2:
        return found.sum() * 0.0
    x, y = x - x.mean(), y - y.mean()
    found_r: Tensor = (x * y).sum() / (x.norm() * y.norm() + SMALL)
    return found_r
