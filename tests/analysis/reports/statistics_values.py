"""Statistics of a study as values: a clear contrast, an unclear one, a curve with a cluster, choices."""

from __future__ import annotations

import math

import numpy as np

from duchenne.analysis.statistics.results import (
    ContrastResult,
    CurveCluster,
    CurveResult,
    Declaration,
    ParticipantDifference,
    RatingOfParticipant,
    Specification,
    SpecificationSummary,
    StudyStatistics,
)

SMILE = ContrastResult(
    "smile", "AU12_mean", None, "whole", "HVHA − neutral", "primary", "positive", "before data",
    "2026-01-05T10:00:00Z", 72, 12, 4, 1, 0, 1.21, 0.1, 10.4, 12.1, 1e-7, 0.98, 1.43, 0.0002, 5000,
    0.0004, "holm", significant=True, in_direction=True, effect_size_d=1.9,
    smallest_detectable_effect=0.31, sd_participant=0.2, singular=False,
)  # fmt: skip
PUPIL = ContrastResult(
    "pupil by norm", "pupil_change_mean", "mm", "whole", "per unit of norm_arousal_scaled", "exploratory",
    "two-sided", "after data", "2026-02-01T10:00:00Z", 72, 12, 6, 1, 0, 0.02, 0.03, 9.0, 0.67, 0.52,
    -0.05, 0.09, p_corrected=0.52, correction="fdr_bh", significant=False,
    smallest_detectable_effect=0.08, note="Few stimuli & wide intervals.",
)  # fmt: skip


def statistics() -> StudyStatistics:
    """Return them."""
    return StudyStatistics(
        "small",
        Declaration(
            "c" * 64, "2026-02-01T10:00:00Z", True, "declared after data",
            ("pupil by norm was declared after data (2026-02-01).",),
        ),
        (PUPIL, SMILE),
        tuple(
            ParticipantDifference("smile", f"P{i:02d}", 1.2, 0.1, d, 2, 2)
            for i, d in enumerate((1.1, 0.9, -0.1, 1.3), 1)
        ),
        (_curve(),),
        manipulation_participants=(RatingOfParticipant("valence", "P03", 6, -0.2, False, ""),),
        multiverse=tuple(
            Specification(
                "smile", measure, "whole", rules, "geometry", "none", i == 0, 72, 12, 4, 1.21 - 0.1 * i,
                0.1, 10, 0.2 - 0.1 * i, 1.5, 0.01, 1.9 - 0.2 * i,
            )
            for i, (measure, rules) in enumerate(
                (m, r) for m in ("AU12_mean", "AU12_peak") for r in ("declared", "none")
            )
        ),
        multiverse_summary=(
            SpecificationSummary("smile", 4, 4, 1.0, 0.75, 1.3, 1.6, 1.9, 0.9, 1.21, ""),
        ),
        notes=("One note of the statistics.",),
    )  # fmt: skip


def _curve() -> CurveResult:
    times = np.arange(-0.5, 4, 0.1)
    plus = np.clip(times - 1, 0, 2)
    minus = np.zeros_like(times)

    def told(values: np.ndarray) -> tuple[float, ...]:
        return tuple(float(value) for value in values)

    return CurveResult(
        "smile over time", "AU12", None, "primary", "before data", "HVHA", "neutral", 12,
        told(times), told(plus), told(plus - 0.2), told(plus + 0.2),
        told(minus), told(minus - 0.1), told(minus + 0.1),
        told(plus), told(plus - 0.3), told(plus + 0.3),
        (CurveCluster(1.2, 3.9, 40.0, 0.001, 0.002), CurveCluster(0.1, 0.2, 2.0, 0.4, math.nan)),
    )  # fmt: skip
