"""Synchrony of faces and pupils, read from the tables of analysed sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.codebooks import AU_FRAME, GAZE, au_columns
from duchenne.analysis.crossmodal.synchrony_study import write_signal_synchrony
from duchenne.analysis.paths import AnalysisPaths
from duchenne.analysis.summary import summary_codebook
from duchenne.analysis.tables import codebook_of, read_table, write_parquet, write_table

if TYPE_CHECKING:
    from pathlib import Path

FILM_S = 30.0


def analysed(folder: Path, person: int, *, face: bool = True) -> AnalysisPaths:
    """Write the tables of a session whose film began later for each person."""
    label = f"P{person}"
    paths = AnalysisPaths(folder / label, f"sub-{label}")
    identity = {"participant": label, "session": "01", "task": "test", "run": "01"}
    where = {"presentation_id": f"{label}-01-01-001", "stimulus_id": "film"}
    book = summary_codebook()
    shown = {"kind": "video", "onset": 3.0 * person, "duration": FILM_S}
    summary = pd.DataFrame([identity | where | shown])
    write_table(summary, paths.summary, codebook_of(summary, book))
    rng = np.random.default_rng(person)
    times = np.arange(0, FILM_S, 1 / 30) + 3.0 * person
    media = np.floor((times - 3.0 * person) * 24) / 24
    shared = 1 + np.sin(2 * np.pi * media / 7.0)
    if face:
        frames = pd.DataFrame(identity | where, index=range(times.size)).assign(
            time=times,
            media_time_s=media,
            speaking=False,
            AU12_r=shared + rng.normal(0, 0.2, times.size),
            AU12_c=1,
            AU04_r=0.0,
        )
        frames.loc[5:10, "speaking"] = True
        columns = au_columns([str(name) for name in frames.columns])
        write_table(frames, paths.au, codebook_of(frames, AU_FRAME | columns))
    samples = pd.DataFrame({"time": times, "media_time_s": media, "pupil": 3 + person + shared})
    samples = samples.assign(**where, x_deg=0.0, y_deg=0.0)
    write_parquet(samples, paths.gaze, codebook_of(samples, GAZE))
    return paths


def test_faces_and_pupils_of_a_study(tmp_path: Path) -> None:
    sessions = [analysed(tmp_path, person, face=person < 4) for person in range(5)]
    path = write_signal_synchrony(sessions, tmp_path / "signal_synchrony.tsv")
    assert path is not None
    table = read_table(path).set_index(["participant", "signal"])
    assert len(table) == 15
    assert table.loc[[(f"P{i}", "AU12") for i in range(4)], "isc"].min() > 0.95
    assert table.loc[("P4", "AU12"), "reason"] == "measured in 0% of the film, less than 50%"
    assert table.loc[("P0", "pupil"), "isc"] == pytest.approx(1, abs=0.01)
    assert table.loc[("P0", "pupil"), "n_others"] == 4
    assert table.loc[("P0", "AU04"), "reason"].startswith("it did not move")
    assert write_signal_synchrony([], path) is None
    assert not path.exists()
