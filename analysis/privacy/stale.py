"""Results over participants that were made before one of them was forgotten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from duchenne.analysis.paths import derivatives_of
from duchenne.analysis.privacy.shared_files import STALE, TABLES
from duchenne.recorder.study_folder import replace_file

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (*TABLES, ".parquet")


def mark_stale(study: Path, label: str) -> None:
    """Note the tables over participants as they are now: made with somebody who was forgotten.

    A table that is written again has another time of change, and is not stale any more.
    """
    root = derivatives_of(study)
    if not root.is_dir():
        return
    marks = _marks(root)
    for path in sorted(root.iterdir()):
        if path.is_file() and path.suffix in SUFFIXES:
            marks[path.name] = {"changed_ns": path.stat().st_mtime_ns, "since_forgetting": label}
    text = json.dumps(marks, indent=2) + "\n"
    replace_file(root / STALE, text.encode())


def stale_tables(study: Path) -> dict[str, str]:
    """Return the tables over participants that were made with somebody who was forgotten, with the label."""
    root = derivatives_of(study)
    return {
        name: str(mark["since_forgetting"])
        for name, mark in _marks(root).items()
        if (root / name).is_file() and (root / name).stat().st_mtime_ns == mark["changed_ns"]
    }


def _marks(root: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads((root / STALE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
