"""Words in any language: line breaks, direction, fonts, pages."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from duchenne.protocols import typesetting
from duchenne.protocols.fonts import characters_of, font_for
from duchenne.protocols.layout import DoesNotFit, Layout
from duchenne.protocols.steps.pages import paged
from duchenne.protocols.typesetting import Style, broken_lines, height_of, is_right_to_left, words
from duchenne.stimuli.errors import DuchenneError

pytest.importorskip("PIL")
pytestmark = pytest.mark.skipif(
    find_spec("psychopy") is None, reason="the fonts come with PsychoPy"
)

STYLE = Style(30)
ARABIC = "سوف ترى صورا وأفلاما قصيرة ثم تخبرنا بما شعرت به"
HEBREW = "תראו תמונות וסרטים קצרים, ואחרי כל אחד תאמרו איך הרגשתם."


def has_font_for(text: str) -> bool:
    try:
        font_for(text)
    except DuchenneError:
        return False
    return True


needs_hebrew = pytest.mark.skipif(not has_font_for(HEBREW + ARABIC), reason="no font here has it")


def test_lines_break_at_spaces_and_paragraphs_stay_apart():
    lines = broken_lines("one two three four\n\nfive", STYLE, 160)
    assert " ".join(lines).split() == ["one", "two", "three", "four", "five"]
    assert "" in lines
    assert len(lines) > 3
    assert max(words(line, STYLE, 500).shape[1] for line in lines) == 500


def test_a_word_wider_than_the_line_is_cut_and_nothing_is_lost():
    lines = broken_lines("Donaudampfschifffahrtsgesellschaft", STYLE, 150)
    assert len(lines) > 2
    assert "".join(lines) == "Donaudampfschifffahrtsgesellschaft"


@needs_hebrew
def test_the_first_words_of_right_to_left_text_are_in_the_first_line():
    lines = broken_lines(HEBREW, STYLE, 300)
    assert lines[0].startswith("תראו")
    assert lines[-1].endswith("הרגשתם.")
    assert all(is_right_to_left(line) for line in lines)


@needs_hebrew
@pytest.mark.parametrize("itself", [True, False])
def test_right_to_left_lines_start_at_the_right(itself: bool, monkeypatch: pytest.MonkeyPatch):
    if itself and not typesetting._can_shape():
        pytest.skip("Pillow has no HarfBuzz here")
    monkeypatch.setattr(typesetting, "_can_shape", lambda: itself)
    broken_lines.cache_clear()
    style = Style(30, align="start")
    for text, at_right in ((HEBREW[:12], True), ("Hello there", False)):
        ink = np.flatnonzero((words(text, style, 600)[:, :, 0] < 100).any(axis=0))
        assert (ink.max() > 590) == at_right
        assert (ink.min() < 10) == (not at_right)


@needs_hebrew
def test_both_ways_of_joining_arabic_letters_draw_nearly_the_same(monkeypatch: pytest.MonkeyPatch):
    if not typesetting._can_shape():
        pytest.skip("Pillow has no HarfBuzz here")
    drawn = []
    for itself in (True, False):
        monkeypatch.setattr(typesetting, "_can_shape", lambda itself=itself: itself)
        broken_lines.cache_clear()
        drawn.append((words(ARABIC[:20], STYLE, 500)[:, :, 0] < 64).sum(axis=0).astype(float))
    reversed_ = drawn[0][::-1]
    assert np.corrcoef(drawn[0], drawn[1])[0, 1] > 0.6
    assert np.corrcoef(reversed_, drawn[1])[0, 1] < 0.5


def test_a_character_that_no_font_has_is_named():
    with pytest.raises(DuchenneError, match=r"no font here has the character .*U\+1BC0"):
        broken_lines("Batak: \u1bc0", STYLE, 400)
    with pytest.raises(DuchenneError, match=r"NotoSans-Regular.ttf has no character .*U\+4F60"):
        font_for("你", str(font_for("a")))
    with pytest.raises(DuchenneError, match="no font 'Nowhere Sans'"):
        font_for("a", "Nowhere Sans")


def test_a_font_has_what_it_is_taken_for():
    for text in ("Grüße", "Ελλάδα", "мир", "żółć"):
        assert {ord(c) for c in text} <= characters_of(font_for(text))


def test_pages_hold_all_lines_and_none_is_too_high():
    style, text = Style(30), "\n\n".join(f"Paragraph {i}. " + "word " * 40 for i in range(12))
    pages = paged(text, style, 800, 500)
    assert len(pages) > 3
    for lines in pages:
        assert height_of(lines, style) <= 500
        assert lines[0]
    told = " ".join(" ".join(lines) for lines in pages).split()
    assert told == text.split()
    assert paged("short", style, 800, 500) == [("short",)]


def test_words_that_do_not_fit_are_refused_with_what_they_need():
    layout = Layout(1280, 720)
    with pytest.raises(DoesNotFit, match=r"“word word .*…” needs \d+ px of height and has"):
        layout.text("word " * 600)
    assert layout.text("fine").rgb.shape[2] == 3
    assert layout.text("fine") is layout.text("fine")  # so that its texture can be kept
