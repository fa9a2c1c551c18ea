"""The schedule: everything a session will show, in order, drawn from a seed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from duchenne.protocols.counterbalance import participant_number
from duchenne.protocols.drawing import Builder
from duchenne.protocols.labels import check_label
from duchenne.protocols.plan import Step, Trial
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet

__all__ = ["Schedule", "Step", "Trial", "derive_seed", "make_schedule"]

MAX_SEED = 2**63 - 1
MAX_SESSION_S = 24 * 3600.0
"""No session is planned to last longer; more is a slip of the pen."""


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
    number : int or None
        The participant's number in the counterbalancing, from 1; None where nothing depends on it.
    steps : tuple of Step
        In order.
    """

    protocol_name: str
    protocol_hash: str
    participant: str
    session: str
    seed: int
    steps: tuple[Step, ...]
    number: int | None = None

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
    """Return the seed of a session, 0 to 2**63 - 1, from what identifies it.

    The run is not part of it: a session that is run again, or resumed as a further run, shows the same.
    For another order take another session label or give a seed.
    """
    text = f"{protocol_hash}\n{participant}\n{session}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") & MAX_SEED


def make_schedule(
    protocol: Protocol,
    *,
    participant: str,
    session: str,
    seed: int | None = None,
    number: int | None = None,
    stimuli: StimulusSet | None = None,
) -> Schedule:
    """Draw the schedule of one session.

    The same protocol text, stimuli, seed and number give the same schedule, byte for byte.

    Parameters
    ----------
    protocol : Protocol
        What to schedule.
    participant, session : str
        Labels of letters and digits.
    seed : int, optional
        From 0 to 2**63 - 1; derived from the protocol hash, the participant and the session by default.
    number : int, optional
        Place in the counterbalancing, from 1, such as that of a participant who is replaced; the number in
        the participant's label by default.
    stimuli : StimulusSet, optional
        The stimuli, if they are loaded already.

    Raises
    ------
    UsageError
        A label or the seed is not acceptable.
    DuchenneError
        A selection is empty, a constraint cannot be met, or the session would last more than a day; the
        message says why.
    """
    check_label("participant", participant)
    check_label("session", session)
    if seed is None:
        seed = derive_seed(protocol.hash, participant, session)
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"the seed {seed} is not between 0 and {MAX_SEED}")
    if number is not None and number < 1:
        raise UsageError(f"the number {number} in the counterbalancing is not 1 or more")
    if number is None and depends_on_number(protocol):
        number = participant_number(participant)
    builder = Builder(protocol, stimuli or protocol.stimulus_set(), seed, number or 1)
    planned = Schedule(
        protocol.name, protocol.hash, participant, session, seed, tuple(builder.steps()), number
    )
    if planned.planned_duration_s > MAX_SESSION_S:
        raise DuchenneError(
            f"{protocol.where('blocks')}: {len(planned.trials)} trials would take about "
            f"{planned.planned_duration_s / 3600:.0f} hours, more than {MAX_SESSION_S / 3600:g}; "
            "look at duration_s and repeats"
        )
    return planned


def depends_on_number(protocol: Protocol) -> bool:
    """Tell whether a participant's schedule depends on the participant's number."""
    return any(group.method != "random" for group in protocol.counterbalance) or any(
        step.order == "latin_square" or step.select.lists for step, _ in protocol.trials_steps()
    )


def _step(values: dict[str, Any]) -> Step:
    trial = values.pop("trial")
    if trial is not None:
        trial = Trial(**{**trial, "ratings": tuple(trial["ratings"])})
    return Step(**values, trial=trial)
