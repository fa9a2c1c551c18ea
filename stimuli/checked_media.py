"""Films and sounds that were found good, so that a session starts without decoding them again.

The memory is a text file in the user's cache folder, a line for each file: a hash of its content and of
what its manifest row declares. It holds no names, and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duchenne.stimuli.stimulus import Stimulus

VERSION = 1
"""To be raised when the checks find more than before."""


def cache_folder() -> Path:
    """Return the folder for what can be made again: ``DUCHENNE_CACHE``, else the system's place for it."""
    if given := os.environ.get("DUCHENNE_CACHE"):
        return Path(given)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "duchenne"


class CheckedMedia:
    """Films and sounds that were decoded before and found good.

    Parameters
    ----------
    path : Path, optional
        The file; ``checked-media.txt`` in the cache folder where absent. One that cannot be read or
        written is as good as none.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or cache_folder() / "checked-media.txt"
        self._known: set[str] = set()
        with suppress(OSError):
            self._known = set(self._path.read_text(encoding="ascii", errors="replace").split())

    def __contains__(self, stimulus: Stimulus) -> bool:
        return _key(stimulus) in self._known

    def add(self, stimulus: Stimulus) -> None:
        """Remember that a file whose content is the manifest's was found good."""
        key = _key(stimulus)
        if key in self._known:
            return
        self._known.add(key)
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="ascii") as file:
                file.write(f"{key}\n")


def _key(stimulus: Stimulus) -> str:
    declared = (
        VERSION,
        stimulus.sha256,
        stimulus.kind,
        stimulus.duration_s,
        stimulus.width_px,
        stimulus.height_px,
        stimulus.measures.get("has_sound"),
    )
    return hashlib.sha256(repr(declared).encode()).hexdigest()
