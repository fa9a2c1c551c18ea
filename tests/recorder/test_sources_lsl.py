"""The simulated participant through real LSL: nothing lost, cues answered, truth told."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pylsl
import pytest
from support.sources import DEADLINE_S, Heard, collect, listening, serving

from duchenne.protocols.markers import MarkerOutlet
from duchenne.recorder.sources.listener import MarkerListener
from duchenne.recorder.sources.registry import create_source

COMMAND = [sys.executable, "-m", "duchenne.cli", "sources"]
RECT_PX = [480, 216, 1440, 864]


def test_no_sample_is_lost_and_truth_is_complete(tmp_path: Path, unique_name: str) -> None:
    heard = Heard()
    settings = {"truth": str(tmp_path / "truth"), "seed": "3"}
    with serving("simulated", unique_name, settings), listening(unique_name) as inlet:
        collect(inlet, heard, 4.0)
    device_s = heard.samples[:, 10]
    steps = np.diff(device_s) * 600
    assert np.round(steps).tolist() == [1.0] * len(steps)
    assert np.diff(heard.times_s) == pytest.approx(np.full(len(steps), 1 / 600), abs=1e-6)
    with np.load(tmp_path / "truth_gaze.npz") as truth:
        assert truth["n_samples"] >= len(heard.stamps)
        first, last = truth["lsl_times"]
        assert first <= heard.stamps[0] < heard.stamps[-1] <= last
        assert (last - first) * 600 == pytest.approx(truth["n_samples"] - 1, abs=1e-3)
        assert len(truth["saccades"]) > 4
        assert len(truth["fixations"]) > 4
        assert len(truth["pupil"]) == pytest.approx((last - first) * 50, abs=2)


def test_a_process_that_was_held_up_catches_up(unique_name: str) -> None:
    heard = Heard()
    command = [*COMMAND, "start", "simulated", "--source-id", unique_name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            with listening(unique_name) as inlet:
                collect(inlet, heard, 0.5)
                process.send_signal(signal.SIGSTOP)
                collect(inlet, heard, 1.5)
                process.send_signal(signal.SIGCONT)
                collect(inlet, heard, 1.0)
                now_s = pylsl.local_clock()
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert np.diff(heard.times_s) == pytest.approx(
        np.full(len(heard.stamps) - 1, 1 / 600), abs=1e-6
    )
    assert now_s - heard.stamps[-1] < 0.2


def _listen(listener: MarkerListener, cues: list[str], connected: threading.Event) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not connected.is_set() and time.monotonic() < deadline:
        cues.extend(c.event for c in listener.cues())
        time.sleep(0.01)


def test_the_listener_hears_a_late_stream_and_one_that_comes_back(unique_name: str) -> None:
    connected = threading.Event()
    listener = MarkerListener(unique_name, lambda _source_id: connected.set())
    cues: list[str] = []
    listener.open()
    try:
        assert listener.cues() == []
        for event in ("fixation_onset", "stimulus_onset"):
            connected.clear()
            with MarkerOutlet(source_id=unique_name) as markers:
                _listen(listener, cues, connected)
                assert connected.is_set(), "the stream was not found"
                markers.push(event)
                deadline = time.monotonic() + DEADLINE_S
                while event not in cues and time.monotonic() < deadline:
                    cues.extend(c.event for c in listener.cues())
                    time.sleep(0.01)
            deadline = time.monotonic() + 1.0
            while time.monotonic() < deadline:
                cues.extend(c.event for c in listener.cues())
                time.sleep(0.01)
    finally:
        listener.close()
    assert cues == ["fixation_onset", "stimulus_onset"]


def test_other_markers_are_not_heard(unique_name: str) -> None:
    listener = MarkerListener(f"{unique_name}-wanted")
    listener.open()
    try:
        with MarkerOutlet(source_id=f"{unique_name}-other") as markers:
            for _ in range(20):
                markers.push("fixation_onset")
                assert listener.cues() == []
                time.sleep(0.05)
    finally:
        listener.close()


def _present(markers: MarkerOutlet) -> tuple[float, float]:
    """Push one presentation; return the times of cross and stimulus."""
    cross_s = markers.push("fixation_onset", presentation_id="P-1", position_px=[1300, 300])
    time.sleep(1.0)
    onset_s = markers.push(
        "stimulus_onset",
        presentation_id="P-1",
        stimulus="s1",
        category="HVHA",
        rect_px=RECT_PX,
    )
    time.sleep(2.5)
    markers.push("stimulus_offset", presentation_id="P-1", stimulus="s1")
    time.sleep(0.2)
    return cross_s, onset_s


@pytest.mark.parametrize("name", ["simulated", "simulated-face"])
def test_the_participant_answers_markers_and_ends_on_sigterm(
    name: str, tmp_path: Path, unique_name: str
) -> None:
    prefix = tmp_path / "sub-P01"
    options = {"truth": prefix, "markers_source_id": f"{unique_name}-markers"}
    if name == "simulated":
        options["blinks"] = "false"
    command = [*COMMAND, "start", name, "--source-id", unique_name]
    command += [part for key, value in options.items() for part in ("--set", f"{key}={value}")]
    with (
        MarkerOutlet(source_id=f"{unique_name}-markers") as markers,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().strip() for _ in range(2)]
            if name == "simulated-face":
                lines.append(process.stdout.readline().strip())
            assert {"ready", f"hears {unique_name}-markers"} <= set(lines)
            cross_s, onset_s = _present(markers)
        finally:
            begun = time.monotonic()
            process.terminate()
            rest = process.stdout.read() if process.stdout else ""
            process.wait(DEADLINE_S)
    assert time.monotonic() - begun < DEADLINE_S
    assert process.returncode == 0
    assert str(prefix) in rest.splitlines()[-1]
    check = _check_eyes if name == "simulated" else _check_face
    check(prefix, cross_s, onset_s)


def _check_eyes(prefix: Path, cross_s: float, onset_s: float) -> None:
    with np.load(f"{prefix}_gaze.npz") as truth:
        events = truth["reaction_events"].tolist()
        reactions = truth["reactions"][events.index("stimulus_onset")]
        assert reactions[0] == pytest.approx(onset_s, abs=1e-6)
        assert 0.19 < reactions[1] - onset_s < 0.35
        cross = truth["reactions"][events.index("fixation_onset")]
        assert cross[0] == pytest.approx(cross_s, abs=1e-6)
        assert 0.16 < cross[1] - cross_s < 0.35
        pupil = truth["pupil"]
        during = pupil[(pupil[:, 0] > onset_s + 2) & (pupil[:, 0] < onset_s + 2.5), 1]
        before = pupil[(pupil[:, 0] > onset_s - 0.5) & (pupil[:, 0] < onset_s), 1]
        assert abs(during.mean() - before.mean()) > 0.05


def _check_face(prefix: Path, cross_s: float, onset_s: float) -> None:
    with Path(f"{prefix}_face.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    stamps = np.array([float(row["lsl_time_s"]) for row in rows])
    assert np.diff(stamps) == pytest.approx(np.full(len(rows) - 1, 1 / 30), abs=1e-5)
    first = next(row for row in rows if row["clip"] != "neutral")
    assert (first["clip"], first["presentation_id"]) == ("happiness", "P-1")
    assert first["reaction_lsl_s"] == first["lsl_time_s"]
    assert 0.3 <= float(first["lsl_time_s"]) - onset_s <= 0.54
    assert max(float(row["AU12"]) for row in rows) > 3
    assert stamps[-1] > onset_s + 2.5
    assert cross_s < onset_s


def test_interrupt_ends_a_source_that_was_started_in_the_background(unique_name: str) -> None:
    """A shell starts background jobs with SIGINT ignored; the source takes it back."""

    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    command = [*ignoring, *COMMAND, "start", "simulated", "--source-id", unique_name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert "samples of Gaze" in rest


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["start", "simulatd"], 2, "No source named 'simulatd'; did you mean 'simulated'?"),
        (
            ["start", "simulated", "--set", "rate=3"],
            2,
            "has no option 'rate'; did you mean 'rate_hz'?",
        ),
        (["start", "simulated", "--set", "rate_hz=fast"], 2, "rate_hz=fast"),
        (["start", "simulated", "--set", "seed"], 2, "key=value"),
        (["start", "camera", "--set", "device=99"], 1, "No camera 99"),
        (["start", "simulated", "--set", "protocol=nowhere.yaml"], 1, "nowhere.yaml"),
    ],
)
def test_problems_are_told_in_one_line(arguments: list[str], code: int, message: str) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "ready" not in done.stdout


def test_list_and_duration(unique_name: str) -> None:
    listed = subprocess.run(
        [*COMMAND, "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | {"COLUMNS": "200"},
    ).stdout
    for name in ("camera", "simulated", "simulated-face"):
        assert name in listed
    assert "available" in listed
    done = subprocess.run(
        [*COMMAND, "start", "simulated", "--source-id", unique_name, "--duration", "0.5"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[0] == "ready"
    n = int(done.stdout.splitlines()[-1].split()[0])
    assert 0.5 * 600 <= n <= 1.0 * 600


def test_a_bad_option_is_refused_before_anything_opens() -> None:
    with pytest.raises(Exception, match="rate_hz=1"):
        create_source("simulated", "x", {"rate_hz": "1"})
