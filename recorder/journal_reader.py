"""Reads a journal, complete, still growing, or damaged: what is intact is given out, the rest is named."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.chunk_search import ChunkSearch
from duchenne.recorder.journal_format import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    Chunk,
    Segment,
    StoredStream,
    checksum,
    decode,
    text_checksum,
)
from duchenne.recorder.log_check import is_journal
from duchenne.recorder.streams import StreamInfo
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    import numpy.typing as npt


DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading damaged pages raises; the latter where SQLite's own message quotes them."""


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
        self._search = ChunkSearch(path)
        if not path.is_file():
            raise DuchenneError(f"{path} does not exist: name the .journal file of a recording.")
        mode = "ro" if read_only else "rw"
        try:
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None
            )
            self._connection.text_factory = lambda text: text.decode("utf-8", "replace")
            (application,) = self._connection.execute("PRAGMA application_id").fetchone()
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.OperationalError as error:
            raise DuchenneError(f"{path} cannot be read now: {error}.") from error
        except DAMAGE as error:
            what = "is damaged" if is_journal(path) else "is not a Duchenne journal"
            raise DuchenneError(f"{path} {what} ({error}).") from error
        if application != APPLICATION_ID:
            self._connection.close()
            raise DuchenneError(
                f"{path} is not a Duchenne journal: another program wrote it, or it is just being made."
            )
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
        found = {}
        for key, value in self._intact("SELECT key, value FROM meta", "facts of the session"):
            try:
                found[key] = json.loads(value)
            except ValueError:
                self._note(f"fact {key} of the session")
        return found

    @property
    def streams(self) -> list[StoredStream]:
        """Streams in the order in which they appeared; the journal holds each description twice."""
        query = "SELECT id, group_name, info FROM streams ORDER BY id"
        rows = {row[0]: row[1:] for row in self._intact(query, "descriptions of streams")}
        query = "SELECT id, group_name, info, crc FROM streams_copy ORDER BY id"
        for number, group, info, crc in self._intact(query, "copies of descriptions"):
            if crc == text_checksum(number, group, info) and rows.get(number) != (group, info):
                self._note(f"description of stream {number}; its copy is used")
                rows[number] = (group, info)
        found = []
        for number, (group, info) in sorted(rows.items()):
            try:
                stream = StoredStream(number, group, StreamInfo.from_json(json.loads(info)))
            except (ValueError, KeyError, TypeError):
                self._note(f"description of stream {number}, which cannot be read")
            else:
                found.append(stream)
        return found

    def segments(self, stream_id: int) -> list[Segment]:
        """Return the appearances of a stream."""
        query = "SELECT start_index, uid, opened_s FROM segments WHERE stream=? ORDER BY rowid"
        rows = self._intact(query, "appearances of streams", stream_id)
        return [Segment(*row) for row in rows]

    def clock_offsets(self, stream_id: int) -> npt.NDArray[np.float64]:
        """Return the clock measurements, shape (m, 3): time, offset, uncertainty (NaN unknown)."""
        query = "SELECT time_s, offset_s, uncertainty_s FROM clock_offsets WHERE stream=? ORDER BY rowid"
        rows = list(self._intact(query, "clock measurements", stream_id))
        table = np.array(rows, dtype=np.float64).reshape(-1, 3)
        table[table[:, 2] < 0, 2] = np.nan
        return table

    def log(self) -> list[tuple[float, str, str]]:
        """Return what happened to the recording."""
        query = "SELECT time_s, kind, detail FROM log ORDER BY rowid"
        return list(self._intact(query, "log of the recording"))

    def counts(self) -> dict[int, int]:
        """Return the number of committed samples of each stream; empty, and noted, if that is damaged."""
        try:
            rows = self._connection.execute("SELECT stream, SUM(n) FROM chunks GROUP BY stream")
            return dict(rows.fetchall())
        except DAMAGE as error:
            self._note(f"numbers of samples: {error}")
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
            if checksum(stream.id, n, timestamps, data, lengths) == crc:
                stamps = np.frombuffer(timestamps, dtype="<f8")
                yield Chunk(stamps, decode(stream.info, n, data, lengths), received)
            else:
                self.damaged.append(f"chunk {number} of stream {stream.info.name}, {n} samples")
                self.dropped.setdefault(stream.id, []).append((before, n))
            before += n

    def _intact(self, query: str, what: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query up to the first that cannot be read, which is noted as damage."""
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
        except DAMAGE as error:
            self._note(f"{what}: {error}")

    def _note(self, damage: str) -> None:
        if damage not in self.damaged:
            self.damaged.append(damage)

    def _rows(self, stream: StoredStream) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a stream; behind pages that cannot be read, those that a search finds."""
        columns = "id, n, received_s, timestamps, data, lengths, crc"
        last = 0
        for table in ("chunks", "chunks NOT INDEXED"):  # perhaps only the index is damaged
            try:
                for row in self._connection.execute(
                    f"SELECT {columns} FROM {table} WHERE stream=? AND id>? ORDER BY id",  # noqa: S608
                    (stream.id, last),
                ):
                    last = row[0]
                    yield row
            except DAMAGE as error:
                self._note(f"index of chunks, or chunks: {error}")
            else:
                return
        n = 0
        for row in self._search.rows(stream.id, last):
            n += 1
            yield row
        self._note(
            f"chunks of stream {stream.info.name} behind number {last}: {n} were found whole by a search of "
            "all pages, the others are lost"
        )
