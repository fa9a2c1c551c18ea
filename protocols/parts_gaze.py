"""Steps of the protocol file that need or serve the eye tracker, and posed faces."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from duchenne.protocols.parts_base import Grey, Seconds, Strict, Text, not_empty

Degrees = Annotated[float, Field(gt=0, le=45, allow_inf_nan=False)]
Attempts = Annotated[int, Field(ge=1, le=10)]
Points = Literal[5, 9, 13]
Margin = Annotated[float, Field(ge=0.02, le=0.4, allow_inf_nan=False)]


class _Pointwise(Strict):
    """What calibration and validation have in common.

    Attributes
    ----------
    text : str or None
        Shown before; None begins at once.
    points : {5, 9, 13}
        How many targets, in an order drawn from the seed.
    margin : float
        Distance of the outer targets from the screen's edges, as a fraction of its width and height.
    accept : {"auto", "key"}
        Each target counts by itself once it has shrunk, or when the participant presses the space bar.
    settle_s : float
        The target shrinks for so long; the eyes have arrived when it is over.
    collect_s : float
        Gaze is collected for so long afterwards.
    max_error_deg : float
        A repetition is proposed where the mean error of an eye is larger.
    attempts : int
        At most so many are proposed.
    required : bool
        The session does not begin without gaze data; otherwise the step is left out with a note.
    result_s : float or None
        The result is shown for so long; None waits for a key.
    """

    text: Text | None = "Look at the middle of each dot until it moves on.\n\nPress the space bar."
    points: Points = 9
    margin: Margin = 0.1
    accept: Literal["auto", "key"] = "auto"
    settle_s: Seconds = 0.8
    collect_s: Seconds = 0.7
    max_error_deg: Degrees = 1.0
    attempts: Attempts = 3
    required: bool = False
    result_s: Seconds | None = None


class Calibration(_Pointwise):
    """Calibration of the eye tracker and its validation; of other trackers, the validation alone.

    Attributes
    ----------
    validation_points : {5, 9, 13}
        How many targets the validation has.
    """

    type: Literal["calibration"]
    validation_points: Points = 5


class Validation(_Pointwise):
    """Targets of known place: how far off is the gaze, and how steady is it."""

    type: Literal["validation"]
    points: Points = 5


class DriftCheck(Strict):
    """A look at one point in the middle: is the calibration still good.

    Attributes
    ----------
    settle_s : float
        The target shrinks for so long; the eyes have arrived when it is over.
    collect_s : float
        Gaze is collected for so long afterwards.
    max_error_deg : float
        A new calibration is proposed where the mean of the eyes is off by more.
    attempts : int
        At most so many calibrations are proposed.
    required : bool
        The session does not begin without gaze data.
    """

    type: Literal["drift_check"]
    settle_s: Seconds = 0.8
    collect_s: Seconds = 0.7
    max_error_deg: Degrees = 1.5
    attempts: Annotated[int, Field(ge=0, le=10)] = 1
    required: bool = False


class LightReflex(Strict):
    """Full screens of grey, to which the pupil's answer to light is fitted.

    Attributes
    ----------
    greys : tuple of float
        sRGB grey levels, 0 (black) to 1 (white).
    step_s : float
        Each is shown for so long; 3 s or more lets the pupil come to rest.
    repeats : int
        How often the whole sequence is shown.
    order : {"fixed", "random"}
        As written, or drawn from the seed for each repetition.
    """

    type: Literal["light_reflex"]
    greys: Annotated[tuple[Grey, ...], AfterValidator(not_empty)] = (0.2, 0.8, 0.35, 0.65)
    step_s: Seconds = 3.0
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    order: Literal["fixed", "random"] = "fixed"


class Baseline(Strict):
    """Rest: nothing to do but to look at a cross, or to keep the eyes closed.

    Attributes
    ----------
    duration_s : float
        Length in seconds.
    eyes : {"open", "closed"}
        What is asked of the participant.
    text : str or None
        A reminder above the cross; with closed eyes, None says so in English.
    """

    type: Literal["baseline"]
    duration_s: Seconds
    eyes: Literal["open", "closed"] = "open"
    text: Text | None = None


class Pose(Strict):
    """An expression to be posed; a known one may be written as its name alone.

    Attributes
    ----------
    name : str
        ``neutral``, ``smile``, ``frown``, ``brow_raise``, ``nose_wrinkle``, ``eyes_tight``, ``lip_press``,
        ``jaw_drop``, ``lip_corners_down``, or a name of your own.
    action_units : tuple of str or None
        Such as ``AU12``; needed for a name of your own.
    text : str or None
        What the participant is told; needed for a name of your own.
    """

    name: Text
    action_units: tuple[Annotated[str, Field(pattern=r"^AU\d{2}$")], ...] | None = None
    text: Text | None = None

    @classmethod
    def _expanded(cls, data: Any) -> Any:
        """Take a plain name."""
        return {"name": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _known_or_described(self) -> Pose:
        if self.name not in POSES and (self.action_units is None or self.text is None):
            raise PydanticCustomError(
                "unknown_pose",
                "no pose '{name}' is known ({known}); give its action_units and text",
                {"name": self.name, "known": ", ".join(POSES)},
            )
        return self

    @property
    def units(self) -> tuple[str, ...]:
        """The action units that make it up; none for a neutral face."""
        return POSES[self.name][0] if self.action_units is None else self.action_units

    @property
    def words(self) -> str:
        """What the participant is told."""
        return POSES[self.name][1] if self.text is None else self.text


POSES: dict[str, tuple[tuple[str, ...], str]] = {
    "neutral": ((), "Relax your face. Mouth closed, teeth apart."),
    "smile": (("AU06", "AU12"), "Smile as broadly as you can."),
    "frown": (("AU04",), "Draw your eyebrows together and down."),
    "brow_raise": (("AU01", "AU02"), "Raise your eyebrows as high as you can."),
    "nose_wrinkle": (("AU09",), "Wrinkle your nose."),
    "eyes_tight": (("AU07",), "Tighten your eyelids, as if the sun were in your eyes."),
    "lip_press": (("AU24",), "Press your lips together."),
    "jaw_drop": (("AU25", "AU26"), "Let your jaw drop open."),
    "lip_corners_down": (("AU15",), "Pull the corners of your mouth down."),
}
"""Known poses: action units of the Facial Action Coding System, and words."""


class PosedFace(Strict):
    """The participant poses expressions, by which the range of facial measures is known.

    Attributes
    ----------
    poses : tuple of Pose
        In this order.
    repeats : int
        How often the whole list is posed.
    countdown_s : float
        Time to read and get ready, in seconds.
    hold_s : float
        Time to hold the expression, in seconds.
    rest_s : float
        Time to relax, in seconds.
    """

    type: Literal["pose"]
    poses: Annotated[tuple[Pose, ...], AfterValidator(not_empty)] = (
        Pose(name="neutral"),
        Pose(name="smile"),
        Pose(name="frown"),
        Pose(name="brow_raise"),
    )
    repeats: Annotated[int, Field(ge=1, le=20)] = 1
    countdown_s: Seconds = 3.0
    hold_s: Seconds = 3.0
    rest_s: Seconds = 2.0


class Targets(Strict):
    """A moving or jumping dot to be followed.

    Attributes
    ----------
    path : {"sinus", "ramp", "circle", "steps", "antisaccade"}
        Smooth: back and forth as a sine, back and forth at constant speed, around the middle. Jumping: to the
        dot, or (antisaccade) to its mirror image.
    axis : {"horizontal", "vertical"}
        Of all but the circle.
    amplitude_deg : float
        Largest distance from the middle.
    speed_deg_s : float
        Of smooth paths: highest speed of the sine, speed of the others.
    cycles : int
        How many periods, or how many jumps.
    hold_s : float
        The dot stands still for so long before it moves; before each jump it waits in the middle.
    jump_s : float
        A jumped dot stays for so long.
    text : str or None
        Shown before it; waits for a key. None begins at once.
    """

    type: Literal["targets"]
    path: Literal["sinus", "ramp", "circle", "steps", "antisaccade"]
    axis: Literal["horizontal", "vertical"] = "horizontal"
    amplitude_deg: Degrees = 8.0
    speed_deg_s: Annotated[float, Field(gt=0, le=200, allow_inf_nan=False)] = 15.0
    cycles: Annotated[int, Field(ge=1, le=500)] = 4
    hold_s: Seconds = 1.0
    jump_s: Seconds = 1.0
    text: Text | None = None


class GazeStart(Strict):
    """The stimulus starts once the eyes rest on the cross.

    Attributes
    ----------
    within_deg : float
        So close to the cross.
    for_s : float
        For so long without a break.
    timeout_s : float
        It starts all the same after so long, with a note.
    """

    within_deg: Degrees = 2.0
    for_s: Seconds = 0.2
    timeout_s: Seconds = 5.0


GazeItem = Calibration | Validation | DriftCheck | LightReflex | Baseline | PosedFace | Targets
