"""Protocol files: what is read, and the one line that tells what is wrong and where."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from duchenne.protocols.cli import app
from duchenne.protocols.labels import check_label
from duchenne.protocols.schema import (
    Instruction,
    NeutralFace,
    Protocol,
    Screen,
    Trials,
    library,
    load_protocol,
    parse_protocol,
)
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.manifest import StimulusSet

if TYPE_CHECKING:
    from pathlib import Path

MINIMAL = """\
name: small
title: A small protocol
screen: {width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
blocks:
  - name: main
    steps:
      - type: instruction
        text: Hello
      - type: trials
        select:
          categories: [HVHA, LVLA]
          kinds: [image]
        duration_s: 2
        fixation_s: 0.5
        ratings: [valence]
"""


def refusal(text: str) -> str:
    with pytest.raises(DuchenneError) as caught:
        parse_protocol(text, name="p.yaml").stimulus_set()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_demo_covers_what_it_promises() -> None:
    demo = load_protocol("demo")
    steps = [step for block in demo.blocks for step in block.steps]
    assert any(isinstance(step, NeutralFace) and step.duration_s >= 5 for step in steps)
    assert any(isinstance(step, Instruction) for step in steps)
    (trials,) = (step for step in steps if isinstance(step, Trials))
    assert trials.ratings == ("valence", "arousal")
    stimuli = demo.stimulus_set(verify=True)
    shown = [stimuli[i] for i in trials.select.ids or ()]
    assert len(shown) >= 8
    assert {s.category for s in shown} == set(stimuli.categories)
    assert sum(s.kind == "video" for s in shown) == 2


def test_every_library_protocol_is_in_order() -> None:
    assert "demo" in library()
    for name in library():
        load_protocol(name).stimulus_set(verify=True)


def test_text_hash_and_path_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(MINIMAL, encoding="utf-8")
    protocol = load_protocol(path)
    assert protocol.source_yaml == MINIMAL
    assert protocol.hash == hashlib.sha256(MINIMAL.encode()).hexdigest()
    assert protocol.source_path == path
    assert parse_protocol(protocol.source_yaml).model_dump() == protocol.model_dump()


def test_protocol_made_in_code_reads_back() -> None:
    made = Protocol.model_validate(parse_protocol(MINIMAL).model_dump())
    assert parse_protocol(made.source_yaml).blocks == made.blocks


def test_defaults() -> None:
    protocol = parse_protocol(MINIMAL)
    assert protocol.screen.refresh_hz == 60.0
    assert set(protocol.ratings) == {"valence", "arousal"}
    step = protocol.blocks[0].steps[1]
    assert isinstance(step, Trials)
    assert (step.fixation_s.min, step.fixation_s.max) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "duration_s: 2",
            "durations_s: 2",
            "p.yaml:13: blocks[0].steps[1]: unknown key 'durations_s'; did you mean 'duration_s'?",
        ),
        ("title:", "tittle:", "p.yaml:2: unknown key 'tittle'; did you mean 'title'?"),
        (
            "width_cm",
            "with_cm",
            "p.yaml:3: screen: unknown key 'with_cm'; did you mean 'width_cm'?",
        ),
        (
            "type: trials",
            "type: trails",
            "p.yaml:9: blocks[0].steps[1].type: unknown type 'trails'; did you mean 'trials'?",
        ),
        (
            "type: trials",
            "order: random",
            "p.yaml:9: blocks[0].steps[1]: the key 'type' is missing",
        ),
        ("title: A small protocol\n", "", "p.yaml:1: the key 'title' is missing"),
        ("        text: Hello\n", "", "p.yaml:7: blocks[0].steps[0]: give text, image or both"),
        (
            "duration_s: 2",
            "duration_s: 0",
            "p.yaml:13: blocks[0].steps[1].duration_s: should be greater than 0, found 0",
        ),
        (
            "duration_s: 2",
            "duration_s: 1000000",
            "p.yaml:13: blocks[0].steps[1].duration_s: should be less than or equal to 14400",
        ),
        (
            "duration_s: 2",
            "duration_s: .nan",
            "p.yaml:13: blocks[0].steps[1].duration_s: should be a finite number",
        ),
        (
            "duration_s: 2",
            "duration_s: long",
            "p.yaml:13: blocks[0].steps[1].duration_s: should be a valid number",
        ),
        (
            "fixation_s: 0.5",
            "fixation_s: {min: 2, max: 1}",
            "p.yaml:14: blocks[0].steps[1].fixation_s: min is above max",
        ),
        (
            "fixation_s: 0.5",
            "fixation_s: {min: 2}",
            "p.yaml:14: blocks[0].steps[1].fixation_s: the key 'max' is missing",
        ),
        (
            "kinds: [image]",
            "kinds: [imag]",
            "p.yaml:12: blocks[0].steps[1].select.kinds[0]: unknown value 'imag'; did you mean 'image'?",
        ),
        (
            "ratings: [valence]",
            "ratings: [valance]",
            "p.yaml:15: no rating 'valance'; did you mean 'valence'?",
        ),
        ("name: small", "name: a/b", "p.yaml:1: name: "),
        (
            "height_cm: 29.9",
            "height_cm: 90",
            "p.yaml:3: screen: pixels would be 0.33 times as wide as high",
        ),
        (
            "[HVHA, LVLA]",
            "[HVHA, LVHX]",
            "p.yaml:11: no category 'LVHX' in the set duchenne-demo; did you mean 'LVHA'?",
        ),
        (
            "categories: [HVHA, LVLA]",
            "ids: [sunst]",
            "p.yaml:11: no stimulus 'sunst' in the set duchenne-demo; did you mean 'sunset'?",
        ),
        (
            "categories: [HVHA, LVLA]",
            "ids: [mug, mug]",
            "p.yaml:11: blocks[0].steps[1].select.ids: the stimulus 'mug' is named twice",
        ),
        (
            "categories: [HVHA, LVLA]",
            "categories: []",
            "p.yaml:11: blocks[0].steps[1].select.categories: ",
        ),
        (
            "[HVHA, LVLA]\n          kinds: [image]",
            "[HVHA, LVLA]\n          kinds: [video]",
            "p.yaml:10: no stimulus of category 'LVLA' is left",
        ),
        ("kinds: [image]", "kinds: [audio]", "p.yaml:10: no stimulus of duchenne-demo is selected"),
        (
            "kinds: [image]",
            "per_category: 4",
            "p.yaml:12: category 'HVHA' has 3 stimuli but 4 are to be drawn",
        ),
        (
            "        duration_s: 2\n",
            "",
            "p.yaml:9: images or texts are selected but duration_s does not say for how long",
        ),
        (
            "duration_s: 2",
            "duration_s: 2\n        duration_s: 3",
            "p.yaml:14: the key 'duration_s' was given before, in line 13",
        ),
        (
            "duration_s: 2",
            "duration_s: 2\n        order: fixed\n        max_repeats_of_category: 1",
            "p.yaml:15: a fixed order cannot be constrained",
        ),
        ("title: A", "title: [A", "p.yaml:3: not valid YAML: "),
        ("title: A", "stimuli: nowhere\ntitle: A", "p.yaml:2: no stimulus manifest at nowhere"),
        ("blocks:", "blocks: []\nx:", "p.yaml:5: unknown key 'x'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, message: str) -> None:
    assert old in MINIMAL
    assert refusal(MINIMAL.replace(old, new, 1)).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "p.yaml: the file is empty"),
        ("# nothing\n", "p.yaml: the file is empty"),
        ("- a\n- b\n", "p.yaml:1: a protocol is a mapping"),
        ("just words\n", "p.yaml:1: a protocol is a mapping"),
        ("a: &x [*x]\n", "p.yaml:1: "),
        ("a: !!python/object:os.system {}\n", "p.yaml:1: not valid YAML"),
    ],
)
def test_what_is_no_protocol_at_all(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


def test_two_blocks_of_one_name() -> None:
    again = "  - name: main\n    steps:\n      - {type: instruction, text: Bye}\n"
    assert "two blocks are named 'main'" in refusal(MINIMAL + again)


def test_several_mistakes_are_counted() -> None:
    wrong = MINIMAL.replace("duration_s: 2", "duration_s: -2").replace("text: Hello", "text: ''")
    message = refusal(wrong)
    assert message.startswith("p.yaml:8: blocks[0].steps[0].text: ")
    assert message.endswith("(and 1 more)")


def test_files_that_cannot_be_found_or_read(tmp_path: Path) -> None:
    with pytest.raises(
        DuchenneError, match=r"no protocol 'dmeo' in the library; did you mean 'demo'"
    ):
        load_protocol("dmeo")
    with pytest.raises(DuchenneError, match=r"no protocol file .*nothing.yaml"):
        load_protocol(tmp_path / "nothing.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"name: x\ntitle: Gef\xfchl\n")
    with pytest.raises(DuchenneError, match=r"latin.yaml:2: not UTF-8 text"):
        load_protocol(latin)


def test_stimuli_beside_the_protocol(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    shutil.copytree(StimulusSet.bundled().folder, folder)
    path = tmp_path / "mine.yaml"
    path.write_text(MINIMAL.replace("blocks:", "stimuli: pictures\nblocks:"), encoding="utf-8")
    protocol = load_protocol(path)
    assert protocol.stimulus_set().folder == folder
    (folder / "rain.jpg").write_bytes(b"spoilt")
    protocol.stimulus_set()
    with pytest.raises(
        DuchenneError, match=r"rain.jpg .manifest.tsv:9.: stimulus 'rain': the file has changed"
    ):
        protocol.stimulus_set(verify=True)
    (folder / "rain.jpg").unlink()
    with pytest.raises(DuchenneError, match=r"rain.jpg: the file of stimulus 'rain' is missing"):
        protocol.stimulus_set()
    (folder / "chair.jpg").unlink()
    (folder / "rain.jpg").write_bytes((StimulusSet.bundled()["rain"].path).read_bytes())
    protocol.stimulus_set(verify=True)


def test_screen_refuses_nonsense() -> None:
    good = {"width_px": 1280, "height_px": 720, "width_cm": 53, "height_cm": 30, "distance_cm": 60}
    assert Screen.model_validate(good).background_grey == 0.5
    for change in ({"width_px": 0}, {"distance_cm": -1}, {"refresh_hz": 0}, {"background_grey": 2}):
        with pytest.raises(ValueError, match="validation error"):
            Screen.model_validate(good | change)


def test_labels_are_letters_and_digits() -> None:
    assert check_label("participant", "P01") == "P01"
    for bad in ("", "..", "a/b", "P 1", "sub-01", "é", "P01\n", "x" * 65):
        with pytest.raises(UsageError, match="the participant label") as caught:
            check_label("participant", bad)
        assert caught.value.exit_code == 2


def test_check_command() -> None:
    result = CliRunner().invoke(app, ["check", "demo"])
    assert result.exit_code == 0
    assert "demo.yaml: in order; 10 trials" in result.stdout.splitlines()[-1]


def test_list_command() -> None:
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    assert "demo" in result.stdout
