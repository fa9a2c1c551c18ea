"""The protocols that ship: what a lab expects of them, and the commands that hand them out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from duchenne.protocols.cli import app
from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import library, load_protocol, parse_protocol
from duchenne.protocols.shortened import shortened

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "library.md"
STUDIES = [name for name in library() if name != "demo"]
WITH_GAZE = [name for name in STUDIES if name != "posed-facs"]


def steps_of(text: str) -> list[dict[str, Any]]:
    return [step for block in yaml.safe_load(text)["blocks"] for step in block["steps"]]


def library_steps(name: str) -> list[dict[str, Any]]:
    return steps_of(load_protocol(name).source_yaml)


def test_all_that_was_promised_is_there() -> None:
    promised = (
        "picture-viewing film-clips dynamic-faces resting-state eye-movements posed-facs demo"
    )
    assert set(library()) == set(promised.split())


@pytest.mark.parametrize("name", library())
def test_it_is_in_order_and_documented(name: str) -> None:
    checked = CliRunner().invoke(app, ["check", name])
    assert checked.exit_code == 0, checked.output
    assert f"`{name}`" in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", STUDIES)
def test_it_begins_with_consent_and_ends_with_debriefing_and_an_end(name: str) -> None:
    kinds = [step["type"] for step in library_steps(name)]
    assert kinds[:2] == ["consent", "form"]
    assert kinds[-1] == "end"
    assert kinds[-2] in ("instruction", "consent")


@pytest.mark.parametrize("name", WITH_GAZE)
def test_gaze_is_calibrated_before_anything_is_measured(name: str) -> None:
    kinds = [step["type"] for step in library_steps(name)]
    measured = [kind in ("trials", "baseline", "targets", "neutral") for kind in kinds]
    assert "calibration" in kinds[: measured.index(True)]
    assert "drift_check" in kinds


@pytest.mark.parametrize("name", STUDIES)
def test_what_is_stored_is_what_the_consent_speaks_of(name: str) -> None:
    consent = library_steps(name)[0]
    assert ("where you look" in consent["text"]) == (name in WITH_GAZE)
    stored = consent.get("stored", ("where you look",))
    assert any("where you look" in line for line in stored) == (name in WITH_GAZE)


@pytest.mark.parametrize("name", library())
def test_paragraphs_are_not_broken_where_the_file_breaks(name: str) -> None:
    for step in library_steps(name):
        broken = re.search(r"[^\n]{40,}\n[^\n]", (step.get("text") or "").strip())
        assert name == "demo" or broken is None, step["text"]


@pytest.mark.parametrize("name", STUDIES)
def test_pages_that_wait_for_a_key_say_so(name: str) -> None:
    waiting = [
        s for s in library_steps(name) if s["type"] == "instruction" and "duration_s" not in s
    ]
    assert waiting
    assert [s["text"] for s in waiting if "space bar" not in s["text"]] == []


@pytest.mark.parametrize("name", library())
def test_the_short_form_keeps_the_course_and_takes_a_fraction_of_the_time(name: str) -> None:
    protocol = load_protocol(name)
    text = shortened(protocol, longest_s=0.5)
    short = parse_protocol(text)
    assert [s["type"] for s in steps_of(text)] == [s["type"] for s in library_steps(name)]
    assert short.name == f"{protocol.name}short"
    assert [b.name for b in short.blocks] == [b.name for b in protocol.blocks]
    lengths = [
        make_schedule(p, participant="P01", session="01").planned_duration_s
        for p in (short, protocol)
    ]
    assert lengths[0] < 0.6 * lengths[1]


LONG = """\
name: long
title: Long
screen: {width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
stimuli: set
ratings: {glad: {type: slider, left: "No", right: "Yes", question: Glad}}
blocks:
  - name: one
    steps:
      - {type: instruction, text: "Look.\\n\\nThen press.", image: figure.png, duration_s: 20}
      - {type: calibration, points: 13, settle_s: 1}
      - {type: form, preset: panas}
      - {type: pose}
      - {type: targets, path: circle, amplitude_deg: 8, speed_deg_s: 5, cycles: 9}
      - {type: targets, path: steps, cycles: 40, hold_s: 1.4}
      - type: trials
        select: {lists: 2, per_category: 8, match: {by: [luminance], across: lists}}
        max_repeats_of_category: 2
        repeats: 3
        duration_s: 6
        fixation_s: {min: 0.2, max: 3}
        breaks: {every: 30, duration_s: 60}
        gaze_start: {timeout_s: 9}
"""


def test_what_is_shortened_and_what_is_left_out(tmp_path: Path) -> None:
    protocol = parse_protocol(LONG, path=tmp_path / "long.yaml")
    text = shortened(protocol)
    values = yaml.safe_load(text)
    assert values["stimuli"] == str(tmp_path / "set")
    page, calibration, panas, poses, circle, jumps, trials = steps_of(text)
    assert page["duration_s"] == 1
    assert page["image"] == str(tmp_path / "figure.png")
    assert (calibration["points"], calibration["validation_points"]) == (5, 5)
    assert list(panas["items"]) == ["interested", "distressed"]
    assert panas["scores"] == {}
    assert poses["poses"] == ["neutral", "smile", "frown"]
    assert (poses["countdown_s"], poses["hold_s"], poses["rest_s"]) == (1, 1, 1)
    assert circle["cycles"] == 1
    assert circle["speed_deg_s"] == pytest.approx(2 * 3.14159 * 8 / 2, abs=0.1)
    assert (jumps["cycles"], jumps["hold_s"]) == (2, 1)
    assert trials["select"] == {"per_category": 1}
    assert trials["repeats"] == 1
    assert "max_repeats_of_category" not in trials
    assert (trials["duration_s"], trials["fixation_s"]) == (1, 0.2)
    assert trials["breaks"] == {"every": 2, "duration_s": 1}
    assert trials["gaze_start"]["timeout_s"] == 1
    assert "text: |-\n      Look.\n\n      Then press.\n" in text  # readable, not one quoted line
    assert parse_protocol(text).name == "longshort"


def test_copy_and_shorten_write_new_files_only(tmp_path: Path) -> None:
    copied, short = tmp_path / "mine.yaml", tmp_path / "short.yaml"
    for arguments in (
        ["copy", "film-clips", str(copied)],
        ["shorten", str(copied), "--out", str(short), "--longest", "0.5"],
    ):
        done = CliRunner().invoke(app, arguments)
        assert done.stdout.splitlines()[-1].startswith("Wrote ")
        again = CliRunner().invoke(app, arguments)
        assert again.exit_code == 1
        assert "there already" in str(again.exception)
    assert copied.read_text("utf-8") == library()["film-clips"].read_text("utf-8")
    assert load_protocol(short).name == "filmclipsshort"


def test_copying_what_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["copy", "film-clip", str(tmp_path / "x.yaml")])
    assert "did you mean 'film-clips'" in str(done.exception)
