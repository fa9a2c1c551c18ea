"""A session watched through a real journal that a real engine writes, with devices that fail on demand."""

from __future__ import annotations

import base64
import io
import json
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl
import pytest
from support.engines import recording

from duchenne.analysis.console.session_watch import SessionWatch
from duchenne.protocols.markers import MarkerOutlet
from duchenne.recorder.control import ControlPost, RunFacts, find_run, new_id
from duchenne.recorder.journal_reader import JournalReader
from duchenne.recorder.streams import gaze_description, video_description

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytest.importorskip("cv2")
Image = pytest.importorskip("PIL.Image")

GAZE_HZ, VIDEO_HZ = 120.0, 15.0
ALARM_WITHIN_S = 2.0
"""What is promised; on a machine that is busy with other things it may take somewhat longer."""
SLACK_S = 1.5


def jpeg(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (shade % 256, 90, 120)).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue())


@dataclass
class Devices:
    """A gaze and a video outlet, and what is wrong with them."""

    prefix: str
    faults: set[str] = field(default_factory=set)
    n_gaze: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        gaze = pylsl.StreamOutlet(
            gaze_description(source_id=f"{self.prefix}-gaze", sampling_rate_hz=GAZE_HZ)
        )
        video = pylsl.StreamOutlet(
            video_description(
                source_id=f"{self.prefix}-video", frame_rate_hz=VIDEO_HZ, width_px=64, height_px=48
            )
        )
        rng = np.random.default_rng(1)
        begun_s = pylsl.local_clock()
        sent = frames = 0
        while not self._stop.wait(0.01):
            now_s = pylsl.local_clock()
            due = int((now_s - begun_s) * GAZE_HZ)
            if due > sent and "gaze stopped" not in self.faults:
                at = 0.5 + 0.01 * rng.normal(size=(due - sent, 4))
                at[:] = 0.5 if "gaze frozen" in self.faults else at
                stamps = begun_s + np.arange(sent, due) / GAZE_HZ
                rest = np.tile([3.0, 3.0, 1.0, 1.0, 600.0, 600.0], (due - sent, 1))
                gaze.push_chunk(np.column_stack([at, rest, stamps]), stamps.tolist())
                self.n_gaze += due - sent
            sent = due
            while frames < (now_s - begun_s) * VIDEO_HZ:
                shade = 7 if "video frozen" in self.faults else frames
                video.push_sample([jpeg(shade)], begun_s + frames / VIDEO_HZ)
                frames += 1


@contextmanager
def devices(prefix: str) -> Iterator[Devices]:
    found = Devices(prefix)
    thread = threading.Thread(target=found.work)
    thread.start()
    try:
        yield found
    finally:
        found._stop.set()
        thread.join()


@dataclass
class Scene:
    """Everything around one watched session."""

    watch: SessionWatch
    devices: Devices
    markers: MarkerOutlet
    post: ControlPost
    said: list[tuple[str, str]]

    def until(self, condition: Callable[[], bool], timeout_s: float) -> float:
        """Look on until something is so; return how long that took."""
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() - begun < timeout_s, self.watch.book.alarms
            self.watch.look()
            time.sleep(0.1)
        return time.monotonic() - begun

    def alarms(self) -> set[tuple[str, str | None]]:
        return set(self.watch.book.active())


