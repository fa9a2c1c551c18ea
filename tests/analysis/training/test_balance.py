"""Rare labels come more often: by how much is worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duchenne.analysis.models.deng import bin_centres, expectation, to_bins
from duchenne.analysis.training.balance import (
    Order,
    bin_numbers,
    class_order,
    imbalance,
    plane_weights,
    rare_copies,
    repeats,
    task_weights,
)
from duchenne.stimuli.errors import DuchenneError

values = st.lists(st.floats(-1, 1), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(values, st.integers(2, 40))
def test_bins_lie_about_their_values(drawn: list[float], n: int) -> None:
    found = bin_numbers(np.array(drawn), n)
    assert found.min() >= 0
    assert found.max() <= n - 1
    middles = -1 + (found + 0.5) * 2 / n
    lifted = 2e-5 / n  # as far as rounding may
    assert np.abs(middles - drawn).max() <= 1 / n + lifted + 1e-9
    order = np.argsort(drawn)
    assert (np.diff(found[order]) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30))
def test_twenty_bins_are_those_of_the_loss(drawn: list[float]) -> None:
    """A value, put into bins and read back from a sure answer, is off by half a bin at most."""
    numbers = to_bins(torch.tensor(drawn))
    sure = 60.0 * torch.nn.functional.one_hot(numbers, 20).float()
    back = expectation(sure)
    assert float((back - torch.tensor(drawn)).abs().max()) <= 0.05 + 1e-4
    assert set(np.round(back.numpy(), 3)) <= set(np.round(bin_centres().numpy(), 3))


def test_ends_and_gaps_of_bins() -> None:
    found = bin_numbers(np.array([-1.0, -0.9001, -0.8999, 0.0, 1.0, np.nan]))
    assert found.tolist() == [0, 0, 1, 10, 19, -1]


def test_every_cell_of_the_plane_weighs_the_same() -> None:
    valence = np.array([0.5, 0.5, 0.5, -0.5, np.nan])
    arousal = np.array([0.2, 0.2, 0.2, 0.2, 0.2])
    weights = plane_weights(valence, arousal)
    # two cells of three pictures and of one: 4 known pictures, 2 in weight each; the unknown one weighs 1
    np.testing.assert_allclose(weights, np.array([2 / 3, 2 / 3, 2 / 3, 2, 1]) / 5)
    unknown = np.full(4, np.nan)
    np.testing.assert_allclose(plane_weights(unknown, unknown), 0.25)


def test_pictures_of_one_task_each_are_balanced_by_their_task() -> None:
    """Deng's three sets: the plane, the classes and the Action Units, each within its share of pictures."""
    nan = np.nan
    rows = [(0.5, 0.5, nan, nan, nan)] * 3 + [(-0.5, 0.5, nan, nan, nan)]
    rows += [(nan, nan, 0, nan, nan)] * 3 + [(nan, nan, 1, nan, nan)]
    rows += [(nan, nan, nan, 1, 0)] * 4 + [(nan, nan, nan, 0, 1)]
    names = ("valence", "arousal", "expression", "AU01", "AU12")
    truth = np.array(rows, np.float32)
    weights = task_weights(truth, names, 1.0, np.random.default_rng(0)) * len(rows)
    np.testing.assert_allclose(weights[:8], [2 / 3] * 3 + [2] + [2 / 3] * 3 + [2])
    # AU12 is four times rarer, 2.5 times on average: one copy makes it twice rarer
    np.testing.assert_allclose(weights[8:], np.array([1, 1, 1, 1, 2]) * 5 / 6)
    plain = task_weights(truth[:4, :2], names[:2], 1.0, np.random.default_rng(0))
    np.testing.assert_allclose(plain, plane_weights(truth[:4, 0], truth[:4, 1]))


def test_copies_of_rare_labels() -> None:
    """Label 0 in 8 of 10, label 1 in 2, label 2 in 1: imbalances 1, 4 and 8, 13 / 3 on average."""
    present = np.zeros((10, 3), bool)
    present[:8, 0], present[8:, 1], present[9, 2] = True, True, True
    np.testing.assert_allclose(imbalance(present), [1, 4, 8])
    copies = rare_copies(present, 1.0, np.random.default_rng(0))
    # only label 2 is rarer than the average; picture 9 once more makes it 8 / 2 = 4
    assert copies.tolist() == [9]
    assert rare_copies(present, 0.04, np.random.default_rng(0)).tolist() == []
    nobody = np.zeros((4, 2), bool)
    assert not len(rare_copies(nobody, 1.0, np.random.default_rng(0)))
    unseen = np.concatenate([present, np.zeros((10, 1), bool)], axis=1)
    assert rare_copies(unseen, 1.0, np.random.default_rng(0)).tolist() == [9]


def test_classes_come_equally_often() -> None:
    classes = np.array([0] * 7 + [1] * 3 + [2] + [-1])
    over = class_order(classes, "over", np.random.default_rng(1))
    assert np.bincount(classes[over]).tolist() == [7, 7, 7]
    counts = np.bincount(over, minlength=12)
    assert counts[11] == 0
    assert set(counts[7:10]) == {2, 3}  # two rounds of three, and one of them once more
    under = class_order(classes, "under", np.random.default_rng(1))
    assert np.bincount(classes[under]).tolist() == [1, 1, 1]


def test_an_order_depends_on_seed_and_epoch_alone() -> None:
    truth = np.array([[0], [0], [0], [1]], np.float32)

    def order(epoch: int, seed: int = 0, balance: str = "over") -> list[int]:
        made = Order(truth, ("expression",), "expression", balance=balance, seed=seed)
        return made.of(epoch).tolist()

    assert order(3) == order(3)
    assert len({tuple(order(epoch)) for epoch in range(8)}) > 1
    assert sorted(order(0, balance="none")) == [0, 1, 2, 3]
    assert sorted(order(0))[3:] == [3, 3, 3]
    assert repeats(np.array([4, 2, 4, 4, 2])).tolist() == [0, 0, 1, 2, 1]


def test_orders_of_units_and_of_the_plane() -> None:
    truth = np.zeros((20, 2), np.float32)
    truth[:16, 0], truth[16, 1] = 4, 3
    units = Order(truth, ("AU01", "AU02"), "intensity", balance="over", share=0.5)
    assert np.bincount(units.of(0)).tolist() == [1] * 16 + [2] + [1] * 3
    plane = np.where(np.arange(200)[:, None] < 190, 0.5, -0.5).repeat(2, axis=1).astype(np.float32)
    found = Order(plane, ("valence", "arousal"), "affect", balance="over").of(0)
    assert len(found) == 200
    assert 70 < int((found >= 190).sum()) < 130
    with pytest.raises(DuchenneError, match="not for a system that learns affect"):
        Order(plane, ("valence", "arousal"), "affect", balance="under")
    unknown = np.full((3, 1), np.nan, np.float32)
    with pytest.raises(DuchenneError, match="no picture for training has a class"):
        Order(unknown, ("expression",), "expression", balance="under")
