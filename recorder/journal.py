"""The crash-safe journal: every sample is committed here as it arrives.

A journal is an SQLite database in write-ahead-log mode. Each commit is one transaction, so whatever
kills the recorder leaves a readable file that ends with the last commit. Checkpoints run on a
connection of their own, off the writing thread, so that they never delay a commit. Other processes may
read the journal while it grows.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.journal_format import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    checksum,
    encode,
    group_name_for,
    text_checksum,
)
from duchenne.recorder.lock import JournalLock
from duchenne.recorder.reserve import Reserve
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import numpy.typing as npt

    from duchenne.recorder.streams import StreamInfo

CHECKPOINT_INTERVAL_S = 2.0

_ROW_ERRORS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    ValueError,
    OverflowError,
)
"""What SQLite raises over a value, not over the disk: to try again would refuse all that comes after."""

_SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE streams(id INTEGER PRIMARY KEY, group_name TEXT UNIQUE NOT NULL, info TEXT NOT NULL);
CREATE TABLE streams_copy(
    id INTEGER PRIMARY KEY, group_name TEXT NOT NULL, info TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE segments(
    stream INTEGER NOT NULL, start_index INTEGER NOT NULL, uid TEXT NOT NULL, opened_s REAL NOT NULL);
CREATE TABLE chunks(
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, n INTEGER NOT NULL, received_s REAL NOT NULL,
    timestamps BLOB NOT NULL, data BLOB NOT NULL, lengths BLOB, crc INTEGER NOT NULL);
CREATE INDEX chunks_by_stream ON chunks(stream, id);
CREATE TABLE clock_offsets(
    stream INTEGER NOT NULL, time_s REAL NOT NULL, offset_s REAL NOT NULL, uncertainty_s REAL NOT NULL);
CREATE TABLE log(time_s REAL NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL);
"""


class JournalWriteError(DuchenneError):
    """The disk does not take what the journal should hold."""


