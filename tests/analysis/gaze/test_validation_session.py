from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.sessions import SCREEN as SESSION_SCREEN
from support.sessions import write_session

from duchenne.analysis.gaze.geometry import ScreenGeometry
from duchenne.analysis.gaze.process import analyse_gaze
from duchenne.analysis.gaze.validation import (
    accuracy_deg,
    validated,
    validation_targets,
)
from duchenne.analysis.session import analyze_session
from duchenne.analysis.tables import read_table
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

SCREEN = ScreenGeometry.from_mapping(SESSION_SCREEN)
POINTS_DEG = [(0.0, 0.0), (10.0, 5.0), (-10.0, 5.0), (10.0, -5.0), (-10.0, -5.0)]
RATE_HZ = 300.0
OFFSET_DEG = {"left": 0.5, "right": 1.0}


def _session(path: Path, *, points: bool = True) -> Path:
    """Write a session that looks 0.5° (left eye) and 1° (right eye) beside each point."""
    times = np.arange(round(12 * RATE_HZ)) / RATE_HZ
    index = np.clip((times - 1) // 2, 0, len(POINTS_DEG) - 1).astype(int)
    rng = np.random.default_rng(2)
    columns = {}
    markers: list[tuple[float, str, dict[str, object]]] = []
    for eye, beside in OFFSET_DEG.items():
        x_deg, y_deg = np.array(POINTS_DEG)[index].T + rng.normal(0, 0.02, (2, times.size))
        x, y = SCREEN.to_normalized(*SCREEN.deg_to_px(x_deg + beside, y_deg))
        columns |= {f"{eye}_x": x, f"{eye}_y": y, f"{eye}_valid": np.ones(times.size)}
    for number, place in enumerate(POINTS_DEG if points else []):
        x_px, y_px = (float(v) for v in SCREEN.deg_to_px(*place))
        markers.append((1 + 2 * number, "validation_point", {"position_px": [x_px, y_px]}))
    return write_session(
        path,
        markers=[*markers, (11.0, "session_end", {})],
        gaze=(times, columns),
        gaze_rate_hz=RATE_HZ,
    )


def test_the_validated_accuracy_reaches_the_quality_table(tmp_path: Path) -> None:
    paths = analyze_session(_session(tmp_path / "s.h5"), report=False)
    row = read_table(paths.quality).query("type == 'Gaze'").iloc[0]
    assert row["accuracy_left_deg"] == pytest.approx(0.5, abs=0.02)
    assert row["accuracy_right_deg"] == pytest.approx(1.0, abs=0.03)
    assert row["accuracy_deg"] == pytest.approx(0.75, abs=0.02)
    assert row["n_validation_points"] == len(POINTS_DEG)
    assert row["validation_sd_left_deg"] == pytest.approx(0.02 * math.sqrt(2), rel=0.1)
    assert row["validation_rms_left_deg"] == pytest.approx(0.04, rel=0.1)
    assert row["loss_fraction"] == pytest.approx(0, abs=0.001)
    assert row["valid_rate_hz"] == pytest.approx(RATE_HZ, rel=0.001)
    assert row["eye"] == "both"
    assert not row["rate_varies"]


def test_one_eye_of_a_session(tmp_path: Path) -> None:
    paths = analyze_session(_session(tmp_path / "s.h5"), report=False, eye="right")
    row = read_table(paths.quality).query("type == 'Gaze'").iloc[0]
    assert row["eye"] == "right"
    assert row["accuracy_deg"] == pytest.approx(1.0, abs=0.03)


def test_without_a_validation_the_accuracy_is_not_known(tmp_path: Path) -> None:
    with Recording.open(_session(tmp_path / "s.h5", points=False)) as recording:
        stream = recording.of_type("Gaze")[0]
        columns = {name: stream.column(name) for name in ("left_x", "left_y")}
        result = analyse_gaze(stream.times_s, columns, SCREEN)
        result = validated(result, validation_targets(recording.events))
    assert math.isnan(accuracy_deg(result))
    assert result.quality["n_validation_points"] == 0


def test_the_last_showing_of_a_point_counts(tmp_path: Path) -> None:
    path = write_session(
        tmp_path / "s.h5",
        markers=[
            (1.0, "validation_point", {"position_px": [640, 360]}),
            (2.0, "validation_point", {"position_px": [100, 100], "duration_s": 0.8}),
            (9.0, "validation_point", {"position_px": [640, 360]}),
            (9.5, "validation_point", {"position_px": "nowhere"}),
            (20.0, "session_end", {}),
        ],
    )
    with Recording.open(path) as recording:
        targets = validation_targets(recording.events)
    assert [tuple(np.round(one, 6)) for one in targets] == [
        (2.0, 2.8, 100, 100),
        (9.0, 9.5, 640, 360),
    ]