@pytest.fixture
def scene(tmp_path: Path, unique_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("DUCHENNE_RUNTIME", str(tmp_path / "runtime"))
    file = tmp_path / "s_session.h5"
    names = {"participant": "P01", "session": "01", "task": "t", "run": "01", "protocol": "demo"}
    facts = RunFacts(
        id=new_id(),
        pid=os.getpid(),
        study=str(tmp_path),
        session_file=str(file),
        journal=str(file.with_suffix(".journal")),
        started_s=time.time(),
        planned_s=60.0,
        **names,
    )
    said: list[tuple[str, str]] = []

    def say(_level: str, source: str, text: str, _event: str | None, _t_ms: float) -> None:
        said.append((source, text))

    predicate = f"starts-with(source_id,'{unique_name}')"
    with (
        ControlPost(facts) as post,
        devices(unique_name) as found,
        MarkerOutlet(source_id=f"{unique_name}-markers") as markers,
        recording(file, predicate),
    ):
        handle = find_run(facts.id)
        assert handle is not None
        watch = SessionWatch(handle, say)
        try:
            yield Scene(watch, found, markers, post, said)
        finally:
            watch.close()


def test_faults_are_alarmed_within_two_seconds_and_pass(scene: Scene) -> None:
    watch = scene.watch
    scene.post.step(1, 3, "trial 1")
    scene.until(lambda: {"Gaze", "FaceVideo", "Markers"} <= set(watch.observation.seen), 15)
    assert {row["name"]: row["state"] for row in watch.table()}["Markers"] == "waiting"
    scene.markers.push("session_start", participant="P01")
    scene.markers.push(
        "stimulus_onset", stimulus="sunset", trial=1, kind="image", rect_px=[320, 180, 960, 540]
    )
    scene.until(lambda: watch.course.stage(0)["kind"] == "image", 5)
    scene.until(lambda: pylsl.local_clock() - watch._recording_since_s > 4.0, 10)
    assert scene.alarms() == set()
    live = watch.live()
    assert live["gaze"]["x"] == pytest.approx(0.5, abs=0.05)
    assert live["gaze"]["age_ms"] < 1000
    assert live["face"]["stream"] == "FaceVideo"
    rows = {row["name"]: row for row in watch.table()}
    assert rows["Gaze"]["rate_hz"] == pytest.approx(GAZE_HZ, rel=0.02)
    assert (rows["Gaze"]["state"], rows["Gaze"]["lost"]) == ("ok", 0)
    assert rows["FaceVideo"]["rate_hz"] == pytest.approx(VIDEO_HZ, rel=0.05)
    for fault, alarm in (
        ("gaze stopped", ("stopped", "Gaze")),
        ("gaze frozen", ("frozen", "Gaze")),
        ("video frozen", ("frozen", "FaceVideo")),
    ):
        scene.devices.faults = {fault}
        took_s = scene.until(lambda wanted=alarm: wanted in scene.alarms(), 8)
        assert took_s < ALARM_WITHIN_S + SLACK_S
        scene.devices.faults = set()
        scene.until(lambda wanted=alarm: wanted not in scene.alarms(), 8)
    past = [a for a in watch.book.alarms if a.until_t_ms is not None]
    assert {(a.problem.kind, a.problem.stream) for a in past} >= {("stopped", "Gaze")}


def test_commands_and_markers_pass_both_ways(scene: Scene) -> None:
    watch = scene.watch
    assert watch.to_json()["state"] == "starting"
    scene.post.step(2, 3, "trial 1")
    scene.until(lambda: "Markers" in watch.observation.seen, 15)
    scene.markers.push("session_start", participant="P01")
    scene.until(lambda: watch.to_json()["state"] == "running", 5)
    assert "pause" in watch.to_json()["can"]
    watch.handle.send("pause")
    watch.sent("pause")
    assert scene.post.poll() == ["pause"]
    assert watch.to_json()["pause_asked"]
    assert "resume" in watch.to_json()["can"]
    scene.markers.push("pause")
    scene.until(lambda: watch.to_json()["state"] == "paused", 5)
    watch.handle.send("note", "lamp on")
    (line,) = scene.post.poll()
    scene.markers.push("note", text=line.partition(" ")[2], by="operator")
    scene.markers.push("resume")
    scene.until(lambda: ("marker", "note: lamp on") in scene.said, 5)
    scene.markers.push("session_end")
    scene.until(lambda: ("marker", "the session is over") in scene.said, 5)
    scene.post.step(0, 0, "sealing the session file")
    scene.until(lambda: watch.phase == "sealing", 5)
    scene.post.say(state="finished")
    scene.until(lambda: watch.phase == "ended", 5)
    assert watch.to_json()["state"] == "finished"


def test_a_console_that_comes_late_knows_it_all(scene: Scene) -> None:
    scene.post.step(1, 1, "trial 1")
    scene.until(lambda: {"Gaze", "Markers"} <= set(scene.watch.observation.seen), 15)
    scene.markers.push("session_start", participant="P01")
    scene.until(lambda: bool(np.isfinite(scene.watch.course.began_s)), 5)
    late = SessionWatch(scene.watch.handle, lambda *_: None)
    try:
        late.look()
        scene.watch.look()
        with JournalReader(late._tail.path) as reader:
            counts = {s.info.name: reader.counts()[s.id] for s in reader.streams}
        late.look()
        assert late.course.began_s == scene.watch.course.began_s
        assert late.observation.seen["Gaze"].stats.n >= counts["Gaze"] > 0
        assert late.observation.seen["Gaze"].stats.lost == 0
    finally:
        late.close()


def test_looking_leaves_the_recorders_log_free(scene: Scene) -> None:
    """No transaction stays open, so that a checkpoint can fold the whole log."""
    import sqlite3

    scene.until(lambda: "Gaze" in scene.watch.observation.seen, 15)
    path = scene.watch._tail.path
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)
    try:
        for _ in range(3):
            scene.watch.look()
            busy, log, folded = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            assert busy == 0
            assert log - folded <= 64  # what the recorder wrote meanwhile
    finally:
        connection.close()


def test_json_of_a_live_view_holds_no_nan(scene: Scene) -> None:
    from duchenne.analysis.console.plain import dumps

    told: dict[str, Any] = json.loads(
        dumps({"live": scene.watch.live(), "run": scene.watch.to_json()})
    )
    assert told["run"]["participant"] == "P01"
    assert told["live"]["gaze"] is None
