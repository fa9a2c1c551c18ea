"""The measures of the face and of uncertainty that the summary and the table of windows share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.codebooks import PROTOTYPES
from duchenne.analysis.tables import Column
from duchenne.analysis.values import number, text
from duchenne.analysis.windows_face import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

OPENFACE_AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
"""Action Units named in the summary of a session without a face video (all n/a there)."""
AU_MEASURES = ("mean", "peak", "change_mean")
MORE_AU_MEASURES = (
    "mean_se", "coverage", "baseline", "change_peak", "area", "active_fraction", "latency_s",
)  # fmt: skip
"""Further measures, of whole Action Units; the sides of the face have the first three alone."""


def _number(description: str, unit: str | None = None) -> Column:
    return Column(description, unit, kind="number")


_SHOWN = "while the stimulus was shown"
EXPRESSION_FRACTIONS: dict[str, Column] = {
    f"expr_{name}_fraction": _number(
        f"Share of the usable frames {_SHOWN} whose expression matches the prototype {name} best "
        f"({PROTOTYPES[name]}); frames that cannot be assessed are left out. Not a felt emotion.",
        "1",
    )
    for name in LABELS
}
AFFECT_MEASURES: dict[str, Column] = {
    f"expr_{name}_{measure}": _number(description, "1")
    for name in ("valence", "arousal")
    for measure, description in (
        (
            "mean_se",
            (
                f"Standard error of the mean {name} of the expression over the frames, neighbours being "
                "alike (first-order autoregression); n/a: fewer than 8 measured frames."
            ),
        ),
        (
            "change_mean",
            (
                f"Mean {name} of the expression {_SHOWN} minus its mean in the last second before onset; "
                "n/a: less than half of the frames to be expected in that second are usable."
            ),
        ),
    )
}
EXPRESSION_MEASURES: dict[str, Column] = (
    EXPRESSION_FRACTIONS
    | {
        f"expr_{name}_mean": _number(f"Mean {name} of the expression {_SHOWN}, -1 to 1.", "1")
        for name in ("valence", "arousal")
    }
    | AFFECT_MEASURES
)
PUPIL_ERRORS: dict[str, Column] = {
    "pupil_change_clean_mean_se": _number(
        "Standard error of pupil_change_clean_mean over time, from means of 0.1 s of the measured pupil, "
        "neighbours being alike (first-order autoregression); without that of the baseline."
    )
}
GAZE_ERRORS: dict[str, Column] = {
    "mean_fixation_duration_se_s": _number(
        "Standard error of mean_fixation_duration_s: standard deviation divided by the root of the number "
        "of fixations; n/a: fewer than two.",
        "s",
    )
}


def all_au_columns(aus: Iterable[str], *, more: bool = True) -> list[str]:
    """Return the names of the columns of Action Units; of the seventeen of OpenFace where none is named.

    Parameters
    ----------
    aus : iterable of str
        Such as ``AU12`` and ``AU12L``.
    more : bool, default True
        Also those of `MORE_AU_MEASURES`, after the first three.
    """
    units = list(aus) or [f"AU{unit:02d}" for unit in OPENFACE_AUS]
    first = [f"{unit}_{measure}" for unit in units for measure in AU_MEASURES]
    return first + (more_au_columns(units) if more else [])


def more_au_columns(units: Iterable[str]) -> list[str]:
    """Return the names of the further columns of whole Action Units."""
    whole = [unit for unit in units if unit[-1] not in "LR"]
    return [f"{unit}_{measure}" for unit in whole for measure in MORE_AU_MEASURES]


def _numbers(values: list[Any]) -> NDArray[np.float64]:
    """Return values as numbers, NaN for what is missing or none; quickly where they are numbers."""
    try:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    except (TypeError, ValueError):
        return np.array([number(value) for value in values], dtype=np.float64)


def typed_column(rows: Sequence[Mapping[str, Any]], name: str, column: Column) -> pd.Series[Any]:
    """Return one column of a table from its rows, in the type that the codebook declares."""
    values = [row.get(name) for row in rows]
    if column.kind == "number":
        return pd.Series(_numbers(values), dtype="float64")
    if column.kind == "integer":
        numbers = [number(value) for value in values]
        return pd.Series(
            pd.array([round(v) if np.isfinite(v) else pd.NA for v in numbers], "Int64")
        )
    if column.kind == "boolean":
        known = [None if value is None or value is pd.NA else bool(value) for value in values]
        return pd.Series(pd.array(known, "boolean"))
    return pd.Series([text(value) for value in values], dtype="object")
