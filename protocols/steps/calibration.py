"""Calibration and validation of the eye tracker, and a look at whether it is still good."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from duchenne.protocols.calibrators import COMPUTE, DONE, FAILED, POINT
from duchenne.protocols.displays.base import Disc
from duchenne.protocols.gaze_feed import tell
from duchenne.protocols.gaze_measure import Accuracy, EyeOnTarget, OnTarget
from duchenne.protocols.layout import Layout
from duchenne.protocols.parts_gaze import Calibration
from duchenne.protocols.sight import Sight
from duchenne.protocols.steps.base import ScreenView
from duchenne.protocols.steps.gaze_points import (
    Pace,
    measured,
    order_of,
    places_px,
    poll,
    show_targets,
    target,
    targets_seen,
    wait_for_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Shape
    from duchenne.protocols.plan import Step
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet

ANSWER_S = 10.0
"""A tracker may take so long to get ready for a calibration, and to compute it."""
MORE_MARGIN = 0.06
"""The targets of a calibration's validation lie this much further in: a calibration is always good where it
was made."""
KEYS = ("space", "r", "a")
LEFT_RGB, RIGHT_RGB = (0.0, 0.25, 0.6), (0.65, 0.2, 0.0)


@dataclass(frozen=True)
class CalibrationKind:
    """Targets, a computation by the tracker if it is calibrated by this program, and a validation.

    Parameters
    ----------
    calibrates : bool
        False for a validation alone.
    """

    calibrates: bool

    def run(self, course: Course, step: Step) -> None:
        """Repeat until the result is good, accepted, or the attempts are used up."""
        if gaze_is_there(course, step):
            for attempt in range(1, int(step.content["attempts"]) + 1):
                if _attempt(course, step, attempt, calibrates=self.calibrates):
                    return

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield the instruction, the targets at once, and a good and a bad result."""
        layout, sight = Layout.of(protocol.screen), Sight.of(protocol.screen)
        content = step.content
        if step.text:
            yield ScreenView(f"{step.kind}-text", [layout.text(step.text)])
        seen = targets_seen(layout, sight, int(content["points"]), float(content["margin"]))
        yield ScreenView(f"{step.kind}-targets", list(seen))
        for name, error_deg in (("good", 0.4), ("poor", 1.6)):
            accuracy = _example(layout, sight, content, error_deg)
            limit_deg = float(content["max_error_deg"])
            poor = not accuracy.is_within(limit_deg)
            shapes = result_shapes(layout, accuracy, limit_deg, proposes=poor)
            yield ScreenView(f"{step.kind}-result-{name}", shapes)


