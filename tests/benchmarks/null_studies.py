"""How often do the statistics find what is not there, and how well what is? Simulated at table level.

    python tests/benchmarks/null_studies.py --studies 1000 --out null-studies.json

Each simulated study has one measure of participants × stimuli with random slopes of participants and random
effects of stimuli, as `duchenne simulate-study` plants them. For each design: the share of null studies that
are called significant at 5 % (by the mixed model, by permutation, and by two analyses that leave something
out), how often the 95 % interval covers the truth, and how often an effect would be found. An effect that is
added to a study moves the estimate by as much and leaves its standard error as it is, so that coverage and
power follow from the same fits. Where statsmodels can fit the model, its estimates are compared with ours.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from duchenne.analysis.simulation.effects import AU_SPREAD
from duchenne.analysis.statistics.mixed import RandomEffect, fit, slope_model
from duchenne.analysis.statistics.permutation import permutation_p

if TYPE_CHECKING:
    from duchenne.analysis.statistics.mixed import Estimate

PERMUTATIONS = 199
ALPHA = 0.05
POWER_EFFECTS = (0.0, 0.1, 0.2, 0.3, 0.4)


@dataclass(frozen=True)
class Design:
    """A kind of study; standard deviations in the measure's unit."""

    name: str
    participants: int = 12
    stimuli: int = 24
    participant: float = AU_SPREAD.participant
    slope: float = AU_SPREAD.slope
    stimulus: float = AU_SPREAD.stimulus
    residual: float = AU_SPREAD.residual
    correlation: float = 0.0  # of intercepts and slopes
    missing: float = 0.0
    tails: float = 0.0  # degrees of freedom of a t distribution instead of the normal one
    continuous: bool = False
    both: bool = False  # each stimulus under both conditions


DESIGNS = (
    Design("12 x 24, as simulate-study"),
    Design("8 x 8", participants=8, stimuli=8),
    Design("12 x 24, no stimulus effects", stimulus=0.0),
    Design("12 x 24, no slopes", slope=0.0),
    Design("12 x 24, a quarter missing", missing=0.25),
    Design("12 x 12, each stimulus in both conditions", stimuli=12, both=True),
    Design("12 x 24, intercepts and slopes correlated 0.6", correlation=0.6),
    Design("12 x 24, heavy tails (t with 4 df)", tails=4.0),
    Design("12 x 24, a continuous predictor", continuous=True),
    Design("12 x 24, slopes twice as large", slope=2 * AU_SPREAD.slope),
    Design("20 x 16", participants=20, stimuli=16),
    Design("30 x 40", participants=30, stimuli=40),
)


@dataclass(frozen=True)
class Study:
    """The table of one simulated study."""

    y: np.ndarray[Any, np.dtype[np.float64]]
    x: np.ndarray[Any, np.dtype[np.float64]]
    participant: np.ndarray[Any, np.dtype[np.int64]]
    stimulus: np.ndarray[Any, np.dtype[np.int64]]


def draw(design: Design, effect: float, rng: np.random.Generator) -> Study:
    """Draw one study with a true effect."""
    n, m = design.participants, design.stimuli
    person, item = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
    groups = np.where(np.arange(m) % 2 == 0, -0.5, 0.5)
    x = (rng.uniform(-1, 1, m) if design.continuous else groups)[item]
    if design.both:
        person, item = np.tile(person, 2), np.tile(item, 2)
        x = np.repeat([-0.5, 0.5], n * m)
    standard = rng.standard_normal((2, n))
    r = design.correlation
    intercept, slope = standard[0], r * standard[0] + np.sqrt(1 - r**2) * standard[1]
    if design.tails:
        noise = rng.standard_t(design.tails, len(item)) / np.sqrt(design.tails / (design.tails - 2))
    else:
        noise = rng.standard_normal(len(item))
    y = (
        design.participant * intercept[person]
        + (effect + design.slope * slope[person]) * x
        + design.stimulus * rng.standard_normal(m)[item]
        + design.residual * noise
    )
    if design.both:
        y = y + design.stimulus * rng.standard_normal(m)[item] * x
    kept = rng.random(len(y)) >= design.missing
    return Study(y[kept], x[kept], person[kept], item[kept])


def intercepts_only(study: Study) -> float:
    """Return p of the model without random slopes."""
    ones = np.ones(len(study.y))
    random = [RandomEffect("p", study.participant, ones), RandomEffect("s", study.stimulus, ones)]
    model = fit(study.y, {"intercept": ones, "contrast": study.x}, random)
    return model.estimate("contrast").p


def averaged(study: Study) -> float:
    """Return p of a t test of the participants' own slopes, which takes the stimuli as given."""
    slopes = [
        np.polyfit(study.x[rows], study.y[rows], 1)[0]
        for rows in (study.participant == one for one in range(study.participant.max() + 1))
        if np.ptp(study.x[rows]) > 0
    ]
    return float(stats.ttest_1samp(slopes, 0.0).pvalue)


