"""What all parts of a protocol file are made of: strict models, and the types of their values."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from duchenne.protocols.labels import LABEL_PATTERN
from duchenne.stimuli.suggest import did_you_mean

T = TypeVar("T")


def not_empty(items: tuple[T, ...]) -> tuple[T, ...]:
    """Refuse an empty list; unlike a length constraint, say nothing when an item is at fault."""
    if not items:
        raise PydanticCustomError("empty", "the list is empty; name at least one")
    return items


MAX_DURATION_S = 4 * 3600.0
"""No single screen or film of an experiment lasts longer; more is a slip of the pen."""

Seconds = Annotated[float, Field(gt=0, le=MAX_DURATION_S, allow_inf_nan=False)]
SecondsOrNone = Annotated[float, Field(ge=0, le=MAX_DURATION_S, allow_inf_nan=False)]
Grey = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Length = Annotated[float, Field(gt=0, le=2000, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, max_length=5000)]
Label = Annotated[str, Field(pattern=f"^{LABEL_PATTERN}$", max_length=64)]


class Strict(BaseModel):
    """Base of all parts: unknown keys are refused, with the nearest known one suggested."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys_only(cls, data: Any) -> Any:
        data = cls._expanded(data)
        if isinstance(data, dict):
            for key in data:
                if isinstance(key, bool):
                    raise PydanticCustomError(
                        "truth_key",
                        "a key such as yes, no, on or off is a truth value in YAML; put it in "
                        "quotation marks",
                    )
                if key not in cls.model_fields:
                    hint = did_you_mean(str(key), cls.model_fields)
                    raise PydanticCustomError(
                        "unknown_key", "unknown key '{key}'{hint}", {"key": str(key), "hint": hint}
                    )
        return data

    @classmethod
    def _expanded(cls, data: Any) -> Any:
        """Return the long form of a value that may be written short."""
        return data
