"""Which presentations and participants are flagged: declared in ``exclusions.yaml``, locked by its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping  # noqa: TC003 -- pydantic reads the annotations
from pathlib import Path  # noqa: TC003
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from duchenne.analysis.values import number, percent, text
from duchenne.stimuli.errors import DuchenneError

EXCLUSIONS_FILE = "exclusions.yaml"
WITHDREW = "the participant withdrew"
"""How the reason begins that no rule can switch off."""
NO_CATEGORY = "none"
"""What stands for the category of a presentation that has none."""
Share = Annotated[float, Field(ge=0, le=1)]

DEFAULT_TEXT = """\
# Which presentations and which participants are flagged (excluded, exclusion_reason). Rows are never deleted.
#
# Decide before you look at results: rules chosen afterwards make false positives
# (Simmons, Nelson & Simonsohn 2011, Psychological Science 22, 1359-1366). The analysis keeps the hash of
# these rules in exclusions.lock.json and in the provenance of every table; a change after results exist is
# told and recorded with its date.
#
# The limits of 0.5 are conventions: no norm says how much loss is too much (Holmqvist et al. 2022, Behavior
# Research Methods, reporting guideline for eye tracking; Kret & Sjak-Shie 2019, Behavior Research Methods 51,
# 1336-1342, for pupils). Below half, what is missing outweighs what was measured. State your own and why.
# `null` switches a limit off. What was not recorded excludes nothing. Who withdrew is always excluded.

presentation:
  min_gaze_valid_fraction: 0.5   # least share of valid gaze samples while the stimulus was shown
  min_face_usable_fraction: 0.5  # least share of usable video frames while the stimulus was shown
  interrupted: true              # the end of the stimulus was not marked (abort, crash)
  cut_short: true                # the operator skipped it, or the session was aborted
  rules: []                      # any column of the summary:
                                 #   - {column: head_speed_mean_deg_s, above: 30, because: head movement}

participant:
  min_usable_presentations_fraction: 0.5  # with fewer, all presentations of the participant are flagged
  min_usable_presentations_per_category: null
