"""Find the chunks of a damaged journal page by page, without the tree that leads to them.

A chunk carries a checksum over all that it holds, so that what is found is known to be whole. The format of
the pages: https://sqlite.org/fileformat2.html, sections 1.6 (trees), 2.1 (records) and 4.1 (write-ahead log).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from duchenne.recorder.journal_format import checksum

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Row = tuple[int, int, float, bytes, bytes, "bytes | None", int]
"""Number, samples, time of arrival, stamps, data, lengths, checksum."""

_LEAF = 0x0D
_LEAF_HEADER_BYTES = 8
_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_COLUMNS = 8
_INTEGER_BYTES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}
_REAL = 7
_BLOB = 12


@dataclass
class ChunkSearch:
    """The chunks of a journal, found by looking at every page of it and of its write-ahead log.

    Parameters
    ----------
    journal : Path
    page_bytes : int, optional
        Size of a page, where the first page, which tells it, is lost.
    """

    journal: Path
    page_bytes: int | None = None
    _page_of: dict[int, int] = field(default_factory=dict, init=False)

    def rows(self, stream_id: int, after: int = 0) -> Iterator[Row]:
        """Yield the whole chunks of a stream with numbers larger than `after`, in order."""
        places = self._places.get(stream_id, {})
        with self.journal.open("rb") as main, self._open_log() as log:
            for number in sorted(key for key in places if key > after):
                for is_in_log, page_at, cell_at in reversed(places[number]):
                    page = _read(log if is_in_log else main, page_at, self._page_bytes)
                    row = self._row(stream_id, number, page, cell_at, (main, log))
                    if row is not None:
                        yield row
                        break

    def finds_any(self) -> bool:
        """Whether there is a whole chunk of any stream."""
        return any(next(self.rows(stream_id), None) is not None for stream_id in self._places)

    @cached_property
    def _page_bytes(self) -> int:
        if self.page_bytes is not None:
            return self.page_bytes
        with self.journal.open("rb") as main:
            (size,) = struct.unpack(">H", _read(main, 16, 2))
        return 65536 if size == 1 else size

    @property
    def _log_path(self) -> Path:
        return self.journal.with_name(f"{self.journal.name}-wal")

    def _open_log(self) -> Any:
        return (self._log_path if self._log_path.is_file() else self.journal).open("rb")

    @cached_property
    def _places(self) -> dict[int, dict[int, list[tuple[bool, int, int]]]]:
        """Where the cells of chunks are, oldest first: by stream and number, log or not, page, cell."""
        found: dict[int, dict[int, list[tuple[bool, int, int]]]] = {}
        for is_in_log, at, page in self._pages():
            for cell_at in _cells(page):
                try:
                    _, place = _varint(page, cell_at)
                    number, place = _varint(page, place)
                    stream_id = _stream_of(page, place)
                except (IndexError, ValueError):
                    continue
                if stream_id is not None:
                    numbers = found.setdefault(stream_id, {})
                    numbers.setdefault(number, []).append((is_in_log, at, cell_at))
        return found

    def _pages(self) -> Iterator[tuple[bool, int, bytes]]:
        size = self._page_bytes
        with self.journal.open("rb") as main:
            at = size  # the first page holds no chunks
            while len(page := _read(main, at, size)) == size:
                yield False, at, page
                at += size
        if not self._log_path.is_file():
            return
        with self._log_path.open("rb") as log:
            salts = _read(log, 16, 8)
            at = _LOG_HEADER_BYTES
            while len(frame := _read(log, at, _FRAME_HEADER_BYTES + size)) > size:
                if len(frame) == _FRAME_HEADER_BYTES + size and frame[8:16] == salts:
                    (number,) = struct.unpack(">I", frame[:4])
                    self._page_of[number] = at + _FRAME_HEADER_BYTES
                    yield True, at + _FRAME_HEADER_BYTES, frame[_FRAME_HEADER_BYTES:]
                at += _FRAME_HEADER_BYTES + size

    def _row(
        self, stream_id: int, number: int, page: bytes, cell_at: int, files: tuple[Any, Any]
    ) -> Row | None:
        try:
            length, place = _varint(page, cell_at)
            _, place = _varint(page, place)
            values = _record(self._payload(page, place, length, files))
        except (IndexError, ValueError, struct.error):
            return None
        _, stream, n, received_s, stamps, data, lengths, crc = values
        if stream != stream_id or checksum(stream, n, stamps, data, lengths) != crc:
            return None
        return number, n, float(received_s), stamps, data, lengths, crc

    def _payload(self, page: bytes, at: int, length: int, files: tuple[Any, Any]) -> bytes:
        """Return what a cell holds, with its overflow pages."""
        size = self._page_bytes
        most = size - 35
        if length <= most:
            return page[at : at + length]
        least = (size - 12) * 32 // 255 - 23
        local = least + (length - least) % (size - 4)
        local = local if local <= most else least
        parts, missing = [page[at : at + local]], length - local
        (following,) = struct.unpack(">I", page[at + local : at + local + 4])
        while missing > 0:
            if following < 2:
                raise ValueError("the chain of overflow pages ends early")
            place = self._page_of.get(following)
            more = (
                _read(files[0], (following - 1) * size, size)
                if place is None
                else _read(files[1], place, size)
            )
            (following,) = struct.unpack(">I", more[:4])
            parts.append(more[4 : 4 + missing])
            missing -= size - 4
        return b"".join(parts)


def _read(file: Any, at: int, n: int) -> bytes:
    file.seek(at)
    data: bytes = file.read(n)
    return data


def _cells(page: bytes) -> Iterator[int]:
    """Yield where the cells of a leaf page begin, none of another page."""
    if page[0] != _LEAF:
        return
    n = min(int.from_bytes(page[3:5], "big"), (len(page) - _LEAF_HEADER_BYTES) // 2)
    for number in range(n):
        at = _LEAF_HEADER_BYTES + 2 * number
        yield int.from_bytes(page[at : at + 2], "big")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of 1 to 9 bytes and the place behind it."""
    value = 0
    for place in range(at, at + 8):
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9


