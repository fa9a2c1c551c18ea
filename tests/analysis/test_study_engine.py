"""The analysis of a study: only what changed, the same wherever it is done, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from support.studies import study_session
from typer.testing import CliRunner

from duchenne.analysis.cli import app
from duchenne.analysis.exclusions import Exclusions
from duchenne.analysis.inputs import inputs_of
from duchenne.analysis.paths import analysis_paths, session_files
from duchenne.analysis.provenance import sha256_of
from duchenne.analysis.settings import AnalysisSettings
from duchenne.analysis.stages import NO_KEY
from duchenne.analysis.study import StudyResult, analyze_study
from duchenne.analysis.study_checks import (
    labels_used_twice,
    protocols_that_differ,
    unsealed_journals,
)
from duchenne.analysis.study_pool import run_in_processes
from duchenne.analysis.study_state import SessionState
from duchenne.analysis.study_summary import _batches
from duchenne.analysis.study_task import MEASURE, NOTHING, SessionTask
from duchenne.analysis.tables import Column, read_table, write_parquet
from duchenne.analysis.window_plan import DEFAULT_PLAN
from duchenne.recorder.keyring import KeyRing
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = ("*.tsv", "*.parquet")


def tables_of(root: Path) -> dict[str, str]:
    """Return the hash of every table and codebook below a folder, but for provenance and state."""
    found = [path for path in root.rglob("*") if path.suffix in {".tsv", ".parquet", ".json"}]
    return {
        str(path.relative_to(root)): sha256_of(path)
        for path in sorted(found)
        if not any(part.startswith(".") for part in path.relative_to(root).parts)
        and not path.name.endswith("provenance.json")
    }


def derivatives(study: Path) -> Path:
    return study / "derivatives" / "duchenne"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyResult]:
    """Three participants with gaze and Action Units, the third without gaze; analysed once."""
    folder = tmp_path_factory.mktemp("study")
    for i in range(3):
        study_session(folder, f"P{i + 1:02d}", n_trials=2, seed=i, gaze_hz=0 if i == 2 else 60.0)
    return folder, analyze_study(folder, report=False)


def test_the_study_is_put_together(study: tuple[Path, StudyResult]) -> None:
    folder, result = study
    assert not result.failed
    assert result.summary is not None
    assert result.windows is not None
    assert len(result.done) == 3
    summary = pd.read_parquet(result.summary)
    assert summary["participant"].tolist() == ["P01", "P01", "P02", "P02", "P03", "P03"]
    assert summary["n_fixations"].isna().tolist() == [False] * 4 + [True] * 2
    windows = pd.read_parquet(result.windows)
    assert set(windows["window"]) == {"first_second", "sliding"}
    for table in (result.summary, result.windows):
        book = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))
        assert list(book) == list(pd.read_parquet(table).columns)
    flagged = read_table(derivatives(folder) / "exclusions.tsv")
    assert flagged["usable_fraction"].tolist() == [1.0] * 3
    about = json.loads((derivatives(folder) / "provenance.json").read_text())
    assert [s["stem"].partition("_")[0] for s in about["sessions"]] == [
        "sub-P01",
        "sub-P02",
        "sub-P03",
    ]
    assert str(folder) not in json.dumps(about)
    assert about["exclusions"]["locked_utc"]


def test_nothing_changed_is_nothing_done(study: tuple[Path, StudyResult]) -> None:
    folder, _ = study
    before = {p: p.stat().st_mtime_ns for p in derivatives(folder).rglob("*") if p.is_file()}
    again = analyze_study(folder, report=False)
    assert again.done == ()
    assert len(again.sessions) == 3
    assert again.summary == derivatives(folder) / "summary.parquet"
    assert {
        p: p.stat().st_mtime_ns for p in derivatives(folder).rglob("*") if p.is_file()
    } == before


def test_the_table_of_one_film_is_not_that_of_a_study(
    study: tuple[Path, StudyResult], tmp_path: Path
) -> None:
    table = tmp_path / "of.csv"
    table.write_text("frame,timestamp,confidence,success,AU12_r\n1,0.0,0.9,1,2.0\n")
    with pytest.raises(UsageError, match="about one film, but there are 3 inputs"):
        analyze_study(study[0], au_backend=f"openface-csv:{table}", report=False)


def test_what_was_measured_once_is_summarised_the_same(study: tuple[Path, StudyResult]) -> None:
    folder, result = study
    before = tables_of(derivatives(folder))
    paths = result.sessions[0]
    kept = paths.gaze.stat().st_mtime_ns
    paths.summary.unlink()
    paths.windows.write_bytes(b"")
    again = analyze_study(folder, report=False)
    assert again.done == (paths.stem,)
    assert paths.gaze.stat().st_mtime_ns == kept
    assert tables_of(derivatives(folder)) == before
    # Where the measurement is damaged, it is made anew, and gives the same.
    (paths.measured / "face.parquet").unlink()
    paths.summary.unlink()
    analyze_study(folder, report=False)
    assert paths.gaze.stat().st_mtime_ns != kept
    assert tables_of(derivatives(folder)) == before


def test_other_rules_and_windows_measure_nothing_again(tmp_path: Path) -> None:
    study_session(tmp_path, "P01", n_trials=2)
    study_session(tmp_path, "P02", n_trials=2, seed=1)
    first = analyze_study(tmp_path, report=False)
    paths = first.sessions[0]
    kept = paths.gaze.stat().st_mtime_ns
    alike = first.scanpath_similarity
    likeness = alike.stat().st_mtime_ns if alike else 0
    (tmp_path / "exclusions.yaml").write_text(
        "presentation:\n  rules:\n"
        "    - {column: AU12_peak, above: 2, because: smiled}\n"
        "    - {column: no_such_column, above: 2, because: nothing}\n"
        "participant: {min_usable_presentations_fraction: 0.8}\n"
    )
    (tmp_path / "study.yaml").write_text("windows: {early: {stop_s: 0.5}}\nsliding_windows: null\n")
    result = analyze_study(tmp_path, report=False)
    assert len(result.done) == 2
    assert paths.gaze.stat().st_mtime_ns == kept
    assert result.scanpath_similarity == alike
    assert not alike or alike.stat().st_mtime_ns == likeness
    assert any("was changed after results were made" in note for note in result.notes)
    assert any("no_such_column" in note for note in result.notes)
    own = read_table(paths.summary)
    assert own["excluded"].tolist() == [True, False]
    assert own["exclusion_reason"][0].startswith("smiled (AU12_peak 3.")
    assert result.summary is not None
    assert result.windows is not None
    together = pd.read_parquet(result.summary)
    assert together["excluded"].tolist() == [True] * 4
    assert together["exclusion_reason"][0].startswith("smiled (AU12_peak 3.")
    whole = "participant: 1 of 2 presentations usable (50.0%), less than 80%"
    assert together["exclusion_reason"][0].endswith(f"; {whole}")
    assert together["exclusion_reason"][1] == whole
    windows = pd.read_parquet(result.windows)
    assert windows["window"].tolist() == ["first_second", "early"] * 4
    assert windows["excluded"].all()
    for place in (paths.provenance, derivatives(tmp_path) / "provenance.json"):
        locked = json.loads(place.read_text())["exclusions"]
        assert len(locked["changes"]) == 1


def test_a_film_without_its_key_is_measured_once_the_key_is_there(
    study: tuple[Path, StudyResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, result = study
    paths = result.sessions[0]
    (file,) = [f for f in session_files(folder) if f.name.startswith(paths.stem)]
    inputs = inputs_of(file, AnalysisSettings(), Exclusions(), DEFAULT_PLAN, study=folder)
    about = {
        "keys": {"measurement": inputs.measurement_key, "summary": inputs.summary_key},
        "exclusions": inputs.exclusions,
    }
    left_out = SessionState(about | {"notes": [f"{NO_KEY}: it is encrypted."]})
    assert left_out.todo(paths, inputs, report=False, force=False) == NOTHING
    KeyRing(tmp_path / "keys.json").with_key_of("P01").write()
    monkeypatch.setenv("DUCHENNE_KEY", str(tmp_path / "keys.json"))
    assert left_out.todo(paths, inputs, report=False, force=False) == MEASURE
    assert SessionState(about).todo(paths, inputs, report=False, force=False) == NOTHING


def test_a_session_that_changed_is_measured_again(tmp_path: Path) -> None:
    file = study_session(tmp_path, "P01", n_trials=2)
    paths = analyze_study(tmp_path, report=False).sessions[0]
    before = read_table(paths.summary)["AU12_peak"][0]
    file.unlink()
    study_session(tmp_path, "P01", n_trials=2, smile=1.5)
    assert analyze_study(tmp_path, report=False).done == (paths.stem,)
    assert read_table(paths.summary)["AU12_peak"][0] < before - 1
    # Its time alone is no change.
    os.utime(file)
    assert analyze_study(tmp_path, report=False).done == ()


def test_worker_processes_write_the_same(study: tuple[Path, StudyResult], tmp_path: Path) -> None:
    folder, _ = study
    result = analyze_study(folder, tmp_path / "out", report=False, workers=2)
    assert not result.failed
    assert len(result.done) == 3
    assert result.peak_mb > 50
    assert tables_of(tmp_path / "out") == tables_of(derivatives(folder))


def tasks_of(folder: Path, out: Path) -> list[SessionTask]:
    tasks = []
    for file in sorted(folder.glob("sourcedata/sub-*/ses-*/*_session.h5")):
        settings, rules = AnalysisSettings(), Exclusions()
        inputs = inputs_of(file, settings, rules, DEFAULT_PLAN)
        paths = analysis_paths(file, out / file.parent.parent.name)
        tasks.append(
            SessionTask(
                str(file), str(paths.folder), MEASURE, settings.to_dict(),
                rules.model_dump(mode="json"), DEFAULT_PLAN.model_dump(mode="json"),
                inputs.to_dict(), report=False,
            )
        )  # fmt: skip
    return tasks


def children() -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        found += [int(pid) for pid in task.read_text().split()]
    return found


def test_a_worker_that_is_killed_loses_nothing(
    study: tuple[Path, StudyResult], tmp_path: Path
) -> None:
    tasks = tasks_of(study[0], tmp_path)[:2]
    killed: dict[str, int] = {}

    def kill(task: SessionTask, _stage: str, _done: int, _total: int) -> None:
        # The first session loses its worker once, the second every time.
        limit = 1 if task == tasks[0] else 9
        if killed.get(task.file, 0) < limit:
            killed[task.file] = killed.get(task.file, 0) + 1
            for pid in children():
                os.kill(pid, signal.SIGKILL)

    outcomes = {o.file: o for o in run_in_processes(tasks, kill, 1)}
    assert outcomes[tasks[0].file].failure is None
    lost = outcomes[tasks[1].file].failure
    assert lost is not None
    assert "ended 2 times by signal 9" in lost
    assert (tmp_path / "sub-P01").is_dir()
    assert list(tmp_path.rglob("*provenance.json")) != []


def test_a_full_disk_leaves_the_earlier_results(tmp_path: Path) -> None:
    study_session(tmp_path, "P01", n_trials=2)
    analyze_study(tmp_path, report=False)
    before = tables_of(derivatives(tmp_path))
    limited = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from duchenne.analysis.study import analyze_study\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        "result = analyze_study(Path(sys.argv[1]), report=False, force=True)\n"
        "print(result.failed[0][1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "could not be written" in done.stdout, done.stderr
    assert tables_of(derivatives(tmp_path)) == before
    assert not list(derivatives(tmp_path).rglob("*.part"))


def test_results_are_checked_cell_by_cell(tmp_path: Path) -> None:
    study_session(tmp_path, "P01", n_trials=2)
    paths = analyze_study(tmp_path, report=False).sessions[0]
    before = tables_of(derivatives(tmp_path))
    same = CliRunner().invoke(app, ["analyze", str(tmp_path), "--check"])
    assert same.exit_code == 0, same.stderr
    assert "The same, made again" in same.stdout
    assert tables_of(derivatives(tmp_path)) == before
    text = paths.summary.read_text()
    cells = text.splitlines()[1].split("\t")
    where = text.splitlines()[0].split("\t").index("AU12_mean")
    changed = "\t".join([*cells[:where], "4.5", *cells[where + 1 :]])
    paths.summary.write_text(text.replace("\t".join(cells), changed))
    file = next((tmp_path / "sourcedata").rglob("*.h5"))
    other = CliRunner().invoke(app, ["analyze", str(file), "--check"])
    assert other.exit_code == 1
    assert "AU12_mean differs in 1 of 2 rows (row 1: 4.5 / " in other.stderr
    assert paths.summary.read_text().count("4.5") >= 1
    nothing = CliRunner().invoke(app, ["analyze", str(tmp_path), "--check", "--out", "none"])
    assert nothing.exit_code == 1


def test_recordings_that_were_not_sealed_are_listed(tmp_path: Path) -> None:
    file = study_session(tmp_path, "P01", n_trials=1)
    other = study_session(tmp_path, "P02", n_trials=1)
    other.rename(other.with_suffix(".journal"))
    assert [path for path, _ in unsealed_journals(tmp_path)] == [other.with_suffix(".journal")]
    result = analyze_study(tmp_path, report=False)
    assert len(result.sessions) == 1
    assert "duchenne recover" in result.failed[0][1]
    file.unlink()
    alone = analyze_study(tmp_path, report=False)
    assert alone.summary is None
    assert len(alone.failed) == 1


def test_two_participants_with_one_label_are_kept_apart(tmp_path: Path) -> None:
    study_session(tmp_path, "P01", n_trials=1, gaze_hz=0)
    study_session(tmp_path, "P02", n_trials=1, gaze_hz=0, label="P01", protocol_yaml="name: other")
    result = analyze_study(tmp_path, report=False)
    assert len(result.sessions) == 2
    assert "two participants with one label" in result.failed[0][1]
    assert result.summary is not None
    assert len(pd.read_parquet(result.summary)) == 1
    identity = {"participant": "P01", "session": "01", "task": "t", "run": "01"}
    _, notes = labels_used_twice([(tmp_path / "sub-P02" / "ses-01" / "x.h5", identity)])
    assert notes == ["x.h5 lies in sub-P02, but says that it is of P01."]


def test_a_scale_with_numbers_here_and_words_there_is_text(tmp_path: Path) -> None:
    book = {"rating_mood": Column("Mood.", kind="string")}
    parts = [pd.DataFrame({"rating_mood": values}) for values in ([3.0, np.nan], ["good", None])]
    for some in (parts, parts[::-1]):
        path = write_parquet(_batches(iter(some)), tmp_path / "mood.parquet", book)
        found = pd.read_parquet(path)["rating_mood"]
        assert sorted(found.dropna()) == ["3.0", "good"]
        assert found.isna().sum() == 2


def test_a_protocol_that_was_changed_is_told(tmp_path: Path) -> None:
    said = protocols_that_differ([("P01", "a", "1" * 64), ("P02", "a", "1" * 64)])
    assert said == []
    said = protocols_that_differ(
        [("P01", "a", "1" * 64), ("P02", "a", "1" * 64), ("P03", "a", "2" * 64)]
    )
    assert len(said) == 1
    assert "222222222222 for P03" in said[0]
    for i, text in enumerate(("name: a", "name: a\nseed: 2")):
        study_session(tmp_path, f"P{i}", n_trials=1, gaze_hz=0, protocol_yaml=text)
    result = analyze_study(tmp_path, report=False)
    assert any("was changed within the study" in note for note in result.notes)
    assert result.summary is not None
    assert pd.read_parquet(result.summary)["protocol_hash"].nunique() == 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A scheduler with two worker processes."""
    pytest.importorskip("distributed", reason="needs the extra `study`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = [
        sys.executable, "-m", "distributed.cli.dask_scheduler",
        "--host", "127.0.0.1", "--port", str(port), "--no-dashboard",
    ]  # fmt: skip
    worker = [
        sys.executable, "-m", "distributed.cli.dask_worker", address,
        "--nthreads", "1", "--no-nanny", "--no-dashboard",
    ]  # fmt: skip
    processes = [subprocess.Popen(scheduler, **quiet)]
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        processes += [subprocess.Popen(worker, **quiet) for _ in range(2)]
        yield address
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait(30)


