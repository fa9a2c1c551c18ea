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
import struct
import threading
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.lock import JournalLock
from duchenne.recorder.streams import StreamInfo
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import numpy.typing as npt

APPLICATION_ID = 0x44554348  # "DUCH"
SCHEMA_VERSION = 1
CHECKPOINT_INTERVAL_S = 2.0

_SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE streams(id INTEGER PRIMARY KEY, group_name TEXT UNIQUE NOT NULL, info TEXT NOT NULL);
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


@dataclass(frozen=True)
class Chunk:
    """Samples of one stream as they were committed together.

    Attributes
    ----------
    timestamps : ndarray, shape (n,)
        As received, seconds on the sender's LSL clock.
    samples : ndarray, shape (n, channels), or list of list of bytes
        Numeric values, or for strings one row of undecoded bytes per sample.
    received_s : float
        Time on the recorder's LSL clock at which they were drained; 0 where it is not known.
    """

    timestamps: npt.NDArray[np.float64]
    samples: npt.NDArray[Any] | list[list[bytes]]
    received_s: float


@dataclass(frozen=True)
class Segment:
    """One uninterrupted appearance of a stream, from `start_index` on."""

    start_index: int
    uid: str
    opened_s: float


@dataclass(frozen=True)
class StoredStream:
    """A stream of the journal: its number, its HDF5 group name and its description."""

    id: int
    group_name: str
    info: StreamInfo


def group_name_for(name: str, taken: set[str]) -> str:
    """Return the group name of a stream called `name`: percent-encoded, ``-2`` appended if taken.

    Examples
    --------
    >>> group_name_for("EEG/left", {"EEG%2Fleft"})
    'EEG%2Fleft-2'
    """
    base = name.replace("%", "%25").replace("/", "%2F").replace("\0", "%00") or "unnamed"
    if set(base) == {"."}:
        base = base.replace(".", "%2E")
    candidate, number = base, 1
    while candidate in taken:
        number += 1
        candidate = f"{base}-{number}"
    return candidate


class Journal:
    """Writer of a journal; one thread writes, a background thread checkpoints.

    Use :meth:`create`; nothing is visible to readers before :meth:`commit`.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: JournalLock) -> None:
        self.path = path
        self._lock = lock
        self._connection = connection
        self._groups: set[str] = set()
        self._counts: dict[int, int] = {}
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
        if path.exists():
            raise DuchenneError(
                f"{path} already exists: an earlier recording was not sealed. "
                f"Run `duchenne recover {path}` or choose another name."
            )
        lock = JournalLock(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA page_size=8192")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={'FULL' if fsync else 'NORMAL'}")
            connection.execute("PRAGMA wal_autocheckpoint=0")
            # In one transaction, the mark last: a file with the mark is whole.
            mark = f"PRAGMA user_version={SCHEMA_VERSION}; PRAGMA application_id={APPLICATION_ID};"
            connection.executescript("BEGIN;" + _SCHEMA + mark + "COMMIT;")
        except (OSError, sqlite3.Error) as error:
            lock.release()
            raise DuchenneError(f"cannot write {path}: {error}. Choose another folder.") from error
        journal = cls(path, connection, lock)
        journal.set_meta(**meta)
        journal.commit()
        return journal

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def set_meta(self, **values: Any) -> None:
        """Store JSON-compatible facts; a later value replaces an earlier one."""
        self._begin()
        self._connection.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(key, json.dumps(value)) for key, value in values.items()],
        )

    def add_stream(self, info: StreamInfo) -> int:
        """Register a stream and return its number."""
        group = group_name_for(info.name, self._groups)
        self._begin()
        cursor = self._connection.execute(
            "INSERT INTO streams(group_name, info) VALUES (?, ?)",
            (group, json.dumps(info.to_json())),
        )
        self._groups.add(group)
        stream_id = int(cursor.lastrowid or 0)
        self._counts[stream_id] = 0
        return stream_id

    def add_segment(self, stream_id: int, uid: str, opened_s: float) -> None:
        """Note that a stream (re-)appeared; its next sample starts the segment."""
        self._begin()
        self._connection.execute(
            "INSERT INTO segments VALUES (?, ?, ?, ?)",
            (stream_id, self._counts[stream_id], uid, opened_s),
        )

    def append(
        self,
        stream_id: int,
        timestamps: npt.NDArray[np.float64],
        samples: npt.NDArray[Any] | Sequence[Sequence[bytes]],
        *,
        received_s: float = 0.0,
    ) -> None:
        """Add samples to the open transaction.

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
        stamps = np.ascontiguousarray(timestamps, dtype="<f8")
        if not len(stamps):
            return
        data, lengths = _encode(samples)
        crc = _checksum(stream_id, len(stamps), stamps.tobytes(), data, lengths)
        self._begin()
        self._connection.execute(
            "INSERT INTO chunks(stream, n, received_s, timestamps, data, lengths, crc) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (stream_id, len(stamps), received_s, stamps.tobytes(), data, lengths, crc),
        )
        self._counts[stream_id] += len(stamps)

    def add_clock_offset(
        self, stream_id: int, time_s: float, offset_s: float, uncertainty_s: float = float("nan")
    ) -> None:
        """Store one clock measurement: `offset_s` added to the sender's time gives the recorder's."""
        self._begin()
        uncertainty = -1.0 if np.isnan(uncertainty_s) else uncertainty_s
        self._connection.execute(
            "INSERT INTO clock_offsets VALUES (?, ?, ?, ?)",
            (stream_id, time_s, offset_s, uncertainty),
        )

    def log(self, time_s: float, kind: str, detail: str) -> None:
        """Store what happened to the recording: streams found, lost, errors."""
        self._begin()
        self._connection.execute("INSERT INTO log VALUES (?, ?, ?)", (time_s, kind, detail))

    def commit(self) -> None:
        """Make everything so far visible and safe against a crash of the process."""
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")

    def sample_count(self, stream_id: int) -> int:
        """Return how many samples of a stream were appended."""
        return self._counts[stream_id]

    def close(self) -> None:
        """Commit, fold the log into the database and close."""
        self._stop.set()
        self._checkpointer.join()
        try:
            self.set_meta(closed=True)
            self.commit()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._connection.close()
            self._lock.release()

    def _begin(self) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")

    def _checkpoint_loop(self) -> None:
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            while not self._stop.wait(CHECKPOINT_INTERVAL_S):
                # A full disk or a busy reader shows at the next commit; here it only waits.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            connection.close()


