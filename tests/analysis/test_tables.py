from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.tables import Column, read_table, write_parquet, write_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

BOOK = {
    "participant": Column("Label.", kind="string"),
    "onset": Column("When.", "s"),
    "trial": Column("Which.", kind="integer"),
    "valid": Column("Whether.", kind="boolean"),
    "x": Column("Where.", "deg", derivative=True),
    "kind": Column("What.", levels={"a": "first"}, kind="string"),
}


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "participant": ["01", "02", None],
            "onset": [1.23456789, np.nan, -1e-9],
            "trial": pd.array([1, None, 3], dtype="Int64"),
            "valid": pd.array([True, None, False], dtype="boolean"),
            "x": [1 / 3, np.inf, 123456.789],
            "kind": ["two\twords\nhere", "", "a"],
        }
    )


def test_written_text_is_plain_and_precise(tmp_path: Path) -> None:
    path = write_table(table(), tmp_path / "t.tsv", BOOK)
    assert path.read_text(encoding="utf-8").splitlines() == [
        "participant\tonset\ttrial\tvalid\tx\tkind",
        "01\t1.234568\t1\ttrue\t0.3333333\ttwo words here",
        "02\tn/a\tn/a\tn/a\tn/a\tn/a",
        "n/a\t0\t3\tfalse\t123456.8\ta",
    ]


def test_reading_gives_back_types_and_missing_values(tmp_path: Path) -> None:
    back = read_table(write_table(table(), tmp_path / "t.tsv", BOOK))
    assert back["participant"].tolist()[:2] == ["01", "02"]
    assert back["onset"].dtype == np.float64
    assert back["trial"].dtype == "Int64"
    assert back["valid"].dtype == "boolean"
    assert back.isna().to_numpy().tolist() == [
        [False] * 6,
        [False, True, True, True, True, True],
        [True, False, False, False, False, False],
    ]


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    back = read_table(write_table(table().iloc[:0], tmp_path / "t.tsv", BOOK))
    assert list(back.columns) == list(BOOK)
    assert back["trial"].dtype == "Int64"
    assert len(back) == 0


def test_codebook_has_an_entry_for_each_column_and_no_more(tmp_path: Path) -> None:
    write_table(table()[["onset", "x"]], tmp_path / "t.tsv", BOOK)
    book = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert book == {
        "onset": {"LongName": "Onset", "Description": "When.", "Format": "number", "Units": "s"},
        "x": {
            "LongName": "X",
            "Description": "Where.",
            "Format": "number",
            "Units": "deg",
            "Derivative": True,
        },
    }


def test_a_column_without_an_entry_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no codebook entry for y"):
        write_table(table().assign(y=1), tmp_path / "t.tsv", BOOK)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_table_before_it(tmp_path: Path) -> None:
    path = write_table(table(), tmp_path / "t.tsv", BOOK)
    before = path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"parse|convert"):
        write_table(table().assign(x="no number"), path, BOOK | {"x": Column("x", kind="number")})
    assert path.read_text(encoding="utf-8") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.json", "t.tsv"]


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DuchenneError, match="could not be written"):
        write_table(table(), tmp_path / "file" / "t.tsv", BOOK)


def test_a_missing_table_names_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DuchenneError, match="duchenne analyze"):
        read_table(tmp_path / "t.tsv")


def test_parquet_keeps_values_and_gets_a_codebook(tmp_path: Path) -> None:
    path = write_parquet(table(), tmp_path / "t.parquet", BOOK)
    back = pd.read_parquet(path)
    np.testing.assert_array_equal(back["onset"], table()["onset"])
    assert set(json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))) == set(BOOK)


@pytest.mark.parametrize("bad", [{"description": " "}, {"description": "x", "kind": "float"}])
def test_a_column_says_what_it_is(bad: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"description|kind"):
        Column(**bad)


TEXTS = ['"quoted" scene', '"open', 'say "hi"', 'b"', "'", "01", "NA", "None", "nan", "#x", "a,b"]


def test_text_comes_back_as_it_was_quotation_marks_included(tmp_path: Path) -> None:
    frame = pd.DataFrame({"kind": TEXTS, "x": np.arange(float(len(TEXTS)))})
    back = read_table(write_table(frame, tmp_path / "t.tsv", BOOK))
    assert back["kind"].tolist() == TEXTS
    assert back["x"].tolist() == list(range(len(TEXTS)))


def test_what_utf8_cannot_hold_does_not_stop_a_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"kind": pd.Series(["\ud800x", "ü", None], dtype=object)})
    written = write_table(frame, tmp_path / "t.tsv", BOOK)
    assert read_table(written)["kind"].tolist()[:2] == ["?x", "ü"]
    stored = pd.read_parquet(write_parquet(frame, tmp_path / "t.parquet", BOOK))
    assert stored["kind"].tolist()[:2] == ["?x", "ü"]
    assert stored["kind"].isna().tolist() == [False, False, True]


def test_a_table_that_cannot_be_written_leaves_table_and_codebook_as_they_were(
    tmp_path: Path,
) -> None:
    path = write_table(table()[["onset"]], tmp_path / "t.tsv", BOOK)
    before = (path.read_bytes(), path.with_suffix(".json").read_bytes())
    unwritable = BOOK | {"onset": Column("Later.", levels={"a": object()})}  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        write_table(table()[["onset", "x"]], path, unwritable)
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.json", "t.tsv"]
