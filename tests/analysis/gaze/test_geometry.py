from __future__ import annotations

import math

import numpy as np
import pytest

from duchenne.analysis.gaze.geometry import ScreenGeometry, check_normalized, to_stimulus
from duchenne.stimuli.errors import DuchenneError

SCREEN = ScreenGeometry(1280, 720, 53.0, 30.0, 60.0)


def test_the_centre_is_zero_degrees() -> None:
    x_deg, y_deg = SCREEN.to_deg(*SCREEN.to_px(0.5, 0.5))
    assert x_deg == 0
    assert y_deg == 0


def test_edges_are_the_exact_angle_not_the_small_one() -> None:
    x_deg, y_deg = SCREEN.to_deg(1280, 0)
    assert x_deg == pytest.approx(math.degrees(math.atan(26.5 / 60)))
    assert y_deg == pytest.approx(math.degrees(math.atan(15 / 60)))  # the top is up: positive


def test_degrees_and_pixels_undo_each_other() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-300, 1600, 50), rng.uniform(-300, 1000, 50)
    back_x, back_y = SCREEN.deg_to_px(*SCREEN.to_deg(x, y))
    np.testing.assert_allclose(back_x, x)
    np.testing.assert_allclose(back_y, y)
    np.testing.assert_allclose(SCREEN.to_px(*SCREEN.to_normalized(x, y))[0], x)


def test_lost_stays_lost() -> None:
    assert np.isnan(SCREEN.to_deg(np.nan, 3.0)[0])


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_impossible_geometry_is_refused(value: float) -> None:
    with pytest.raises(DuchenneError, match="distance_cm"):
        ScreenGeometry(1280, 720, 53, 30, value)


def test_missing_geometry_is_named() -> None:
    with pytest.raises(DuchenneError, match="height_cm, distance_cm missing"):
        ScreenGeometry.from_mapping({"width_px": 1280, "height_px": 720, "width_cm": 53})
    with pytest.raises(DuchenneError, match="No screen geometry"):
        ScreenGeometry.from_mapping(None)
    with pytest.raises(DuchenneError, match="not numeric"):
        ScreenGeometry.from_mapping(
            dict.fromkeys(("width_px", "height_px", "width_cm", "height_cm", "distance_cm"), "wide")
        )


def test_other_entries_of_a_screen_are_ignored() -> None:
    screen = {
        "width_px": 1280,
        "height_px": 720,
        "width_cm": 53,
        "height_cm": 30,
        "distance_cm": 60,
        "refresh_hz": 60,
    }
    assert ScreenGeometry.from_mapping(screen) == SCREEN


def test_pixels_are_not_taken_for_normalized_units() -> None:
    with pytest.raises(DuchenneError, match=r"left_x has a median of 640.*pixels"):
        check_normalized({"left_y": [0.5], "left_x": [640.0, 640.0, np.nan]})
    check_normalized({"left_x": [0.5, 0.4, -1.2, 5.0, np.nan], "left_y": [np.nan]})


def test_stimulus_coordinates_run_from_0_to_1() -> None:
    x, y = to_stimulus([100, 300, 500, 50], [50, 100, 150, 200], (100, 50, 500, 150))
    np.testing.assert_allclose(x, [0, 0.5, 1, -0.125])
    np.testing.assert_allclose(y, [0, 0.5, 1, 1.5])
    with pytest.raises(ValueError, match="no area"):
        to_stimulus([1], [1], (10, 10, 10, 20))
