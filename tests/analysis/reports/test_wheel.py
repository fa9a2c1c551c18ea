"""The wheel of valence and arousal."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.reports.wheel import wheel_caption, wheel_said, wheel_svg

ROW = {
    "rating_valence": 7.0,
    "rating_arousal": 5.0,
    "norm_valence": 6.0,
    "norm_arousal": 3.0,
    "norm_valence_scaled": 0.25,
    "norm_arousal_scaled": -0.5,
}


def frames(arousal: float) -> pd.DataFrame:
    times = np.arange(0, 4, 1 / 30)
    return pd.DataFrame(
        {
            "time": times,
            "expr_valence": np.linspace(-0.5, 0.5, times.size),
            "expr_arousal": np.linspace(0, arousal, times.size),
        }
    )


def test_the_course_goes_from_its_start_to_its_end() -> None:
    svg = wheel_svg(frames(0.8), ROW)
    start, end = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="4.5"', svg)
    middle, reach = 125, 92
    assert (float(start[0]) - middle) / reach == pytest.approx(-0.44, abs=0.08)
    assert (float(end[0]) - middle) / reach == pytest.approx(0.44, abs=0.08)
    assert float(end[1]) < float(start[1])
    assert "from its start" in wheel_caption(frames(0.8))


def test_rating_and_norm_are_on_the_scale_of_the_wheel() -> None:
    svg = wheel_svg(None, ROW)
    (rating,) = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="7"', svg)
    assert (float(rating[0]), float(rating[1])) == (125 + 46, 121)
    assert "rotate(45 148.0 167.0)" in svg
    assert "rating valence 7, arousal 5" in wheel_said(None, ROW)
    assert "norm valence 6, arousal 3" in wheel_said(None, ROW)


def test_what_was_not_measured_is_said() -> None:
    without = frames(np.nan)
    assert "arousal not measured" in wheel_said(without, {})
    assert "its arousal was not measured" in wheel_caption(without)
    assert ">arousal n/a</text>" in wheel_svg(without, {})
    assert "arousal n/a" not in wheel_svg(frames(0.8), {})
    assert "no expression measured" in wheel_said(without.iloc[:3], {})
    assert wheel_caption(None) == "The expression was not measured"
    assert "<rect" in wheel_svg(None, {})
