from __future__ import annotations

import re

import pytest

from duchenne.analysis.reports.cards import ratings_svg
from duchenne.analysis.reports.rating_scales import RatingScale, rating_scales, scales_said
from duchenne.analysis.reports.wheel import wheel_svg

ASKED = """
ratings:
  how_pleasant: {type: slider, question: How, left: bad, right: good, dimension: valence}
  arousal: {type: likert, question: How, points: 5, first: 0}
  other: {type: slider, question: How, left: a, right: b}
"""


def test_the_scales_are_those_of_the_protocol() -> None:
    scales = rating_scales(ASKED)
    assert scales == {"valence": RatingScale(0, 100), "arousal": RatingScale(0, 4)}
    assert scales_said(scales) == "Ratings: valence from 0 to 100, arousal from 0 to 4"
    assert scales["valence"].ticks == (0, 25, 50, 75, 100)
    assert scales["arousal"].ticks == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("text", ["", "ratings: 3", "ratings: {valence: x}", "[", "a: b"])
def test_what_a_protocol_does_not_say_is_the_manikins(text: str) -> None:
    scales = rating_scales(text)
    assert scales == {"valence": RatingScale(1, 9), "arousal": RatingScale(1, 9)}
    assert scales_said(scales) == "Ratings from 1 to 9"


def test_a_rating_is_drawn_where_it_lies_on_its_scale() -> None:
    row = {"rating_valence": 50.0, "rating_arousal": 4.0}
    scales = rating_scales(ASKED)
    svg = ratings_svg(row, scales)
    at = [float(x) for x in re.findall(r'<circle cx="([0-9.]+)" cy="\d+" r="8"', svg)]
    assert at == pytest.approx([(68 + 254) / 2, 254])
    assert "valence rated 50" in svg
    assert ">100</text>" in svg
    (dot,) = re.findall(
        r'<circle cx="([0-9.]+)" cy="([0-9.]+)" r="7"', wheel_svg(None, row, scales)
    )
    middle, top = wheel_svg(None, {"rating_valence": 5.0, "rating_arousal": 9.0}), dot
    assert re.findall(r'<circle cx="([0-9.]+)" cy="([0-9.]+)" r="7"', middle) == [top]


def test_a_rating_off_its_scale_is_not_drawn() -> None:
    svg = ratings_svg({"rating_valence": 50.0, "rating_arousal": 5.0})
    assert len(re.findall(r'r="8"', svg)) == 1
    assert "valence rated 50" in svg
