"""The schedule: everything a session will show, in order, drawn from a seed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.protocols.labels import check_label
from duchenne.protocols.ordering import draw_per_category, random_order
from duchenne.protocols.plan import Step, Trial
from duchenne.protocols.schema import Trials
from duchenne.protocols.selection import pool
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duchenne.protocols.schema import Block, Interval, Item, Protocol
    from duchenne.stimuli.manifest import Stimulus, StimulusSet

__all__ = ["Schedule", "Step", "Trial", "derive_seed", "make_schedule"]

MAX_SEED = 2**63 - 1


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


def _screen(block: str, item: Item) -> Step:
    """Return the step of anything but trials: its text and length, and the rest as content."""
    values = item.model_dump(mode="json", exclude={"type"})
    own = {key: values.pop(key) for key in ("text", "duration_s", "skip_with_key") if key in values}
    return Step(item.type, block, **own, content=values)


def _draw_s(interval: Interval, rng: np.random.Generator) -> float:
    """Draw a length in seconds, to the millisecond; fixed lengths draw too, so that later draws stay."""
    return round(interval.min + (interval.max - interval.min) * rng.random(), 3)


def _step(values: dict[str, Any]) -> Step:
    trial = values.pop("trial")
    if trial is not None:
        trial = Trial(**{**trial, "ratings": tuple(trial["ratings"])})
    return Step(**values, trial=trial)