def examine(design: Design, n: int, n_permuted: int, seed: int) -> dict[str, Any]:
    """Simulate null studies of one design."""
    found: dict[str, list[float]] = {"model": [], "intercepts only": [], "participants only": []}
    permuted, estimates, singular = [], [], 0
    for number in range(n):
        study = draw(design, 0.0, np.random.default_rng([seed, number]))
        who, what = study.participant.astype(str), study.stimulus.astype(str)
        model = slope_model(study.y, study.x, who, what)
        estimates.append(model.estimate("contrast"))
        found["model"].append(estimates[-1].p)
        found["participants only"].append(averaged(study))
        singular += model.is_singular
        if number < n_permuted:
            permuted.append(permutation_p(model, n=PERMUTATIONS, seed=number))
            found["intercepts only"].append(intercepts_only(study))
    rates = {name: float(np.mean(np.array(p) < ALPHA)) for name, p in found.items() if p}
    if permuted:
        rates["permutation"] = float(np.mean(np.array(permuted) <= ALPHA))
    covered = [one.ci_low <= 0 <= one.ci_high for one in estimates]
    return {
        "design": design.name,
        "studies": n,
        "permuted and without slopes": len(permuted),
        "rejected": rates,
        "coverage": float(np.mean(covered)),
        "singular": singular / n,
        "found": {str(effect): power(estimates, effect) for effect in POWER_EFFECTS},
    }


def power(estimates: list[Estimate], effect: float) -> float:
    """Return the share of studies in which an effect would be found."""
    t = [(one.value + effect) / one.standard_error for one in estimates]
    limits = [stats.t.ppf(1 - ALPHA / 2, one.df) for one in estimates]
    return float(np.mean(np.abs(t) > limits))


def against_statsmodels(design: Design, n: int, seed: int) -> dict[str, Any]:
    """Fit the same studies with statsmodels' MixedLM and compare; it knows no Satterthwaite df."""
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    differences, errors, rejected_z, failed = [], [], [], 0
    seconds = [0.0, 0.0]
    for number in range(n):
        study = draw(design, 0.0, np.random.default_rng([seed, number]))
        begun = time.process_time()
        ours = slope_model(
            study.y, study.x, study.participant.astype(str), study.stimulus.astype(str)
        ).estimate("contrast")
        seconds[0] += time.process_time() - begun
        ones = np.ones(len(study.y))
        parts = [
            RandomEffect("p", study.participant, ones).matrix(),
            RandomEffect("s", study.stimulus, ones).matrix(),
            RandomEffect("pc", study.participant, study.x).matrix(),
        ]
        names = ["p", "s", "pc"]
        spec = VCSpec(names, [[[]] for _ in names], [[part] for part in parts])
        begun = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fixed = np.column_stack([ones, study.x])
                theirs = MixedLM(study.y, fixed, groups=ones, exog_vc=spec).fit(reml=True)
            error = float(theirs.bse_fe[1])
        except (np.linalg.LinAlgError, ValueError):
            error = np.nan
        seconds[1] += time.process_time() - begun
        if not np.isfinite(error):
            failed += 1
            continue
        differences.append(abs(float(theirs.fe_params[1]) - ours.value))
        errors.append(error / ours.standard_error - 1)
        rejected_z.append(abs(float(theirs.fe_params[1])) / error > stats.norm.ppf(0.975))
    return {
        "design": design.name,
        "studies": n,
        "not fitted by statsmodels": failed,
        "largest difference of estimates": float(np.max(differences)),
        "median difference of standard errors": float(np.median(np.abs(errors))),
        "largest difference of standard errors": float(np.max(np.abs(errors))),
        "rejected by statsmodels' z": float(np.mean(rejected_z)),
        "seconds per fit, ours and theirs": [round(s / n, 4) for s in seconds],
    }


def main() -> None:
    """Run all designs and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--permuted", type=int, default=200, help="after the first designs")
    parser.add_argument("--wholly-permuted", type=int, default=3, help="first designs")
    parser.add_argument("--compared", type=int, default=40)
    parser.add_argument("--designs", type=int, default=len(DESIGNS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("null-studies.json"))
    wish = parser.parse_args()
    result: dict[str, Any] = {"designs": [], "permutations": PERMUTATIONS, "seed": wish.seed}
    for number, design in enumerate(DESIGNS[: wish.designs]):
        begun = time.monotonic()
        n_permuted = wish.studies if number < wish.wholly_permuted else wish.permuted
        row = examine(design, wish.studies, n_permuted, wish.seed + number)
        result["designs"].append(row)
        print(json.dumps(row), f"{time.monotonic() - begun:.0f} s", flush=True)
        wish.out.write_text(json.dumps(result, indent=1))
    if wish.compared:
        result["statsmodels"] = against_statsmodels(DESIGNS[0], wish.compared, wish.seed)
        print(json.dumps(result["statsmodels"]), flush=True)
        wish.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
