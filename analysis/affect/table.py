"""The table of ``duchenne affect``: the columns of affect alone, one row per frame or picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.affect.base import QUADRANT
from duchenne.analysis.affect.columns import affect_columns
from duchenne.analysis.face.affect import affect_quadrant

if TYPE_CHECKING:
    import pandas as pd

AFFECT_STYLE = "affect"
_FIRST = (
    "input", "frame", "time", "face", "confidence", "pose_pitch_deg", "pose_yaw_deg", "pose_roll_deg",
    "usable", "expr_valence", "expr_arousal", "expr_dominance", QUADRANT, "expr_prototype",
)  # fmt: skip


def affect_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return identity, quality and affect of every frame; the quadrant is there whatever measured it.

    Parameters
    ----------
    table : pandas.DataFrame
        The table of :func:`duchenne.analysis.face.process.analyse_face`, with or without the first
        column ``input``.
    """
    if QUADRANT not in table:
        arousal = table["expr_arousal"].to_numpy(np.float64)
        valence = table["expr_valence"].to_numpy(np.float64)
        table = table.assign(**{QUADRANT: affect_quadrant(valence, arousal)})
    rest = [name for name in affect_columns(map(str, table.columns)) if name not in _FIRST]
    return table[[name for name in (*_FIRST, *rest) if name in table]]
