"""Simulated participants: who answers when nobody sits at the keyboard.

A responder only decides what is pressed or clicked, and when. The runner passes it on to the display,
where it arrives by the window's own key and mouse events.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from duchenne.protocols.parts_ratings import SamRating
from duchenne.protocols.scales.simulated import simulated_value

if TYPE_CHECKING:
    from duchenne.protocols.parts_ratings import Rating
    from duchenne.stimuli.manifest import Stimulus


@dataclass(frozen=True)
class Prompt:
    """Something that waits for the participant.

    Attributes
    ----------
    kind : {"continue", "rating", "consent"}
        A screen that the space bar ends, a rating, or a question for consent.
    presentation_id : str
        Which presentation is rated; of other screens, a text of their own.
    rating : Rating or None
        What is asked.
    stimulus : Stimulus or None
        What it is asked about.
    name : str
        Tells questions about the same thing apart.
    """

    kind: Literal["continue", "rating", "consent"]
    presentation_id: str
    rating: Rating | None = None
    stimulus: Stimulus | None = None
    name: str = ""


@dataclass(frozen=True)
class Response:
    """What a responder does about a prompt.

    Attributes
    ----------
    delay_s : float
        From the flip at which the prompt appeared.
    key : str or None
        Name of the key to press.
    value : Any
        What to answer on the scale, where `key` is None.
    """

    delay_s: float
    key: str | None = None
    value: Any = None


class Responder(Protocol):
    """Answers prompts."""

    def respond(self, prompt: Prompt) -> Response | None:
        """Decide what to do; None does nothing."""


class SimulatedRater:
    """Rates near the norms, a little differently each time, and reproducibly.

    Valence and arousal are the stimulus norms stretched to 1-9, plus normal noise with a standard
    deviation of 0.8 steps; 5 plus noise without a norm. Response times are 0.6 to 1.0 s. Other scales:
    see `duchenne.protocols.scales.simulated.simulated_value`. Consent is given.

    Parameters
    ----------
    seed : int, default 0
        Not negative. Equal seeds give equal answers to equal presentations.
    """

    DELAY_S = (0.6, 1.0)
    CONTINUE_AFTER_S = 0.8
    SCOPE_AFTER_S = 0.2

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def respond(self, prompt: Prompt) -> Response | None:
        """Press the space bar after 0.8 s, agree to a scope after 0.2 s, or answer the rating."""
        if prompt.kind == "consent":
            is_scope = prompt.name not in {"", "answer"}
            delay_s = self.SCOPE_AFTER_S if is_scope else self.CONTINUE_AFTER_S
            return Response(delay_s, value="agree")
        if prompt.rating is None:
            return Response(self.CONTINUE_AFTER_S, key="space")
        rating = prompt.rating
        name = rating.dimension if isinstance(rating, SamRating) else f"{prompt.name} {rating.type}"
        key = zlib.crc32(f"{prompt.presentation_id} {name}".encode())
        rng = np.random.default_rng([self._seed, key])
        value = simulated_value(rating, prompt.stimulus, rng)
        delay_s = float(rng.uniform(*self.DELAY_S))
        if isinstance(rating, SamRating):
            return Response(delay_s, key=str(value))
        return Response(delay_s, value=value)
