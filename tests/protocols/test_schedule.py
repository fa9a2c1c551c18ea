"""Schedules: reproducible, constrained, and refused when they cannot be."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from duchenne.protocols.cli import app
from duchenne.protocols.ordering import draw_per_category, random_order
from duchenne.protocols.schedule import Schedule, derive_seed, make_schedule
from duchenne.protocols.schema import load_protocol, parse_protocol
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.manifest import Stimulus, StimulusSet

DEMO = load_protocol("demo")
HEAD = """\
name: p
title: T
screen: {width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
blocks:
"""


def stimuli_of(counts: dict[str, int]) -> list[Stimulus]:
    return [
        Stimulus(f"{c}{i}", f"{c}{i}.png", Path(f"{c}{i}.png"), "image", c, "0" * 64)
        for c, n in counts.items()
        for i in range(n)
    ]


def longest_run(categories: list[str]) -> int:
    return max(len(list(group)) for _, group in itertools.groupby(categories))


def test_demo_schedule() -> None:
    schedule = make_schedule(DEMO, participant="P01", session="01")
    assert [t.trial for t in schedule.trials] == list(range(1, 11))
    assert schedule.steps[0].kind == "block_start"
    assert schedule.steps[-1].kind == "block_end"
    kinds = Counter(step.kind for step in schedule.steps)
    assert kinds == {"block_start": 3, "block_end": 3, "instruction": 2, "neutral": 1, "trial": 10}
    stimuli = StimulusSet.bundled()
    assert longest_run([stimuli[t.stimulus_id].category for t in schedule.trials]) <= 2
    for trial in schedule.trials:
        assert trial.fixation_s == 1.0
        assert trial.duration_s == 5.0
        assert 0.5 <= trial.iti_s <= 0.8
        assert trial.ratings == ("valence", "arousal")


def test_demo_fits_its_time_with_quick_ratings() -> None:
    schedule = make_schedule(DEMO, participant="P01", session="01")
    ratings_s = 2 * 10 * 1.0
    shown_s = sum(s.planned_duration_s for s in schedule.steps if s.trial is None)
    shown_s += sum(t.fixation_s + t.duration_s + t.iti_s for t in schedule.trials)
    assert shown_s + ratings_s < 110


def test_same_session_same_bytes() -> None:
    first = make_schedule(DEMO, participant="P01", session="01").to_json()
    assert make_schedule(load_protocol("demo"), participant="P01", session="01").to_json() == first
    assert make_schedule(DEMO, participant="P02", session="01").to_json() != first
    assert make_schedule(DEMO, participant="P01", session="02").to_json() != first


def test_a_given_seed_decides_alone() -> None:
    one = make_schedule(DEMO, participant="P01", session="01", seed=5)
    two = make_schedule(DEMO, participant="P02", session="01", seed=5)
    assert one.steps == two.steps
    assert one.seed == 5
    assert make_schedule(DEMO, participant="P01", session="01", seed=6).steps != one.steps


def test_draws_do_not_change_between_versions() -> None:
    order = random_order(
        stimuli_of({"a": 3, "b": 3}), 1, np.random.Generator(np.random.PCG64([5, 0]))
    )
    assert "".join(s.id for s in order) == "b1a2b2a0b0a1"
    assert derive_seed("0" * 64, "P01", "01") == 8355636204111845729


def test_json_reads_back() -> None:
    schedule = make_schedule(DEMO, participant="P01", session="01")
    assert Schedule.from_json(schedule.to_json()) == schedule
    assert json.loads(schedule.to_json())["seed"] == schedule.seed
    for text in ("", "[]", "{}", '{"steps": [{}]}', "no"):
        with pytest.raises(DuchenneError, match="not a schedule"):
            Schedule.from_json(text)


def test_participants_get_different_orders() -> None:
    orders = {
        tuple(t.stimulus_id for t in make_schedule(DEMO, participant=f"P{i}", session="1").trials)
        for i in range(20)
    }
    assert len(orders) == 20


def test_fixed_order_breaks_and_jitter() -> None:
    text = HEAD + (
        "  - name: b\n    steps:\n"
        "      - {type: trials, select: {ids: [mug, balloons, rain, hills]}, order: fixed,\n"
        "         duration_s: 2, fixation_s: {min: 0.5, max: 1.5}, iti_s: 0,\n"
        "         breaks: {every: 2, duration_s: 1}}\n"
        "      - {type: break, text: Rest}\n"
        "      - {type: trials, select: {categories: [HVHA], kinds: [video]}}\n"
    )
    schedule = make_schedule(parse_protocol(text), participant="1", session="1")
    kinds = [step.kind for step in schedule.steps]
    assert kinds == [
        "block_start",
        "trial",
        "trial",
        "break",
        "trial",
        "trial",
        "break",
        "trial",
        "block_end",
    ]
    assert [t.stimulus_id for t in schedule.trials] == [
        "mug",
        "balloons",
        "rain",
        "hills",
        "balloons",
    ]
    assert [t.duration_s for t in schedule.trials] == [2.0, 5.0, 2.0, 2.0, 5.0]
    fixations_s = [t.fixation_s for t in schedule.trials[:4]]
    assert len(set(fixations_s)) == 4
    assert all(0.5 <= f <= 1.5 and round(f, 3) == f for f in fixations_s)
    assert schedule.steps[6].duration_s is None
    assert schedule.trials[4].trial == 5


def test_per_category_draws_the_same_number_of_each() -> None:
    text = HEAD + (
        "  - name: b\n    steps:\n"
        "      - {type: trials, select: {per_category: 2}, duration_s: 1, max_repeats_of_category: 1}\n"
    )
    stimuli = StimulusSet.bundled()
    drawn = set()
    for i in range(10):
        schedule = make_schedule(parse_protocol(text), participant=f"P{i}", session="1")
        ids = [t.stimulus_id for t in schedule.trials]
        categories = [stimuli[s].category for s in ids]
        assert set(Counter(categories).values()) == {2}
        assert longest_run(categories) == 1
        drawn |= set(ids)
    assert len(drawn) == len(stimuli)


def test_impossible_constraint_is_refused_with_its_reason() -> None:
    text = HEAD + (
        "  - name: b\n    steps:\n"
        "      - type: trials\n        select: {ids: [mug, chair, boxes, hills]}\n"
        "        duration_s: 1\n        max_repeats_of_category: 1\n"
    )
    with pytest.raises(
        DuchenneError, match=r"p.yaml:10: 3 of 4 stimuli are 'neutral'.*raise .* to 2"
    ):
        make_schedule(parse_protocol(text, name="p.yaml"), participant="1", session="1")


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("counts", list(itertools.product(range(5), repeat=3)))
def test_an_order_is_found_whenever_there_is_one(counts: tuple[int, ...], limit: int) -> None:
    groups = {name: n for name, n in zip("abc", counts, strict=True) if n}
    letters = "".join(name * n for name, n in groups.items())
    possible = exists(Counter(letters), "", 0, limit)
    rng = np.random.default_rng(1)
    if not possible:
        with pytest.raises(ValueError, match="raise max_repeats_of_category"):
            random_order(stimuli_of(groups), limit, rng)
        return
    order = random_order(stimuli_of(groups), limit, rng)
    assert Counter(s.category for s in order) == Counter(letters)
    if order:
        assert longest_run([s.category for s in order]) <= limit


def exists(left: Counter[str], last: str, run: int, limit: int) -> bool:
    """Search all orders for one that meets the limit."""
    if not left.total():
        return True
    for name in [name for name, n in left.items() if n]:
        run_after = run + 1 if name == last else 1
        if run_after <= limit and exists(left - Counter(name), name, run_after, limit):
            return True
    return False


def test_unconstrained_orders_are_equally_likely() -> None:
    rng = np.random.default_rng(3)
    stimuli = stimuli_of({"a": 2, "b": 1})
    seen = Counter(tuple(s.id for s in random_order(stimuli, None, rng)) for _ in range(3000))
    assert len(seen) == 6
    assert all(400 < n < 600 for n in seen.values())


def test_draw_per_category_keeps_the_order() -> None:
    stimuli = stimuli_of({"a": 5, "b": 3})
    drawn = draw_per_category(stimuli, 2, np.random.default_rng(0))
    assert Counter(s.category for s in drawn) == {"a": 2, "b": 2}
    assert list(drawn) == [s for s in stimuli if s in drawn]


def test_large_schedules_are_quick() -> None:
    stimuli = stimuli_of(dict.fromkeys("abcde", 80))
    start = time.perf_counter()
    order = random_order(stimuli, 2, np.random.default_rng(0))
    assert time.perf_counter() - start < 2.0
    assert longest_run([s.category for s in order]) <= 2


def test_wrong_usage_is_refused() -> None:
    for labels in ({"participant": "a/b", "session": "1"}, {"participant": "a", "session": ".."}):
        with pytest.raises(UsageError, match="label"):
            make_schedule(DEMO, **labels)
    with pytest.raises(UsageError, match="seed -1"):
        make_schedule(DEMO, participant="1", session="1", seed=-1)


def test_schedule_command_prints_the_same_each_time() -> None:
    arguments = ["schedule", "demo", "--participant", "P07", "--seed", "5"]
    table = CliRunner().invoke(app, arguments)
    assert table.exit_code == 0
    assert "trial 10" in table.stdout
    assert table.stdout.splitlines()[-1].endswith("seed 5")
    first, second = (CliRunner().invoke(app, [*arguments, "--json"]).stdout for _ in range(2))
    assert first == second
    assert Schedule.from_json(first).participant == "P07"
