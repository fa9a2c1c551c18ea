"""Who the simulated participant is: what it knows of the stimuli, and how fast it answers them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from duchenne.recorder.sources.oculomotor import generator
from duchenne.recorder.sources.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.recorder.sources.listener import Cue
    from duchenne.stimuli.manifest import Stimulus

NEUTRAL = "neutral"
CROSS_LATENCY_S = (0.17, 0.19)
STIMULUS_LATENCY_S = (0.2, 0.28)
EXPRESSION_LATENCY_S = (0.3, 0.5)
DEFAULT_LUMINANCE = 0.3
DEFAULT_BACKGROUND = 0.214
"""Relative luminance of a middle grey screen."""


@dataclass(frozen=True)
class Traits:
    """What of a stimulus the participant answers to.

    Attributes
    ----------
    luminance : float
        Mean relative luminance, 0 to 1.
    arousal_scaled : float
        Arousal norm, -1 to 1.
    expression : str
        What the face shows; `NEUTRAL` for nothing.
    """

    luminance: float = DEFAULT_LUMINANCE
    arousal_scaled: float = -1.0
    expression: str = NEUTRAL


CATEGORY_TRAITS: Mapping[str, Traits] = {
    "HVHA": Traits(arousal_scaled=0.6, expression="happiness"),
    "HVLA": Traits(arousal_scaled=-0.6, expression="happiness"),
    "LVHA": Traits(arousal_scaled=0.6, expression="fear"),
    "LVLA": Traits(arousal_scaled=-0.6, expression="sadness"),
}
"""Answers to stimuli of which only the category is known."""


@dataclass(frozen=True)
class Participant:
    """A simulated participant.

    Attributes
    ----------
    seed : int
        Decides all that is random; the same seed answers the same presentation in the same way.
    traits : mapping of str to Traits
        By stimulus id.
    screen : Screen
        What the participant looks at until a session's start tells otherwise.
    background : float
        Relative luminance of the empty screen, 0 to 1.
    """

    seed: int = 0
    traits: Mapping[str, Traits] = field(default_factory=dict)
    screen: Screen = field(default_factory=Screen)
    background: float = DEFAULT_BACKGROUND

    @classmethod
    def for_protocol(cls, protocol: str | None, seed: int) -> Participant:
        """Make a participant who knows a protocol's stimuli.

        Parameters
        ----------
        protocol : str or None
            Library name or path; None: knows nothing but the categories in the markers.
        seed : int

        Raises
        ------
        DuchenneError
            Where the protocol or its stimulus set cannot be read.
        """
        if protocol is None:
            return cls(seed=seed)
        from duchenne.protocols.schema import load_protocol  # noqa: PLC0415 -- only if named

        loaded = load_protocol(protocol)
        screen = Screen.from_fields(loaded.screen.model_dump())
        return cls(
            seed=seed,
            traits={s.id: traits_of(s) for s in loaded.stimulus_set()},
            screen=screen or Screen(),
            background=linear_luminance(loaded.screen.background_grey),
        )

    def answer(self, cue: Cue) -> Traits:
        """Return what the participant answers to in the stimulus of a cue."""
        if cue.stimulus in self.traits:
            return self.traits[cue.stimulus]
        return CATEGORY_TRAITS.get(cue.category, Traits())

    def gaze_latency_s(self, cue: Cue) -> float:
        """Return the time from a cue to the saccade that answers it."""
        span = CROSS_LATENCY_S if cue.event == "fixation_onset" else STIMULUS_LATENCY_S
        return generator(self.seed, "gaze", cue.event, cue.presentation_id).uniform(*span)

    def expression_latency_s(self, cue: Cue) -> float:
        """Return the time from a stimulus's onset to the start of the face clip."""
        return generator(self.seed, "face", cue.presentation_id).uniform(*EXPRESSION_LATENCY_S)


def linear_luminance(grey_level: float) -> float:
    """Return the relative luminance of an sRGB grey level, both 0 to 1 (IEC 61966-2-1)."""
    if grey_level <= 0.04045:
        return grey_level / 12.92
    return float(((grey_level + 0.055) / 1.055) ** 2.4)


def traits_of(stimulus: Stimulus) -> Traits:
    """Return what the participant answers to; the category fills in for missing norms."""
    guess = CATEGORY_TRAITS.get(stimulus.category, Traits())
    luminance, arousal = stimulus.luminance, stimulus.arousal_scaled
    return Traits(
        luminance=guess.luminance if luminance is None else luminance,
        arousal_scaled=guess.arousal_scaled if arousal is None else arousal,
        expression=stimulus.target_expression or guess.expression,
    )
