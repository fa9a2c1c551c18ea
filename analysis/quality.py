"""How good each stream of a session is: one row per stream, graded, with reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.codebooks import QUALITY
from duchenne.analysis.values import percent
from duchenne.recorder.certificate import certify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.recorder.certificate import StreamCertificate
    from duchenne.recorder.recording import Recording, Stream

GOOD_FRACTION = 0.8
"""Share of valid samples from which gaze or face counts as good."""
FAIR_FRACTION = 0.5
"""Share of valid samples below which gaze or face counts as poor."""
GRADES = ("good", "fair", "poor")
_AS_MEASURED = (
    "accuracy_deg", "accuracy_left_deg", "accuracy_right_deg", "validation_rms_left_deg",
    "validation_rms_right_deg", "validation_sd_left_deg", "validation_sd_right_deg",
    "n_validation_points", "eye", "rate_varies", "sampling_rate_min_hz", "sampling_rate_max_hz",
)  # fmt: skip
_OF_VERDICT = {"pass": "good", "warn": "fair", "fail": "poor"}


def quality_table(
    recording: Recording,
    *,
    gaze: Mapping[str, Any] | None = None,
    face: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Return one row per stream with rates, gaps, clock, validity and a grade.

    Parameters
    ----------
    recording : Recording
        An open session.
    gaze : mapping, optional
        The ``quality`` of the analysed gaze stream, with ``stream``, ``pupil_unit`` and
        ``pupil_measure``.
    face : mapping, optional
        Measures of the analysed face stream: ``stream``, ``usable_fraction``.

    Returns
    -------
    pandas.DataFrame
        The columns of the quality codebook. The grade is the worse of the stream's transport (its
        certificate) and its share of valid samples: good from 80 %, fair from 50 %.
    """
    certificates = recording.certificate
    rows = []
    for key, stream in recording.streams.items():
        measured = certificates.get(key) or _certify(stream)
        row = _transport(recording, key, stream, measured)
        if gaze and gaze.get("stream") == key:
            row |= _gaze_measures(gaze)
        if face and face.get("stream") == key:
            row["valid_fraction"] = face.get("usable_fraction")
        rows.append(_graded(row, measured))
    return pd.DataFrame(rows, columns=list(QUALITY))


def overall_grade(quality: pd.DataFrame) -> str:
    """Return the worst grade of all streams; ``poor`` where there are none."""
    grades = [str(grade) for grade in quality["grade"].dropna()]
    return max(grades, key=GRADES.index, default="poor")


def _certify(stream: Stream) -> StreamCertificate:
    offsets = stream.clock_offsets
    unknown = np.full((len(offsets), 1), np.nan)
    return certify(stream.info, stream.timestamps, np.hstack([offsets[:, :2], unknown]))


def _transport(
    recording: Recording, key: str, stream: Stream, measured: StreamCertificate
) -> dict[str, Any]:
    regular = measured.nominal_srate_hz > 0
    return {
        "participant": recording.participant,
        "session": recording.session,
        "task": recording.task,
        "run": recording.run,
        "stream": key,
        "type": stream.info.type,
        "n_samples": measured.n_samples,
        "duration_s": measured.duration_s,
        "nominal_rate_hz": measured.nominal_srate_hz if regular else np.nan,
        "effective_rate_hz": measured.effective_srate_hz,
        "jitter_ms": measured.jitter_ms,
        "n_gaps": measured.n_gaps if regular else None,
        "longest_gap_s": measured.longest_gap_s if regular else np.nan,
        "missing_samples": measured.missing_samples if regular else None,
        "clock_offset_ms": measured.offset_ms,
        "clock_offset_uncertainty_ms": measured.offset_uncertainty_ms,
    }


def _gaze_measures(gaze: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "valid_fraction": gaze.get("valid_fraction"),
        "loss_fraction": gaze.get("loss_fraction"),
        "valid_rate_hz": gaze.get("effective_rate_hz"),
        "precision_rms_deg": gaze.get("rms_s2s_deg"),
        "precision_sd_deg": gaze.get("std_deg"),
        "precision_bcea_deg2": gaze.get("bcea_deg2"),
        **{name: gaze.get(name) for name in _AS_MEASURED},
        "pupil_unit": gaze.get("pupil_unit"),
        "pupil_measure": gaze.get("pupil_measure"),
    }


def _graded(row: dict[str, Any], measured: StreamCertificate) -> dict[str, Any]:
    grade = _OF_VERDICT[measured.verdict]
    reasons = list(measured.reasons)
    share = row.get("valid_fraction")
    if share is not None and np.isfinite(share) and share < GOOD_FRACTION:
        reasons.insert(0, f"{percent(share)} of the samples are valid")
        worse = "fair" if share >= FAIR_FRACTION else "poor"
        grade = max(grade, worse, key=GRADES.index)
    return row | {"grade": grade, "reasons": "; ".join(reasons) or None}
