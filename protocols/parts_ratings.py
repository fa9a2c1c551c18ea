"""The questions of a protocol file: each kind of scale is one model, told apart by its ``type``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from duchenne.protocols.parts_base import Seconds, Strict, Text, not_empty

Short = Annotated[str, Field(min_length=1, max_length=200)]
Finite = Annotated[float, Field(allow_inf_nan=False)]

EMOTIONS = (
    "Anger", "Disgust", "Fear", "Sadness", "Surprise", "Joy", "Amusement", "Tenderness",
)  # fmt: skip


class Question(Strict):
    """What all scales have.

    Attributes
    ----------
    question : str
        Text above the scale.
    timeout_s : float or None
        Go on without an answer after so many seconds; None waits.
    """

    question: Text
    timeout_s: Seconds | None = None


class SamRating(Question):
    """Pictured scale (Self-Assessment Manikin, 1 to 9; Bradley & Lang 1994).

    Attributes
    ----------
    type : {"sam"}
        Kind of scale.
    dimension : {"valence", "arousal", "dominance"}
        What the figures depict.
    required_answer : int or None
        The answer an attentive participant gives; the response is marked as `passed` or not.
    """

    type: Literal["sam"] = "sam"
    dimension: Literal["valence", "arousal", "dominance"]
    required_answer: Annotated[int, Field(ge=1, le=9)] | None = None


class GridRating(Question):
    """Affect grid: one mark on 9 by 9 fields (Russell, Weiss & Mendelsohn 1989).

    Attributes
    ----------
    type : {"affect_grid"}
        Kind of scale.
    left, right, bottom, top : str
        Ends of the axes: valence from left to right, arousal from the bottom to the top.
    corners : tuple of str
        Top left, top right, bottom left, bottom right; empty for none.
    """

    type: Literal["affect_grid"]
    left: Short = "Unpleasant"
    right: Short = "Pleasant"
    bottom: Short = "Sleepy"
    top: Short = "Highly aroused"
    corners: Annotated[tuple[Short, ...], Field(max_length=4)] = (
        "Stress",
        "Excitement",
        "Depression",
        "Relaxation",
    )

    @model_validator(mode="after")
    def _four_corners(self) -> GridRating:
        if len(self.corners) not in (0, 4):
            raise PydanticCustomError("corners", "corners takes four names, or none")
        return self


class SliderRating(Question):
    """Visual analogue scale, 0 to 100; no mark is set at first.

    Attributes
    ----------
    type : {"slider"}
        Kind of scale.
    left, right : str
        What the ends mean.
    step : int
        What an arrow key moves the mark by; ten times that with page up and page down.
    dimension : str or None
        What is rated, such as ``valence``: such a dimension gets the summary's column of that name.
    required_answer : tuple of float or None
        From and to: an attentive participant's answer lies there.
    """

    type: Literal["slider"]
    left: Short
    right: Short
    step: Annotated[int, Field(ge=1, le=25)] = 1
    dimension: Short | None = None
    required_answer: tuple[Finite, Finite] | None = None


class LikertRating(Question):
    """Numbered points in a row.

    Attributes
    ----------
    type : {"likert"}
        Kind of scale.
    points : int
        How many, 2 to 11.
    first : int
        Number of the leftmost.
    labels : tuple of str
        One for each point, or one for each end, or none.
    dimension : str or None
        What is rated, such as ``valence``: such a dimension gets the summary's column of that name.
    required_answer : int or None
        The point that an attentive participant chooses; the response is marked as `passed` or not.
    """

    type: Literal["likert"]
    points: Annotated[int, Field(ge=2, le=11)] = 7
    first: Annotated[int, Field(ge=-5, le=1)] = 1
    labels: tuple[Short, ...] = ()
    dimension: Short | None = None
    required_answer: int | None = None

    @model_validator(mode="after")
    def _labels_fit(self) -> LikertRating:
        if len(self.labels) not in (0, 2, self.points):
            raise PydanticCustomError(
                "labels",
                "{n} labels for {points} points: give one for each point, or two for the ends",
                {"n": len(self.labels), "points": self.points},
            )
        last = self.first + self.points - 1
        if self.required_answer is not None and not self.first <= self.required_answer <= last:
            raise PydanticCustomError(
                "required_answer",
                "required_answer is no point of the scale: {first} to {last}",
                {"first": self.first, "last": last},
            )
        return self


class EmotionsRating(Question):
    """Discrete emotions: any number of a list, each with an intensity.

    Attributes
    ----------
    type : {"emotions"}
        Kind of scale.
    emotions : tuple of str
        What is listed.
    intensity : int
        Strongest; 0 is not felt, 1 makes it a plain check list.
    weak, strong : str
        What the lowest and the highest number stand for, in words above the list.
    """

    type: Literal["emotions"]
    emotions: Annotated[tuple[Short, ...], AfterValidator(not_empty), Field(max_length=20)] = (
        EMOTIONS
    )
    intensity: Annotated[int, Field(ge=1, le=9)] = 4
    weak: Short = "a little"
    strong: Short = "very strongly"

    @model_validator(mode="after")
    def _named_once(self) -> EmotionsRating:
        for name in self.emotions:
            if self.emotions.count(name) > 1:
                raise PydanticCustomError("repeated", "'{name}' is named twice", {"name": name})
        return self


class TextRating(Question):
    """Words that are typed.

    Attributes
    ----------
    type : {"text"}
        Kind of scale.
    max_length : int
        Most characters.
    optional : bool
        May be left empty.
    """

    type: Literal["text"]
    max_length: Annotated[int, Field(ge=1, le=1000)] = 300
    optional: bool = True


class NumberRating(Question):
    """A number that is typed.

    Attributes
    ----------
    type : {"number"}
        Kind of scale.
    min, max : float
        Ends of what is accepted.
    unit : str
        Shown behind the number.
    required_answer : float or None
        The number that an attentive participant gives; the response is marked as `passed` or not.
    """

    type: Literal["number"]
    min: Finite = 0
    max: Finite = 1000
    unit: Annotated[str, Field(max_length=40)] = ""
    required_answer: Finite | None = None

    @model_validator(mode="after")
    def _in_order(self) -> NumberRating:
        if self.min >= self.max:
            raise PydanticCustomError("range_order", "min is not below max; correct them")
        return self


class ChoiceRating(Question):
    """One of a list.

    Attributes
    ----------
    type : {"choice"}
        Kind of scale.
    options : tuple of str
        Two to nine; what is chosen is stored as it stands here.
    required_answer : str or None
        The option that an attentive participant chooses; the response is marked as `passed` or not.
    """

    type: Literal["choice"]
    options: Annotated[tuple[Short, ...], Field(min_length=2, max_length=9)]
    required_answer: Short | None = None

    @model_validator(mode="after")
    def _answer_is_listed(self) -> ChoiceRating:
        if self.required_answer is not None and self.required_answer not in self.options:
            raise PydanticCustomError("required_answer", "required_answer is none of the options")
        return self


class YesNoRating(Question):
    """Yes or no.

    Attributes
    ----------
    type : {"yes_no"}
        Kind of scale.
    yes, no : str
        The words on the screen; ``yes`` or ``no`` is stored.
    required_answer : {"yes", "no"} or None
        What an attentive participant answers, in quotation marks; the response is marked as `passed` or not.
    """

    type: Literal["yes_no"]
    yes: Short = "Yes"
    no: Short = "No"
    required_answer: Literal["yes", "no"] | None = None


def _kind_of(value: Any) -> str | None:
    """Return the type of a scale; the manikin where none is given."""
    found = value.get("type", "sam") if isinstance(value, dict) else getattr(value, "type", None)
    return str(found) if found is not None else None


Rating: TypeAlias = Annotated[
    Annotated[SamRating, Tag("sam")]
    | Annotated[GridRating, Tag("affect_grid")]
    | Annotated[SliderRating, Tag("slider")]
    | Annotated[LikertRating, Tag("likert")]
    | Annotated[EmotionsRating, Tag("emotions")]
    | Annotated[TextRating, Tag("text")]
    | Annotated[NumberRating, Tag("number")]
    | Annotated[ChoiceRating, Tag("choice")]
    | Annotated[YesNoRating, Tag("yes_no")],
    Discriminator(_kind_of),
]


def sam_ratings() -> dict[str, Rating]:
    """Return the ratings of a protocol that declares none: valence and arousal."""
    return {
        "valence": SamRating(
            dimension="valence", question="How unpleasant or pleasant did you feel?"
        ),
        "arousal": SamRating(dimension="arousal", question="How calm or excited did you feel?"),
    }
