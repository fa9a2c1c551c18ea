"""The control channel of a running session: what goes in comes out, whatever dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from duchenne.recorder.control import (
    ControlPost,
    RunFacts,
    clean_text,
    command_line,
    find_run,
    find_runs,
    new_id,
    runtime_folder,
    sweep,
)
from duchenne.recorder.operator_keys import OperatorKeys
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "runtime"
    monkeypatch.setenv("DUCHENNE_RUNTIME", str(folder))
    return folder


def facts(study: Path, **more: object) -> RunFacts:
    values = {
        "id": new_id(),
        "pid": os.getpid(),
        "study": str(study.resolve()),
        "session_file": str(study / "x_session.h5"),
        "journal": str(study / "x_session.journal"),
        "participant": "P01",
        "session": "01",
        "task": "demo",
        "run": "01",
        "protocol": "demo",
        "started_s": 1000.0,
    }
    return RunFacts(**{**values, **more})  # type: ignore[arg-type]  # one helper for many facts


def test_commands_arrive_once_in_their_order(tmp_path: Path) -> None:
    with ControlPost(facts(tmp_path)) as post:
        handle = find_run(post.facts.id)
        assert handle is not None
        assert post.poll() == []
        for command, text in (("pause", ""), ("note", "lamp on"), ("abort", "ill"), ("resume", "")):
            handle.send(command, text)
        assert post.poll() == ["pause", "note lamp on", "abort ill", "resume"]
        assert post.poll() == []


def test_a_text_cannot_become_another_command(tmp_path: Path) -> None:
    with ControlPost(facts(tmp_path)) as post:
        handle = find_run(post.facts.id)
        assert handle is not None
        handle.send("note", "one\nabort now\r\x00\x1b[2Jskip")
        assert post.poll() == ["note one abort now [2Jskip"]
        with pytest.raises(UsageError, match="no command"):
            handle.send("start {}")
        with pytest.raises(UsageError, match="no command"):
            handle.send("pause\nabort")
        with pytest.raises(UsageError, match="needs a text"):
            handle.send("note", " \n ")
        assert post.poll() == []


def test_what_is_no_command_is_dropped(tmp_path: Path, runtime: Path) -> None:
    with ControlPost(facts(tmp_path)) as post:
        folder = runtime / f"run-{post.facts.id}" / "commands"
        for name, content in {
            "1": b"no json",
            "2": b'{"command": "format"}',
            "3": b'["pause"]',
            "4": b'{"command": "note", "text": "' + b"x" * 10_000 + b'"}',
            "5": b'{"command": "skip", "text": "ignored"}',
            ".6": b'{"command": "abort"}',
        }.items():
            (folder / name).write_bytes(content)
        assert post.poll() == ["skip"]
        assert [path.name for path in folder.iterdir()] == [".6"]


def test_a_status_tells_how_far_a_session_is(tmp_path: Path) -> None:
    with ControlPost(facts(tmp_path)) as post:
        handle = find_run(post.facts.id)
        assert handle is not None
        assert handle.status().state == "starting"
        post.step(3, 9, "trial 1: sunset")
        post.tell("stream Gaze is gone")
        status = handle.status()
        assert (status.state, status.step, status.of) == ("running", 3, 9)
        assert [text for _, text in handle.told()] == ["stream Gaze is gone"]
        assert handle.told() == []
        post.step(0, 0, "sealing the session file")
        assert handle.status().state == "sealing"
        assert handle.is_alive
        post.say(state="finished")
    assert handle.status().is_over
    assert not handle.is_alive


def test_a_session_that_fails_says_why(tmp_path: Path) -> None:
    post = ControlPost(facts(tmp_path))
    with pytest.raises(DuchenneError), post:
        raise DuchenneError("no camera")
    handle = find_run(post.facts.id)
    assert handle is not None
    assert (handle.status().state, handle.status().message) == ("failed", "no camera")


def test_a_killed_runner_is_seen_to_be_dead(tmp_path: Path) -> None:
    script = (
        "import sys, time; from dataclasses import replace\n"
        "from duchenne.recorder.control import ControlPost, RunFacts\n"
        "import json; facts = RunFacts(**json.loads(sys.argv[1]))\n"
        "with ControlPost(facts): print('here', flush=True); time.sleep(60)\n"
    )
    told = facts(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", script, json.dumps(asdict(told))], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    handle = find_run(told.id)
    assert handle is not None
    assert handle.is_alive
    assert [h.facts.id for h in find_runs(tmp_path)] == [told.id]
    process.kill()
    process.wait(10)
    process.stdout.close()
    assert not handle.is_alive
    assert handle.status().state == "starting"


def test_runs_of_other_studies_are_not_found(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    with ControlPost(facts(one, started_s=1.0)) as first, ControlPost(facts(other)) as second:
        assert [h.facts.id for h in find_runs(one)] == [first.facts.id]
        assert {h.facts.id for h in find_runs()} == {first.facts.id, second.facts.id}
    assert find_run("../../etc") is None
    assert find_run("0" * 12) is None


def test_old_runs_are_swept_away_and_living_ones_are_not(tmp_path: Path, runtime: Path) -> None:
    with ControlPost(facts(tmp_path)) as over:
        over.say(state="finished")
    with ControlPost(facts(tmp_path)) as living:
        sweep(runtime, kept_s=-1.0)
        assert [path.name for path in runtime.iterdir()] == [f"run-{living.facts.id}"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_folder_that_others_may_read_is_refused(runtime: Path) -> None:
    assert runtime_folder() == runtime
    assert runtime.stat().st_mode & 0o077 == 0
    runtime.chmod(0o755)
    with pytest.raises(DuchenneError, match="open to other users"):
        runtime_folder()
    runtime.rmdir()
    elsewhere = runtime.with_name("elsewhere")
    elsewhere.mkdir(mode=0o700)
    runtime.symlink_to(elsewhere)
    with pytest.raises(DuchenneError, match="no folder"):
        runtime_folder()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_a_note_can_be_typed_in_the_terminal() -> None:
    import pty

    ours, theirs = pty.openpty()
    try:
        with OperatorKeys(theirs) as keys:
            os.write(ours, b"n\nnlamp on\nps")
            assert keys.poll() == ["note lamp on", "pause", "skip"]
            os.write(ours, b"nforget it\x1bc")
            assert keys.poll() == ["recalibrate"]
    finally:
        os.close(ours)
        os.close(theirs)


def test_texts_are_cut_to_one_short_line() -> None:
    assert clean_text("  a \t b\n\n c ") == "a b c"
    assert len(clean_text("x" * 9999)) == 500
    assert command_line("abort") == "abort"
    assert command_line("pause", "whatever") == "pause"
