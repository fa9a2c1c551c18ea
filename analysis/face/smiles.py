"""Dynamics of smiles: how fast they come, how even their sides are, and whether the eyes join in.

A smile is an event of AU12. Spontaneous smiles rise more slowly than posed ones (Schmidt, Ambadar,
Cohn & Reed 2006); the Duchenne smile is AU06 with AU12 (Ekman, Davidson & Friesen 1990), which tells an
expression, not whether it is felt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.smoothing import (
    DEFAULT_SMOOTHING,
    Smoothing,
    local_fit,
    median_step_s,
)

if TYPE_CHECKING:
    import pandas as pd

    from duchenne.analysis.face.frames import FloatArray

SMILE = "AU12"
CHEEKS = "AU06"
MIN_CHEEKS = 1.0
MIN_SYMMETRY = 0.5
# Sides are compared from the apex on for this long: one frame is noise.
APEX_S = 0.2


def symmetry(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return how even the two sides are: the weaker divided by the stronger, 0 to 1.

    NaN where both are below 0.5 or one is not measured.
    """
    low, high = np.minimum(left, right), np.maximum(left, right)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(high >= 0.5, np.clip(low, 0.0, None) / high, np.nan)


def with_smiles(
    events: pd.DataFrame,
    table: pd.DataFrame,
    *,
    duchenne_reliable: bool,
    smoothing: Smoothing = DEFAULT_SMOOTHING,
) -> pd.DataFrame:
    """Return the events with the columns ``symmetry`` and ``duchenne``.

    Parameters
    ----------
    events : pandas.DataFrame
        As :func:`~duchenne.analysis.face.au_events.au_events` returns them.
    table : pandas.DataFrame
        The frames that they were found in.
    duchenne_reliable : bool
        Whether the backend tells AU06 from AU12 well enough (its model card says so).
    smoothing : Smoothing

    Returns
    -------
    pandas.DataFrame
        ``symmetry`` (0 to 1: weaker by stronger side in the 0.2 s from the apex) of Action Units of
        which both sides are measured, else NaN; ``duchenne`` (1: AU06 reaches 1 there and the sides are
        even, at least 0.5; 0: not) of AU12, NaN where it cannot be told.
    """
    times_s = table["time"].to_numpy(np.float64)
    step_s = median_step_s(times_s)
    curves: dict[str, FloatArray] = {}

    def at_apex(name: str, apex_s: float) -> float:
        if f"{name}_r" not in table.columns:
            return np.nan
        if name not in curves:
            values = table[f"{name}_r"].to_numpy(np.float64)
            curves[name] = local_fit(times_s, values, step_s, smoothing).value
        near = curves[name][(times_s >= apex_s - step_s / 2) & (times_s <= apex_s + APEX_S)]
        near = near[np.isfinite(near)]
        return float(np.mean(near)) if len(near) else np.nan

    even, genuine = [], []
    for au, apex_s in zip(events["au"], events["apex_s"], strict=True):
        sides = [np.array([at_apex(f"{au}{side}", apex_s)]) for side in "LR"]
        even.append(float(symmetry(*sides)[0]))
        cheeks = at_apex(CHEEKS, apex_s) if au == SMILE and duchenne_reliable else np.nan
        known = np.isfinite(cheeks) and np.isfinite(even[-1])
        is_it = cheeks >= MIN_CHEEKS and even[-1] >= MIN_SYMMETRY
        genuine.append(float(is_it) if known else np.nan)
    return events.assign(symmetry=np.array(even, float), duchenne=np.array(genuine, float))


def duchenne_reliable(backend: Any) -> bool:
    """Return whether a backend says that its AU06 and AU12 are apart enough for Duchenne smiles.

    Read from ``backend.duchenne_smile_reliable``, or from that key of ``backend.card``; False where
    neither says so.
    """
    card = getattr(backend, "card", None)
    said = card.get("duchenne_smile_reliable") if isinstance(card, Mapping) else False
    return bool(getattr(backend, "duchenne_smile_reliable", said))
