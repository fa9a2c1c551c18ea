"""The statistics of a study folder: what is written, when it is written again, what is said of its date."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml
from support.planted import planted_summary

from duchenne.analysis.statistics.mixed import slope_model
from duchenne.analysis.statistics.study import in_words, read_statistics, write_statistics
from duchenne.analysis.tables import read_table
from duchenne.recorder.declarations import note_declarations
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = {"plus": ["HV"], "minus": ["LV"]}
CONTRASTS = [
    {"name": "smile", "measure": "AU12_mean", **GROUPS, "direction": "positive"},
    {"name": "frown", "measure": "AU04_mean", **GROUPS, "covariates": ["trial"]},
    {"name": "norm", "measure": "AU12_mean", "predictor": "norm_valence_scaled", "family": "exploratory"},
    {"name": "early", "measure": "AU12_mean", **GROUPS, "window": "early", "family": "exploratory"},
    {"name": "typing", "measure": "AU99_mean", **GROUPS, "family": "exploratory"},
]  # fmt: skip


def declare(study: Path, **further: Any) -> None:
    """Write a study file."""
    content = {
        "name": "Smiles",
        "contrasts": CONTRASTS,
        "windows": {"early": {"start_s": 0, "stop_s": 1}},
        "multiverse": [{"contrast": "smile", "measures": ["AU12_peak"], "exclusions": ["none"]}],
        "statistics": {"permutations": 49},
    }
    (study / "study.yaml").write_text(yaml.safe_dump(content | further))


def results_of(study: Path) -> Path:
    """Write the tables of an analysed study; return their folder."""
    root = study / "derivatives" / "duchenne"
    root.mkdir(parents=True, exist_ok=True)
    table = planted_summary(effect=0.8, n_participants=8, n_stimuli=12)
    table.to_parquet(root / "summary.parquet")
    early = table.assign(window="early", AU12_mean=table["AU12_mean"] / 2)
    early.to_parquet(root / "windows.parquet")
    (root / "summary.json").write_text(json.dumps({"AU12_mean": {"Units": "0-5"}}))
    return root


def record_a_session(study: Path) -> None:
    """Make the study look as if a session had been recorded."""
    folder = study / "sourcedata" / "sub-P01" / "ses-01"
    folder.mkdir(parents=True)
    (folder / "sub-P01_ses-01_task-x_run-01_session.h5").write_bytes(b"")


def test_everything_is_written_and_read_back(tmp_path: Path) -> None:
    declare(tmp_path)
    note_declarations(tmp_path)
    record_a_session(tmp_path)
    root = results_of(tmp_path)
    told: list[tuple[int, int]] = []
    found = write_statistics(
        tmp_path, root, progress=lambda _stage, done, n: told.append((done, n))
    )
    assert found is not None
    assert told[-1] == (7, 7)
    assert read_statistics(root) == read_statistics(root)
    assert repr(read_statistics(root)) == repr(found)
    by_name = {one.name: one for one in found.contrasts}
    assert by_name["smile"].unit == "0-5"
    assert by_name["smile"].significant is True
    assert by_name["early"].estimate == pytest.approx(by_name["smile"].estimate / 2, rel=1e-6)
    assert "no column AU99_mean" in by_name["typing"].note
    assert {one.declared for one in found.contrasts} == {"before data"}
    assert found.declaration.status == "declared before the data"
    assert len(found.multiverse) == 4
    for name in (
        "contrasts", "contrast_participants", "curves", "curve_clusters", "manipulation_check",
        "manipulation_participants", "multiverse", "multiverse_summary",
    ):  # fmt: skip
        table = read_table(root / f"{name}.tsv")
        book = json.loads((root / f"{name}.json").read_text())
        assert set(table.columns) == set(book)
    assert read_table(root / "contrasts.tsv")["estimate"][0] == pytest.approx(
        by_name["smile"].estimate, rel=1e-6
    )


def test_the_script_for_r_reads_the_rows_that_were_fitted(tmp_path: Path) -> None:
    declare(tmp_path)
    root = results_of(tmp_path)
    found = write_statistics(tmp_path, root)
    assert found is not None
    script = (root / "contrasts.R").read_text()
    assert 'run("smile", value ~ x + (1 + x || participant) + (1 | stimulus))' in script
    assert 'run("frown", value ~ x + `trial` + (1 + x || participant) + (1 | stimulus))' in script
    assert "# typing: the table has no column AU99_mean" in script
    assert script.count("(") == script.count(")")
    assert script.count("{") == script.count("}")
    with (root / "contrasts_data.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["contrast"] == "frown"]
    value, x, trial = (
        np.array([float(row[name]) for row in rows]) for name in ("value", "x", "trial")
    )
    who, what = (np.array([row[name] for row in rows]) for name in ("participant", "stimulus"))
    again = slope_model(value, x, who, what, covariates={"trial": trial}).estimate("contrast")
    assert again.value == pytest.approx(found.contrasts[1].estimate, rel=1e-6)
    assert again.p == pytest.approx(found.contrasts[1].p, rel=1e-4)


def test_a_command_says_each_thing_once(tmp_path: Path) -> None:
    declare(tmp_path)
    root = results_of(tmp_path)
    table = pd.read_parquet(root / "summary.parquet")
    table = table[table["participant"] < "P06"].copy()
    table.loc[table["participant"] == "P01", "rating_valence"] = 3.0
    table.to_parquet(root / "summary.parquet")
    found = write_statistics(tmp_path, root)
    assert found is not None
    said = in_words(found)
    assert said[0].startswith("4 of 5 contrasts worked out, declared before the data; significant")
    assert sum("With 5 participants the interval is a rough one." in one for one in said) == 1
    assert any(one.startswith("Contrast typing: the table has no column AU99_mean") for one in said)
    assert "Participant P01, rating_valence: Always the same answer." in said


def test_nothing_is_worked_out_again_until_something_changes(tmp_path: Path) -> None:
    declare(tmp_path)
    root = results_of(tmp_path)
    write_statistics(tmp_path, root)
    told: list[int] = []
    again = write_statistics(tmp_path, root, progress=lambda _s, done, _n: told.append(done))
    assert again is not None
    assert told == []
    declare(tmp_path, statistics={"permutations": 0})
    changed = write_statistics(tmp_path, root)
    assert changed is not None
    assert np.isnan(changed.contrasts[0].p_permutation)
    assert changed.contrasts[0].p_corrected == pytest.approx(2 * changed.contrasts[0].p)


def test_what_is_declared_after_data_is_told_everywhere(tmp_path: Path) -> None:
    declare(tmp_path)
    note_declarations(tmp_path)
    record_a_session(tmp_path)
    root = results_of(tmp_path)
    declare(tmp_path, contrasts=[CONTRASTS[0], CONTRASTS[1] | {"measure": "AU12_peak"}])
    found = write_statistics(tmp_path, root)
    assert found is not None
    assert [one.declared for one in found.contrasts] == ["before data", "after data"]
    assert found.declaration.after_data
    assert re.match(r"1 of \d parts declared after data", found.declaration.status)
    assert "contrast frown: declared after data" in found.declaration.changes[0]
    assert "declared after data" in (root / "contrasts.R").read_text()
    assert list(read_table(root / "contrasts.tsv")["declared"]) == ["before data", "after data"]
    declare(tmp_path)  # what is changed back is what it was
    back = write_statistics(tmp_path, root)
    assert back is not None
    assert not back.declaration.after_data
    declare(tmp_path, windows={"early": {"start_s": 0, "stop_s": 0.5}})
    moved = write_statistics(tmp_path, root)
    assert moved is not None
    declared = {one.name: one.declared for one in moved.contrasts}
    assert (declared["smile"], declared["early"]) == ("before data", "after data")


def test_a_study_that_declares_nothing_has_its_manipulation_check(tmp_path: Path) -> None:
    assert write_statistics(tmp_path, tmp_path) is None
    root = results_of(tmp_path)
    found = write_statistics(tmp_path, root)
    assert found is not None
    assert found.contrasts == ()
    assert found.declaration.status == "nothing is declared"
    assert {row.category for row in found.manipulation} == {"HV", "LV"}
    assert not (root / "contrasts.R").exists()
    assert read_statistics(tmp_path) is None


def test_what_is_declared_no_more_is_there_no_more(tmp_path: Path) -> None:
    root = results_of(tmp_path)
    ratings = [n for n in pd.read_parquet(root / "summary.parquet") if n.startswith("rating_")]
    table = pd.read_parquet(root / "summary.parquet").drop(columns=ratings)
    table.to_parquet(root / "summary.parquet")
    before = {path.name for path in root.iterdir()}
    declare(tmp_path)
    assert write_statistics(tmp_path, root) is not None
    assert (root / "contrasts.tsv").is_file()
    (tmp_path / "study.yaml").write_text("name: Smiles\n")
    assert write_statistics(tmp_path, root) is None
    assert read_statistics(tmp_path) is None
    assert {path.name for path in root.iterdir()} == before


def test_bad_files_are_told(tmp_path: Path) -> None:
    root = results_of(tmp_path)
    declare(tmp_path, contrasts=[{"name": "x", "mesure": "AU12_mean"}])
    with pytest.raises(DuchenneError, match="unknown key 'mesure'; did you mean 'measure'"):
        write_statistics(tmp_path, root)
    declare(tmp_path)
    (tmp_path / "study_declared.json").write_text("{")
    found = write_statistics(tmp_path, root)
    assert found is not None
    assert "damaged" in found.notes[0]
    assert {one.declared for one in found.contrasts} == {"after data"}
    (root / "statistics.json").write_text("[]")
    assert read_statistics(root) is None


def test_another_version_of_the_table_is_worked_out_again(tmp_path: Path) -> None:
    declare(tmp_path)
    root = results_of(tmp_path)
    first = write_statistics(tmp_path, root)
    table = pd.read_parquet(root / "summary.parquet")
    table.assign(AU12_mean=table["AU12_mean"] * 2).to_parquet(root / "summary.parquet")
    second = write_statistics(tmp_path, root)
    assert first is not None
    assert second is not None
    assert second.contrasts[0].estimate == pytest.approx(2 * first.contrasts[0].estimate)
