"""Steps that ask the participant: ratings on their own, forms, consent, and the last screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, TypeAdapter, field_validator, model_validator
from pydantic_core import PydanticCustomError

from duchenne.protocols.answers import SCOPES
from duchenne.protocols.parts_base import Seconds, Strict, Text, not_empty
from duchenne.protocols.parts_ratings import Rating, Short
from duchenne.stimuli.suggest import did_you_mean

FORMS = Path(__file__).parent / "library" / "forms"
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]
ScopeText = Annotated[str, Field(min_length=1, max_length=600)]
RATING: TypeAdapter[Rating] = TypeAdapter(Rating)

STORED = (
    "where you look and the size of your pupils",
    "a video of your face",
    "your answers and when you gave them",
)


class RatingStep(Strict):
    """Ratings that belong to no stimulus.

    Attributes
    ----------
    ratings : tuple of str
        Names of ratings of the protocol, asked in this order.
    """

    type: Literal["rating"]
    ratings: Annotated[tuple[str, ...], Field(min_length=1)]


class Form(Strict):
    """Questions whose answers are kept with the participant: an intake form, a questionnaire.

    Attributes
    ----------
    preset : str or None
        ``intake`` or ``panas``; what else is given here goes before what the preset says.
    name : str
        What the answers are stored under; the preset's name by default.
    instruction : str or None
        A line above every question.
    fields : dict of str to Rating
        The questions, by the names of their answers; asked in this order, one after the other.
    items : dict of str to str
        Questions that share one scale, asked before the fields.
    scale : dict or None
        The scale of the items, written as a rating without its question.
    scores : dict of str to tuple of str
        Sums of numeric answers; missing where one of them is.
    """

    type: Literal["form"]
    preset: str | None = None
    name: FieldName
    instruction: Text | None = None
    fields: dict[FieldName, Rating] = Field(default_factory=dict)
    items: dict[FieldName, Short] = Field(default_factory=dict)
    scale: dict[str, Any] | None = None
    scores: dict[FieldName, tuple[FieldName, ...]] = Field(default_factory=dict)

    @classmethod
    def _expanded(cls, data: Any) -> Any:
        """Fill in what a preset says."""
        if not isinstance(data, dict) or not isinstance(data.get("preset"), str):
            return data
        return _preset(data["preset"]) | data

    @model_validator(mode="after")
    def _complete(self) -> Form:
        if not self.fields and not self.items:
            raise PydanticCustomError("empty_form", "the form asks nothing: give fields or items")
        if self.items and self.scale is None:
            raise PydanticCustomError("no_scale", "items share one scale: give scale")
        questions = self.questions()
        for score, members in self.scores.items():
            not_empty(members)
            for member in members:
                if member not in questions:
                    raise PydanticCustomError(
                        "unknown_field",
                        "the score {score} sums '{member}', which is not asked{hint}",
                        {
                            "score": score,
                            "member": member,
                            "hint": did_you_mean(member, questions),
                        },
                    )
        return self

    def questions(self) -> dict[str, Rating]:
        """Return all questions in order, by the names of their answers."""
        scale = self.scale or {}
        asked: dict[str, Rating] = {
            name: RATING.validate_python({**scale, "question": item})
            for name, item in self.items.items()
        }
        return asked | self.fields


class Consent(Strict):
    """Asks for consent; a participant who declines ends the session.

    Attributes
    ----------
    text : str
        What the participant agrees to; long texts go on over further pages.
    statements : tuple of str
        Listed below, such as ``I take part of my own will``.
    stored_heading : str
        Stands above `stored`.
    stored : tuple of str
        What is stored, listed on the screen.
    agree, decline : str
        Words on the two buttons.
    agree_key, decline_key : str
        Letters that press them.
    scopes : dict of str to str
        What is asked for one by one once the participant agrees, in words; each has a screen of its own,
        and declining one does not end the session: ``share_derived``, ``share_signals``,
        ``share_stills``, ``share_video`` (may be passed on or shown: measures, samples, pictures, the
        film), ``analysis``, ``analysis_gaze``, ``analysis_face``, ``analysis_voice`` (may be analysed).
        What was never asked is analysed, and no picture and no film of the face leaves the study.
    scope_yes, scope_no : str
        Words on the buttons of the scopes.
    after_debriefing : bool
        Asks after the debriefing whether the data may be used: whoever declines has withdrawn, and the
        presentations of the session are excluded from the summary.
    """

    type: Literal["consent"]
    text: Text
    statements: tuple[Text, ...] = ()
    stored_heading: Text = "What is stored:"
    stored: tuple[Text, ...] = STORED
    agree: Short = "I agree"
    decline: Short = "I do not agree"
    agree_key: Annotated[str, Field(pattern="^[a-z]$")] = "y"
    decline_key: Annotated[str, Field(pattern="^[a-z]$")] = "n"
    scopes: dict[str, ScopeText] = Field(default_factory=dict)
    scope_yes: Short = "Yes"
    scope_no: Short = "No"
    after_debriefing: bool = False

    @field_validator("scopes")
    @classmethod
    def _known_scopes(cls, scopes: dict[str, str]) -> dict[str, str]:
        for name in scopes:
            if name not in SCOPES:
                raise PydanticCustomError(
                    "unknown_scope",
                    "no scope '{name}'{hint}; there are {known}",
                    {
                        "name": name,
                        "hint": did_you_mean(name, SCOPES),
                        "known": ", ".join(SCOPES),
                    },
                )
        return scopes

    @model_validator(mode="after")
    def _keys_differ(self) -> Consent:
        if self.agree_key == self.decline_key:
            raise PydanticCustomError("same_key", "agree_key and decline_key are the same")
        return self


class End(Strict):
    """The last screen.

    Attributes
    ----------
    text : str
        What is shown.
    duration_s : float or None
        Ends by itself after so many seconds; None waits for a key.
    skip_with_key : bool
        The key may end it earlier than `duration_s`.
    """

    type: Literal["end"]
    text: Text = "This is the end. Thank you for taking part."
    duration_s: Seconds | None = None
    skip_with_key: bool = True


class Stop(Strict):
    """The participant's own stop key: asks whether to end the session, and what becomes of the data.

    Attributes
    ----------
    key : str
        A function key.
    question : str
        Words at the top of the screen.
    stop, delete, go_on : str
        Words of the three answers.
    """

    key: Literal["f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12"] = "f10"
    question: Text = "Do you want to stop?"
    stop: Short = "Stop. What was recorded so far is kept."
    delete: Short = "Stop, and delete what was recorded."
    go_on: Short = "Go on."


def _preset(name: str) -> dict[str, Any]:
    known = [path.stem for path in sorted(FORMS.glob("*.yaml"))]
    if name not in known:
        raise PydanticCustomError(
            "unknown_preset",
            "no preset '{name}'{hint}",
            {"name": name, "hint": did_you_mean(name, known)},
        )
    content = yaml.safe_load((FORMS / f"{name}.yaml").read_text(encoding="utf-8"))
    content.pop("about", None)
    return {"name": name, **content}
