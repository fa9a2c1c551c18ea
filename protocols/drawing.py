"""Draws the steps of a schedule from a protocol, block by block."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.protocols.counterbalance import latin_square, nth_order
from duchenne.protocols.matching import matched_draw
from duchenne.protocols.ordering import balanced_order, draw_per_category, random_order
from duchenne.protocols.plan import Step, Trial
from duchenne.protocols.schema import Trials
from duchenne.protocols.selection import STILL_KINDS, pool
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duchenne.protocols.schema import Block, Interval, Item, Protocol
    from duchenne.stimuli.manifest import Stimulus, StimulusSet

Place = tuple[int | str, ...]
_BLOCKS, _LISTS = 2**32 - 1, 2**32 - 2  # streams of random numbers beside those of the trials


class Builder:
    """Walks the blocks, counting trials; each run of trials draws from a stream of its own.

    Parameters
    ----------
    protocol : Protocol
    stimuli : StimulusSet
    seed : int
        Of all draws but the lists, which are the same for all participants.
    number : int
        Place in the counterbalancing, from 1.
    """

    def __init__(
        self, protocol: Protocol, stimuli: StimulusSet, seed: int, number: int = 1
    ) -> None:
        self._protocol = protocol
        self._stimuli = stimuli
        self._seed = seed
        self._number = number
        self._n_trials = 0
        self._before: tuple[str, ...] = ()

    def steps(self) -> Iterator[Step]:
        """Yield all steps of the session in order."""
        for number in self._block_order():
            yield from self._block(number, self._protocol.blocks[number])

    def _block_order(self) -> list[int]:
        """Return the blocks' indices with those that are counterbalanced in their places."""
        names = [block.name for block in self._protocol.blocks]
        order = list(range(len(names)))
        for i, group in enumerate(self._protocol.counterbalance):
            members = [names.index(name) for name in group.blocks]
            n = len(members)
            if group.method == "latin_square":
                rows = latin_square(n)
                chosen: Sequence[int] = rows[(self._number - 1) % len(rows)]
            elif group.method == "full":
                chosen = nth_order(n, self._number - 1)
            else:
                chosen = _generator(self._seed, _BLOCKS, i).permutation(n).tolist()
            for place, which in zip(sorted(members), chosen, strict=True):
                order[place] = members[which]
        return order

    def _block(self, number: int, block: Block) -> Iterator[Step]:
        yield Step("block_start", block.name, duration_s=0.0)
        for s, item in enumerate(block.steps):
            if isinstance(item, Trials):
                yield from self._trials(block.name, item, ("blocks", number, "steps", s))
            else:
                self._before = ()
                yield step_of(block.name, item)
        self._before = ()
        yield Step("block_end", block.name, duration_s=0.0)

    def _trials(self, block: str, item: Trials, at: Place) -> Iterator[Step]:
        rng = _generator(self._seed, self._n_trials)
        order = self._order(item, at, rng)
        self._before = (*self._before, *(s.category for s in order))
        for i, stimulus in enumerate(order):
            self._n_trials += 1
            still = stimulus.kind in STILL_KINDS
            length_s = item.duration_s if still else stimulus.duration_s
            assert length_s is not None
            trial = Trial(
                trial=self._n_trials,
                block=block,
                stimulus_id=stimulus.id,
                fixation_s=_draw_s(item.fixation_s, rng),
                duration_s=length_s,
                iti_s=_draw_s(item.iti_s, rng),
                ratings=item.ratings,
                post_s=_draw_s(item.post_stimulus_s, rng) if item.post_stimulus_s.max else 0.0,
            )
            yield Step("trial", block, trial=trial, content=self._before_onset(item, stimulus, at))
            breaks = item.breaks
            if breaks is not None and (i + 1) % breaks.every == 0 and i + 1 < len(order):
                yield Step("break", block, breaks.text, breaks.duration_s, breaks.skip_with_key)

    def _before_onset(self, item: Trials, stimulus: Stimulus, at: Place) -> dict[str, Any]:
        """Return what a trial waits for before its stimulus, as content of its step."""
        content: dict[str, Any] = {}
        if item.adapt_s is not None:
            if stimulus.luminance is None:
                raise DuchenneError(
                    f"{self._protocol.where(*at, 'adapt_s')}: the luminance of {stimulus.id!r} is not known; "
                    "add a column luminance to the manifest or take adapt_s out"
                )
            content["adapt_s"] = item.adapt_s
        if item.gaze_start is not None:
            content["gaze_start"] = item.gaze_start.model_dump(mode="json")
        return content

    def _order(self, item: Trials, at: Place, rng: np.random.Generator) -> Sequence[Stimulus]:
        chosen = self._drawn(item, at, rng)
        if item.order == "latin_square":
            rows = latin_square(len(chosen))
            row = rows[(self._number - 1) % len(rows)]
            return tuple(chosen[i] for i in row) * item.repeats
        if item.order == "fixed":
            return tuple(chosen) * item.repeats
        key = "balance_transitions" if item.balance_transitions else "max_repeats_of_category"
        try:
            if item.balance_transitions:
                return balanced_order(
                    chosen, item.max_repeats_of_category, rng, repeats=item.repeats
                )
            return random_order(
                chosen,
                item.max_repeats_of_category,
                rng,
                repeats=item.repeats,
                before=self._before,
            )
        except ValueError as error:
            raise DuchenneError(f"{self._protocol.where(*at, key)}: {error}") from None

    def _drawn(self, item: Trials, at: Place, rng: np.random.Generator) -> Sequence[Stimulus]:
        """Return the stimuli that this participant sees, in the order of the pool."""
        select = item.select
        candidates: Sequence[Stimulus] = pool(self._protocol, self._stimuli, item, at)
        if select.lists is None and select.match is None:
            if select.per_category is None:
                return candidates
            return draw_per_category(candidates, select.per_category, rng)
        n_lists = select.lists or 1
        if n_lists > 1:  # dealt out once for all participants
            rng = _generator(int(self._protocol.hash[:15], 16), _LISTS, self._n_trials)
        lists = self._lists(item, candidates, rng, at)
        return [candidates[i] for i in lists[(self._number - 1) % n_lists]]

    def _lists(
        self, item: Trials, candidates: Sequence[Stimulus], rng: np.random.Generator, at: Place
    ) -> Sequence[Sequence[int]]:
        select = item.select
        n_lists = select.lists or 1
        categories = [s.category for s in candidates]
        if select.per_category is None:
            return _dealt(categories, n_lists, rng)
        names = select.match.by if select.match else ()
        measures = np.array([[s.measure(name) or 0.0 for name in names] for s in candidates])
        match = matched_draw(
            categories,
            measures.reshape(len(candidates), -1) if names else np.zeros((len(candidates), 1)),
            select.per_category,
            rng,
            n_lists=n_lists,
            across=select.match.across if select.match else "categories",
            tolerance_sd=select.match.tolerance_sd if select.match else 1.0,
        )
        if select.match and match.largest_difference_sd > select.match.tolerance_sd:
            where = self._protocol.where(*at, "select", "match")
            raise DuchenneError(
                f"{where}: the best draw found still differs by {match.largest_difference_sd:.2f} SD in "
                f"{names[match.measure]}, more than tolerance_sd: {select.match.tolerance_sd:g}; draw fewer, "
                "widen the selection or raise the tolerance"
            )
        return match.lists


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(list(key)))


def _dealt(categories: Sequence[str], n_lists: int, rng: np.random.Generator) -> list[list[int]]:
    """Deal all candidates out to lists, each category as evenly as can be."""
    lists: list[list[int]] = [[] for _ in range(n_lists)]
    start = 0
    for category in Counter(categories):
        members = [i for i, name in enumerate(categories) if name == category]
        for place, which in enumerate(rng.permutation(len(members))):
            lists[(start + place) % n_lists].append(members[which])
        start += len(members)
    return [sorted(found) for found in lists]


def step_of(block: str, item: Item) -> Step:
    """Return the step of anything but trials: its text and length, and the rest as content."""
    values = item.model_dump(mode="json", exclude={"type"})
    own = {key: values.pop(key) for key in ("text", "duration_s", "skip_with_key") if key in values}
    return Step(item.type, block, **own, content=values)


def _draw_s(interval: Interval, rng: np.random.Generator) -> float:
    """Draw a length in seconds, to the millisecond; fixed lengths draw too, so that later draws stay."""
    return round(interval.min + (interval.max - interval.min) * rng.random(), 3)
