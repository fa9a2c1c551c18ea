"""The stimuli of a BIDS data set: the files that may be passed on, a note for each of the others."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from duchenne.analysis.privacy.pictures import PICTURES, without_metadata
from duchenne.analysis.stimulus_files import stimulus_file, stimulus_folder
from duchenne.analysis.values import number, records, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duchenne.analysis.export.private import PrivateNames
    from duchenne.recorder.recording import Recording


def copy_stimuli(
    recording: Recording, out: Path, private: PrivateNames, written: dict[str, str]
) -> dict[str, str]:
    """Copy what may be copied into ``stimuli/``, pictures without their metadata (EXIF and the like).

    Parameters
    ----------
    recording : Recording
    out : Path
        Folder of the data set.
    private : PrivateNames
        What no file may hold.
    written : dict of str to str
        Grows: the hash of what each file below ``stimuli/`` stands for, by its path. Another file of the
        same path, from another set of stimuli, gets the beginning of its hash added to its name.

    Returns
    -------
    dict
        Path of each stimulus' file below ``stimuli/``, by the stimulus' id. Where the manifest does not
        say that the file may be passed on, or the file is not there, has changed since the session, or
        names a host or folder of a machine, this is a small text file in its place.
    """
    source = stimulus_folder(recording.stimuli_source)
    found: dict[str, str] = {}
    for row in records(recording.stimuli):
        stimulus, name = text(row.get("id")), text(row.get("file"))
        if stimulus is None or name is None:
            continue
        inner = PurePosixPath(name.replace("\\", "/"))
        kept = [part for part in inner.parts if part not in {"..", "/"} and ":" not in part]
        path, why = stimulus_file(row, source)
        if not _may_be_passed_on(row):
            path, why = None, "its licence does not allow to pass it on"
        content = None
        if path is not None:
            content, why = shareable(path, private)
        ending = ".txt" if content is None else ""
        if content is None:
            content = _note(row, stimulus, why).encode()
        digest = text(row.get("sha256")) or hashlib.sha256(content).hexdigest()
        place = PurePosixPath(*kept)
        target = f"{place}{ending}"
        if written.get(target, digest) != digest:
            target = f"{place.with_name(f'{place.stem}_{digest[:8]}{place.suffix}')}{ending}"
        if target not in written:
            written[target] = digest
            (out / "stimuli" / target).parent.mkdir(parents=True, exist_ok=True)
            (out / "stimuli" / target).write_bytes(content)
        found[stimulus] = target
    return found


def shareable(path: Path, private: PrivateNames) -> tuple[bytes | None, str]:
    """Return what of a file may leave: its content without metadata; None and why where nothing may."""
    content = path.read_bytes()
    if path.suffix.lower() in PICTURES:
        try:
            content = without_metadata(content)
        except ValueError as error:
            return None, f"its metadata cannot be removed ({error})"
    if private.named_in(content):
        return None, "it names a host or a folder of a machine"
    return content, ""


def _may_be_passed_on(row: Mapping[str, Any]) -> bool:
    value = row.get("redistributable")
    return number(value) > 0 or value is True


def _note(row: Mapping[str, Any], stimulus: str, why: str) -> str:
    lines = [
        f"Placeholder of the stimulus {stimulus}: {why}.",
        f"Licence: {text(row.get('licence')) or 'not given'}",
        f"SHA-256 of the file that was shown: {text(row.get('sha256')) or 'not given'}",
    ]
    return "\n".join(lines) + "\n"
