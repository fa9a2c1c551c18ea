"""When a study declared its comparisons: before its data, or after.

What ``study.yaml`` declares is looked at whenever a session begins and whenever the study is analysed.
What is new is noted in ``study_declared.json`` with its hash, the time, and how many sessions there were.
A comparison that is changed is another one; one that is changed back is what it was.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import h5py
import yaml

from duchenne.recorder.study_folder import replace_file
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_NAME = "study_declared.json"
NAMED = {"windows": "name", "contrasts": "name", "curves": "name", "multiverse": "contrast"}
"""Lists (or mappings) of the study file, with the key that tells the entries of a list apart."""
WHOLE_SECTIONS = ("statistics",)


@dataclass(frozen=True)
class Declared:
    """One thing that the study file declares.

    Attributes
    ----------
    kind : str
        ``contrasts``, ``curves``, ``multiverse``, ``windows`` or ``statistics``.
    name : str
        Empty for ``statistics``.
    sha256 : str
        Of its content, whatever the order of its keys, comments and line breaks.
    declared_utc : str
        When it was seen first.
    n_sessions : int
        How many sessions that are no pilots had been recorded by then.
    """

    kind: str
    name: str
    sha256: str
    declared_utc: str
    n_sessions: int

    @property
    def after_data(self) -> bool:
        """Whether there were data when it was declared, as far as is known."""
        return self.n_sessions > 0


def note_declarations(study: Path, *, write: bool = True) -> tuple[Declared, ...]:
    """Note what the study file declares now; return when each of it was declared.

    Parameters
    ----------
    study : Path
        Folder of the study.
    write : bool, default True
        Whether to keep what is new; False leaves the folder as it is.

    Returns
    -------
    tuple of Declared
        What the file declares now, in its order; empty where it cannot be read.

    Raises
    ------
    DuchenneError
        ``study_declared.json`` is damaged or cannot be written.
    """
    found = list(_declared_in(study / "study.yaml"))
    if not found:
        return ()
    path = study / FILE_NAME
    known = _read(path)
    by_key = {(one.kind, one.name, one.sha256): one for one in known}
    fresh = [key for key in found if key not in by_key]
    if fresh:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        n_sessions = count_sessions(study)
        added = [Declared(*key, now, n_sessions) for key in fresh]
        by_key |= dict(zip(fresh, added, strict=True))
        if write:
            _write(path, [*known, *added])
    return tuple(by_key[key] for key in found)


def count_sessions(study: Path) -> int:
    """Return how many sessions a study has that are no pilots, journals included."""
    root = study / "sourcedata"
    sealed = [path for path in root.glob("sub-*/ses-*/*_session.h5") if not _is_pilot(path)]
    open_ones = [
        path
        for path in root.glob("sub-*/ses-*/*_session.journal")
        if not path.with_suffix(".h5").exists()
    ]
    return len(sealed) + len(open_ones)


def _is_pilot(path: Path) -> bool:
    with suppress(OSError), h5py.File(path, "r") as file:
        return bool(file.attrs.get("pilot", False))
    return False


def _declared_in(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    if not isinstance(content, dict):
        return
    for kind, key in NAMED.items():
        entries = content.get(kind)
        if isinstance(entries, dict):
            entries = [{key: name} | _mapping(entry) for name, entry in entries.items()]
        for entry in entries if isinstance(entries, list) else ():
            yield kind, str(_mapping(entry).get(key, "")), _hash(entry)
    for kind in WHOLE_SECTIONS:
        if kind in content:
            yield kind, "", _hash(content[kind])


def _mapping(entry: Any) -> dict[str, Any]:
    return entry if isinstance(entry, dict) else {}


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, entries: list[Declared]) -> None:
    content = json.dumps([asdict(one) for one in entries], indent=1) + "\n"
    try:
        replace_file(path, content.encode())
    except OSError as error:
        raise DuchenneError(f"cannot write {path}: {error.strerror or error}") from error


def _read(path: Path) -> list[Declared]:
    if not path.exists():
        return []
    try:
        return [Declared(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise DuchenneError(
            f"{path} is damaged ({error}): put back a copy, or move it away; all declarations then count as "
            "made now"
        ) from error
