"""The study file ``study.yaml``: what a study compares, in which windows, and how else it could be done.

Contrasts, curves and a multiverse belong into the file before the first session is recorded; see
`duchenne.analysis.declaration` for how that is told apart from what was added later.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from duchenne.analysis.window_plan import WindowPlan
from duchenne.protocols.parts_base import Strict, not_empty
from duchenne.protocols.yaml_errors import located_message
from duchenne.protocols.yaml_source import YamlSource
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "study.yaml"
WHOLE = "whole"
"""The window of a whole stimulus, from onset to offset: what ``summary`` holds."""
DECLARED = "declared"
NO_EXCLUSIONS = "none"

Family = Literal["primary", "exploratory"]
Direction = Literal["positive", "negative", "two-sided"]
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\t\r\n]+$")]
ColumnName = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^\w+$")]
Time = Annotated[float, Field(ge=-60, le=4 * 3600, allow_inf_nan=False)]


def _each_once(items: tuple[Any, ...]) -> tuple[Any, ...]:
    for item in items:
        if items.count(item) > 1:
            raise PydanticCustomError("twice", "{item} is named twice", {"item": str(item)})
    return items


Names = Annotated[tuple[str, ...], AfterValidator(_each_once)]


class _Compared(Strict):
    """Two groups of stimuli, or a number that goes with the measure.

    Attributes
    ----------
    plus, minus : tuple of str
        Levels of the factor: the mean of the first less the mean of the second.
    factor : str
        Column of the summary whose levels these are.
    """

    plus: Names = ()
    minus: Names = ()
    factor: ColumnName = "category"

    @model_validator(mode="after")
    def _two_groups(self) -> _Compared:
        if bool(self.plus) != bool(self.minus):
            raise PydanticCustomError("one_group", "give both plus and minus")
        both = sorted(set(self.plus) & set(self.minus))
        if both:
            raise PydanticCustomError(
                "both_groups", "{level} is in plus and in minus", {"level": both[0]}
            )
        return self


class Contrast(_Compared):
    """One comparison of one measure.

    Attributes
    ----------
    name : str
        Unique within the file.
    measure : str
        Column of the summary, such as ``AU12_mean``.
    window : str
        ``whole``, or the name of a window of ``windows.parquet``.
    plus, minus, factor
        Two groups of stimuli; see `_Compared`.
    predictor : str or None
        Instead of two groups: a column of numbers, such as ``norm_valence_scaled``; the estimate is the
        slope per unit.
    family : {"primary", "exploratory"}
        Which correction for the number of tests: Holm, or Benjamini & Hochberg.
    direction : {"positive", "negative", "two-sided"}
        What is expected; p is two-sided all the same.
    covariates : tuple of str
        Columns of numbers that are held constant, such as ``trial``.
    """

    name: Name
    measure: ColumnName
    window: ColumnName = WHOLE
    predictor: ColumnName | None = None
    family: Family = "primary"
    direction: Direction = "two-sided"
    covariates: Names = ()

    @model_validator(mode="after")
    def _one_comparison(self) -> Contrast:
        if (self.predictor is None) == (not self.plus):
            raise PydanticCustomError(
                "no_comparison", "give plus and minus (groups of stimuli) or predictor, one of them"
            )
        if self.measure == self.predictor or self.measure in self.covariates:
            raise PydanticCustomError("self", "the measure is compared with itself")
        return self

    @property
    def compared(self) -> str:
        """What is compared, in words."""
        if self.predictor is not None:
            return f"per unit of {self.predictor}"
        sides = [
            f"({' + '.join(side)})" if len(side) > 1 else side[0]
            for side in (self.plus, self.minus)
        ]
        return " \N{MINUS SIGN} ".join(sides)


class Curve(_Compared):
    """One comparison of a time course between two groups of stimuli.

    Attributes
    ----------
    name : str
        Unique among the curves.
    measure : str
        ``pupil``, or an Action Unit such as ``AU12``.
    plus, minus, factor
        Two groups of stimuli; see `_Compared`.
    start_s, stop_s : float
        From the onset of the stimulus.
    step_s : float
        Width of the steps that samples are averaged over.
    baseline : bool
        Subtract the mean of the last half second before the onset; None: for the pupil only.
    family : {"primary", "exploratory"}
    """

    name: Name
    measure: Annotated[str, Field(pattern=r"^(pupil|AU\d\d[LR]?)$")]
    start_s: Time = -0.5
    stop_s: Time = 4.0
    step_s: Annotated[float, Field(ge=0.02, le=5)] = 0.1
    baseline: bool | None = None
    family: Family = "primary"

    @model_validator(mode="after")
    def _whole(self) -> Curve:
        if not self.plus:
            raise PydanticCustomError("no_comparison", "give plus and minus (groups of stimuli)")
        if self.stop_s - self.start_s < 2 * self.step_s:
            raise PydanticCustomError("short_curve", "stop_s is not two steps after start_s")
        return self

    @property
    def is_from_baseline(self) -> bool:
        """Whether the time before the onset is subtracted."""
        return self.measure == "pupil" if self.baseline is None else self.baseline


class Limits(Strict):
    """The values of one column that stay; what is not known stays.

    Attributes
    ----------
    min, max : float or None
        Both included.
    """

    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None


class Exclusions(Strict):
    """Rules by which presentations are left out, instead of the declared ones.

    Attributes
    ----------
    name : str
    keep : dict of str to Limits
        Columns of the summary with the values that stay.
    """

    name: Name
    keep: dict[ColumnName, Limits] = Field(default_factory=dict)

    @classmethod
    def _expanded(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _known_or_ruled(self) -> Exclusions:
        if (self.name in (DECLARED, NO_EXCLUSIONS)) == bool(self.keep):
            raise PydanticCustomError(
                "rules",
                "{name}: write 'declared' or 'none', or a name of your own with rules under keep",
                {"name": self.name},
            )
        return self


class Backend(Strict):
    """Results of the same sessions made by other means, such as another Action Unit backend.

    Attributes
    ----------
    name : str
    folder : str or None
        Where ``analyze --out`` put them, relative to the study; None: the study's own results.
    """

    name: Name
    folder: str | None = None


OWN_RESULTS = Backend(name="own")


class Multiverse(Strict):
    """All ways in which one contrast could as well have been worked out.

    Attributes
    ----------
    contrast : str
        Name of the contrast.
    measures : tuple of str
        Columns instead of the contrast's measure, such as raw and baseline-corrected ones.
    windows : tuple of str
        Windows instead of the contrast's.
    exclusions : tuple of Exclusions
    covariates : tuple of tuple of str
        Sets of covariates instead of the contrast's.
    backends : tuple of Backend
    """

    contrast: Name
    measures: Annotated[tuple[ColumnName, ...], AfterValidator(_each_once)] = ()
    windows: Annotated[tuple[ColumnName, ...], AfterValidator(_each_once)] = ()
    exclusions: Annotated[tuple[Exclusions, ...], AfterValidator(not_empty)] = (
        Exclusions(name=DECLARED),
    )
    covariates: tuple[tuple[ColumnName, ...], ...] = ()
    backends: Annotated[tuple[Backend, ...], AfterValidator(not_empty)] = (OWN_RESULTS,)


class Settings(Strict):
    """How the statistics are worked out.

    Attributes
    ----------
    permutations : int
        Of each contrast and each curve; 0: none.
    alpha : float
        Level of the tests.
    power : float
        Of the smallest effect that could have been seen.
    seed : int
        Of the permutations.
    """

    permutations: Annotated[int, Field(ge=0, le=100_000)] = 1999
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    power: Annotated[float, Field(gt=0.5, lt=1)] = 0.8
    seed: Annotated[int, Field(ge=0)] = 0


class Retention(Strict):
    """How long the study may be kept; see `duchenne.recorder.retention`.

    Attributes
    ----------
    until : date, str or None
        Last day.
    years : float or None
        From the day of each recording.
    """

    until: date | str | None = None
    years: Annotated[float, Field(gt=0)] | None = None


class StudyPlan(Strict):
    """A study, as its file describes it.

    Attributes
    ----------
    name, title, description, license, licence : str or None
    authors : tuple of str
    duchenne_version : str or None
        That made the file.
    protocol : str or None
        For people: which protocol is run.
    ethics, room, environment, lighting : str or None
        For people, and for the reporting checklist: who approved the study, and where it takes place.
    windows, sliding_windows
        Further windows in which everything is measured; see `duchenne.analysis.window_plan`.
    contrasts : tuple of Contrast
    curves : tuple of Curve
    multiverse : tuple of Multiverse
    statistics : Settings
    retention : dict
        ``until`` (a date) or ``years``: how long the study may be kept; see `recorder.retention`.
    retention : Retention or None
    retention_until : date, str or None
        Until when the data may be kept.
    privacy, console : mapping
        Settings that are described elsewhere.
    """

    name: str | None = None
    title: str | None = None
    description: str | None = None
    authors: tuple[str, ...] = ()
    license: str | None = None
    licence: str | None = None
    duchenne_version: str | None = None
    protocol: str | None = None
    ethics: str | None = None
    room: str | None = None
    environment: str | None = None
    lighting: str | None = None
    windows: Any = Field(default_factory=dict)
    sliding_windows: Any = None
    contrasts: tuple[Contrast, ...] = ()
    curves: tuple[Curve, ...] = ()
    multiverse: tuple[Multiverse, ...] = ()
    statistics: Settings = Settings()
    retention_until: date | str | None = None
    retention: dict[str, Any] = Field(default_factory=dict)
    privacy: dict[str, Any] = Field(default_factory=dict)
    console: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_agree(self) -> StudyPlan:
        _refuse_twice("contrast", [contrast.name for contrast in self.contrasts])
        _refuse_twice("curve", [curve.name for curve in self.curves])
        try:
            WindowPlan.model_validate({"windows": self.windows})
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise PydanticCustomError("windows", "windows: {reason}", {"reason": reason}) from None
        known = [contrast.name for contrast in self.contrasts]
        for one in self.multiverse:
            if one.contrast not in known:
                raise PydanticCustomError(
                    "unknown_contrast",
                    "multiverse: there is no contrast {name}{hint}",
                    {"name": repr(one.contrast), "hint": did_you_mean(one.contrast, known)},
                )
        return self

    def contrast(self, name: str) -> Contrast:
        """Return the contrast of that name."""
        return next(contrast for contrast in self.contrasts if contrast.name == name)


def read_plan(study: Path) -> StudyPlan:
    """Read the study file of a study; an empty plan where there is none.

    Parameters
    ----------
    study : Path
        Folder of the study, or the file itself.

    Raises
    ------
    DuchenneError
        The file cannot be read, or something in it is not as it should be; with its line.
    """
    path = study if study.is_file() else study / FILE_NAME
    if not path.is_file():
        return StudyPlan()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DuchenneError(f"{path} cannot be read: {error}") from error
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return StudyPlan()
    source = YamlSource.parse(text, path.name)
    if not isinstance(source.data, dict):
        raise DuchenneError(
            f"{path.name}: a study file is a list of keys with values, such as name: …"
        )
    try:
        return StudyPlan.model_validate(source.data)
    except ValidationError as error:
        raise DuchenneError(located_message(error, source)) from None


def _refuse_twice(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise PydanticCustomError(
                "same_name", "two {what}s are named {name}", {"what": what, "name": repr(name)}
            )
