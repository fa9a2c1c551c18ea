"""Whether tables can be made again: recompute them from the sessions, and compare cell by cell."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.affect.registry import DEFAULT_AFFECT_BACKEND, AffectSpec
from duchenne.analysis.paths import analysis_paths, derivatives_of
from duchenne.analysis.settings import AnalysisSettings
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duchenne.analysis.session import Progress

AUTO = "auto"
EXAMPLES = 3
ROWS_AT_ONCE = 500_000
_TABLES = ("*.tsv", "*.parquet")


@dataclass(frozen=True)
class Comparison:
    """What came of a recomputation.

    Attributes
    ----------
    tables : tuple of str
        The tables that were compared, relative to the folder of results.
    cells : int
        Cells that were compared.
    differences : tuple of str
        What differs, one sentence each; empty where everything is the same.
    """

    tables: tuple[str, ...]
    cells: int
    differences: tuple[str, ...]


def check_session(
    h5: Path,
    out_dir: Path | None = None,
    *,
    aois: str | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Analyse a session again with the settings of its provenance, and compare.

    Parameters
    ----------
    h5 : Path
    out_dir : Path, optional
        Where its results are; derived from the location of the file where absent.
    aois : str, optional
        The file of areas of interest, if the results were made with one.
    progress : callable, optional

    Raises
    ------
    DuchenneError
        If there are no results, or the session cannot be analysed.
    """
    from duchenne.analysis.session import analyze_session  # noqa: PLC0415

    paths = analysis_paths(h5, out_dir)
    if not paths.complete:
        raise DuchenneError(f"No results of {h5.name} in {paths.folder}: analyze it first.")
    settings = _settings(_about(paths.provenance), aois)
    with _aside(paths.folder) as folder:
        analyze_session(h5, folder, **settings.to_dict(), report=False, progress=progress)
        return compare(paths.folder, folder, prefix=f"{paths.stem}_")


def check_study(
    study: Path,
    out_dir: Path | None = None,
    *,
    aois: str | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Callable[[Path], Progress | None] | None = None,
) -> Comparison:
    """Analyse all sessions of a study again with the settings of its provenance, and compare all tables.

    Parameters are those of `check_session` and of `duchenne.analysis.study.analyze_study`.

    Raises
    ------
    DuchenneError
        If there are no results, or the study cannot be read.
    """
    from duchenne.analysis.study import analyze_study  # noqa: PLC0415
    from duchenne.analysis.study_together import PROVENANCE  # noqa: PLC0415

    root = (out_dir or derivatives_of(study)).resolve()
    if not (root / PROVENANCE).is_file():
        raise DuchenneError(f"No results of the study in {root}: analyze it first.")
    settings = _settings(_about(root / PROVENANCE), aois)
    with _aside(root) as folder:
        again = analyze_study(
            study,
            folder,
            **settings.to_dict(),
            workers=workers,
            scheduler=scheduler,
            force=True,
            report=False,
            lock=False,
            progress=progress,
        )
        found = compare(root, folder)
    failed = tuple(f"{file.name} could not be analyzed: {why}" for file, why in again.failed)
    return Comparison(found.tables, found.cells, (*failed, *found.differences))


def compare(before: Path, after: Path, *, prefix: str = "") -> Comparison:
    """Compare all tables of two folders, and of those below them, cell by cell and exactly.

    Parameters
    ----------
    before, after : Path
    prefix : str
        Only tables whose names begin so.
    """
    names = [_names(folder, prefix) for folder in (before, after)]
    differences = [
        f"{name} is no more: it is not made again." for name in sorted(names[0] - names[1])
    ]
    differences += [
        f"{name} is missing: it was made again." for name in sorted(names[1] - names[0])
    ]
    both = sorted(names[0] & names[1])
    cells = 0
    for name in both:
        n, found = _compare_tables(before / name, after / name)
        cells += n
        differences += [f"{name}: {what}" for what in found]
    return Comparison(tuple(both), cells, tuple(differences))


def _compare_tables(before: Path, after: Path) -> tuple[int, list[str]]:
    """Return how many cells were compared, and what differs."""
    try:
        old, new = _read(before), _read(after)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        return 0, [f"cannot be read: {error}"]
    said = [f"the column {c} is no more" for c in old.columns if c not in new.columns]
    said += [f"the column {c} is new" for c in new.columns if c not in old.columns]
    if len(old) != len(new):
        said.append(f"{len(old)} rows, made again {len(new)}")
        return 0, said
    shared = [c for c in old.columns if c in new.columns]
    for column in shared:
        differs = np.flatnonzero(_differs(old[column], new[column]))
        if not len(differs):
            continue
        examples = ", ".join(
            f"row {row + 1}: {old[column].iloc[row]} / {new[column].iloc[row]}"
            for row in differs[:EXAMPLES]
        )
        said.append(f"{column} differs in {len(differs)} of {len(old)} rows ({examples})")
    return len(old) * len(shared), said


def _differs(old: pd.Series[Any], new: pd.Series[Any]) -> Any:
    gone, gone_now = old.isna().to_numpy(), new.isna().to_numpy()
    known = ~gone & ~gone_now
    differs = gone != gone_now
    a, b = old.to_numpy(dtype=object)[known], new.to_numpy(dtype=object)[known]
    differs[known] = a != b
    return differs


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)


def _names(folder: Path, prefix: str) -> set[str]:
    if prefix:
        found = [path for pattern in _TABLES for path in folder.glob(f"{prefix}{pattern}")]
    else:
        found = [path for pattern in _TABLES for path in folder.rglob(pattern)]
    relative = (path.relative_to(folder) for path in found)
    return {str(path) for path in relative if not any(p.startswith(".") for p in path.parts)}


def _settings(about: dict[str, Any], aois: str | None) -> AnalysisSettings:
    given = dict(about.get("settings") or {})
    if aois is not None:
        given["aois"] = aois
    elif given.get("aois") not in {None, AUTO}:
        raise UsageError(
            f"The results were made with areas of interest from {given['aois']}: name the file with --aois."
        )
    affect = AffectSpec.parse(str(given.get("affect_backend") or DEFAULT_AFFECT_BACKEND))
    if affect.file and not Path(affect.file).is_file():
        raise UsageError(
            f"The results were made with the affect model {affect.file}: give the command in its folder."
        )
    backend = str(given.get("au_backend") or "")
    if (file := backend.partition(":")[2]) and not Path(file).exists():
        raise UsageError(
            f"The results were made with the AU backend {backend}: give the command in the folder of {file}."
        )
    return AnalysisSettings.from_dict(given)


def _about(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DuchenneError(f"{path} cannot be read: {error}") from error


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside the results, where workers of a cluster see it too."""
    try:
        made = Path(tempfile.mkdtemp(prefix=".check-", dir=folder))
    except OSError:
        made = Path(tempfile.mkdtemp(prefix="duchenne-check-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
