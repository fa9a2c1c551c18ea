from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.gaze.plots import plot_heatmap, plot_main_sequence, plot_scanpath

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

IMAGE = np.full((120, 160, 3), 200, dtype=np.uint8)
FIXATIONS = pd.DataFrame(
    {"x_stim": [0.2, 0.8, np.nan], "y_stim": [0.3, 0.3, 0.5], "duration": [0.2, 0.6, 0.3]}
)
SACCADES = pd.DataFrame(
    {"amplitude_deg": [2.0, 9.0], "peak_velocity_deg_s": [120.0, 400.0], "duration": [0.025, 0.04]}
)


def _pixels(figure: Figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]


def test_dwell_is_where_the_eye_was() -> None:
    figure = plot_heatmap(FIXATIONS, IMAGE)
    shown = figure.axes[0].images[-1].get_array()
    rows, columns = shown.shape[:2]
    alpha = shown[..., 3]
    assert alpha[int(0.3 * rows), int(0.8 * columns)] > 0.8
    assert alpha[int(0.9 * rows), int(0.5 * columns)] < 0.01


def test_scan_path_draws_each_placed_fixation() -> None:
    figure = plot_scanpath(FIXATIONS, SACCADES, IMAGE, title="a picture")
    assert len(figure.axes[0].collections[0].get_offsets()) == 2
    assert "2 fixations, mean 400 ms" in figure.axes[0].get_xlabel()
    assert _pixels(figure).std() > 0


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot_scanpath(FIXATIONS.iloc[:0]),
        lambda: plot_heatmap(FIXATIONS.iloc[:0], aspect=1.0),
        lambda: plot_main_sequence(SACCADES.iloc[:0]),
        lambda: plot_main_sequence(SACCADES.assign(peak_velocity_deg_s=np.nan)),
        lambda: plot_main_sequence(SACCADES, title="main sequence"),
    ],
)
def test_nothing_to_draw_is_said_not_raised(draw: Callable[[], Figure]) -> None:
    assert _pixels(draw()).std() > 0
