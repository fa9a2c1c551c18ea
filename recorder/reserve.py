"""Room on the disk that is kept back for the moment when there is none left."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

SIZE_BYTES = 64 * 2**20
"""Some 15 seconds of gaze, face video and a whole EEG; minutes of gaze alone."""
MAX_SHARE = 0.05
"""Of what is free; the recording itself comes first."""
_BLOCK = bytes(2**20)


def reserve_path_for(journal: Path) -> Path:
    """Return the file that keeps room free for a journal."""
    return Path(f"{journal}.reserve")


class Reserve:
    """A file of zeros beside a journal, given back when the disk is full.

    So what had arrived by then, and for some seconds after, is still stored; without it, that would depend
    on whether somebody makes room before the recording ends.

    Parameters
    ----------
    journal : Path

    Attributes
    ----------
    size_bytes : int
        What is kept back; 0 where there was no room, or after `release`.
    """

    def __init__(self, journal: Path) -> None:
        self.path = reserve_path_for(journal)
        self.size_bytes = 0

    def take(self) -> None:
        """Keep room back, as far as there is enough of it."""
        with suppress(OSError):
            free = shutil.disk_usage(self.path.parent).free
            blocks = int(min(SIZE_BYTES, free * MAX_SHARE)) // len(_BLOCK)
            with self.path.open("wb") as file:
                for _ in range(
                    blocks
                ):  # written, not only claimed: a file with holes keeps no room
                    file.write(_BLOCK)
            self.size_bytes = blocks * len(_BLOCK)
        if not self.size_bytes:
            self.remove()

    def release(self) -> bool:
        """Give the room back; False where there was none, or not any more."""
        kept, self.size_bytes = self.size_bytes, 0
        if kept:
            self.remove()
        return bool(kept)

    def remove(self) -> None:
        """Delete the file."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
