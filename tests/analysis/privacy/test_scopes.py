"""What a participant agreed to, and what an analysis does about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.analysis.constructed import constructed_session, markers

from duchenne.analysis.privacy.scopes import Scopes, scopes_from, scopes_of
from duchenne.analysis.session import analyze_session
from duchenne.analysis.tables import read_table
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path


def consent(**answers: str) -> dict[str, Any]:
    return {"consent": {"answer": "agree", **answers}}


def test_what_was_never_asked_is_analysed_and_no_picture_leaves() -> None:
    scopes = scopes_from(consent())
    assert scopes == Scopes()
    assert (scopes.analysis, scopes.share_derived, scopes.never_asked) == (True, True, True)
    granted = [scopes.share_video, scopes.share_stills, scopes.share_deidentified]
    assert not any(granted)


@pytest.mark.parametrize(("value", "granted"), [("agree", True), ("yes", True), ("decline", False)])
def test_an_answer_counts(value: str, granted: bool) -> None:
    scopes = scopes_from(consent(share_video=value, share_derived=value))
    assert scopes.share_video is granted
    assert scopes.share_derived is granted
    assert scopes.share_signals is granted
    assert scopes.share_deidentified is granted
    assert scopes.asked == {"share_video", "share_derived"}


def test_one_no_anywhere_counts() -> None:
    answers = consent(share_video="agree", share_stills="agree")
    answers["consent_after_debriefing"] = {"answer": "agree", "share_video": "decline"}
    assert not scopes_from(answers).share_video
    assert scopes_from(answers).share_stills
    assert not scopes_from(
        consent(share_video="agree"), later=frozenset({"share_video"})
    ).share_video


@pytest.mark.parametrize(
    ("answers", "withdrawn"),
    [(consent(share_video="agree"), "no consent"), (consent(analysis="decline"), None)],
)
def test_who_withdrew_granted_nothing(answers: dict[str, Any], withdrawn: str | None) -> None:
    scopes = scopes_from(answers, withdrawn=withdrawn)
    assert scopes.withdrawn
    assert not any(
        getattr(scopes, name)
        for name in Scopes.__annotations__
        if name.startswith(("ana", "share"))
    )


def answered(field: str, value: str) -> list[tuple[float, str, dict[str, Any]]]:
    fields = {"form": "consent", "scale": f"consent.{field}", "field": field, "value": value}
    return sorted([(0.1, "rating_response", fields), *markers()], key=lambda row: row[0])


def test_gaze_is_not_measured_without_consent_to_it(tmp_path: Path) -> None:
    file = constructed_session(
        tmp_path / "x_session.h5", markers=answered("analysis_gaze", "decline")
    )
    paths = analyze_session(file, report=False)
    assert not paths.fixations.exists()
    assert any("did not agree that gaze and pupils are analysed" in note for note in paths.notes)
    summary = read_table(paths.summary)
    assert summary["n_fixations"].isna().all()
    assert list(summary["rating_valence"]) == [7, 2]
    assert not summary["excluded"].any()


def test_later_changes_narrow_and_a_wrong_table_stops_everything(tmp_path: Path) -> None:
    folder = tmp_path / "study" / "sourcedata" / "sub-P01" / "ses-01"
    folder.mkdir(parents=True)
    file = constructed_session(
        folder / "sub-P01_ses-01_task-test_run-01_session.h5",
        markers=answered("share_video", "agree"),
        gaze=None,
    )
    table = tmp_path / "study" / "consent.tsv"
    with Recording.open(file) as recording:
        assert scopes_of(recording).share_video
        table.write_text("participant_id\tscope\tdate\nsub-P02\tshare_video\t2026-01-01\n")
        assert scopes_of(recording).share_video
        table.write_text("participant_id\tscope\tdate\nsub-P01\tshare_video\t2026-01-01\n")
        assert not scopes_of(recording).share_video
        table.write_text("participant_id\tscope\tdate\nsub-P01\tanalysis\t2026-01-01\n")
        assert scopes_of(recording).withdrawn == "no consent to the analysis"
        table.write_text("participant_id\tscope\tdate\nsub-P01\tvideo\t2026-01-01\n")
        with pytest.raises(DuchenneError, match=r"consent.tsv:2: 'video' is no scope"):
            scopes_of(recording)
