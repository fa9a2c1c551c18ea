"""How well two series of Action Units about one film agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.statistics import agreement as raters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FloatArray

MIN_FRAMES = 3


def icc_3_1(a: FloatArray, b: FloatArray) -> float:
    """Return the intraclass correlation ICC(3,1): two fixed raters, consistency, single ratings.

    A constant difference between the raters does not count against it; a different scale does.

    Parameters
    ----------
    a, b : (n,) float64
        Ratings of the same frames, none missing.

    Returns
    -------
    float
        -1 to 1; NaN for fewer than three frames, or where nothing varies.
    """
    return raters.icc_3_1(np.column_stack([a, b])).value


def pearson(a: FloatArray, b: FloatArray) -> float:
    """Return Pearson's r; NaN for fewer than three frames, or where one of them does not vary."""
    if len(a) < MIN_FRAMES or np.ptp(a) < 1e-9 or np.ptp(b) < 1e-9:
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])


def common_units(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    """Return the Action Units whose intensities both tables hold, in order."""
    return sorted(c[:-2] for c in a.columns if str(c).endswith("_r") and c in b.columns)


def agreement_table(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Compare two tables of the same film, frame by frame.

    Parameters
    ----------
    a, b : pandas.DataFrame
        With ``frame`` and ``AUxx_r`` (0–5, NaN where not measured).

    Returns
    -------
    pandas.DataFrame
        One row per Action Unit that both measure: ``au n_frames`` (measured by both) ``r icc_3_1``
        (Pearson's and intraclass correlation) ``mean_a mean_b`` and ``mae`` (mean absolute difference,
        0 to 5).
    """
    rows = []
    for unit in common_units(a, b):
        x, y = paired(a, b, f"{unit}_r")
        both = np.isfinite(x) & np.isfinite(y)
        x, y = x[both], y[both]
        rows.append(
            {
                "au": unit,
                "n_frames": int(both.sum()),
                "r": pearson(x, y),
                "icc_3_1": icc_3_1(x, y),
                "mean_a": float(x.mean()) if len(x) else np.nan,
                "mean_b": float(y.mean()) if len(y) else np.nan,
                "mae": float(np.abs(x - y).mean()) if len(x) else np.nan,
            }
        )
    columns = ["au", "n_frames", "r", "icc_3_1", "mean_a", "mean_b", "mae"]
    return pd.DataFrame(rows, columns=columns)


def paired(a: pd.DataFrame, b: pd.DataFrame, column: str) -> tuple[FloatArray, FloatArray]:
    """Return a column of both tables for the frames that are in either: two (n,) float64."""
    frames = all_frames(a, b)
    left, right = (
        t.drop_duplicates("frame").set_index("frame")[column].reindex(frames) for t in (a, b)
    )
    return left.to_numpy(np.float64), right.to_numpy(np.float64)


def all_frames(a: pd.DataFrame, b: pd.DataFrame) -> NDArray[np.int64]:
    """Return the numbers of the frames that are in either table, in order: (n,) int64."""
    return np.asarray(np.union1d(a["frame"], b["frame"]), np.int64)
