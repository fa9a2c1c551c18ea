"""Two commands from nothing to contrasts: a study is simulated, then analysed, and its truth comes back."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from duchenne.analysis.statistics.study import read_statistics

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 600
EFFECTS = ("AU12=1.5", "AU04=-1.2", "pupil=0.3", "rating_valence=3", "rating_arousal=3")
NULLS = ("AU01", "AU15@arousal")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "duchenne.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a study of six participants and eight trials, analysed."""
    folder = tmp_path_factory.mktemp("two-commands") / "study"
    planted = [part for one in EFFECTS for part in ("--effect", one)]
    planted += [part for one in NULLS for part in ("--null", one)]
    made = run(
        "simulate-study", "--participants", "6", "--trials", "8", "--seed", "4", *planted,
        "--out", str(folder),
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1] == f"Study: {folder}"
    analyzed = run("analyze", str(folder), "--workers", "2", "--no-report", "--export", "csv")
    assert analyzed.returncode == 0, analyzed.stderr
    assert "contrasts worked out, declared before the data" in analyzed.stderr
    assert analyzed.stdout.splitlines()[-1] == f"Export of 6 sessions: {folder}-csv"
    return folder


def test_every_planted_effect_comes_back(study: Path) -> None:
    found = read_statistics(study / "derivatives" / "duchenne")
    assert found is not None
    known = {
        one["contrast"]: one for one in json.loads((study / "truth.json").read_text())["contrasts"]
    }
    by_name = {one.name: one for one in found.contrasts}
    assert set(by_name) == set(known)
    assert sum(not one["null"] for one in known.values()) == 8
    for name, one in by_name.items():
        truth = known[name]["truth"]
        assert one.ci_low <= truth <= one.ci_high, name
        if not known[name]["null"]:
            assert one.estimate * truth > 0, name
            assert one.in_direction, name
        else:
            assert one.significant is False, name
    assert by_name["AU12 by valence"].significant
    assert found.declaration.status == "declared before the data"
    assert {one.declared for one in found.contrasts} == {"before data"}


def test_curves_multiverse_and_manipulation_check_are_there(study: Path) -> None:
    found = read_statistics(study / "derivatives" / "duchenne")
    assert found is not None
    curves = {one.name: one for one in found.curves}
    smile = curves["AU12 over time by valence"]
    assert smile.n_participants == 6
    assert smile.clusters[0].start_s == pytest.approx(0.4, abs=0.25)
    assert smile.clusters[0].mass > 0
    (together,) = found.multiverse_summary
    assert (together.n_specifications, together.n_fitted) == (18, 18)
    assert together.share_with_sign == 1.0
    assert all(one.follows_norm for one in found.manipulation_participants)


def test_a_stranger_reads_the_contrasts_with_pandas_alone(study: Path) -> None:
    path = study / "derivatives" / "duchenne" / "contrasts.tsv"
    table = pd.read_csv(
        path, sep="\t", na_values="n/a", keep_default_na=False, quoting=csv.QUOTE_NONE
    )
    book = json.loads(path.with_suffix(".json").read_text())
    assert set(table.columns) == set(book)
    smile = table.set_index("name").loc["AU12 by valence"]
    assert smile["ci_low"] < smile["estimate"] < smile["ci_high"]
    assert smile["compared"] == "(HVHA + HVLA) \N{MINUS SIGN} (LVHA + LVLA)"


def test_a_contrast_that_is_added_after_the_data_is_marked(study: Path) -> None:
    path = study / "study.yaml"
    before = path.read_text()
    late = (
        "- {name: late idea, measure: AU06_mean, plus: [HVHA], minus: [LVLA], family: exploratory}"
    )
    path.write_text(before.replace("contrasts:\n", f"contrasts:\n{late}\n"))
    told = run("contrasts", str(study))
    path.write_text(before)
    assert told.returncode == 0, told.stderr
    assert "late idea" in told.stdout
    assert "after data" in told.stdout
    assert "contrast late idea: declared after data" in told.stderr
