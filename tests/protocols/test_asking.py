"""Asking a participant, whole: real PsychoPy on a virtual screen, real LSL, real keys and clicks."""

from __future__ import annotations

import shutil
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from support.hands import hands
from support.presentation import Presentation, write_protocol

from duchenne.protocols.answers import answers_of, withdrawal_of
from duchenne.protocols.displays.virtual import virtual_display

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)
WIDTH_PX, HEIGHT_PX = 800, 600
PROTOCOL = """\
name: asking
title: Questions
screen: {width_px: 800, height_px: 600, width_cm: 40, height_cm: 30, distance_cm: 60}
stimuli: set
ratings:
  grid: {type: affect_grid, question: "How do you feel?"}
  felt: {type: emotions, emotions: [Joy, Fear], question: "Which did you feel?"}
  thought: {type: text, question: "What did you think of?"}
  attentive: {type: choice, options: [Blue, Green], required_answer: Green, question: Choose Green.}
blocks:
  - name: before
    steps:
      - {type: consent, text: You may take part., scopes: {share_video: "May we pass the film on?"}}
      - type: form
        name: about
        fields: {age: {type: number, question: "How old are you?", min: 18, max: 99}}
      - type: form
        name: mood
        scale: {type: likert, points: 5}
        items: {a: Alert, b: Afraid}
        scores: {both: [a, b]}
  - name: main
    steps:
      - type: trials
        select: {ids: [blue]}
        duration_s: 0.5
        fixation_s: 0.2
        iti_s: 0.2
        ratings: [grid, felt]
      - {type: rating, ratings: [thought, attentive]}
      - {type: consent, text: "May your data be used?", stored: [], after_debriefing: true}
      - {type: end}
"""
BY_HAND = """\
name: hands
title: By hand
screen: {width_px: 800, height_px: 600, width_cm: 40, height_cm: 30, distance_cm: 60}
stimuli: set
ratings:
  thought: {type: text, question: "What did you think of?", max_length: 10}
blocks:
  - name: main
    steps:
      - {type: rating, ratings: [thought]}
      - {type: consent, text: "May your data be used?", stored: [], after_debriefing: true}
      - {type: instruction, text: Wait.}
"""


def written(folder: Path, text: str) -> Path:
    write_protocol(folder)  # for its stimuli
    path = folder / "asking.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_simulated_participant_answers_everything(tmp_path: Path, unique_name: str):
    with Presentation(written(tmp_path, PROTOCOL), unique_name, "--headless") as presentation:
        presentation.start()
        presentation.wait_for_line("finished", 60)
        markers = presentation.markers()
        assert presentation.wait(20) == 0
    given = {m["scale"]: m for m in markers if m["event"] == "rating_response"}
    assert list(given) == [
        "consent", "consent.share_video",
        "about.age", "mood.a", "mood.b", "grid", "felt", "thought", "attentive",
        "consent_after_debriefing",
    ]  # fmt: skip
    assert set(given["grid"]["value"]) == {"valence", "arousal"}
    assert given["grid"]["value"]["valence"] < 5  # near the norms: 2 of 9
    assert set(given["felt"]["value"]) == {"Joy", "Fear"}
    assert given["grid"]["presentation_id"] == "P01-01-01-001"
    assert given["thought"]["value"] == "simulated"
    assert given["thought"]["device"] == "keyboard"
    assert (given["attentive"]["value"], given["attentive"]["passed"]) == ("Green", True)
    assert given["thought"]["presentation_id"] is None
    answers = answers_of(markers)
    assert 18 <= answers["about"]["age"] <= 99
    assert answers["mood"]["scores"]["both"] == answers["mood"]["a"] + answers["mood"]["b"]
    assert answers["consent"] == {"answer": "agree", "share_video": "agree"}
    assert withdrawal_of(markers) is None
    for name, marker in given.items():
        if name.startswith("consent"):
            continue
        (onset,) = [
            m for m in markers if m["event"] == "rating_onset" and m["scale"] == marker["scale"]
        ]
        rt_s = marker["lsl_time_s"] - onset["lsl_time_s"]
        assert marker["rt_s"] == pytest.approx(rt_s, abs=1e-3)
        assert 0.55 < rt_s < 1.5


def test_typing_declining_and_stopping_by_hand(tmp_path: Path, unique_name: str):
    said: list[dict[str, Any]] = []
    with (
        virtual_display(WIDTH_PX, HEIGHT_PX, always=True) as display,
        hands(display) as by_hand,
        Presentation(written(tmp_path, BY_HAND), unique_name) as presentation,
    ):
        presentation.start()
        presentation.wait_for_marker("rating_onset")
        time.sleep(0.3)  # what is pressed before a screen takes answers does not count
        for name in ("a", "b", "x", "BackSpace", "space", "3", "Return"):
            by_hand.press(name)
        said.append(presentation.wait_for_marker("rating_response"))
        presentation.wait_for_marker("instruction_onset")
        time.sleep(0.2)
        by_hand.press("n")
        said += [presentation.wait_for_marker("rating_response")]
        said += [presentation.wait_for_marker("note")]
        presentation.wait_for_marker("instruction_onset")
        time.sleep(0.3)
        by_hand.press("F10")
        assert presentation.wait_for_marker("pause")["reason"] == "the participant asked to stop"
        time.sleep(0.3)
        by_hand.press("1")  # go on: the instruction comes again
        presentation.wait_for_marker("resume")
        presentation.wait_for_marker("instruction_onset")
        time.sleep(0.3)
        by_hand.press("F10")
        presentation.wait_for_marker("pause")
        time.sleep(0.3)
        by_hand.press("3")
        said.append(presentation.wait_for_marker("abort"))
        presentation.wait_for_marker("session_end")
        assert presentation.wait(20) == 3
    typed, declined, note, abort = said
    assert (typed["value"], typed["device"]) == ("ab 3", "keyboard")
    assert declined["scale"] == "consent_after_debriefing"
    assert declined["value"] == "decline"
    assert withdrawal_of([note]) == "consent withdrawn after debriefing"
    assert abort["reason"] == "participant: stop and delete"
    assert withdrawal_of([abort]) == "participant: stop and delete"


def test_without_consent_nothing_is_shown(tmp_path: Path, unique_name: str):
    with (
        virtual_display(WIDTH_PX, HEIGHT_PX, always=True) as display,
        hands(display) as by_hand,
        Presentation(written(tmp_path, PROTOCOL), unique_name) as presentation,
    ):
        presentation.start()
        presentation.wait_for_marker("instruction_onset")
        time.sleep(0.2)
        by_hand.click(0.68 * WIDTH_PX, 0.9 * HEIGHT_PX)  # the right button
        markers = [presentation.wait_for_marker("rating_response")]
        markers.append(presentation.wait_for_marker("abort"))
        presentation.wait_for_marker("session_end")
        assert presentation.wait(20) == 3
    assert markers[0]["value"] == "decline"
    assert markers[1]["reason"] == "no consent"
    assert withdrawal_of(markers) == "no consent"
