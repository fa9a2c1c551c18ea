"""What of a study is new or changed since its last analysis, by the hashes of its files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.analysis.measurement_store import has_measurement
from duchenne.analysis.privacy.identity import session_digest
from duchenne.analysis.stages import NO_KEY
from duchenne.analysis.study_task import DRAW, MEASURE, NOTHING, SUMMARISE
from duchenne.analysis.tables import write_json
from duchenne.recorder.keyring import KeyRing
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.inputs import SessionInputs
    from duchenne.analysis.paths import AnalysisPaths

HASHES = ".hashes.json"


class FileHashes:
    """SHA-256 of session files, read again only where size or time of change differ.

    Parameters
    ----------
    root : Path
        Folder of the study's results, where the hashes are kept.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / HASHES
        self._known: dict[str, list[Any]] = {}
        self._changed = False
        try:
            self._known = dict(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return

    def of(self, file: Path, name: str) -> str:
        """Return the hash of a file that is known by `name`.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        about = file.stat()
        stamp = [about.st_size, about.st_mtime_ns]
        known = self._known.get(name)
        if known is not None and known[:2] == stamp:
            return str(known[2])
        digest = session_digest(file)
        self._known[name] = [*stamp, digest]
        self._changed = True
        return digest

    def keep(self, names: set[str]) -> None:
        """Write what is known of these files; a folder that cannot be written keeps nothing."""
        kept = {name: value for name, value in self._known.items() if name in names}
        if not self._changed and kept == self._known:
            return
        try:
            write_json(kept, self._path)
        except DuchenneError:
            return


@dataclass(frozen=True)
class SessionState:
    """What lies on the disk of one session's results.

    Attributes
    ----------
    about : dict
        Its provenance; empty where no analysis finished.
    """

    about: dict[str, Any]

    @classmethod
    def read(cls, paths: AnalysisPaths) -> SessionState:
        """Return the state; an unreadable provenance is none."""
        try:
            return cls(dict(json.loads(paths.provenance.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            return cls({})

    def todo(
        self, paths: AnalysisPaths, inputs: SessionInputs, *, report: bool, force: bool
    ) -> str:
        """Return what there is to do: ``measure``, ``summarise``, ``draw`` or ``nothing``."""
        keys = self.about.get("keys", {})
        if force or not keys:
            return MEASURE
        if keys.get("measurement") != inputs.measurement_key:
            return MEASURE
        if self._had_no_key() and KeyRing.of_environment() is not None:
            return MEASURE
        if not self._whole(paths) or keys.get("summary") != inputs.summary_key:
            measured = has_measurement(paths, inputs.measurement_key)
            return SUMMARISE if measured and self._whole(paths, measured=True) else MEASURE
        if self.about.get("exclusions") != inputs.exclusions:
            return SUMMARISE  # the same rules, but locked or changed since: the provenance says so
        return DRAW if report and not paths.report.is_file() else NOTHING

    def _had_no_key(self) -> bool:
        """Return whether an encrypted film was left out, its key not being at hand."""
        return any(str(note).startswith(NO_KEY) for note in self.about.get("notes", ()))

    def _whole(self, paths: AnalysisPaths, *, measured: bool = False) -> bool:
        """Return whether the tables are there in their size; those of the measurement alone."""
        made_anew = {paths.summary.name, paths.windows.name} if measured else set()
        for name, about in self.about.get("tables", {}).items():
            if name in made_anew:
                continue
            try:
                if (paths.folder / name).stat().st_size != about["bytes"]:
                    return False
            except OSError:
                return False
        return True
