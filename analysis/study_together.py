"""The tables of a study, from those of its sessions, with what they were made from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne import __version__
from duchenne.analysis.inputs import SCHEMA
from duchenne.analysis.study_checks import labels_used_twice, protocols_that_differ
from duchenne.analysis.study_summary import (
    StudySession,
    participant_reasons,
    write_participants,
    write_study_summary,
    write_study_windows,
)
from duchenne.analysis.study_tables import STUDY_TABLES
from duchenne.analysis.tables import write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from duchenne.analysis.exclusions import Exclusions
    from duchenne.analysis.exclusions_lock import ExclusionsLock
    from duchenne.analysis.paths import AnalysisPaths
    from duchenne.analysis.session import Progress
    from duchenne.analysis.settings import AnalysisSettings
    from duchenne.analysis.study_state import SessionState
    from duchenne.analysis.window_plan import WindowPlan

PROVENANCE = "provenance.json"


@dataclass(frozen=True)
class StudyResult:
    """What the analysis of a study wrote.

    Attributes
    ----------
    summary : Path or None
        One row per presentation of all sessions but pilot ones, as Parquet; None where no such session
        succeeded.
    sessions : tuple of AnalysisPaths
        The sessions that are analysed, now or before.
    failed : tuple of (Path, str)
        The session files that are not, or not counted, each with the reason.
    synchrony : Path or None
        One row per participant and film; None where no film was shown.
    scanpath_similarity : Path or None
        One row per participant and picture; None without the extra ``peers``, or where no picture was
        shown to two participants.
    windows : Path or None
        One row per presentation and window.
    tables : dict of str to Path
        All tables over participants that were written, by name.
    done : tuple of str
        Stems of the sessions that something was done for; the others were up to date.
    notes : tuple of str
        What there is to say about the study as a whole.
    peak_mb : float
        Largest memory of a process that analysed a session, in megabytes; 0 where none did.
    """

    summary: Path | None
    sessions: tuple[AnalysisPaths, ...]
    failed: tuple[tuple[Path, str], ...]
    synchrony: Path | None = None
    scanpath_similarity: Path | None = None
    windows: Path | None = None
    tables: Mapping[str, Path] | None = None
    done: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    peak_mb: float = 0.0


@dataclass(frozen=True)
class Rules:
    """What holds for all sessions of a study.

    Attributes
    ----------
    settings, exclusions, lock, windows
        How they are measured, flagged and cut.
    report : bool
        Whether to draw the reports of the sessions.
    force : bool
        Whether to do everything anew.
    """

    settings: AnalysisSettings
    exclusions: Exclusions
    lock: ExclusionsLock
    windows: WindowPlan
    report: bool
    force: bool


@dataclass(frozen=True)
class Place:
    """A session file, and where its results are."""

    file: Path
    paths: AnalysisPaths


def put_together(
    root: Path,
    sessions: Sequence[tuple[Place, SessionState]],
    plan: Rules,
    failed: list[tuple[Path, str]],
    progress: Callable[[Path], Progress | None] | None,
) -> StudyResult:
    """Write the tables of the study from those of the sessions that count."""
    everybody = tuple(place.paths for place, _ in sessions)
    counted = [(p, s.about) for p, s in sessions if not s.about["session"].get("pilot")]
    twice, notes = labels_used_twice([(p.file, about["session"]) for p, about in counted])
    failed.extend(twice)
    refused = {file for file, _ in twice}
    kept = [StudySession(p.paths, about) for p, about in counted if p.file not in refused]
    if not kept:
        return StudyResult(None, everybody, tuple(failed), notes=tuple(notes))
    notes += protocols_that_differ(
        [(s.participant, s.about["protocol"]["name"], s.about["protocol"]["sha256"]) for s in kept]
    )
    notes += _unknown_columns(kept, plan.exclusions)
    key = _study_key(kept, plan)
    tables = None if plan.force else _unchanged(root, key)
    if tables is None:
        tables = _write_tables(root, kept, plan, progress, _kept_tables(root, kept, plan))
        about = _study_provenance(kept, plan, key, tables, notes)
        write_json(about, root / PROVENANCE)
    return StudyResult(
        tables["summary"],
        everybody,
        tuple(failed),
        synchrony=tables.get("synchrony"),
        scanpath_similarity=tables.get("scanpath_similarity"),
        windows=tables.get("windows"),
        tables=tables,
        notes=tuple(notes),
    )


def _write_tables(
    root: Path,
    sessions: Sequence[StudySession],
    plan: Rules,
    progress: Callable[[Path], Progress | None] | None,
    as_they_are: Mapping[str, Path | None],
) -> dict[str, Path]:
    reasons, participants = participant_reasons(sessions, plan.exclusions)
    tables = {
        "summary": write_study_summary(
            sessions, root / "summary.parquet", plan.exclusions, reasons
        ),
        "exclusions": write_participants(participants, root / "exclusions.tsv"),
    }
    windows = write_study_windows(sessions, root / "windows.parquet", reasons)
    if windows is not None:
        tables["windows"] = windows
    for table in STUDY_TABLES:
        path = root / f"{table.name}.tsv"
        if table.of_measurement and table.name in as_they_are:
            written = as_they_are[table.name]
        else:
            tell = progress(path) if progress else None
            written = table.write([session.paths for session in sessions], path, progress=tell)
        if written is not None:
            tables[table.name] = written
    return tables


def _study_key(sessions: Sequence[StudySession], plan: Rules) -> str:
    made_from = {
        "schema": SCHEMA,
        "software": __version__,
        "sessions": [[s.paths.stem, s.about["keys"]["summary"]] for s in sessions],
        "exclusions": plan.lock.to_dict(),
        "tables": [table.name for table in STUDY_TABLES],
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def _measurements_key(sessions: Sequence[StudySession]) -> str:
    made_from = [[s.paths.stem, s.about["keys"]["measurement"]] for s in sessions]
    return hashlib.sha256(json.dumps([__version__, SCHEMA, made_from]).encode()).hexdigest()


def _kept_tables(
    root: Path, sessions: Sequence[StudySession], plan: Rules
) -> dict[str, Path | None]:
    """Return the tables that were made from the same measurements, by name; None: nothing to write."""
    try:
        about = json.loads((root / PROVENANCE).read_text(encoding="utf-8"))
        if plan.force or about["measurements_key"] != _measurements_key(sessions):
            return {}
        named = {table.name: about["tables"].get(table.name) for table in STUDY_TABLES}
        return {
            table: None if name is None else root / name
            for table, name in named.items()
            if name is None or (root / name).stat().st_size == about["files"][name]
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _unchanged(root: Path, key: str) -> dict[str, Path] | None:
    """Return the tables of the study where they were made from the same; None where not."""
    try:
        about = json.loads((root / PROVENANCE).read_text(encoding="utf-8"))
        if about["key"] != key:
            return None
        for name, size in about["files"].items():
            if (root / name).stat().st_size != size:
                return None
        return {name: root / file for name, file in about["tables"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _study_provenance(
    sessions: Sequence[StudySession],
    plan: Rules,
    key: str,
    tables: Mapping[str, Path],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return what the tables of the study were made from; no folder, host or user names."""
    first = sessions[0].about
    return {
        "software": first["software"],
        "packages": first["packages"],
        "settings": first["settings"],
        "exclusions": {"rules": plan.exclusions.model_dump(mode="json")} | plan.lock.to_dict(),
        "windows": plan.windows.model_dump(mode="json"),
        "study_files": first["study_files"],
        "sessions": [
            {
                "stem": session.paths.stem,
                "sha256": session.about["session"]["sha256"],
                "protocol_sha256": session.about["protocol"]["sha256"],
                "summary_key": session.about["keys"]["summary"],
            }
            for session in sessions
        ],
        "tables": {name: path.name for name, path in tables.items()},
        "files": {path.name: path.stat().st_size for path in tables.values()},
        "notes": list(notes),
        "measurements_key": _measurements_key(sessions),
        "key": key,
    }


def _unknown_columns(sessions: Sequence[StudySession], exclusions: Exclusions) -> list[str]:
    known = {name for session in sessions for name in session.about["summary"]["columns"]}
    asked = [rule.column for rule in exclusions.presentation.rules]
    return [
        f"exclusions.yaml has a rule on {name}, which no summary has: it flags nothing."
        for name in asked
        if name not in known
    ]
