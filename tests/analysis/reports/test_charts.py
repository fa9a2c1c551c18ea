"""Curves as pictures and as data for Plotly."""

from __future__ import annotations

import base64
import gzip
import json

import numpy as np
import pytest

from duchenne.analysis.reports.bands import au_half_width, band_said
from duchenne.analysis.reports.charts import Chart, Line, Panel, limits_of, thinned
from duchenne.analysis.reports.charts_live import charts_json, plotly_figure, plotly_script
from duchenne.analysis.reports.charts_still import chart_uri
from duchenne.analysis.reports.colours import category_colours, on_scale

NAN = np.nan


def line(y: list[float], *, band: bool = True) -> Line:
    values = np.array(y)
    edges = (values - 1, values + 1) if band else (None, None)
    return Line(
        "a </script> name", np.arange(len(y), dtype=float), values, "#0072B2", "dash", *edges
    )


def chart(*lines: Line) -> Chart:
    panel = Panel("what", tuple(lines), zero=True, marked=((1.0, 2.0, "cluster"),))
    return Chart((panel, panel), "seconds", (0, 5), shade=((1, 2, "#E69F00"),), at=(0.0,))


def test_a_band_with_a_gap_has_two_outlines() -> None:
    data = plotly_figure(chart(line([1, 2, NAN, 4, 5])))["data"]
    band, mean, marked = data[:3]
    assert band["x"] == [0, 1, 1, 0, None, 3, 4, 4, 3]
    assert band["y"] == [2, 3, 1, 0, None, 5, 6, 4, 3]
    assert mean["y"] == [1, 2, None, 4, 5]
    assert mean["line"]["dash"] == "dash"
    assert (marked["name"], marked["x"]) == ("cluster", [1, 2])
    assert data[-1]["yaxis"] == "y2"


def test_a_line_without_a_band_has_none() -> None:
    assert len(plotly_figure(chart(line([1.0, 2.0], band=False)))["data"]) == 4


def test_charts_within_a_page_cannot_end_its_script() -> None:
    told = charts_json({"p1": chart(line([1, NAN]))})
    assert "<" not in told
    assert json.loads(told)["p1"]["data"][1]["name"] == "a </script> name"


def test_thinning_keeps_means_and_gaps() -> None:
    long = line([*range(8), NAN, NAN, NAN, NAN])
    short = thinned(long, 6)
    np.testing.assert_array_equal(short.y, [0.5, 2.5, 4.5, 6.5, NAN, NAN])
    np.testing.assert_array_equal(short.low, short.y - 1)
    assert thinned(long, 12) is long


def test_limits_hold_the_band_and_zero() -> None:
    low, high = limits_of((line([3, 4, NAN]),), zero=True)
    assert low < 0
    assert high > 5
    assert limits_of((line([NAN]),)) == (0.0, 1.0)


def test_the_script_of_plotly_comes_out_as_it_went_in() -> None:
    packed = plotly_script()
    assert packed is not None
    assert len(packed) < 2.5e6
    assert b"plotly.js" in gzip.decompress(base64.b64decode(packed))[:200]
    assert plotly_script() is packed


def test_a_chart_is_drawn_with_and_without_detail() -> None:
    fine, coarse = (chart_uri(chart(line([1, 2, 3])), (4, 3), detail=d) for d in (1.0, 0.5))
    assert fine.startswith("data:image/svg+xml")
    assert coarse.startswith("data:image/webp")


def test_bands_grow_with_intensity_where_the_model_is_known() -> None:
    times = np.arange(0, 2, 1 / 30)
    values = np.full(times.size, 0.0)
    values[30:] = 4.0
    known = au_half_width("AU12", times, values, values, "geometry")
    assert 0 < known[0] < known[-1] < 1.5
    other = au_half_width("AU12", times, values, values, "fusion")
    assert np.ptp(other) == 0
    noisy = values + np.random.default_rng(0).normal(0, 0.2, times.size)
    assert au_half_width("AU12", times, noisy, values, "fusion")[0] > other[0]
    assert "human FACS" in band_said("geometry")
    assert "errors of the model" in band_said("fusion")


def test_categories_of_any_name_are_told_apart() -> None:
    colours = category_colours(["happy", "sad", "HVHA", "neutral", "x", "y"])
    assert len(set(colours.values())) == 6
    assert on_scale(0, "#0072B2") == "#ffffff"


@pytest.mark.parametrize("background", [on_scale(1, c) for c in ("#0072B2", "#E69F00")])
def test_numbers_on_colour_can_be_read(background: str) -> None:
    assert contrast(background, "#1d2733") >= 4.5


def contrast(one: str, other: str) -> float:
    """WCAG contrast ratio of two colours."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
