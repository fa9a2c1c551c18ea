"""Where the files of a session's stimuli are, found again by path and hash."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from duchenne.analysis.provenance import sha256_of
from duchenne.analysis.values import text
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping


def stimulus_folder(source: str) -> Path | None:
    """Return the folder of the manifest that a session names.

    Parameters
    ----------
    source : str
        ``bundled``, or the path of the manifest when the session was run; empty where unknown.
    """
    if source == "bundled":
        from duchenne.stimuli.manifest import StimulusSet  # noqa: PLC0415

        try:
            return StimulusSet.bundled().folder
        except DuchenneError:
            return None
    if not source:
        return None
    path = Path(source)
    return path if path.is_dir() else path.parent


def stimulus_file(row: Mapping[str, Any], folder: Path | None) -> tuple[Path | None, str]:
    """Return the file of a stimulus, or None and why it cannot be used, in a few words.

    Parameters
    ----------
    row : mapping
        Its manifest row as recorded: ``file``, ``sha256``.
    folder : Path or None
        Of the manifest.
    """
    file, digest = text(row.get("file")), text(row.get("sha256"))
    path = folder / file if folder is not None and file is not None else None
    if path is None or not path.is_file():
        return None, "file not found"
    if digest is not None and sha256_of(path) != digest:
        return None, "file changed since the session"
    return path, ""
