"""Exclusion rules: declared, locked, applied visibly."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml

from duchenne.analysis.exclusions import (
    DEFAULT_TEXT,
    ColumnRule,
    ExclusionRules,
    Exclusions,
    ParticipantRules,
    read_exclusions,
)
from duchenne.analysis.exclusions_lock import (
    known_lock,
    lock_exclusions,
    write_default_exclusions,
)
from duchenne.analysis.paths import AnalysisPaths
from duchenne.analysis.study_summary import StudySession, participant_reasons
from duchenne.analysis.summary import summary_codebook
from duchenne.stimuli.errors import DuchenneError


def test_the_file_with_the_defaults_says_the_defaults() -> None:
    assert Exclusions.model_validate(yaml.safe_load(DEFAULT_TEXT)) == Exclusions()
    assert "Simmons" in DEFAULT_TEXT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("presentation: {min_gaze_valid_fracton: 0.5}", "min_gaze_valid_fracton: no such rule"),
        ("presentation: {min_gaze_valid_fraction: 50}", "min_gaze_valid_fraction"),
        ("presentation: {rules: [{column: x, because: y}]}", "has no limit"),
        ("participants: {}", "participants: no such rule"),
        ("presentation: [", "cannot be read"),
        ("- 1", "the file"),
    ],
)
def test_what_is_no_rule_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "exclusions.yaml").write_text(text)
    with pytest.raises(DuchenneError) as caught:
        read_exclusions(tmp_path)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_rule_on_any_column() -> None:
    rule = ColumnRule(column="head_speed_mean_deg_s", above=30, because="head movement")
    rules = ExclusionRules(
        min_gaze_valid_fraction=None, interrupted=False, cut_short=False, rules=(rule,)
    )
    row = {"gaze_valid_fraction": 0.0, "interrupted": True, "cut_short": "skip"}
    assert rules.reasons(row) == []
    assert rules.reasons(row | {"head_speed_mean_deg_s": float("nan")}) == []
    assert rules.reasons(row | {"head_speed_mean_deg_s": 41.0}) == [
        "head movement (head_speed_mean_deg_s 41, above 30)"
    ]
    # Who withdrew is out whatever the rules say.
    assert rules.reasons({"withdrawn": "no consent"}) == ["the participant withdrew (no consent)"]
    said = summary_codebook(rules)["excluded"].description
    assert "head_speed_mean_deg_s is above 30 (head movement)" in said
    assert "gaze_valid_fraction" not in said


def test_participants_with_too_little_are_flagged() -> None:
    rules = ParticipantRules(
        min_usable_presentations_fraction=0.5, min_usable_presentations_per_category=2
    )
    assert rules.reason({"HVHA": 4, "neutral": 4}, {"HVHA": 2, "neutral": 2}) is None
    assert rules.reason({"HVHA": 4, "neutral": 4}, {"HVHA": 3}) == (
        "participant: 3 of 8 presentations usable (37.5%), less than 50%"
    )
    assert rules.reason({"HVHA": 4, "neutral": 4}, {"HVHA": 4, "neutral": 1}) == (
        "participant: 1 usable presentations of category neutral, less than 2"
    )
    assert rules.reason({}, {}) is None
    # Practice without a category is none; where nothing has a category, all of it is one.
    assert rules.reason({"HVHA": 4, "none": 2}, {"HVHA": 4, "none": 1}) is None
    assert rules.reason({"none": 3}, {"none": 1, "x": 1}) is not None


def test_who_withdrew_in_one_session_is_out_in_all() -> None:
    def session(who: str, *, withdrawn: bool) -> StudySession:
        counts = {"HV": 4}
        usable = {} if withdrawn else counts
        about = {"shown": counts, "usable": usable, "withdrawn": withdrawn}
        return StudySession(
            AnalysisPaths(Path(), who), {"session": {"participant": who}, "summary": about}
        )

    rules = Exclusions(participant=ParticipantRules(min_usable_presentations_fraction=None))
    sessions = [
        session("P03", withdrawn=True), session("P03", withdrawn=False),
        session("P04", withdrawn=True), session("P05", withdrawn=False),
    ]  # fmt: skip
    reasons, table = participant_reasons(sessions, rules)
    # Who has no other session is told so by the session itself.
    assert reasons == {"P03": "the participant withdrew in another session"}
    assert table.set_index("participant")["excluded"].to_dict() == {
        "P03": True, "P04": False, "P05": False,
    }  # fmt: skip


def test_the_rules_are_locked_and_a_change_is_recorded(tmp_path: Path) -> None:
    def on(day: int) -> datetime:
        return datetime(2026, 3, day, 12, tzinfo=timezone.utc)

    _, first = lock_exclusions(tmp_path, now=lambda: on(1))
    assert (tmp_path / "exclusions.yaml").is_file()
    assert first.locked_utc == "2026-03-01T12:00:00Z"
    assert "Wrote exclusions.yaml" in first.notes[0]
    path = tmp_path / "exclusions.yaml"
    path.write_text("# only a comment\n" + path.read_text())
    _, same = lock_exclusions(tmp_path, now=lambda: on(2))
    assert same == first
    assert same.notes == ()
    path.write_text("presentation: {min_gaze_valid_fraction: 0.7}\n")
    rules, changed = lock_exclusions(tmp_path, now=lambda: on(3))
    assert rules.presentation.min_gaze_valid_fraction == 0.7
    assert changed.locked_utc == first.locked_utc
    assert [c["utc"] for c in changed.changes] == ["2026-03-03T12:00:00Z"]
    assert changed.changes[0]["from_sha256"] == first.sha256
    assert "was changed after results were made" in changed.notes[0]
    record = json.loads((tmp_path / "exclusions.lock.json").read_text())
    assert record == changed.to_dict()
    assert known_lock(tmp_path, rules) == changed
    assert known_lock(tmp_path, Exclusions()).locked_utc == ""
    # Back to the old rules is a change as well.
    path.write_text(DEFAULT_TEXT)
    _, back = lock_exclusions(tmp_path, now=lambda: on(4))
    assert len(back.changes) == 2


def test_rules_that_are_there_are_not_written_over(tmp_path: Path) -> None:
    write_default_exclusions(tmp_path)
    with pytest.raises(DuchenneError, match="there already"):
        write_default_exclusions(tmp_path)


def test_a_record_that_was_damaged_is_told(tmp_path: Path) -> None:
    lock_exclusions(tmp_path)
    (tmp_path / "exclusions.lock.json").write_text("{")
    with pytest.raises(DuchenneError, match=r"exclusions\.lock\.json cannot be read"):
        lock_exclusions(tmp_path)
