"""Forms, consent and the stop key: what is declared, and what the markers say afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from duchenne.protocols.answers import answers_of, withdrawal_of
from duchenne.protocols.parts_forms import Form
from duchenne.protocols.schedule import Schedule, make_schedule
from duchenne.protocols.schema import Protocol, parse_protocol
from duchenne.protocols.screens import check_screens
from duchenne.protocols.steps.forms import scores
from duchenne.stimuli.errors import DuchenneError

HEAD = """\
name: asking
title: Questions
screen: {width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
ratings:
  strong: {type: likert, points: 5, question: "How strong was it?"}
blocks:
  - name: main
    steps:
"""
QUESTION = """\
      - type: form
        name: about
        fields: {age: {type: number, question: "How old are you?"}}
"""


def protocol(steps: str = QUESTION) -> Protocol:
    return parse_protocol(HEAD + steps, name="p.yaml")


def test_the_panas_has_its_twenty_items_and_two_sums():
    form = Form.model_validate({"type": "form", "preset": "panas"})
    questions = form.questions()
    assert len(questions) == 20
    assert list(questions)[:3] == ["interested", "distressed", "excited"]
    assert {(q.type, q.points, q.first) for q in questions.values()} == {("likert", 5, 1)}
    members = [set(form.scores[name]) for name in ("positive_affect", "negative_affect")]
    assert [len(m) for m in members] == [10, 10]
    assert members[0] | members[1] == set(questions)
    # Watson, Clark & Tellegen (1988): positive are items 1 3 5 9 10 12 14 16 17 19.
    positive = [i for i, name in enumerate(questions, 1) if name in members[0]]
    assert positive == [1, 3, 5, 9, 10, 12, 14, 16, 17, 19]
    highest = scores(form.scores, dict.fromkeys(questions, 5))
    assert highest == {"positive_affect": 50, "negative_affect": 50}


def test_a_sum_is_missing_where_an_answer_is():
    sums = {"all": ("a", "b"), "first": ("a",)}
    assert scores(sums, {"a": 3, "b": None}) == {"all": None, "first": 3}


def test_a_preset_can_be_changed_where_it_is_used():
    form = Form.model_validate({"type": "form", "preset": "intake", "name": "before"})
    assert form.name == "before"
    assert {"vision", "lenses", "make_up", "medication", "caffeine", "sleep"} == set(
        form.questions()
    )


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("      - {type: form, preset: pannas}\n", "no preset 'pannas'; did you mean 'panas'"),
        ("      - {type: form, name: a}\n", "the form asks nothing"),
        ("      - {type: form, name: a, items: {b: B}}\n", "give scale"),
        (
            "      - {type: rating, ratings: [stronk]}\n",
            "no rating 'stronk'; did you mean 'strong'",
        ),
        ("      - {type: consent, text: x, agree_key: n}\n", "are the same"),
        (
            "      - {type: consent, text: x, scopes: {share_vido: y}}\n",
            "no scope 'share_vido'; did you mean 'share_video'",
        ),
        (QUESTION + "        scores: {total: [agee]}\n", "'agee', which is not asked"),
        (QUESTION.replace("number", "numbr"), "unknown type 'numbr'; did you mean 'number'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(steps: str, message: str):
    with pytest.raises(DuchenneError) as refusal:
        protocol(steps)
    text = str(refusal.value)
    assert message in text
    assert text.startswith("p.yaml:")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("steps", "line", "message"),
    [
        (
            "      - {type: instruction, duration_s: 5, text: '%s'}\n" % ("long " * 600),
            9,
            "shorten",
        ),
        ("      - {type: instruction, text: 'Batak: \u1bc0'}\n", 9, "no font here has"),
        ("      - {type: instruction, image: nowhere.png}\n", 9, "there is no image"),
        ("      - {type: neutral, duration_s: 5, text: '%s'}\n" % ("long " * 200), 9, "shorten"),
        (QUESTION.replace("How old are you?", "How old? " * 60), 9, "shorten"),
    ],
)
def test_screens_that_cannot_be_drawn_are_told_before_the_session(
    steps: str, line: int, message: str
):
    pytest.importorskip("psychopy.constants")
    made = protocol(steps)
    with pytest.raises(DuchenneError) as refusal:
        check_screens(made, made.stimulus_set())
    text = str(refusal.value)
    assert text.startswith(f"p.yaml:{line}: ")
    assert message in text
    assert "\n" not in text


def test_a_screen_too_small_for_a_scale_is_refused():
    scale = '{f: {type: emotions, question: "Which?", emotions: [%s]}}'
    steps = f"      - {{type: form, name: a, fields: {scale}}}\n"
    names = ", ".join(f"A rather long name {i}" for i in range(12))
    made = parse_protocol(
        (HEAD + steps % names).replace("width_px: 1280, height_px: 720", "width_px: 320, height_px: 240")
        .replace("width_cm: 53.1", "width_cm: 40"),
        name="p.yaml",
    )  # fmt: skip
    with pytest.raises(DuchenneError, match=r"p.yaml:9: .*320x240"):
        check_screens(made, made.stimulus_set())


def test_long_instructions_that_wait_for_a_key_may_have_pages():
    made = protocol("      - {type: instruction, text: '%s'}\n" % ("many words " * 300))
    check_screens(made, made.stimulus_set())


def test_all_steps_come_through_a_stored_schedule():
    made = protocol(
        QUESTION
        + '      - {type: consent, text: "Do you agree?"}\n'
        + "      - {type: rating, ratings: [strong]}\n"
        + "      - {type: end}\n"
    )
    schedule = make_schedule(made, participant="P01", session="01")
    kinds = [step.kind for step in schedule.steps]
    assert kinds == ["block_start", "form", "consent", "rating", "end", "block_end"]
    assert Schedule.from_json(schedule.to_json()).to_json() == schedule.to_json()


def _marker(event: str, **fields: Any) -> dict[str, Any]:
    return {"event": event, **fields}


def test_answers_are_read_from_the_markers():
    markers = [
        _marker("rating_response", form="about", field="age", value=41),
        _marker("rating_response", scale="valence", value=5),
        _marker("rating_response", form="about", field="age", value=42),
        _marker("rating_response", form="panas", field="alert", value=None),
        _marker("note", form="panas", scores={"positive_affect": None}),
    ]
    assert answers_of(markers) == {
        "about": {"age": 42},
        "panas": {"alert": None, "scores": {"positive_affect": None}},
    }
    assert withdrawal_of(markers) is None


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        (_marker("abort", reason="no consent"), "no consent"),
        (
            _marker("rating_response", form="consent", field="analysis", value="decline"),
            "no consent to the analysis",
        ),
        (_marker("rating_response", form="consent", field="analysis", value="agree"), None),
        (_marker("rating_response", form="consent", field="share_video", value="decline"), None),
        (_marker("abort", reason="participant: stop"), None),
        (_marker("abort", reason="participant: stop and delete"), "participant: stop and delete"),
        (_marker("abort", reason="operator"), None),
        (
            _marker("note", text="consent withdrawn after debriefing"),
            "consent withdrawn after debriefing",
        ),
        ({"event": None, "text": "foreign"}, None),
    ],
)
def test_a_withdrawal_is_read_from_the_markers(marker: dict[str, Any], expected: str | None):
    assert withdrawal_of([_marker("session_start"), marker]) == expected