"""


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnRule(_Declared):
    """A limit on any column of the summary.

    Parameters
    ----------
    column : str
    below, above : float, optional
        The presentation is flagged where the value is below or above; missing values flag nothing.
    because : str
        What the reason says.
    """

    column: str = Field(min_length=1)
    below: float | None = None
    above: float | None = None
    because: str = Field(min_length=1)

    @model_validator(mode="after")
    def _has_a_limit(self) -> ColumnRule:
        if self.below is None and self.above is None:
            raise ValueError(f"the rule on {self.column} has no limit: say below or above")
        return self

    def reason(self, row: Mapping[str, Any]) -> str | None:
        """Return why a row is flagged; None where it is not."""
        value = number(row.get(self.column))
        if self.below is not None and value < self.below:
            return f"{self.because} ({self.column} {value:.4g}, below {self.below:g})"
        if self.above is not None and value > self.above:
            return f"{self.because} ({self.column} {value:.4g}, above {self.above:g})"
        return None


class ExclusionRules(_Declared):
    """When a presentation is flagged; rows are never deleted.

    Parameters
    ----------
    min_gaze_valid_fraction : float or None
        Least share of valid gaze samples while the stimulus was shown, 0 to 1; None: no limit.
    min_face_usable_fraction : float or None
        Least share of usable video frames while the stimulus was shown, 0 to 1; None: no limit.
    interrupted, cut_short : bool
        Whether presentations that were not shown to their end are flagged.
    rules : tuple of ColumnRule
        Limits on other columns.
    """

    min_gaze_valid_fraction: Share | None = 0.5
    min_face_usable_fraction: Share | None = 0.5
    interrupted: bool = True
    cut_short: bool = True
    rules: tuple[ColumnRule, ...] = ()

    def reasons(self, row: Mapping[str, Any]) -> list[str]:
        """Return why a row of the summary is excluded, in words; empty for one that is not."""
        found = []
        if row.get("withdrawn"):
            found.append(f"{WITHDREW} ({row['withdrawn']})")
        if self.interrupted and row.get("interrupted"):
            found.append("the presentation was interrupted")
        if self.cut_short and text(row.get("cut_short")) is not None:
            found.append(f"the presentation was cut short ({row['cut_short']})")
        for name, what, least in (
            ("gaze_valid_fraction", "gaze valid", self.min_gaze_valid_fraction),
            ("face_usable_fraction", "face usable", self.min_face_usable_fraction),
        ):
            share = number(row.get(name))
            if least is not None and share < least:
                limit = f"{100 * least:g}%"
                found.append(f"{what} in {percent(share)} of the stimulus, less than {limit}")
        told = (rule.reason(row) for rule in self.rules)
        return found + [reason for reason in told if reason is not None]

    def in_words(self) -> str:
        """Return the rules as the codebook states them."""
        broken = [
            words
            for words, applies in (
                ("interrupted", self.interrupted),
                ("cut short", self.cut_short),
            )
            if applies
        ]
        said = [WITHDREW]
        if broken:
            said.append(f"it was {' or '.join(broken)}")
        for name, least in (
            ("gaze_valid_fraction", self.min_gaze_valid_fraction),
            ("face_usable_fraction", self.min_face_usable_fraction),
        ):
            if least is not None:
                said.append(f"{name} is below {least:g}")
        for rule in self.rules:
            for word, limit in (("below", rule.below), ("above", rule.above)):
                if limit is not None:
                    said.append(f"{rule.column} is {word} {limit:g} ({rule.because})")
        return ", or ".join(said)


class ParticipantRules(_Declared):
    """When all presentations of a participant are flagged, in the tables of the study.

    Parameters
    ----------
    min_usable_presentations_fraction : float or None
        Least share of presentations that no other rule flags, 0 to 1.
    min_usable_presentations_per_category : int or None
        Least number of them in each category that the participant was shown. Those without one, such as
        practice, are a category only where no other has one.
    """

    min_usable_presentations_fraction: Share | None = 0.5
    min_usable_presentations_per_category: int | None = Field(None, ge=1)

    def reason(self, shown: Mapping[str, int], usable: Mapping[str, int]) -> str | None:
        """Return why a participant is flagged; None for one who is not.

        Parameters
        ----------
        shown, usable : mapping of str to int
            Presentations by category, and those of them that no rule flags.
        """
        n, kept = sum(shown.values()), sum(usable.values())
        least = self.min_usable_presentations_fraction
        if least is not None and n and kept / n < least:
            return (
                f"participant: {kept} of {n} presentations usable ({percent(kept / n)}), less than "
                f"{100 * least:g}%"
            )
        few = self.min_usable_presentations_per_category
        if few is not None:
            for category in sorted(shown):
                if category == NO_CATEGORY and len(shown) > 1:
                    continue
                if usable.get(category, 0) < few:
                    return (
                        f"participant: {usable.get(category, 0)} usable presentations of category "
                        f"{category}, less than {few}"
                    )
        return None


class Exclusions(_Declared):
    """The rules of a study.

    Parameters
    ----------
    presentation : ExclusionRules
    participant : ParticipantRules
    """

    presentation: ExclusionRules = ExclusionRules()
    participant: ParticipantRules = ParticipantRules()

    @property
    def sha256(self) -> str:
        """Hash of the rules themselves; comments and the order of keys do not count."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def read_exclusions(study: Path | None) -> Exclusions:
    """Return the rules of a study; the defaults where it declares none.

    Raises
    ------
    DuchenneError
        If the file cannot be read, or says what is no rule.
    """
    path = None if study is None else study / EXCLUSIONS_FILE
    if path is None or not path.is_file():
        return Exclusions()
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise DuchenneError(f"{path} cannot be read: {why}") from error
    try:
        return Exclusions.model_validate(content or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        why = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            why = "no such rule; see docs/reference/exclusions.md"
        raise DuchenneError(f"{path}: {where}: {why}") from error
