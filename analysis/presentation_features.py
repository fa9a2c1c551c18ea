"""What was measured while each stimulus was shown: the features that the summary joins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.values import number, records

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from duchenne.analysis.face.process import FaceResult
    from duchenne.analysis.gaze.process import GazeResult
    from duchenne.analysis.gaze.pupil_session import SessionPupil
    from duchenne.analysis.windows_face import FaceSeries


def gaze_features_of(
    result: GazeResult, pupil: SessionPupil | None, shown: pd.DataFrame
) -> list[dict[str, Any]]:
    """Return the gaze and pupil features of each presentation."""
    gaze = _gaze_features(result, shown)
    if pupil is None:
        return gaze
    return [{**g, **p} for g, p in zip(gaze, pupil_features_of(pupil, shown), strict=True)]


def pupil_features_of(pupil: SessionPupil, shown: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the cleaned and corrected pupil features of each presentation, with a standard error."""
    from duchenne.analysis.gaze.pupil import LATENCY_S  # noqa: PLC0415
    from duchenne.analysis.gaze.pupil_features import pupil_features  # noqa: PLC0415
    from duchenne.analysis.windows_gaze import pupil_error  # noqa: PLC0415

    rows = [dict(row) for row in pupil_features(pupil, shown)]
    for row, (onset, offset) in zip(rows, _spans(shown), strict=True):
        known = np.isfinite(number(row.get("pupil_change_clean_mean")))
        error = pupil_error(pupil, onset + LATENCY_S, offset) if known else np.nan
        row["pupil_change_clean_mean_se"] = error
    return rows


def _spans(shown: pd.DataFrame) -> list[tuple[float, float]]:
    return [(float(row["onset_s"]), float(row["offset_s"])) for row in records(shown)]


def _gaze_features(result: GazeResult, shown: pd.DataFrame) -> list[dict[str, Any]]:
    from duchenne.analysis.gaze.features import gaze_features  # noqa: PLC0415

    rows = []
    for row in records(shown):
        found: dict[str, Any] = {}
        if row["offset_s"] > row["onset_s"]:
            found = dict(
                gaze_features(result, row["onset_s"], row["offset_s"], rect_px=row["rect_px"])
            )
            found["mean_fixation_duration_se_s"] = _fixation_error(result, row)
        rows.append(found)
    return rows


def _fixation_error(result: GazeResult, row: Mapping[str, Any]) -> float:
    """Return the standard error of the mean duration of the fixations of a presentation."""
    fixations = result.fixations
    onset = fixations["onset"].to_numpy(np.float64)
    duration = fixations["duration"].to_numpy(np.float64)
    whole = ~fixations["clipped"].to_numpy(dtype=bool)
    inside = (onset >= row["onset_s"]) & (onset + duration <= row["offset_s"]) & whole
    n = int(inside.sum())
    return float(duration[inside].std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan


def face_features_of(
    result: FaceResult, shown: pd.DataFrame, series: FaceSeries
) -> list[dict[str, Any]]:
    """Return the face features of each presentation; `series` are the frames of the result."""
    from duchenne.analysis.face.dynamics_features import (  # noqa: PLC0415
        MIN_MEASURED_FRACTION,
        dynamics_features,
    )

    rows: list[dict[str, Any]] = []
    for onset, offset in _spans(shown):
        row: dict[str, Any] = {}
        if offset > onset:
            row = series.measures(onset, offset, onset)
            row["expr_prototype_top"] = series.top_prototype(onset, offset)
            if result.dynamics is not None:
                enough = row["face_usable_fraction"] >= MIN_MEASURED_FRACTION
                row |= dynamics_features(
                    result.table, result.dynamics, onset, offset, measured=enough
                )
        rows.append(row)
    return rows
