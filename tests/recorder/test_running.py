"""Numbers that are kept, where a broken session goes on, and the operator's keys."""

from __future__ import annotations

import os
import pty
from typing import TYPE_CHECKING, Any

import h5py
import pytest
from support.sessions import write_session

from duchenne.protocols.plan import Step, Trial
from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import load_protocol
from duchenne.recorder.allocation import FILE_NAME, allocate, read_allocations
from duchenne.recorder.layout import SessionName
from duchenne.recorder.operator_keys import OperatorKeys
from duchenne.recorder.recording import Recording
from duchenne.recorder.resuming import find_resumption, next_step
from duchenne.recorder.session_plan import Wish, plan
from duchenne.recorder.session_summary import withdrawal_lines
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

STEPS = (
    Step("block_start", "a"),
    Step("instruction", "a"),
    *(Step("trial", "a", trial=Trial(n, "a", "x", 0.5, 1.0, 0.5)) for n in (1, 2)),
    Step("block_end", "a"),
    Step("block_start", "b"),
    Step("trial", "b", trial=Trial(3, "b", "x", 0.5, 1.0, 0.5)),
    Step("block_end", "b"),
)
LONG_TEXT = """\
name: long
title: A text that no screen holds
screen: {width_px: 640, height_px: 480, width_cm: 40, height_cm: 30, distance_cm: 60}
blocks:
  - name: main
    steps:
      - {type: trials, select: {ids: [sunset]}, duration_s: 1}
      - {type: neutral, duration_s: 5, text: '%s'}
""" % ("long " * 300)


def marker(event: str, **fields: Any) -> dict[str, Any]:
    return {"event": event, "block": "a"} | fields


def test_numbers_are_assigned_once_and_inherited(tmp_path: Path) -> None:
    assert allocate(tmp_path, "P07").number == 7
    assert allocate(tmp_path, "P02").number == 2
    before = (tmp_path / FILE_NAME).read_bytes()
    assert allocate(tmp_path, "P07").number == 7
    assert (tmp_path / FILE_NAME).read_bytes() == before
    heir = allocate(tmp_path, "P31", replaces="P07")
    assert (heir.number, heir.replaces) == (7, "P07")
    assert allocate(tmp_path, "P31", replaces="P07") == heir
    assert allocate(tmp_path, "P31") == heir
    assert allocate(tmp_path, "anna").number == 1
    assert allocate(tmp_path, "X2").number == 3
    assert allocate(tmp_path, "P32", replaces="P31").number == 7
    rows = read_allocations(tmp_path / FILE_NAME)
    assert [row.number for row in rows] == [7, 2, 7, 1, 3, 7]
    for participant, replaces in (("P40", "P99"), ("P40", "P07"), ("P02", "P31"), ("P1", "P1")):
        with pytest.raises(DuchenneError):
            allocate(tmp_path, participant, replaces=replaces)


def test_the_table_of_the_user_stays_as_it_is(tmp_path: Path) -> None:
    table = tmp_path / FILE_NAME
    text = "number\tparticipant\tcomment\n4\tsub-P01\tchosen by hand\n"
    table.write_text(text, encoding="utf-8")
    assert allocate(tmp_path, "P01").number == 4
    assert allocate(tmp_path, "P04").number == 1
    assert table.read_text(encoding="utf-8") == text + "1\tP04\tn/a\n"
    table.write_text("number\tparticipant\nfour\tP01\n", encoding="utf-8")
    with pytest.raises(DuchenneError, match=r"allocation\.tsv:2: number is 'four'"):
        allocate(tmp_path, "P01")


def test_a_seen_trial_is_not_repeated_and_an_unseen_one_is() -> None:
    begun = [marker("session_start"), marker("block_start")]
    assert next_step(STEPS, []) == 1
    assert next_step(STEPS, begun) == 2
    assert next_step(STEPS, begun, last_begun=3) == 3
    fixation = [*begun, marker("fixation_onset", trial=1)]
    assert next_step(STEPS, fixation, last_begun=3) == 3
    seen = [*fixation, marker("stimulus_onset", trial=1)]
    assert next_step(STEPS, seen, last_begun=3) == 4
    assert next_step(STEPS, [*begun, marker("skip", trial=1)]) == 4
    aborted = [*seen, marker("abort"), marker("block_end"), marker("session_end")]
    assert next_step(STEPS, aborted) == 4
    second = [marker("session_start"), marker("block_start"), marker("stimulus_onset", trial=2)]
    assert next_step(STEPS, [*aborted, *second]) == 5
    unmarked = [marker("stimulus_onset", trial=2)]  # its session_start was lost
    assert next_step(STEPS, [*aborted, *unmarked]) == 5
    last = [*aborted, *second, marker("stimulus_onset", trial=3), marker("block_end", block="b")]
    assert next_step(STEPS, last) == len(STEPS) + 1


def _run_file(study: Path, run: str, markers: list[Any], **changes: Any) -> SessionName:
    protocol = load_protocol("demo")
    name = SessionName("P01", "01", "demo", run)
    schedule = make_schedule(protocol, participant="P01", session="01", number=1)
    values = {"schedule_json": schedule.to_json(), "pilot": False} | changes
    path = name.session_file(study)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_session(path, markers=markers, participant="P01", task="demo", run=run)
    with h5py.File(path, "r+") as file:
        del file["protocol"]["schedule"]
        file["protocol"]["schedule"] = values["schedule_json"]
        file.attrs["pilot"] = values["pilot"]
    return name


