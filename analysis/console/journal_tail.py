"""Follows a journal while it is being written, without ever being in its way.

Each look is a handful of short read-only statements: no transaction stays open, so that the recorder's log is
folded as if nobody looked. Of the samples only those are read that a page shows.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.journal_format import APPLICATION_ID, decode
from duchenne.recorder.streams import StreamInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

MAX_ROWS = 3000
"""Rows taken in by one look; a console that is opened late catches up in some seconds."""
SHORT_BYTES = 64 * 1024
"""Chunks up to this size are read whole; of larger ones only the first sample, unless all is wanted."""


@dataclass(frozen=True)
class Batch:
    """Samples of one stream that arrived together.

    Attributes
    ----------
    key : str
        Name of the stream's group.
    info : StreamInfo
    stamps_s : ndarray, shape (n,)
        As received.
    received_s : float
        On the recorder's LSL clock.
    samples : ndarray (k, channels), list of list of bytes, or None
        Those that were read: all of them, the first one, or none.
    """

    key: str
    info: StreamInfo
    stamps_s: npt.NDArray[np.float64]
    received_s: float
    samples: npt.NDArray[Any] | list[list[bytes]] | None = None


@dataclass
class News:
    """What a look at a journal brought.

    Attributes
    ----------
    batches : list of Batch
    offsets : list of (key, time_s, offset_s)
        Measurements of clocks.
    log : list of (time_s, kind, detail)
    streams : dict of str to StreamInfo
        Every stream that is there, whether it has sent anything or not.
    segments : dict of str to int
        How often each stream has appeared so far.
    has_all : bool
        Nothing more was there.
    """

    batches: list[Batch] = field(default_factory=list)
    offsets: list[tuple[str, float, float]] = field(default_factory=list)
    log: list[tuple[float, str, str]] = field(default_factory=list)
    streams: dict[str, StreamInfo] = field(default_factory=dict)
    segments: dict[str, int] = field(default_factory=dict)
    has_all: bool = True


class JournalTail:
    """Reads what a journal has got since the last look.

    Parameters
    ----------
    path : Path
        It may not be there yet, or be gone already.
    wants : callable
        Takes a stream's description and when its chunk arrived; returns ``all``, ``first`` or ``none``:
        which of the samples to read.
    """

    def __init__(self, path: Path, wants: Callable[[StreamInfo, float], str]) -> None:
        self.path = path
        self._wants = wants
        self._connection: sqlite3.Connection | None = None
        self._streams: dict[int, tuple[str, StreamInfo]] = {}
        self._chunk = self._offset = self._log = 0
        self._looks = 0
        self._segments: dict[str, int] = {}

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def meta(self) -> dict[str, Any]:
        """Return the facts about the session; empty while there is no journal."""
        found = {}
        for key, value in self._rows("SELECT key, value FROM meta"):
            with contextlib.suppress(ValueError):
                found[key] = json.loads(value)
        return found

    def look(self) -> News:
        """Return what has come since the last look; nothing while there is no journal."""
        news = News()
        rows = self._rows(
            "SELECT id, stream, n, received_s, timestamps, length(data) FROM chunks "
            "WHERE id > ? ORDER BY id LIMIT ?",
            *(self._chunk, MAX_ROWS),
        )
        news.has_all = len(rows) < MAX_ROWS
        if any(row[1] not in self._streams for row in rows):
            self._learn_streams()
        for number, stream, n, received_s, stamps, size in rows:
            self._chunk = number
            if stream in self._streams:
                key, info = self._streams[stream]
                samples = self._samples(number, info, n, received_s, size)
                times = np.frombuffer(stamps, dtype="<f8")
                news.batches.append(Batch(key, info, times, received_s, samples))
        self._look_at_the_rest(news)
        return news

    def _look_at_the_rest(self, news: News) -> None:
        query = (
            "SELECT rowid, stream, time_s, offset_s FROM clock_offsets WHERE rowid > ? LIMIT 5000"
        )
        for row, stream, time_s, offset_s in self._rows(query, self._offset):
            self._offset = row
            if stream in self._streams:
                news.offsets.append((self._streams[stream][0], time_s, offset_s))
        query = "SELECT rowid, time_s, kind, detail FROM log WHERE rowid > ? LIMIT 1000"
        for row, time_s, kind, detail in self._rows(query, self._log):
            self._log = row
            news.log.append((time_s, str(kind), str(detail)))
        self._looks += 1
        if self._looks % 5 == 1 or news.log:
            self._learn_streams()
            query = "SELECT stream, COUNT(*) FROM segments GROUP BY stream"
            counts = {self._streams[s][0]: n for s, n in self._rows(query) if s in self._streams}
            self._segments = counts
        news.streams = dict(self._streams.values())
        news.segments = self._segments

    def _samples(
        self, number: int, info: StreamInfo, n: int, received_s: float, size: int
    ) -> npt.NDArray[Any] | list[list[bytes]] | None:
        wanted = self._wants(info, received_s)
        if wanted == "none":
            return None
        if wanted == "all" or (not info.is_string and size <= SHORT_BYTES):
            for data, lengths in self._rows("SELECT data, lengths FROM chunks WHERE id=?", number):
                with contextlib.suppress(ValueError):
                    return decode(info, n, data, lengths)
        if info.is_string:
            return None
        first = info.dtype.itemsize * info.channel_count
        query = "SELECT substr(data, 1, ?) FROM chunks WHERE id=?"
        for (data,) in self._rows(query, first, number):
            with contextlib.suppress(ValueError):
                return decode(info, 1, data, None)
        return None

    def _learn_streams(self) -> None:
        for number, group, text in self._rows("SELECT id, group_name, info FROM streams"):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self._streams[number] = (group, StreamInfo.from_json(json.loads(text)))

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of one statement; none where the journal cannot be read now."""
        try:
            return self._connected().execute(query, values).fetchall()
        except (sqlite3.Error, OSError):
            return []

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                timeout=0.2,
                check_same_thread=False,
            )
            try:
                (mark,) = connection.execute("PRAGMA application_id").fetchone()
            except sqlite3.Error:
                connection.close()
                raise
            if mark != APPLICATION_ID:
                connection.close()
                raise sqlite3.OperationalError("it is just being made")
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            self._connection = connection
        return self._connection
