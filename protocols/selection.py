"""Which stimuli a run of trials draws on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.stimulus import NORMS, OWN_MEASURES
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.protocols.schema import Protocol, Trials
    from duchenne.stimuli.manifest import Stimulus, StimulusSet

STILL_KINDS = ("image", "text")
"""Kinds of stimulus that have no length of their own."""


def pool(
    protocol: Protocol, stimuli: StimulusSet, step: Trials, at: Sequence[int | str]
) -> tuple[Stimulus, ...]:
    """Return the stimuli that a run of trials shows or draws from.

    Parameters
    ----------
    protocol : Protocol
        The protocol, for places in messages.
    stimuli : StimulusSet
        The set it draws on.
    step : Trials
        The run of trials.
    at : sequence of int or str
        Location of `step` in the protocol file.

    Returns
    -------
    tuple of Stimulus
        At least one, in the order of ``select.ids`` or else of the manifest.

    Raises
    ------
    DuchenneError
        An id or category is not in the set, nothing is left, a category is too small for
        ``per_category``, or an image has no duration.
    """
    select = step.select
    _check_known(protocol, stimuli, step, at)
    chosen = tuple(stimuli[i] for i in select.ids) if select.ids else stimuli.stimuli
    if select.categories is not None:
        chosen = tuple(s for s in chosen if s.category in select.categories)
    if select.kinds is not None:
        chosen = tuple(s for s in chosen if s.kind in select.kinds)
    for name, wanted in select.measures.items():
        _check_measure(protocol, chosen, name, (*at, "select", "measures", name))
        chosen = tuple(s for s in chosen if wanted.holds(s.measure(name)))
    where = protocol.where(*at, "select")
    if not chosen:
        raise DuchenneError(f"{where}: no stimulus of {stimuli.name} is selected; widen `select`")
    for category in select.categories or ():
        if not any(s.category == category for s in chosen):
            raise DuchenneError(
                f"{where}: no stimulus of category {category!r} is left; widen `select`"
            )
    _check_numbers(protocol, chosen, step, at)
    if step.duration_s is None and any(s.kind in STILL_KINDS for s in chosen):
        raise DuchenneError(
            f"{protocol.where(*at)}: images or texts are selected but duration_s does not say for how long"
        )
    return chosen


def _check_numbers(
    protocol: Protocol, chosen: Sequence[Stimulus], step: Trials, at: Sequence[int | str]
) -> None:
    """Refuse categories that are too small, and matching on numbers that are missing."""
    select = step.select
    if select.per_category is not None:
        needed = select.per_category * (select.lists or 1)
        for category in {s.category: None for s in chosen}:
            n = sum(s.category == category for s in chosen)
            if n < needed:
                lists = f" for {select.lists} lists" if select.lists else ""
                raise DuchenneError(
                    f"{protocol.where(*at, 'select', 'per_category')}: category {category!r} has {n} "
                    f"stimuli but {needed} are to be drawn{lists}; lower per_category"
                )
    for i, name in enumerate(select.match.by if select.match else ()):
        _check_measure(protocol, chosen, name, (*at, "select", "match", "by", i))
        missing = [s.id for s in chosen if s.measure(name) is None]
        if missing:
            raise DuchenneError(
                f"{protocol.where(*at, 'select', 'match', 'by', i)}: {len(missing)} of {len(chosen)} stimuli "
                f"have no {name} (first: {missing[0]}); they cannot be matched on it"
            )


def _check_measure(
    protocol: Protocol, stimuli: Sequence[Stimulus], name: str, at: Sequence[int | str]
) -> None:
    if any(s.measure(name) is not None for s in stimuli):
        return
    if name in NORMS:
        raise DuchenneError(
            f"{protocol.where(*at)}: none of the {len(stimuli)} stimuli has a norm of {name}; add the "
            f"columns {name}, norm_min and norm_max to the manifest or take this out"
        )
    names = {*NORMS, *OWN_MEASURES, *(key for s in stimuli for key in s.measures)}
    known = sorted(key for key in names if any(s.measure(key) is not None for s in stimuli))
    hint = did_you_mean(name, known)
    raise DuchenneError(
        f"{protocol.where(*at)}: none of the {len(stimuli)} stimuli has a number {name!r}{hint}"
    )


def _check_known(
    protocol: Protocol, stimuli: StimulusSet, step: Trials, at: Sequence[int | str]
) -> None:
    known = {"ids": [s.id for s in stimuli], "categories": list(stimuli.categories)}
    names = {"ids": "stimulus", "categories": "category"}
    for key, singular in names.items():
        for i, value in enumerate(getattr(step.select, key) or ()):
            if value not in known[key]:
                raise DuchenneError(
                    f"{protocol.where(*at, 'select', key, i)}: no {singular} {value!r} in the set "
                    f"{stimuli.name}{did_you_mean(value, known[key])}"
                )