def test_a_pilot_goes_on_as_a_pilot(tmp_path: Path) -> None:
    name = _run_file(tmp_path, "01", [(1.0, "stimulus_onset", {"trial": 1})], pilot=True)
    found = find_resumption(tmp_path, name, load_protocol("demo").hash)
    assert found.pilot
    assert (found.run, found.resumed_from) == ("02", "01")


@pytest.mark.parametrize(
    "wish",
    [
        (9.0, "abort", {"reason": "no consent"}),
        (9.0, "abort", {"reason": "participant: stop and delete"}),
        (9.0, "note", {"text": "consent withdrawn after debriefing"}),
    ],
)
def test_a_session_whose_participant_withdrew_is_not_resumed(
    tmp_path: Path, wish: tuple[float, str, dict[str, Any]]
) -> None:
    name = _run_file(tmp_path, "01", [(1.0, "stimulus_onset", {"trial": 1}), wish])
    with pytest.raises(DuchenneError, match="not resumed"):
        find_resumption(tmp_path, name, load_protocol("demo").hash)


def test_what_cannot_be_resumed_is_told_in_one_line(tmp_path: Path) -> None:
    name = _run_file(tmp_path, "01", [], schedule_json="")
    with pytest.raises(DuchenneError, match="holds no schedule"):
        find_resumption(tmp_path, name, load_protocol("demo").hash)
    _run_file(tmp_path, "99", [])
    with pytest.raises(DuchenneError, match="another --session"):
        find_resumption(tmp_path, name, load_protocol("demo").hash)


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        (("abort", {"reason": "participant: stop and delete"}), "wants the data deleted"),
        (("abort", {"reason": "no consent"}), "did not consent"),
        (("note", {"text": "consent withdrawn after debriefing"}), "after the debriefing"),
    ],
)
def test_the_operator_is_told_of_a_withdrawal_and_what_to_do(
    tmp_path: Path, marker: tuple[str, dict[str, Any]], words: str
) -> None:
    name = _run_file(tmp_path, "01", [(2.0, *marker)])
    path = name.session_file(tmp_path)
    with Recording.open(path) as recording:
        what, kept, to_do = withdrawal_lines(recording, path)
    assert "WITHDRAWN" in what
    assert words in what
    assert f"Nothing has been deleted: {path}" in kept
    assert f"{path.parent}/{name.stem}_*" in to_do
    assert f"`duchenne forget {name.participant} --study {tmp_path.resolve()}`" in to_do


def test_a_participant_who_only_stops_is_told_apart(tmp_path: Path) -> None:
    name = _run_file(tmp_path, "01", [(2.0, "abort", {"reason": "participant: stop"})])
    path = name.session_file(tmp_path)
    with Recording.open(path) as recording:
        assert withdrawal_lines(recording, path) == [
            "the participant stopped; what was recorded may be used and is kept"
        ]
    other = _run_file(tmp_path, "02", [(2.0, "abort", {"reason": "operator"})])
    with Recording.open(other.session_file(tmp_path)) as recording:
        assert withdrawal_lines(recording, path) == []


def test_screens_are_checked_before_a_number_is_given(tmp_path: Path) -> None:
    pytest.importorskip("psychopy.constants")
    protocol = tmp_path / "long.yaml"
    protocol.write_text(LONG_TEXT, encoding="utf-8")
    wish = Wish(str(protocol), "P01", "01", None, tmp_path / "study")
    with pytest.raises(DuchenneError, match="shorten"):
        plan(wish)
    assert not (tmp_path / "study").exists()


def test_keys_of_a_terminal_become_commands() -> None:
    ours, theirs = pty.openpty()
    told: list[str] = []
    try:
        with OperatorKeys(theirs, told.append) as keys:
            assert "p pause" in told[0]
            assert keys.poll() == []
            os.write(ours, b"psxPc")
            assert keys.poll() == ["pause", "skip", "resume", "recalibrate"]
            os.write(ours, b"a\x1bacrashed\x7f\x7f of nausea\n")
            assert keys.poll() == ["abort crash of nausea"]
            os.write(ours, b"a\n")
            assert keys.poll() == ["abort"]
    finally:
        os.close(ours)
        os.close(theirs)


def test_arrow_and_function_keys_are_no_commands() -> None:
    """They send Escape and letters: the right arrow ends in C, F1 in P, the up arrow in A."""
    ours, theirs = pty.openpty()
    try:
        with OperatorKeys(theirs) as keys:
            os.write(ours, b"\x1b[A\x1b[C\x1bOP\x1bOS\x1b[1;5C\x1b[15~\n")
            assert keys.poll() == []
            os.write(ours, b"\x1b[")
            assert keys.poll() == []
            os.write(ours, b"C")
            assert keys.poll() == []
            os.write(ours, b"as\x1b[Dick\n")
            assert keys.poll() == ["abort sick"]
            os.write(ours, "aMüdigkeit".encode()[:3])
            assert keys.poll() == []
            os.write(ours, "aMüdigkeit".encode()[3:] + b"\n")
            assert keys.poll() == ["abort Müdigkeit"]
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_terminal_that_goes_away_takes_nothing_with_it() -> None:
    ours, theirs = pty.openpty()
    with OperatorKeys(theirs) as keys:
        os.close(ours)
        assert keys.poll() == []
        os.close(theirs)
        assert keys.poll() == []


def test_without_a_terminal_there_are_no_keys() -> None:
    read, write = os.pipe()
    try:
        os.write(write, b"aaa")
        with OperatorKeys(read) as keys:
            assert keys.poll() == []
    finally:
        os.close(read)
        os.close(write)
