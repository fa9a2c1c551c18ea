"""Ratings of every kind in the tables: grids, emotions, words, checks, forms, and withdrawal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.analysis.constructed import (
    DURATION_S,
    ONSETS_S,
    constructed_session,
    markers,
    trial_fields,
)

from duchenne.analysis.align import phases, presentations
from duchenne.analysis.event_table import event_table
from duchenne.analysis.paths import AnalysisPaths
from duchenne.analysis.presentations import column_part
from duchenne.analysis.session import session_tables, write_session_tables
from duchenne.analysis.tables import read_table
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

ANSWERS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("grid", {"valence": 7, "arousal": 3}, {}),
    ("felt", {"Joy": 2, "Mixed feelings": 0}, {}),
    ("thought", "über the „sea“\tand 3", {}),
    ("touch", 61, {}),
    ("attentive", "Green", {"passed": True}),
    ("late", None, {}),
)


def session(path: Path, *more: tuple[float, str, dict[str, Any]]) -> Path:
    rows = markers()
    fields = trial_fields(1)
    at = ONSETS_S[0] + DURATION_S + 1.5
    for i, (scale, value, extra) in enumerate(ANSWERS):
        answer = {"scale": scale, "dimension": None, "value": value, "rt_s": 0.1 + i / 100} | extra
        rows.append((at + i / 5, "rating_response", fields | answer))
    form = {"scale": "about.valence", "form": "about", "field": "valence", "dimension": "valence"}
    rows.append((3.0, "rating_response", form | {"value": 9, "rt_s": 1.0}))
    rows.append((3.1, "note", {"form": "about", "scores": {"sum": 9}, "text": "scores of about"}))
    return constructed_session(path, markers=sorted([*rows, *more], key=lambda row: row[0]))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return session(tmp_path_factory.mktemp("ratings") / "s.h5")


def shown_of(path: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    with Recording.open(path) as recording:
        shown = presentations(recording)
        events = event_table(recording.events, phases(recording), shown)
        return shown, events, recording.participant_answers


def test_each_answer_has_a_column_of_its_own(recorded: Path):
    first, second = shown_of(recorded)[0].to_dict("records")
    assert (first["rating_grid_valence"], first["rating_grid_arousal"]) == (7, 3)
    assert (first["rating_felt_joy"], first["rating_felt_mixed_feelings"]) == (2, 0)
    assert first["rating_thought"] == "über the „sea“\tand 3"
    assert first["rating_touch"] == 61
    assert first["rating_touch_rt_s"] == pytest.approx(0.13)
    assert first["rating_attentive"] == "Green"
    assert "rating_late" not in first
    assert first["rating_valence"] == 7  # not the form's 9
    assert np.isnan(second["rating_touch"])


def test_the_table_of_events_keeps_words_and_several_values(recorded: Path):
    events = shown_of(recorded)[1]
    answers = events[events["trial_type"] == "rating_response"].set_index("scale")
    assert json.loads(answers.loc["grid", "response"]) == {"arousal": 3, "valence": 7}
    assert answers.loc["thought", "response"].startswith("über")
    assert answers.loc["touch", "value"] == 61
    assert answers.loc["attentive", "passed"] is True or bool(answers.loc["attentive", "passed"])
    assert answers["passed"].notna().sum() == 1


def test_words_for_a_dimension_have_a_column_of_their_own(tmp_path: Path):
    fields = trial_fields(1) | {"dimension": None, "rt_s": 0.2}
    at = ONSETS_S[0] + DURATION_S + 1.2
    rows = [
        (at, "rating_response", fields | {"scale": "Arousal", "value": "calm"}),
        (at + 0.1, "rating_response", fields | {"scale": "dominance", "value": "in control"}),
    ]
    with Recording.open(session(tmp_path / "s.h5", *rows)) as recording:
        summary = session_tables(recording).summary
    assert summary["rating_arousal_word"].tolist()[0] == "calm"
    assert summary["rating_dominance_word"].tolist()[0] == "in control"
    assert summary["rating_arousal"].dtype == float


def test_answers_to_forms_are_the_participants(recorded: Path):
    assert shown_of(recorded)[2] == {"about": {"valence": 9, "scores": {"sum": 9}}}


def test_the_summary_is_written_with_its_codebook_and_read_back(recorded: Path, tmp_path: Path):
    with Recording.open(recorded) as recording:
        assert recording.withdrawn is None
        tables = session_tables(recording)
    paths = AnalysisPaths(tmp_path / "out", "s")
    paths.folder.mkdir()
    write_session_tables(tables, paths)
    book = json.loads(paths.summary.with_suffix(".json").read_text(encoding="utf-8"))
    read = read_table(paths.summary)
    for name in ("rating_grid_valence", "rating_felt_joy", "rating_thought", "rating_touch_rt_s"):
        assert "protocol's rating" in book[name]["Description"]
    assert read["rating_grid_arousal"].tolist()[0] == 3
    assert read["rating_attentive"].tolist()[0] == "Green"
    assert not any("without a column" in note for note in tables.notes)


@pytest.mark.parametrize(
    ("marker", "reason"),
    [
        (("note", {"text": "consent withdrawn after debriefing"}), "consent withdrawn"),
        (("abort", {"reason": "participant: stop and delete"}), "participant: stop and delete"),
    ],
)
def test_a_withdrawn_session_is_excluded_with_its_reason(
    marker: tuple[str, dict[str, Any]], reason: str, tmp_path: Path
):
    path = session(tmp_path / "s.h5", (13.2, *marker))
    with Recording.open(path) as recording:
        summary = session_tables(recording).summary
    assert summary["excluded"].all()
    assert all(
        f"the participant withdrew ({reason}" in text for text in summary["exclusion_reason"]
    )


def test_names_become_parts_of_columns():
    assert column_part("Mixed feelings!") == "mixed_feelings"
    assert column_part("Größe") == "größe"
    assert column_part("¡") == "unnamed"
