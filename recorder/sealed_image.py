"""The file that HDF5 writes into while a journal is sealed.

HDF5 does not survive a disk that becomes full: closing the file then can end the whole process. Here the
first error of the disk is kept for whoever asks; HDF5 is told that all went well and closes in good order.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class SealedImage:
    """A new file, opened without buffers, as h5py's driver for Python objects needs it.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    error : OSError or None
        The first thing that went wrong; nothing is written from then on.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb+", buffering=0)
        self.error: OSError | None = None
        self._place = self._end = 0

    def check(self) -> None:
        """Raise what went wrong so far.

        Raises
        ------
        OSError
        """
        if self.error is not None:
            raise self.error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._end}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def write(self, data: memoryview | bytes) -> int:
        """Write all of the data."""
        size = memoryview(data).nbytes
        rest = memoryview(data).cast("B")
        place = self._place
        while len(rest) and self.error is None:
            try:
                n = self._write_at(place, rest)
            except OSError as error:
                self.error = error
                break
            place, rest = place + n, rest[n:]
        self._place += size
        self._end = max(self._end, self._place)
        return size

    def read(self, size: int) -> bytes:
        """Read `size` bytes."""
        data = bytearray(size)
        self.readinto(memoryview(data))
        return bytes(data)

    def readinto(self, target: memoryview) -> int:
        """Read; zeros where nothing could be written."""
        view = memoryview(target).cast("B")
        n = 0
        try:
            self._file.seek(self._place)
            while n < len(view):
                got = self._file.readinto(view[n:])
                if not got:
                    break
                n += got
        except OSError as error:
            self.error = self.error or error
        view[n:] = bytes(len(view) - n)
        self._place += len(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        self._end = self._place if size is None else size
        if self.error is None:
            try:
                self._file.truncate(self._end)
            except OSError as error:
                self.error = error
        return self._end

    def flush(self) -> None:
        """Nothing is buffered here."""

    def close(self) -> None:
        """Force everything to the disk and close.

        Raises
        ------
        OSError
            The first thing that went wrong, then or before.
        """
        try:
            self.check()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def _write_at(self, place: int, data: memoryview) -> int:
        self._file.seek(place)
        return self._file.write(data) or 0
