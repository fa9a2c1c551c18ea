"""CSV, Parquet and DuckDB: read by a stranger, with known answers; and what every export refuses."""

from __future__ import annotations

import getpass
import gzip
import json
import math
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import duckdb
import pandas as pd
import pytest
from pydantic import Tag
from tests.analysis.export.studies import HOST
from typer.testing import CliRunner

from duchenne.analysis.export.base import EXPORTERS, ExportOptions, ExportSession, export_study
from duchenne.analysis.export.flat import wide_summary, write_csv
from duchenne.analysis.export.private import CHOSEN_TYPES, PrivateNames, chosen_fields, chosen_names
from duchenne.analysis.export.tables_of_study import withhold_text
from duchenne.analysis.paths import AnalysisPaths
from duchenne.analysis.tables import Column
from duchenne.cli import app
from duchenne.protocols.parts_ratings import Rating
from duchenne.stimuli.errors import DuchenneError, UsageError


def text_of(folder: Path) -> dict[str, str]:
    """Return everything that an export holds, as text."""
    found = {}
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        found[path.name] = content.decode("latin-1")
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
            found[path.name] += frame.select_dtypes(exclude="number").to_csv()
        if path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as base:
                for (name,) in base.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                    table = base.table(name).df()
                    found[path.name] += table.select_dtypes(exclude="number").to_csv()
    return found


@pytest.mark.parametrize(
    ("format_name", "with_text"),
    [("bids", False), ("csv", True)],
)
def test_no_host_no_user_no_folder_leaves(
    study: Path, tmp_path: Path, format_name: str, with_text: bool
) -> None:
    options = ExportOptions(with_text=with_text)
    result = export_study(study, tmp_path / "out", format_name, options=options)
    texts = text_of(result.path)
    assert len(texts) > 1
    secrets = [HOST, "annabella", str(study), str(Path.home()) + "/", "sub-P03", "sub-P04", "P03"]
    secrets += [name for name in (platform.node(), getpass.getuser()) if len(name) > 5]
    for name, content in texts.items():
        for secret in secrets:
            assert secret.lower() not in content.lower(), f"{secret} in {name}"
    assert any("I sat at" in content for content in texts.values()) == with_text


def test_pilot_withdrawn_and_unanalyzed_sessions_stay_and_are_told(
    study: Path, tmp_path: Path
) -> None:
    result = export_study(study, tmp_path / "csv", "csv")
    summary = pd.read_csv(result.path / "summary.csv", dtype={"participant": str})
    assert sorted(set(summary["participant"])) == ["P01", "P02"]
    told = " ".join(result.notes)
    assert "sub-P03: left out, participant: stop and delete" in told
    assert "sub-P04_ses-01_task-test_run-01_session.h5: left out, a pilot session" in told
    assert "sub-P05_ses-01_task-test_run-01_session.h5: left out, not analyzed" in told
    assert "sub-P05_ses-01_task-torn_run-02_session.h5: left out" in told


def test_a_strangers_script_reads_csv_with_pandas_alone(study: Path, tmp_path: Path) -> None:
    out = export_study(study, tmp_path / "csv", "csv").path
    for path in out.glob("*.csv"):
        book = json.loads(path.with_suffix(".json").read_text())
        frame = pd.read_csv(path)
        assert list(frame) == list(book)
        assert all(entry["Description"] for entry in book.values())
    summary = pd.read_csv(out / "summary.csv")
    assert list(summary["rating_valence"]) == [7, 2, 7, 2]
    assert summary["rating_dominance"].isna().all()
    book = json.loads((out / "summary.json").read_text())
    assert list(book["stimulus_id"]["Levels"]) == ["calm", "loud"]
    assert ",NA," in (out / "summary.csv").read_text()
    wide = pd.read_csv(out / "summary_wide.csv")
    assert list(wide["participant"]) == ["P01", "P02"]
    assert list(wide["rating_valence_HVLA"]) == [7, 7]


