"""The part of ``docs/reference/protocol-file.md`` that is made from the JSON Schema of the protocol file.

``python -m duchenne.protocols.reference docs/reference/protocol-file.md`` writes it anew between its marks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duchenne.protocols.json_schema import protocol_json_schema
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BEGIN = "<!-- made by python -m duchenne.protocols.reference: do not edit this part -->"
END = "<!-- end of the generated part -->"
NULL = {"type": "null"}
HEAD = ("| Key | Default | Value | Meaning |", "|---|---|---|---|")
DECLARED = ("Screen", "Timing", "Triggers", "Stop", "Counterbalance", "Alignment")
PARTS = {
    "Interval": "seconds, or `{min, max}`",
    "Select": "[select](#select)",
    "Match": "[match](#match)",
    "Range": "`{min, max}`",
    "BreaksBetween": "[breaks](#breaks)",
    "GazeStart": "[gaze_start](#gaze_start)",
    "Pose": "a name, or [a pose](#a-pose)",
    "Limits": "[limits](#alignment)",
    "Block": "[block](#blocks)",
    "Rating": "[rating](#ratings)",
    "Step": "[step](#steps)",
} | {name: f"[{name.lower()}](#{name.lower()})" for name in DECLARED}
SMALL_PARTS = {
    "Select": "`select`",
    "Match": "`match`",
    "Range": "A range in `measures`",
    "BreaksBetween": "`breaks`",
    "GazeStart": "`gaze_start`",
}


def reference_markdown() -> str:
    """Return the tables of all keys, in Markdown."""
    schema = protocol_json_schema()
    defs = schema["$defs"]
    steps = _names(defs["Block"]["properties"]["steps"]["items"])
    ratings = _names(schema["properties"]["ratings"]["additionalProperties"])
    lines = [
        "## Top level",
        *_table(schema),
        *(line for name in DECLARED for line in _section(f"### `{name.lower()}`", defs[name])),
        *_section("### Blocks", defs["Block"]),
        *("", "## Steps", "", "A step says its `type`:"),
        *(line for name in steps for line in _section(f"### `{_type(defs[name])}`", defs[name])),
        *("", "## Parts of steps"),
        *(
            line
            for name, title in SMALL_PARTS.items()
            for line in _section(f"### {title}", defs[name])
        ),
        *_section("### A pose", defs["Pose"]["anyOf"][1]),
        *("", "## Ratings", "", "A rating says its `type`; without one it is `sam`:"),
        *(line for name in ratings for line in _section(f"### `{_type(defs[name])}`", defs[name])),
    ]
    return "\n".join(lines) + "\n"


def with_reference(page: str) -> str:
    """Return a page whose generated part is up to date.

    Raises
    ------
    DuchenneError
        The page lacks the marks between which it stands.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DuchenneError(f"the page lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{reference_markdown()}{END}{after}"


def _names(union: Mapping[str, Any]) -> list[str]:
    """Return the names of the definitions that a union chooses from."""
    return [_target(option) for option in union["oneOf"]]


def _target(value: Mapping[str, Any]) -> str:
    return str(value.get("$ref", "")).rpartition("/")[2]


def _type(definition: Mapping[str, Any]) -> str:
    return str(definition["properties"]["type"]["const"])


def _section(title: str, definition: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", title, "", str(definition["description"]))
    yield from _table(definition)


def _table(definition: Mapping[str, Any]) -> Iterator[str]:
    keys = {k: v for k, v in definition["properties"].items() if k != "type"}
    if keys:
        yield from ("", *HEAD)
    for name, key in keys.items():
        default = "needed" if name in definition.get("required", ()) else _default(key)
        words = key["description"].replace("|", "\\|")
        yield f"| `{name}` | {default} | {value_of(key)} | {words} |"


def _default(key: Mapping[str, Any]) -> str:
    """Return the default of a key, in words where it is long."""
    value = key.get("default")
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, dict):
        if _target(key) == "Interval" and value["min"] == value["max"]:
            return _code(value["min"])
        return ", ".join(map(_code, value)) if key.get("type") == "object" else "see there"
    if isinstance(value, list):
        return ", ".join(_code(item["name"] if isinstance(item, dict) else item) for item in value)
    return _code(value)


def _code(value: Any) -> str:
    if isinstance(value, str):
        return f"`{' '.join(value.split())}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{json.dumps(value)}`"


def value_of(key: Mapping[str, Any]) -> str:
    """Return what a key may hold, in a few words.

    Examples
    --------
    >>> value_of({"type": "number", "exclusiveMinimum": 0, "maximum": 45})
    'number above 0, up to 45'
    >>> value_of({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]})
    '`a`, `b` or `null`'
    """
    if "$ref" in key:
        return PARTS[_target(key)]
    if "oneOf" in key:
        return _union(key["oneOf"])
    if "anyOf" in key:
        return _alternatives(key["anyOf"])
    if "enum" in key:
        return _either([_code(choice) for choice in key["enum"]])
    if "const" in key:
        return _code(key["const"])
    kinds = {"array": _array, "object": _mapping, "boolean": _switch, "string": _text}
    kind = key.get("type")
    return kinds.get(kind if isinstance(kind, str) else "string", _number)(key)


def _union(options: Sequence[Mapping[str, Any]]) -> str:
    if "$ref" not in options[0]:
        return "a rating without `question`"
    return PARTS["Rating" if _target(options[0]).endswith("Rating") else "Step"]


def _alternatives(options: Sequence[Mapping[str, Any]]) -> str:
    """Return alternatives in words; one list, where all of them are fixed words."""
    if all("enum" in option or option == NULL for option in options):
        choices = [_code(choice) for option in options for choice in option.get("enum", [None])]
        return _either(choices)
    return ", or ".join(_code(None) if option == NULL else value_of(option) for option in options)


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _array(key: Mapping[str, Any]) -> str:
    if "prefixItems" in key:
        return f"list of {len(key['prefixItems'])}: {value_of(key['prefixItems'][0])}"
    return f"list of {value_of(key['items'])}"


def _mapping(key: Mapping[str, Any]) -> str:
    options = [*key.get("patternProperties", {}).values(), key.get("additionalProperties")]
    found = next((option for option in options if isinstance(option, dict)), None)
    return f"name: {value_of(found)}" if found else "mapping"


def _switch(_key: Mapping[str, Any]) -> str:
    return "`true` or `false`"


def _number(key: Mapping[str, Any]) -> str:
    words = "whole number" if key["type"] == "integer" else "number"
    if "minimum" in key:
        words += f" from {_plain(key['minimum'])}"
    if "exclusiveMinimum" in key:
        words += f" above {_plain(key['exclusiveMinimum'])}"
    if "maximum" in key:
        words += (
            f" to {_plain(key['maximum'])}"
            if "minimum" in key
            else f", up to {_plain(key['maximum'])}"
        )
    return words


def _plain(number: float) -> str:
    return f"{number:,.15g}".replace(",", " ") if abs(number) >= 1e5 else f"{number:g}"


def _text(key: Mapping[str, Any]) -> str:
    patterns = {"^[A-Za-z0-9]+$": "letters and digits", "^[a-z]$": "a letter"}
    return patterns.get(key.get("pattern", ""), "text")


def _main(arguments: Sequence[str]) -> int:
    path = Path(arguments[0])
    path.write_text(with_reference(path.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"Wrote {path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))
