"""What must not leave a study through an export: hosts, users, folders, and what people typed."""

from __future__ import annotations

import getpass
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from duchenne.analysis.presentations import column_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from duchenne.analysis.tables import Codebook

REMOVED = "[removed]"
SHORTEST_NAME = 3
LEAST_TELLING = 8
"""A shorter word may be in the bytes of a picture or film by chance."""
_ABSOLUTE = re.compile(r"""(?:(?<![\w/:.<])/(?:[\w.@~-]+[/\\])+|\b[A-Za-z]:\\+(?:[^\\\s]+\\+)*)""")
_HOMES = re.compile(r"(?:/home|/Users|\b[A-Za-z]:\\+Users)[/\\]+[^/\\\s]+")
LABELS = {
    "participant", "session", "task", "run", "presentation_id", "stimulus_id", "block", "trial_type",
    "stream", "type", "category", "phase",
}  # fmt: skip
"""Columns of labels, which stay as they are."""
CHOSEN_TYPES = (
    "sam", "affect_grid", "slider", "likert", "emotions", "choice", "yes_no", "number",
)  # fmt: skip
"""Types of ratings and form fields whose answers are chosen, not typed."""


@dataclass(frozen=True)
class PrivateNames:
    """Names of machines, users and folders.

    Attributes
    ----------
    words : tuple of str
        Whole words that are removed from free text.
    folders : tuple of str
        Beginnings of paths that are removed from any text.
    """

    words: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @classmethod
    def of(cls, study: Path, hosts: Iterable[str]) -> PrivateNames:
        """Return the names of the machine at hand, of its user, and of the machines that recorded."""
        words = {platform.node(), *hosts, _user()}
        words |= {word.partition(".")[0] for word in words}
        folders = {str(study.resolve()), str(Path.home())}
        kept = sorted((w for w in words if len(w) >= SHORTEST_NAME), key=len, reverse=True)
        return cls(tuple(kept), tuple(sorted(folders, key=len, reverse=True)))

    def without_folders(self, text: str) -> str:
        """Return a text in which paths are reduced to their last part."""
        for folder in self.folders:
            text = re.sub(rf"{re.escape(folder)}(?![\w.-])", "/~", text)
        return _ABSOLUTE.sub("", _HOMES.sub("/~", text))

    def named_in(self, content: bytes) -> bool:
        """Whether a file names a folder of this study or user, or a host of a long name."""
        words = [word for word in self.words if len(word) >= LEAST_TELLING]
        return any(name.encode() in content for name in (*self.folders, *words))

    def clean(self, text: str) -> str:
        """Return a free text without names of hosts and users, and without folders."""
        text = self.without_folders(text)
        for word in self.words:
            text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", REMOVED, text, flags=re.IGNORECASE)
        return text

    def clean_table(self, frame: pd.DataFrame, book: Codebook) -> pd.DataFrame:
        """Return a table whose texts have been cleaned; labels lose folders alone."""
        cleaned = frame.copy(deep=False)
        for name in frame.columns:
            if frame[name].dtype != object and not pd.api.types.is_string_dtype(frame[name]):
                continue
            is_label = name in LABELS or (name in book and book[name].levels is not None)
            change = self.without_folders if is_label else self.clean
            cleaned[name] = frame[name].map(
                lambda value, change=change: change(value) if isinstance(value, str) else value
            )
        return cleaned


def chosen_names(protocol_yaml: str) -> frozenset[str]:
    """Return the names of ratings that a protocol declares to be chosen, not typed.

    One that shares its column of the summary with a typed one does not count.
    """
    protocol = _read(protocol_yaml)
    ratings = _mapping(protocol.get("ratings")) if isinstance(protocol, dict) else {}
    typed = {column_part(name) for name, entry in ratings.items() if not _is_chosen(entry)}
    return frozenset(name for name in ratings if column_part(name) not in typed)


def chosen_fields(protocol_yaml: str) -> frozenset[str]:
    """Return the answers to forms that a protocol declares to be chosen, as ``FORM.FIELD``."""
    asked = [
        (f"{form.get('name', form.get('preset'))}.{field}", question)
        for form in _forms(_read(protocol_yaml))
        for field, question in _questions(form).items()
    ]
    typed = {name for name, question in asked if not _is_chosen(question)}
    return frozenset(name for name, _ in asked) - typed


def _read(protocol_yaml: str) -> Any:
    try:
        return yaml.safe_load(protocol_yaml)
    except yaml.YAMLError:
        return None


def _forms(value: Any) -> Iterator[dict[str, Any]]:
    parts: Iterable[Any] = value if isinstance(value, list) else ()
    if isinstance(value, dict):
        parts = value.values()
        if value.get("type") == "form":
            yield value
    for part in parts:
        yield from _forms(part)


def _questions(form: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(_mapping(form.get("items")), form.get("scale")) | _mapping(
        form.get("fields")
    )


def _mapping(value: Any) -> dict[str, Any]:
    return {str(name): part for name, part in value.items()} if isinstance(value, dict) else {}


def _is_chosen(question: Any) -> bool:
    return isinstance(question, dict) and question.get("type", "sam") in CHOSEN_TYPES


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
