"""Targets of known place: shown, shrinking, while gaze is collected."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.protocols.calibrators import COLLECT, POINT
from duchenne.protocols.displays.base import Disc
from duchenne.protocols.gaze_measure import Accuracy, on_target
from duchenne.protocols.responders import Prompt
from duchenne.protocols.sight import Sight

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Shape
    from duchenne.protocols.gaze_measure import OnTarget
    from duchenne.protocols.layout import Layout
    from duchenne.protocols.plan import Step

LARGE_DEG, SMALL_DEG, DOT_DEG = 0.6, 0.2, 0.06
"""Radius of a target when it appears and when it counts, and of the dot in its middle."""
SIZES = 12
"""A target shrinks in so many steps."""
LATE_SAMPLES_S = 0.5
"""Samples of the last moment are waited for so long."""

GRIDS: Mapping[int, tuple[tuple[float, float], ...]] = {
    5: ((0, 0), (-1, -1), (1, -1), (-1, 1), (1, 1)),
    9: tuple((x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)),
    13: (
        *((x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)),
        *((x, y) for y in (-0.5, 0.5) for x in (-0.5, 0.5)),
    ),
}
"""Places of the targets: -1 and 1 are the margins."""


@dataclass(frozen=True)
class Pace:
    """How targets follow each other.

    Attributes
    ----------
    settle_s, collect_s : float
        A target shrinks, then counts, for so long.
    by_key : bool
        It counts once the participant has pressed the space bar.
    """

    settle_s: float
    collect_s: float
    by_key: bool = False

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Pace:
        """Read it from a step."""
        by_key = content.get("accept") == "key"
        return cls(float(content["settle_s"]), float(content["collect_s"]), by_key)


def places_px(layout: Layout, points: int, margin: float) -> list[tuple[float, float]]:
    """Return where the targets are: 5, 9 or 13, the outer ones `margin` from the edges."""
    half = 0.5 - margin
    return [
        (round((0.5 + x * half) * layout.width_px), round((0.5 + y * half) * layout.height_px))
        for x, y in GRIDS[points]
    ]


def order_of(course: Course, step: Step, *keys: int | str) -> np.random.Generator:
    """Return a generator that depends on the schedule, the step's place in it, and keys."""
    steps = course.schedule.steps
    place = next((i for i, known in enumerate(steps) if known is step), len(steps))
    words = [zlib.crc32(key.encode()) if isinstance(key, str) else key for key in keys]
    return np.random.Generator(np.random.PCG64([course.schedule.seed, place, *words]))


def target(
    layout: Layout, sight: Sight, place_px: tuple[float, float], shrunk: float = 1.0
) -> list[Shape]:
    """Return a target: a disc with a dot in its middle, `shrunk` from 0 (large) to 1."""
    part = round(shrunk * SIZES) / SIZES
    radius = sight.size_px(LARGE_DEG + (SMALL_DEG - LARGE_DEG) * part)
    dot = max(sight.size_px(DOT_DEG), 1.5)
    return [Disc(*place_px, radius, layout.ink), Disc(*place_px, dot, layout.paper)]


def targets_seen(layout: Layout, sight: Sight, points: int, margin: float) -> Iterator[Shape]:
    """Yield all targets at once, for a look at where they are."""
    for number, place in enumerate(places_px(layout, points, margin)):
        yield from target(layout, sight, place, number / points)


def show_targets(
    course: Course, step: Step, places: list[tuple[float, float]], pace: Pace, **marker: Any
) -> Iterator[tuple[tuple[float, float], float, float]]:
    """Show targets one after the other; yield each with the time from and to which it counted.

    Each is marked at the flip at which it appears: ``event`` of `marker` with its place in pixels.
    """
    stage = course.stage
    sight = Sight.of(course.protocol.screen)
    event = marker.pop("event")
    for number, place in enumerate(places, 1):
        course.display.show(target(course.layout, sight, place, 0.0))
        stage.expect(event)
        onset_s = stage.next_flip().lsl_time_s
        lasts: dict[str, Any] = {"duration_s": pace.settle_s + pace.collect_s}
        if pace.by_key:
            lasts = {"by_key": True}
        stage.push(
            event, onset_s, number=number, position_px=list(place), settle_s=pace.settle_s,
            collect_s=pace.collect_s, **lasts, **marker,
        )  # fmt: skip
        shown = 0
        while stage.more_before(onset_s + pace.settle_s):
            stage.next_flip()
            part = min((stage.flip.lsl_time_s - onset_s) / pace.settle_s, 1.0)
            if round(part * SIZES) != shown:
                shown = round(part * SIZES)
                course.display.show(target(course.layout, sight, place, part))
        course.display.show(target(course.layout, sight, place))
        if pace.by_key:
            wait_for_key(course, f"{step.block}-{step.kind}-{number}", "space")
            if marker.get("kind") == POINT:
                stage.push(
                    event, None, number=number, position_px=list(place), settle_s=0.0,
                    collect_s=pace.collect_s, **(marker | {"kind": COLLECT}),
                )  # fmt: skip
        counts_s = stage.next_flip().lsl_time_s
        stage.hold_until(counts_s + pace.collect_s, lambda: poll(course))
        yield place, counts_s, stage.flip.lsl_time_s


def measured(
    course: Course, step: Step, places: list[tuple[float, float]], pace: Pace, **marker: Any
) -> Accuracy:
    """Show targets and measure the gaze on them."""
    found: list[OnTarget] = []
    sight = Sight.of(course.protocol.screen)
    for place, first_s, last_s in show_targets(course, step, places, pace, **marker):
        found.append(_gaze_on(course, place, first_s, last_s, sight))
    return Accuracy(tuple(found))


def _gaze_on(
    course: Course, place: tuple[float, float], first_s: float, last_s: float, sight: Sight
) -> OnTarget:
    gaze = course.gaze
    assert gaze is not None
    until_s = course.stage.flip.lsl_time_s + LATE_SAMPLES_S
    gaze.poll()
    while not gaze.newest_s() >= last_s and course.stage.more_before(until_s):
        course.stage.next_flip()
        gaze.poll()
    return on_target(gaze.between(first_s, last_s), place, sight)


def poll(course: Course) -> None:
    """Take in gaze, if there is any."""
    if course.gaze is not None:
        course.gaze.poll()


def wait_for_key(course: Course, what: str, *keys: str, until_s: float | None = None) -> str | None:
    """Flip until one of these keys is pressed, and return it; None when the time is over first."""
    stage = course.stage
    stage.prompt(Prompt("continue", what))
    try:
        while until_s is None or stage.more_before(until_s):
            stage.next_flip()
            poll(course)
            for key in keys:
                if stage.pressed(key):
                    return key
    finally:
        stage.forget_prompt()
    return None
