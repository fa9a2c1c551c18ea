"""What the tables of a session are made from, as hashes: unchanged inputs are not analysed again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duchenne import __version__
from duchenne.analysis.affect.registry import affect_hash
from duchenne.analysis.face.backends.files import backend_hash, without_folder
from duchenne.analysis.privacy.identity import session_digest
from duchenne.analysis.provenance import PACKAGES, package_version, sha256_of

if TYPE_CHECKING:
    from duchenne.analysis.exclusions import Exclusions
    from duchenne.analysis.exclusions_lock import ExclusionsLock
    from duchenne.analysis.settings import AnalysisSettings
    from duchenne.analysis.window_plan import WindowPlan

SCHEMA = 2
"""Raised when the same inputs give other tables although the version stays."""
STUDY_FILES = ("study.yaml", "consent.tsv")


@dataclass(frozen=True)
class SessionInputs:
    """Hashes of everything that the tables of one session depend on.

    Attributes
    ----------
    session_sha256 : str
        Of the session file.
    measurement_key, summary_key : str
        Of all that the measurement, and beyond it the summary and the windows, is made from.
    settings : dict
    exclusions : dict
        Rules, their hash and since when they are locked.
    windows : dict
        The plan of windows.
    files : dict of str to str
        SHA-256 of further files, by name without folder.
    """

    session_sha256: str
    measurement_key: str
    summary_key: str
    settings: dict[str, Any] = field(default_factory=dict)
    exclusions: dict[str, Any] = field(default_factory=dict)
    windows: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return what travels to a worker and into the provenance."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> SessionInputs:
        """Return the inputs that `to_dict` gave."""
        return cls(**given)


def inputs_of(
    h5: Path,
    settings: AnalysisSettings,
    exclusions: Exclusions,
    plan: WindowPlan,
    *,
    study: Path | None = None,
    lock: ExclusionsLock | None = None,
    session_sha256: str | None = None,
) -> SessionInputs:
    """Return the hashes of what a session is analysed from.

    Parameters
    ----------
    h5 : Path
    settings : AnalysisSettings
    exclusions : Exclusions
    plan : WindowPlan
    study : Path, optional
        For its ``study.yaml`` and ``consent.tsv``.
    lock : ExclusionsLock, optional
    session_sha256 : str, optional
        Of the file, where it is known already.
    """
    digest = session_sha256 or session_digest(h5)
    files = {}
    if study is not None:
        files = {n: sha256_of(study / n) for n in STUDY_FILES if (study / n).is_file()}
    areas = _areas(h5, settings.aois)
    if areas is not None:
        files["aois"] = areas
    measured_from = {
        "schema": SCHEMA,
        "session": digest,
        "settings": settings.to_dict() | {"au_backend": without_folder(settings.au_backend)},
        "software": _software(),
        "backend": backend_hash(settings.au_backend),
        "affect": affect_hash(settings.affect_backend),
        "consent": files.get("consent.tsv"),
        "aois": areas,
    }
    measurement = _hash(measured_from)
    windows = plan.model_dump(mode="json")
    rules = exclusions.presentation.model_dump(mode="json")
    summary = _hash({"measurement": measurement, "windows": windows, "rules": rules})
    told: dict[str, Any] = {"rules": exclusions.model_dump(mode="json")}
    told |= {"sha256": exclusions.sha256} if lock is None else lock.to_dict()
    return SessionInputs(digest, measurement, summary, settings.to_dict(), told, windows, files)


@cache
def _software() -> dict[str, str | None]:
    return {"duchenne": __version__} | {name: package_version(name) for name in PACKAGES}


def _areas(h5: Path, asked: str | None) -> str | None:
    """Return the hash of the file of areas; the answer itself for ``auto`` and a file that is not there."""
    if asked is not None:
        path = Path(asked)
        return sha256_of(path) if path.is_file() else asked
    source = _stimuli_source(h5)
    if not source or source == "bundled":
        return None
    folder = Path(source)
    folder = folder if folder.is_dir() else folder.parent
    for name in ("aois.tsv", "aois.json"):
        if (folder / name).is_file():
            return sha256_of(folder / name)
    return None


def _stimuli_source(h5: Path) -> str:
    import h5py  # noqa: PLC0415

    try:
        with h5py.File(h5, "r") as file:
            return str(file["stimuli"].attrs.get("source", ""))
    except (OSError, KeyError):
        return ""


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
