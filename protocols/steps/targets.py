"""A dot to be followed with the eyes: smooth paths, jumps, and jumps to be answered the other way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.protocols.layout import Layout
from duchenne.protocols.sight import Sight
from duchenne.protocols.steps.base import ScreenView
from duchenne.protocols.steps.gaze_points import order_of, target, wait_for_key
from duchenne.protocols.target_paths import SMOOTH, TargetPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duchenne.protocols.course import Course
    from duchenne.protocols.plan import Step
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet


@dataclass(frozen=True)
class TargetsKind:
    """Where the dot is follows from the markers alone; see docs/reference/eye-tracker-steps.md."""

    def run(self, course: Course, step: Step) -> None:
        """Show the dot on its way."""
        course.stage.context = {"block": step.block, "phase": "targets"}
        if step.text:
            course.display.show([course.layout.text(step.text)])
            course.stage.next_flip()
            wait_for_key(course, f"{step.block}-targets", "space", "return")
        if step.content["path"] in SMOOTH:
            _move(course, step)
        else:
            _jump(course, step)
        course.display.clear()
        course.stage.push("note", course.stage.next_flip().lsl_time_s, kind="target_end")

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield the text, and the dot at some places of its way."""
        layout, sight = Layout.of(protocol.screen), Sight.of(protocol.screen)
        if step.text:
            yield ScreenView("targets-text", [layout.text(step.text)])
        name = step.content["path"]
        if name in SMOOTH:
            path = TargetPath.from_fields(step.content)
            times = [i / 12 * path.period_s for i in range(12)]
            places = [sight.px(*(float(v) for v in path.position_deg(t))) for t in times]
        else:
            places = [sight.px(0.0, 0.0), *(_side_px(sight, step, side) for side in (-1, 1))]
        shapes = [shape for place in places for shape in target(layout, sight, place)]
        yield ScreenView(f"targets-{name}", shapes)


def _move(course: Course, step: Step) -> None:
    stage = course.stage
    sight = Sight.of(course.protocol.screen)
    path = TargetPath.from_fields(step.content)
    hold_s = float(step.content["hold_s"])

    def prepare(since_s: float) -> tuple[float, float]:
        x, y = path.position_deg(since_s)
        place = sight.px(float(x), float(y))
        course.display.show(target(course.layout, sight, place))
        return place

    start_px = prepare(0.0)
    onset_s = stage.next_flip().lsl_time_s
    stage.push(
        "note", onset_s, kind="target_path", position_px=[round(v, 1) for v in start_px],
        hold_s=hold_s, duration_s=path.duration_s, **path.to_fields(),
    )  # fmt: skip
    moves_s = onset_s + hold_s
    period_s = 1.0 / course.display.refresh_hz
    while stage.more_before(moves_s + path.duration_s):
        prepare(stage.flip.lsl_time_s + period_s - moves_s)
        stage.next_flip()


def _jump(course: Course, step: Step) -> None:
    stage, content = course.stage, step.content
    sight = Sight.of(course.protocol.screen)
    rng = order_of(course, step, "sides")
    for number in range(1, int(content["cycles"]) + 1):
        side = -1 if rng.random() < 0.5 else 1
        for place_side, lasts_s in ((0, content["hold_s"]), (side, content["jump_s"])):
            place = _side_px(sight, step, place_side)
            course.display.show(target(course.layout, sight, place))
            onset_s = stage.next_flip().lsl_time_s
            stage.push(
                "note", onset_s, kind="target_step", path=content["path"], axis=content["axis"],
                number=number, side=place_side, amplitude_deg=content["amplitude_deg"],
                position_px=[round(v, 1) for v in place], duration_s=lasts_s,
            )  # fmt: skip
            stage.hold_until(onset_s + float(lasts_s))


def _side_px(sight: Sight, step: Step, side: int) -> tuple[float, float]:
    """Return the place of a jump: 1 is right or up, -1 left or down, 0 the middle."""
    off_deg = side * float(step.content["amplitude_deg"])
    return (
        sight.px(off_deg, 0.0) if step.content["axis"] == "horizontal" else sight.px(0.0, off_deg)
    )