@dataclass(frozen=True)
class DriftCheckKind:
    """One target in the middle; a new calibration is proposed where the gaze is off."""

    def run(self, course: Course, step: Step) -> None:
        """Show the target and mark the error."""
        if not gaze_is_there(course, step):
            return
        stage, content = course.stage, step.content
        limit_deg = float(content["max_error_deg"])
        for attempt in range(int(content["attempts"]) + 1):
            stage.context = {"block": step.block, "phase": "drift_check"}
            place = (course.layout.width_px / 2, course.layout.height_px / 2)
            accuracy = measured(
                course, step, [place], Pace.of(content), event="note", kind="drift_point"
            )
            good = accuracy.targets[0].error_deg <= limit_deg
            shown = accuracy.targets[0].to_json()
            course.display.clear()
            stage.expect("drift_check")
            stage.push(
                "drift_check", stage.next_flip().lsl_time_s, good=good, attempt=attempt + 1,
                max_error_deg=limit_deg, **shown,
            )  # fmt: skip
            if good or attempt == int(content["attempts"]):
                break
            if not _wants_calibration(course, step, accuracy.targets[0].error_deg):
                break
            other = _calibration_of(course, step)
            CalibrationKind(other.kind == "calibration").run(course, other)
        if not good:
            tell(
                f"the drift check found {_deg(accuracy.targets[0].error_deg)}, more than {limit_deg:g}°"
            )

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield the target and the proposal."""
        layout, sight = Layout.of(protocol.screen), Sight.of(protocol.screen)
        middle = (layout.width_px / 2, layout.height_px / 2)
        yield ScreenView("drift-target", target(layout, sight, middle))
        yield ScreenView("drift-proposal", [_proposal(layout, 2.1)])


def gaze_is_there(course: Course, step: Step) -> bool:
    """Tell whether gaze comes in; where it does not, note that the step is left out and tell the operator.

    A tracker whose stream has just come back is waited for a little.
    """
    gaze, stage = course.gaze, course.stage
    if gaze is not None:
        until_s = stage.next_flip().lsl_time_s + 3.0
        gaze.poll()
        while not gaze.is_live and stage.more_before(until_s):
            stage.next_flip()
            gaze.poll()
        if gaze.is_live:
            return True
    why = "no eye tracker" if gaze is None else "the eye tracker sends nothing"
    stage.context = {"block": step.block, "phase": step.kind}
    stage.push("note", kind="left_out", step=step.kind, text=f"{step.kind} left out: {why}")
    tell(f"{step.kind.replace('_', ' ')} left out: {why}")
    return False


def _attempt(course: Course, step: Step, attempt: int, *, calibrates: bool) -> bool:
    """Calibrate and validate once; return whether the session goes on with the result."""
    stage, content = course.stage, step.content
    assert course.gaze is not None
    controls = calibrates and course.calibrator is not None
    course.n_calibrations += 1
    schedule, number = course.schedule, course.n_calibrations
    what = "cal" if controls else "val"
    name = f"{schedule.participant}-{schedule.session}-{course.run}-{what}{number}"
    found: dict[str, Any] = {"kind": step.kind, "calibration": name, "attempt": attempt}
    stage.context = {"block": step.block, "phase": "calibration"}
    text = step.text if attempt == 1 else None
    course.display.show([course.layout.text(text)] if text else ())
    stage.expect("calibration_start")
    stage.next_flip()
    stage.opened(
        "calibration_start", "calibration_end", ending=lambda: found, points=content["points"],
        tracker=course.gaze.name, by_program=controls, max_error_deg=content["max_error_deg"],
        **found,
    )  # fmt: skip
    if text:
        wait_for_key(course, f"{step.block}-{step.kind}", "space", "return")
    pace, margin = Pace.of(content), float(content["margin"])
    calibrated = _calibrate(course, step, name, found) if controls else None
    points = int(content["validation_points"] if calibrates else content["points"])
    inner = min(margin + MORE_MARGIN, 0.4) if controls else margin
    places = _ordered(course, step, places_px(course.layout, points, inner), "validation", attempt)
    accuracy = measured(
        course, step, places, pace, event="validation_point", calibration=name, attempt=attempt
    )
    limit_deg = float(content["max_error_deg"])
    good = accuracy.is_within(limit_deg) and calibrated is not False
    found |= accuracy.to_fields() | {"good": good}
    accepted = _decide(course, step, accuracy, good=good, last=attempt == int(content["attempts"]))
    found["accepted"] = accepted
    course.display.clear()
    stage.offset()
    if not good:
        tell(f"{step.kind}, attempt {attempt}: {_summary(accuracy)}; wanted: {limit_deg:g}°")
    return accepted


def _calibrate(course: Course, step: Step, name: str, found: dict[str, Any]) -> bool:
    """Have the tracker calibrate itself on targets; note in `found` what it says of it."""
    stage, content = course.stage, step.content
    state = _await_state(course, name)
    if state.get("state") not in (None, FAILED):
        places = places_px(course.layout, int(content["points"]), float(content["margin"]))
        ordered = _ordered(course, step, places, "calibration", int(found["attempt"]))
        for number, _ in enumerate(
            show_targets(
                course, step, ordered, Pace.of(content), event="note", kind=POINT, calibration=name
            ),
            1,
        ):
            _await_state(course, name, n=number)
        course.display.clear()
        stage.push("note", stage.next_flip().lsl_time_s, kind=COMPUTE, calibration=name)
        state = _await_state(course, name, (DONE, FAILED))
    done = state.get("state") == DONE
    found["calibrated"] = done
    if state.get("points"):
        found["tracker_points"] = state["points"]
    if not done:
        why = str(state.get("text") or "the eye tracker does not answer")
        found["text"] = f"not calibrated: {why}"
        tell(f"not calibrated: {why}")
    return done


def _await_state(
    course: Course, name: str, wanted: tuple[str, ...] = (), *, n: int = 0
) -> Mapping[str, Any]:
    """Flip until the tracker tells one of the states (any by default) and `n` targets; empty if it does not.

    A tracker that has failed is not waited for.
    """
    stage, calibrator = course.stage, course.calibrator
    assert calibrator is not None
    until_s = stage.flip.lsl_time_s + ANSWER_S
    while stage.more_before(until_s):
        state = calibrator.state(name)
        is_wanted = state.get("state") in wanted if wanted else bool(state)
        if state.get("state") == FAILED or (is_wanted and state.get("n", 0) >= n):
            return state
        stage.next_flip()
        poll(course)
    return {}


def _ordered(
    course: Course, step: Step, places: list[tuple[float, float]], *keys: int | str
) -> list[tuple[float, float]]:
    order = order_of(course, step, *keys).permutation(len(places))
    return [places[i] for i in order]


def _decide(course: Course, step: Step, accuracy: Accuracy, *, good: bool, last: bool) -> bool:
    """Show the result; return whether the session goes on with it."""
    limit_deg, lasts_s = float(step.content["max_error_deg"]), step.content.get("result_s")
    shapes = result_shapes(course.layout, accuracy, limit_deg, proposes=not (good or last))
    course.display.show(shapes)
    onset_s = course.stage.next_flip().lsl_time_s
    until_s = None if lasts_s is None else onset_s + float(lasts_s)
    key = wait_for_key(course, f"{step.block}-{step.kind}-result", *KEYS, until_s=until_s)
    if last or key == "a":
        return True
    return good and key != "r"


def result_shapes(
    layout: Layout, accuracy: Accuracy, limit_deg: float, *, proposes: bool
) -> list[Shape]:
    """Return the result of a validation: targets, gaze of both eyes on them, numbers, what to press."""
    if not accuracy.worst_deg <= limit_deg:
        verdict = f"Not good enough: {limit_deg:g}° is wanted."
    else:
        verdict = f"{accuracy.n_missed} targets missed." if accuracy.n_missed else "Good."
    keys = "Space: once more    A: go on with it" if proposes else "Space: go on    R: once more"
    lines = f"{_summary(accuracy, colours=True)}\n{verdict}"
    height = layout.height_px
    shapes: list[Shape] = [
        layout.text(lines, 0.20, height=0.032),
        layout.text(keys, 0.80, height=0.032),
    ]
    for found in accuracy.targets:
        shapes.append(Disc(*found.position_px, 0.014 * height, layout.ink))
        shapes.append(Disc(*found.position_px, 0.010 * height, layout.paper))
        for eye, rgb in ((found.left, LEFT_RGB), (found.right, RIGHT_RGB)):
            if math.isfinite(eye.error_deg):
                shapes.append(Disc(eye.x_px, eye.y_px, 0.006 * height, rgb))
    return shapes


def _summary(accuracy: Accuracy, *, colours: bool = False) -> str:
    """Return the errors of both eyes in words: in one line, or in two with the colours of the dots."""
    parts = []
    for eye, colour in (("left", "blue"), ("right", "red")):
        error, rms = accuracy.mean(eye, "error_deg"), accuracy.mean(eye, "rms_s2s_deg")
        known = math.isfinite(error)
        tracked = f"{_deg(error)} off, steady to {_deg(rms)}" if known else "not tracked"
        parts.append(f"{eye} eye{f' ({colour})' if colours else ''} {tracked}")
    return ("\n" if colours else "; ").join(parts)


def _deg(value: float) -> str:
    return f"{value:.2f}°" if math.isfinite(value) else "no gaze"


def _wants_calibration(course: Course, step: Step, error_deg: float) -> bool:
    course.display.show([_proposal(course.layout, error_deg)])
    course.stage.next_flip()
    return wait_for_key(course, f"{step.block}-{step.kind}", "space", "a") == "space"


def _proposal(layout: Layout, error_deg: float) -> Shape:
    off = f"is {_deg(error_deg)} off" if math.isfinite(error_deg) else "was lost"
    return layout.text(f"The gaze {off}.\n\nSpace: calibrate again    A: go on")


def _calibration_of(course: Course, step: Step) -> Step:
    """Return the calibration or validation of the session that a drift check repeats, or a plain one."""
    steps = course.schedule.steps
    for kind in ("calibration", "validation"):
        for known in steps:
            if known.kind == kind:
                return replace(known, block=step.block)
    content = Calibration(type="calibration").model_dump(mode="json", exclude={"type", "text"})
    return replace(step, kind="calibration", content=content)


def _example(
    layout: Layout, sight: Sight, content: Mapping[str, Any], error_deg: float
) -> Accuracy:
    """Return a made-up result for a look at its screen."""
    points = int(content.get("validation_points", content["points"]))
    found = []
    for place in places_px(layout, points, float(content["margin"])):
        off = sight.size_px(error_deg)
        left = EyeOnTarget(error_deg, place[0] + off, place[1], 0.06, 0.09, 100)
        right = EyeOnTarget(0.9 * error_deg, place[0], place[1] - 0.9 * off, 0.07, 0.1, 100)
        found.append(OnTarget(place, left, right, error_deg))
    return Accuracy(tuple(found))
