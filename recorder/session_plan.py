"""What `duchenne run` is asked for, turned into a session to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.protocols.schedule import depends_on_number, make_schedule
from duchenne.protocols.schema import load_protocol
from duchenne.protocols.screens import check_screens
from duchenne.protocols.trigger_codes import trigger_codes
from duchenne.recorder.allocation import allocate
from duchenne.recorder.layout import SessionName
from duchenne.recorder.resuming import find_resumption
from duchenne.recorder.session import SessionRequest
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.protocols.schedule import Schedule
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet


@dataclass(frozen=True)
class Wish:
    """What was asked for, of all that concerns the schedule.

    Attributes
    ----------
    protocol : str
        Library name or path.
    participant, session : str
    run : str or None
        None: ``01``, or the next one where resumed.
    study : Path
    seed : int or None
    resume, pilot, blind : bool
    replaces : str or None
        Whose number in the counterbalancing to inherit.
    """

    protocol: str
    participant: str
    session: str
    run: str | None
    study: Path
    seed: int | None = None
    resume: bool = False
    pilot: bool = False
    blind: bool = False
    replaces: str | None = None


def plan(wish: Wish) -> SessionRequest:
    """Return the session to run; its devices are the defaults.

    Raises
    ------
    UsageError
        Wishes that exclude each other.
    DuchenneError
        The protocol, one of its screens or stimuli, the schedule, the allocation or the run to resume is
        not acceptable.
    """
    if wish.resume and (wish.seed is not None or wish.run is not None or wish.replaces):
        raise UsageError("--resume takes seed, number and run from the run that broke off")
    if wish.pilot and wish.replaces:
        raise UsageError("--pilot and --replaces: a pilot session replaces nobody")
    protocol = load_protocol(wish.protocol)
    stimuli = protocol.stimulus_set(verify=True)
    check_screens(protocol, stimuli)
    trigger_codes(protocol, stimuli)
    name = SessionName(wish.participant, wish.session, protocol.name, wish.run or "01")
    if wish.resume:
        return _resumed(wish, protocol, stimuli, name)
    schedule = _schedule(wish, protocol, stimuli)
    return SessionRequest(
        protocol, stimuli, schedule, name, wish.study, pilot=wish.pilot, blind=wish.blind
    )


def _schedule(wish: Wish, protocol: Protocol, stimuli: StimulusSet) -> Schedule:
    """Draw the schedule; pilot sessions take no number of the study."""
    number = None
    if not wish.pilot:
        found = allocate(wish.study, wish.participant, wish.replaces).number
        number = found if depends_on_number(protocol) else None
    return make_schedule(
        protocol,
        participant=wish.participant,
        session=wish.session,
        seed=wish.seed,
        number=number,
        stimuli=stimuli,
    )


def _resumed(
    wish: Wish, protocol: Protocol, stimuli: StimulusSet, name: SessionName
) -> SessionRequest:
    found = find_resumption(wish.study, name, protocol.hash)
    again = make_schedule(
        protocol,
        participant=wish.participant,
        session=wish.session,
        seed=found.schedule.seed,
        number=found.schedule.number,
        stimuli=stimuli,
    )
    if again != found.schedule:
        raise DuchenneError(
            f"the stimuli have changed since run {found.resumed_from}: the schedule would differ"
        )
    return SessionRequest(
        protocol,
        stimuli,
        found.schedule,
        SessionName(wish.participant, wish.session, protocol.name, found.run),
        wish.study,
        pilot=wish.pilot or found.pilot,
        blind=wish.blind,
        first_step=found.step,
        resumed_from=found.resumed_from,
    )
