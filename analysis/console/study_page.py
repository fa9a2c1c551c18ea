"""The participants and sessions of a study, with their state and quality."""

from __future__ import annotations

import contextlib
import csv
import threading
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from duchenne.analysis.paths import SESSION_SUFFIX, analysis_paths
from duchenne.analysis.quality import GRADES
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

EXPORTS = "exports"
PARTS = ("sub", "ses", "task", "run")


@dataclass
class StudyPage:
    """Lists what a study folder holds; remembers what is inside files that have not changed.

    Parameters
    ----------
    study : Path
    """

    study: Path
    _facts: dict[tuple[str, float], dict[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def to_json(self, running: Collection[str]) -> dict[str, Any]:
        """Return the study for pages.

        Parameters
        ----------
        running : collection of str
            Stems of the sessions that are being recorded.
        """
        people: dict[str, list[dict[str, Any]]] = {}
        folders = self.study.glob("sourcedata/sub-*/ses-*")
        for path in sorted(file for folder in folders for file in folder.iterdir()):
            row = self._row(path, running)
            if row is not None:
                people.setdefault(row.pop("participant"), []).append(row)
        return {
            "name": self.study.name,
            "path": str(self.study),
            "participants": [{"id": who, "sessions": rows} for who, rows in people.items()],
            "exports": self._exports(),
        }

    def _row(self, path: Path, running: Collection[str]) -> dict[str, Any] | None:
        sealed = path.name.endswith(SESSION_SUFFIX)
        if not sealed and path.suffix != ".journal":
            return None
        stem = path.stem.removesuffix("_session")
        labels = dict(part.partition("-")[::2] for part in stem.split("_"))
        if any(name not in labels for name in PARTS) or (
            not sealed and path.with_suffix(".h5").exists()
        ):
            return None
        try:
            found = path.stat()
        except OSError:
            return None
        paths = analysis_paths(path.with_suffix(".h5"))
        grades = _grades(paths.quality)
        state = "analyzed" if paths.complete else "sealed" if sealed else "unsealed"
        return {
            "participant": labels["sub"],
            "stem": stem,
            "session": labels["ses"],
            "task": labels["task"],
            "run": labels["run"],
            "state": "recording" if not sealed and stem in running else state,
            **(self._inside(path, found.st_mtime) if sealed else NOTHING_INSIDE),
            "bytes": found.st_size,
            "grade": max(grades.values(), key=GRADES.index, default=None),
            "grades": grades,
            "report": f"/reports/{stem}" if paths.report.is_file() else None,
            "analyzed_t_ms": paths.summary.stat().st_mtime * 1e3 if paths.complete else None,
        }

    def _inside(self, path: Path, changed_s: float) -> dict[str, Any]:
        key = (str(path), changed_s)
        with self._lock:
            if key not in self._facts:
                self._facts[key] = _facts_of(path)
            return self._facts[key]

    def _exports(self) -> list[dict[str, Any]]:
        folder = self.study / EXPORTS
        return [
            {
                "format": path.name,
                "path": f"{EXPORTS}/{path.name}",
                "t_ms": path.stat().st_mtime * 1e3,
            }
            for path in sorted(folder.glob("[a-z]*"))
            if path.is_dir()
        ]


NOTHING_INSIDE: dict[str, Any] = {
    "pilot": False,
    "withdrawn": False,
    "created": None,
    "duration_s": None,
}


def _facts_of(path: Path) -> dict[str, Any]:
    facts = dict(NOTHING_INSIDE)
    facts["created"] = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).isoformat()
    with contextlib.suppress(DuchenneError, OSError), Recording.open(path) as recording:
        facts["pilot"] = bool(recording.attrs.get("pilot", False))
        facts["created"] = str(recording.attrs.get("created_utc", facts["created"]))
        facts["withdrawn"] = recording.withdrawn is not None
        begun_s, ended_s = recording.interval_lsl_s
        facts["duration_s"] = ended_s - begun_s
    return facts


def _grades(table: Path) -> dict[str, str]:
    """Return the grade of each stream from a quality table; empty where there is none."""
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except OSError:
        return {}
    return {row["stream"]: row["grade"] for row in rows if row.get("grade") in GRADES}
