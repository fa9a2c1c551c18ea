"""Rating scales: layout, figures, and simulated answers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from duchenne.protocols.displays.base import Box
from duchenne.protocols.parts_ratings import SamRating
from duchenne.protocols.ratings import STEPS, SamScale, manikin, manikin_row
from duchenne.protocols.responders import Prompt, SimulatedRater
from duchenne.stimuli.manifest import Stimulus

pytest.importorskip("PIL")


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (1024, 1280), (640, 480)])
def test_cells_tile_a_row_inside_the_screen(size: tuple[int, int]):
    scale = SamScale("valence", "?", *size)
    cells = [scale.cell_px(value) for value in range(1, STEPS + 1)]
    for (_, _, right, _), (left, _, _, _) in pairwise(cells):
        assert right == pytest.approx(left)
    assert cells[0][0] >= 0
    assert cells[-1][2] <= size[0]
    assert 0 <= cells[0][1] < cells[0][3] <= size[1]


def test_points_belong_to_the_cell_they_are_in():
    scale = SamScale("arousal", "?", 1280, 720)
    for value in range(1, STEPS + 1):
        x0, y0, x1, y1 = scale.cell_px(value)
        assert scale.value_at((x0 + x1) / 2, (y0 + y1) / 2) == value
        assert scale.value_at((x0 + x1) / 2, y1 + 5) is None
    assert scale.value_at(-1, -1) is None


def test_the_chosen_step_is_framed_rather_than_the_one_under_the_mouse():
    scale = SamScale("valence", "?", 1280, 720)
    boxes = [s for s in scale.shapes(hover=2, chosen=7) if isinstance(s, Box)]
    assert [box.rect_px for box in boxes] == [scale.cell_px(7)]
    assert not [s for s in scale.shapes() if isinstance(s, Box)]


@pytest.mark.parametrize("dimension", ["valence", "arousal", "dominance"])
def test_all_nine_figures_differ(dimension: str):
    figures = [manikin(dimension, value, 100) for value in range(1, STEPS + 1)]
    assert figures[0].shape == (130, 100, 3)
    for i, one in enumerate(figures):
        for other in figures[:i]:
            assert np.abs(one.astype(int) - other).max() > 100
    assert manikin_row(dimension, 100, 0.5, 0.0).shape == (130, 900, 3)


def test_the_burst_grows_with_arousal():
    ink = [
        (manikin("arousal", value, 100)[70:120, 20:80, 0] < 60).sum()
        for value in range(1, STEPS + 1)
    ]
    assert ink == sorted(ink)
    assert ink[-1] > 20 * ink[0]


def test_the_figure_of_dominance_grows_and_stands_where_it_stands():
    heights, feet = [], []
    for value in range(1, STEPS + 1):
        rows = np.flatnonzero((manikin("dominance", value, 100)[:, :, 0] > 200).any(axis=1))
        heights.append(np.ptp(rows))
        feet.append(rows.max())
    assert heights == sorted(set(heights))
    assert heights[-1] / heights[0] == pytest.approx(4.2, abs=0.5)
    assert np.ptp(feet) <= 2


def test_a_value_beyond_the_scale_is_refused():
    with pytest.raises(ValueError, match="between 1 and 9"):
        manikin("valence", 10, 100)


def _stimulus(**norms: float) -> Stimulus:
    return Stimulus("s", "s.png", Path("s.png"), "image", "HVHA", "0" * 64, **norms)


def test_simulated_answers_are_reproducible_and_follow_the_norms():
    rating = SamRating(dimension="valence", question="?")
    values = {}
    for valence in (2.0, 8.0):
        stimulus = _stimulus(valence=valence, norm_min=1.0, norm_max=9.0)
        prompts = [Prompt("rating", f"P-{i}", rating, stimulus) for i in range(40)]
        answers = [SimulatedRater(3).respond(prompt) for prompt in prompts]
        assert answers == [SimulatedRater(3).respond(prompt) for prompt in prompts]
        assert answers != [SimulatedRater(4).respond(prompt) for prompt in prompts]
        assert all(a is not None and 0.6 <= a.delay_s <= 1.0 for a in answers)
        keys = [int(a.key) for a in answers if a is not None and a.key is not None]
        assert set(keys) <= set(range(1, 10))
        values[valence] = np.mean(keys)
    assert values[2.0] == pytest.approx(2.0, abs=0.5)
    assert values[8.0] == pytest.approx(8.0, abs=0.5)


def test_without_norms_the_answer_is_near_the_middle():
    rating = SamRating(dimension="arousal", question="?")
    answers = [
        SimulatedRater(1).respond(Prompt("rating", f"P-{i}", rating, _stimulus()))
        for i in range(40)
    ]
    keys = [int(a.key) for a in answers if a is not None and a.key is not None]
    assert np.mean(keys) == pytest.approx(5.0, abs=0.5)


def test_the_simulated_participant_presses_space_to_go_on():
    answer = SimulatedRater().respond(Prompt("continue", "opening-instruction"))
    assert answer is not None
    assert (answer.key, answer.delay_s) == ("space", 0.8)