class JournalReader:
    """Reader of a journal, complete or still growing.

    Parameters
    ----------
    path : Path
        Of the journal.
    read_only : bool
        True for a monitor beside a running recorder; False folds in the log that a crash left.
    """

    def __init__(self, path: Path, *, read_only: bool = True) -> None:
        self.path = path
        self.damaged: list[str] = []
        self.dropped: dict[int, list[tuple[int, int]]] = {}
        if not path.is_file():
            raise DuchenneError(f"{path} does not exist: name the .journal file of a recording.")
        mode = "ro" if read_only else "rw"
        try:
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None
            )
            (application,) = self._connection.execute("PRAGMA application_id").fetchone()
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.OperationalError as error:
            raise DuchenneError(f"{path} cannot be read now: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise DuchenneError(f"{path} is not a Duchenne journal ({error}).") from error
        if application != APPLICATION_ID:
            self._connection.close()
            raise DuchenneError(f"{path} is not a Duchenne journal: another program wrote it.")
        if version > SCHEMA_VERSION:
            self._connection.close()
            raise DuchenneError(
                f"{path} was written by a newer Duchenne (journal version {version}): update Duchenne."
            )

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def meta(self) -> dict[str, Any]:
        """Facts about the session."""
        rows = self._connection.execute("SELECT key, value FROM meta").fetchall()
        return {key: json.loads(value) for key, value in rows}

    @property
    def streams(self) -> list[StoredStream]:
        """Streams in the order in which they appeared."""
        rows = self._connection.execute("SELECT id, group_name, info FROM streams ORDER BY id")
        return [
            StoredStream(number, group, StreamInfo.from_json(json.loads(info)))
            for number, group, info in rows
        ]

    def segments(self, stream_id: int) -> list[Segment]:
        """Return the appearances of a stream."""
        rows = self._connection.execute(
            "SELECT start_index, uid, opened_s FROM segments WHERE stream=? ORDER BY rowid",
            (stream_id,),
        )
        return [Segment(*row) for row in rows]

    def clock_offsets(self, stream_id: int) -> npt.NDArray[np.float64]:
        """Return the clock measurements, shape (m, 3): time, offset, uncertainty (NaN unknown)."""
        rows = self._connection.execute(
            "SELECT time_s, offset_s, uncertainty_s FROM clock_offsets WHERE stream=? ORDER BY rowid",
            (stream_id,),
        ).fetchall()
        table = np.array(rows, dtype=np.float64).reshape(-1, 3)
        table[table[:, 2] < 0, 2] = np.nan
        return table

    def log(self) -> list[tuple[float, str, str]]:
        """Return what happened to the recording."""
        return list(self._connection.execute("SELECT time_s, kind, detail FROM log ORDER BY rowid"))

    def counts(self) -> dict[int, int]:
        """Return the number of committed samples of each stream; empty if the file is damaged."""
        try:
            rows = self._connection.execute("SELECT stream, SUM(n) FROM chunks GROUP BY stream")
            return dict(rows.fetchall())
        except sqlite3.DatabaseError:
            return {}

    def last_received_s(self) -> dict[int, float]:
        """Return when the newest samples of each stream were drained, on the recorder's LSL clock."""
        rows = self._connection.execute(
            "SELECT stream, MAX(received_s) FROM chunks GROUP BY stream"
        )
        return dict(rows.fetchall())

    def chunks(self, stream: StoredStream) -> Iterator[Chunk]:
        """Yield the intact chunks of a stream in order.

        Damaged ones, and places of the file that cannot be read, are listed in `damaged`; how many samples
        of the stream went before each damaged chunk, and how many were in it, in `dropped`.
        """
        before = 0
        for number, n, received, timestamps, data, lengths, crc in self._rows(stream):
            if _checksum(stream.id, n, timestamps, data, lengths) == crc:
                stamps = np.frombuffer(timestamps, dtype="<f8")
                yield Chunk(stamps, _decode(stream.info, n, data, lengths), received)
            else:
                self.damaged.append(f"chunk {number} of stream {stream.info.name}, {n} samples")
                self.dropped.setdefault(stream.id, []).append((before, n))
            before += n

    def _rows(self, stream: StoredStream) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a stream, going on behind pages that cannot be read."""
        columns = "id, n, received_s, timestamps, data, lengths, crc"
        last = 0
        while True:
            try:
                for row in self._connection.execute(
                    f"SELECT {columns} FROM chunks WHERE stream=? AND id>? ORDER BY id",  # noqa: S608
                    (stream.id, last),
                ):
                    last = row[0]
                    yield row
            except sqlite3.DatabaseError as error:
                following = self._next_readable(last)
                self.damaged.append(f"stream {stream.info.name} behind chunk {last}: {error}")
                if following is None:
                    return
                last = following - 1
            else:
                return

    def _next_readable(self, last: int) -> int | None:
        """Return the first chunk behind `last` that can be read again, None if there is none."""
        with contextlib.suppress(sqlite3.DatabaseError):
            (newest,) = self._connection.execute("SELECT MAX(id) FROM chunks").fetchone()
            for number in range(last + 2, (newest or 0) + 1):
                with contextlib.suppress(sqlite3.DatabaseError):
                    row = self._connection.execute(
                        "SELECT length(data) FROM chunks WHERE id=?", (number,)
                    ).fetchone()
                    if row is not None:
                        return number
        return None


def _checksum(stream_id: int, n: int, timestamps: bytes, data: bytes, lengths: bytes | None) -> int:
    """Return the CRC-32 of everything that a chunk holds."""
    crc = zlib.crc32(struct.pack("<qq", stream_id, n))
    for part in (timestamps, data, lengths or b""):
        crc = zlib.crc32(part, crc)
    return crc


def _encode(
    samples: npt.NDArray[Any] | Sequence[Sequence[bytes]],
) -> tuple[bytes, bytes | None]:
    if isinstance(samples, np.ndarray) and samples.dtype != np.object_:
        little_endian = samples.dtype.newbyteorder("<")
        return np.ascontiguousarray(samples, dtype=little_endian).tobytes(), None
    values = [value for row in samples for value in row]
    lengths = np.fromiter(map(len, values), dtype="<u4", count=len(values))
    return b"".join(values), lengths.tobytes()


def _decode(
    info: StreamInfo, n: int, data: bytes, lengths: bytes | None
) -> npt.NDArray[Any] | list[list[bytes]]:
    if lengths is None:
        values = np.frombuffer(data, dtype=info.dtype.newbyteorder("<"))
        return values.reshape(n, info.channel_count)
    ends = np.cumsum(np.frombuffer(lengths, dtype="<u4").astype(np.int64))
    starts = ends - np.frombuffer(lengths, dtype="<u4")
    flat = [data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    width = info.channel_count
    return [flat[i : i + width] for i in range(0, len(flat), width)]
