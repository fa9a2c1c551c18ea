"""The same models for R: the rows that were fitted, and a script that fits them with lme4."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.statistics.sample import CannotTell, sample_of
from duchenne.analysis.tables import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd

    from duchenne.analysis.statistics.results import ContrastResult
    from duchenne.analysis.study_plan import Contrast

SCRIPT, DATA = "contrasts.R", "contrasts_data.csv"
_HEAD = """\
# The contrasts of the study "{study}", fitted with lme4.
# {status}
# Needs R with the packages lme4 and lmerTest: install.packages(c("lme4", "lmerTest"))
# Run it in the folder of {data}: Rscript {script}
#
# x is the contrast: 0.5 and -0.5 for the two groups of stimuli, or the predictor less its mean.
# (1 + x || participant) is an intercept and a slope of each participant, not correlated with each other.

library(lme4)
library(lmerTest)

rows <- read.csv("{data}", na.strings = "NA", stringsAsFactors = FALSE, fileEncoding = "UTF-8")
rows$participant <- factor(rows$participant)
rows$stimulus <- factor(rows$stimulus)
found <- data.frame()

run <- function(name, formula) {{
  model <- lmer(formula, data = droplevels(rows[rows$contrast == name, ]), REML = TRUE)
  effect <- summary(model, ddf = "Satterthwaite")$coefficients["x", ]
  half <- qt(0.975, effect["df"]) * effect["Std. Error"]
  found <<- rbind(found, data.frame(
    contrast = name, estimate = effect["Estimate"], standard_error = effect["Std. Error"],
    df = effect["df"], t = effect["t value"], p = effect["Pr(>|t|)"],
    ci_low = effect["Estimate"] - half, ci_high = effect["Estimate"] + half,
    singular = isSingular(model), row.names = NULL))
}}

"""
_TAIL = """
print(found, digits = 5)
write.table(found, "contrasts_lme4.tsv", sep = "\\t", quote = FALSE, row.names = FALSE)
"""


def write_lme4(
    folder: Path,
    study: str,
    status: str,
    contrasts: Sequence[tuple[Contrast, ContrastResult]],
    table_of: Callable[[str], pd.DataFrame],
) -> None:
    """Write ``contrasts.R`` and the ``contrasts_data.csv`` that it reads.

    Parameters
    ----------
    folder : Path
    study : str
        Its name.
    status : str
        When its contrasts were declared, in words.
    contrasts : sequence of (Contrast, ContrastResult)
        Those that could be worked out are written.
    table_of : callable
        Returns the rows of a window.
    """
    covariates = sorted({name for contrast, _ in contrasts for name in contrast.covariates})
    lines = []
    with (
        replacing(folder / DATA) as aside,
        aside.open("w", encoding="utf-8", newline="") as file,
    ):
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["contrast", "participant", "stimulus", "value", "x", *covariates])
        for contrast, result in contrasts:
            try:
                sample = sample_of(table_of(contrast.window), contrast)
            except CannotTell as reason:
                lines.append(f"# {_plain(contrast.name)}: {_plain(str(reason))}")
                continue
            held = {name: values - values.mean() for name, values in sample.covariates.items()}
            columns = [held.get(name) for name in covariates]
            for i, value in enumerate(sample.value.tolist()):
                further = ["NA" if c is None else _number(float(c[i])) for c in columns]
                who, what = str(sample.participant[i]), str(sample.stimulus[i])
                x = _number(float(sample.x[i]))
                out.writerow([contrast.name, who, what, _number(value), x, *further])
            lines.append(f"run({_quoted(contrast.name)}, {formula(contrast, result)})")
    head = _HEAD.format(study=_plain(study), status=_plain(status), data=DATA, script=SCRIPT)
    with replacing(folder / SCRIPT) as aside:
        aside.write_text(head + "\n".join(lines) + "\n" + _TAIL, encoding="utf-8")


def formula(contrast: Contrast, result: ContrastResult) -> str:
    """Return the formula of lme4 for a contrast: with those random effects that its design has."""
    fixed = " + ".join(["x", *(f"`{name}`" for name in contrast.covariates)])
    who = "1 + x || participant" if np.isfinite(result.sd_participant_slope) else "1 | participant"
    what = "1 + x || stimulus" if np.isfinite(result.sd_stimulus_slope) else "1 | stimulus"
    return f"value ~ {fixed} + ({who}) + ({what})"


def _number(value: float) -> str:
    return f"{value:.10g}"


def _plain(text: str) -> str:
    return " ".join(text.split())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
