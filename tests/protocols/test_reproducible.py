"""The same protocol, participant, session and seed give the same schedule, through the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.mixed import N_TRIALS, write_mixed

from duchenne.protocols.schedule import derive_seed, make_schedule
from duchenne.protocols.schema import load_protocol
from duchenne.recorder.session_plan import Wish, plan

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a protocol of pictures and films with calibration, ratings, counterbalancing and a break."""
    return write_mixed(tmp_path_factory.mktemp("mixed"))


def printed(protocol: Path, hash_seed: str, *options: str) -> bytes:
    """Return what ``duchenne protocol schedule --json`` prints in a process of its own."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "duchenne.cli",
            "protocol",
            "schedule",
            str(protocol),
            *options,
            "--json",
        ],
        capture_output=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def kinds(schedule: dict[str, Any]) -> list[str]:
    return [step["kind"] for step in schedule["steps"]]


def test_the_command_prints_the_same_bytes_each_time(mixed: Path) -> None:
    first = printed(mixed, "1", "--participant", "P07", "--seed", "5")
    assert printed(mixed, "2", "--participant", "P07", "--seed", "5") == first
    schedule = json.loads(first)
    assert schedule["seed"] == 5
    found = kinds(schedule)
    assert found.count("trial") == N_TRIALS
    assert {"calibration", "break", "neutral", "instruction"} <= set(found)
    assert all(s["trial"]["ratings"] == ["valence"] for s in schedule["steps"] if s["trial"])


def test_counterbalancing_and_seed_are_what_changes_it(mixed: Path) -> None:
    protocol = load_protocol(mixed)
    by_number = {
        n: make_schedule(protocol, participant="P07", session="01", seed=5, number=n)
        for n in (1, 2, 3)
    }
    order = {
        n: list(dict.fromkeys(s.block for s in schedule.steps)) for n, schedule in by_number.items()
    }
    assert order[1] == ["opening", "pictures", "films"]
    assert order[2] == ["opening", "films", "pictures"]
    assert by_number[1].steps == by_number[3].steps
    other = make_schedule(protocol, participant="P07", session="01", seed=6, number=1)
    assert other.steps != by_number[1].steps


def test_the_seed_comes_from_protocol_participant_and_session(mixed: Path) -> None:
    seed = derive_seed("a" * 64, "P07", "01")
    assert seed == 9124235497308765161  # fixed for ever: old schedules must be found again
    others = [("b" * 64, "P07", "01"), ("a" * 64, "P08", "01"), ("a" * 64, "P07", "02")]
    assert len({seed, *(derive_seed(*key) for key in others)}) == 4
    assert derive_seed("a", "P1", "01") != derive_seed("a", "P10", "1")
    protocol = load_protocol(mixed)
    planned = make_schedule(protocol, participant="P07", session="01")
    assert planned.seed == derive_seed(protocol.hash, "P07", "01")


def test_the_run_changes_nothing(mixed: Path, tmp_path: Path) -> None:
    one, two = (
        plan(Wish(str(mixed), "P07", "01", run, tmp_path / "study")).schedule
        for run in ("01", "02")
    )
    assert one.to_json() == two.to_json()
    later = plan(Wish(str(mixed), "P07", "02", None, tmp_path / "study")).schedule
    assert later.steps != one.steps
