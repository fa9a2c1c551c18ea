"""A lock between processes: one of them writes, seals or recovers a journal at a time."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator


class JournalLock:
    """Exclusive use of a journal, through ``x.journal.lock``; the system frees it when a process dies.

    Parameters
    ----------
    journal : Path
    """

    def __init__(self, journal: Path) -> None:
        self.path = Path(f"{journal}.lock")
        self._journal = journal
        self._file: IO[bytes] | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises
        ------
        DuchenneError
            If another process holds it, or the folder cannot be written.
        """
        while self._file is None:
            try:
                file = self.path.open("ab")
            except OSError as error:
                raise DuchenneError(f"cannot write {self.path}: {error}") from error
            try:
                _lock(file)
            except OSError:
                file.close()
                raise DuchenneError(
                    f"{self._journal} is still being recorded or sealed by another process: let it end."
                ) from None
            if self._is_current(file):
                self._file = file
            else:
                file.close()  # the holder before us removed the file under our hands

    def release(self) -> None:
        """Give the lock back and remove its file; a second call does nothing."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()
            self._file.close()
            self._file = None

    def _is_current(self, file: IO[bytes]) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(file.fileno()))
        except OSError:
            return False


@contextlib.contextmanager
def locked(journal: Path) -> Iterator[None]:
    """Hold the lock of a journal."""
    lock = JournalLock(journal)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 -- this system only

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415 -- these systems only

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
