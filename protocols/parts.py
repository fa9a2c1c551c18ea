"""The parts of a protocol file: the screen, the kinds of step, and blocks of them.

Each kind of step is one model, told apart by its ``type``. Unknown keys are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from duchenne.protocols.parts_base import (
    Grey,
    Label,
    Length,
    Seconds,
    SecondsOrNone,
    Strict,
    Text,
    not_empty,
)
from duchenne.protocols.parts_forms import Consent, End, Form, RatingStep
from duchenne.protocols.parts_gaze import GazeItem, GazeStart


class Screen(Strict):
    """The screen and where the participant sits: what turns pixels into degrees.

    Attributes
    ----------
    width_px, height_px : int
        Resolution in pixels.
    width_cm, height_cm : float
        Size of the lit area in centimetres; measure it.
    distance_cm : float
        From the eyes to the middle of the screen, in centimetres.
    refresh_hz : float
        Declared refresh rate in Hz.
    background_grey : float
        sRGB grey level of the screen, 0 (black) to 1 (white).
    foreground_grey : float
        sRGB grey level of text and cross, 0 (black) to 1 (white).
    font : str or None
        File or name of a font for all words; one that has their characters by default.
    """

    width_px: Annotated[int, Field(ge=320, le=16384)]
    height_px: Annotated[int, Field(ge=240, le=16384)]
    width_cm: Length
    height_cm: Length
    distance_cm: Length
    refresh_hz: Annotated[float, Field(ge=20, le=500, allow_inf_nan=False)] = 60.0
    background_grey: Grey = 0.5
    foreground_grey: Grey = 0.0
    font: Text | None = None

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


class Instruction(Strict):
    """A text, an image, or both; a text longer than the screen goes on over further pages.

    Attributes
    ----------
    text : str or None
        What is shown, in any language; an empty line parts paragraphs.
    image : str or None
        Picture file below the text, relative to the protocol file.
    duration_s : float or None
        Ends by itself after so many seconds; None waits for the participant's key.
    skip_with_key : bool
        The key may end it earlier than `duration_s`.
    """

    type: Literal["instruction"]
    text: Text | None = None
    image: Text | None = None
    duration_s: Seconds | None = None
    skip_with_key: bool = True

    @model_validator(mode="after")
    def _shows_something(self) -> Instruction:
        if self.text is None and self.image is None:
            raise PydanticCustomError("empty_instruction", "give text, image or both")
        return self


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
    text : str
        What is shown.
    duration_s : float or None
        Ends by itself after so many seconds; None waits for the participant's key.
    skip_with_key : bool
        The key may end it earlier than `duration_s`.
    """

    every: Annotated[int, Field(ge=1)]
    text: Text = "Take a short break. Press the space bar to go on."
    duration_s: Seconds | None = None
    skip_with_key: bool = True