def test_parquet_and_duckdb_hold_the_same_summary(study: Path, tmp_path: Path) -> None:
    flat = export_study(study, tmp_path / "parquet", "parquet").path
    base = export_study(study, tmp_path / "duckdb", "duckdb").path / "study.duckdb"
    summary = pd.read_parquet(flat / "summary.parquet")
    with duckdb.connect(str(base), read_only=True) as connection:
        found = connection.execute("SELECT * FROM summary").df()
        assert list(found) == list(summary)
        assert found["norm_valence"].tolist() == summary["norm_valence"].tolist()
        valid = connection.execute("SELECT count(*) FROM summary_valid").fetchone()
        assert valid == ((~summary["excluded"].astype(bool)).sum(),)
        described = connection.execute(
            "SELECT unit FROM codebook WHERE table_name = 'summary' AND column_name = 'duration'"
        ).fetchone()
        assert described == ("s",)
        n_samples = connection.execute("SELECT count(*) FROM gaze").fetchone()
    assert n_samples == (len(pd.read_parquet(flat / "gaze.parquet")),)


BOOK = {
    "participant": Column("Who.", kind="string"),
    "session": Column("Visit.", kind="string"),
    "category": Column("What.", kind="string"),
    "excluded": Column("Out.", kind="boolean"),
    "smile": Column("Smile.", kind="number"),
    "trial": Column("Number.", kind="integer"),
}


def long(rows: list[tuple[str, str, str, bool, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["participant", "session", "category", "excluded", "smile"])
    return frame.assign(trial=range(len(frame)))


def test_the_wide_table_is_the_mean_of_what_counts() -> None:
    nan = math.nan
    frame = long(
        [
            ("A", "1", "sad film", False, 1.0),
            ("A", "1", "sad film", False, 2.0),
            ("A", "1", "sad film", True, 90.0),
            ("A", "1", "happy", False, nan),
            ("B", "1", "happy", False, 4.0),
        ]
    )
    wide, book = wide_summary(frame, BOOK)
    assert list(wide["participant"]) == ["A", "B"]
    assert wide["smile_sad_film"].tolist()[0] == 1.5
    assert math.isnan(wide["smile_sad_film"][1])
    assert math.isnan(wide["smile_happy"][0])
    assert wide["smile_happy"][1] == 4
    assert list(wide["n_valid_sad_film"]) == [2, 0]
    assert list(wide["n_excluded_sad_film"]) == [1, 0]
    assert set(wide) == set(book)
    assert not any(name.startswith("trial") for name in wide)


def test_the_wide_table_keeps_sessions_apart() -> None:
    frame = long([("A", "1", "x", False, 1.0), ("A", "2", "x", False, 3.0)])
    wide, _ = wide_summary(frame, BOOK)
    assert wide[["session", "smile_x"]].to_numpy().tolist() == [["1", 1.0], ["2", 3.0]]


def test_a_value_that_reads_like_a_missing_one_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"participant": ["NA", "B"]}, dtype="string")
    with pytest.raises(UsageError, match="--na NA: the column participant"):
        write_csv([frame], tmp_path / "x.csv", BOOK)
    write_csv([frame], tmp_path / "x.csv", BOOK, na="-99")
    assert (tmp_path / "x.csv").read_text() == "participant\nNA\nB\n"


def test_names_are_removed_as_whole_words() -> None:
    private = PrivateNames(("annas-pc", "anna"), ("/data/study",))
    assert private.clean("Anna at annas-pc saw bananna") == "[removed] at [removed] saw bananna"
    assert private.clean("/data/study/a/b.mp4") == "b.mp4"
    assert private.clean("and/or 3/4, C:\\Users\\x\\film.avi") == "and/or 3/4, film.avi"


def test_typed_answers_are_told_from_chosen_ones() -> None:
    text = "ratings:\n  mood: {type: likert, question: How}\n  why: {type: text, question: Why}\n"
    assert chosen_names(text) == {"mood"}
    assert chosen_names("") == set()
    assert chosen_names("{") == set()
    assert chosen_names("{}") == set()


def test_every_scale_is_chosen_but_text() -> None:
    kinds = {
        note.tag
        for kind in get_args(get_args(Rating)[0])
        for note in get_args(kind)
        if isinstance(note, Tag)
    }
    assert set(CHOSEN_TYPES) | {"text"} == kinds
    assert "text" not in CHOSEN_TYPES