class Journal:
    """Writer of a journal; one thread writes, a background thread checkpoints.

    Use :meth:`create`. What is added waits in memory until :meth:`commit` puts all of it on the disk in one
    transaction; where the disk refuses, it goes on waiting and the next commit tries again.

    Attributes
    ----------
    used_reserve : bool
        Whether the disk was full, so that the room kept back for this (`Reserve`) is in use.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: JournalLock) -> None:
        self.path = path
        self._lock = lock
        self._connection = connection
        self._identity = _identity(path)
        self._reserve = Reserve(path)
        self.used_reserve = False
        self._groups: set[str] = set()
        self._counts: dict[int, int] = {}
        self._pending: list[tuple[str, tuple[Any, ...]]] = []
        self._pending_bytes = 0
        self._stop = threading.Event()
        self._checkpointer = threading.Thread(
            target=self._checkpoint_loop, name="journal-checkpoint", daemon=True
        )
        self._checkpointer.start()

    @classmethod
    def create(cls, path: Path, meta: Mapping[str, Any], *, fsync: bool = False) -> Journal:
        """Create a journal that does not exist yet.

        Parameters
        ----------
        path : Path
            Of the new file.
        meta : mapping
            JSON-compatible facts about the session, kept from the first commit on.
        fsync : bool
            Force each commit to the disk, against power loss as well as crashes.

        Raises
        ------
        DuchenneError
            If the file exists or its folder cannot be written.
        """
        _refuse_another(path)
        lock = JournalLock(path)
        connection: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            _refuse_another(path)  # it may have come before the lock was ours
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            make_tables(connection, fsync=fsync)
        except (OSError, sqlite3.Error, DuchenneError) as error:
            if connection is not None:
                connection.close()
            lock.release()
            if isinstance(error, DuchenneError):
                raise
            raise DuchenneError(f"cannot write {path}: {error}. Choose another folder.") from error
        journal = cls(path, connection, lock)
        journal.set_meta(**meta)
        try:
            journal.commit()
        except JournalWriteError:
            journal.abandon()
            raise
        return journal

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(*([JournalWriteError] if error else [])):
            self.close()  # an error that is told already is told once

    @property
    def pending_bytes(self) -> int:
        """Samples that wait for the next commit, in bytes."""
        return self._pending_bytes

    @property
    def is_in_place(self) -> bool:
        """Whether the file is still where it was made: nobody moved or removed it or its folder."""
        return _identity(self.path) == self._identity

    def set_meta(self, **values: Any) -> None:
        """Store JSON-compatible facts; a later value replaces an earlier one."""
        for key, value in values.items():
            self._add("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, json.dumps(value))

    def add_stream(self, info: StreamInfo) -> int:
        """Register a stream and return its number."""
        group = group_name_for(info.name, self._groups)
        stream_id = len(self._counts) + 1
        text = json.dumps(info.to_json())
        crc = text_checksum(stream_id, group, text)
        self._add("INSERT INTO streams VALUES (?, ?, ?)", stream_id, group, text)
        self._add("INSERT INTO streams_copy VALUES (?, ?, ?, ?)", stream_id, group, text, crc)
        self._groups.add(group)
        self._counts[stream_id] = 0
        return stream_id

    def add_segment(self, stream_id: int, uid: str, opened_s: float) -> None:
        """Note that a stream (re-)appeared; its next sample starts the segment."""
        values = (stream_id, self._counts[stream_id], uid, opened_s)
        self._add("INSERT INTO segments VALUES (?, ?, ?, ?)", *values)

    def append(
        self,
        stream_id: int,
        timestamps: npt.NDArray[np.float64],
        samples: npt.NDArray[Any] | Sequence[Sequence[bytes]],
        *,
        received_s: float = 0.0,
    ) -> None:
        """Add samples to what the next commit stores.

        Parameters
        ----------
        stream_id : int
            From :meth:`add_stream`.
        timestamps : ndarray, shape (n,)
            As received.
        samples : ndarray, shape (n, channels), or rows of bytes
            Numeric values of the stream's type; an object array or rows of bytes for strings.
        received_s : float
            Time on the recorder's LSL clock at which the samples were drained.
        """
        n = len(timestamps)
        if not n:
            return
        stamps = np.ascontiguousarray(timestamps, dtype="<f8").tobytes()
        data, lengths = encode(samples)
        crc = checksum(stream_id, n, stamps, data, lengths)
        self._add(
            "INSERT INTO chunks(stream, n, received_s, timestamps, data, lengths, crc) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(stream_id, n, received_s, stamps, data, lengths, crc),
        )
        self._pending_bytes += len(stamps) + len(data)
        self._counts[stream_id] += n

    def add_clock_offset(
        self, stream_id: int, time_s: float, offset_s: float, uncertainty_s: float = float("nan")
    ) -> None:
        """Store one clock measurement: `offset_s` added to the sender's time gives the recorder's."""
        uncertainty = -1.0 if np.isnan(uncertainty_s) else uncertainty_s
        values = (stream_id, time_s, offset_s, uncertainty)
        if not np.isfinite(values).all():
            return  # it says nothing, and SQLite has no NaN
        self._add("INSERT INTO clock_offsets VALUES (?, ?, ?, ?)", *values)

    def log(self, time_s: float, kind: str, detail: str) -> None:
        """Store what happened to the recording: streams found, lost, errors."""
        self._add("INSERT INTO log VALUES (?, ?, ?)", time_s, kind, detail)

    def commit(self) -> None:
        """Make everything so far visible and safe against a crash of the process.

        Raises
        ------
        JournalWriteError
            If the disk refuses; everything waits for the next call.
        """
        if not self._pending:
            return
        try:
            self._write()
        except sqlite3.Error as error:
            if not self._reserve.release():
                raise JournalWriteError(f"cannot write {self.path}: {error}") from error
            self.used_reserve = True
            try:
                self._write()
            except sqlite3.Error as again:
                raise JournalWriteError(f"cannot write {self.path}: {again}") from again
        self._pending.clear()
        self._pending_bytes = 0

    def _write(self) -> None:
        """Put what waits on the disk in one transaction, or nothing of it."""
        try:
            self._connection.execute("BEGIN")
            refused = [text for row in self._pending if (text := self._insert(*row))]
            for text in refused:
                self._insert("INSERT INTO log VALUES (0, 'refused', ?)", (text,))
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def _insert(self, statement: str, values: tuple[Any, ...]) -> str | None:
        """Insert one row; return what is wrong with a row that will never do, so that the rest is kept."""
        try:
            self._connection.execute(statement, values)
        except _ROW_ERRORS as error:
            return f"{statement.split('(', maxsplit=1)[0].strip()}: {type(error).__name__}: {error}"
        return None

    def sample_count(self, stream_id: int) -> int:
        """Return how many samples of a stream were appended."""
        return self._counts[stream_id]

    def close(self) -> None:
        """Commit, fold the log into the database where there is room, and close.

        Raises
        ------
        JournalWriteError
            If the disk refuses the last commit; the journal is closed all the same.
        """
        try:
            self.set_meta(closed=True)
            self.commit()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close without storing what waits."""
        self._stop.set()
        self._checkpointer.join()
        with contextlib.suppress(sqlite3.Error):  # what is in the log can be read from there
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        self._reserve.remove()
        self._lock.release()

    def _add(self, statement: str, *values: Any) -> None:
        self._pending.append((statement, values))

    def _checkpoint_loop(self) -> None:
        self._reserve.take()  # here, since it may take a second on a slow disk
        connection: sqlite3.Connection | None = None
        where = (
            f"{self.path.resolve().as_uri()}?mode=rw"  # never a new file where it was moved away
        )
        while not self._stop.wait(CHECKPOINT_INTERVAL_S):
            # A full disk, a busy reader or a lost folder shows at the next commit; here it only waits.
            with contextlib.suppress(sqlite3.Error):
                connection = connection or sqlite3.connect(where, uri=True, isolation_level=None)
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if connection is not None:
            connection.close()


def make_tables(connection: sqlite3.Connection, *, fsync: bool = False) -> None:
    """Make an empty database a journal that is on the disk from the first moment.

    Without its tables there, no log could be read after a power loss.
    """
    connection.execute("PRAGMA page_size=8192")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={'FULL' if fsync else 'NORMAL'}")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    # In one transaction, the mark last: a file with the mark is whole.
    mark = f"PRAGMA user_version={SCHEMA_VERSION}; PRAGMA application_id={APPLICATION_ID};"
    connection.executescript("BEGIN;" + _SCHEMA + mark + "COMMIT;")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _refuse_another(path: Path) -> None:
    """Refuse a journal that is there, also one of which only the log is left: SQLite would delete that."""
    if path.exists():
        raise DuchenneError(
            f"{path} already exists: an earlier recording was not sealed. "
            f"Run `duchenne recover {path}` or choose another name."
        )
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        raise DuchenneError(
            f"{log} holds the end of a recording whose {path.name} is gone: put that back beside it and "
            "run `duchenne recover`, or choose another name."
        )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
