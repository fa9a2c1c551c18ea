"""Tables over participants, columns of other programs, and what R needs."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from tests.analysis.constructed import END_S
from tests.analysis.export.studies import RATE_HZ
from typer.testing import CliRunner

from duchenne.analysis.export.base import (
    ExportOptions,
    ExportSession,
    Job,
    export_study,
    grouped_notes,
)
from duchenne.analysis.export.factors import write_factors
from duchenne.analysis.export.flat import wide_summary
from duchenne.analysis.export.private import PrivateNames
from duchenne.analysis.export.shared_tables import SharedTable, rows_of_exported
from duchenne.analysis.export.styles import imotions_file, openface_file
from duchenne.analysis.export.tables_of_study import study_tables, with_levels
from duchenne.analysis.paths import AnalysisPaths, analysis_paths, derivatives_of
from duchenne.analysis.privacy.scopes import Scopes
from duchenne.analysis.privacy.stale import mark_stale
from duchenne.analysis.study_summary import write_participants
from duchenne.analysis.tables import Column, write_parquet, write_table
from duchenne.cli import app
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

TEXT, NUMBER = Column("Text.", kind="string"), Column("Number.", kind="number")


def session(path: Path, who: str, visit: str = "01", scopes: Scopes | None = None) -> ExportSession:
    stem = f"sub-{who}_ses-{visit}_task-test_run-01"
    return ExportSession(
        path / f"{stem}_session.h5",
        AnalysisPaths(path, stem),
        who,
        visit,
        "test",
        "01",
        scopes=scopes or Scopes(),
    )


def job(path: Path, *sessions: ExportSession) -> Job:
    return Job(path, path, "csv", sessions, PrivateNames(), ExportOptions(), lambda *_: None)


def test_rows_of_others_stay(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "participant": ["P01", "P01", "P02", None],
            "session": ["01", "02", "01", None],
            "value": [1, 2, 3, 4],
        }
    )
    here = job(tmp_path, session(tmp_path, "P01"))
    assert rows_of_exported(frame, here)["value"].tolist() == [1, 4]
    pairs = pd.DataFrame({"participant_a": ["P01", "sub-P01"], "participant_b": ["P01", "P02"]})
    assert len(rows_of_exported(pairs, here)) == 1


def test_means_over_participants_come_only_where_all_of_them_are_exported(tmp_path: Path) -> None:
    who = pd.DataFrame({"participant": ["all", "P01", "P02"], "mean": [2.0, 1.0, 3.0]})
    book = {"participant": TEXT, "mean": NUMBER}
    path = write_table(who, tmp_path / "manipulation_check.tsv", book)
    table = SharedTable("manipulation_check", path, book)
    everybody = job(tmp_path, session(tmp_path, "P01"), session(tmp_path, "P02"))
    assert table.whole(everybody)["mean"].tolist() == [2, 1, 3]
    assert everybody.notes == []
    one = job(tmp_path, session(tmp_path, "P01"))
    assert table.whole(one)["mean"].tolist() == [1]
    assert [note.partition(",")[0] for note in one.notes] == [
        "manipulation_check.tsv: the means over participants (all) are left out"
    ]
    other = SharedTable("synchrony", path, book)
    assert other.whole(everybody)["mean"].tolist() == [1, 3]


def test_who_is_excluded_in_the_study_is_excluded_in_the_export(
    study: Path, tmp_path: Path
) -> None:
    files = sorted(study.glob("sourcedata/sub-P0[12]/*/*_session.h5"))
    sessions = [
        ExportSession(file, analysis_paths(file), who, "01", "test", "01")
        for file, who in zip(files, ("P01", "P02"), strict=True)
    ]
    here = job(tmp_path, *sessions)
    for reason, usable in ((None, 2), ("participant: too few", 0)):
        if reason is not None:
            rows = [{"participant": "P01", "excluded": False, "exclusion_reason": None}]
            rows += [{"participant": "P02", "excluded": True, "exclusion_reason": reason}]
            write_participants(pd.DataFrame(rows), derivatives_of(tmp_path) / "exclusions.tsv")
        tables = {table.name: table for table in study_tables(here, samples=False)}
        for name in ("summary", "windows"):
            whole = tables[name].whole(here)
            first, second = (whole[whole["participant"] == who] for who in ("P01", "P02"))
            assert len(second)
            assert second["excluded"].all() == (reason is not None)
            assert set(second["exclusion_reason"].dropna()) == {reason} - {None}
            assert not first["excluded"].any()
        whole = tables["summary"].whole(here)
        wide, _ = wide_summary(whole, tables["summary"].book)
        counts = wide.set_index("participant").filter(like="n_valid").sum(axis=1)
        assert counts.to_dict() == {"P01": 2, "P02": usable}


@pytest.fixture
def own_study(study: Path, tmp_path: Path) -> Path:
    """A copy of the study with tables over participants."""
    copied = tmp_path / "study"
    shutil.copytree(study, copied)
    root = derivatives_of(copied)
    who = pd.DataFrame({"participant": ["P01", "P02", "P03"], "isc_x": [0.1, 0.2, 0.3]})
    write_table(who, root / "synchrony.tsv", {"participant": TEXT, "isc_x": NUMBER})
    write_table(
        pd.DataFrame({"contrast": ["A"], "estimate": [1.5]}),
        root / "contrasts.tsv",
        {"contrast": TEXT, "estimate": NUMBER},
    )
    write_parquet(who, root / "mimicry.parquet", {"participant": TEXT, "isc_x": NUMBER})
    (root / "no_codebook.tsv").write_text("a\n1\n")
    return copied


def test_tables_over_participants_come_with_the_rows_of_who_is_exported(
    own_study: Path, tmp_path: Path
) -> None:
    result = export_study(own_study, tmp_path / "csv", "csv")
    for name in ("synchrony", "mimicry"):
        frame = pd.read_csv(result.path / f"{name}.csv")
        assert frame["participant"].tolist() == ["P01", "P02"]
        assert set(json.loads((result.path / f"{name}.json").read_text())) == set(frame)
    assert pd.read_csv(result.path / "contrasts.csv")["estimate"].tolist() == [1.5]
    assert not (result.path / "no_codebook.csv").exists()
    assert any(note.startswith("contrasts.tsv: over all participants") for note in result.notes)
    assert not any(note.startswith("synchrony") for note in result.notes)
    levels = pd.read_csv(result.path / "levels.csv")
    category = levels[(levels["table"] == "summary") & (levels["column"] == "category")]
    assert {"HVLA", "LVHA"} <= set(category["level"])
    assert category["order"].tolist() == list(range(1, len(category) + 1))
    script = (result.path / "read_tables.R").read_text()
    assert '`summary` <- read.csv("summary.csv", na.strings = "NA"' in script
    line = next(
        x for x in script.splitlines() if x.startswith('`summary`[["category"]] <- factor(')
    )
    assert ", ".join(f'"{level}"' for level in category["level"]) in line
    assert '"participant" = "character"' in script
    assert '"excluded" = "logical"' in script
    assert script.count("(") == script.count(")")
    (derivatives_of(own_study) / "contrasts.tsv").write_text("contrast\testimate\nB\t2\n")
    mark_stale(own_study, "P09")
    again = export_study(own_study, tmp_path / "parquet", "parquet")
    assert not (again.path / "synchrony.parquet").exists()
    assert any(
        "synchrony.tsv: left out, it was made before sub-P09 was forgotten" in n
        for n in again.notes
    )


def test_what_r_needs_is_quoted(tmp_path: Path) -> None:
    odd = {'a "b"': Column("x", levels={'one "two" \\ three': "m"}, kind="string")}
    write_factors({"t": odd}, tmp_path, "-99")
    script = (tmp_path / "read_tables.R").read_text()
    assert r'levels = union(c("one \"two\" \\ three"), sort(unique(`t`[["a \"b\""]])))' in script
    assert 'na.strings = "-99"' in script


def test_categories_of_ones_own_are_levels_too() -> None:
    book = {"category": Column("x", levels={"HVHA": "pleasant", "LVHA": ""}, kind="string")}
    usual = pd.DataFrame({"category": ["LVHA", None]})
    assert with_levels(usual, book) == book
    own = pd.DataFrame({"category": ["threat", "HVHA", "joy", None]})
    assert with_levels(own, book)["category"].levels == {
        "HVHA": "pleasant",
        "joy": "",
        "threat": "",
    }


@pytest.fixture
def first(study: Path) -> ExportSession:
    file = next(study.glob("sourcedata/sub-P01/*/*_session.h5"))
    who = session(file.parent, "P01")
    return ExportSession(file, analysis_paths(file), who.participant, "01", "test", "01")


def au_table(path: Path) -> None:
    frame = pd.DataFrame(
        {
            "frame": [0, 1],
            "time": [4.5, 9.0],
            "confidence": [0.9, 0.8],
            "usable": [True, False],
            "pose_pitch_deg": [10.0, np.nan],
            "pose_yaw_deg": [0.0, np.nan],
            "pose_roll_deg": [0.0, np.nan],
            "AU12_r": [2.5, np.nan],
            "expr_valence": [0.4, np.nan],
        }
    )
    write_table(frame, path, dict.fromkeys(frame.columns, Column("x")))


def test_imotions_rows_are_in_order_with_their_stimulus(
    first: ExportSession, tmp_path: Path
) -> None:
    shutil.copy(first.paths.events, tmp_path / first.paths.events.name)
    moved = ExportSession(
        first.file, AnalysisPaths(tmp_path, first.paths.stem), "P01", "01", "test", "01"
    )
    au_table(moved.paths.au)
    rows = imotions_file(moved)
    assert rows is not None
    assert len(rows) == round(END_S * RATE_HZ) + 2
    assert rows["Timestamp"].is_monotonic_increasing
    assert rows["Row"].tolist() == list(range(1, len(rows) + 1))
    gaze = rows[rows["EventSource"] == "ET_EyeTracker"]
    assert gaze["ET_GazeLeftx"].median() == pytest.approx(320, abs=0.5)
    assert gaze["ET_GazeRightx"].median() == pytest.approx(960, abs=0.5)
    assert gaze["Smile"].isna().all()
    (face,) = rows[(rows["EventSource"] == "FacialExpression") & rows["Smile"].notna()].to_dict(
        "records"
    )
    assert (face["Timestamp"], face["Smile"], face["Valence"]) == (4500, 50, 40)
    assert face["SourceStimuliName"] == "calm"
    shown = gaze.groupby("SourceStimuliName")["Timestamp"].agg(["min", "max"])
    assert shown.loc["calm"].tolist() == pytest.approx([4000, 6000], abs=1e3 / RATE_HZ + 1)
    kept = ExportSession(
        first.file, moved.paths, "P01", "01", "test", "01", scopes=Scopes(share_signals=False)
    )
    without = imotions_file(kept)
    assert without is not None
    assert len(without) == 2


def test_openface_columns(first: ExportSession, tmp_path: Path) -> None:
    moved = ExportSession(
        first.file, AnalysisPaths(tmp_path, first.paths.stem), "P01", "01", "test", "01"
    )
    assert openface_file(moved) is None
    au_table(moved.paths.au)
    frame = openface_file(moved)
    assert frame is not None
    assert frame.columns[:5].tolist() == ["frame", "face_id", "timestamp", "confidence", "success"]
    assert frame["AU12_r"].tolist()[0] == 2.5
    assert frame["success"].tolist() == [1, 0]
    assert frame["pose_Rx"][0] == pytest.approx(-np.radians(10))


@pytest.mark.parametrize("option", ["--video", "--style", "--method"])
def test_wrong_choices_are_told(study: Path, tmp_path: Path, option: str) -> None:
    command = [
        "export",
        str(study),
        "--format",
        "csv",
        "--out",
        str(tmp_path / "x"),
        option,
        "wrong",
    ]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, UsageError)
    assert f"{option} wrong: it is one of" in str(done.exception)
    assert not (tmp_path / "x").exists()


def test_what_is_said_of_many_sessions_is_said_once() -> None:
    notes = [
        "sub-P01_ses-01: the irregular stream AU is not exported.",
        "sub-P02_ses-01: the irregular stream AU is not exported.",
        "sub-P02_ses-01: its video stays.",
        "curves.tsv: over all participants.",
    ]
    assert grouped_notes(notes) == [
        "2 sessions: the irregular stream AU is not exported.",
        "sub-P02_ses-01: its video stays.",
        "curves.tsv: over all participants.",
    ]
