"""The cross before a stimulus: on a screen as bright as the stimulus, and until the eyes are on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.protocols.displays.base import fit_rect
from duchenne.protocols.layout import Layout
from duchenne.protocols.sight import Sight
from duchenne.protocols.steps.base import ScreenView
from duchenne.protocols.steps.light import grey_screen, matched_grey, shown_grey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Cross, Loaded, Shape
    from duchenne.protocols.gaze_measure import GazeSamples
    from duchenne.protocols.plan import Step
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import Stimulus

LARGEST_GAP_S = 0.1
"""A longer gap in the gaze begins the time on the cross anew."""


def fixate(course: Course, step: Step, stimulus: Stimulus, loaded: Loaded) -> float:
    """Show the cross; return when the stimulus is due (LSL time)."""
    stage, trial = course.stage, step.trial
    assert trial is not None
    stage.context["phase"] = "fixation"
    cross = course.layout.cross()
    shapes: list[Shape] = [cross]
    more: dict[str, Any] = {}
    adapt_s = float(step.content.get("adapt_s") or 0.0)
    if adapt_s and stimulus.luminance is not None:
        grey = matched_grey(course.layout, stimulus.luminance, loaded.rect_px)
        shapes = [grey_screen(course.layout, grey), cross]
        more = {"grey_level": shown_grey(grey), "adapt_s": adapt_s}
    course.display.show(shapes)
    stage.onset("fixation_onset", "fixation_offset", position_px=[cross.x_px, cross.y_px], **more)
    due_s = stage.flip.lsl_time_s + adapt_s + trial.fixation_s
    stage.hold_until(due_s)
    wanted = step.content.get("gaze_start")
    return due_s if not wanted else _await_gaze(course, wanted, cross, due_s)


def _await_gaze(course: Course, wanted: Mapping[str, Any], cross: Cross, due_s: float) -> float:
    """Flip until the eyes have rested on the cross; return when that was, or when the time was over."""
    stage, gaze = course.stage, course.gaze
    if gaze is not None:
        gaze.poll()
    if gaze is None or not gaze.is_live:
        stage.push("note", kind="gaze_start", outcome="no gaze")
        return due_s
    sight = Sight.of(course.protocol.screen)
    within_deg, for_s = float(wanted["within_deg"]), float(wanted["for_s"])
    until_s = due_s + float(wanted["timeout_s"])
    while not rests_on(
        gaze.between(stage.flip.lsl_time_s - 3 * for_s - 1.0, math.inf),
        (cross.x_px, cross.y_px), sight, within_deg=within_deg, for_s=for_s,
    ):  # fmt: skip
        if not stage.more_before(until_s):
            stage.push("note", kind="gaze_start", outcome="timeout", waited_s=wanted["timeout_s"])
            return until_s
        stage.next_flip()
        gaze.poll()
    waited_s = stage.flip.lsl_time_s - due_s
    stage.push("note", kind="gaze_start", outcome="on the cross", waited_s=round(waited_s, 4))
    return max(due_s, stage.flip.lsl_time_s + 1.0 / course.display.refresh_hz)


def rests_on(
    samples: GazeSamples,
    place_px: tuple[float, float],
    sight: Sight,
    *,
    within_deg: float,
    for_s: float,
) -> bool:
    """Tell whether the newest gaze has been close to a place for some time without a break.

    Parameters
    ----------
    samples : GazeSamples
    place_px : (float, float)
    sight : Sight
    within_deg : float
        So close.
    for_s : float
        For so long, up to the newest sample.
    """
    times = samples.times_s
    if not len(times):
        return False
    error = sight.angle_deg(samples.mean_px, np.array(place_px))
    off = ~(error <= within_deg)
    off[1:] |= np.diff(times) > LARGEST_GAP_S
    last_off = np.flatnonzero(off)
    first = int(last_off[-1]) + 1 if len(last_off) else 0
    return first < len(times) and bool(times[-1] - times[first] >= for_s)


def fixation_views(protocol: Protocol, stimulus: Stimulus, step: Step) -> Iterator[ScreenView]:
    """Yield the cross, on the background or on a screen as bright as the stimulus."""
    layout = Layout.of(protocol.screen)
    grey = layout.background_grey
    if step.content.get("adapt_s") and stimulus.luminance is not None:
        side = protocol.stimulus_height
        box = (side * layout.width_px, side * layout.height_px)
        whole = (float(layout.width_px), float(layout.height_px))
        grey = matched_grey(layout, stimulus.luminance, fit_rect(4.0, 3.0, box, whole))
        yield ScreenView("adaptation", [grey_screen(layout, grey), layout.cross()])
        return
    yield ScreenView("fixation", [layout.cross()])
