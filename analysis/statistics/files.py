"""The files of a study's statistics: tables with codebooks, the script for R, and ``statistics.json``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import pandas as pd

from duchenne import __version__
from duchenne.analysis.statistics import codebook
from duchenne.analysis.statistics.results import (
    ContrastResult,
    ParticipantDifference,
    RatingByCategory,
    RatingOfParticipant,
    Specification,
    SpecificationSummary,
    StudyStatistics,
)
from duchenne.analysis.study_plan import FILE_NAME
from duchenne.analysis.tables import remove_table, write_json, write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from duchenne.analysis.paths import AnalysisPaths
    from duchenne.analysis.statistics.declared import Declarations
    from duchenne.analysis.statistics.results import CurveResult
    from duchenne.analysis.study_plan import StudyPlan
    from duchenne.analysis.tables import Column

RESULT = "statistics.json"
VERSION = 1
"""Of the file; another one is worked out again."""
TABLES: tuple[tuple[str, str, type, dict[str, Column]], ...] = (
    ("contrasts", "contrasts", ContrastResult, codebook.CONTRASTS),
    ("contrast_participants", "participants", ParticipantDifference, codebook.PARTICIPANTS),
    ("manipulation_check", "manipulation", RatingByCategory, codebook.MANIPULATION),
    (
        "manipulation_participants",
        "manipulation_participants",
        RatingOfParticipant,
        codebook.MANIPULATION_PARTICIPANTS,
    ),
    ("multiverse", "multiverse", Specification, codebook.MULTIVERSE),
    (
        "multiverse_summary",
        "multiverse_summary",
        SpecificationSummary,
        codebook.MULTIVERSE_SUMMARY,
    ),
)
"""Name of the file, field of `StudyStatistics`, kind of row, codebook."""


def write_files(
    root: Path,
    key: str,
    found: StudyStatistics,
    plan: StudyPlan,
    table_of: Callable[[str], pd.DataFrame],
) -> None:
    """Write tables, script and, last, the file that says that all of it is there.

    Parameters
    ----------
    root : Path
        Folder of the study's results.
    key : str
        Of `key_of`.
    found : StudyStatistics
    plan : StudyPlan
    table_of : callable
        Returns the rows of a window.
    """
    from duchenne.analysis.statistics.lme4 import write_lme4  # noqa: PLC0415

    (root / RESULT).unlink(missing_ok=True)
    for name, attribute, kind, book in TABLES:
        rows = [asdict(row) for row in getattr(found, attribute)]
        columns = [field.name for field in fields(kind)]
        frame = pd.DataFrame(rows, columns=columns)
        write_table(_typed(frame, book), root / f"{name}.tsv", book)
    _write_curves(root, found.curves)
    if found.contrasts:
        pairs = list(zip(plan.contrasts, found.contrasts, strict=True))
        status = f"Contrasts: {found.declaration.status}."
        write_lme4(root, found.study, status, pairs, table_of)
    write_json({"key": key, "statistics": found.to_json()}, root / RESULT)


def remove_files(root: Path) -> None:
    """Remove what an earlier plan had worked out."""
    from duchenne.analysis.statistics.lme4 import DATA, SCRIPT  # noqa: PLC0415

    for name in (RESULT, SCRIPT, DATA):
        (root / name).unlink(missing_ok=True)
    for name in (*(table[0] for table in TABLES), "curves", "curve_clusters"):
        remove_table(root / f"{name}.tsv")


def _write_curves(root: Path, curves: Sequence[CurveResult]) -> None:
    times = [name for name in codebook.CURVES if name.startswith(("plus", "minus", "difference"))]
    parts = [
        pd.DataFrame(
            {
                "name": curve.name,
                "measure": curve.measure,
                "time_s": curve.times_s,
                **{name: getattr(curve, name) for name in times},
                "n_participants": curve.n_participants,
            }
        )
        for curve in curves
        if curve.times_s
    ]
    empty = pd.DataFrame(columns=list(codebook.CURVES))
    frame = pd.concat(parts, ignore_index=True) if parts else empty
    write_table(_typed(frame, codebook.CURVES), root / "curves.tsv", codebook.CURVES)
    rows = [
        {"name": curve.name, "family": curve.family, "declared": curve.declared} | asdict(cluster)
        for curve in curves
        for cluster in curve.clusters
    ]
    frame = pd.DataFrame(rows, columns=list(codebook.CLUSTERS))
    write_table(_typed(frame, codebook.CLUSTERS), root / "curve_clusters.tsv", codebook.CLUSTERS)


def _typed(frame: pd.DataFrame, book: dict[str, Column]) -> pd.DataFrame:
    """Return a table whose empty texts are missing and whose columns have their types."""
    return pd.DataFrame(
        {str(name): _column(frame[name], book[str(name)]) for name in frame.columns}
    )


def _column(values: pd.Series[Any], column: Column) -> pd.Series[Any]:
    if column.kind == "number":
        return values.astype("float64")
    if column.kind == "integer":
        return values.astype("Int64")
    if column.kind == "boolean":
        return values.astype("boolean")
    return values.map(lambda text: text or None)


def units_in(path: Path) -> dict[str, str]:
    """Return the units that a codebook states."""
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {name: entry["Units"] for name, entry in entries.items() if entry.get("Units")}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def key_of(
    study: Path,
    root: Path,
    plan: StudyPlan,
    sessions: Sequence[AnalysisPaths],
    declarations: Declarations,
) -> str:
    """Return a hash of everything that the statistics depend on."""
    digest = hashlib.sha256(f"{VERSION} {__version__}\n".encode())
    folders = [root] + [
        study / backend.folder
        for one in plan.multiverse
        for backend in one.backends
        if backend.folder is not None
    ]
    files = [study / FILE_NAME]
    files += [
        folder / name for folder in folders for name in ("summary.parquet", "windows.parquet")
    ]
    for path in files:
        digest.update(f"{path.name}\n".encode())
        if path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    for entry in declarations.entries:
        digest.update(f"{entry}\n".encode())
    if plan.curves:
        for paths in sessions:
            for path in (paths.au, paths.gaze):
                if path.is_file():
                    state = path.stat()
                    digest.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def read_files(root: Path) -> tuple[str, StudyStatistics] | None:
    """Return the key and the statistics that were written; None where there are none of this version."""
    try:
        content: dict[str, Any] = json.loads((root / RESULT).read_text(encoding="utf-8"))
        return str(content["key"]), StudyStatistics.from_json(content["statistics"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
