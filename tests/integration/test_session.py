"""A short session on real parts, from the protocol file to the report, against the simulated truth."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from support.truth import Agreement, compare

from duchenne.recorder.audit import audit
from duchenne.recorder.recording import Recording

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)

PROTOCOL = """\
name: short
title: Two pictures and a film
screen: {width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
blocks:
  - name: opening
    steps:
      - {type: instruction, text: Welcome., duration_s: 1}
      - {type: neutral, text: Look at the cross., duration_s: 5}
  - name: main
    steps:
      - type: trials
        select: {ids: [sunset, spikes, balloons]}
        order: random
        fixation_s: 0.8
        duration_s: 5
        iti_s: 0.5
        ratings: [valence, arousal]
"""
COMMAND = (sys.executable, "-m", "duchenne.cli")


def duchenne(*arguments: str, timeout_s: float = 180) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=timeout_s, check=False
    )


@dataclass(frozen=True)
class Run:
    study: Path
    session_file: Path
    tables: Path
    said: str
    agreement: Agreement

    def table(self, name: str) -> pd.DataFrame:
        (path,) = self.tables.glob(f"*_{name}.tsv")
        return pd.read_csv(path, sep="\t", na_values="n/a", dtype={"run": str, "session": str})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("study")
    protocol = folder / "short.yaml"
    protocol.write_text(PROTOCOL, encoding="utf-8")
    study = folder / "study"
    simulated = ("--eyetracker", "simulated", "--camera", "simulated", "--headless")
    done = duchenne("run", str(protocol), "--participant", "P01", *simulated, "--study", str(study))
    assert done.returncode == 0, done.stderr
    (session_file,) = study.glob("sourcedata/sub-P01/ses-01/*_session.h5")
    analysed = duchenne("analyze", str(study))
    assert analysed.returncode == 0, analysed.stderr
    tables = study / "derivatives/duchenne/sub-P01/ses-01"
    return Run(study, session_file, tables, done.stdout, compare(session_file, tables))


def test_the_session_is_complete_and_says_so(run: Run) -> None:
    assert run.said.strip().splitlines()[-1] == f"Recorded {run.session_file}"
    with Recording.open(run.session_file) as recording:
        assert [f.what for f in audit(recording) if f.level == "fail"] == []
        assert recording.participant == "P01"
        assert recording.task == "short"
        assert {"Gaze", "FaceVideo", "Markers", "ShownFrames"} <= set(recording.streams)
        assert set(recording.stimuli["id"]) == {"sunset", "spikes", "balloons"}
        assert recording.protocol_yaml == PROTOCOL
    assert not list(run.session_file.parent.glob("*.journal*"))
    participants = pd.read_csv(run.study / "participants.tsv", sep="\t")
    assert participants["participant_id"].tolist() == ["sub-P01"]


def test_markers_come_in_order_and_in_pairs(run: Run) -> None:
    with Recording.open(run.session_file) as recording:
        names = recording.events["event"].tolist()
    assert names[0] == "session_start"
    assert names[-1] == "session_end"
    trial = [
        "fixation_onset",
        "fixation_offset",
        "stimulus_onset",
        "stimulus_offset",
        *["rating_onset", "rating_response"] * 2,
    ]
    start = names.index("fixation_onset")
    assert names[start : start + 3 * len(trial)] == trial * 3


def test_gaze_agrees_with_the_truth(run: Run) -> None:
    found = run.agreement
    assert found.gaze_samples_lost == 0
    assert found.n_fixations == pytest.approx(found.n_true_fixations, rel=0.1)
    assert found.saccade_amplitude_error_deg < 0.3
    assert found.matched_saccades > 0.9


def test_markers_gaze_and_face_are_aligned_within_a_video_frame(run: Run) -> None:
    found = run.agreement
    assert found.gaze_alignment_s < 1 / 30
    assert found.frame_alignment_s < 1 / 30
    assert abs(found.face_lag_frames) <= 1


def test_action_units_follow_the_truth(run: Run) -> None:
    assert run.agreement.au_correlation["AU12"] > 0.9
    assert run.agreement.au_correlation["AU04"] > 0.7


def test_expressive_valence_orders_what_the_participant_showed(run: Run) -> None:
    """Plumbing, not validity: the simulated participant smiles at two stimuli and frowns at one."""
    summary = run.table("summary").set_index("stimulus_id")
    valence = summary["expr_valence_mean"]
    assert min(valence["sunset"], valence["balloons"]) > 0.1
    assert valence["spikes"] < -0.05
    assert summary["expr_arousal_mean"].isna().all()  # nothing measures it by default


def test_the_summary_tells_what_happened(run: Run) -> None:
    summary = run.table("summary").set_index("stimulus_id")
    assert len(summary) == 3
    assert summary.loc["sunset", "AU12_mean"] > summary.loc["spikes", "AU12_mean"] + 1
    assert summary.loc["spikes", "AU04_mean"] > summary.loc["sunset", "AU04_mean"] + 1
    assert summary.loc["sunset", "rating_valence"] > summary.loc["spikes", "rating_valence"]
    assert summary["gaze_valid_fraction"].between(0.8, 1).all()
    assert summary["face_usable_fraction"].min() > 0.95
    assert summary["n_fixations"].between(5, 20).all()
    codebook = json.loads(next(run.tables.glob("*_summary.json")).read_text())
    assert set(summary.columns) | {"stimulus_id"} <= set(codebook)
    assert (run.study / "derivatives/duchenne/summary.parquet").is_file()


def test_the_film_frames_place_gaze_on_media_time(run: Run) -> None:
    fixations = run.table("fixations")
    film = fixations[(fixations["stimulus_id"] == "balloons") & (fixations["phase"] == "stimulus")]
    assert film["media_time_s"].notna().mean() > 0.9
    assert (film["media_time_s"] - film["t_from_onset_s"]).abs().max() < 0.2


def test_the_report_needs_nothing_else(run: Run) -> None:
    report = next(run.tables.glob("*_report.html")).read_text(encoding="utf-8")
    assert "http://" not in report.replace("http://www.w3.org/", "")
    assert "<script src" not in report
    assert "<link" not in report
    assert "sunset" in report


def test_a_second_run_never_overwrites_the_first(run: Run) -> None:
    before = run.session_file.read_bytes()
    done = duchenne(
        "run",
        str(run.study.parent / "short.yaml"),
        *("--participant", "P01", "--eyetracker", "simulated", "--camera", "simulated"),
        *("--headless", "--study", str(run.study)),
    )
    assert done.returncode == 1
    assert "never overwritten" in done.stderr
    assert run.session_file.read_bytes() == before


def test_a_killed_source_is_restarted_and_the_gap_is_marked(tmp_path: Path) -> None:
    protocol = tmp_path / "short.yaml"
    protocol.write_text(
        PROTOCOL.replace("[sunset, spikes, balloons]", "[sunset]"), encoding="utf-8"
    )
    command = [*COMMAND, "run", str(protocol), "--participant", "P02", "--camera", "none"]
    command += ["--eyetracker", "simulated", "--headless", "--study", str(tmp_path / "study")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        _wait_for_session_start(tmp_path / "study")
        os.kill(_child_of(process.pid, "sources"), signal.SIGKILL)
        _, told = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, told
    assert "starting it once more" in told
    (session_file,) = (tmp_path / "study").glob("sourcedata/*/*/*_session.h5")
    with Recording.open(session_file) as recording:
        assert len(recording.streams["Gaze"].segments) == 2
        assert recording.certificate["Gaze"].verdict == "fail"
        assert {"lost", "returned"} <= set(recording.log["kind"])


def test_a_killed_recorder_ends_the_session_and_loses_under_half_a_second(tmp_path: Path) -> None:
    protocol = tmp_path / "short.yaml"
    protocol.write_text(PROTOCOL, encoding="utf-8")
    command = [*COMMAND, "run", str(protocol), "--participant", "P03", "--camera", "simulated"]
    command += ["--eyetracker", "simulated", "--headless", "--study", str(tmp_path / "study")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        _wait_for_session_start(tmp_path / "study")
        time.sleep(3)
        import pylsl

        killed_s = pylsl.local_clock()
        os.kill(_child_of(process.pid, "record"), signal.SIGKILL)
        _, told = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    (journal,) = (tmp_path / "study").glob("sourcedata/*/*/*_session.journal")
    assert f"run `duchenne recover {journal}`" in told
    assert duchenne("recover", str(journal)).returncode == 0
    with Recording.open(journal.with_suffix(".h5")) as recording:
        for name in ("Gaze", "FaceVideo"):
            assert killed_s - recording.streams[name].lsl_times_s[-1] < 0.5
        assert "session_start" in recording.events["event"].tolist()


def test_ctrl_c_ends_the_session_in_good_order(tmp_path: Path) -> None:
    protocol = tmp_path / "short.yaml"
    protocol.write_text(PROTOCOL, encoding="utf-8")
    study = tmp_path / "study"
    command = [*COMMAND, "run", str(protocol), "--participant", "P05", "--camera", "none"]
    command += ["--eyetracker", "simulated", "--headless", "--study", str(study)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        _wait_for_session_start(study)
        for _ in range(3):  # an impatient operator loses nothing
            process.send_signal(signal.SIGINT)
            time.sleep(0.4)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    (session_file,) = study.glob("sourcedata/*/*/*_session.h5")
    assert f"duchenne: the session was aborted; what was recorded is in {session_file}" in told
    with Recording.open(session_file) as recording:
        names = recording.events["event"].tolist()
    assert "abort" in names
    assert names[-1] == "session_end"


def _child_of(parent: int, command: str) -> int:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            words = (path.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(fields[1]) == parent and command.encode() in words:
            return int(path.parent.name)
    pytest.fail(f"no child process {command}")


def _wait_for_session_start(study: Path) -> None:
    from duchenne.recorder.journal_reader import JournalReader

    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for journal in study.glob("sourcedata/*/*/*_session.journal"):
            try:
                with JournalReader(journal) as reader:
                    markers = [s for s in reader.streams if s.info.name == "Markers"]
                    if markers and reader.counts().get(markers[0].id, 0) > 2:
                        return
            except Exception:  # noqa: BLE001 -- the file is just being made
                pass
        time.sleep(0.1)
    pytest.fail("the session did not start")


def test_a_killed_session_still_ends_and_seals(tmp_path: Path) -> None:
    protocol = tmp_path / "short.yaml"
    text = PROTOCOL.replace("[sunset, spikes, balloons]", "[sunset]").replace(
        "duration_s: 5}", "duration_s: 1}"
    )
    protocol.write_text(text, encoding="utf-8")
    study = tmp_path / "study"
    command = [*COMMAND, "run", str(protocol), "--participant", "P04", "--camera", "none"]
    command += ["--eyetracker", "simulated", "--headless", "--study", str(study)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        _wait_for_session_start(study)
        orphans = [_child_of(process.pid, command) for command in ("record", "sources")]
    finally:
        process.kill()
        process.communicate()
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() for pid in orphans):
        time.sleep(0.2)
    assert not [pid for pid in orphans if Path(f"/proc/{pid}").exists()]
    (session_file,) = study.glob("sourcedata/*/*/*_session.h5")
    with Recording.open(session_file) as recording:
        assert recording.events["event"].tolist()[-1] == "session_end"
        assert recording.certificate["Gaze"].verdict == "pass"
