"""The BIDS export: what the validator says, what the files hold, what never leaves."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.analysis.constructed import END_S
from tests.analysis.export.studies import RATE_HZ
from typer.testing import CliRunner

from duchenne.analysis.export.base import ExportOptions, ExportResult, export_study
from duchenne.analysis.export.bids_events import screen_problems
from duchenne.analysis.export.bids_stimuli import copy_stimuli
from duchenne.analysis.export.private import PrivateNames
from duchenne.cli import app

VALIDATOR = Path(sys.executable).parent / "bids-validator-deno"
RUN = "sub-P01/ses-01/beh/sub-P01_ses-01_task-test_run-01"


def validate(folder: Path) -> list[dict[str, Any]]:
    """Return the errors that the official validator finds."""
    done = subprocess.run(
        [str(VALIDATOR), str(folder), "--format", "json"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [issue for issue in issues if issue["severity"] == "error"]


@pytest.fixture(scope="module")
def exported(study: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    return export_study(study, tmp_path_factory.mktemp("out") / "bids", "bids")


def physio(result: ExportResult, eye: int, kind: str = "physio") -> tuple[pd.DataFrame, Any]:
    stem = result.path / f"{RUN}_recording-eye{eye}_{kind}"
    sidecar = json.loads(stem.with_name(f"{stem.name}.json").read_text())
    frame = pd.read_csv(
        stem.with_name(f"{stem.name}.tsv.gz"), sep="\t", names=sidecar["Columns"], na_values="n/a"
    )
    return frame, sidecar


def test_the_official_validator_finds_no_error(exported: ExportResult) -> None:
    assert exported.n_sessions == 2
    assert validate(exported.path) == []


def test_the_validator_does_find_errors(exported: ExportResult, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(exported.path, broken)
    path = broken / f"{RUN}_recording-eye1_physio.json"
    sidecar = json.loads(path.read_text())
    del sidecar["SamplingFrequency"]
    path.write_text(json.dumps(sidecar))
    assert validate(broken)


def test_gaze_of_each_eye_is_in_pixels_on_the_clock_of_the_events(exported: ExportResult) -> None:
    for number, eye, x_px, pupil in ((1, "left", 320, 3), (2, "right", 960, 4)):
        frame, sidecar = physio(exported, number)
        assert sidecar["RecordedEye"] == eye
        assert sidecar["PhysioType"] == "eyetrack"
        assert sidecar["SamplingFrequency"] == pytest.approx(RATE_HZ, rel=1e-3)
        assert sidecar["StartTime"] == pytest.approx(frame["timestamp"][0], abs=1e-6)
        assert list(frame) == ["timestamp", "x_coordinate", "y_coordinate", "pupil_size"]
        seen = frame[frame["timestamp"] > 1.1]
        assert seen["x_coordinate"].median() == pytest.approx(x_px, abs=0.1)
        assert seen["y_coordinate"].median() == pytest.approx(360, abs=0.1)
        assert (seen["pupil_size"] == pupil).all()
        assert frame[frame["timestamp"] < 0.9]["x_coordinate"].isna().all()
        assert (np.diff(frame["timestamp"]) > 0).all()


def test_calibration_errors_come_from_the_last_calibration(exported: ExportResult) -> None:
    _, left = physio(exported, 1)
    assert left["AverageCalibrationError"] == 0.5
    assert left["MaximalCalibrationError"] == 0.7
    assert left["CalibrationCount"] == 1


def test_physioevents_hold_fixations_and_markers(exported: ExportResult) -> None:
    events, sidecar = physio(exported, 1, "physioevents")
    assert {"fixation", "message"} <= set(events["trial_type"])
    assert events["onset"].is_monotonic_increasing
    onsets = events.loc[events["message"] == "stimulus_onset trial 1", "onset"]
    assert list(onsets) == [pytest.approx(4.0, abs=1e-3)]
    assert set(events["trial_type"]) <= set(sidecar["trial_type"]["Levels"])


def test_events_name_screen_ratings_and_stimuli(exported: ExportResult) -> None:
    sidecar = json.loads((exported.path / f"{RUN}_events.json").read_text())
    screen = sidecar["StimulusPresentation"]
    assert screen["ScreenSize"] == [0.53, 0.3]
    assert screen["ScreenDistance"] == 0.6
    assert screen["ScreenResolution"] == [1280, 720]
    assert screen_problems(sidecar) == []
    assert screen_problems({"StimulusPresentation": screen | {"ScreenDistance": 60}})
    events = pd.read_csv(exported.path / f"{RUN}_events.tsv", sep="\t", na_values="n/a")
    shown = events[events["stim_file"].notna()]
    assert list(shown["trial_type"]) == ["stimulus", "stimulus"]
    assert list(shown["stim_file"]) == ["calm.png", "loud.png.txt"]
    valence = events[(events["trial_type"] == "rating_response") & (events["scale"] == "valence")]
    assert list(valence["value"].astype(float)) == [7, 2]
    assert set(sidecar["trial_type"]["HED"]) <= set(events["trial_type"])


def test_our_own_reader_finds_gaze_screen_and_presentations_again(
    exported: ExportResult, tmp_path: Path
) -> None:
    recording = exported.path / f"{RUN}_recording-eye1_physio.tsv.gz"
    done = CliRunner().invoke(app, ["gaze", str(recording), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    summary = pd.read_csv(tmp_path / "out" / "summary.tsv", sep="\t", na_values="n/a")
    shown = summary[summary["stimulus"].isin(["calm.png", "loud.png.txt"])]
    assert shown[["onset", "duration", "gaze_valid_fraction"]].to_numpy() == pytest.approx(
        np.array([[4, 2, 1], [10, 2, 1]]), abs=1e-3
    )
    samples = pd.read_parquet(tmp_path / "out" / "gaze.parquet")
    assert len(samples) == round(END_S * RATE_HZ)


def test_only_stimuli_that_may_be_passed_on_are_copied(exported: ExportResult) -> None:
    stimuli = exported.path / "stimuli"
    with Image.open(stimuli / "calm.png") as picture:
        assert picture.info == {}
        assert picture.getpixel((3, 3)) == (10, 200, 30)
    assert not (stimuli / "loud.png").exists()
    assert "licence does not allow" in (stimuli / "loud.png.txt").read_text()


def recording_of(folder: Path, content: bytes, *, may_leave: bool = True) -> Any:
    """Return what is read of a session with one stimulus, ``images/001.dat`` of a set in a folder."""
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "001.dat").write_bytes(content)
    (folder / "manifest.tsv").write_text("id\n")
    row = {
        "id": folder.name,
        "file": "images/001.dat",
        "sha256": hashlib.sha256(content).hexdigest(),
        "redistributable": float(may_leave),
    }
    return SimpleNamespace(stimuli_source=str(folder / "manifest.tsv"), stimuli=pd.DataFrame([row]))


@pytest.mark.parametrize(("may_leave", "ending"), [(True, ""), (False, ".txt")])
def test_files_of_one_name_from_two_sets_are_told_apart(
    tmp_path: Path, may_leave: bool, ending: str
) -> None:
    dog = recording_of(tmp_path / "dog", b"a dog", may_leave=may_leave)
    snake = recording_of(tmp_path / "snake", b"a snake", may_leave=may_leave)
    written: dict[str, str] = {}
    named = [
        copy_stimuli(recording, tmp_path / "out", PrivateNames(), written)
        for recording in (dog, snake, dog, snake)
    ]
    other = f"images/001_{hashlib.sha256(b'a snake').hexdigest()[:8]}.dat{ending}"
    assert named == [{"dog": f"images/001.dat{ending}"}, {"snake": other}] * 2
    texts = [
        (tmp_path / "out" / "stimuli" / name).read_text()
        for name in (f"images/001.dat{ending}", other)
    ]
    assert [what in text for what, text in zip(("dog", "snake"), texts, strict=True)] == [True] * 2
    assert len(list((tmp_path / "out" / "stimuli" / "images").iterdir())) == 2


def test_chosen_words_leave_and_typed_ones_stay(exported: ExportResult) -> None:
    summary = pd.read_csv(exported.path / "derivatives/duchenne/summary.tsv", sep="\t")
    assert set(summary["rating_mood_now"].dropna()) == {"calm"}
    assert summary["rating_mood_why"].isna().all()
    events = pd.read_csv(exported.path / f"{RUN}_events.tsv", sep="\t", na_values="n/a")
    said = events.dropna(subset=["response"]).set_index("scale")["response"]
    assert said.to_dict() == {"Mood-Now": "calm", "about.glasses": "yes"}
    form = pd.read_csv(exported.path / "phenotype" / "about.tsv", sep="\t")
    assert list(form["glasses"]) == ["yes"]
    assert "remark" not in form


def test_participants_and_forms_hold_nothing_but_labels_and_numbers(exported: ExportResult) -> None:
    people = pd.read_csv(exported.path / "participants.tsv", sep="\t")
    assert people.to_dict("list") == {"participant_id": ["sub-P01", "sub-P02"], "age": [31, 89]}
    form = pd.read_csv(exported.path / "phenotype" / "intake.tsv", sep="\t")
    assert list(form["age"]) == [31]
    assert "remark" not in form
    assert any("name not exported" in note for note in exported.notes)


def test_no_video_without_consent_to_share_it(study: Path, tmp_path: Path) -> None:
    result = export_study(study, tmp_path / "bids", "bids", options=ExportOptions(video="original"))
    assert not (result.path / "sourcedata").exists()
    assert not list(result.path.rglob("*.mp4"))


def test_archives_hold_no_names_and_no_dates(exported: ExportResult) -> None:
    packed = list(exported.path.rglob("*.gz"))
    assert packed
    for path in packed:
        head = path.read_bytes()[:10]
        assert head[3] == 0
        assert head[4:8] == bytes(4)
        gzip.decompress(path.read_bytes())
