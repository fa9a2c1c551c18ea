"""The ``triggers:`` section of a protocol, and the table of codes that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from duchenne.protocols.markers import EVENTS
from duchenne.protocols.parts_base import Strict, Text
from duchenne.protocols.selection import pool
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet

ONSET = "stimulus_onset"
MOST = 255
DEFAULT_EVENTS = (
    "session_start",
    "session_end",
    "neutral_onset",
    "neutral_offset",
    "fixation_onset",
    "stimulus_onset",
    "stimulus_offset",
    "rating_onset",
    "rating_response",
    "pause",
    "resume",
)

Code = Annotated[int, Field(ge=1, le=MOST)]


class Triggers(Strict):
    """Codes sent to an EEG amplifier or the like at the flip of the screen.

    Attributes
    ----------
    port : {"serial", "parallel", "simulated", "none"}
        ``simulated`` goes through everything but a port; ``none`` sends nothing.
    address : str or None
        ``/dev/ttyUSB0`` or ``COM3``; ``/dev/parport0`` or ``0x378`` for a parallel port.
    baud : int
        Bits per second of a serial port.
    pulse_ms : float
        After so many milliseconds the code goes back to 0; 0 leaves it, for adapters that return to 0
        by themselves.
    stimulus : {"event", "category", "stimulus"}
        What the codes of ``stimulus_onset`` tell apart.
    events : tuple of str
        Which events send a code; those without one in `codes` are numbered in this order.
    codes : dict of str to int
        Codes given by hand, 1 to 255: by event, or by category or stimulus id for ``stimulus_onset``.
        All others are given out in order.
    """

    port: Literal["serial", "parallel", "simulated", "none"]
    address: Text | None = None
    baud: Annotated[int, Field(ge=300, le=12_000_000)] = 115200
    pulse_ms: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 10.0
    stimulus: Literal["event", "category", "stimulus"] = "category"
    events: tuple[str, ...] = DEFAULT_EVENTS
    codes: dict[str, Code] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Triggers:
        if self.port in ("serial", "parallel") and self.address is None:
            raise PydanticCustomError(
                "no_address",
                "a {port} port needs an address, such as {such}",
                {"port": self.port, "such": _SUCH[self.port]},
            )
        for event in self.events:
            if event not in EVENTS:
                raise PydanticCustomError(
                    "unknown_event",
                    "there is no event '{event}'{hint}",
                    {"event": event, "hint": did_you_mean(event, EVENTS)},
                )
        return self


_SUCH = {"serial": "/dev/ttyUSB0", "parallel": "/dev/parport0"}


@dataclass(frozen=True)
class TriggerCodes:
    """Which code each event sends.

    Attributes
    ----------
    per : {"event", "category", "stimulus"}
        What the codes of ``stimulus_onset`` tell apart.
    events : mapping of str to int
        Code by event, but not that of a ``stimulus_onset`` told apart.
    stimuli : mapping of str to int
        Code of a ``stimulus_onset`` by category or stimulus id; empty where it is not told apart.
    name_of : mapping of str to str
        Of each stimulus id: the name by which it is in `stimuli`.
    """

    per: str
    events: Mapping[str, int]
    stimuli: Mapping[str, int]
    name_of: Mapping[str, str]

    def of(self, event: str, stimulus: str | None = None) -> int | None:
        """Return the code of an event; None where it sends none."""
        if event == ONSET and self.per != "event":
            return self.stimuli.get(self.name_of.get(stimulus or "", ""))
        return self.events.get(event)

    def rows(self) -> Iterator[tuple[int, str, str]]:
        """Yield code, event, and category or stimulus id (empty where there is none), by code."""
        rows = [(code, event, "") for event, code in self.events.items()]
        rows += [(code, ONSET, name) for name, code in self.stimuli.items()]
        yield from sorted(rows)

    def to_json(self) -> dict[str, int]:
        """Return code by event, ``stimulus_onset`` with ``/`` and its category or stimulus id."""
        return {f"{event}/{name}" if name else event: code for code, event, name in self.rows()}


def trigger_codes(protocol: Protocol, stimuli: StimulusSet) -> TriggerCodes:
    """Give out the codes of a protocol; the same for each participant.

    Parameters
    ----------
    protocol : Protocol
        With a ``triggers`` section.
    stimuli : StimulusSet
        Its stimuli.

    Raises
    ------
    DuchenneError
        A code is given for something that sends none, two things share a code, or 255 are not enough.
    """
    triggers = protocol.triggers
    if triggers is None:
        return TriggerCodes("event", {}, {}, {})
    told_apart = ONSET in triggers.events and triggers.stimulus != "event"
    events = [e for e in dict.fromkeys(triggers.events) if not (told_apart and e == ONSET)]
    name_of = _names(protocol, stimuli, triggers) if told_apart else {}
    names = list(dict.fromkeys(name_of.values()))
    where = protocol.where("triggers")
    _check_given(triggers, [*events, *names], where)
    free = (code for code in range(1, MOST + 1) if code not in set(triggers.codes.values()))
    table: dict[str, int] = {}
    for key in [*events, *names]:
        code = triggers.codes.get(key) or next(free, None)
        if code is None:
            raise DuchenneError(
                f"{where}: {len(events) + len(names)} codes are needed and there are {MOST}; name fewer "
                "events, or write stimulus: category"
            )
        table[key] = code
    return TriggerCodes(
        triggers.stimulus if told_apart else "event",
        {event: table[event] for event in events},
        {name: table[name] for name in names},
        name_of,
    )


def _names(protocol: Protocol, stimuli: StimulusSet, triggers: Triggers) -> dict[str, str]:
    """Return the category or id of each stimulus that the protocol may show, in the set's order."""
    used = {s.id for step, at in protocol.trials_steps() for s in pool(protocol, stimuli, step, at)}
    by_category = triggers.stimulus == "category"
    return {s.id: s.category if by_category else s.id for s in stimuli if s.id in used}


def _check_given(triggers: Triggers, keys: list[str], where: str) -> None:
    by_code: dict[int, str] = {}
    for key in keys:
        if keys.count(key) > 1:
            raise DuchenneError(
                f"{where}: {key!r} is the name of an event and of a {triggers.stimulus}"
            )
    for key, code in triggers.codes.items():
        if key not in keys:
            raise DuchenneError(
                f"{where}: codes: {key!r} sends no code{did_you_mean(key, keys, most=8)}"
            )
        if code in by_code:
            raise DuchenneError(
                f"{where}: codes: {by_code[code]!r} and {key!r} share the code {code}"
            )
        by_code[code] = key
