"""How well answers are calibrated, and how they hold under turned heads and other conditions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.training.confusions import write_confusion
from duchenne.analysis.training.metrics import OCCURS, Floats, auc, mae, pcc
from duchenne.analysis.training.prepared import LABELS
from duchenne.analysis.training.scoring import is_graded, truth_of
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.scoring import Answered, System

CONDITIONS = "conditions.tsv"
"""Beside the labels of a prepared set, one row per picture: numbers or names of its conditions."""
_KIND = re.compile(r"kind(\w+)")
_ANGLE_EDGES_DEG = np.array([-np.inf, -45, -30, -15, -5, 5, 15, 30, 45, np.inf])
N_BINS, MOST_NAMES, LEAST_ROWS = 5, 12, 10
INTENSITY_EDGES = np.array([-0.01, 0.25, 0.75, 1.5, 2.5, 3.5, 4.5, 5.01])
PROBABILITY_EDGES = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class Bin:
    """Faces whose answers or truths are alike.

    Parameters
    ----------
    n : int
    truth, found : float
        Means; of occurrence, the share of those that occur.
    low, high : float
        Tenth and ninetieth percentile of what was found; NaN for probabilities.
    """

    n: int
    truth: float
    found: float
    low: float
    high: float


def intensity_curve(truth: Floats, found: Floats) -> list[Bin]:
    """Return what is found for each level of true intensity, 0 to 5: (n,) each, NaN left out."""
    known = np.isfinite(truth) & np.isfinite(found)
    truth, found = truth[known], found[known]
    place = np.digitize(truth, INTENSITY_EDGES) - 1
    bins = []
    for i in range(len(INTENSITY_EDGES) - 1):
        here = place == i
        if here.any():
            low, high = np.percentile(found[here], (10, 90))
            bins.append(
                Bin(
                    int(here.sum()),
                    float(truth[here].mean()),
                    float(found[here].mean()),
                    float(low),
                    float(high),
                )
            )
    return bins


def reliability(occurs: Floats, probability: Floats) -> tuple[list[Bin], float]:
    """Return how often it occurs for each tenth of probability, and the expected calibration error.

    Parameters
    ----------
    occurs : (n,) float64
        1, 0 or NaN (left out).
    probability : (n,) float64
        0 to 1.

    Returns
    -------
    bins : list of Bin
        Without those that hold nothing.
    ece : float
        ``sum n_bin |share - mean probability| / n`` (Naeini et al. 2015), NaN where nothing is known.
    """
    known = np.isfinite(occurs) & np.isfinite(probability)
    occurs, probability = occurs[known], probability[known].clip(0, 1)
    place = np.clip(np.digitize(probability, PROBABILITY_EDGES) - 1, 0, 9)
    bins = []
    for i in range(10):
        here = place == i
        if here.any():
            bins.append(
                Bin(
                    int(here.sum()),
                    float(occurs[here].mean()),
                    float(probability[here].mean()),
                    float("nan"),
                    float("nan"),
                )
            )
    n = sum(each.n for each in bins)
    apart = sum(each.n * abs(each.truth - each.found) for each in bins)
    return bins, apart / n if n else float("nan")


def read_conditions(folder: Path, wanted: Sequence[str] = ()) -> dict[str, NDArray[np.str_]]:
    """Return under which conditions each picture of a prepared set was made.

    Columns of ``conditions.tsv`` are taken, and ``kind`` from sources such as ``3/0/kind2``. Angles
    (``…_deg``) fall into fixed bins, other numbers into fifths, names stay.

    Parameters
    ----------
    folder : Path
    wanted : sequence of str
        Columns; all where empty.

    Returns
    -------
    dict
        Of every column, the name of the bin of each picture; empty where not known.

    Raises
    ------
    DuchenneError
        When the table has another number of rows than the labels.
    UsageError
        When a wanted column is not there.
    """
    sources = pd.read_csv(folder / LABELS, sep="\t", usecols=["source"], dtype=str)["source"]
    found: dict[str, NDArray[np.str_]] = {}
    kinds = sources.fillna("").str.extract(_KIND)[0]
    if kinds.notna().any():
        found["kind"] = kinds.fillna("").to_numpy(np.str_)
    path = folder / CONDITIONS
    if path.is_file():
        table = pd.read_csv(path, sep="\t", na_values=["n/a"])
        if len(table) != len(sources):
            raise DuchenneError(
                f"{path} has {len(table)} rows, the labels {len(sources)}: one per picture is needed."
            )
        for column in table.columns:
            if column not in {"subject", "source"}:
                found[str(column)] = binned(str(column), table[column])
    if missing := [name for name in wanted if name not in found]:
        raise UsageError(
            f"{folder} knows no condition {', '.join(missing)}; there are: "
            f"{', '.join(found) or 'none'}"
        )
    chosen = wanted or [
        name for name, values in found.items() if 1 < len(np.unique(values)) <= MOST_NAMES
    ]
    return {name: found[name] for name in chosen}


def binned(name: str, values: pd.Series) -> NDArray[np.str_]:
    """Return the name of the bin of each value; see `read_conditions`."""
    few = values.nunique() <= MOST_NAMES
    if not pd.api.types.is_numeric_dtype(values) or (few and not name.endswith("_deg")):
        return values.astype(object).where(values.notna(), "").astype(str).to_numpy(np.str_)
    numbers = values.to_numpy(np.float64)
    if name.endswith("_deg"):
        edges = _ANGLE_EDGES_DEG
    else:
        inner = np.nanquantile(numbers, np.linspace(0, 1, N_BINS + 1)[1:-1])
        edges = np.array([-np.inf, *np.unique(inner), np.inf])
    place = np.digitize(numbers, edges) - 1
    labels = [_span(a, b) for a, b in pairwise(edges)]
    return np.array(
        [labels[i] if np.isfinite(v) else "" for i, v in zip(place, numbers, strict=True)]
    )


def _span(low: float, high: float) -> str:
    if np.isinf(low):
        return f"below {high:g}"
    return f"{low:g} and more" if np.isinf(high) else f"{low:g} to {high:g}"


def robustness(
    truth: Floats,
    found: Floats,
    names: Sequence[str],
    condition: NDArray[np.str_],
    *,
    of_intensity: bool,
    graded: bool,
) -> pd.DataFrame:
    """Return how well each output does under each condition.

    Parameters
    ----------
    truth, found : (n, k) float64
    names : sequence of str
    condition : (n,) str
        Empty where not known.
    of_intensity, graded : bool
        Whether answers and truths are intensities.

    Returns
    -------
    pandas.DataFrame
        ``condition, output, n, pcc, mae, auc``; outputs of fewer than 10 pictures are left out; the mean
        over outputs under ``mean``.
    """
    rows = []
    for level in order_of(condition):
        here = condition == level
        figures = []
        for i, name in enumerate(names):
            known = here & np.isfinite(truth[:, i]) & np.isfinite(found[:, i])
            if known.sum() < LEAST_ROWS:
                continue
            t, f = truth[known, i], found[known, i]
            occurs = (t >= OCCURS).astype(np.float64) if graded else t
            row = {
                "pcc": pcc(t, f) if graded else np.nan,
                "mae": mae(t, f) if graded and of_intensity else np.nan,
                "auc": auc(occurs, f),
            }
            figures.append(row)
            rows.append({"condition": level, "output": name, "n": int(known.sum()), **row})
        if figures:
            means = pd.DataFrame(figures).mean()
            rows.append({"condition": level, "output": "mean", "n": int(here.sum()), **means})
    return pd.DataFrame(rows, columns=["condition", "output", "n", "pcc", "mae", "auc"])


def order_of(condition: NDArray[np.str_]) -> list[str]:
    """Return the conditions once each: spans in the order of their numbers, names in that of the alphabet."""

    def key(name: str) -> tuple[float, str]:
        number = re.match(r"(below )?(-?[\d.]+)", name)
        if number is None:
            return np.inf, name
        return float(number[2]) - (1e-6 if number[1] else 0), name

    return sorted((str(name) for name in np.unique(condition) if name), key=key)


def write_curves(
    folder: Path,
    system: System,
    answer: Answered,
    faces: Faces,
    rows: NDArray[np.intp],
    *,
    conditions: Mapping[str, NDArray[np.str_]],
) -> None:
    """Write calibration and robustness of a system as tables and pictures into a folder.

    Parameters
    ----------
    folder : Path
        Gets ``NAME-calibration`` and ``NAME-CONDITION``, each .png, .svg and .tsv; of expression and affect
        ``NAME-classes`` or ``NAME-quadrants`` instead: what was taken for what.
    system : System
    answer : Answered
        To the rows.
    faces : Faces
    rows : (n,) int
    conditions : mapping
        Of `read_conditions`, for all pictures.

    Raises
    ------
    DuchenneError
        When the folder cannot be written.
    """
    from duchenne.analysis.training.curve_figures import draw_calibration, draw_robustness  # noqa: PLC0415

    if system.entry.task in {"expression", "affect"}:
        write_confusion(folder, system, answer, faces, rows)
        return
    truth = truth_of(system.labels, faces)[rows]
    graded = is_graded(faces.truth, faces.names)
    of_intensity = system.entry.task == "intensity"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        table, curves = _calibration(system, truth, answer.values, graded=graded)
        stem = folder / f"{system.name}-calibration"
        table.to_csv(
            stem.with_suffix(".tsv"), sep="\t", index=False, na_rep="n/a", float_format="%.5g"
        )
        draw_calibration(stem, system.name, curves, of_intensity=of_intensity)
        for name, condition in conditions.items():
            held = robustness(
                truth, answer.values, system.labels, condition[rows],
                of_intensity=of_intensity, graded=graded,
            )  # fmt: skip
            stem = folder / f"{system.name}-{name}"
            held.to_csv(
                stem.with_suffix(".tsv"), sep="\t", index=False, na_rep="n/a", float_format="%.5g"
            )
            if len(held):
                draw_robustness(stem, f"{system.name}: {name}", held)
    except OSError as error:
        raise DuchenneError(f"{folder} cannot be written ({error.strerror or error}).") from error


def _calibration(
    system: System, truth: Floats, found: Floats, *, graded: bool
) -> tuple[pd.DataFrame, dict[str, tuple[list[Bin], float]]]:
    curves: dict[str, tuple[list[Bin], float]] = {}
    rows = []
    for i, name in enumerate(system.labels):
        if system.entry.task == "intensity":
            bins, ece = (
                intensity_curve(truth[:, i] if graded else 5 * truth[:, i], found[:, i]),
                np.nan,
            )
        else:
            known = np.isfinite(truth[:, i])
            least = OCCURS if graded else 0.5
            occurs = np.where(known, (truth[:, i] >= least).astype(np.float64), np.nan)
            bins, ece = reliability(occurs, found[:, i])
        curves[name] = bins, ece
        rows += [
            {
                "output": name, "n": b.n, "truth": b.truth, "found": b.found,
                "found_p10": b.low, "found_p90": b.high, "ece": ece,
            }
            for b in bins
        ]  # fmt: skip
    columns = ["output", "n", "truth", "found", "found_p10", "found_p90", "ece"]
    return pd.DataFrame(rows, columns=columns), curves
