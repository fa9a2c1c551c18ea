"""The first answers of a fresh system."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from duchenne.analysis.models.registry import model_entry
from duchenne.analysis.training.start import start_at_means


def test_fresh_heads_answer_the_means() -> None:
    net = model_entry("resnet18_student").build(n_outputs=3)
    assert start_at_means(net, np.array([0.2, 1.0, 2.5]))
    last = net.head[-1]
    with torch.no_grad():
        last.weight.zero_()
        answered = net.eval()(torch.zeros(1, 3, 32, 32)).values
    assert answered[0].tolist() == pytest.approx([0.2, 1.0, 2.5], abs=1e-5)


def test_a_mean_of_zero_stays_finite_and_other_heads_stay_as_they_are() -> None:
    net = model_entry("resnet18_student").build(n_outputs=2)
    assert start_at_means(net, np.zeros(2))
    assert torch.isfinite(net.head[-1].bias).all()
    assert not start_at_means(nn.Linear(2, 2), np.zeros(2))
    assert not start_at_means(net, np.zeros(5))
