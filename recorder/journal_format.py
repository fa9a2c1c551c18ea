"""What a journal holds and how it is coded: the values that its writer and its reader share."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from duchenne.recorder.streams import StreamInfo

APPLICATION_ID = 0x44554348  # "DUCH"
SCHEMA_VERSION = 1


def journal_path_for(session_file: Path) -> Path:
    """Return the journal of a session file: ``x.h5`` journals to ``x.journal``."""
    return session_file.with_suffix(".journal")


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


def text_checksum(stream_id: int, group: str, info: str) -> int:
    """Return the CRC-32 of the description of a stream."""
    return zlib.crc32(f"{stream_id}/{group}/{info}".encode("utf-8", "surrogatepass"))


def checksum(stream_id: int, n: int, timestamps: bytes, data: bytes, lengths: bytes | None) -> int:
    """Return the CRC-32 of everything that a chunk holds."""
    crc = zlib.crc32(struct.pack("<qq", stream_id, n))
    for part in (timestamps, data, lengths or b""):
        crc = zlib.crc32(part, crc)
    return crc


def encode(
    samples: npt.NDArray[Any] | Sequence[Sequence[bytes]],
) -> tuple[bytes, bytes | None]:
    """Return the samples of a chunk as bytes; strings with the length (uint32) of each."""
    if isinstance(samples, np.ndarray) and samples.dtype != np.object_:
        little_endian = samples.dtype.newbyteorder("<")
        return np.ascontiguousarray(samples, dtype=little_endian).tobytes(), None
    values = [value for row in samples for value in row]
    lengths = np.fromiter(map(len, values), dtype="<u4", count=len(values))
    return b"".join(values), lengths.tobytes()


def decode(
    info: StreamInfo, n: int, data: bytes, lengths: bytes | None
) -> npt.NDArray[Any] | list[list[bytes]]:
    """Return what `encode` made of the samples of a chunk: (n, channels), or rows of bytes."""
    if lengths is None:
        values = np.frombuffer(data, dtype=info.dtype.newbyteorder("<"))
        return values.reshape(n, info.channel_count)
    ends = np.cumsum(np.frombuffer(lengths, dtype="<u4").astype(np.int64))
    starts = ends - np.frombuffer(lengths, dtype="<u4")
    flat = [data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    width = info.channel_count
    return [flat[i : i + width] for i in range(0, len(flat), width)]
