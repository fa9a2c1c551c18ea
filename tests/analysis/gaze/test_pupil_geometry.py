from __future__ import annotations

import numpy as np
import pytest

from duchenne.analysis.gaze.geometry import ScreenGeometry
from duchenne.analysis.gaze.pupil_geometry import (
    correct_foreshortening,
    correct_position,
    fit_position,
    foreshortening,
)

SCREEN = ScreenGeometry(1280, 720, 53.0, 30.0, 60.0)
RATE = 50.0
N = 2000
EVERYWHERE = np.ones(N, dtype=bool)


def _gaze(seed: int = 0, spread_deg: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(np.repeat(rng.normal(0, spread_deg, N // 20), 20) for _ in range(2))  # type: ignore[return-value]


def test_looking_into_the_camera_is_not_foreshortened() -> None:
    # A camera behind the point at three quarters of the width, in the plane of the screen.
    towards = foreshortening(960, 360, SCREEN, (53.0 / 4, 0.0, 0.0))
    assert float(towards) == pytest.approx(1.0)
    centre = foreshortening(640, 360, SCREEN, (53.0 / 4, 0.0, 0.0))
    assert float(centre) == pytest.approx(60 / np.hypot(60, 53.0 / 4))


def test_the_camera_is_below_the_screen_unless_told() -> None:
    up, down = foreshortening([640, 640], [0, 720], SCREEN)
    assert up < down < 1


@pytest.mark.parametrize(("measure", "power"), [("diameter", 0.5), ("area", 1.0), (None, 0.5)])
def test_geometry_undoes_what_it_says(measure: str | None, power: float) -> None:
    x, y = _gaze()
    x_px, y_px = SCREEN.deg_to_px(x, y)
    seen = 4.0 * foreshortening(x_px, y_px, SCREEN) ** power
    corrected = correct_foreshortening(seen, x_px, y_px, SCREEN, measure=measure)
    assert np.ptp(corrected) < 1e-9
    assert np.ptp(seen) > 0.05
    assert np.isnan(correct_foreshortening(np.ones(1), [np.nan], [0.0], SCREEN)).all()


def test_regression_finds_the_slope_of_position() -> None:
    x, y = _gaze()
    size = 4.0 - 0.01 * x + 0.02 * y + np.random.default_rng(1).normal(0, 0.02, N)
    model = fit_position(size, x, y, EVERYWHERE, RATE)
    assert model.x_per_deg == pytest.approx(-0.01, abs=0.001)
    assert model.y_per_deg == pytest.approx(0.02, abs=0.001)
    assert correct_position(size, x, y, model).std() < 0.025
    assert not model.reason


def test_regression_needs_gaze_that_moves() -> None:
    x, y = _gaze(spread_deg=0.1)
    model = fit_position(np.full(N, 4.0), x, y, EVERYWHERE, RATE)
    assert "moved less" in model.reason
    assert np.isnan(correct_position(np.full(N, 4.0), x, y, model)).all()
    assert "less than 5 s" in fit_position(x, x, y, ~EVERYWHERE, RATE).reason


def test_no_effect_changes_nothing() -> None:
    x, y = _gaze()
    size = 4.0 + np.random.default_rng(2).normal(0, 0.02, N)
    model = fit_position(size, x, y, EVERYWHERE, RATE)
    assert (abs(model.x_per_deg), abs(model.y_per_deg)) == pytest.approx((0, 0), abs=3e-4)


def test_only_the_axis_that_moved_is_fitted() -> None:
    x, y = _gaze()
    size = 4.0 + 0.02 * x
    model = fit_position(size, x, 0.01 * y, EVERYWHERE, RATE)
    assert model.x_per_deg == pytest.approx(0.02, abs=1e-6)
    assert model.y_per_deg == 0
