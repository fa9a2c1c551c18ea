"""The schedule: everything a session will show, in order, drawn from a seed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from duchenne.protocols.labels import check_label
from duchenne.protocols.ordering import draw_per_category, random_order
from duchenne.protocols.schema import Break, Instruction, NeutralFace, Trials
from duchenne.protocols.selection import pool
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duchenne.protocols.schema import Block, Interval, Protocol
    from duchenne.stimuli.manifest import Stimulus, StimulusSet

StepKind = Literal["block_start", "block_end", "instruction", "neutral", "break", "trial"]
RATING_ALLOWANCE_S = 3.0
"""What a rating is planned to take."""
KEY_ALLOWANCE_S = 10.0
"""What a screen that waits for a key is planned to take."""
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Trial:
    """One presentation of one stimulus.

    Attributes
    ----------
    trial : int
        Number in the session, from 1.
    block : str
        Name of its block.
    stimulus_id : str
        What is shown.
    fixation_s : float
        Fixation cross before it, in seconds.
    duration_s : float
        Planned length of the stimulus, in seconds.
    iti_s : float
        Empty screen after the ratings, in seconds.
    ratings : tuple of str
        Names of the ratings that follow, in order.
    """

    trial: int
    block: str
    stimulus_id: str
    fixation_s: float
    duration_s: float
    iti_s: float
    ratings: tuple[str, ...] = ()

    @property
    def planned_duration_s(self) -> float:
        """Fixation, stimulus, an allowance for each rating, and the empty screen, in seconds."""
        ratings_s = RATING_ALLOWANCE_S * len(self.ratings)
        return self.fixation_s + self.duration_s + ratings_s + self.iti_s


@dataclass(frozen=True)
class Step:
    """One step of a session.

    Attributes
    ----------
    kind : {"block_start", "block_end", "instruction", "neutral", "break", "trial"}
        What happens.
    block : str
        Name of its block.
    text : str or None
        What an instruction, neutral phase or break shows.
    duration_s : float or None
        Ends after so many seconds; None waits for a key. 0 for the marks of a block; for a trial,
        see `trial`.
    skip_with_key : bool
        The participant's key may end it before `duration_s`.
    trial : Trial or None
        For trials, the presentation.
    """

    kind: StepKind
    block: str
    text: str | None = None
    duration_s: float | None = None
    skip_with_key: bool = False
    trial: Trial | None = None

    @property
    def planned_duration_s(self) -> float:
        """How long it is planned to take, in seconds."""
        if self.trial is not None:
            return self.trial.planned_duration_s
        return KEY_ALLOWANCE_S if self.duration_s is None else self.duration_s

    @property
    def label(self) -> str:
        """A few words for the operator."""
        if self.trial is not None:
            return f"trial {self.trial.trial}: {self.trial.stimulus_id}"
        return f"{self.kind.replace('_', ' ')} ({self.block})"


@dataclass(frozen=True)
class Schedule:
    """The steps of one session.

    Attributes
    ----------
    protocol_name, protocol_hash : str
        The protocol and the SHA-256 of its text.
    participant, session : str
        Labels.
    seed : int
        What all draws came from.
    steps : tuple of Step
        In order.
    """

    protocol_name: str
    protocol_hash: str
    participant: str
    session: str
    seed: int
    steps: tuple[Step, ...]

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The presentations alone, in order."""
        return tuple(step.trial for step in self.steps if step.trial is not None)

    @property
    def planned_duration_s(self) -> float:
        """Planned length in seconds, with allowances for ratings and keys."""
        return sum(step.planned_duration_s for step in self.steps)

    def to_json(self) -> str:
        """Return the schedule as JSON; equal schedules give equal bytes."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Schedule:
        """Read what `to_json` wrote.

        Raises
        ------
        DuchenneError
            The text is not a schedule.
        """
        try:
            values = json.loads(text)
            steps = tuple(_step(step) for step in values.pop("steps"))
            return cls(**values, steps=steps)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DuchenneError(f"not a schedule written by this program ({error})") from None


def derive_seed(protocol_hash: str, participant: str, session: str) -> int:
    """Return the seed of a session, 0 to 2**63 - 1, from what identifies it."""
    text = f"{protocol_hash}\n{participant}\n{session}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") & MAX_SEED


def make_schedule(
    protocol: Protocol,
    *,
    participant: str,
    session: str,
    seed: int | None = None,
    stimuli: StimulusSet | None = None,
) -> Schedule:
    """Draw the schedule of one session.

    The same protocol text, stimuli and seed give the same schedule, byte for byte.

    Parameters
    ----------
    protocol : Protocol
        What to schedule.
    participant, session : str
        Labels of letters and digits.
    seed : int, optional
        From 0 to 2**63 - 1; derived from the protocol hash, the participant and the session by default.
    stimuli : StimulusSet, optional
        The stimuli, if they are loaded already.

    Raises
    ------
    UsageError
        A label or the seed is not acceptable.
    DuchenneError
        A selection is empty or a constraint cannot be met; the message says why.
    """
    check_label("participant", participant)
    check_label("session", session)
    if seed is None:
        seed = derive_seed(protocol.hash, participant, session)
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"the seed {seed} is not between 0 and {MAX_SEED}")
    builder = _Builder(protocol, stimuli or protocol.stimulus_set(), seed)
    steps = tuple(
        step for b, block in enumerate(protocol.blocks) for step in builder.block(b, block)
    )
    return Schedule(protocol.name, protocol.hash, participant, session, seed, steps)


class _Builder:
    """Walks the blocks, counting trials; each run of trials draws from a stream of its own."""

    def __init__(self, protocol: Protocol, stimuli: StimulusSet, seed: int) -> None:
        self._protocol = protocol
        self._stimuli = stimuli
        self._seed = seed
        self._n_trials = 0

    def block(self, number: int, block: Block) -> Iterator[Step]:
        """Yield the steps of one block."""
        yield Step("block_start", block.name, duration_s=0.0)
        for s, item in enumerate(block.steps):
            if isinstance(item, Trials):
                yield from self._trials(block.name, item, ("blocks", number, "steps", s))
            else:
                yield _screen(block.name, item)
        yield Step("block_end", block.name, duration_s=0.0)

    def _trials(self, block: str, item: Trials, at: Sequence[int | str]) -> Iterator[Step]:
        rng = np.random.Generator(np.random.PCG64([self._seed, self._n_trials]))
        order = self._order(item, at, rng)
        for i, stimulus in enumerate(order):
            self._n_trials += 1
            length_s = item.duration_s if stimulus.kind == "image" else stimulus.duration_s
            assert length_s is not None
            trial = Trial(
                trial=self._n_trials,
                block=block,
                stimulus_id=stimulus.id,
                fixation_s=_draw_s(item.fixation_s, rng),
                duration_s=length_s,
                iti_s=_draw_s(item.iti_s, rng),
                ratings=item.ratings,
            )
            yield Step("trial", block, trial=trial)
            breaks = item.breaks
            if breaks is not None and (i + 1) % breaks.every == 0 and i + 1 < len(order):
                yield Step("break", block, breaks.text, breaks.duration_s, breaks.skip_with_key)

    def _order(
        self, item: Trials, at: Sequence[int | str], rng: np.random.Generator
    ) -> Sequence[Stimulus]:
        chosen: Sequence[Stimulus] = pool(self._protocol, self._stimuli, item, at)
        if item.select.per_category is not None:
            chosen = draw_per_category(chosen, item.select.per_category, rng)
        if item.order == "fixed":
            return chosen
        try:
            return random_order(chosen, item.max_repeats_of_category, rng)
        except ValueError as error:
            where = self._protocol.where(*at, "max_repeats_of_category")
            raise DuchenneError(f"{where}: {error}") from None


def _screen(block: str, item: Instruction | NeutralFace | Break) -> Step:
    skip = not isinstance(item, NeutralFace) and item.skip_with_key
    return Step(item.type, block, item.text, item.duration_s, skip)


def _draw_s(interval: Interval, rng: np.random.Generator) -> float:
    """Draw a length in seconds, to the millisecond; fixed lengths draw too, so that later draws stay."""
    return round(interval.min + (interval.max - interval.min) * rng.random(), 3)


def _step(values: dict[str, Any]) -> Step:
    trial = values.pop("trial")
    if trial is not None:
        trial = Trial(**{**trial, "ratings": tuple(trial["ratings"])})
    return Step(**values, trial=trial)
