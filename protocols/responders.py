"""Simulated participants: who answers when nobody sits at the keyboard.

A responder only decides what is pressed or clicked, and when. The runner passes it on to the display,
where it arrives by the window's own key and mouse events.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from duchenne.protocols.parts import Rating
    from duchenne.stimuli.manifest import Stimulus


@dataclass(frozen=True)
class Prompt:
    """Something that waits for the participant.

    Attributes
    ----------
    kind : {"continue", "rating"}
        A screen that the space bar ends, or a rating.
    presentation_id : str
        Which presentation is rated; of other screens, a text of their own.
    rating : Rating or None
        What is asked.
    stimulus : Stimulus or None
        What it is asked about.
    """

    kind: Literal["continue", "rating"]
    presentation_id: str
    rating: Rating | None = None
    stimulus: Stimulus | None = None


@dataclass(frozen=True)
class Response:
    """What a responder does about a prompt.

    Attributes
    ----------
    delay_s : float
        From the flip at which the prompt appeared.
    key : str or None
        Name of the key to press.
    value : int or None
        Step of the scale to click on, where `key` is None.
    """

    delay_s: float
    key: str | None = None
    value: int | None = None


class Responder(Protocol):
    """Answers prompts."""

    def respond(self, prompt: Prompt) -> Response | None:
        """Decide what to do; None does nothing."""


class SimulatedRater:
    """Rates near the norms, a little differently each time, and reproducibly.

    Valence and arousal are the stimulus norms stretched to 1-9, plus normal noise with a standard
    deviation of 0.8 steps; 5 plus noise without a norm. Response times are 0.6 to 1.0 s.

    Parameters
    ----------
    seed : int, default 0
        Not negative. Equal seeds give equal answers to equal presentations.
    """

    NOISE_STEPS = 0.8
    DELAY_S = (0.6, 1.0)
    CONTINUE_AFTER_S = 0.8

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def respond(self, prompt: Prompt) -> Response | None:
        """Press the space bar after 0.8 s, or the number of the rating."""
        if prompt.rating is None:
            return Response(self.CONTINUE_AFTER_S, key="space")
        dimension = prompt.rating.dimension
        name = f"{prompt.presentation_id} {dimension}".encode()
        rng = np.random.default_rng([self._seed, zlib.crc32(name)])
        norm = None
        if prompt.stimulus is not None:
            norm = getattr(prompt.stimulus, f"{dimension}_scaled")
        value = 5.0 + 4.0 * (norm or 0.0) + self.NOISE_STEPS * rng.standard_normal()
        step = int(np.clip(round(value), 1, 9))
        return Response(float(rng.uniform(*self.DELAY_S)), key=str(step))
