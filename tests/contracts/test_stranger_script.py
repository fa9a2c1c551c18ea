"""A script of somebody who has pandas and has never seen Duchenne reads what an analysis wrote."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.studies import study_session

from duchenne.analysis.codebook_reference import tables
from duchenne.analysis.study import analyze_study

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = '''
import csv, json, sys
from pathlib import Path

import pandas as pd

root = Path(sys.argv[1])
TYPES = {"number": "float64", "integer": "Int64", "boolean": "boolean", "string": "string"}


def read(path):
    """Read a table with the types that its codebook gives."""
    book = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if path.suffix == ".parquet":
        return pd.read_parquet(path), book
    table = pd.read_csv(
        path, sep="\\t", dtype=str, na_values="n/a", keep_default_na=False, quoting=csv.QUOTE_NONE
    )
    for name, entry in book.items():
        values = table[name]
        if entry["Format"] == "boolean":
            values = values.map({"true": True, "false": False})
        elif entry["Format"] in ("number", "integer"):
            values = pd.to_numeric(values)
        table[name] = values.astype(TYPES[entry["Format"]])
    return table, book


tables = sorted([*root.rglob("*.tsv"), *root.rglob("*.parquet")])
problems, columns = [], {}
for path in tables:
    if any(part.startswith(".") for part in path.relative_to(root).parts):
        continue
    table, book = read(path)
    columns[path.name] = list(table.columns)
    if list(table.columns) != list(book):
        problems.append(f"{path.name}: columns and codebook differ")
    for name, entry in book.items():
        if not entry.get("Description") or entry.get("Format") not in TYPES:
            problems.append(f"{path.name}: {name} is not described")
        known = entry.get("Levels")
        values = table[name].dropna().astype(str) if name in table else []
        if known and not {v.removesuffix(".0") for v in values} <= set(known):
            problems.append(f"{path.name}: {name} has values without a meaning")

summary, book = read(root / "summary.parquet")
kept = summary[~summary["excluded"].astype(bool)]
means = kept.groupby("category")[["AU12_mean", "face_reaction_latency_s"]].mean()
told = book["AU12_mean"]
print(json.dumps({
    "columns": columns,
    "problems": problems,
    "means": json.loads(means.to_json()),
    "participants": sorted(kept["participant"]),
    "meaning": told["Description"],
    "modules": sorted(m for m in sys.modules if m.startswith("duchenne")),
}))
'''


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what the script says of a small study."""
    study: Path = tmp_path_factory.mktemp("stranger")
    for seed, label in enumerate(("01", "02", "03")):
        study_session(study, label, n_trials=2, seed=seed, smile=2.0 + seed)
    result = analyze_study(study, report=False)
    assert not result.failed
    assert result.summary is not None
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(result.summary.parent)],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_table_agrees_with_its_codebook(told: dict[str, Any]) -> None:
    assert told["problems"] == []
    assert len(told["columns"]) > 20
    assert told["modules"] == []


def test_the_reference_knows_every_column(told: dict[str, Any]) -> None:
    known = {e.file: {any_au(name) for name in e.book} for _, part in tables() for e in part}
    known |= {
        f"{name}.parquet": known[f"…_{name}.{suffix}"]
        for name, suffix in (("summary", "tsv"), ("windows", "parquet"))
    }
    unknown = {
        f"{name}: {column}"
        for name, columns in told["columns"].items()
        for column in columns
        if any_au(column) not in known[re.sub(r"^sub-.*_run-\d+_", "…_", name)]
    }
    assert not unknown


def any_au(name: str) -> str:
    """Return the name of a column for any Action Unit."""
    return re.sub(r"^AU\d\d[LR]?_", "AUxx_", name)


def test_the_group_mean_is_what_was_planted(told: dict[str, Any]) -> None:
    means = told["means"]["AU12_mean"]
    # A smile of 2, 3 and 4 for two of the four seconds.
    assert means["HVHA"] == pytest.approx(1.5, abs=0.15)
    assert means["neutral"] == pytest.approx(0.0, abs=0.15)
    assert told["means"]["face_reaction_latency_s"]["HVHA"] == pytest.approx(1.0, abs=0.1)
    assert "lip corner puller" in told["meaning"]
    # Labels stay text: 01 is not 1.
    assert set(told["participants"]) == {"01", "02", "03"}
