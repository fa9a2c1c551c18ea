"""Makes sure, before a session, that every screen of a protocol can be drawn as it is meant."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from duchenne.protocols.drawing import step_of
from duchenne.protocols.layout import Layout
from duchenne.protocols.parts import Trials
from duchenne.protocols.parts_forms import RatingStep
from duchenne.protocols.parts_gaze import Targets
from duchenne.protocols.plan import Step
from duchenne.protocols.sight import Sight
from duchenne.protocols.steps.gaze_points import SMALL_DEG
from duchenne.protocols.steps.rating import rating_shapes
from duchenne.protocols.steps.registry import step_kind
from duchenne.protocols.steps.stop import stop_screen
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet


def check_screens(protocol: Protocol, stimuli: StimulusSet) -> None:
    """Lay out every text, scale and form of a protocol for its screen.

    Parameters
    ----------
    protocol : Protocol
    stimuli : StimulusSet

    Raises
    ------
    DuchenneError
        A text is longer than its place, a character is in no font, an image cannot be read, or a moving
        target or the photodiode patch would leave the screen; one line with the file and the line.
    """
    _check_patch(protocol)
    for name in protocol.ratings:
        _try(protocol, ("ratings", name), partial(rating_shapes, protocol, name))
    for item, at in protocol.items():
        if isinstance(item, Trials):
            rest = item.breaks
            if rest is not None:
                step = Step("break", "", rest.text, rest.duration_s, rest.skip_with_key)
                _try(protocol, (*at, "breaks"), partial(_drawn, protocol, stimuli, step))
        elif not isinstance(item, RatingStep):
            if isinstance(item, Targets):
                _check_targets(protocol, item, at)
            _try(protocol, at, partial(_drawn, protocol, stimuli, step_of("", item)))
    stop = protocol.stop
    if stop is not None:
        scale = stop_screen(stop, Layout.of(protocol.screen))
        _try(protocol, ("stop",), lambda: scale.shapes(scale.start()))


def _check_patch(protocol: Protocol) -> None:
    """Refuse a photodiode patch that is larger than half the screen."""
    screen, timing = protocol.screen, protocol.timing
    half_cm = min(screen.width_cm, screen.height_cm) / 2
    if timing.photodiode_patch is not None and timing.size_cm > half_cm:
        raise DuchenneError(
            f"{protocol.where('timing', 'size_cm')}: a photodiode patch of {timing.size_cm:g} cm takes more "
            f"than half of a screen of {screen.width_cm:g} × {screen.height_cm:g} cm; make it smaller"
        )


def _check_targets(protocol: Protocol, item: Targets, at: tuple[int | str, ...]) -> None:
    """Refuse a target that would leave the screen, at the size at which it is drawn."""
    sight = Sight.of(protocol.screen)
    both = item.path == "circle"
    for axis, extent_cm in (("horizontal", sight.width_cm), ("vertical", sight.height_cm)):
        if both or item.axis == axis:
            most_deg = math.degrees(math.atan(extent_cm / 2 / sight.distance_cm)) - SMALL_DEG
            if item.amplitude_deg > most_deg:
                raise DuchenneError(
                    f"{protocol.where(*at, 'amplitude_deg')}: a target at {item.amplitude_deg:g}° would "
                    f"leave the screen, whose {axis} edge is {most_deg + SMALL_DEG:.1f}° from the middle; "
                    f"write {max(most_deg, 0):.1f} or less"
                )


def _drawn(protocol: Protocol, stimuli: StimulusSet, step: Step) -> None:
    for _ in step_kind(step.kind).views(protocol, stimuli, step):
        pass


def _try(protocol: Protocol, at: tuple[int | str, ...], draw: Callable[[], object]) -> None:
    try:
        draw()
    except DuchenneError as error:
        raise DuchenneError(f"{protocol.where(*at)}: {error}") from None
