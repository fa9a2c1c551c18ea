"""What pages are shown: thumbnails, gaze, sound, the course of a session, labels, jobs."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from duchenne.analysis.console.alarms import away_problem
from duchenne.analysis.console.backend import NotThereError
from duchenne.analysis.console.camera import CameraView, size_of
from duchenne.analysis.console.choices import protocol_paths, run_arguments, session_of
from duchenne.analysis.console.course import Course
from duchenne.analysis.console.faces import FaceWatch, advice_for
from duchenne.analysis.console.forms import StartForm
from duchenne.analysis.console.jobs import Jobs
from duchenne.analysis.console.log_book import LogBook
from duchenne.analysis.console.observation import Observation
from duchenne.analysis.console.operators import Operators
from duchenne.analysis.console.setup_page import next_participant, participants_of
from duchenne.analysis.console.signals import GazeView, SoundView
from duchenne.analysis.console.thumbnails import Thumbnails
from duchenne.protocols.markers import encode
from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import load_protocol
from duchenne.recorder.sources.clips import encode_clip
from duchenne.recorder.streams import (
    GAZE_CHANNELS,
    Channel,
    StreamInfo,
    describe,
    video_description,
)
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.manifest import StimulusSet

if TYPE_CHECKING:
    from pathlib import Path

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("av")


def opened(jpeg: bytes) -> Any:
    return Image.open(io.BytesIO(jpeg))


def test_thumbnails_show_the_stimulus() -> None:
    stimuli = StimulusSet.bundled()
    thumbnails = Thumbnails(stimuli)
    try:
        for kind in ("image", "video"):
            stimulus = next(s for s in stimuli if s.kind == kind)
            picture = opened(thumbnails.of(stimulus.id))
            assert max(picture.size) <= 480
            assert size_of(thumbnails.of(stimulus.id)) == picture.size
        film = next(s for s in stimuli if s.kind == "video")
        begin, later = thumbnails.at(film.id, 0.0), thumbnails.at(film.id, 2.5)
        assert begin != later
        assert thumbnails.at(film.id, 2.51) == later
        again = opened(thumbnails.at(film.id, 0.0))  # back to the beginning
        difference = np.abs(np.asarray(again, float) - np.asarray(opened(begin), float))
        assert difference.mean() < 2.0
        assert thumbnails.at(film.id, 9999.0)  # beyond its end: the last one
        with pytest.raises(NotThereError):
            thumbnails.of("../secret")
    finally:
        thumbnails.close()


def gaze_info() -> StreamInfo:
    channels = tuple(Channel(*row) for row in GAZE_CHANNELS)
    return StreamInfo("Gaze", "Gaze", "", "", "", "double64", 600.0, len(GAZE_CHANNELS), channels)


def test_gaze_is_the_mean_of_the_valid_eyes() -> None:
    view = GazeView(gaze_info(), distance_mm=600.0)
    row = [0.4, 0.5, 0.6, 0.7, 3.0, 3.2, 1.0, 1.0, 720.0, 740.0, 1.0]
    view.see(np.array([row] * 60), 10.0)
    told = view.to_json(10.2)
    assert told is not None
    assert (told["x"], told["y"]) == (pytest.approx(0.5), pytest.approx(0.6))
    assert told["age_ms"] == pytest.approx(200)
    assert told["distance_mm"] == pytest.approx(730)
    assert told["advice"] == ["move 13 cm closer"]
    assert len(told["trail"]) == 24
    blind = [np.nan, np.nan, 0.6, 0.7, np.nan, 3.2, 0.0, 1.0, np.nan, 740.0, 2.0]
    view.see(np.array([blind]), 10.3)
    told = view.to_json(10.3)
    assert told is not None
    assert (told["x"], told["left"]["valid"], told["valid"]) == (pytest.approx(0.6), False, True)
    gone = [np.nan] * 6 + [0.0, 0.0] + [np.nan] * 3
    for i in range(20):
        view.see(np.array([gone] * 6), 10.4 + i / 10)
    assert view.away_s(12.4) == pytest.approx(2.1)


def test_sound_has_a_level() -> None:
    info = StreamInfo("Mic", "Audio", nominal_srate_hz=16000.0)
    view = SoundView(info)
    view.see(0.1 * np.sin(np.arange(1600) / 5)[:, None].astype(np.float32), 1.0)
    told = view.to_json(1.0)
    assert told is not None
    assert told["level_db"] == pytest.approx(-23.0, abs=0.2)
    assert not told["clipping"]
    view.see(np.full((10, 1), 32767, np.int16), 1.1)
    loud = view.to_json(1.1)
    assert loud is not None
    assert loud["clipping"]


def test_a_large_camera_picture_is_made_small() -> None:
    import base64

    info = describe(
        video_description(source_id="c", frame_rate_hz=30, width_px=1280, height_px=720)
    )
    view = CameraView(info)
    for shade in (10, 10, 200):
        buffer = io.BytesIO()
        Image.new("RGB", (1280, 720), (shade, 0, 0)).save(buffer, "JPEG")
        view.see([[base64.b64encode(buffer.getvalue())]], [1.0], float(shade))
    jpeg, width, height = view.to_send()
    assert (width, height) == (640, 360)
    assert opened(jpeg).size == (640, 360)
    view.see([[b"no picture"]], [2.0], 300.0)
    assert view.to_send()[0] == jpeg


def test_a_face_is_found_and_missed(tmp_path: Path) -> None:
    if (reason := FaceWatch.unavailable()) is not None:
        pytest.skip(reason)
    (smiling, *_) = encode_clip("happiness")
    buffer = io.BytesIO()
    Image.new("RGB", (640, 480), (90, 90, 90)).save(buffer, "JPEG")
    watch = FaceWatch()
    try:
        deadline = time.monotonic() + 40
        for jpeg, is_found, at_s in ((smiling, True, 10.0), (buffer.getvalue(), False, 12.0)):
            while watch.newest is None or watch.newest.at_s != at_s:
                assert time.monotonic() < deadline, watch.failed
                watch.offer(jpeg, at_s)
                time.sleep(0.05)
            assert watch.newest.found is is_found
            assert watch.found_s == 10.0
        assert watch.newest.advice == ("no face in the picture",)
    finally:
        watch.close()
    seen = Observation(is_recorded=True, face=watch)
    assert seen.face_away_s(12.0) == 2.0
    problem = away_problem("face", seen.face_away_s(12.0))
    assert problem is not None
    assert problem.level == "alarm"


def test_the_course_follows_the_markers() -> None:
    protocol = load_protocol("demo")
    schedule = make_schedule(protocol, participant="P01", session="01")
    course = Course()
    course.learn(
        {"schedule_json": schedule.to_json(), "screen": {"width_px": 1000, "height_px": 500}}
    )
    number = next(i for i, s in enumerate(schedule.steps, start=1) if s.trial is not None)
    trial = schedule.steps[number - 1].trial
    assert trial is not None

    def mark(event: str, at_s: float, **fields: Any) -> str | None:
        return course.hear(json.loads(encode(event, **fields)), at_s)

    assert mark("session_start", 100.0) == "the session has begun"
    mark("stimulus_onset", 110.0, trial=1, stimulus=trial.stimulus_id, kind="image",
         rect_px=[250, 100, 750, 400])  # fmt: skip
    stage = course.stage(112.0)
    assert (stage["kind"], stage["since_s"]) == ("image", 2.0)
    assert stage["rect"] == [0.25, 0.2, 0.5, 0.6]
    assert course.trial() == {
        "number": 1,
        "of": len(schedule.trials),
        "stimulus": trial.stimulus_id,
        "category": None,
        "phase": "stimulus",
    }
    whole = schedule.planned_duration_s
    before = sum(step.planned_duration_s for step in schedule.steps[: number - 1])
    assert course.remaining_s(number, 1.0) == pytest.approx(whole - before - 1.0)
    assert course.elapsed_s(130.0) == 30.0
    mark("stimulus_offset", 115.0, trial=1)
    assert course.stage(115.0)["kind"] == "blank"
    mark("pause", 116.0)
    assert course.paused
    mark("resume", 117.0)
    assert mark("note", 118.0, text="lamp on") == "note: lamp on"
    mark("session_end", 140.0)
    assert course.elapsed_s(999.0) == 40.0
    assert course.remaining_s(number, 0.0) == 0.0


def test_a_blind_operator_learns_nothing() -> None:
    schedule = make_schedule(load_protocol("demo"), participant="P01", session="01")
    course = Course(blind=True)
    course.learn({"schedule_json": schedule.to_json()})
    secrets = {t.stimulus_id for t in schedule.trials} | {t.block for t in schedule.trials}
    said = [
        course.hear({"event": "block_start", "block": schedule.trials[0].block}, 1.0),
        course.hear({"event": "stimulus_onset", "trial": 1, "kind": "image",
                     "stimulus": schedule.trials[0].stimulus_id}, 2.0),
        course.hear({"event": "rating_response", "trial": 1, "scale": "valence", "value": 9}, 3.0),
    ]  # fmt: skip
    told = json.dumps([said, course.stage(2.0), course.trial(), course.step(5), course.blocks(5)])
    assert not any(f'"{secret}"' in told or f" {secret} " in told for secret in secrets)


def form(**values: Any) -> StartForm:
    known = {"protocol": "demo", "participant": "P01", "eyetracker": "none", "camera": "none"}
    return StartForm(**{**known, **values})


def test_a_form_becomes_arguments_that_cannot_be_mistaken(tmp_path: Path) -> None:
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols" / "mine.yaml").write_text("name: mine")
    (tmp_path / "study.yaml").write_text("name: x")
    outside = tmp_path.parent / f"{tmp_path.name}-outside.yaml"
    outside.write_text("name: outside")
    (tmp_path / "link.yaml").symlink_to(outside)
    assert {"demo", "mine"} <= set(protocol_paths(tmp_path))
    assert not {"link", "study"} & set(protocol_paths(tmp_path))
    chosen = form(
        eyetracker="simulated",
        eyetracker_options={"rate_hz": "600"},
        sources=[{"name": "simulated-microphone", "options": {"name": "Mic"}}],
        headless=True,
    )
    arguments = run_arguments(chosen, tmp_path, "0" * 12, "a reason; rm -rf")
    assert arguments[0] == "run"
    assert all(a.startswith("--") for a in arguments[2:])
    assert "--eyetracker-set=rate_hz=600" in arguments
    assert "--source=simulated-microphone:name=Mic" in arguments
    assert "--override-reason=a reason; rm -rf" in arguments
    with pytest.raises(UsageError, match="study folder"):
        run_arguments(
            form(eyetracker="replay", eyetracker_options={"path": "/etc/passwd"}),
            tmp_path,
            "",
            None,
        )
    assert session_of(form(), tmp_path).name.participant == "P01"
    with pytest.raises(UsageError, match="no protocol"):
        session_of(form(protocol="nothing"), tmp_path)


def test_participants_are_not_taken_twice(tmp_path: Path) -> None:
    assert next_participant(participants_of(tmp_path)) == "P01"
    folder = tmp_path / "sourcedata" / "sub-P07" / "ses-01"
    folder.mkdir(parents=True)
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-P09\tn/a\n")
    assert participants_of(tmp_path) == ["P07", "P09"]
    assert next_participant(participants_of(tmp_path)) == "P10"
    (folder / "sub-P07_ses-01_task-demo_run-01_session.h5").write_bytes(b"")
    with pytest.raises(DuchenneError, match="never overwritten"):
        session_of(form(participant="P07"), tmp_path)


def test_advice_says_what_to_do() -> None:
    assert advice_for({}, 0.0, 0.0) == []
    assert advice_for({"brightness": 0.1}, 0.0, 0.0) == [
        "the face is dark: more light from the front"
    ]


def test_the_controls_change_hands() -> None:
    now = [0.0]
    people = Operators(clock=lambda: now[0])
    people.came("op-1")
    people.came("op-2")
    assert (people.holds("op-1"), people.holds("op-2")) == (True, False)
    assert not people.take("op-2")
    people.answer(accept=False)
    assert people.holds("op-1")
    people.went("op-1")
    now[0] = 9.0
    assert not people.take("op-2")
    now[0] = 10.5
    assert people.take("op-2")
    assert people.holds("op-2")
    people.came("op-1")
    people.take("op-1")
    people.answer(accept=True)
    assert people.me("op-1")["holds_controls"]


def test_the_log_gives_each_page_what_it_has_not_seen() -> None:
    book = LogBook()
    for i in range(300):
        book.add("info", "console", str(i))
    number, first = book.after(-1)
    assert (number, len(first), first[-1]["text"]) == (300, 200, "299")
    book.add("info", "console", "new")
    assert [entry["text"] for entry in book.after(number)[1]] == ["new"]
    assert book.after(301) == (301, [])


def test_jobs_run_one_after_the_other_and_wait_for_a_session(tmp_path: Path) -> None:
    recording = [True]
    jobs = Jobs(tmp_path, lambda: not recording[0])
    try:
        first = jobs.add("export", "one", ["--version"], "/reports/x")
        jobs.add("export", "two", ["analyze", str(tmp_path / "nothing.h5")], None)
        with pytest.raises(DuchenneError, match="already"):
            jobs.add("export", "one", ["--version"], None)
        third = jobs.add("export", "three", ["--version"], None)
        jobs.cancel(third)
        time.sleep(0.5)
        states = {job["title"]: job["state"] for job in jobs.to_json()}
        assert states == {"one": "queued", "two": "queued", "three": "cancelled"}
        recording[0] = False
        deadline = time.monotonic() + 60
        while any(job["state"] in {"queued", "running"} for job in jobs.to_json()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        told = {job["id"]: job for job in jobs.to_json()}
        assert (told[first]["state"], told[first]["result"]) == ("done", "/reports/x")
        assert told["j2"]["state"] == "failed"
        assert "nothing.h5" in told["j2"]["text"]
    finally:
        jobs.close()
