"""The JSON Schema of the protocol file says what the reader of the file says."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from duchenne.protocols.cli import app
from duchenne.protocols.docstrings import attributes_of
from duchenne.protocols.json_schema import DIALECT, protocol_json_schema
from duchenne.protocols.reference import with_reference
from duchenne.protocols.schema import library, load_protocol, parse_protocol
from duchenne.protocols.shortened import shortened
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator

jsonschema = pytest.importorskip("jsonschema")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "protocol-file.md"
SCHEMA = protocol_json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
BY_NAME = {"fields", "items", "scores", "measures", "codes", "by_type"}
"""Keys whose own keys are names that the writer of the file chooses."""

SMALL = """\
name: small
title: Small
screen: {width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
ratings:
  valence: {dimension: valence, question: How was it}
  ends: {type: likert, labels: [Low, High], question: How was it}
triggers: {port: simulated, codes: {stimulus_onset: 5}}
blocks:
  - name: main
    steps:
      - {type: form, preset: intake}
      - {type: form, name: mood, items: {glad: Glad}, scale: {type: likert, points: 5}}
      - {type: pose, poses: [smile, {name: wink, action_units: [AU46], text: Wink.}]}
      - type: trials
        select: {ids: [1022, mug], measures: {valence: {min: 0}}, per_category: 1, match: {by: [luminance]}}
        fixation_s: 0.5
        iti_s: {min: 0.5, max: 1}
        duration_s: 6
        breaks: {every: 2}
        gaze_start: {within_deg: 1}
"""


def refused_by_us(data: Any) -> bool:
    try:
        parse_protocol(yaml.safe_dump(data, allow_unicode=True))
    except DuchenneError:
        return True
    return False


def small() -> Any:
    return yaml.safe_load(SMALL)


def test_the_schema_is_valid_and_says_its_dialect() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == DIALECT
    json.dumps(SCHEMA, allow_nan=False)


@pytest.mark.parametrize("name", library())
def test_library_protocols_and_their_short_forms_are_valid(name: str) -> None:
    protocol = load_protocol(name)
    for text in (protocol.source_yaml, shortened(protocol)):
        assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == []


def test_what_may_be_written_short_is_valid() -> None:
    assert [error.message for error in VALIDATOR.iter_errors(small())] == []
    assert not refused_by_us(small())


def mappings(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the places of all mappings whose keys are ours."""
    if isinstance(value, dict):
        if not path or (path[-1] not in BY_NAME and path != ("ratings",)):
            yield path
        for key, below in value.items():
            yield from mappings(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from mappings(below, (*path, index))


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        data = data[part]
    return data


@pytest.mark.parametrize("path", list(mappings(small())), ids=lambda p: ".".join(map(str, p)))
def test_unknown_keys_are_refused_everywhere_by_both(path: tuple[Any, ...]) -> None:
    data = small()
    at(data, path)["xyzzy"] = 1
    assert not VALIDATOR.is_valid(data)
    assert refused_by_us(data)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), "not a label"),
        (("screen", "width_px"), 100),
        (("screen", "distance_cm"), "far"),
        (("stimulus_height",), 0),
        (("ratings", "valence", "dimension"), "pleasure"),
        (("ratings", "ends", "points"), 12),
        (("ratings", "ends", "type"), "lickert"),
        (("triggers", "codes", "stimulus_onset"), 256),
        (("blocks",), []),
        (("blocks", 0, "steps"), []),
        (("blocks", 0, "steps", 0, "preset"), "intakes"),
        (("blocks", 0, "steps", 1, "scale", "type"), "lickert"),
        (("blocks", 0, "steps", 2, "poses"), ["grin"]),
        (("blocks", 0, "steps", 2, "poses"), []),
        (("blocks", 0, "steps", 3, "type"), "trial"),
        (("blocks", 0, "steps", 3, "order"), "shuffled"),
        (("blocks", 0, "steps", 3, "fixation_s"), -1),
        (("blocks", 0, "steps", 3, "iti_s", "max"), 20000),
        (("blocks", 0, "steps", 3, "select", "ids"), []),
        (("blocks", 0, "steps", 3, "select", "lists"), 1),
        (("blocks", 0, "steps", 3, "breaks", "every"), 0),
    ],
    ids=str,
)
def test_wrong_values_are_refused_by_both(path: tuple[Any, ...], value: Any) -> None:
    data = small()
    at(data, path[:-1])[path[-1]] = value
    assert not VALIDATOR.is_valid(data)
    assert refused_by_us(data)


@pytest.mark.parametrize(
    "path",
    [
        ("name",),
        ("screen",),
        ("blocks",),
        ("screen", "width_cm"),
        ("ratings", "valence", "question"),
        ("blocks", 0, "steps", 0, "preset"),
        ("blocks", 0, "steps", 3, "type"),
        ("blocks", 0, "steps", 3, "breaks", "every"),
    ],
    ids=str,
)
def test_missing_keys_are_refused_by_both(path: tuple[Any, ...]) -> None:
    data = small()
    del at(data, path[:-1])[path[-1]]
    assert not VALIDATOR.is_valid(data)
    assert refused_by_us(data)


def descriptions(schema: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield each key of each mapping with its description."""
    if isinstance(schema, dict):
        for name, key in schema.get("properties", {}).items() if path[-1:] != ("default",) else ():
            if isinstance(key, dict):
                yield (*path, name), key.get("description")
        for part, below in schema.items():
            if part != "default":
                yield from descriptions(below, (*path, part))
    elif isinstance(schema, list):
        for index, below in enumerate(schema):
            yield from descriptions(below, (*path, index))


def test_every_key_is_described() -> None:
    found = list(descriptions(SCHEMA))
    assert len(found) > 150
    assert [path for path, words in found if not words or "\n" in words or "``" in words] == []


def test_joint_entries_of_a_docstring_hold_for_each_attribute() -> None:
    class Pair:
        """Two.

        Attributes
        ----------
        left, right : float
            One of two;
            None is none.

        Examples
        --------
        >>> Pair()
        """

    assert attributes_of(Pair) == {
        "left": "One of two; `null` is none.",
        "right": "One of two; `null` is none.",
    }


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["schema"])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == SCHEMA
    out = tmp_path / "protocol.schema.json"
    for _ in range(2):  # an older one is replaced
        written = CliRunner().invoke(app, ["schema", "--out", str(out)])
        assert written.stdout.splitlines()[-1] == f"Wrote {out}"
    assert json.loads(out.read_text(encoding="utf-8")) == SCHEMA


def test_the_reference_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_reference(page), (
        "run: python -m duchenne.protocols.reference docs/reference/protocol-file.md"
    )


def test_the_reference_names_every_key_and_every_kind() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for path, _ in descriptions(copy.deepcopy(SCHEMA)):
        if path[-1] != "type":
            assert f"| `{path[-1]}` |" in page
    for definition in SCHEMA["$defs"].values():
        kind = definition.get("properties", {}).get("type", {}).get("const")
        assert kind is None or f"### `{kind}`" in page


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(DuchenneError, match="lacks the lines"):
        with_reference("# A page")
