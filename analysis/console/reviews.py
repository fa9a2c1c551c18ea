"""What the audit says of recorded sessions; each is audited once, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duchenne.analysis.console.backend import NotThereError
from duchenne.analysis.paths import SESSION_SUFFIX, analysis_paths

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.console.children import Launcher, Started

MODULE = "duchenne.analysis.console.review_probe"
EMPTY: dict[str, Any] = {
    "verdict": None,
    "summary": [],
    "findings": [],
    "withdrawn": None,
    "error": None,
}


def session_path(study: Path, stem: str) -> Path:
    """Return the session file of a stem (``sub-…_ses-…_task-…_run-…``), which need not exist."""
    participant, session = stem.split("_")[:2]
    return study / "sourcedata" / participant / session / f"{stem}{SESSION_SUFFIX}"


@dataclass
class Reviews:
    """The audits of a study's sessions.

    Parameters
    ----------
    study : Path
    launcher : Launcher
    runtime : Path
        Private folder for log files.
    """

    study: Path
    launcher: Launcher
    runtime: Path
    _found: dict[tuple[str, float], dict[str, Any]] = field(default_factory=dict)
    _running: dict[tuple[str, float], Started] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, stem: str, *, blind: bool = False) -> dict[str, Any]:
        """Return the audit of a session for pages; ``state`` is ``working`` until it is done.

        Raises
        ------
        NotThereError
            There is no such session file.
        """
        path = session_path(self.study, stem)
        try:
            found = path.stat()
        except OSError:
            raise NotThereError(f"no session {stem}") from None
        key = (stem, found.st_mtime)
        with self._lock:
            self._collect()
            if key not in self._found and key not in self._running:
                log = self.runtime / f"review-{uuid.uuid4().hex[:8]}.log"
                more = ["--blind"] if blind else []
                self._running[key] = self.launcher.run_module(MODULE, [str(path), *more], log)
            told = self._found.get(key, {"state": "working"})
        paths = analysis_paths(path)
        return {
            "stem": stem,
            **EMPTY,
            **told,
            "file": str(path.relative_to(self.study)),
            "file_bytes": found.st_size,
            "analyzed": paths.complete,
            "report": f"/reports/{stem}" if paths.report.is_file() else None,
        }

    def close(self) -> None:
        """End the audits that still run."""
        with self._lock:
            for started in self._running.values():
                started.end()
            self._running.clear()

    def _collect(self) -> None:
        for key, started in list(self._running.items()):
            if started.exit_code is None:
                continue
            told: dict[str, Any] = {"state": "failed", "error": started.last_words()}
            with contextlib.suppress(ValueError, IndexError):
                told = dict(json.loads(started.lines()[-1]))
            started.end()
            self._found[key] = told
            del self._running[key]