def test_a_cluster_writes_the_same(
    study: tuple[Path, StudyResult], cluster: str, tmp_path: Path
) -> None:
    folder, _ = study
    result = analyze_study(folder, tmp_path / "out", report=False, scheduler=cluster)
    assert not result.failed
    assert tables_of(tmp_path / "out") == tables_of(derivatives(folder))


def test_a_dead_scheduler_is_one_line(study: tuple[Path, StudyResult]) -> None:
    pytest.importorskip("distributed", reason="needs the extra `study`")
    from duchenne.analysis.study_cluster import run_on_cluster

    task = replace(tasks_of(study[0], study[0] / "none")[0])
    with pytest.raises(DuchenneError, match=r"No scheduler at tcp://127\.0\.0\.1:1"):
        list(run_on_cluster([task], lambda *_: None, "tcp://127.0.0.1:1", connect_s=1.0))


def test_a_session_file_of_the_first_format_is_still_read(tmp_path: Path) -> None:
    kept = Path(__file__).parents[1] / "data" / "session-format-1.h5"
    folder = tmp_path / "sourcedata" / "sub-P01" / "ses-01"
    folder.mkdir(parents=True)
    shutil.copy(kept, folder / "sub-P01_ses-01_task-test_run-01_session.h5")
    result = analyze_study(tmp_path, report=False)
    assert not result.failed
    row = read_table(result.sessions[0].summary).iloc[0]
    assert row["AU12_peak"] == pytest.approx(3.1, abs=0.1)
    assert row["n_fixations"] > 3


def test_a_clock_that_jumps_is_graded_and_analysed(tmp_path: Path) -> None:
    times = np.arange(900) / 60
    jumped = np.where(times < 7, times, times - 5.0)
    columns = {f"{eye}_{axis}": np.full(900, 0.5) for eye in ("left", "right") for axis in "xy"}
    columns |= {f"{eye}_valid": np.ones(900) for eye in ("left", "right")}
    study_session(tmp_path, "P01", n_trials=1, gaze=(jumped, columns), au_hz=0)
    result = analyze_study(tmp_path, report=False)
    assert not result.failed
    quality = read_table(result.sessions[0].quality).set_index("stream")
    assert quality.loc["Gaze", "grade"] != "good"
    assert len(read_table(result.sessions[0].summary)) == 1
