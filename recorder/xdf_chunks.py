"""The bytes of XDF 1.0: chunk tags, lengths of variable size, and samples with their stamps.

Everything here turns values into bytes or bytes into values; files are read in
:mod:`duchenne.recorder.xdf_reader` and written in :mod:`duchenne.recorder.xdf_writer`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from duchenne.recorder.streams import StreamInfo

MAGIC = b"XDF:"
BOUNDARY_MARK = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
"""Content of every Boundary chunk: what a reader looks for behind a damaged place."""
BLOCK_SAMPLES = 4096
BLOCK_BYTES = 4 << 20
_LENGTHS = {1: "<B", 4: "<I", 8: "<Q"}


class Tag(IntEnum):
    """Kinds of chunks."""

    FILE_HEADER = 1
    STREAM_HEADER = 2
    SAMPLES = 3
    CLOCK_OFFSET = 4
    BOUNDARY = 5
    STREAM_FOOTER = 6


STREAM_TAGS = frozenset({Tag.STREAM_HEADER, Tag.SAMPLES, Tag.CLOCK_OFFSET, Tag.STREAM_FOOTER})
"""Chunks that begin with the number of their stream."""


class DamagedError(Exception):
    """Bytes that are not what XDF wants there."""


@dataclass(frozen=True)
class Block:
    """Some samples of one stream.

    Attributes
    ----------
    stamps : ndarray, shape (n,)
        Seconds on the sender's clock, as received; NaN where the sender gave none that is a number.
    values : ndarray, shape (n, channels), or list of list of bytes
        Numbers of the stream's type, or for strings one row of undecoded bytes per sample.
    """

    stamps: npt.NDArray[np.float64]
    values: npt.NDArray[Any] | list[list[bytes]]


def pack_length(value: int) -> bytes:
    """Return a length in 1, 4 or 8 bytes, after the number of these bytes."""
    n_bytes = 1 if value < 1 << 8 else 4 if value < 1 << 32 else 8
    return struct.pack("<B", n_bytes) + struct.pack(_LENGTHS[n_bytes], value)


def unpack_length(data: memoryview, position: int) -> tuple[int, int]:
    """Return the length that stands at a position, and the position behind it.

    Raises
    ------
    DamagedError
        Where no length stands, or only a part of one.
    """
    n_bytes = data[position] if position < len(data) else 0
    code = _LENGTHS.get(n_bytes)
    behind = position + 1 + n_bytes
    if code is None or behind > len(data):
        raise DamagedError("no length of 1, 4 or 8 bytes")
    return int(struct.unpack_from(code, data, position + 1)[0]), behind


def pack_samples(block: Block) -> bytes:
    """Return the content of a Samples chunk behind its stream number; every stamp is written out."""
    head = b"\x04" + struct.pack("<I", len(block.stamps))
    if isinstance(block.values, np.ndarray):
        dtype = block.values.dtype.newbyteorder("<")
        record = np.dtype(
            [("size", "u1"), ("stamp", "<f8"), ("value", dtype, (block.values.shape[1],))]
        )
        table = np.empty(len(block.stamps), dtype=record)
        table["size"] = 8
        table["stamp"] = block.stamps
        table["value"] = block.values
        return head + table.tobytes()
    parts = [head]
    for stamp, row in zip(block.stamps.tolist(), block.values, strict=True):
        parts.append(struct.pack("<Bd", 8, stamp))
        for text in row:
            parts += (pack_length(len(text)), text)
    return b"".join(parts)


@dataclass
class SampleDecoder:
    """Decodes the Samples chunks of one stream, in their order in the file.

    Stamps that a chunk leaves out follow the one before by the nominal interval; therefore the decoder
    remembers the last one.

    Parameters
    ----------
    info : StreamInfo
    """

    info: StreamInfo
    _last_s: float = field(default=0.0, init=False)

    def decode(self, content: memoryview) -> Iterator[Block]:
        """Yield the samples of a chunk in blocks of at most 4096 samples or about 4 MiB.

        Parameters
        ----------
        content : memoryview
            Of a Samples chunk, behind its stream number.

        Raises
        ------
        DamagedError
            At the first sample that cannot be decoded, after all before it were yielded; the text
            says how many these were.
        """
        n, position = unpack_length(content, 0)
        n_done = 0
        read = self._read_texts if self.info.is_string else self._read_numbers
        while n_done < n:
            block, position = read(content, position, min(n - n_done, BLOCK_SAMPLES))
            if len(block.stamps):
                yield block
            n_done += len(block.stamps)
            if position < 0:
                raise DamagedError(f"{n_done} of {n} samples could be read")
        if position != len(content):
            raise DamagedError(f"{len(content) - position} bytes more than its {n} samples")

    def _read_numbers(self, content: memoryview, start: int, n: int) -> tuple[Block, int]:
        """Return up to `n` samples and the position behind them, -1 where the bytes are no sample."""
        width = self.info.channel_count
        dtype = self.info.dtype.newbyteorder("<")
        record = np.dtype([("size", "u1"), ("stamp", "<f8"), ("value", dtype, (width,))])
        n_whole = min(n, (len(content) - start) // record.itemsize)
        table = np.frombuffer(content, record, n_whole, start)
        n_stamped = n_whole if (table["size"] == 8).all() else int(np.argmin(table["size"] == 8))
        if n_stamped:
            stamps = table["stamp"][:n_stamped].astype(np.float64)
            self._last_s = float(stamps[-1])
            values = np.ascontiguousarray(table["value"][:n_stamped]).astype(self.info.dtype)
            return Block(stamps, values), start + n_stamped * record.itemsize
        return self._read_mixed(content, start, n)

    def _read_mixed(self, content: memoryview, start: int, n: int) -> tuple[Block, int]:
        """Read samples of which some come without a stamp."""
        size = self.info.channel_count * self.info.dtype.itemsize
        stamps: list[float] = []
        values: list[memoryview] = []
        position = start
        while len(stamps) < n:
            behind = self._read_stamp(content, position)
            if behind < 0 or behind + size > len(content):
                position = -1
                break
            stamps.append(self._last_s)
            values.append(content[behind : behind + size])
            position = behind + size
        table = np.frombuffer(b"".join(values), self.info.dtype.newbyteorder("<"))
        shaped = table.reshape(len(stamps), self.info.channel_count).astype(self.info.dtype)
        return Block(np.array(stamps, dtype=np.float64), shaped), position

    def _read_texts(self, content: memoryview, start: int, n: int) -> tuple[Block, int]:
        stamps: list[float] = []
        rows: list[list[bytes]] = []
        position, size = start, 0
        while len(stamps) < n and size < BLOCK_BYTES:
            before = self._last_s
            behind = self._read_stamp(content, position)
            row: list[bytes] = []
            try:
                for _ in range(self.info.channel_count if behind >= 0 else 0):
                    length, behind = unpack_length(content, behind)
                    row.append(bytes(content[behind : behind + length]))
                    behind += length
            except DamagedError:
                behind = -1
            if behind < 0 or behind > len(content):
                self._last_s = before
                position = -1
                break
            stamps.append(self._last_s)
            rows.append(row)
            size += behind - position
            position = behind
        return Block(np.array(stamps, dtype=np.float64), rows), position

    def _read_stamp(self, content: memoryview, position: int) -> int:
        """Note the stamp that stands at a position; return the position behind it, -1 if none does."""
        size = content[position] if position < len(content) else 255
        if size == 0:
            self._last_s += 1 / self.info.nominal_srate_hz if self.info.nominal_srate_hz else 0.0
            return position + 1
        if size == 8 and position + 9 <= len(content):
            (self._last_s,) = struct.unpack_from("<d", content, position + 1)
            return position + 9
        return -1


def texts_as_bytes(values: Sequence[Sequence[bytes]]) -> bytes:
    """Return strings with their lengths as one run of bytes, equal only for equal strings."""
    parts: list[bytes] = []
    for row in values:
        for text in row:
            parts += (struct.pack("<Q", len(text)), text)
    return b"".join(parts)
