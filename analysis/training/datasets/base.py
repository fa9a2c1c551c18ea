"""What every reader of a data set gives, and where readers are found by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeAlias

from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from duchenne.analysis.face.frames import Image

Kind = Literal["intensity", "occurrence", "expression", "affect", "mixed", "none"]

EXPRESSIONS = (
    "neutral",
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
)
"""Classes of the label ``expression`` by number, in the order of AffectNet; all readers translate to it."""
_SYNONYMS = {
    "happy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
    "fearful": "fear",
    "disgusted": "disgust",
    "angry": "anger",
    "contemptuous": "contempt",
}

_MODULES = (
    "disfa",
    "disfa_plus",
    "bp4d",
    "fera",
    "unbc",
    "ck_plus",
    "emotionet",
    "micro",
    "folder",
    "fer2013",
    "affectnet",
    "affectnet_hq",
    "aff_wild2",
    "afew_va",
    "continuous",
    "omg_emotion",
    "raf_db",
    "mead",
    "celebv_hq",
    "identities",
)


@dataclass(frozen=True)
class Picture:
    """One labelled picture, not yet opened.

    Parameters
    ----------
    path : Path
        A picture or a film.
    labels : mapping of str to float
        ``AU01`` … (0 to 5, or 0 and 1), ``expression`` (number in `EXPRESSIONS`), ``valence``, ``arousal``,
        ``dominance`` (-1 to 1); what is not known is not there.
    subject : str
        Who it is; where the data set does not say, the picture's own name.
    condition : str
        What else is known: task, view, part (training, validation), moment.
    frame : int or None
        Number in its film or sequence, from 0; None for a picture that belongs to none.
    time_s : float or None
        Time in a film, where labels come at times; the frame shown then is taken.
    box : tuple of float or None
        Left, top, width and height, in pixels, of the face that is meant.
    load : callable or None
        Returns the picture where it is in no file of its own; ``path`` then names where it is from.
    """

    path: Path
    labels: Mapping[str, float]
    subject: str
    condition: str = ""
    frame: int | None = None
    time_s: float | None = None
    box: tuple[float, float, float, float] | None = None
    load: Callable[[], Image] | None = field(default=None, compare=False)


if TYPE_CHECKING:
    from typing import TypeVar

    _ReaderT = TypeVar("_ReaderT", bound="Reader")

Tell: TypeAlias = "Callable[[str], None]"
Reader: TypeAlias = "Callable[[Path, Tell], Iterator[Picture]]"


@dataclass(frozen=True)
class DatasetEntry:
    """One data set that can be read.

    Parameters
    ----------
    name : str
        Such as ``"disfa"``.
    read : callable
        Takes the folder (or file) of the data set and a function that is told, in a sentence, what was left
        out; yields pictures, those of one film one after the other.
    title : str
    kind : {"intensity", "occurrence", "expression", "affect", "mixed", "none"}
        What its labels are.
    layout : str
        What is read, as paths.
    known_from : str
        How the layout is known, and how surely.
    licence : str
        Under which terms the data stand.
    citation : str
    """

    name: str
    read: Reader
    title: str
    kind: Kind
    layout: str
    known_from: str
    licence: str
    citation: str


_ENTRIES: dict[str, DatasetEntry] = {}


def dataset(
    name: str,
    *,
    title: str,
    kind: Kind,
    layout: str,
    known_from: str,
    licence: str,
    citation: str,
) -> Callable[[_ReaderT], _ReaderT]:
    """Register the function below as the reader of this data set; see `DatasetEntry`."""

    def register(read: _ReaderT) -> _ReaderT:
        _ENTRIES[name] = DatasetEntry(
            name, read, title, kind, layout, known_from, licence, citation
        )
        return read

    return register


def dataset_entries() -> dict[str, DatasetEntry]:
    """Return all data sets by name."""
    for module in _MODULES:
        import_module(f"duchenne.analysis.training.datasets.{module}")
    return dict(sorted(_ENTRIES.items()))


def dataset_entry(name: str) -> DatasetEntry:
    """Return one data set.

    Raises
    ------
    UsageError
        When there is none of this name.
    """
    entries = dataset_entries()
    if name not in entries:
        raise UsageError(f"there is no data set '{name}'; there are: {', '.join(entries)}")
    return entries[name]


def pictures(entry: DatasetEntry, source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield the pictures of a data set, their labels checked.

    Raises
    ------
    DuchenneError
        When the source is not there or a part of it is missing, a label is out of its range, or no labelled
        picture is found.
    """
    if not source.exists():
        raise DuchenneError(f"there is no {source}: name the folder that holds {entry.title}.")
    found = False
    for picture in entry.read(source, tell):
        for name, value in picture.labels.items():
            check_label(name, value, picture.path)
        found = True
        yield picture
    if not found:
        raise DuchenneError(
            f"{source} holds no labelled picture of {entry.title}: expected {entry.layout}."
        )


def check_label(name: str, value: float, where: object) -> None:
    """Refuse a label that cannot be.

    Raises
    ------
    DuchenneError
        When it is out of its range.
    """
    low, high = 0.0, 5.0
    if name in {"valence", "arousal", "dominance"}:
        low, high = -1.0, 1.0
    elif name == "expression":
        high = len(EXPRESSIONS) - 1
    elif not name.startswith("AU"):
        high = float("inf")
    if not low <= value <= high or (name == "expression" and value != int(value)):
        raise DuchenneError(f"{where}: {name} is {value:g}, and may be {low:g} to {high:g}.")


def expression(name: str) -> int | None:
    """Return the number of a class by its name (``happy`` or ``happiness`` …); None for another word."""
    word = name.strip().lower()
    word = _SYNONYMS.get(word, word)
    return EXPRESSIONS.index(word) if word in EXPRESSIONS else None
