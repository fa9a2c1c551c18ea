"""Posed expressions: a request, a countdown, and the time for which it is held."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.protocols.layout import Layout
from duchenne.protocols.parts_gaze import Pose
from duchenne.protocols.steps.base import ScreenView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Shape
    from duchenne.protocols.plan import Step
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet

HOLD = "Hold it"
RELAX = "Relax"


@dataclass(frozen=True)
class PoseKind:
    """Expressions posed one after the other."""

    def run(self, course: Course, step: Step) -> None:
        """Count down to each pose, mark its onset with its action units, and its end."""
        stage, content = course.stage, step.content
        for repeat in range(1, int(content["repeats"]) + 1):
            for pose in _poses(step):
                stage.context = {"block": step.block, "phase": "pose"}
                _count_down(course, pose, float(content["countdown_s"]))
                course.display.show(_screen(course.layout, pose, HOLD))
                stage.onset(
                    "calibration_start", "calibration_end", kind="pose", pose=pose.name,
                    action_units=list(pose.units), repeat=repeat, duration_s=content["hold_s"],
                )  # fmt: skip
                stage.hold_until(stage.flip.lsl_time_s + float(content["hold_s"]))
                course.display.show([course.layout.text(RELAX)])
                stage.offset()
                stage.hold_until(stage.flip.lsl_time_s + float(content["rest_s"]))
        course.display.clear()
        stage.next_flip()

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield each pose while it is counted down, one while it is held, and the rest."""
        layout = Layout.of(protocol.screen)
        seconds = math.ceil(float(step.content["countdown_s"]))
        poses = _poses(step)
        for pose in poses:
            yield ScreenView(f"pose-{pose.name}", _screen(layout, pose, str(seconds)))
        yield ScreenView("pose-hold", _screen(layout, poses[0], HOLD))
        yield ScreenView("pose-rest", [layout.text(RELAX)])


def _count_down(course: Course, pose: Pose, seconds: float) -> None:
    stage = course.stage
    shown = math.ceil(seconds)
    course.display.show(_screen(course.layout, pose, str(shown)))
    end_s = stage.next_flip().lsl_time_s + seconds
    while stage.more_before(end_s):
        stage.next_flip()
        left = math.ceil(end_s - stage.flip.lsl_time_s - 1e-3)
        if 0 < left < shown:
            shown = left
            course.display.show(_screen(course.layout, pose, str(left)))


def _poses(step: Step) -> list[Pose]:
    poses: list[dict[str, Any]] = step.content["poses"]
    return [Pose.model_validate(pose) for pose in poses]


def _screen(layout: Layout, pose: Pose, below: str) -> list[Shape]:
    return [layout.text(pose.words, 0.42), layout.text(below, 0.6, height=0.07)]
