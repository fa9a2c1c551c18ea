"""YAML text that remembers on which line each value stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class YamlSource:
    """A YAML document with the place of each of its values.

    Attributes
    ----------
    text : str
        The document as read.
    name : str
        File name for messages.
    data : Any
        The plain values.
    root : yaml.Node
        The same document as nodes with marks.
    """

    text: str
    name: str
    data: Any
    root: yaml.Node

    @classmethod
    def parse(cls, text: str, name: str) -> YamlSource:
        """Read a YAML document.

        Parameters
        ----------
        text : str
            The document.
        name : str
            File name for messages.

        Raises
        ------
        DuchenneError
            The text is no YAML, empty, or gives one key twice.
        """
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise DuchenneError(
                f"{name}{_mark_line(error)}: not valid YAML: {_reason(error)}"
            ) from None
        if root is None:
            raise DuchenneError(
                f"{name}: the file is empty; see `duchenne protocol list` for examples"
            )
        _refuse_repeated_keys(root, name, set())
        return cls(text, name, data, root)

    def line(self, location: Sequence[int | str]) -> int:
        """Return the line (from 1) of the deepest part of a location that exists.

        Parameters
        ----------
        location : sequence of int or str
            Keys and indices from the root. Parts that are not in the document (such as the tags of
            a union) are passed over.
        """
        node, line = self.root, self.root.start_mark.line
        for part in location:
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(part):
                        node, line = value, key.start_mark.line
                        break
            elif isinstance(node, yaml.SequenceNode) and part in range(len(node.value)):
                node = node.value[int(part)]
                line = node.start_mark.line
        return line + 1

    def path(self, location: Sequence[int | str], *, missing: bool = False) -> str:
        """Return a location as ``blocks[0].steps[1].duration_s``.

        Parameters
        ----------
        location : sequence of int or str
            Keys and indices from the root; parts that are not in the document are left out.
        missing : bool, default False
            Keep the last part even so: it is the key that is missing.
        """
        node: yaml.Node | None = self.root
        parts = ""
        for depth, part in enumerate(location):
            below = _child(node, part)
            if below is None and not (missing and depth == len(location) - 1):
                continue
            parts += f"[{part}]" if isinstance(part, int) else f".{part}"
            node = below
        return parts.lstrip(".")


def _child(node: yaml.Node | None, part: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        found: yaml.Node = node.value[part]
        return found
    return None


def _refuse_repeated_keys(node: yaml.Node, name: str, seen: set[int]) -> None:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated_keys(value, name, seen)
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.value in first:
                raise DuchenneError(
                    f"{name}:{line}: the key {key.value!r} was given before, in line "
                    f"{first[key.value]}; keep one of them"
                )
            if isinstance(key, yaml.ScalarNode):
                first[key.value] = line
            _refuse_repeated_keys(value, name, seen)


def _mark_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark is not None else ""


def _reason(error: yaml.YAMLError) -> str:
    text = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return " ".join(str(text).split())