def test_what_is_typed_in_one_form_may_be_chosen_in_another() -> None:
    text = """
ratings: {other: {type: text, question: What}}
blocks:
  - steps:
      - {type: form, name: a, fields: {other: {type: choice, question: Which, options: [x, y]}}}
      - {type: form, name: b, fields: {other: {type: text, question: Which}}}
      - {type: form, preset: panas, name: c, items: {alert: Alert}, scale: {type: choice}}
"""
    assert chosen_names(text) == set()
    assert chosen_fields(text) == {"a.other", "c.alert"}
    assert chosen_fields(text + "      - {type: form, name: a, fields: {other: {type: text}}}") == {
        "c.alert"
    }
    assert chosen_fields("") == chosen_fields("{") == set()


def test_a_chosen_column_is_told_from_a_typed_one_that_begins_alike(tmp_path: Path) -> None:
    text = "ratings: {mood: {type: slider}, mood_why: {type: text}, Mood-Now: {type: choice}}"
    frame = pd.DataFrame(
        {
            "rating_mood": [61.0],
            "rating_mood_why": ["my husband left me"],
            "rating_mood_why_rt_s": [2.0],
            "rating_mood_now": ["calm"],
        }
    )
    paths = AnalysisPaths(tmp_path, "s")
    session = ExportSession(tmp_path, paths, "P01", "01", "test", "01", chosen_names(text))
    kept = withhold_text(frame, session, with_text=False).to_dict("records")[0]
    assert math.isnan(kept.pop("rating_mood_why"))
    assert kept == {"rating_mood": 61, "rating_mood_why_rt_s": 2, "rating_mood_now": "calm"}
    both = chosen_names(text.replace("mood_why", "mood now"))
    assert both == {"mood"}


def test_an_existing_export_is_replaced_only_when_asked(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "csv"
    export_study(study, out, "csv")
    (out / "summary.csv").write_text("old")
    with pytest.raises(UsageError, match="add --replace"):
        export_study(study, out, "csv")
    export_study(study, out, "csv", replace=True)
    assert (out / "summary.csv").read_text() != "old"
    assert [path.name for path in tmp_path.iterdir()] == ["csv"]


@pytest.mark.parametrize("where", [".", "sourcedata", "derivatives/duchenne", ".."])
def test_an_export_never_overwrites_a_study(study: Path, where: str) -> None:
    with pytest.raises(UsageError, match="overwrite the study"):
        export_study(study, study / where, "csv", replace=True)


def test_a_folder_of_somebodys_own_is_never_replaced(study: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds no export"):
        export_study(study, tmp_path, "csv", replace=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_full_disk_leaves_the_earlier_export(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "csv"
    export_study(study, out, "csv")
    before = (out / "summary.csv").read_bytes()

    def full(job: Any) -> None:
        (job.out / "half.csv").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(EXPORTERS, "csv", full)
    with pytest.raises(DuchenneError, match="No space left on device"):
        export_study(study, out, "csv", replace=True)
    assert (out / "summary.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["csv"]


@pytest.mark.parametrize("format_name", ["csv", "parquet", "duckdb"])
def test_a_file_that_cannot_grow_leaves_the_earlier_export(
    study: Path, tmp_path: Path, format_name: str
) -> None:
    out = tmp_path / "out"
    export_study(study, out, format_name)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    command = f'"{sys.executable}" -m duchenne.cli export "{study}" --format {format_name}'
    done = subprocess.run(
        ["bash", "-c", f'ulimit -f 8; exec {command} --out "{out}" --replace'],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert ".part" not in done.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_command_names_what_it_wrote(study: Path, tmp_path: Path) -> None:
    command = ["export", str(study), "--format", "csv", "--out", str(tmp_path / "x")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert f"Export of 2 sessions: {tmp_path / 'x'}" in done.stdout.strip().splitlines()[-1]
    wrong = CliRunner().invoke(app, [*command[:3], "xls", *command[4:]])
    assert isinstance(wrong.exception, UsageError)
    assert "bids, csv, parquet, duckdb" in str(wrong.exception)
