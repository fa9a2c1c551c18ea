"""Figures over time: pupil courses, event ribbon, sequence of regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.gaze.plots import (
    plot_event_ribbon,
    plot_pupil_course,
    plot_scanpath,
    plot_scarf,
    pupil_epochs,
)
from duchenne.analysis.gaze.plots_pupil import confidence_band

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = np.arange(0, 30, 0.02)
RNG = np.random.default_rng(0)
TRIALS = RNG.normal(0.1, 0.05, (6, 100))
COURSE_S = np.linspace(-0.5, 5, 100)
SAMPLES = pd.DataFrame(
    {
        "time": T,
        "x_deg": np.sin(T),
        "y_deg": np.where((T > 5) & (T < 5.2), np.nan, np.cos(T)),
        "label": np.select([T % 1 < 0.04, T % 1 < 0.06, (T > 5) & (T < 5.2)], [2, 3, 5], 1),
    }
)
VISITS = [("eyes", 0.2, 0.5), ("mouth", 0.8, 0.4), ("none", 1.3, 0.2), ("eyes", 1.6, 1.0)]


def _legend(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def _drawn(figure: Figure) -> float:
    figure.canvas.draw()
    return float(np.asarray(figure.canvas.buffer_rgba()).std())  # type: ignore[attr-defined]


def test_epochs_are_cut_against_their_own_baselines() -> None:
    size = np.where((T >= 10) & (T < 15), 4.0, 3.0)
    t_s, change = pupil_epochs(T, size, [10.0, 29.0, 0.1], after_s=2.0)
    assert t_s[0] == pytest.approx(-0.5)
    assert t_s[-1] == pytest.approx(2.0)
    np.testing.assert_allclose(change[0, t_s >= 0], 1.0)
    assert np.isnan(change[1, -1])
    assert change[1, 30] == 0
    assert np.isnan(change[2]).all()  # less than half of its baseline was recorded


def test_the_band_is_students() -> None:
    mean, half = confidence_band(np.array([[1.0, 1.0], [2.0, np.nan], [3.0, np.nan]]))
    assert mean.tolist() == [2.0, 1.0]
    assert half[0] == pytest.approx(4.303 / np.sqrt(3), abs=1e-3)
    assert np.isnan(half[1])


def test_courses_tell_categories_and_trials() -> None:
    figure = plot_pupil_course(
        COURSE_S, {"HVHA": TRIALS, "LVLA": TRIALS[:1]}, corrected={"HVHA": -TRIALS}, unit="mm",
        offset_s=4.0,
    )  # fmt: skip
    assert _legend(figure) == ["HVHA (6)", "LVLA (1)"]
    assert "(mm)" in figure.axes[0].get_ylabel()
    assert len(figure.axes) == 2
    assert _drawn(figure) > 0


def test_the_ribbon_tells_what_occurs() -> None:
    figure = plot_event_ribbon(SAMPLES, 2.0, 8.0)
    assert _legend(figure)[2:] == ["fixation", "saccade", "post-saccadic oscillation", "blink"]
    assert figure.axes[1].get_xlim() == pytest.approx((0, 6))
    assert _drawn(figure) > 0


def test_the_scarf_keeps_colours_and_tells_shares() -> None:
    figure = plot_scarf({"P01": VISITS, "P02": VISITS[::-1]}, duration_s=5, title="regions")
    assert _legend(figure) == ["eyes (71 %)", "mouth (19 %)", "elsewhere (10 %)"]
    assert figure.axes[0].get_xlim() == (0, 5)
    assert _drawn(figure) > 0
    many = [(f"region {i}", float(i), 0.9) for i in range(14)]
    assert len(_legend(plot_scarf(many))) == 14


def test_fixations_on_one_place_share_a_label() -> None:
    fixations = pd.DataFrame(
        {"x_stim": [0.2, 0.8, 0.205], "y_stim": [0.3, 0.3, 0.3], "duration": 0.2}
    )
    texts = [text.get_text() for text in plot_scanpath(fixations).axes[0].texts]
    assert texts == ["1,3", "2"]


@pytest.mark.parametrize(
    "figure",
    [
        plot_pupil_course(COURSE_S, {}),
        plot_pupil_course(COURSE_S, {"HVHA": np.full((2, 100), np.nan)}),
        plot_pupil_course(COURSE_S, {"HVHA": TRIALS[:0]}, corrected={}),
        plot_event_ribbon(SAMPLES.iloc[:0]),
        plot_event_ribbon(SAMPLES, 100.0, 101.0),
        plot_event_ribbon(SAMPLES.iloc[:1]),
        plot_scarf([]),
        plot_scarf({"P01": [], "P02": VISITS}),
    ],
)
def test_nothing_to_draw_is_said_not_raised(figure: Figure) -> None:
    assert _drawn(figure) > 0
