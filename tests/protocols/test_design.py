"""Counterbalancing, lists, matching and balanced transitions, each against what defines it."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from duchenne.protocols.counterbalance import latin_square, nth_order, participant_number
from duchenne.protocols.matching import matched_draw
from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import parse_protocol
from duchenne.protocols.transitions import balanced_sequence, transition_table
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.protocols.schema import Protocol

HEAD = """\
name: design
title: A design
screen: {width_px: 800, height_px: 450, width_cm: 40, height_cm: 22.5, distance_cm: 60}
stimuli: set
"""
BLOCK = """\
blocks:
  - name: main
    steps:
      - type: trials
        duration_s: 1
"""
THREE_BLOCKS = """\
blocks:
  - {name: hello, steps: [{type: instruction, text: Hello, duration_s: 1}]}
  - {name: first, steps: [{type: instruction, text: A, duration_s: 1}]}
  - {name: second, steps: [{type: instruction, text: B, duration_s: 1}]}
  - {name: bye, steps: [{type: instruction, text: Bye, duration_s: 1}]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 80 pictures in 4 categories, the darkness of which goes with the category."""
    folder = tmp_path_factory.mktemp("design")
    (folder / "set").mkdir()
    chance = np.random.default_rng(4)
    lines = [
        "id file kind category sha256 valence norm_min norm_max black_share".replace(" ", "\t")
    ]
    for number in range(80):
        category = f"c{number % 4}"
        name = f"p{number:02d}.png"
        (folder / "set" / name).write_bytes(str(number).encode())
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        black = 0.3 + 0.05 * (number % 4) + chance.normal(0, 0.1)
        row = [f"p{number:02d}", name, "image", category, digest, f"{1 + number % 9}", "1", "9"]
        lines.append("\t".join([*row, f"{black:.4f}"]))
    (folder / "set" / "manifest.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def protocol(folder: Path, options: str, head: str = "") -> Protocol:
    lines = "".join(f"        {line}\n" for line in options.splitlines())
    return parse_protocol(HEAD + head + BLOCK + lines, name="d.yaml", path=folder / "d.yaml")


def shown(folder: Path, options: str, participant: str = "P01", seed: int = 1) -> list[str]:
    schedule = make_schedule(
        protocol(folder, options), participant=participant, session="01", seed=seed
    )
    return [trial.stimulus_id for trial in schedule.trials]


def category(stimulus_id: str) -> int:
    return int(stimulus_id[1:]) % 4


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 10])
def test_latin_square_is_balanced(n: int) -> None:
    square = np.array(latin_square(n))
    assert square.shape == (n if n % 2 == 0 or n == 1 else 2 * n, n)
    for line in [*square.T]:
        assert set(Counter(line.tolist()).values()) == {len(square) // n}
    table = np.sum([transition_table(row.tolist(), n) for row in square], axis=0)
    assert set(table[~np.eye(n, dtype=bool)].tolist()) <= {1 if n % 2 == 0 else 2}


def test_all_orders_come_once() -> None:
    orders = [nth_order(4, index) for index in range(24)]
    assert len(set(orders)) == 24
    assert nth_order(4, 24) == orders[0] == (0, 1, 2, 3)
    with pytest.raises(ValueError, match="latin_square"):
        nth_order(9, 0)


def test_participants_have_numbers() -> None:
    assert participant_number("P07") == 7
    assert participant_number("lab2x031b") == 31
    for label in ("anna", "P00"):
        with pytest.raises(DuchenneError, match="no number to counterbalance by"):
            participant_number(label)


@pytest.mark.parametrize(
    ("counts", "max_run"),
    [([100] * 4, None), ([100] * 4, 2), ([100] * 4, 1), ([6, 6, 6], 3), ([10, 10], 1), ([7, 3], 2)],
)
def test_transitions_are_balanced(counts: list[int], max_run: int | None) -> None:
    for seed in range(5):
        sequence = balanced_sequence(counts, np.random.default_rng(seed), max_run=max_run)
        assert [sequence.count(i) for i in range(len(counts))] == counts
        table = transition_table(sequence, len(counts))
        others = table[~np.eye(len(counts), dtype=bool)]
        assert np.ptp(others) <= 1, table
        if max_run is not None:
            text = "".join(map(str, sequence))
            assert all(str(i) * (max_run + 1) not in text for i in range(len(counts)))


@pytest.mark.parametrize("counts", [[9, 3, 3], [20, 3]])
def test_impossible_transitions_are_refused_at_once(counts: list[int]) -> None:
    begun = time.monotonic()
    with pytest.raises(ValueError, match="cannot part them into runs"):
        balanced_sequence(counts, np.random.default_rng(0), max_run=1)
    assert time.monotonic() - begun < 0.5


def test_matched_draw_takes_a_confound_away() -> None:
    chance = np.random.default_rng(1)
    categories = [f"c{i % 4}" for i in range(200)]
    measures = np.array([[chance.normal(0.5 * (i % 4)), chance.normal()] for i in range(200)])
    match = matched_draw(
        categories, measures, 6, chance, n_lists=3, across="both", tolerance_sd=0.2
    )
    drawn = [i for found in match.lists for i in found]
    assert len(drawn) == len(set(drawn)) == 72
    cells = [
        measures[[i for i in found if categories[i] == name]].mean(axis=0)
        for found in match.lists
        for name in sorted(set(categories))
    ]
    difference = np.ptp(np.array(cells), axis=0) / measures.std(axis=0)
    assert difference.max() == pytest.approx(match.largest_difference_sd)
    assert match.largest_difference_sd <= 0.2


def test_repetitions_are_kept_apart(folder: Path) -> None:
    options = "select: {ids: [p00, p01, p02, p05]}\nrepeats: 5\nmax_repeats_of_category: 2"
    for seed in range(20):
        order = shown(folder, options, seed=seed)
        assert set(Counter(order).values()) == {5}
        assert all(a != b for a, b in pairwise(order))
    with pytest.raises(DuchenneError, match="would be shown 5 times in a row"):
        shown(folder, "select: {ids: [p00]}\nrepeats: 5")


def test_schedule_balances_transitions(folder: Path) -> None:
    order = shown(folder, "repeats: 5\nbalance_transitions: true\nmax_repeats_of_category: 2")
    assert len(order) == 400
    assert all(a != b for a, b in pairwise(order))
    table = transition_table([category(name) for name in order], 4)
    assert np.ptp(table) <= 1


def test_lists_part_the_set(folder: Path) -> None:
    options = "select: {lists: 3}"
    seen = [shown(folder, options, f"P{number:02d}") for number in range(1, 5)]
    assert sorted(seen[0] + seen[1] + seen[2]) == sorted(f"p{i:02d}" for i in range(80))
    assert sorted(seen[3]) == sorted(seen[0])
    assert {len(found) for found in seen} <= {26, 27}
    for found in seen:
        assert set(Counter(map(category, found)).values()) <= {6, 7}


def test_draw_is_matched_on_a_number_of_the_manifest(folder: Path) -> None:
    options = "select: {per_category: 6, match: {by: [black_share]}}"
    stimuli = protocol(folder, options).stimulus_set()
    for seed in range(3):
        found = shown(folder, options, seed=seed)
        means = [
            np.mean([stimuli[i].measures["black_share"] for i in found if category(i) == c])
            for c in range(4)
        ]
        spread = np.std([s.measures["black_share"] for s in stimuli])
        assert np.ptp(means) / spread <= 0.2
        assert Counter(map(category, found)) == {0: 6, 1: 6, 2: 6, 3: 6}
    assert shown(folder, options, seed=1) == shown(folder, options, seed=1)


def test_selection_by_norm(folder: Path) -> None:
    found = shown(folder, "select: {measures: {valence: {min: 0.5}}}")
    assert {int(name[1:]) % 9 for name in found} == {6, 7, 8}  # ratings 7, 8 and 9 of 1 to 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("select: {measures: {valense: {min: 0}}}", "has a number 'valense'; did you mean"),
        ("select: {measures: {valence: {min: 3}}}", "no stimulus of set is selected"),
        ("select: {per_category: 6, match: {by: [arousal]}}", "stimuli has a norm of arousal"),
        ("select: {match: {by: [valence]}}", "say how many with per_category"),
        ("select: {per_category: 7, lists: 3}", "21 are to be drawn for 3 lists"),
        ("order: latin_square\nbalance_transitions: true", "cannot be constrained"),
        (
            "select: {per_category: 19, match: {by: [black_share], tolerance_sd: 0.01}}",
            "the best draw found still differs by",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(folder: Path, options: str, message: str) -> None:
    with pytest.raises(DuchenneError) as caught:
        shown(folder, options)
    assert str(caught.value).startswith("d.yaml:")
    assert message in str(caught.value)


@pytest.mark.parametrize("method", ["latin_square", "full", "random"])
def test_blocks_change_places(folder: Path, method: str) -> None:
    head = f"counterbalance: [{{blocks: [first, second], method: {method}}}]\n"
    text = HEAD + head + THREE_BLOCKS
    made = parse_protocol(text, name="d.yaml", path=folder / "d.yaml")
    orders = {}
    for number in range(1, 9):
        schedule = make_schedule(made, participant=f"P{number:02d}", session="01", seed=number)
        orders[number] = [s.block for s in schedule.steps if s.kind == "block_start"]
        assert orders[number][0] == "hello"
        assert orders[number][-1] == "bye"
        assert schedule.number == (None if method == "random" else number)
    assert {tuple(found[1:3]) for found in orders.values()} == {
        ("first", "second"),
        ("second", "first"),
    }
    if method != "random":
        assert orders[1] != orders[2] == orders[4]
        replaced = make_schedule(made, participant="P31", session="01", number=2)
        assert [s.block for s in replaced.steps if s.kind == "block_start"] == orders[2]


def test_counterbalancing_that_cannot_be_is_refused(folder: Path) -> None:
    for group, message in (
        ("{blocks: [first, secnd]}", "d.yaml:5: no block 'secnd'; did you mean 'second'?"),
        ("{blocks: [first, first]}", "d.yaml:5: block 'first' is named before"),
    ):
        text = HEAD + f"counterbalance: [{group}]\n" + THREE_BLOCKS
        with pytest.raises(DuchenneError, match=message.replace("?", r"\?")):
            parse_protocol(text, name="d.yaml", path=folder / "d.yaml")
    with pytest.raises(UsageError, match="number 0"):
        make_schedule(protocol(folder, ""), participant="P01", session="01", number=0)


def test_runs_count_on_from_the_trials_before(folder: Path) -> None:
    options = "select: {ids: [p00, p04]}\norder: fixed\n"
    more = (
        "      - {type: trials, duration_s: 1, select: {ids: [p08, p01, p02]},"
        " max_repeats_of_category: 2}\n"
    )
    text = HEAD + BLOCK + "".join(f"        {x}\n" for x in options.splitlines()) + more
    made = parse_protocol(text, name="d.yaml", path=folder / "d.yaml")
    for seed in range(10):
        order = make_schedule(made, participant="P01", session="01", seed=seed).trials
        assert order[2].stimulus_id != "p08"
