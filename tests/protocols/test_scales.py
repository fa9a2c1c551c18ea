"""Scales: every answer can be given by mouse, by keys and by simulation, and every screen fits."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from duchenne.protocols.displays.base import Click, Fill, KeyPress, Picture, Typed
from duchenne.protocols.layout import DoesNotFit, Layout
from duchenne.protocols.parts_ratings import Rating
from duchenne.protocols.responders import Prompt, SimulatedRater
from duchenne.protocols.scales.registry import passed, result, scale_of

if TYPE_CHECKING:
    from duchenne.protocols.scales.base import Draft, Scale

pytest.importorskip("PIL")

RATING: TypeAdapter[Any] = TypeAdapter(Rating)
SIZES = [(1280, 720), (1920, 1080), (1024, 768), (1024, 1280)]
SEVEN = ["Strongly disagree", "Disagree", "Rather disagree", "Neither", "Rather agree", "Agree",
         "Strongly agree"]  # fmt: skip
SPECIFICATIONS: dict[str, dict[str, Any]] = {
    "sam": {"dimension": "dominance"},
    "grid": {"type": "affect_grid"},
    "slider": {"type": "slider", "left": "Not at all", "right": "As much as I can imagine"},
    "likert": {"type": "likert", "points": 7, "labels": SEVEN},
    "ends": {"type": "likert", "points": 11, "first": 0, "labels": ["Not at all", "Extremely"]},
    "emotions": {"type": "emotions"},
    "marks": {"type": "emotions", "emotions": ["Joy", "Fear", "Anger"], "intensity": 1},
    "many": {"type": "emotions", "emotions": [f"Emotion {i}" for i in range(20)], "intensity": 6},
    "text": {"type": "text", "max_length": 40},
    "number": {"type": "number", "min": 18, "max": 99, "unit": "years"},
    "choice": {"type": "choice", "options": ["Blue", "Green", "Yellow"]},
    "yes_no": {"type": "yes_no"},
}
ANSWERS: dict[str, Any] = {
    "sam": 3,
    "grid": {"valence": 9, "arousal": 1},
    "slider": 73,
    "likert": 7,
    "ends": 0,
    "emotions": {
        "Anger": 0, "Disgust": 2, "Fear": 0, "Sadness": 0, "Surprise": 4, "Joy": 1, "Amusement": 0,
        "Tenderness": 0,
    },
    "marks": {"Joy": 1, "Fear": 0, "Anger": 1},
    "many": {f"Emotion {i}": i % 7 for i in range(20)},
    "text": "Ein süßer Hund, 可愛い? nein: miło",
    "number": 42,
    "choice": "Green",
    "yes_no": "no",
}  # fmt: skip


def made(name: str, size: tuple[int, int] = (1280, 720), **more: Any) -> Scale:
    rating = RATING.validate_python({"question": "How was it?", **SPECIFICATIONS[name], **more})
    return scale_of(rating, Layout(*size))


def entered(scale: Scale, *entries: Any) -> Draft:
    draft = scale.start()
    for entry in entries:
        assert not draft.done
        draft = scale.react(draft, entry)
    return draft


def keys(*names: str) -> list[KeyPress]:
    return [KeyPress(name, 0.0) for name in names]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_words_stay_on_the_screen_and_apart(name: str, size: tuple[int, int]):
    scale = made(name, size)
    pictures = [s for s in scale.shapes(scale.start()) if isinstance(s, Picture)]
    for shape in scale.shapes(scale.start()):
        if isinstance(shape, (Picture, Fill)):
            x0, y0, x1, y1 = shape.rect_px
            assert 0 <= x0 < x1 <= size[0]
            assert 0 <= y0 < y1 <= size[1]
    for one, other in combinations([_inked(picture) for picture in pictures], 2):
        assert not _overlap(one, other)


def _inked(picture: Picture) -> tuple[float, float, float, float]:
    """Return where there is ink, rather than the paper around it."""
    x0, y0, *_ = picture.rect_px
    ink = np.abs(picture.rgb.astype(int) - picture.rgb[0, 0].astype(int)).max(axis=2) > 20
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return (x0 + columns[0], y0 + rows[0], x0 + columns[-1], y0 + rows[-1])


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_the_simulated_way_of_answering_gives_the_answer(name: str):
    scale = made(name)
    value = ANSWERS[name] if name != "text" else "Ein süßer Hund: мир"
    draft = entered(scale, *scale.entries(value))
    assert draft.done
    assert result(scale, draft) == value
    scale.shapes(draft)


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_nothing_is_answered_by_keys_that_mean_nothing_or_clicks_beside(name: str):
    scale = made(name)
    start = scale.start()
    for entry in (*keys("f3", "x", "shift"), Click(2, 2, 0.0)):
        assert scale.react(start, entry) == start
    assert scale.hover(2, 2) is None


@pytest.mark.parametrize(
    ("name", "pressed", "value"),
    [
        ("sam", ["7"], 7),
        ("grid", ["right", "right", "up", "up", "up", "return"], {"valence": 6, "arousal": 8}),
        ("grid", ["left", *["left"] * 12, "down", "space"], {"valence": 1, "arousal": 4}),
        ("slider", ["right", "right", "pageup", "left", "return"], 61),
        ("slider", ["space", *["pagedown"] * 7, "return"], 0),
        ("likert", ["4"], 4),
        ("ends", ["0"], 0),
        ("ends", ["left", "return"], 10),
        ("likert", ["right", "right", "return"], 2),
        ("choice", ["2"], "Green"),
        ("choice", ["down", "down", "down", "down", "return"], "Yellow"),
        ("yes_no", ["1"], "yes"),
        ("marks", ["down", "down", "1", "return"], {"Joy": 0, "Fear": 1, "Anger": 0}),
    ],
)
def test_keys_alone_are_enough(name: str, pressed: list[str], value: Any):
    scale = made(name)
    draft = entered(scale, *keys(*pressed))
    assert draft.done
    assert result(scale, draft) == value


def test_a_slider_has_no_mark_at_first_and_no_answer_without_one():
    scale = made("slider")
    start = scale.start()
    assert start.value is None
    assert scale.react(start, *keys("return")) == start
    n_without = len(scale.shapes(start))
    marked = scale.react(start, *keys("right"))
    assert (marked.value, marked.done) == (51, False)
    assert len(scale.shapes(marked)) == n_without + 1


def test_a_second_click_takes_an_emotion_away():
    scale = made("emotions")
    one = scale.entries({"Joy": 3})[0]
    draft = scale.react(scale.start(), one)
    assert draft.value["Joy"] == 3
    assert scale.react(draft, one).value["Joy"] == 0


def test_typing_takes_letters_of_any_kind_back_and_stops_at_the_limit():
    scale = made("text", max_length=5)
    draft = entered(scale, *(Typed(c, 0.0) for c in "żółć!more"))
    assert draft.value == "żółć!"
    draft = scale.react(draft, *keys("backspace"))
    assert draft.value == "żółć"
    required = made("text", optional=False)
    assert not required.react(required.start(), *keys("return")).done


def test_a_number_out_of_range_is_no_answer():
    scale = made("number")
    for typed in ("17", "100", "", "-", "4x"):
        draft = entered(scale, *(Typed(c, 0.0) for c in typed))
        assert not scale.react(draft, *keys("return")).done
    wide = made("number", min=0, max=24)
    draft = entered(wide, *(Typed(c, 0.0) for c in "7,5"), *keys("return"))
    assert result(wide, draft) == 7.5


def test_text_beyond_the_field_is_not_taken():
    scale = made("text", max_length=1000)
    draft = entered(scale, *(Typed("wide words " * 10, 0.0) for _ in range(9)))
    assert 200 < len(draft.value) < 990
    scale.shapes(draft)


def test_a_question_too_long_for_its_place_is_told():
    scale = made("slider", question="A very long question indeed. " * 60)
    with pytest.raises(DoesNotFit, match=r"“A very long question.*shorten it"):
        scale.shapes(scale.start())


@pytest.mark.parametrize(
    ("specification", "right", "wrong"),
    [
        ({"dimension": "valence", "required_answer": 2}, 2, 3),
        ({"type": "slider", "left": "a", "right": "b", "required_answer": [90, 100]}, 95, 80),
        ({"type": "choice", "options": ["a", "b"], "required_answer": "b"}, "b", "a"),
        ({"type": "yes_no", "required_answer": "no"}, "no", None),
        ({"type": "number", "required_answer": 5}, 5, 4),
    ],
)
def test_attention_checks(specification: dict[str, Any], right: Any, wrong: Any):
    rating = RATING.validate_python({"question": "?", **specification})
    assert passed(rating, right) is True
    assert passed(rating, wrong) is False
    assert passed(rating, None) is False
    prompt = Prompt("rating", "x", rating, name="check")
    answer = SimulatedRater(1).respond(prompt)
    assert answer is not None
    assert passed(rating, answer.value if answer.key is None else int(answer.key)) is True


@pytest.mark.parametrize("name", [n for n in SPECIFICATIONS if n != "sam"])
def test_simulated_answers_are_reproducible_and_differ_between_presentations(name: str):
    rating = RATING.validate_python({"question": "?", **SPECIFICATIONS[name]})
    prompts = [Prompt("rating", f"P-{i}", rating, name=name) for i in range(30)]
    values = [SimulatedRater(3).respond(prompt) for prompt in prompts]
    assert values == [SimulatedRater(3).respond(prompt) for prompt in prompts]
    assert len({str(v.value) for v in values if v is not None}) > (0 if name == "text" else 1)
    for answer in values:
        scale = made(name)
        assert answer is not None
        assert result(scale, entered(scale, *scale.entries(answer.value))) == answer.value


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ({"type": "likert", "points": 5, "labels": ["a", "b", "c"]}, "3 labels for 5 points"),
        ({"type": "likert", "required_answer": 9}, "no point of the scale"),
        ({"type": "affect_grid", "corners": ["a"]}, "four names"),
        ({"type": "emotions", "emotions": ["Joy", "Joy"]}, "named twice"),
        ({"type": "emotions", "emotions": []}, "empty"),
        ({"type": "number", "min": 3, "max": 3}, "min is not below max"),
        ({"type": "choice", "options": ["a", "b"], "required_answer": "c"}, "none of the options"),
        ({"type": "sldier"}, "slider"),
        ({"dimension": "dominence"}, "dominance"),
    ],
)
def test_what_cannot_be_asked_is_refused(specification: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        RATING.validate_python({"question": "?", **specification})
