"""What the codebooks and the reasons of exclusion say about the face."""

from __future__ import annotations

import re

import pytest

from duchenne.analysis.codebooks import PROTOTYPES as LEVELS
from duchenne.analysis.codebooks import au_columns
from duchenne.analysis.face.emotion import LABELS, PROTOTYPES
from duchenne.analysis.summary import ExclusionRules, summary_codebook
from duchenne.analysis.values import percent


def test_every_label_is_described():
    assert set(LEVELS) == set(LABELS)


@pytest.mark.parametrize("prototype", PROTOTYPES, ids=lambda p: p.name)
def test_a_prototype_is_described_by_its_units(prototype):
    told = set(re.findall(r"AU\d\d", LEVELS[prototype.name]))
    assert told == {au for entry in prototype.units for au in entry}


def test_the_codebook_tells_the_rules():
    book = au_columns(["AU45_c", "AU12_change_mean", "AU12_peak"])
    assert "AU45" in book["AU45_c"].description.split("(")[1]
    assert "previous stimulus" in book["AU12_change_mean"].description
    assert "not across gaps" in book["AU12_peak"].description
    assert "tenth" in summary_codebook()["expr_prototype_top"].description


@pytest.mark.parametrize(
    ("share", "told"),
    [(0.0, "0.0%"), (0.4996, "49.9%"), (0.49999, "49.9%"), (0.57, "57.0%"), (0.9996, "99.9%")],
)
def test_a_share_below_its_limit_never_reads_as_the_limit(share, told):
    assert percent(share) == told


def test_the_reason_names_share_and_limit():
    rules = ExclusionRules(min_face_usable_fraction=0.655)
    assert rules.reasons({"face_usable_fraction": 0.6549}) == [
        "face usable in 65.4% of the stimulus, less than 65.5%"
    ]
