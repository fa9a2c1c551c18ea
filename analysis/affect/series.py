"""What an affect model said in a window of time: means, shares of quadrants, the likeliest class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.affect.base import QUADRANT
from duchenne.analysis.affect.columns import CLASS_TOP, DOMINANCE, ENTROPY, SPREADS
from duchenne.analysis.face.affect import NEUTRAL, QUADRANTS, affect_quadrant

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FloatArray

_PREFIX = "expr_p_"
_MEANS = (DOMINANCE, ENTROPY, *SPREADS)


@dataclass(frozen=True)
class AffectSeries:
    """The columns of an affect model, as arrays.

    Parameters
    ----------
    numbers : dict of str to (n,) float64
        Dominance, probabilities, uncertainties; NaN where not measured.
    valence, arousal : (n,) float64
    has_quadrants : bool
        Whether the model answers both.
    """

    numbers: dict[str, FloatArray]
    valence: FloatArray
    arousal: FloatArray
    has_quadrants: bool

    @classmethod
    def of(cls, table: pd.DataFrame, order: NDArray[np.intp]) -> AffectSeries | None:
        """Return the columns of a table of frames in an order; None where no model measured them."""
        names = [str(c) for c in table.columns]
        numbers = {
            name: table[name].to_numpy(np.float64)[order]
            for name in names
            if name in _MEANS or name.startswith(_PREFIX)
        }
        has_quadrants = QUADRANT in names
        if not numbers and not has_quadrants:
            return None
        return cls(
            numbers,
            table["expr_valence"].to_numpy(np.float64)[order],
            table["expr_arousal"].to_numpy(np.float64)[order],
            has_quadrants,
        )

    def measures(self, within: slice) -> dict[str, Any]:
        """Return the measures of a window; NaN and None where nothing in it was measured.

        Parameters
        ----------
        within : slice
            Its frames.
        """
        row: dict[str, Any] = {
            f"{name}_mean": _mean(values[within]) for name, values in self.numbers.items()
        }
        if self.has_quadrants:
            row |= self._quadrants(self.valence[within], self.arousal[within])
        shares = {n: row[f"{n}_mean"] for n in self.numbers if n.startswith(_PREFIX)}
        if shares:
            known = bool(np.isfinite(list(shares.values())).all())
            best = max(shares, key=lambda name: shares[name])
            row[CLASS_TOP] = best.removeprefix(_PREFIX) if known else None
        return row

    def _quadrants(self, valence: FloatArray, arousal: FloatArray) -> dict[str, Any]:
        known = np.isfinite(valence) & np.isfinite(arousal)
        labels = affect_quadrant(valence[known], arousal[known])
        row: dict[str, Any] = {
            f"{QUADRANT}_{name}_fraction": float(np.mean(labels == name)) if len(labels) else np.nan
            for name in (*QUADRANTS, NEUTRAL)
        }
        means = np.array([_mean(valence[known])]), np.array([_mean(arousal[known])])
        row[QUADRANT] = str(affect_quadrant(*means)[0]) if len(labels) else None
        return row


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
