"""When the comparisons of a study were declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import pytest

from duchenne.recorder.declarations import FILE_NAME, count_sessions, note_declarations
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

ONE = "contrasts:\n- {name: smile, measure: AU12_mean}\n"


def write(study: Path, text: str) -> None:
    """Write a study file."""
    (study / "study.yaml").write_text(text, encoding="utf-8")


def record(study: Path, participant: str, *, pilot: bool = False) -> None:
    """Leave a session file with its mark."""
    folder = study / "sourcedata" / f"sub-{participant}" / "ses-01"
    folder.mkdir(parents=True)
    with h5py.File(folder / f"sub-{participant}_ses-01_task-x_run-01_session.h5", "w") as file:
        file.attrs["pilot"] = pilot


def test_what_is_there_before_the_first_session_counts_as_declared(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    (first,) = note_declarations(tmp_path)
    assert (first.kind, first.name, first.n_sessions) == ("contrasts", "smile", 0)
    record(tmp_path, "P01")
    write(tmp_path, "# a remark\ncontrasts:\n- measure: AU12_mean\n  name: smile\n")
    (same,) = note_declarations(tmp_path)
    assert same == first
    assert not same.after_data


def test_a_change_after_data_is_noted_and_one_that_is_taken_back_is_not(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    note_declarations(tmp_path)
    record(tmp_path, "P01")
    write(
        tmp_path,
        ONE.replace("AU12", "AU06") + "curves:\n- {name: c}\nwindows: {late: {start_s: 2}}\n",
    )
    found = {(one.kind, one.name): one for one in note_declarations(tmp_path)}
    assert set(found) == {("windows", "late"), ("contrasts", "smile"), ("curves", "c")}
    assert all(one.after_data and one.n_sessions == 1 for one in found.values())
    write(tmp_path, ONE)
    assert [one.after_data for one in note_declarations(tmp_path)] == [False]


def test_pilots_are_no_data_and_journals_are(tmp_path: Path) -> None:
    record(tmp_path, "P01", pilot=True)
    assert count_sessions(tmp_path) == 0
    folder = tmp_path / "sourcedata" / "sub-P02" / "ses-01"
    folder.mkdir(parents=True)
    (folder / "sub-P02_ses-01_task-x_run-01_session.journal").write_bytes(b"")
    (folder / "sub-P02_ses-01_task-x_run-02_session.h5").write_bytes(b"no HDF5")
    assert count_sessions(tmp_path) == 2


@pytest.mark.parametrize("text", ["", "just words", "contrasts: [", "contrasts: 5", "name: x"])
def test_a_file_that_declares_nothing_is_no_reason_to_stop(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    assert note_declarations(tmp_path) == ()
    assert not (tmp_path / FILE_NAME).exists()


def test_damaged_notes_are_told(tmp_path: Path) -> None:
    assert note_declarations(tmp_path) == ()
    write(tmp_path, ONE)
    (tmp_path / FILE_NAME).write_text("[{}]")
    with pytest.raises(DuchenneError, match="is damaged"):
        note_declarations(tmp_path)
