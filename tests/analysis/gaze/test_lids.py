from __future__ import annotations

import numpy as np
import pytest
from support.synthetic_gaze import make_gaze

from duchenne.analysis.gaze.blinks import closed_from_openness
from duchenne.analysis.gaze.geometry import ScreenGeometry
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.process import GazeResult, analyse_gaze

SCREEN = ScreenGeometry(1280, 720, 53.0, 30.0, 60.0)
LOSSES = [(1.0, 0.15), (2.5, 0.2), (4.0, 0.1)]
FILM_S = np.arange(0.0, 6.0, 1 / 30)


def _analyse(lid: tuple[np.ndarray, np.ndarray] | None = None, **more: np.ndarray) -> GazeResult:
    gaze = make_gaze([], fixation_s=6.0, blinks_s=LOSSES)
    x, y = SCREEN.to_normalized(*SCREEN.deg_to_px(gaze.x_deg, gaze.y_deg))
    return analyse_gaze(
        gaze.times_s, {"left_x": x, "left_y": y, "left_pupil": 3 + 0 * x, **more}, SCREEN, lid=lid
    )


def _closed(*when: tuple[float, float]) -> np.ndarray:
    closed = np.zeros(FILM_S.size)
    for onset, duration in when:
        closed[slice(*np.searchsorted(FILM_S, [onset, onset + duration]))] = 1.0
    return closed


def test_without_evidence_of_the_lids_a_loss_of_that_length_is_a_blink() -> None:
    assert _analyse().blinks["source"].tolist() == ["pupil_loss"] * 3


def test_a_loss_with_open_lids_is_no_blink() -> None:
    result = _analyse((FILM_S, _closed(LOSSES[0])))
    assert result.blinks["onset"].to_numpy() == pytest.approx([1.0], abs=0.003)
    assert result.blinks["source"].tolist() == ["lid"]
    labels, times = result.samples["label"].to_numpy(), result.samples["time"].to_numpy()
    assert set(labels[(times > 1.0) & (times < 1.1)]) == {Label.BLINK}
    assert set(labels[(times > 2.5) & (times < 2.6)]) == {Label.UNDEFINED}


def test_where_nothing_is_known_of_the_lids_loss_decides() -> None:
    closed = _closed(LOSSES[0])
    closed[(FILM_S > 2.4) & (FILM_S < 2.8)] = np.nan
    result = _analyse((FILM_S, closed))
    assert result.blinks["source"].tolist() == ["lid", "pupil_loss"]


def test_openness_of_the_eye_is_evidence() -> None:
    times = make_gaze([], fixation_s=6.0, blinks_s=LOSSES).times_s
    openness = np.where((times >= 2.48) & (times < 2.72), 0.5, 9.0)
    result = _analyse(left_openness=openness)
    assert result.blinks["onset"].to_numpy() == pytest.approx([2.5], abs=0.003)
    assert result.blinks["source"].tolist() == ["lid"]


def test_openness_becomes_closure() -> None:
    assert closed_from_openness({"left_x": [0.0]}) is None
    assert closed_from_openness({"left_openness": [np.nan, np.nan]}) is None
    closed = closed_from_openness({"left_openness": [10, 10, 5, 0], "right_openness": [8, 8, 8, 0]})
    assert closed is not None
    np.testing.assert_allclose(closed, [0, 0, 0, 1])