class Range(Strict):
    """From `min` to `max`, both included; one of them may be left out.

    Attributes
    ----------
    min, max : float or None
        The ends.
    """

    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _some_end(self) -> Range:
        if self.min is None and self.max is None:
            raise PydanticCustomError("no_end", "give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise PydanticCustomError("range_order", "min is above max; exchange them")
        return self

    def holds(self, value: float | None) -> bool:
        """Tell whether a value lies within; a missing one does not."""
        return (
            value is not None
            and (self.min is None or value >= self.min)
            and (self.max is None or value <= self.max)
        )


class Match(Strict):
    """What the drawn stimuli must agree in.

    Attributes
    ----------
    by : tuple of str
        ``valence``, ``arousal``, ``dominance``, ``luminance``, ``duration_s``, or any number of the manifest.
    across : {"categories", "lists", "both"}
        Which cells must agree in their means (and, as far as it goes, in their spreads).
    tolerance_sd : float
        Largest difference between two cells that is accepted, in standard deviations over all candidates.
    """

    by: Annotated[tuple[str, ...], AfterValidator(not_empty)]
    across: Literal["categories", "lists", "both"] = "categories"
    tolerance_sd: Annotated[float, Field(gt=0, le=3)] = 0.2


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
    measures : dict of str to Range
        Those whose numbers lie in these ranges: norms (scaled to [-1, 1]), ``luminance``, or any number
        of the manifest.
    per_category : int or None
        Draw so many at random from each category.
    match : Match or None
        Draw such that the categories, or the lists, agree in these numbers.
    lists : int or None
        Deal the stimuli out to so many lists, `per_category` of each category to each (or all, evenly); a
        participant sees one list, chosen by the participant's number. The lists are the same for
        all participants.
    """

    ids: Annotated[tuple[str, ...], AfterValidator(not_empty)] | None = None
    categories: Annotated[tuple[str, ...], AfterValidator(not_empty)] | None = None
    kinds: (
        Annotated[tuple[Literal["image", "video", "audio", "text"], ...], AfterValidator(not_empty)]
        | None
    ) = None
    measures: dict[str, Range] = Field(default_factory=dict)
    per_category: Annotated[int, Field(ge=1)] | None = None
    match: Match | None = None
    lists: Annotated[int, Field(ge=2, le=100)] | None = None

    @model_validator(mode="after")
    def _match_fits(self) -> Select:
        if self.match is None:
            return self
        if self.per_category is None:
            raise PydanticCustomError(
                "match_without_number", "match draws stimuli: say how many with per_category"
            )
        if self.match.across != "categories" and self.lists is None:
            raise PydanticCustomError(
                "match_without_lists", "lists are to be matched, but there are none: give lists"
            )
        return self

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
    order : {"random", "fixed", "latin_square"}
        Drawn from the seed, as selected, or the row of a balanced Latin square that belongs to the
        participant's number.
    repeats : int
        How often each stimulus is shown; never twice in a row (random order).
    max_repeats_of_category : int or None
        At most so many of one category in a row (random order only); counts on from trials directly before.
    balance_transitions : bool
        Let each category follow each one as often as its frequency demands (random order only).
    fixation_s : Interval
        Fixation cross before the stimulus, in seconds.
    post_stimulus_s : Interval
        Empty screen between the stimulus and the ratings, in seconds; none by default.
    iti_s : Interval
        Empty screen after the ratings, in seconds.
    duration_s : float or None
        How long an image is shown, in seconds; films and sounds last as long as they are.
    ratings : tuple of str
        Names of ratings, asked in this order after each stimulus.
    breaks : BreaksBetween or None
        Breaks after every so many trials.
    adapt_s : float or None
        Before the fixation time, the cross stands so long on a plain screen that is as bright as the screen
        will be with the stimulus; 2 s or more where the pupil matters.
    gaze_start : GazeStart or None
        After the fixation time, the stimulus waits until the eyes are on the cross.
    """

    type: Literal["trials"]
    select: Select = Select()
    order: Literal["random", "fixed", "latin_square"] = "random"
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    max_repeats_of_category: Annotated[int, Field(ge=1)] | None = None
    balance_transitions: bool = False
    fixation_s: Interval = Interval(min=1.0, max=1.0)
    duration_s: Seconds | None = None
    post_stimulus_s: Interval = Interval(min=0.0, max=0.0)
    iti_s: Interval = Interval(min=1.0, max=1.0)
    ratings: tuple[str, ...] = ()
    breaks: BreaksBetween | None = None
    adapt_s: Seconds | None = None
    gaze_start: GazeStart | None = None


Item = Annotated[
    Instruction | NeutralFace | Break | Trials | RatingStep | Form | Consent | End | GazeItem,
    Field(discriminator="type"),
]


class Counterbalance(Strict):
    """Blocks that change places from participant to participant.

    Attributes
    ----------
    blocks : tuple of str
        Names of two or more blocks; the others stay where they are.
    method : {"latin_square", "full", "random"}
        A balanced Latin square or all orders, by the participant's number, or drawn from the seed.
    """

    blocks: Annotated[tuple[str, ...], Field(min_length=2)]
    method: Literal["latin_square", "full", "random"] = "latin_square"


class Block(Strict):
    """A named part of the experiment.

    Attributes
    ----------
    name : str
        Unique; letters and digits.
    steps : tuple
        What happens, in order.
    """

    name: Label
    steps: Annotated[tuple[Item, ...], AfterValidator(not_empty)]
