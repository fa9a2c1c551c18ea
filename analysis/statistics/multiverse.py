"""One contrast worked out in all ways that were declared as equally good.

Steegen, Tuerlinckx, Gelman & Vanpaemel (2016, Perspectives on Psychological Science 11).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.statistics.contrasts import fit_contrast
from duchenne.analysis.statistics.results import Specification, SpecificationSummary
from duchenne.analysis.statistics.sample import CannotTell
from duchenne.analysis.study_plan import DECLARED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from duchenne.analysis.study_plan import Backend, Contrast, Exclusions, Multiverse

    TableOf = Callable[[str | None, str], pd.DataFrame]
    """Gives the rows of a window from a folder of results (None: the study's own)."""


@dataclass(frozen=True)
class Choice:
    """One combination of choices."""

    contrast: Contrast
    exclusions: Exclusions
    backend: Backend


def choices(multiverse: Multiverse, contrast: Contrast) -> Iterator[Choice]:
    """Yield every combination of what was declared; the contrast's own way is among them."""
    measures = tuple(dict.fromkeys((contrast.measure, *multiverse.measures)))
    windows = tuple(dict.fromkeys((contrast.window, *multiverse.windows)))
    covariates = tuple(dict.fromkeys((contrast.covariates, *multiverse.covariates)))
    exclusions = multiverse.exclusions
    if not any(one.name == DECLARED for one in exclusions):
        exclusions = (type(exclusions[0])(name=DECLARED), *exclusions)
    backends = multiverse.backends
    if not any(one.folder is None for one in backends):
        backends = (type(backends[0])(name="own"), *backends)
    for measure, window, held, rules, backend in product(
        measures, windows, covariates, exclusions, backends
    ):
        varied = {"measure": measure, "window": window, "covariates": held}
        yield Choice(contrast.model_copy(update=varied), rules, backend)


def specifications(
    multiverse: Multiverse,
    contrast: Contrast,
    table_of: TableOf,
    progress: Callable[[int], object] | None = None,
) -> tuple[Specification, ...]:
    """Work out a contrast in every way; what cannot be told has a note.

    Parameters
    ----------
    multiverse : Multiverse
    contrast : Contrast
        The one it is about.
    table_of : callable
        Given the folder of a backend's results (None: the study's own) and a window, returns the rows.
    progress : callable, optional
        Told the number of ways done.
    """
    return tuple(
        _worked_out(choice, contrast, table_of, done, progress)
        for done, choice in enumerate(choices(multiverse, contrast), 1)
    )


def summarised(
    contrast: Contrast, specs: Sequence[Specification], alpha: float
) -> SpecificationSummary:
    """Return what all ways of working out a contrast say together.

    Parameters
    ----------
    contrast : Contrast
    specs : sequence of Specification
    alpha : float
        Level of the tests.
    """
    fitted = [one for one in specs if np.isfinite(one.estimate)]
    n, failed = len(specs), len(specs) - len(fitted)
    nan = float("nan")
    if not fitted:
        note = "None of the ways could be worked out."
        return SpecificationSummary(contrast.name, n, 0, nan, nan, nan, nan, nan, nan, nan, note)
    estimates = np.array([one.estimate for one in fitted])
    p = np.array([one.p for one in fitted])
    sizes = np.array([one.effect_size_d for one in fitted])
    sizes = sizes[np.isfinite(sizes)]
    own = [one.estimate for one in fitted if one.measure == contrast.measure]
    sign = 1.0 if (estimates > 0).sum() * 2 >= len(estimates) else -1.0
    alike = np.sign(estimates) == sign
    note = f"{failed} of {n} ways could not be worked out." if failed else ""
    return SpecificationSummary(
        contrast.name,
        n,
        len(fitted),
        float(alike.mean()),
        float((alike & (p < alpha)).mean()),
        float(sizes.min()) if len(sizes) else nan,
        float(np.median(sizes)) if len(sizes) else nan,
        float(sizes.max()) if len(sizes) else nan,
        min(own, default=nan),
        max(own, default=nan),
        note,
    )


def _worked_out(
    choice: Choice,
    declared: Contrast,
    table_of: TableOf,
    done: int,
    progress: Callable[[int], object] | None,
) -> Specification:
    contrast = choice.contrast
    is_declared = (
        contrast == declared
        and choice.exclusions.name == DECLARED
        and choice.backend.folder is None
    )
    named = (
        contrast.name,
        contrast.measure,
        contrast.window,
        choice.exclusions.name,
        choice.backend.name,
        " + ".join(contrast.covariates),
        is_declared,
    )
    if progress is not None:
        progress(done)
    try:
        table = table_of(choice.backend.folder, contrast.window)
        fitted = fit_contrast(table, contrast, choice.exclusions)
    except CannotTell as reason:
        return Specification(*named, note=f"{reason}.")
    sample, estimate = fitted.sample, fitted.estimate
    return Specification(
        *named,
        n_rows=len(sample.value),
        n_participants=sample.n_participants,
        n_stimuli=sample.n_stimuli,
        estimate=estimate.value,
        standard_error=estimate.standard_error,
        df=estimate.df,
        ci_low=estimate.ci_low,
        ci_high=estimate.ci_high,
        p=estimate.p,
        effect_size_d=fitted.effect_size_d,
    )
