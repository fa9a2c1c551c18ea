"""Tables of a study with planted effects, as the analysis of a study writes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def planted_summary(
    *,
    n_participants: int = 12,
    n_stimuli: int = 16,
    effect: float = 1.0,
    slope_sd: float = 0.2,
    stimulus_sd: float = 0.1,
    seed: int = 0,
) -> pd.DataFrame:
    """Return a summary: ``AU12_mean`` has the effect (category HV less LV), ``AU04_mean`` none.

    ``rating_valence`` follows ``norm_valence``; a tenth of ``AU12_peak`` is missing.
    """
    rng = np.random.default_rng([seed, 5])
    person = np.repeat(np.arange(n_participants), n_stimuli)
    item = np.tile(np.arange(n_stimuli), n_participants)
    code = np.where(item % 2 == 0, 0.5, -0.5)
    n = len(person)

    def measure(size: float) -> Any:
        slope = size + rng.normal(0, slope_sd, n_participants)
        return (
            1.0
            + rng.normal(0, 0.2, n_participants)[person]
            + slope[person] * code
            + rng.normal(0, stimulus_sd, n_stimuli)[item]
            + rng.normal(0, 0.2, n)
        )

    norm = 5 + 4 * code + rng.uniform(-0.5, 0.5, n_stimuli)[item]
    smile = measure(effect)
    peak = smile + 0.3
    peak[rng.random(n) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "participant": [f"P{p + 1:02d}" for p in person],
            "session": "01",
            "trial": pd.array(item + 1, "Int64"),
            "presentation_id": [f"P{p + 1:02d}-{i}" for p, i in zip(person, item, strict=True)],
            "stimulus_id": [f"s{i:02d}" for i in item],
            "category": np.where(code > 0, "HV", "LV"),
            "AU12_mean": smile,
            "AU12_peak": peak,
            "AU04_mean": measure(0.0),
            "pupil_change_mean": measure(0.1),
            "pupil_unit": "mm",
            "rating_valence": np.clip(np.round(norm + rng.normal(0, 0.8, n)), 1, 9),
            "norm_valence": norm,
            "norm_valence_scaled": (norm - 5) / 4,
            "gaze_valid_fraction": rng.uniform(0.6, 1.0, n),
            "words": "some",
            "excluded": pd.array(np.zeros(n, bool), "boolean"),
        }
    )
