"""Validation errors told in one line: file, line, place, what is wrong, what was probably meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from duchenne.protocols.yaml_source import YamlSource


def located_message(error: ValidationError, source: YamlSource) -> str:
    """Return one line about the first of the errors, in the order of the file.

    Parameters
    ----------
    error : ValidationError
        What validation found.
    source : YamlSource
        The document that was validated.
    """
    found = sorted(
        (_line(details, source), number, details) for number, details in enumerate(error.errors())
    )
    line, _, details = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{source.name}:{line}: {_message(details, source)}{more}"


def _line(details: ErrorDetails, source: YamlSource) -> int:
    location = details["loc"]
    if details["type"] == "unknown_key":
        location = (*location, details["ctx"]["key"])
    elif details["type"].startswith("union_tag") and source.path((*location, "type")):
        location = (*location, "type")
    return source.line(location)


def _message(details: ErrorDetails, source: YamlSource) -> str:
    kind, text, context = details["type"], details["msg"], details.get("ctx", {})
    where = source.path(details["loc"], missing=kind == "missing")
    if kind == "unknown_key":
        return f"{where}: {text}" if where else text
    if kind == "missing":
        parent, _, key = where.rpartition(".")
        return f"{parent + ': ' if parent else ''}the key {key!r} is missing"
    if kind == "union_tag_not_found":
        return f"{where}: the key 'type' is missing; it says what kind of step this is"
    if kind == "union_tag_invalid":
        tags = re.findall(r"'([^']*)'", context["expected_tags"])
        return f"{where}.type: unknown type {context['tag']!r}{did_you_mean(context['tag'], tags)}"
    given = details["input"]
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context["expected"])
        hint = did_you_mean(str(given), known) if known else f"; write {context['expected']}"
        return f"{where}: unknown value {given!r}{hint}"
    found = f", found {given!r}" if isinstance(given, (str, int, float, bool)) else ""
    text = text[0].lower() + text[1:].replace("Input", "input")
    text = text.removeprefix("input ") if text.startswith("input should") else text
    return f"{where}: {text}{found}".lstrip(": ")
