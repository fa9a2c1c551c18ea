"""The protocol file: a whole experiment, read with errors that name the line.

A protocol is a list of blocks, a block a list of steps; see `duchenne.protocols.parts`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from duchenne.protocols.alignment import Alignment
from duchenne.protocols.counterbalance import MAX_FULL
from duchenne.protocols.parts import (
    Block,
    Break,
    BreaksBetween,
    Counterbalance,
    Instruction,
    Interval,
    Item,
    NeutralFace,
    Screen,
    Select,
    Trials,
)
from duchenne.protocols.parts_base import Label, Strict, Text, not_empty
from duchenne.protocols.parts_forms import RatingStep, Stop
from duchenne.protocols.parts_ratings import Rating, sam_ratings
from duchenne.protocols.selection import pool
from duchenne.protocols.timing import Timing
from duchenne.protocols.trigger_codes import Triggers
from duchenne.protocols.yaml_errors import located_message
from duchenne.protocols.yaml_source import YamlSource
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.manifest import StimulusSet
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "Block",
    "Break",
    "BreaksBetween",
    "Counterbalance",
    "Instruction",
    "Interval",
    "Item",
    "NeutralFace",
    "Protocol",
    "Rating",
    "Screen",
    "Select",
    "Trials",
    "library",
    "library_path",
    "load_protocol",
    "parse_protocol",
]

LIBRARY = Path(__file__).parent / "library"


class Protocol(Strict):
    """A whole experiment, as declared in its file.

    Attributes
    ----------
    name : str
        Becomes the task label of session files; letters and digits.
    title, description : str
        For people.
    version : str
        For people; change it when you change the protocol.
    screen : Screen
        Geometry of the display.
    stimulus_height : float
        Height of the box that stimuli are fitted into, in screen heights; their shape is kept.
    stimuli : str
        ``bundled``, or the path of a manifest or its folder, relative to the protocol file.
    ratings : dict of str to Rating
        The questions, by the names that trials use; SAM valence and arousal by default.
    alignment : Alignment
        How badly a stream may have been transported and still be used.
    triggers : Triggers or None
        Codes for an EEG amplifier or the like; none by default.
    timing : Timing
        A patch of light and a click for measuring the timing; none by default.
    stop : Stop or None
        The participant's own stop key; ``null`` for none.
    counterbalance : tuple of Counterbalance
        Blocks that change places from participant to participant.
    blocks : tuple of Block
        The course of the session.
    """

    name: Label
    title: Text
    version: Text = "1"
    description: str = ""
    screen: Screen
    stimulus_height: Annotated[float, Field(gt=0, le=1)] = 0.8
    stimuli: Text = "bundled"
    ratings: dict[str, Rating] = Field(default_factory=sam_ratings)
    alignment: Alignment = Alignment()
    triggers: Triggers | None = None
    timing: Timing = Timing()
    stop: Stop | None = Stop()
    counterbalance: tuple[Counterbalance, ...] = ()
    blocks: Annotated[tuple[Block, ...], AfterValidator(not_empty)]

    _source: YamlSource | None = PrivateAttr(default=None)
    _path: Path | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Remember where the values came from."""
        if isinstance(context, dict):
            self._source, self._path = context["source"], context["path"]

    @model_validator(mode="after")
    def _names_fit(self) -> Protocol:
        names = [block.name for block in self.blocks]
        for name in names:
            if names.count(name) > 1:
                raise PydanticCustomError(
                    "repeated_block",
                    "two blocks are named '{name}'; name them apart",
                    {"name": name},
                )
        return self

    @classmethod
    def from_source(cls, source: YamlSource, path: Path | None = None) -> Protocol:
        """Validate a YAML document; see `parse_protocol`."""
        try:
            protocol = cls.model_validate(source.data, context={"source": source, "path": path})
        except ValidationError as error:
            raise DuchenneError(located_message(error, source)) from None
        for step, at in protocol.trials_steps():
            _check_step(protocol, step, at)
        for item, at in protocol.items():
            if isinstance(item, RatingStep):
                _check_ratings(protocol, item.ratings, at)
        _check_counterbalance(protocol)
        return protocol

    @property
    def source_yaml(self) -> str:
        """The text of the file as read; made from the values if there was no file."""
        if self._source is not None:
            return self._source.text
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @property
    def source_path(self) -> Path | None:
        """The file that was read, if any."""
        return self._path

    @property
    def hash(self) -> str:
        """SHA-256 of `source_yaml`, hexadecimal."""
        return hashlib.sha256(self.source_yaml.encode()).hexdigest()

    def where(self, *location: int | str) -> str:
        """Return ``file:line`` of a place in the file, for messages."""
        if self._source is None:
            return f"protocol {self.name}"
        return f"{self._source.name}:{self._source.line(location)}"

    def items(self) -> Iterator[tuple[Item, tuple[int | str, ...]]]:
        """Yield each step of the blocks with its location in the file."""
        for b, block in enumerate(self.blocks):
            for s, step in enumerate(block.steps):
                yield step, ("blocks", b, "steps", s)

    def trials_steps(self) -> Iterator[tuple[Trials, tuple[int | str, ...]]]:
        """Yield each run of trials with its location in the file."""
        for step, at in self.items():
            if isinstance(step, Trials):
                yield step, at

    def stimulus_set(self, *, verify: bool = False) -> StimulusSet:
        """Load the stimuli and make sure that those this protocol names are there.

        Parameters
        ----------
        verify : bool, default False
            Also open every file this protocol uses: decode it and compare its SHA-256.

        Raises
        ------
        DuchenneError
            The manifest cannot be read, an id or category is not in it, a selection is empty, or a
            file is missing or, with `verify`, unreadable or changed.
        """
        stimuli = self._load_stimuli()
        used = {s.id: s for step, at in self.trials_steps() for s in pool(self, stimuli, step, at)}
        for stimulus in used.values():
            if not stimulus.path.is_file():
                raise DuchenneError(
                    f"{stimulus.path}: the file of stimulus {stimulus.id!r} is missing; restore it "
                    f"or take it out of {self.where('stimuli')}"
                )
        problems = stimuli.check(used) if verify else []
        if problems:
            more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
            raise DuchenneError(f"{problems[0]}{more}")
        return stimuli

    def _load_stimuli(self) -> StimulusSet:
        if self.stimuli == "bundled":
            return StimulusSet.bundled()
        folder = self._path.parent if self._path is not None else Path()
        try:
            return StimulusSet.load(folder / self.stimuli)
        except DuchenneError as error:
            raise DuchenneError(f"{self.where('stimuli')}: {error}") from None


