"""Losses and figures against numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duchenne.analysis.models.eac_net import bounded_loss
from duchenne.analysis.models.jaa_losses import (
    dice_loss,
    landmark_loss,
    refine_loss,
    softmax_loss,
    unit_weights,
)
from duchenne.analysis.models.mae_teacher import MaeTeacher, mae_config
from duchenne.analysis.models.me_graphau import asymmetric_loss, edge_loss
from duchenne.analysis.models.resnet18_student import ResNet18Student
from duchenne.analysis.training.distill import Distillation, DistillWeights
from duchenne.analysis.training.losses import (
    class_kl,
    concordance,
    correlation,
    generalised_kl,
    masked_bce,
    masked_cross_entropy,
    masked_mse,
    occurrence_kl,
)

NAN = float("nan")


def tensor(*rows: object) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32)


def test_bounded_loss_of_eac_is_at_most_log_21() -> None:
    assert float(bounded_loss(tensor([0.0]), tensor([1.0]))) == pytest.approx(
        math.log(21), abs=1e-5
    )
    found, truth = tensor([0.8, 0.3], [0.5, 0.1]), tensor([1, 0], [NAN, 1])
    by_hand = -(math.log(0.85 / 1.05) + math.log(0.75 / 1.05) + math.log(0.15 / 1.05)) / 3
    assert float(bounded_loss(found, truth)) == pytest.approx(by_hand, rel=1e-5)


def test_losses_of_jaa() -> None:
    weights = unit_weights(tensor(0.5, 0.25).flatten())
    torch.testing.assert_close(weights, tensor(2 / 3, 4 / 3).flatten())
    logits = torch.zeros(2, 2, 2)
    truth = tensor([1, 0], [0, NAN])
    assert float(softmax_loss(logits, truth, weights)) == pytest.approx(math.log(2), rel=1e-5)
    p = tensor([0.5, 0.2], [0.1, 0.9])
    first = 1 - (2 * 0.5 + 1) / (0.25 + 0.01 + 1 + 1)
    second = 1 - 1 / (0.04 + 1)
    expected = (2 / 3 * first + 4 / 3 * second) / 2
    assert float(dice_loss(p, truth, weights)) == pytest.approx(expected, rel=1e-5)
    found = torch.zeros(1, 49, 2)
    assert float(landmark_loss(found + 1, found, torch.tensor([7.0]))) == pytest.approx(98 / 98)


def test_landmarks_that_are_not_known_do_not_count() -> None:
    found = torch.zeros(3, 49, 2, requires_grad=True)
    truth = torch.full((3, 49, 2), 2.0)
    truth[1, 5] = torch.nan
    eyes = torch.tensor([10.0, 10.0, 20.0])
    loss = landmark_loss(found, truth, eyes)
    assert float(loss.detach()) == pytest.approx((49 * 8 / 200 + 49 * 8 / 800) / 2)
    loss.backward()
    assert found.grad is not None
    assert torch.isfinite(found.grad).all()
    assert not found.grad[1].any()
    assert float(landmark_loss(found.detach(), truth * torch.nan, eyes)) == 0.0


def test_losses_of_the_graph() -> None:
    p, truth = tensor([0.5, 0.2]), tensor([1, 0])
    weights = torch.ones(2)
    expected = -(math.log(0.5) + 0.2 * math.log(0.8)) / 2
    assert float(asymmetric_loss(p, truth, weights)) == pytest.approx(expected, rel=1e-5)
    at = p.clone().requires_grad_()
    asymmetric_loss(at, truth, weights).backward()
    assert at.grad is not None
    assert float(at.grad[0, 1]) == pytest.approx(
        0.2 / 0.8 / 2, rel=1e-5
    )  # the focus has no gradient
    logits = torch.zeros(1, 2, 2, 4)
    logits[0, 0, 1, 2] = 3.0  # y = (1, 0): the pair (0, 1) is of class 2
    pair = -3 + math.log(math.exp(3) + 3)
    expected = (pair + 3 * math.log(4)) / 4
    assert float(edge_loss(logits, truth)) == pytest.approx(expected, rel=1e-5)
    assert float(edge_loss(logits, tensor([NAN, NAN]))) == 0.0


def test_what_is_not_known_does_not_count() -> None:
    found, truth = tensor([1.0, 4.0]), tensor([3.0, NAN])
    assert float(masked_mse(found, truth)) == 4.0
    assert float(masked_mse(found, tensor([NAN, NAN]))) == 0.0
    assert float(masked_bce(tensor([0.0, 9.0]), tensor([1, NAN]))) == pytest.approx(math.log(2))
    logits = tensor([0.0, 0.0], [5.0, -5.0])
    assert float(masked_cross_entropy(logits, torch.tensor([1, -1]))) == pytest.approx(math.log(2))
    assert float(masked_cross_entropy(logits, torch.tensor([-1, -1]))) == 0.0


def test_divergence_is_never_below_zero() -> None:
    teacher = tensor([1.0, 2.0])
    assert float(generalised_kl(teacher, teacher)) == pytest.approx(0.0, abs=1e-6)
    by_hand = ((math.log(1 / 2) - 1 + 2) + (2 * math.log(2 / 1) - 2 + 1)) / 2
    assert float(generalised_kl(teacher, tensor([2.0, 1.0]))) == pytest.approx(by_hand, rel=1e-5)
    assert float(generalised_kl(teacher, 100 * teacher)) > 0  # inflating the student does not help


series = st.lists(st.floats(-3, 3, width=32), min_size=3, max_size=12)


@settings(max_examples=60, deadline=None)
@given(series, st.floats(0.25, 4.0), st.floats(-2.0, 2.0))
def test_concordance_knows_scale_and_shift(values: list[float], scale: float, shift: float) -> None:
    y = torch.tensor(values, dtype=torch.float64)
    if float(y.std()) < 1e-2:
        return
    x = scale * y + shift
    var, mean = float(y.var(unbiased=False)), float(y.mean())
    expected = 2 * scale * var / (scale**2 * var + var + (scale * mean + shift - mean) ** 2)
    assert float(concordance(x, y)) == pytest.approx(expected, abs=1e-3)
    assert float(correlation(x, y)) == pytest.approx(1.0, abs=1e-3)
    assert float(concordance(-y, y)) <= 0 or mean != 0


def test_concordance_of_constants_has_a_gradient() -> None:
    x = torch.full((5,), 0.3, requires_grad=True)
    y = torch.full((5,), 0.3)
    loss = 1 - concordance(x, y) + 1 - correlation(x, y)
    loss.backward()
    assert torch.isfinite(loss)
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_divergences_of_classes_and_of_occurrence() -> None:
    t, s = tensor([math.log(3), 0.0]), tensor([0.0, 0.0])
    by_hand = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert float(class_kl(t, s)) == pytest.approx(by_hand, rel=1e-5)
    assert float(occurrence_kl(t[:, :1], s[:, :1])) == pytest.approx(by_hand, rel=1e-5)
    assert float(occurrence_kl(t, t)) == pytest.approx(0.0, abs=1e-7)


def test_refined_maps_are_compared_with_drawn_ones() -> None:
    initial, refined = torch.full((2, 3, 52, 52), 0.25), torch.full((2, 3, 44, 44), 0.5)
    assert float(refine_loss(refined, initial)) == pytest.approx(3 * math.log(2), rel=1e-5)
    assert math.isfinite(float(refine_loss(torch.ones_like(refined), initial)))


@pytest.mark.parametrize("learns", ["occurrence", "expression"])
def test_distillation_of_what_is_no_intensity(learns: Literal["occurrence", "expression"]) -> None:
    torch.manual_seed(0)
    config = mae_config(input_px=32, patch_px=8, width=16, depth=1, heads=2)
    loss = Distillation(MaeTeacher(2, config, learns=learns))
    student = ResNet18Student(2, learns=learns)
    images = torch.randn(2, 3, 32, 32)
    answer = student(images)
    assert answer.logits is not None
    wanted, found = loss.teacher(images), loss.teacher.answer(loss.resized(answer.features))
    if learns == "occurrence":
        losses = loss(images, answer, tensor([1, 0], [NAN, 1]))
        task, divergence = masked_bce(answer.logits, tensor([1, 0], [NAN, 1])), occurrence_kl
        torch.testing.assert_close(answer.values, answer.logits.sigmoid())
    else:
        losses = loss(images, answer, tensor([1], [NAN]))
        task, divergence = -answer.logits[0].log_softmax(0)[1], class_kl
        torch.testing.assert_close(answer.values.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(losses["task"], task)
    torch.testing.assert_close(losses["divergence"], divergence(wanted.logits, found.logits))


def teacher_and_student(resize: str = "linear_proj") -> tuple[Distillation, ResNet18Student]:
    torch.manual_seed(0)
    config = mae_config(
        input_px=32, patch_px=8, width=16, depth=1, heads=2, decoder_width=32, decoder_depth=1
    )
    teacher = MaeTeacher(2, config)
    return Distillation(teacher, resize=resize), ResNet18Student(2)


def test_distillation_adds_its_three_losses() -> None:
    loss, student = teacher_and_student("nearest")
    images, truth = torch.randn(4, 3, 32, 32), torch.rand(4, 2) * 5
    answer = student(images)
    losses = loss(images, answer, truth)
    wanted = loss.teacher(images)
    resized = answer.features[:, ::4]
    features = ((wanted.features - resized) ** 2).mean()
    torch.testing.assert_close(losses["features"], features)
    t, s = wanted.values, loss.teacher.answer(resized).values
    torch.testing.assert_close(losses["divergence"], (t * (t / s).log() - t + s).mean())
    torch.testing.assert_close(losses["task"], ((answer.values - truth) ** 2).mean())
    total = losses["features"] + losses["task"] + losses["divergence"]
    torch.testing.assert_close(losses["total"], total)
    loss.weights = DistillWeights(features=0.0, divergence=0.0)
    torch.testing.assert_close(loss(images, answer, truth)["total"], losses["task"])


def test_a_teacher_is_not_moved_by_its_student() -> None:
    loss, student = teacher_and_student()
    loss.train()
    before = {k: v.clone() for k, v in loss.teacher.state_dict().items()}
    images, truth = torch.randn(8, 3, 32, 32), torch.rand(8, 2) * 5
    learnt = [*student.parameters(), *(p for p in loss.parameters() if p.requires_grad)]
    step = torch.optim.AdamW(learnt, 1e-3)
    losses = []
    for _ in range(12):
        named = loss(images, student(images), truth)
        step.zero_grad()
        named["total"].backward()
        step.step()
        losses.append(float(named["total"].detach()))
    assert losses[-1] < 0.7 * losses[0]
    for name, value in loss.teacher.state_dict().items():
        torch.testing.assert_close(value, before[name])
    assert np.isfinite(losses).all()
