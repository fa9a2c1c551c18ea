"""Makes sure, before a session, that every screen of a protocol can be drawn as it is meant."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from duchenne.protocols.drawing import step_of
from duchenne.protocols.layout import Layout
from duchenne.protocols.parts import Trials
from duchenne.protocols.parts_forms import RatingStep
from duchenne.protocols.plan import Step
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
        A text is longer than its place, a character is in no font, or an image cannot be read; one
        line with the file and the line.
    """
    for name in protocol.ratings:
        _try(protocol, ("ratings", name), partial(rating_shapes, protocol, name))
    for item, at in protocol.items():
        if isinstance(item, Trials):
            rest = item.breaks
            if rest is not None:
                step = Step("break", "", rest.text, rest.duration_s, rest.skip_with_key)
                _try(protocol, (*at, "breaks"), partial(_drawn, protocol, stimuli, step))
        elif not isinstance(item, RatingStep):
            _try(protocol, at, partial(_drawn, protocol, stimuli, step_of("", item)))
    stop = protocol.stop
    if stop is not None:
        scale = stop_screen(stop, Layout.of(protocol.screen))
        _try(protocol, ("stop",), lambda: scale.shapes(scale.start()))


def _drawn(protocol: Protocol, stimuli: StimulusSet, step: Step) -> None:
    for _ in step_kind(step.kind).views(protocol, stimuli, step):
        pass


def _try(protocol: Protocol, at: tuple[int | str, ...], draw: Callable[[], object]) -> None:
    try:
        draw()
    except DuchenneError as error:
        raise DuchenneError(f"{protocol.where(*at)}: {error}") from None
