"""The kinds of step by name: those of the protocol file, trials, and the marks of blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.protocols.steps.calibration import CalibrationKind, DriftCheckKind
from duchenne.protocols.steps.consent import ConsentKind
from duchenne.protocols.steps.forms import FormKind
from duchenne.protocols.steps.light import BaselineKind, LightReflexKind
from duchenne.protocols.steps.pages import BlockMark, Neutral, Page
from duchenne.protocols.steps.pose import PoseKind
from duchenne.protocols.steps.rating import RatingKind
from duchenne.protocols.steps.targets import TargetsKind
from duchenne.protocols.steps.trial import TrialKind
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.protocols.steps.base import StepKind

STEP_KINDS: Mapping[str, StepKind] = {
    "block_start": BlockMark(begins=True),
    "block_end": BlockMark(begins=False),
    "trial": TrialKind(),
    "instruction": Page("instruction_onset", "instruction_offset"),
    "neutral": Neutral(),
    "break": Page("break_start", "break_end"),
    "calibration": CalibrationKind(calibrates=True),
    "validation": CalibrationKind(calibrates=False),
    "drift_check": DriftCheckKind(),
    "light_reflex": LightReflexKind(),
    "baseline": BaselineKind(),
    "pose": PoseKind(),
    "targets": TargetsKind(),
    "rating": RatingKind(),
    "form": FormKind(),
    "consent": ConsentKind(),
    "end": Page("instruction_onset", "instruction_offset"),
}


def step_kind(name: str) -> StepKind:
    """Return the kind of step of a name.

    Raises
    ------
    DuchenneError
        There is none: the schedule was written by another version.
    """
    try:
        return STEP_KINDS[name]
    except KeyError:
        raise DuchenneError(f"this version knows no step of kind {name!r}") from None
