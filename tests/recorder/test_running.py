"""Numbers that are kept, where a broken session goes on, and the operator's keys."""

from __future__ import annotations

import os
import pty
from typing import TYPE_CHECKING, Any

import pytest

from duchenne.protocols.plan import Step, Trial
from duchenne.recorder.allocation import FILE_NAME, allocate, read_allocations
from duchenne.recorder.operator_keys import OperatorKeys
from duchenne.recorder.resuming import next_step
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
    last = [*aborted, *second, marker("stimulus_onset", trial=3), marker("block_end", block="b")]
    assert next_step(STEPS, last) == len(STEPS) + 1


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


def test_without_a_terminal_there_are_no_keys() -> None:
    read, write = os.pipe()
    try:
        os.write(write, b"aaa")
        with OperatorKeys(read) as keys:
            assert keys.poll() == []
    finally:
        os.close(read)
        os.close(write)
