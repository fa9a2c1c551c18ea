"""Rows of numbers that wait on the disk until all of a film has been read."""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from duchenne.analysis.face.frames import FloatArray

# Less than this stays in memory: about 20 minutes of film.
MEMORY_BYTES = 16 * 2**20


class Spool:
    """A table of float32 that grows by rows and is read in pieces.

    Parameters
    ----------
    n_columns : int
    memory_bytes : int
        What is larger goes into a temporary file, which nobody sees and which is gone after `close`.
    """

    def __init__(self, n_columns: int, memory_bytes: int = MEMORY_BYTES) -> None:
        self.n_columns = n_columns
        self._file: IO[bytes] = SpooledTemporaryFile(memory_bytes)  # noqa: SIM115 (closed in __exit__)
        self._n = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._n

    def close(self) -> None:
        """Let go of the rows."""
        self._file.close()

    def append(self, rows: FloatArray) -> None:
        """Add rows at the end.

        Parameters
        ----------
        rows : (n, n_columns) float64

        Raises
        ------
        DuchenneError
            When the folder for temporary files is full.
        """
        try:
            self._file.seek(self._n * self._row_bytes)
            self._file.write(np.ascontiguousarray(rows, np.float32).tobytes())
        except OSError as error:
            raise DuchenneError(
                f"no room for temporary files ({error.strerror or error}): free some, or point TMPDIR "
                "to a folder with room."
            ) from error
        self._n += len(rows)

    def read(self, first: int, last: int) -> FloatArray:
        """Return rows from `first` up to, not including, `last`: (n, n_columns) float64."""
        first, last = max(first, 0), min(last, self._n)
        n = max(0, last - first)
        self._file.seek(first * self._row_bytes)
        content = self._file.read(n * self._row_bytes)
        return np.frombuffer(content, np.float32).reshape(n, self.n_columns).astype(np.float64)

    def columns(
        self, rows: NDArray[np.intp], first: int, last: int, at_once: int = 4096
    ) -> FloatArray:
        """Return some columns of some rows.

        Parameters
        ----------
        rows : (m,) int
            Numbers of the rows, ascending.
        first, last : int
            The columns from `first` up to, not including, `last`.
        at_once : int
            Rows that are read at a time.

        Returns
        -------
        (m, last - first) float64
        """
        found = np.empty((len(rows), last - first))
        for row in range(0, self._n, at_once):
            begin, end = np.searchsorted(rows, (row, row + at_once))
            if end > begin:
                block = self.read(row, row + at_once)
                found[begin:end] = block[rows[begin:end] - row, first:last]
        return found

    @property
    def _row_bytes(self) -> int:
        return 4 * self.n_columns
