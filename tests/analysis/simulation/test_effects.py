"""What may be planted, and the answers that are drawn for it."""

from __future__ import annotations

import numpy as np
import pytest

from duchenne.analysis.simulation.answers import coded, draw_answers
from duchenne.analysis.simulation.effects import Effect, read_effects, spread_of
from duchenne.stimuli.errors import UsageError
from duchenne.stimuli.manifest import StimulusSet


def test_effects_are_read_with_their_usual_factor() -> None:
    found = {
        (one.measure, one.factor): one.size
        for one in read_effects(("AU12=1.0", "pupil=0.15"), ("AU04",))
    }
    assert found["AU12", "valence"] == 1.0
    assert found["pupil", "arousal"] == 0.15
    assert found["AU04", "valence"] == 0.0
    assert found["rating_valence", "valence"] == 3.0  # what is rated follows the stimuli
    usual = read_effects((), ())
    assert any(one.is_null for one in usual)
    assert Effect("pupil", "arousal", 0.1).column == "pupil_change_mean"


@pytest.mark.parametrize(
    ("effects", "nulls", "said"),
    [
        (["AU12"], [], "write it as AU12=1.0"),
        (["AU12=big"], [], "write it as AU12=1.0"),
        (["AU99=1"], [], "did you mean 'AU09'"),
        (["AU12@mood=1"], [], "no factor 'mood'"),
        (["AU12=0"], [], "--null AU12@valence"),
        (["AU12=9"], [], "no room on its scale"),
        (["AU12=2", "AU12@arousal=2"], [], "no room on its scale"),
        ([], ["AU12=1"], "a null has no size"),
        (["AU04=1"], ["AU04"], "given twice"),
        (["AU 12=1"], [], "write it as"),
    ],
)
def test_what_cannot_be_planted_is_told(effects: list[str], nulls: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_effects(effects, nulls)


def test_answers_have_the_effect_and_the_spread_that_was_asked_for() -> None:
    effects = read_effects(("AU12=1.0", "AU12@arousal=-0.5"), ("AU04",))
    stimuli = StimulusSet.bundled()
    people = [f"P{i}" for i in range(4000)]
    answers = draw_answers(effects, people, stimuli, seed=3)
    valence, arousal = coded(stimuli, "valence"), coded(stimuli, "arousal")
    design = np.column_stack([np.ones(len(stimuli)), valence, arousal])
    own = np.linalg.lstsq(design, answers.values["AU12"].T, rcond=None)[0]
    slopes = answers.slopes["AU12", "valence"]
    spread = spread_of("AU12")
    assert slopes.std() == pytest.approx(spread.slope, rel=0.05)
    # stimuli are the same for all: their share of the slope is fixed, people's averages out
    assert np.corrcoef(own[1], slopes)[0, 1] > 0.7
    without = answers.values["AU12"] - np.outer(1 + slopes, valence)
    without -= np.outer(-0.5 + answers.slopes["AU12", "arousal"], arousal)
    of_stimuli = without.mean(axis=0)
    assert of_stimuli.std() == pytest.approx(spread.stimulus, rel=0.6)
    assert (without - of_stimuli).std() == pytest.approx(
        np.hypot(spread.participant, spread.residual), rel=0.05
    )
    assert answers.of("P7", "AU12")[stimuli.stimuli[0].id] == answers.values["AU12"][7, 0]
    assert answers.of("P7", "AU26") == {}


def test_a_further_effect_leaves_the_other_measures_as_they_were() -> None:
    stimuli, people = StimulusSet.bundled(), ["P1", "P2", "P3"]
    one = draw_answers(read_effects(("AU12=1",), ("AU04",)), people, stimuli, 0)
    two = draw_answers(read_effects(("AU12=1", "pupil=0.2"), ("AU04",)), people, stimuli, 0)
    assert np.array_equal(one.values["AU12"], two.values["AU12"])
    assert not np.array_equal(one.values["pupil"], two.values["pupil"])
