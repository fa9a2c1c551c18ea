"""A small analysed study, built from values that are known: tables alone, no analysis runs.

In stimuli of category HVHA the face smiles (AU12 to 2.5 from 1 s to 3 s), in LVHA the brow lowers (AU04 to
2), and the pupil widens by 0.3 mm in both; neutral stimuli change nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from support.sessions import write_session

from duchenne.analysis.codebooks import QUALITY
from duchenne.analysis.paths import AnalysisPaths, analysis_paths, derivatives_of
from duchenne.analysis.quality import quality_table
from duchenne.analysis.summary import summary_codebook
from duchenne.analysis.tables import Column, write_parquet, write_table
from duchenne.recorder.recording import Recording
from duchenne.stimuli.manifest import StimulusSet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DURATION_S, GAP_S, RATE_HZ, GAZE_HZ = 4.0, 3.0, 15.0, 30.0
SMILE, FROWN, WIDER_MM = 2.5, 2.0, 0.3
CATEGORIES = {"HVHA": "AU12", "LVHA": "AU04", "neutral": None}
AUS = ("AU01", "AU04", "AU06", "AU12", "AU15")


def write_study(
    study: Path,
    n_participants: int,
    *,
    per_category: int = 2,
    categories: Sequence[str] = tuple(CATEGORIES),
    exclude_first: bool = True,
    with_files: int = 1,
) -> Path:
    """Write an analysed study and return its folder.

    Parameters
    ----------
    study : Path
    n_participants, per_category : int
    categories : sequence of str
        Of the bundled stimuli.
    exclude_first : bool
        Whether the first presentation of the first participant is excluded.
    with_files : int
        Participants whose session file is there too.
    """
    stimuli = _stimuli(categories, per_category)
    people = [f"P{i:02d}" for i in range(1, n_participants + 1)]
    summaries = []
    for i, person in enumerate(people):
        file = study / "sourcedata" / f"sub-{person}" / "ses-01"
        name = f"sub-{person}_ses-01_task-test_run-01_session.h5"
        if i < max(with_files, 1):
            file.mkdir(parents=True, exist_ok=True)
            _session_file(file / name, person, stimuli)
        paths = AnalysisPaths(
            derivatives_of(study) / f"sub-{person}" / "ses-01",
            analysis_paths(file / name).stem,
        )
        first = study / "sourcedata" / "sub-P01" / "ses-01" / name.replace(person, "P01")
        summaries.append(
            _write_results(paths, person, i, stimuli, first, excluded=exclude_first and i == 0)
        )
    together = pd.concat(summaries, ignore_index=True)
    write_parquet(together, derivatives_of(study) / "summary.parquet", _book(together))
    (study / "study.yaml").write_text("name: small\ntitle: A small study\n", encoding="utf-8")
    (study / "participants.tsv").write_text(
        "participant_id\tage\n" + "".join(f"sub-{p}\t30\n" for p in people), encoding="utf-8"
    )
    return study


def shape(category: str, t_s: np.ndarray) -> np.ndarray:
    """Return the course of a reaction: a ramp up at 1 s, down at 3 s, between 0 and 1."""
    if category == "neutral":
        return np.zeros_like(t_s)
    return np.clip((t_s - 1) / 0.4, 0, 1) - np.clip((t_s - 3) / 0.4, 0, 1)


def _stimuli(categories: Sequence[str], per_category: int) -> list[Any]:
    chosen = []
    for category in categories:
        own = [one for one in StimulusSet.bundled() if one.category == category]
        chosen += own[:per_category]
    return chosen


def _session_file(path: Path, person: str, stimuli: Sequence[Any]) -> None:
    columns = ("id", "file", "kind", "category", "sha256", "redistributable")
    write_session(
        path,
        participant=person,
        markers=[(1.0, "session_end", {})],
        stimuli={name: [getattr(one, name) for one in stimuli] for name in columns},
        stimuli_source="bundled",
    )


def _write_results(
    paths: AnalysisPaths,
    person: str,
    number: int,
    stimuli: Sequence[Any],
    file: Path,
    *,
    excluded: bool,
) -> pd.DataFrame:
    rng = np.random.default_rng(number)
    order = rng.permutation(len(stimuli))
    end = len(stimuli) * (DURATION_S + GAP_S) + GAP_S
    time, gaze_time = np.arange(0, end, 1 / RATE_HZ), np.arange(0, end, 1 / GAZE_HZ)
    faces = {au: np.abs(rng.normal(0, 0.05, time.size)) for au in AUS}
    pupil = 3.0 + rng.normal(0, 0.01, gaze_time.size)
    strength = 1 + 0.25 * rng.normal()
    rows = []
    for trial, index in enumerate(order, 1):
        stimulus = stimuli[index]
        onset = GAP_S + (trial - 1) * (DURATION_S + GAP_S)
        au = CATEGORIES[stimulus.category]
        height = {"AU12": SMILE, "AU04": FROWN}.get(au or "", 0.0) * strength
        if au:
            faces[au] = faces[au] + height * shape(stimulus.category, time - onset)
        pupil += WIDER_MM * strength * shape(stimulus.category, gaze_time - onset)
        about = {"participant": person, "trial": trial, "onset": onset}
        rows.append(about | _row(stimulus, au, height, rng))
    if excluded:
        rows[0] |= {
            "excluded": True,
            "exclusion_reason": "gaze valid in 31.2% of the stimulus, less than 50%",
        }
    summary = pd.DataFrame(rows)
    identity = {"participant": person, "session": "01", "task": "test", "run": "01"}
    write_table(summary, paths.summary, _book(summary))
    with Recording.open(file) as recording:
        quality = quality_table(recording)
    quality = pd.concat([quality, _streams(rng)], ignore_index=True).assign(**identity)
    write_table(quality[list(QUALITY)], paths.quality, QUALITY)
    au_table = pd.DataFrame(
        {"time": time, "usable": True} | {f"{n}_r": v for n, v in faces.items()}
    )
    write_table(au_table, paths.au, _any_book(au_table))
    samples = pd.DataFrame({"time": gaze_time, "pupil": pupil})
    write_parquet(samples, paths.gaze, _any_book(samples))
    paths.provenance.write_text(json.dumps(_provenance(paths)), encoding="utf-8")
    paths.report.write_text("<!DOCTYPE html><title>session</title>", encoding="utf-8")
    return summary


def _row(stimulus: Any, au: str | None, height: float, rng: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "session": "01", "task": "test", "run": "01",
        "stimulus_id": stimulus.id, "category": stimulus.category,
        "duration": DURATION_S, "kind": stimulus.kind,
        "rating_valence": float(np.clip(round(stimulus.valence + rng.normal(0, 0.8)), 1, 9)),
        "rating_arousal": float(np.clip(round(stimulus.arousal + rng.normal(0, 0.8)), 1, 9)),
        "norm_valence": stimulus.valence, "norm_arousal": stimulus.arousal,
        "pupil_baseline": 3.0, "pupil_unit": "mm", "pupil_measure": "diameter",
        "pupil_change_mean": WIDER_MM / 2 if au else 0.0,
        "expr_prototype_top": {"AU12": "happiness", "AU04": "anger"}.get(au or "", "neutral"),
        "excluded": False, "exclusion_reason": None,
    }  # fmt: skip
    for name in AUS:
        mean = 0.04 + (height / 2 if name == au else 0.0)
        row |= {f"{name}_mean": mean, f"{name}_change_mean": mean - 0.04}
    return row


def _streams(rng: Any) -> pd.DataFrame:
    gaze = {
        "stream": "Gaze", "type": "Gaze", "effective_rate_hz": 300.0, "nominal_rate_hz": 300.0,
        "valid_fraction": 0.96, "loss_fraction": 0.04, "accuracy_deg": 0.4 + 0.2 * rng.random(),
        "precision_rms_deg": 0.05, "grade": "good", "pupil_unit": "mm", "pupil_measure": "diameter",
        "n_validation_points": 5,
    }  # fmt: skip
    face = {
        "stream": "FaceVideo", "type": "VideoCompressed", "effective_rate_hz": 30.0,
        "valid_fraction": 0.74, "grade": "fair", "reasons": "74.0% of the samples are valid",
    }  # fmt: skip
    return pd.DataFrame([gaze, face]).reindex(columns=list(QUALITY))


def _provenance(paths: AnalysisPaths) -> dict[str, Any]:
    return {
        "software": {"duchenne": "0.1.0", "python": "3.11", "recorded_with": "0.1.0"},
        "packages": {"numpy": "2.3.5"},
        "session": {"file": f"{paths.stem}_session.h5", "sha256": "a" * 64},
        "protocol": {"name": "test", "sha256": "b" * 64},
        "configuration": {
            "au_backend": "geometry",
            "exclusion_rules": {"min_gaze_valid_fraction": 0.5},
            "screen": {"width_px": 1280, "height_px": 720, "width_cm": 53.1, "height_cm": 29.9,
                       "distance_cm": 60.0, "refresh_hz": 60.0},
            "gaze_stream": "Gaze", "gaze_eye": "both", "gaze_detector": "adaptive",
            "gaze": {"distance_cm": 60.0, "distance_source": "declared"},
            "face_stream": "FaceVideo", "face_calibration": {"source": "neutral phase"},
            "face": {"dynamics": {"leave_out_speech": True}},
        },
        "notes": [],
    }  # fmt: skip


def _book(summary: pd.DataFrame) -> dict[str, Column]:
    return _any_book(summary) | {
        name: column for name, column in summary_codebook().items() if name in summary
    }


def _any_book(table: pd.DataFrame) -> dict[str, Column]:
    return {str(name): Column("As the test made it.") for name in table.columns}
