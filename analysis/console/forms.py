"""What pages may ask for: every request is one of these models, and nothing else gets in."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from duchenne.protocols.labels import LABEL_PATTERN, MAX_LABEL_LENGTH
from duchenne.recorder.control import clean_text

STEM_PATTERN = (
    r"^sub-[A-Za-z0-9]{1,64}_ses-[A-Za-z0-9]{1,64}_task-[A-Za-z0-9]{1,64}_run-[A-Za-z0-9]{1,64}$"
)
RUN_ID_PATTERN = r"^[0-9a-f]{12}$"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def _one_line(text: str) -> str:
    cleaned = clean_text(text)
    if not cleaned:
        raise ValueError("it is empty")
    return cleaned


def _option_value(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("it holds characters that cannot be typed")
    if ".." in text.replace("\\", "/").split("/"):
        raise ValueError("it leaves its folder")
    return text


Label = Annotated[str, StringConstraints(pattern=f"^{LABEL_PATTERN}$", max_length=MAX_LABEL_LENGTH)]
Stem = Annotated[str, StringConstraints(pattern=STEM_PATTERN)]
RunId = Annotated[str, StringConstraints(pattern=RUN_ID_PATTERN)]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
OptionKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
OptionValue = Annotated[str, StringConstraints(max_length=200), AfterValidator(_option_value)]
Options = Annotated[dict[OptionKey, OptionValue], Field(max_length=40)]
Reason = Annotated[str, StringConstraints(min_length=3, max_length=200), AfterValidator(_one_line)]


class Form(BaseModel):
    """A request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Empty(Form):
    """A request that says nothing more."""


class SourceChoice(Form):
    """A further source of a session."""

    name: Name
    options: Options = Field(default_factory=dict)


class SetupForm(Form):
    """What the set-up page chooses."""

    protocol: Name
    participant: Label
    session: Label = "01"
    run: Label | None = None
    eyetracker: Name = "lsl"
    eyetracker_options: Options = Field(default_factory=dict)
    camera: Name = "0"
    camera_options: Options = Field(default_factory=dict)
    sources: list[SourceChoice] = Field(default_factory=list, max_length=20)
    seed: int | None = Field(None, ge=0, le=2**53)
    headless: bool = False
    pilot: bool = False
    blind: bool = False
    resume: bool = False
    replaces: Label | None = None


class StartForm(SetupForm):
    """What starts a session."""

    override_reason: (
        Annotated[str, StringConstraints(min_length=5, max_length=300), AfterValidator(_one_line)]
        | None
    ) = None


class CommandForm(Form):
    """A command for the running session."""

    run_id: RunId
    command: Literal["pause", "resume", "skip", "recalibrate", "abort"]
    reason: Annotated[str, StringConstraints(max_length=200)] = ""


class NoteForm(Form):
    """A note of the operator."""

    run_id: RunId
    text: Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_one_line)]


class AlarmForm(Form):
    """Alarms that somebody has seen."""

    ids: (
        Annotated[
            list[Annotated[str, StringConstraints(pattern=r"^a[0-9]{1,9}$")]], Field(max_length=200)
        ]
        | Literal["all"]
    )


class AnswerForm(Form):
    """The holder's answer to whoever asks for the controls."""

    accept: bool


class NameForm(Form):
    """What an operator wants to be called."""

    name: Annotated[str, StringConstraints(pattern=r"^[^\W_](?:[^\W_]| ){0,29}$")]


class JobForm(Form):
    """Work on recorded sessions."""

    kind: Literal["analyze", "report", "export", "recover"]
    stem: Stem | None = None
    format: Literal["bids", "csv", "parquet", "duckdb"] | None = None


class CancelForm(Form):
    """A job to end."""

    job_id: Annotated[str, StringConstraints(pattern=r"^j[0-9]{1,9}$")]


class CheckQuery(Form):
    """Labels to check."""

    model_config = ConfigDict(
        extra="forbid", strict=False, frozen=True
    )  # a query holds texts alone

    participant: Label
    session: Label = "01"
    protocol: Name
    pilot: bool = False


def first_problem(errors: list[Any]) -> tuple[str, str]:
    """Return a sentence and the dotted field of the first of pydantic's errors."""
    first = errors[0]
    field = ".".join(str(part) for part in first["loc"]) or "request"
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch":
        message = (
            "letters and digits only"
            if "label" in field or "part" in field
            else "not possible here"
        )
    return f"{field}: {message}", field
