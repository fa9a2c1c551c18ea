"""The user's list of participants: one line is appended, all else stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from duchenne.recorder.layout import SessionName
from duchenne.recorder.study_folder import add_participant, start_study
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("before", "added"),
    [
        (b"", b"participant_id\nsub-P07\n"),
        (b"\n", b"participant_id\nsub-P07\n"),
        (b"participant_id\nsub-P01\n", b"sub-P07\n"),
        (b"participant_id\tage\tsex\nsub-P01\tNA\tNone\n", b"sub-P07\tn/a\tn/a\n"),
        (b"age\tparticipant_id\n31\tsub-P01", b"\nn/a\tsub-P07\n"),
        (b"\xef\xbb\xbfparticipant_id\tage\r\nsub-P01\t\r\n", b"sub-P07\tn/a\r\n"),
        (b'participant_id\tnote\nsub-P01\t"caf\xe9" sub-P07\n', b"sub-P07\tn/a\n"),
    ],
)
def test_a_participant_is_appended_and_nothing_else_changes(
    tmp_path: Path, before: bytes, added: bytes
) -> None:
    table = tmp_path / "participants.tsv"
    table.write_bytes(before)
    table.chmod(0o640)
    for _ in range(2):  # the second time it is listed already
        add_participant(table, "sub-P07")
        assert table.read_bytes() == (before if before.strip() else b"") + added
    assert table.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [table]


def test_a_table_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    table = study / "participants.tsv"
    table.write_text("id,age\nP01,31\n", encoding="utf-8")
    with pytest.raises(DuchenneError, match="no column participant_id"):
        start_study(study, SessionName("P01", "01", "demo", "01"))
    assert table.read_text(encoding="utf-8") == "id,age\nP01,31\n"


def test_a_new_study_gets_its_list(tmp_path: Path) -> None:
    start_study(tmp_path / "study", SessionName("P01", "01", "demo", "01"))
    assert (tmp_path / "study" / "participants.tsv").read_text() == "participant_id\nsub-P01\n"
