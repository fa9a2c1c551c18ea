"""Labels that tell who somebody is, the key table, and how long data are kept."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import h5py
import pytest
from typer.testing import CliRunner

from duchenne.analysis.privacy.key_table import KeyTable
from duchenne.cli import app
from duchenne.recorder.label_check import label_warning
from duchenne.recorder.locked_file import SCRYPT, is_locked
from duchenne.recorder.retention import retention_warnings
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("label", "what"),
    [
        ("Anna", "a name"),
        ("mueller03", "a name"),
        ("MiriamK", "a name"),
        ("P19930214", "a date of birth"),
        ("14021993", "a date of birth"),
        ("AB140293", "a date of birth"),
    ],
)
def test_telling_labels_are_told(label: str, what: str) -> None:
    assert f"looks like {what}" in (label_warning(label) or "")


@pytest.mark.parametrize(
    "label",
    ["P01", "001", "S12", "pilot3", "control07", "Sub12", "AB12", "XKCD9", "20", "P123456789"],
)
def test_plain_labels_are_not(label: str) -> None:
    assert label_warning(label) is None


def participants(table: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["participants", str(table), *arguments])
    return done.exit_code, f"{done.output} {done.exception or ''}"


def test_the_key_table_lies_outside_every_study(tmp_path: Path) -> None:
    study = tmp_path / "study"
    (study / "sourcedata").mkdir(parents=True)
    (study / "study.yaml").write_text("name: x\n")
    link = tmp_path / "link"
    link.symlink_to(study)
    for place in (study / "who.tsv", study / "sourcedata" / "deep" / "who.tsv", link / "who.tsv"):
        code, told = participants(place, "--add", "P07", "--identity", "A. Example")
        assert code != 0
        assert "a key table never lies in a study folder" in told
        assert not place.exists()
    other = tmp_path / "other"
    other.mkdir()
    assert "never lies" in participants(other / "w.tsv", "--study", str(other))[1]


def test_people_are_noted_shown_and_removed(tmp_path: Path) -> None:
    table = tmp_path / "who.tsv"
    code, told = participants(table, "--add", "P07", "--identity", "A.\tExample\n")
    assert code == 0, told
    assert (table.stat().st_mode & 0o777) == 0o600
    participants(table, "--add", "P08", "--identity", "B. Example")
    assert "P07\tA. Example\t" in participants(table)[1]
    assert "is somebody else already" in participants(table, "--add", "P07", "--identity", "C")[1]
    assert participants(table, "--remove", "P07")[0] == 0
    assert set(KeyTable.read(table).people) == {"P08"}
    assert "has no P07" in participants(table, "--remove", "P07")[1]
    assert "looks like a name" in participants(table, "--add", "Anna", "--identity", "x")[1]


def test_it_is_locked_with_a_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCRYPT, "n", 2**10)
    monkeypatch.setenv("DUCHENNE_PASSPHRASE", "correct horse")
    table = tmp_path / "who.tsv"
    assert participants(table, "--add", "P07", "--identity", "A. Example")[0] == 0
    assert is_locked(table)
    assert b"Example" not in table.read_bytes()
    assert participants(table, "--add", "P08", "--identity", "B. Example")[0] == 0
    assert is_locked(table)
    assert "A. Example" in participants(table)[1]
    monkeypatch.setenv("DUCHENNE_PASSPHRASE", "wrong horse")
    assert "the passphrase is wrong" in participants(table)[1]


def recorded(study: Path, who: str, day: str) -> None:
    folder = study / "sourcedata" / f"sub-{who}" / "ses-01"
    folder.mkdir(parents=True)
    with h5py.File(folder / "x_session.h5", "w") as file:
        file.attrs["created_utc"] = f"{day}T10:00:00Z"


def test_what_is_kept_too_long_is_told(tmp_path: Path) -> None:
    today = date(2026, 6, 1)
    recorded(tmp_path, "P01", "2020-01-01")
    recorded(tmp_path, "P02", "2025-01-01")

    def told(text: str) -> str:
        (tmp_path / "study.yaml").write_text(f"name: x\n{text}\n")
        return " ".join(retention_warnings(tmp_path, today))

    assert told("") == ""
    assert told("retention: {until: 2026-06-01}") == ""
    assert "until 2026-05-31" in told("retention: {until: 2026-05-31}")
    assert "until 2026-05-31" in told("retention_until: 2026-05-31")
    assert told("retention: {years: 10}") == ""
    assert "recordings of sub-P01 are older than 5 years" in told("retention: {years: 5}")
    assert "sub-P01, sub-P02" in told("retention: {years: 0.5}")
    assert "cannot be read; write retention: {until" in told("retention: forever")
    assert retention_warnings(tmp_path / "nowhere") == []


def test_labels_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="letters and digits only"):
        KeyTable(tmp_path / "x").having("a b", "x")
