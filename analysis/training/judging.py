"""How a system is scored while it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.analysis.training.metrics import AFFECT, INTENSITY, OCCURRENCE, Metric, accuracy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Judgement:
    """How a task is scored.

    Parameters
    ----------
    metrics : dict
        Figures of each output.
    best : str
        The one whose mean decides which weights are kept.
    sign : {1, -1}
        1 where larger is better, -1 where smaller is.
    """

    metrics: dict[str, Metric]
    best: str
    sign: int = 1


def _mean_found(_truth: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Return the mean of what was found, which is an error itself."""
    return float(found.mean()) if len(found) else float("nan")


JUDGEMENTS = {
    "intensity": Judgement(INTENSITY, "pcc"),
    "occurrence": Judgement(OCCURRENCE, "f1"),
    "affect": Judgement(AFFECT, "ccc"),
    "expression": Judgement({"accuracy": accuracy}, "accuracy"),
    "pictures": Judgement({"mse": _mean_found}, "mse", -1),
}
