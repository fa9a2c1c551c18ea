"""The parts of a protocol file: the screen, the kinds of step, and blocks of them.

Each kind of step is one model, told apart by its ``type``. Unknown keys are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from duchenne.protocols.labels import LABEL_PATTERN
from duchenne.stimuli.suggest import did_you_mean

T = TypeVar("T")


def not_empty(items: tuple[T, ...]) -> tuple[T, ...]:
    """Refuse an empty list; unlike a length constraint, say nothing when an item is at fault."""
    if not items:
        raise PydanticCustomError("empty", "the list is empty; name at least one")
    return items


MAX_DURATION_S = 4 * 3600.0
"""No single screen or film of an experiment lasts longer; more is a slip of the pen."""

Seconds = Annotated[float, Field(gt=0, le=MAX_DURATION_S, allow_inf_nan=False)]
SecondsOrNone = Annotated[float, Field(ge=0, le=MAX_DURATION_S, allow_inf_nan=False)]
Grey = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Length = Annotated[float, Field(gt=0, le=2000, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, max_length=5000)]
Label = Annotated[str, Field(pattern=f"^{LABEL_PATTERN}$", max_length=64)]


class Strict(BaseModel):
    """Base of all parts: unknown keys are refused, with the nearest known one suggested."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys_only(cls, data: Any) -> Any:
        data = cls._expanded(data)
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    hint = did_you_mean(str(key), cls.model_fields)
                    raise PydanticCustomError(
                        "unknown_key", "unknown key '{key}'{hint}", {"key": str(key), "hint": hint}
                    )
        return data

    @classmethod
    def _expanded(cls, data: Any) -> Any:
        """Return the long form of a value that may be written short."""
        return data


class Screen(Strict):
    """The screen and where the participant sits: what turns pixels into degrees.

    Attributes
    ----------
    width_px, height_px : int
        Resolution in pixels.
    width_cm, height_cm : float
        Size of the lit area in centimetres.
    distance_cm : float
        From the eyes to the middle of the screen, in centimetres.
    refresh_hz : float
        Declared refresh rate in Hz.
    background_grey, foreground_grey : float
        sRGB grey level of the screen and of text and cross, 0 (black) to 1 (white).
    """

    width_px: Annotated[int, Field(ge=320, le=16384)]
    height_px: Annotated[int, Field(ge=240, le=16384)]
    width_cm: Length
    height_cm: Length
    distance_cm: Length
    refresh_hz: Annotated[float, Field(ge=20, le=500, allow_inf_nan=False)] = 60.0
    background_grey: Grey = 0.5
    foreground_grey: Grey = 0.0

    @model_validator(mode="after")
    def _pixels_are_square(self) -> Screen:
        ratio = (self.width_cm / self.width_px) / (self.height_cm / self.height_px)
        if not 0.8 <= ratio <= 1.25:
            raise PydanticCustomError(
                "pixel_shape",
                "pixels would be {ratio} times as wide as high; correct width_cm and height_cm",
                {"ratio": f"{ratio:.2f}"},
            )
        return self


class Interval(Strict):
    """A length of time in seconds, fixed (``1.0``) or jittered (``{min: 0.8, max: 1.2}``).

    Attributes
    ----------
    min, max : float
        Shortest and longest, in seconds; drawn uniformly in between, to the millisecond.
    """

    min: SecondsOrNone
    max: SecondsOrNone

    @classmethod
    def _expanded(cls, data: Any) -> Any:
        """Take a plain number for both ends."""
        if isinstance(data, (int, float, str)) and not isinstance(data, bool):
            return {"min": data, "max": data}
        return data

    @model_validator(mode="after")
    def _in_order(self) -> Interval:
        if self.min > self.max:
            raise PydanticCustomError("interval_order", "min is above max; exchange them")
        return self


class Rating(Strict):
    """A question answered after a stimulus on pictured scales (Self-Assessment Manikin, 1 to 9).

    Attributes
    ----------
    type : {"sam"}
        Kind of scale.
    dimension : {"valence", "arousal"}
        What the figures depict.
    question : str
        Text above the figures.
    timeout_s : float or None
        Go on without an answer after so many seconds; None waits.
    """

    type: Literal["sam"] = "sam"
    dimension: Literal["valence", "arousal"]
    question: Text
    timeout_s: Seconds | None = None


