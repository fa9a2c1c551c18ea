"""Gaze of whole session files: notes on what cannot be measured, and columns of the summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from support.sessions import SCREEN as SESSION_SCREEN
from support.sessions import write_session
from support.synthetic_gaze import make_gaze

from duchenne.analysis.gaze.codebook import FEATURES
from duchenne.analysis.gaze.geometry import ScreenGeometry
from duchenne.analysis.presentation_features import gaze_features_of
from duchenne.analysis.presentations import presentations
from duchenne.analysis.stages import measure_gaze, measure_pupil
from duchenne.analysis.summary import summarise, summary_codebook
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

RECT = [160, 60, 1120, 660]


def summary_of(path: Path, rate_hz: float) -> tuple[pd.DataFrame, list[str]]:
    screen = ScreenGeometry.from_mapping(SESSION_SCREEN)
    gaze = make_gaze([5.0] * 20, rate_hz=rate_hz, fixation_s=0.4, noise_deg=0.02)
    x, y = screen.to_normalized(*screen.deg_to_px(gaze.x_deg, gaze.y_deg))
    columns = {f"{eye}_{axis}": v for eye in ("left", "right") for axis, v in (("x", x), ("y", y))}
    common = {"trial": 1, "stimulus": "a", "presentation_id": "P01-01-01-001"}
    markers = [
        (1.0, "stimulus_onset", common | {"kind": "image", "rect_px": RECT}),
        (6.0, "stimulus_offset", common),
        (8.0, "session_end", {}),
    ]
    path = write_session(path, markers=markers, gaze=(gaze.times_s, columns), gaze_rate_hz=rate_hz)
    notes: list[str] = []
    with Recording.open(path) as recording:
        shown = presentations(recording)
        measured = measure_gaze(recording, notes, lambda *_: None)
        assert measured is not None
        table = summarise(
            shown,
            recording.stimuli,
            gaze=gaze_features_of(
                measured[1], measure_pupil(recording, measured[1], shown, []), shown
            ),
        )
    return table, notes


def test_all_gaze_measures_reach_the_summary(tmp_path: Path) -> None:
    table, notes = summary_of(tmp_path / "fast.h5", 600.0)
    assert set(FEATURES) <= set(table.columns)
    assert table["n_saccades"][0] == table["n_fixations"][0] == 11
    assert table["pursuit_fraction"][0] == 0  # an image was shown
    assert np.isfinite(table["gaze_bcea_deg2"][0])
    assert notes == []


def test_a_slow_tracker_is_noted(tmp_path: Path) -> None:
    table, notes = summary_of(tmp_path / "slow.h5", 30.0)
    assert table["mean_saccade_amplitude_deg"].isna().all()
    assert np.isfinite(table["gaze_entropy"][0])
    assert any("microsaccade_rate_hz: needs 300 Hz, it was 30 Hz" in note for note in notes)


def test_new_measures_come_after_those_of_the_contract() -> None:
    columns = list(summary_codebook())
    assert columns.index("gaze_entropy") < columns.index("face_usable_fraction")
    assert columns.index("coefficient_k") > columns.index("exclusion_reason")