def library() -> dict[str, Path]:
    """Return the protocols that ship with the package: name → file."""
    return {path.stem: path for path in sorted(LIBRARY.glob("*.yaml"))}


def load_protocol(name_or_path: str | Path) -> Protocol:
    """Read a protocol by its library name or from a file.

    Parameters
    ----------
    name_or_path : str or Path
        A name shown by ``duchenne protocol list``, or the path of a YAML file.

    Raises
    ------
    DuchenneError
        There is no such protocol, or its file is not valid; one line with the file and the line.
    """
    path = Path(name_or_path)
    if not path.is_file():
        path = library_path(str(name_or_path))
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DuchenneError(f"{path}:{line}: not UTF-8 text; save the protocol as UTF-8") from None
    return parse_protocol(text, name=str(path), path=path.resolve())


def parse_protocol(text: str, *, name: str = "protocol", path: Path | None = None) -> Protocol:
    """Read a protocol from its text, such as the one stored in a session file.

    Parameters
    ----------
    text : str
        The YAML document.
    name : str
        What messages call it.
    path : Path, optional
        Its file, from which relative stimulus paths start.

    Raises
    ------
    DuchenneError
        The text is not a valid protocol.
    """
    source = YamlSource.parse(text, name)
    if not isinstance(source.data, dict):
        raise DuchenneError(f"{name}:1: a protocol is a mapping with keys such as name and blocks")
    return Protocol.from_source(source, path)


def _check_ratings(protocol: Protocol, names: Sequence[str], at: Sequence[int | str]) -> None:
    for i, rating in enumerate(names):
        if rating not in protocol.ratings:
            hint = did_you_mean(rating, protocol.ratings)
            raise DuchenneError(f"{protocol.where(*at, 'ratings', i)}: no rating {rating!r}{hint}")


def _check_step(protocol: Protocol, step: Trials, at: Sequence[int | str]) -> None:
    _check_ratings(protocol, step.ratings, at)
    for key in ("max_repeats_of_category", "balance_transitions"):
        if getattr(step, key) and step.order != "random":
            raise DuchenneError(
                f"{protocol.where(*at, key)}: a {step.order} order cannot be constrained; remove {key} or "
                "write order: random"
            )


def _check_counterbalance(protocol: Protocol) -> None:
    names = [block.name for block in protocol.blocks]
    seen: set[str] = set()
    for i, group in enumerate(protocol.counterbalance):
        for j, name in enumerate(group.blocks):
            where = protocol.where("counterbalance", i, "blocks", j)
            if name not in names:
                raise DuchenneError(f"{where}: no block {name!r}{did_you_mean(name, names)}")
            if name in seen:
                raise DuchenneError(
                    f"{where}: block {name!r} is named before; a block has one place"
                )
            seen.add(name)
        if group.method == "full" and len(group.blocks) > MAX_FULL:
            raise DuchenneError(
                f"{protocol.where('counterbalance', i)}: {len(group.blocks)} blocks have too many orders; "
                "write method: latin_square"
            )


def library_path(name: str) -> Path:
    """Return the file of a protocol of the library.

    Raises
    ------
    DuchenneError
        There is none of this name.
    """
    known = library()
    if name in known:
        return known[name]
    if Path(name).suffix in (".yaml", ".yml") or "/" in name:
        raise DuchenneError(
            f"no protocol file {name}; give a path or a name of `duchenne protocol list`"
        )
    raise DuchenneError(
        f"no protocol {name!r} in the library{did_you_mean(name, known)} "
        "(or give the path of a YAML file)"
    )