def sam_ratings() -> dict[str, Rating]:
    """Return the ratings of a protocol that declares none: valence and arousal."""
    return {
        "valence": Rating(dimension="valence", question="How unpleasant or pleasant did you feel?"),
        "arousal": Rating(dimension="arousal", question="How calm or excited did you feel?"),
    }


class Instruction(Strict):
    """A text on the screen.

    Attributes
    ----------
    text : str
        What is shown.
    duration_s : float or None
        Ends by itself after so many seconds; None waits for the participant's key.
    skip_with_key : bool
        The key may end it earlier than `duration_s`.
    """

    type: Literal["instruction"]
    text: Text
    duration_s: Seconds | None = None
    skip_with_key: bool = True


class NeutralFace(Strict):
    """A phase with a relaxed, neutral face, on which facial measures are calibrated.

    Attributes
    ----------
    duration_s : float
        Length in seconds; 5 or more is advised.
    text : str or None
        A reminder shown above the cross; None shows the cross alone.
    """

    type: Literal["neutral"]
    duration_s: Seconds
    text: Text | None = None


class Break(Strict):
    """A pause for the participant.

    Attributes
    ----------
    text : str
        What is shown.
    duration_s : float or None
        Ends by itself after so many seconds; None waits for the participant's key.
    skip_with_key : bool
        The key may end it earlier than `duration_s`.
    """

    type: Literal["break"]
    text: Text = "Take a short break. Press the space bar to go on."
    duration_s: Seconds | None = None
    skip_with_key: bool = True


class BreaksBetween(Strict):
    """Breaks inside a run of trials.

    Attributes
    ----------
    every : int
        After how many trials; none comes after the last trial.
    text, duration_s, skip_with_key
        As in `Break`.
    """

    every: Annotated[int, Field(ge=1)]
    text: Text = "Take a short break. Press the space bar to go on."
    duration_s: Seconds | None = None
    skip_with_key: bool = True


class Select(Strict):
    """Which stimuli of the set are shown; what is left out does not restrict.

    Attributes
    ----------
    ids : tuple of str or None
        These, in this order if the order is fixed.
    categories : tuple of str or None
        Those of these categories.
    kinds : tuple or None
        Those of these kinds: ``image``, ``video``, ``audio``.
    per_category : int or None
        Draw so many at random from each category.
    """

    ids: Annotated[tuple[str, ...], AfterValidator(not_empty)] | None = None
    categories: Annotated[tuple[str, ...], AfterValidator(not_empty)] | None = None
    kinds: (
        Annotated[tuple[Literal["image", "video", "audio"], ...], AfterValidator(not_empty)] | None
    ) = None
    per_category: Annotated[int, Field(ge=1)] | None = None

    @field_validator("ids")
    @classmethod
    def _no_id_twice(cls, ids: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for stimulus_id in ids or ():
            if ids and ids.count(stimulus_id) > 1:
                raise PydanticCustomError(
                    "repeated_id", "the stimulus '{id}' is named twice", {"id": stimulus_id}
                )
        return ids


class Trials(Strict):
    """Stimuli one after the other: fixation cross, stimulus, ratings, empty screen.

    Attributes
    ----------
    select : Select
        Which stimuli; all of the set by default.
    order : {"random", "fixed"}
        Drawn from the seed, or as selected.
    max_repeats_of_category : int or None
        At most so many of one category in a row (random order only).
    fixation_s, iti_s : Interval
        Fixation cross before and empty screen after, in seconds.
    duration_s : float or None
        How long an image is shown, in seconds; films and sounds last as long as they are.
    ratings : tuple of str
        Names of ratings, asked in this order after each stimulus.
    breaks : BreaksBetween or None
        Breaks after every so many trials.
    """

    type: Literal["trials"]
    select: Select = Select()
    order: Literal["random", "fixed"] = "random"
    max_repeats_of_category: Annotated[int, Field(ge=1)] | None = None
    fixation_s: Interval = Interval(min=1.0, max=1.0)
    duration_s: Seconds | None = None
    iti_s: Interval = Interval(min=1.0, max=1.0)
    ratings: tuple[str, ...] = ()
    breaks: BreaksBetween | None = None


Item = Annotated[Instruction | NeutralFace | Break | Trials, Field(discriminator="type")]


class Block(Strict):
    """A named part of the experiment.

    Attributes
    ----------
    name : str
        Unique; letters and digits.
    steps : tuple
        `Instruction`, `NeutralFace`, `Break` and `Trials` in order.
    """

    name: Label
    steps: Annotated[tuple[Item, ...], AfterValidator(not_empty)]
