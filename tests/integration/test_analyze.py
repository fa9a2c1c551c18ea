"""From session files to tables and reports, with the face of a rendered head as video."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from tests.analysis.constructed import END_S, ONSETS_S, STIMULI, constructed_session
from typer.testing import CliRunner

import duchenne.recorder.sources
from duchenne.analysis.cli import app, print_summary_table
from duchenne.analysis.paths import AnalysisPaths, analysis_paths
from duchenne.analysis.provenance import sha256_of
from duchenne.analysis.session import analyze_session
from duchenne.analysis.study import analyze_study
from duchenne.analysis.tables import read_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence

CLIPS = Path(duchenne.recorder.sources.__file__).parent / "data" / "participant"
FRAMES_PER_SECOND = 10


def face_frames() -> tuple[np.ndarray, Sequence[bytes]]:
    """Return a neutral face that smiles from half a second after each onset to the offset."""
    neutral, smile = (_jpeg(CLIPS / f"{name}.mp4") for name in ("neutral", "happiness"))
    times = np.arange(round(END_S * FRAMES_PER_SECOND)) / FRAMES_PER_SECOND + 0.02
    smiles = [any(on + 0.5 <= t < on + 2.0 for on in ONSETS_S) for t in times]
    return times, [smile if is_smile else neutral for is_smile in smiles]


def _jpeg(clip: Path) -> bytes:
    """Return the frame in the middle of a clip."""
    import av

    with av.open(str(clip)) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    buffer = io.BytesIO()
    frames[len(frames) // 2].save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def session_in(study: Path, participant: str, **changes: object) -> Path:
    """Write the constructed session into a study."""
    folder = study / "sourcedata" / f"sub-{participant}" / "ses-01"
    folder.mkdir(parents=True)
    name = f"sub-{participant}_ses-01_task-test_run-01_session.h5"
    return constructed_session(folder / name, participant=participant, **changes)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AnalysisPaths]:
    """Return a session with gaze and face, and its results."""
    session = session_in(tmp_path_factory.mktemp("study"), "P01", frames=face_frames())
    return session, analyze_session(session)


def test_all_results_lie_in_the_derivatives_of_the_study(
    analysed: tuple[Path, AnalysisPaths],
) -> None:
    session, paths = analysed
    folder = session.parents[3] / "derivatives" / "duchenne" / "sub-P01" / "ses-01"
    stem = "sub-P01_ses-01_task-test_run-01"
    tables = (
        "events", "fixations", "saccades", "blinks", "au", "au_events", "reactions", "summary", "quality",
    )  # fmt: skip
    expected = {f"{stem}_{name}{suffix}" for name in tables for suffix in (".tsv", ".json")}
    expected |= {
        f"{stem}_{rest}"
        for rest in (
            "gaze.parquet", "gaze.json", "windows.parquet", "windows.json", "report.html",
            "provenance.json",
        )
    } | {".measured"}  # fmt: skip
    assert {path.name for path in folder.iterdir()} == expected
    assert paths.folder == folder.resolve()
    assert [note for note in paths.notes if not note.startswith("Pupil: ")] == []


def test_the_smile_is_where_it_was_shown(analysed: tuple[Path, AnalysisPaths]) -> None:
    au, summary = read_table(analysed[1].au), read_table(analysed[1].summary)
    assert len(au) == round(END_S * FRAMES_PER_SECOND)
    in_stimulus = au[au["phase"] == "stimulus"]
    smiling = in_stimulus["t_from_onset_s"].between(0.5, 2.0)
    assert in_stimulus.loc[smiling, "AU12_r"].min() > in_stimulus.loc[~smiling, "AU12_r"].max() + 1
    assert (summary["AU12_change_mean"] > 1).all()
    assert (summary["face_usable_fraction"] == 1).all()
    neutral = au.loc[au["phase"] == "neutral", "AU12_r"]
    assert neutral.median() == pytest.approx(0, abs=0.2)


def test_every_column_of_the_face_is_described(analysed: tuple[Path, AnalysisPaths]) -> None:
    for table in (analysed[1].au, analysed[1].summary):
        book = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))
        assert list(book) == list(read_table(table).columns)
        assert "AU12" in " ".join(book)


def test_the_report_needs_no_network_and_tells_no_secrets(
    analysed: tuple[Path, AnalysisPaths],
) -> None:
    session, paths = analysed
    html = paths.report.read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "http://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    assert str(session.parent) not in html
    assert paths.report.stat().st_size < 15e6
    assert html.count("<article") == 2
    assert html.count("alt=") >= 3
    for said in ("calm", "loud", "not what the person felt", "AU12 lip corner puller", "600.0 Hz"):
        assert said in html or said in _svg_texts(html)


def test_the_report_shows_the_stimulus_that_was_shown_and_no_other(tmp_path: Path) -> None:
    from PIL import Image

    from duchenne.analysis.reports.pictures import stimulus_pictures

    for name, colour in (("calm", "green"), ("loud", "red")):
        Image.new("RGB", (64, 48), colour).save(tmp_path / f"{name}.png")
    rows = pd.DataFrame(STIMULI)
    rows.loc[0, "sha256"] = sha256_of(tmp_path / "calm.png")
    pictures = stimulus_pictures(rows, str(tmp_path / "manifest.tsv"))
    assert pictures["calm"].uri is not None
    assert pictures["calm"].aspect == pytest.approx(64 / 48)
    assert (pictures["loud"].uri, pictures["loud"].missing) == (
        None,
        "file changed since the session",
    )
    assert stimulus_pictures(rows, "")["calm"].missing == "file not found"


def test_provenance_says_with_what(analysed: tuple[Path, AnalysisPaths]) -> None:
    text = analysed[1].provenance.read_text(encoding="utf-8")
    found = json.loads(text)
    assert found["configuration"]["au_backend"] == "geometry"
    assert found["configuration"]["exclusion_rules"]["min_gaze_valid_fraction"] == 0.5
    assert set(found["keys"]) == {"measurement", "summary"}
    assert len(found["models"]["sha256"]) == 64
    assert len(found["stimuli"]["sha256"]) == 64
    summary = found["tables"][analysed[1].summary.name]
    assert summary["sha256"] == sha256_of(analysed[1].summary)
    assert found["configuration"]["neutral_intervals_s"] == [[0.5, 2.5]]
    assert found["session"]["file"] == analysed[0].name
    assert len(found["session"]["sha256"]) == 64
    assert str(analysed[0].parent) not in text


def test_report_draws_again_from_the_tables(analysed: tuple[Path, AnalysisPaths]) -> None:
    session, paths = analysed
    before = paths.summary.stat().st_mtime_ns
    first = paths.report.read_text(encoding="utf-8")
    paths.report.unlink()
    result = CliRunner().invoke(app, ["report", str(session)])
    assert result.exit_code == 0
    assert result.stdout.strip().splitlines()[-1].endswith("_report.html")
    assert paths.report.read_text(encoding="utf-8") == first
    assert paths.summary.stat().st_mtime_ns == before


def test_the_printed_table_names_each_presentation(
    analysed: tuple[Path, AnalysisPaths], capsys: pytest.CaptureFixture[str]
) -> None:
    print_summary_table(read_table(analysed[1].summary))
    printed = capsys.readouterr().out
    assert "calm" in printed
    assert "AU12" in printed
    assert "not what was felt" in printed


def test_a_file_outside_a_study_is_analysed_beside_itself(tmp_path: Path) -> None:
    session = constructed_session(tmp_path / "visit.h5")
    assert analyze_session(session, report=False).folder == tmp_path / "visit_derivatives"
    result = CliRunner().invoke(app, ["analyze", str(session), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0
    assert result.stdout.strip().endswith(str(tmp_path / "out"))
    assert (tmp_path / "out" / "visit_summary.tsv").is_file()
    assert "No face video" in result.stderr


def test_a_session_without_gaze_and_face_still_gives_a_report(tmp_path: Path) -> None:
    paths = analyze_session(constructed_session(tmp_path / "s.h5", gaze=None))
    assert not paths.fixations.exists()
    assert "No gaze was recorded" in paths.report.read_text(encoding="utf-8")
    assert len(read_table(paths.summary)) == 2


def test_tables_of_a_stream_that_is_no_more_are_removed(tmp_path: Path) -> None:
    session = constructed_session(tmp_path / "s.h5")
    assert analyze_session(session, report=False).fixations.is_file()
    session.unlink()
    paths = analyze_session(constructed_session(session, gaze=None), report=False)
    assert not paths.fixations.exists()
    assert not paths.gaze.exists()


def test_one_bad_session_does_not_stop_the_study(tmp_path: Path) -> None:
    session_in(tmp_path, "P01")
    bad = session_in(tmp_path, "P02")
    session_in(tmp_path, "P03", gaze=None)
    bad.write_bytes(bad.read_bytes()[:5000])
    result = analyze_study(tmp_path)
    assert [path.stem.partition("_")[0] for path in (p.summary for p in result.sessions)] == [
        "sub-P01",
        "sub-P03",
    ]
    assert [file.name for file, _ in result.failed] == [bad.name]
    assert result.summary == tmp_path / "derivatives" / "duchenne" / "summary.parquet"
    together = pd.read_parquet(result.summary)
    assert together["participant"].tolist() == ["P01", "P01", "P03", "P03"]
    assert together["n_fixations"].isna().tolist() == [False, False, True, True]
    book = json.loads(result.summary.with_suffix(".json").read_text(encoding="utf-8"))
    assert list(book) == list(together.columns)
    outcome = CliRunner().invoke(app, ["analyze", str(tmp_path)])
    assert outcome.exit_code == 1
    assert bad.name in outcome.stderr
    assert outcome.stdout.strip().endswith("summary.parquet")


def test_an_empty_study_says_what_a_study_holds(tmp_path: Path) -> None:
    with pytest.raises(DuchenneError, match="sourcedata"):
        analyze_study(tmp_path)


def test_a_failed_analysis_leaves_the_results_before_it(tmp_path: Path) -> None:
    session = constructed_session(tmp_path / "s.h5")
    paths = analyze_session(session, report=False)
    before = {p.name: p.read_bytes() for p in paths.folder.rglob("*") if p.is_file()}
    session.write_bytes(b"not HDF5")
    with pytest.raises(DuchenneError):
        analyze_session(session, report=False)
    after = {p.name: p.read_bytes() for p in paths.folder.rglob("*") if p.is_file()}
    assert after == before


@pytest.mark.parametrize("name", ["missing.h5", "foreign.h5", "truncated.h5", "empty"])
def test_bad_input_is_one_line(tmp_path: Path, name: str) -> None:
    whole = constructed_session(tmp_path / "whole.h5")
    (tmp_path / "foreign.h5").write_text("hello", encoding="utf-8")
    (tmp_path / "truncated.h5").write_bytes(whole.read_bytes()[:9000])
    (tmp_path / "empty").mkdir()
    shutil.rmtree(tmp_path / "whole_derivatives", ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "duchenne.cli", "analyze", str(tmp_path / name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_the_folder_follows_the_location_of_the_file(tmp_path: Path) -> None:
    inside = tmp_path / "sourcedata" / "sub-P01" / "ses-02" / "sub-P01_ses-02_session.h5"
    paths = analysis_paths(inside)
    assert paths.folder == tmp_path / "derivatives" / "duchenne" / "sub-P01" / "ses-02"
    assert paths.summary.name == "sub-P01_ses-02_summary.tsv"


def _svg_texts(html: str) -> str:
    import base64

    found = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", html)
    return " ".join(base64.b64decode(part).decode("utf-8") for part in found)
