"""The scale of a rating."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duchenne.protocols.parts_ratings import (
    ChoiceRating,
    EmotionsRating,
    GridRating,
    LikertRating,
    NumberRating,
    SamRating,
    SliderRating,
    TextRating,
    YesNoRating,
)
from duchenne.protocols.scales.emotions import Emotions
from duchenne.protocols.scales.entry import Entry
from duchenne.protocols.scales.grid import Grid
from duchenne.protocols.scales.options import Choice, Likert
from duchenne.protocols.scales.sam import Sam
from duchenne.protocols.scales.slider import Slider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duchenne.protocols.layout import Layout
    from duchenne.protocols.parts_ratings import Rating
    from duchenne.protocols.scales.base import Draft, Scale


def scale_of(rating: Rating, layout: Layout) -> Scale:
    """Return the scale that asks a rating on a screen."""
    return _MAKERS[type(rating)](rating, layout)


def _yes_no(rating: YesNoRating, layout: Layout) -> Scale:
    return Choice(rating.question, (rating.yes, rating.no), ("yes", "no"), layout)


def _choice(rating: ChoiceRating, layout: Layout) -> Scale:
    return Choice(rating.question, rating.options, rating.options, layout)


_MAKERS: Mapping[type, Callable[[Any, Layout], Scale]] = {
    SamRating: Sam,
    GridRating: Grid,
    SliderRating: Slider,
    LikertRating: Likert,
    EmotionsRating: Emotions,
    TextRating: Entry,
    NumberRating: Entry,
    ChoiceRating: _choice,
    YesNoRating: _yes_no,
}


def result(scale: Scale, draft: Draft) -> Any:
    """Return what is stored of an answer: a number, a text, or a dict."""
    return scale.result(draft) if isinstance(scale, Entry) else draft.value


def passed(rating: Rating, value: Any) -> bool | None:
    """Say whether an attention check was answered as required; None for what is no check."""
    required = getattr(rating, "required_answer", None)
    if required is None:
        return None
    if isinstance(required, tuple):
        return value is not None and required[0] <= value <= required[1]
    return bool(value == required)


def dimension(rating: Rating) -> str | None:
    """Return what a rating measures, if it says so."""
    return getattr(rating, "dimension", None)