def _types(data: bytes, at: int) -> tuple[list[int], int]:
    """Return the types of the values of a record that may be a chunk, and where the values begin.

    Raises
    ------
    ValueError
        It is no chunk.
    """
    length, place = _varint(data, at)
    end = at + length
    types: list[int] = []
    while place < end and len(types) <= _COLUMNS:
        kind, place = _varint(data, place)
        types.append(kind)
    blobs = len(types) == _COLUMNS and all(t >= _BLOB and t % 2 == 0 for t in types[4:6])
    if not blobs or types[0] or not all(t in _INTEGER_BYTES for t in (*types[1:4], types[7])):
        raise ValueError("not a chunk")
    if types[6] and (types[6] < _BLOB or types[6] % 2):
        raise ValueError("not a chunk")
    return types, end


def _stream_of(page: bytes, at: int) -> int | None:
    """Return the stream of a chunk from the beginning of its record."""
    types, place = _types(page, at)
    value = _value(types[1], page[place : place + _INTEGER_BYTES[types[1]]])
    return value if isinstance(value, int) else None


def _record(payload: bytes) -> list[Any]:
    types, place = _types(payload, 0)
    values = []
    for kind in types:
        size = (kind - _BLOB) // 2 if kind >= _BLOB else _INTEGER_BYTES[kind]
        values.append(_value(kind, payload[place : place + size]))
        place += size
    return values


def _value(kind: int, data: bytes) -> Any:
    if kind >= _BLOB:
        return data
    if kind == _REAL:
        return struct.unpack(">d", data)[0]
    if kind in {8, 9}:
        return kind - 8
    return int.from_bytes(data, "big", signed=True) if kind else None
