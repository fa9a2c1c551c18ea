"""The JSON Schema of the protocol file, for editors that complete and check while one types.

It is made from the models that read the file, and says what each key means in the words of their
docstrings. What only the whole file can tell (whether a rating that is named exists, whether an order can
meet its constraints) is left to ``duchenne protocol check``.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

from duchenne.protocols.docstrings import attributes_of, summary_of
from duchenne.protocols.parts_base import MAX_DURATION_S, Strict, not_empty
from duchenne.protocols.parts_forms import FORMS
from duchenne.protocols.parts_gaze import POSES
from duchenne.protocols.schema import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import core_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def protocol_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the protocol file.

    Returns
    -------
    dict
        Every key has a ``description``. Unknown keys are refused, as by `load_protocol`.
    """
    schema = Protocol.model_json_schema(schema_generator=_Generator)
    defs: dict[str, Any] = schema["$defs"]
    own = __name__.rpartition(".")[0]
    classes = {
        cls.__name__: cls for cls in _subclasses(Strict) if cls.__module__.startswith(own)
    }  # other parts of the program have strict models too, some of the same name
    _describe(schema, Protocol)
    ratings = Protocol.model_fields["ratings"].get_default(call_default_factory=True)
    schema["properties"]["ratings"]["default"] = {
        name: rating.model_dump(mode="json") for name, rating in ratings.items()
    }
    for name, definition in defs.items():
        _describe(definition, classes[name])
    _short_forms(defs)
    _forms(defs)
    return {"$schema": DIALECT, "title": "Duchenne protocol", **schema}


def json_schema_text() -> str:
    """Return the JSON Schema as it is written to a file."""
    return json.dumps(protocol_json_schema(), indent=1, ensure_ascii=False) + "\n"


class _Generator(GenerateJsonSchema):
    """What pydantic says, and what it cannot know of: our own validators."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 -- given by pydantic
        """Titles would repeat the names of the keys."""
        return False

    def str_schema(self, schema: core_schema.StringSchema) -> dict[str, Any]:
        """Take numbers for text, as the models do: ids such as ``1022`` need no quotation marks."""
        found = super().str_schema(schema)
        return {**found, "type": ["string", "number"]}

    def function_after_schema(
        self, schema: core_schema.AfterValidatorFunctionSchema
    ) -> dict[str, Any]:
        """Say that a list must not be empty where `not_empty` looks after that."""
        found = super().function_after_schema(schema)
        function: Any = schema["function"]["function"]
        return {**found, "minItems": 1} if function is not_empty else found


def _subclasses(cls: type[Strict]) -> Iterator[type[Strict]]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)


def _describe(definition: dict[str, Any], cls: type[Strict]) -> None:
    """Write what the docstring of a model says to the model and to each of its keys."""
    definition.pop("title", None)
    definition["description"] = summary_of(cls)
    words = attributes_of(cls)
    for name, key in definition["properties"].items():
        key.setdefault("description", _words_of(name, key, cls, words))


def _words_of(name: str, key: dict[str, Any], cls: type[Strict], words: dict[str, str]) -> str:
    if name == "type" and "const" in key:
        return summary_of(cls)
    return words[name]


def _short_forms(defs: dict[str, Any]) -> None:
    """Offer what may be written short: a number for an interval, a name for a known pose."""
    short = {
        "Interval": {
            "type": "number",
            "minimum": 0,
            "maximum": MAX_DURATION_S,
            "description": "Seconds, the same each time.",
        },
        "Pose": {"enum": list(POSES), "description": "A known pose by its name."},
    }
    for name, alternative in short.items():
        long = defs[name]
        defs[name] = {"description": long["description"], "anyOf": [alternative, long]}


def _forms(defs: dict[str, Any]) -> None:
    """Say what is particular to forms: presets, which bring a name along, and the common scale."""
    form = defs["Form"]
    form["required"] = ["type"]
    form["anyOf"] = [{"required": ["preset"]}, {"required": ["name"]}]
    presets = sorted(path.stem for path in FORMS.glob("*.yaml"))
    form["properties"]["preset"]["anyOf"] = [{"enum": presets}, {"type": "null"}]
    scales = [_without_question(name, defs) for name in defs if name.endswith("Rating")]
    form["properties"]["scale"]["anyOf"] = [{"oneOf": scales}, {"type": "null"}]
    for key in ("fields", "items", "scores"):
        form["properties"][key]["additionalProperties"] = False


def _without_question(name: str, defs: dict[str, Any]) -> dict[str, Any]:
    """Return a rating whose question is said elsewhere."""
    scale: dict[str, Any] = copy.deepcopy(defs[name])
    scale["required"] = [key for key in scale["required"] if key != "question"]
    return scale
