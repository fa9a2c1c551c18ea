"""What the statistics of a study are: plain frozen values, kept in ``statistics.json``.

NaN stands for what could not be worked out; ``note`` then says why in plain words.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

BEFORE, AFTER = "before data", "after data"
"""What ``declared`` says."""


@dataclass(frozen=True)
class Declaration:
    """Whether the study's comparisons were declared before its data.

    Attributes
    ----------
    hash : str
        SHA-256 over all that is declared now.
    declared_utc : str
        When the newest part of it was seen first; empty where nothing is declared.
    after_data : bool
        Whether any of it was declared, or changed, when there were data.
    status : str
        The same in words.
    changes : tuple of str
        What was declared after data, each with its date, in words.
    """

    hash: str
    declared_utc: str
    after_data: bool
    status: str
    changes: tuple[str, ...]


@dataclass(frozen=True)
class ContrastResult:
    """One contrast.

    Attributes
    ----------
    name, measure, window, family, direction : str
        As declared.
    unit : str or None
        Of the measure.
    compared : str
        What is compared, in words.
    declared, declared_utc : str
        ``before data`` or ``after data``, and when.
    n_rows, n_participants, n_stimuli : int
        What the model was fitted to.
    n_excluded, n_missing : int
        Presentations of these stimuli that were left out: excluded, or without a value.
    estimate, standard_error, df, t, p, ci_low, ci_high : float
        Of the mixed model; degrees of freedom after Satterthwaite, 95 % interval.
    p_permutation : float
        Two-sided; NaN where none was asked for or the sample is large.
    n_permutations : int
    p_corrected : float
        For the number of tests of the family; of `p_permutation`, or of `p` where there is none.
    correction : str
        ``holm`` or ``fdr_bh``.
    significant, in_direction : bool or None
        Whether `p_corrected` is below the level, and whether the sign is the declared one.
    effect_size_d : float
        Estimate in units of the spread of single answers (Westfall, Kenny & Judd 2014); NaN for a slope.
    smallest_detectable_effect : float
        With the declared power; a sensitivity analysis.
    sd_participant, sd_participant_slope, sd_stimulus, sd_stimulus_slope, sd_residual : float
        Standard deviations of the random effects; NaN for one that the design does not have.
    singular : bool
        Whether one of them was estimated to be nothing.
    note : str
    """

    name: str
    measure: str
    unit: str | None
    window: str
    compared: str
    family: str
    direction: str
    declared: str
    declared_utc: str
    n_rows: int = 0
    n_participants: int = 0
    n_stimuli: int = 0
    n_excluded: int = 0
    n_missing: int = 0
    estimate: float = math.nan
    standard_error: float = math.nan
    df: float = math.nan
    t: float = math.nan
    p: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    p_permutation: float = math.nan
    n_permutations: int = 0
    p_corrected: float = math.nan
    correction: str = ""
    significant: bool | None = None
    in_direction: bool | None = None
    effect_size_d: float = math.nan
    smallest_detectable_effect: float = math.nan
    sd_participant: float = math.nan
    sd_participant_slope: float = math.nan
    sd_stimulus: float = math.nan
    sd_stimulus_slope: float = math.nan
    sd_residual: float = math.nan
    singular: bool | None = None
    note: str = ""

    @property
    def p_tested(self) -> float:
        """The p that is corrected: by permutation where there is one."""
        return self.p if math.isnan(self.p_permutation) else self.p_permutation


@dataclass(frozen=True)
class ParticipantDifference:
    """One participant's own difference in one contrast, for plots.

    Attributes
    ----------
    contrast, participant : str
    plus, minus : float
        Means over the two groups of stimuli; NaN where the contrast has a predictor.
    difference : float
        Of the two; with a predictor the slope.
    n_plus, n_minus : int
        Presentations; with a predictor all in `n_plus`.
    """

    contrast: str
    participant: str
    plus: float
    minus: float
    difference: float
    n_plus: int
    n_minus: int


@dataclass(frozen=True)
class CurveCluster:
    """A stretch of time in which the two curves differ.

    Attributes
    ----------
    start_s, stop_s : float
        From the onset of the stimulus; a description, not tested themselves.
    mass : float
        Sum of t; its sign is that of the difference.
    p, p_corrected : float
        For all times of the curve; and for all curves of the family.
    """

    start_s: float
    stop_s: float
    mass: float
    p: float
    p_corrected: float


@dataclass(frozen=True)
class CurveResult:
    """One comparison of two time courses; all tuples of floats have one entry for each time.

    Attributes
    ----------
    name, measure, family, declared : str
    unit : str or None
    plus_label, minus_label : str
        The two groups of stimuli.
    n_participants : int
        With both curves.
    times_s : tuple of float
        Middles of the steps, from the onset of the stimulus.
    plus, plus_low, plus_high, minus, minus_low, minus_high : tuple of float
        Mean over participants with its 95 % interval.
    difference, difference_low, difference_high : tuple of float
        Of the participants' own differences.
    clusters : tuple of CurveCluster
    note : str
    """

    name: str
    measure: str
    unit: str | None
    family: str
    declared: str
    plus_label: str
    minus_label: str
    n_participants: int = 0
    times_s: tuple[float, ...] = ()
    plus: tuple[float, ...] = ()
    plus_low: tuple[float, ...] = ()
    plus_high: tuple[float, ...] = ()
    minus: tuple[float, ...] = ()
    minus_low: tuple[float, ...] = ()
    minus_high: tuple[float, ...] = ()
    difference: tuple[float, ...] = ()
    difference_low: tuple[float, ...] = ()
    difference_high: tuple[float, ...] = ()
    clusters: tuple[CurveCluster, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class RatingByCategory:
    """Ratings of one category of stimuli.

    Attributes
    ----------
    rating, category : str
    participant : str
        ``all``: over the means of the participants.
    n : int
        Ratings; of ``all``: participants.
    mean, sd, ci_low, ci_high : float
    """

    rating: str
    category: str
    participant: str
    n: int
    mean: float
    sd: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class RatingOfParticipant:
    """Whether one participant's ratings follow the norms of the stimuli.

    Attributes
    ----------
    rating, participant : str
    n : int
        Ratings of stimuli with a norm.
    correlation_with_norm : float
        Rank correlation (Spearman).
    follows_norm : bool or None
        Whether it is above 0; None where it cannot be told.
    note : str
    """

    rating: str
    participant: str
    n: int
    correlation_with_norm: float
    follows_norm: bool | None
    note: str


@dataclass(frozen=True)
class Specification:
    """One way of working out a contrast.

    Attributes
    ----------
    contrast, measure, window, exclusions, backend, covariates : str
        The choices; several covariates are joined by a plus sign.
    declared : bool
        Whether it is how the contrast was declared.
    n_rows, n_participants, n_stimuli : int
    estimate, standard_error, df, ci_low, ci_high, p, effect_size_d : float
    note : str
    """

    contrast: str
    measure: str
    window: str
    exclusions: str
    backend: str
    covariates: str
    declared: bool
    n_rows: int = 0
    n_participants: int = 0
    n_stimuli: int = 0
    estimate: float = math.nan
    standard_error: float = math.nan
    df: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    p: float = math.nan
    effect_size_d: float = math.nan
    note: str = ""


@dataclass(frozen=True)
class SpecificationSummary:
    """All ways of working out one contrast together.

    Attributes
    ----------
    contrast : str
    n_specifications, n_fitted : int
        Declared, and those that could be worked out.
    share_with_sign : float
        Share of those whose estimate has the sign that most of them have.
    share_significant : float
        Share of those with p below the level and that sign; not corrected, as they are one question.
    d_low, d_median, d_high : float
        Effect sizes.
    estimate_low, estimate_high : float
        Estimates of the declared measure.
    note : str
    """

    contrast: str
    n_specifications: int
    n_fitted: int
    share_with_sign: float
    share_significant: float
    d_low: float
    d_median: float
    d_high: float
    estimate_low: float
    estimate_high: float
    note: str


@dataclass(frozen=True)
class StudyStatistics:
    """All statistics of a study.

    Attributes
    ----------
    study : str
        Its name.
    declaration : Declaration
    contrasts : tuple of ContrastResult
    participants : tuple of ParticipantDifference
    curves : tuple of CurveResult
    manipulation : tuple of RatingByCategory
    manipulation_participants : tuple of RatingOfParticipant
    multiverse : tuple of Specification
    multiverse_summary : tuple of SpecificationSummary
    notes : tuple of str
        What concerns all of it.
    """

    study: str
    declaration: Declaration
    contrasts: tuple[ContrastResult, ...] = ()
    participants: tuple[ParticipantDifference, ...] = ()
    curves: tuple[CurveResult, ...] = ()
    manipulation: tuple[RatingByCategory, ...] = ()
    manipulation_participants: tuple[RatingOfParticipant, ...] = ()
    multiverse: tuple[Specification, ...] = ()
    multiverse_summary: tuple[SpecificationSummary, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; NaN becomes null."""
        plain = _plain(dataclasses.asdict(self))
        return dict(plain)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StudyStatistics:
        """Read what `to_json` wrote.

        Raises
        ------
        TypeError, KeyError
            It was written by another version.
        """
        rows: dict[str, Any] = {
            "contrasts": ContrastResult,
            "participants": ParticipantDifference,
            "manipulation": RatingByCategory,
            "manipulation_participants": RatingOfParticipant,
            "multiverse": Specification,
            "multiverse_summary": SpecificationSummary,
        }
        made = {
            name: tuple(_made(kind, row) for row in values[name]) for name, kind in rows.items()
        }
        curves = tuple(
            _made(
                CurveResult,
                curve | {"clusters": tuple(_made(CurveCluster, c) for c in curve["clusters"])},
            )
            for curve in values["curves"]
        )
        declaration = _made(Declaration, values["declaration"])
        return cls(
            values["study"], declaration, curves=curves, notes=tuple(values["notes"]), **made
        )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _made(kind: type[T], row: Mapping[str, Any]) -> T:
    """Build one row: null becomes NaN where a number belongs, lists become tuples."""
    types = {field.name: str(field.type) for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = row.keys() ^ types.keys()
    if unknown:
        raise TypeError(f"{kind.__name__}: {', '.join(sorted(unknown))}")
    return kind(**{name: _value(types[name], value) for name, value in row.items()})


def _value(kind: str, value: Any) -> Any:
    if kind == "float":
        return math.nan if value is None else float(value)
    if kind == "tuple[float, ...]":
        return tuple(math.nan if one is None else float(one) for one in value)
    return tuple(value) if isinstance(value, list) else value
