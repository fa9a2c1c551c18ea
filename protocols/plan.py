"""What a schedule is made of: steps, and the trials among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duchenne.protocols.target_paths import SMOOTH, TargetPath

if TYPE_CHECKING:
    from collections.abc import Mapping

RATING_ALLOWANCE_S = 3.0
"""What a rating is planned to take."""
KEY_ALLOWANCE_S = 10.0
"""What a screen that waits for a key is planned to take."""


@dataclass(frozen=True)
class Trial:
    """One presentation of one stimulus.

    Attributes
    ----------
    trial : int
        Number in the session, from 1.
    block : str
        Name of its block.
    stimulus_id : str
        What is shown.
    fixation_s : float
        Fixation cross before it, in seconds.
    duration_s : float
        Planned length of the stimulus, in seconds.
    iti_s : float
        Empty screen after the ratings, in seconds.
    ratings : tuple of str
        Names of the ratings that follow, in order.
    post_s : float
        Empty screen between the stimulus and the ratings, in seconds.
    """

    trial: int
    block: str
    stimulus_id: str
    fixation_s: float
    duration_s: float
    iti_s: float
    ratings: tuple[str, ...] = ()
    post_s: float = 0.0

    @property
    def planned_duration_s(self) -> float:
        """Fixation, stimulus, an allowance for each rating, and the empty screens, in seconds."""
        ratings_s = RATING_ALLOWANCE_S * len(self.ratings)
        return self.fixation_s + self.duration_s + self.post_s + ratings_s + self.iti_s


def planned_gaze_step_s(kind: str, content: Mapping[str, Any]) -> float | None:
    """Return how long a step for the eye tracker or a posed face is planned to take; None for others."""
    planned_s = None
    if kind in ("calibration", "validation"):
        targets = content["points"] + content.get("validation_points", 0)
        planned_s = targets * (content["settle_s"] + content["collect_s"]) + KEY_ALLOWANCE_S
    elif kind == "drift_check":
        planned_s = content["settle_s"] + content["collect_s"]
    elif kind == "light_reflex":
        planned_s = content["repeats"] * len(content["greys"]) * content["step_s"]
    elif kind == "pose":
        each_s = content["countdown_s"] + content["hold_s"] + content["rest_s"]
        planned_s = content["repeats"] * len(content["poses"]) * each_s
    elif kind == "targets" and content["path"] in SMOOTH:
        planned_s = content["hold_s"] + TargetPath.from_fields(content).duration_s
    elif kind == "targets":
        planned_s = content["cycles"] * (content["hold_s"] + content["jump_s"])
    return planned_s


@dataclass(frozen=True)
class Step:
    """One step of a session.

    Attributes
    ----------
    kind : str
        ``block_start``, ``block_end``, ``trial``, or the ``type`` of a step of the protocol file.
    block : str
        Name of its block.
    text : str or None
        The words it shows, if it shows any.
    duration_s : float or None
        Ends after so many seconds; None waits for a key. 0 for the marks of a block; for a trial,
        see `trial`.
    skip_with_key : bool
        The participant's key may end it before `duration_s`.
    trial : Trial or None
        For trials, the presentation.
    content : mapping
        Whatever else steps of this kind need, as JSON-compatible values; not to be changed.
    """

    kind: str
    block: str
    text: str | None = None
    duration_s: float | None = None
    skip_with_key: bool = False
    trial: Trial | None = None
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def planned_duration_s(self) -> float:
        """How long it is planned to take, in seconds."""
        if self.trial is not None:
            return self.trial.planned_duration_s + float(self.content.get("adapt_s", 0.0))
        planned_s = planned_gaze_step_s(self.kind, self.content)
        if planned_s is not None:
            return planned_s
        return KEY_ALLOWANCE_S if self.duration_s is None else self.duration_s

    @property
    def label(self) -> str:
        """A few words for the operator."""
        if self.trial is not None:
            return f"trial {self.trial.trial}: {self.trial.stimulus_id}"
        return f"{self.kind.replace('_', ' ')} ({self.block})"
