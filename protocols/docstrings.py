"""Reads what a class says about its attributes in its docstring (numpydoc)."""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"\n(?:Attributes|Parameters)\n-+\n(.*?)(?=\n\n\S[^\n]*\n-+\n|\Z)", re.DOTALL)
_ENTRY = re.compile(r"^(\w[\w, ]*?)(?: : [^\n]*)?\n((?: {4}[^\n]*(?:\n|\Z)|\n)+)", re.MULTILINE)
_WORDS = ((re.compile(r"``([^`]+)``"), r"`\1`"), (re.compile(r"\bNone\b"), "`null`"))


def summary_of(cls: type) -> str:
    """Return the first sentence or paragraph of a class's docstring, in one line.

    Examples
    --------
    >>> summary_of(int).startswith("int(")
    True
    """
    return _plain((inspect.getdoc(cls) or "").split("\n\n")[0])


def attributes_of(cls: type) -> dict[str, str]:
    """Return what a class and its bases say about their attributes, by attribute.

    Parameters
    ----------
    cls : type
        Its docstring has a section ``Attributes`` as in numpydoc; an entry may name several.

    Returns
    -------
    dict of str to str
        In one line each; ``None`` becomes ``null``, as in YAML. What a class says goes before what
        its bases say.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "")
        for section in _SECTION.findall(text):
            for names, words in _ENTRY.findall(section):
                for name in names.split(","):
                    found[name.strip()] = _plain(words)
    return found


def _plain(text: str) -> str:
    line = " ".join(text.split())
    for pattern, replacement in _WORDS:
        line = pattern.sub(replacement, line)
    return line
