"""A participant who copies the face in a film 0.4 s later: from the session file to its tables."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from support.sessions import write_session

import duchenne.recorder.sources
from duchenne.analysis.crossmodal.film_faces import NO_FACE, film_face
from duchenne.analysis.crossmodal.reactions import FACE
from duchenne.analysis.provenance import sha256_of
from duchenne.analysis.session import analyze_session
from duchenne.analysis.tables import read_table
from duchenne.stimuli.manifest import StimulusSet

if TYPE_CHECKING:
    from duchenne.analysis.paths import AnalysisPaths

CLIP = Path(duchenne.recorder.sources.__file__).parent / "data" / "participant" / "happiness.mp4"
LAG_S = 0.4
ONSET_S, FILM_S = 3.0, 6.0
CAMERA_HZ = 15.0


def jpegs(path: Path, every: int) -> list[bytes]:
    """Return frames of a film as JPEG."""
    import av

    found = []
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i % every == 0:
                buffer = io.BytesIO()
                frame.to_image().save(buffer, "JPEG", quality=90)
                found.append(buffer.getvalue())
    return found


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> AnalysisPaths:
    """Two films, one with a face: the results of a session."""
    root = tmp_path_factory.mktemp("mimicry")
    stimuli = root / "stimuli"
    stimuli.mkdir()
    shutil.copy(CLIP, stimuli / "smile.mp4")
    landscape = StimulusSet.bundled().folder / "corridor.mp4"
    shutil.copy(landscape, stimuli / "corridor.mp4")
    clip = jpegs(CLIP, 2)
    times = np.arange(round((ONSET_S + FILM_S + 2) * CAMERA_HZ)) / CAMERA_HZ
    which = np.clip(((times - ONSET_S - LAG_S) * CAMERA_HZ).round().astype(int), 0, len(clip) - 1)
    flips = ONSET_S + np.arange(round(FILM_S * 60)) / 60
    media = np.floor((flips - ONSET_S) * 30 + 1e-9) / 30
    shown = np.column_stack([np.ones(flips.size), media * 30, media, np.full(flips.size, 1 / 60)])
    about = {
        "id": ["smile", "corridor"],
        "file": ["smile.mp4", "corridor.mp4"],
        "kind": ["video", "video"],
        "sha256": [sha256_of(stimuli / "smile.mp4"), sha256_of(stimuli / "corridor.mp4")],
    }
    film = {"trial": 1, "block": "main", "stimulus": "smile"}
    other = {"trial": 2, "block": "main", "stimulus": "corridor"}
    end = ONSET_S + FILM_S
    markers = [
        (0.1, "neutral_onset", {}),
        (2.0, "neutral_offset", {}),
        (ONSET_S, "stimulus_onset", film | {"kind": "video", "file": "smile.mp4"}),
        (end, "stimulus_offset", film),
        (end + 0.2, "stimulus_onset", other | {"kind": "video", "file": "corridor.mp4"}),
        (end + 1.5, "stimulus_offset", other),
        (end + 1.8, "session_end", {}),
    ]
    folder = root / "study" / "sourcedata" / "sub-P01" / "ses-01"
    folder.mkdir(parents=True)
    session = write_session(
        folder / "sub-P01_ses-01_task-test_run-01_session.h5",
        markers=markers, frames=(times, [clip[i] for i in which]), shown_frames=(flips, shown),
        stimuli=about, stimuli_source=str(stimuli / "manifest.tsv"),
    )  # fmt: skip
    return analyze_session(session, report=False)


def test_the_reaction_is_when_the_smile_was_copied(analysed: AnalysisPaths) -> None:
    table = read_table(analysed.table("reactions")).set_index(["stimulus_id", "au"])
    smile = table.loc[("smile", "AU12")]
    assert smile["reacted"]
    truth = pd.read_csv(CLIP.with_suffix(".csv"))
    begins_s = truth.loc[truth["AU12"] > 0.1 * truth["AU12"].max(), "time_s"].iloc[0]
    assert smile["latency_s"] == pytest.approx(begins_s + LAG_S, abs=1 / CAMERA_HZ)
    assert smile["uncertainty_s"] == pytest.approx(1 / CAMERA_HZ, abs=1e-6)
    assert not smile["latency_known"]
    first = table.loc[("smile", FACE)]
    assert first["latency_s"] <= smile["latency_s"]
    summary = read_table(analysed.summary).set_index("stimulus_id")
    assert summary["face_reaction_latency_s"]["smile"] == pytest.approx(first["latency_s"])
    assert summary["face_reaction_au"]["smile"] == first["first_au"]
    book = json.loads(analysed.summary.with_suffix(".json").read_text(encoding="utf-8"))
    assert "latency_unknown" in book["face_reaction_latency_s"]["Description"]


def test_mimicry_has_the_lag_of_the_copy(analysed: AnalysisPaths) -> None:
    table = read_table(analysed.table("mimicry")).set_index(["stimulus_id", "au"])
    smile = table.loc[("smile", "AU12")]
    assert smile["r"] > 0.8
    assert smile["lag_s"] == pytest.approx(LAG_S, abs=0.1)
    # Six seconds are too short for any p to be small, and the table says how many shifts there were.
    assert smile["p"] > 0.05
    assert table.loc[("corridor", FACE), "reason"] == NO_FACE
    summary = read_table(analysed.summary).set_index("stimulus_id")
    assert summary["mimicry_r"]["smile"] == table.loc[("smile", FACE), "r"]
    assert np.isnan(summary["mimicry_r"]["corridor"])


def test_a_film_is_measured_once(analysed: AnalysisPaths, tmp_path: Path) -> None:
    cache = analysed.folder.parent.parent / ".films"
    kept = sorted(cache.glob("*.parquet"))
    assert len(kept) == 2
    before = [path.stat().st_mtime_ns for path in kept]
    again = film_face(CLIP, backend="geometry", cache=cache)
    assert again.reason == ""
    assert "AU12" in again.aus
    assert [path.stat().st_mtime_ns for path in kept] == before
    broken = tmp_path / "film.mp4"
    broken.write_bytes(b"no film")
    assert film_face(broken, backend="geometry").reason.startswith("the film was not measured")
