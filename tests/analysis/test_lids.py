"""The film of the face tells which losses of gaze are blinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from tests.analysis.constructed import constructed_session, gaze

from duchenne.analysis.lids import LidEvidence
from duchenne.analysis.stages import measure_gaze
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

BLINKS_S = [(1.0, 0.15), (3.0, 0.15), (7.0, 0.15), (9.0, 0.15)]
LOOKED_AWAY_S = (5.0, 0.2)


def film(blinks: list[tuple[float, float]], *, late_s: float = 0.0) -> LidEvidence:
    """Return what a camera of 30 frames/s sees of those blinks."""
    times = np.arange(0, 14, 1 / 30)
    closed = np.full(len(times), 0.05)
    for onset, duration in blinks:
        closed[(times >= onset + late_s) & (times <= onset + duration + late_s)] = 1.0
    table = pd.DataFrame(blinks, columns=["onset", "duration"], dtype=float)
    return LidEvidence(times, closed, table.assign(onset=table["onset"] + late_s))


def lost_gaze() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return gaze that is lost at four blinks, and once while the participant looks away."""
    times, columns = gaze()
    columns = {name: values.copy() for name, values in columns.items()}
    for onset, duration in [*BLINKS_S, LOOKED_AWAY_S]:
        lost = (times >= onset) & (times < onset + duration)
        for eye in ("left", "right"):
            columns[f"{eye}_valid"][lost] = 0.0
            for part in ("x", "y", "pupil"):
                columns[f"{eye}_{part}"][lost] = np.nan
    return times, columns


def blinks_with(path: Path, lids: LidEvidence | None) -> tuple[pd.DataFrame, dict, list[str]]:
    notes: list[str] = []
    with Recording.open(constructed_session(path / "s.h5", gaze=lost_gaze())) as recording:
        measured = measure_gaze(recording, notes, lambda *_: None, lids=lids)
    assert measured is not None
    result = measured[1]
    return result.blinks, result.quality["lid_evidence"], notes


def test_without_a_film_every_loss_of_that_length_is_a_blink(tmp_path: Path) -> None:
    blinks, evidence, _ = blinks_with(tmp_path, None)
    assert len(blinks) == 5
    assert set(blinks["source"]) == {"pupil_loss"}
    assert evidence == {"source": "none"}


@pytest.mark.parametrize("late_s", [0.0, 0.08, -0.05])
def test_lids_that_were_open_make_no_blink(tmp_path: Path, late_s: float) -> None:
    blinks, evidence, notes = blinks_with(tmp_path, film(BLINKS_S, late_s=late_s))
    np.testing.assert_allclose(blinks["onset"], [onset for onset, _ in BLINKS_S], atol=0.005)
    assert set(blinks["source"]) == {"lid"}
    assert evidence["source"] == "film of the face"
    assert (evidence["n_film_blinks"], evidence["n_with_loss_of_gaze"]) == (4, 4)
    assert evidence["open_lids_count"] is True
    assert not any("film of the face" in note for note in notes)


def test_a_film_that_is_not_in_time_refutes_nothing(tmp_path: Path) -> None:
    elsewhere = [(onset, 0.15) for onset in (2.0, 4.0, 6.0, 8.0, 10.0, 12.0)]
    blinks, evidence, notes = blinks_with(tmp_path, film(elsewhere))
    assert len(blinks) == 5
    assert set(blinks["source"]) == {"pupil_loss"}
    assert evidence["open_lids_count"] is False
    assert any("Only 0 of 6 blinks in the film of the face" in note for note in notes)


def test_too_few_blinks_in_the_film_refute_nothing(tmp_path: Path) -> None:
    blinks, evidence, notes = blinks_with(tmp_path, film(BLINKS_S[:2]))
    assert blinks["source"].tolist() == ["lid", "lid", *["pupil_loss"] * 3]
    assert evidence["open_lids_count"] is False
    assert not any("film of the face" in note for note in notes)


def test_a_film_of_no_eyes_is_no_evidence() -> None:
    assert LidEvidence.of(None) is None
