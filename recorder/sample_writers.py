"""Write the samples of one stream into its HDF5 group, block by block."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import TYPE_CHECKING, Any, Protocol

import h5py
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from duchenne.recorder.streams import StreamInfo

TEXT = h5py.string_dtype("utf-8")
CRC_ATTRIBUTE = "crc32"
READ_BLOCK_BYTES = 4 << 20
READ_BLOCK_TEXTS = 4096


def storable(text: str) -> str:
    """Return a text that HDF5 can hold: it takes neither NUL nor the lone surrogates that JSON may spell."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{SYMBOL FOR NULL}")


class SampleWriter(Protocol):
    """Writes the samples of one stream."""

    def write(self, blocks: Sequence[npt.NDArray[Any] | list[list[bytes]]]) -> None:
        """Append the samples of some chunks."""

    def finish(self) -> None:
        """Write what is known only at the end."""


def writer_for(node: h5py.Group, info: StreamInfo) -> SampleWriter:
    """Return the writer that fits a stream: numbers, text, or encoded frames."""
    if info.is_video:
        return _VideoWriter(node)
    if info.is_string:
        return _TextWriter(node, info.channel_count)
    return _NumericWriter(node, info.dtype, info.channel_count)


def growing(node: h5py.Group, name: str, dtype: Any, width: int | None = None) -> h5py.Dataset:
    """Make an empty dataset that grows by rows: (0,), or (0, width); every chunk carries a Fletcher sum."""
    rows = 4096 if width is None else max(1, min(4096, (1 << 20) // (8 * max(width, 1))))
    text = dtype is TEXT
    return node.create_dataset(
        name,
        shape=(0,) if width is None else (0, width),
        maxshape=(None,) if width is None else (None, width),
        chunks=(rows,) if width is None else (rows, max(width, 1)),
        dtype=dtype,
        compression=None if text else "gzip",
        compression_opts=None if text else 1,
        shuffle=not text,
        fletcher32=not text,
    )


def store(node: h5py.Group, name: str, values: npt.NDArray[Any]) -> h5py.Dataset:
    """Write a dataset that is known as a whole, protected as the samples are."""
    plain = len(values) > 0 and values.dtype.names is None and values.dtype != np.object_
    dataset = node.create_dataset(name, data=values, chunks=plain or None, fletcher32=plain)
    checksum = Checksum()
    checksum.add(values)
    checksum.store(dataset)
    return dataset


def store_texts(node: h5py.Group, name: str, values: Sequence[str]) -> None:
    """Write a column of texts."""
    safe = np.array([storable(value) for value in values], dtype=object)
    dataset = node.create_dataset(name, data=safe, dtype=TEXT)
    checksum = Checksum()
    checksum.add(safe)
    checksum.store(dataset)


def extend(dataset: h5py.Dataset, values: npt.NDArray[Any]) -> None:
    """Append rows to a growing dataset."""
    start = dataset.shape[0]
    dataset.resize(start + len(values), axis=0)
    dataset[start:] = values


class Checksum:
    """CRC-32 of what goes into a dataset, to be compared with what comes out of it.

    Numbers count as little-endian bytes in the order of the samples, texts as UTF-8 with a NUL after each, a
    table of named columns column by column.
    """

    def __init__(self) -> None:
        self.value = 0

    def add(self, values: npt.NDArray[Any]) -> None:
        """Take in some more rows."""
        if values.dtype.names is not None:
            for column in values.dtype.names:
                self.add(values[column])
        elif values.dtype == np.object_:
            parts = [v if isinstance(v, bytes) else str(v).encode() for v in values.flat]
            self.value = zlib.crc32(b"".join(part + b"\0" for part in parts), self.value)
        else:
            order = values.dtype.newbyteorder("<")
            plain = np.ascontiguousarray(values, dtype=order)
            self.value = zlib.crc32(plain.reshape(-1).view(np.uint8).data, self.value)

    def store(self, dataset: h5py.Dataset) -> None:
        """Keep it as an attribute of the dataset."""
        dataset.attrs[CRC_ATTRIBUTE] = np.uint32(self.value)


def crc_of(dataset: h5py.Dataset) -> int:
    """Read a dataset, block by block, and return the CRC-32 of what it holds."""
    checksum = Checksum()
    if dataset.dtype.names is not None:
        rows = max(1, dataset.shape[0])  # column by column
    elif h5py.check_string_dtype(dataset.dtype):
        rows = READ_BLOCK_TEXTS
    else:
        row_bytes = dataset.dtype.itemsize * int(np.prod(dataset.shape[1:], dtype=np.int64))
        rows = max(1, READ_BLOCK_BYTES // max(row_bytes, 1))
    if dataset.chunks:
        rows = -(-rows // dataset.chunks[0]) * dataset.chunks[0]
    for first in range(0, dataset.shape[0], rows):
        checksum.add(dataset[first : first + rows])
    return checksum.value


class _NumericWriter:
    def __init__(self, node: h5py.Group, dtype: np.dtype[Any], width: int) -> None:
        self._samples = growing(node, "samples", dtype, width)
        self._sum = Checksum()

    def write(self, blocks: Sequence[npt.NDArray[Any] | list[list[bytes]]]) -> None:
        values = np.concatenate([np.asarray(block) for block in blocks])
        self._sum.add(values)
        extend(self._samples, values)

    def finish(self) -> None:
        self._sum.store(self._samples)


class _TextWriter:
    """Strings as UTF-8; the bytes of those that are not, or that hold NUL, are kept beside them."""

    def __init__(self, node: h5py.Group, width: int) -> None:
        self._node, self._width = node, width
        self._samples = growing(node, "samples", TEXT, None if width == 1 else width)
        self._odd: list[tuple[int, bytes]] = []
        self._n_values = 0
        self._sum = Checksum()

    def write(self, blocks: Sequence[npt.NDArray[Any] | list[list[bytes]]]) -> None:
        values = [value for block in blocks for row in block for value in row]
        texts = np.array([self._text(value) for value in values], dtype=object)
        self._sum.add(texts)
        extend(self._samples, texts if self._width == 1 else texts.reshape(-1, self._width))

    def _text(self, value: bytes) -> str:
        index, self._n_values = self._n_values, self._n_values + 1
        text = value.decode("utf-8", errors="replace")
        if "\0" in text or "\ufffd" in text:
            self._odd.append((index, value))
        return text.replace("\0", "\N{SYMBOL FOR NULL}")

    def finish(self) -> None:
        self._sum.store(self._samples)
        if self._odd:
            joined = np.frombuffer(b"".join(value for _, value in self._odd), dtype=np.uint8)
            lengths = [len(value) for _, value in self._odd]
            store(self._node, "raw_index", np.array([i for i, _ in self._odd], np.uint64))
            store(self._node, "raw_bytes", joined)
            store(self._node, "raw_offsets", np.cumsum([0, *lengths]).astype(np.uint64))


class _VideoWriter:
    """Encoded frames back to back, with the offsets that divide them."""

    def __init__(self, node: h5py.Group) -> None:
        self._packets = node.create_dataset(
            "packets",
            shape=(0,),
            maxshape=(None,),
            chunks=(1 << 20,),
            dtype=np.uint8,
            fletcher32=True,
        )
        self._sum = Checksum()
        self._offsets = growing(node, "packet_offsets", np.uint64)
        self._node = node
        self._n_frames = 0
        self._odd: list[int] = []
        self._offsets_sum = Checksum()
        self._add_offsets(np.zeros(1, np.uint64))

    def _add_offsets(self, offsets: npt.NDArray[np.uint64]) -> None:
        self._offsets_sum.add(offsets)
        extend(self._offsets, offsets)

    def write(self, blocks: Sequence[npt.NDArray[Any] | list[list[bytes]]]) -> None:
        frames = [self._frame(row[0]) for block in blocks for row in block]
        end = int(self._packets.shape[0])
        ends = end + np.cumsum([len(frame) for frame in frames])
        joined = np.frombuffer(b"".join(frames), dtype=np.uint8)
        self._sum.add(joined)
        extend(self._packets, joined)
        self._add_offsets(ends.astype(np.uint64))

    def _frame(self, value: bytes) -> bytes:
        index, self._n_frames = self._n_frames, self._n_frames + 1
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            self._odd.append(index)
            return value

    def finish(self) -> None:
        self._sum.store(self._packets)
        self._offsets_sum.store(self._offsets)
        self._node.attrs["n_not_base64"] = len(self._odd)
        if self._odd:
            store(self._node, "not_base64", np.array(self._odd, np.uint64))
