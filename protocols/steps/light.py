"""Full screens of grey for the pupil, and rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.protocols.displays.base import Fill
from duchenne.protocols.layout import Layout
from duchenne.protocols.steps.base import ScreenView
from duchenne.protocols.steps.gaze_points import order_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Rect, Shape
    from duchenne.protocols.plan import Step
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet

CLOSE = "Please close your eyes until you are told to open them."


def grey_screen(layout: Layout, grey: float) -> Fill:
    """Return what fills the screen with an sRGB grey level, 0 to 1, to 1/255."""
    whole = (0.0, 0.0, float(layout.width_px), float(layout.height_px))
    return Fill(whole, (shown_grey(grey),) * 3)


def shown_grey(grey: float) -> float:
    """Return the grey level that a screen of 8 bits shows."""
    return round(round(255 * grey) / 255, 4)


def matched_grey(layout: Layout, luminance: float, rect_px: Rect) -> float:
    """Return the sRGB grey of a plain screen as bright as one with a stimulus on it.

    Parameters
    ----------
    layout : Layout
    luminance : float
        Mean relative luminance of the stimulus, 0 to 1.
    rect_px : (x0, y0, x1, y1)
        Where it will be; the rest of the screen is background.
    """
    x0, y0, x1, y1 = rect_px
    width, height = (
        min(high, size) - max(low, 0.0)
        for low, high, size in ((x0, x1, layout.width_px), (y0, y1, layout.height_px))
    )
    covered = max(width, 0.0) * max(height, 0.0) / (layout.width_px * layout.height_px)
    background = _linear(layout.background_grey)
    return _srgb(covered * luminance + (1.0 - covered) * background)


@dataclass(frozen=True)
class LightReflexKind:
    """Grey after grey, each marked with its level."""

    def run(self, course: Course, step: Step) -> None:
        """Show all greys with a cross on them."""
        stage, content = course.stage, step.content
        greys = [float(grey) for grey in content["greys"]]
        stage.context = {"block": step.block, "phase": "light_reflex"}
        began = False
        for repeat in range(int(content["repeats"])):
            order = list(range(len(greys)))
            if content["order"] == "random":
                order = order_of(course, step, repeat).permutation(len(greys)).tolist()
            for i in order:
                course.display.show(_with_cross(course.layout, greys[i]))
                if not began:
                    stage.onset("calibration_start", "calibration_end", kind="light_reflex")
                    began = True
                else:
                    stage.next_flip()
                stage.push(
                    "note", stage.flip.lsl_time_s, kind="light_step",
                    grey_level=shown_grey(greys[i]), duration_s=content["step_s"],
                )  # fmt: skip
                stage.hold_until(stage.flip.lsl_time_s + float(content["step_s"]))
        course.display.clear()
        stage.offset()

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield each grey."""
        layout = Layout.of(protocol.screen)
        for grey in step.content["greys"]:
            yield ScreenView(f"light-{grey:g}", _with_cross(layout, float(grey)))


@dataclass(frozen=True)
class BaselineKind:
    """Rest with eyes open or closed."""

    def run(self, course: Course, step: Step) -> None:
        """Show the cross, or the request to close the eyes, for the declared time."""
        stage = course.stage
        stage.context = {"block": step.block, "phase": "baseline"}
        course.display.show(self._shapes(course.layout, step))
        stage.onset("baseline_onset", "baseline_offset", eyes=step.content["eyes"])
        stage.hold_until(stage.flip.lsl_time_s + (step.duration_s or 0.0))
        course.display.clear()
        stage.offset()

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield its screen."""
        shapes = self._shapes(Layout.of(protocol.screen), step)
        yield ScreenView(f"baseline-{step.content['eyes']}", shapes)

    @staticmethod
    def _shapes(layout: Layout, step: Step) -> list[Shape]:
        if step.content["eyes"] == "closed":
            return [layout.text(step.text or CLOSE)]
        text: list[Shape] = [layout.text(step.text, 0.33)] if step.text else []
        return [layout.cross(), *text]


def _with_cross(layout: Layout, grey: float) -> list[Shape]:
    return [grey_screen(layout, grey), layout.cross()]


def _linear(grey: float) -> float:
    return grey / 12.92 if grey <= 0.04045 else ((grey + 0.055) / 1.055) ** 2.4


def _srgb(luminance: float) -> float:
    if luminance <= 0.0031308:
        return 12.92 * luminance
    return float(1.055 * luminance ** (1 / 2.4) - 0.055)
