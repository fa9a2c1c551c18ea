"""The samples of one stream of a session file as bytes, for XDF and for comparing two files."""

from __future__ import annotations

import base64
import hashlib
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.sample_writers import extend, growing, writer_for
from duchenne.recorder.video_encryption import packet_bytes
from duchenne.recorder.xdf_chunks import Block, texts_as_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import h5py
    import numpy.typing as npt

    from duchenne.recorder.streams import StreamInfo

PAYLOAD = (
    "timestamps",
    "samples",
    "packets",
    "packets_encrypted",
    "packet_offsets",
    "raw_index",
    "raw_bytes",
    "raw_offsets",
)
"""Datasets of a stream that an XDF file holds as samples of that stream."""
FRESH = "fresh"
BLOCK_BYTES = 1 << 20
IRREGULAR_BLOCK = 64
TEXT_BLOCK = 32


class OddTexts:
    """Strings that are kept byte for byte because their dataset cannot hold them.

    Parameters
    ----------
    node : h5py.Group
        With ``{prefix}_index``, ``{prefix}_bytes`` and ``{prefix}_offsets``, or without them.
    prefix : str
    """

    def __init__(self, node: h5py.Group | None, prefix: str = "raw") -> None:
        self._bytes: h5py.Dataset | None = None
        self._place: dict[int, tuple[int, int]] = {}
        if node is not None and f"{prefix}_index" in node:
            ends = node[f"{prefix}_offsets"][:].astype(np.int64).tolist()
            places = itertools.pairwise(ends)
            indices = node[f"{prefix}_index"][:].astype(np.int64).tolist()
            self._place = dict(zip(indices, places, strict=True))
            self._bytes = node[f"{prefix}_bytes"]

    def get(self, index: int, usual: bytes) -> bytes:
        """Return the bytes of a value: those kept, else the usual ones."""
        place = self._place.get(index)
        if place is None or self._bytes is None:
            return usual
        return bytes(self._bytes[place[0] : place[1]].tobytes())


def block_rows(info: StreamInfo) -> int:
    """Return how many samples make a chunk: about a second, and not more than about a mebibyte."""
    if info.is_string:
        return TEXT_BLOCK
    rate = int(info.nominal_srate_hz) or IRREGULAR_BLOCK
    return max(1, min(rate, BLOCK_BYTES // (info.channel_count * info.dtype.itemsize)))


def blocks(
    node: h5py.Group,
    info: StreamInfo,
    *,
    texts: h5py.Group | None = None,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Block]:
    """Yield the samples of a stream of a session file in order.

    Parameters
    ----------
    node : h5py.Group
        Of the stream.
    info : StreamInfo
    texts : h5py.Group, optional
        With the texts of frames that are no plain base64 (``text_index`` …).
    start, stop : int, optional
        First sample, and the one behind the last.
    """
    odd = OddTexts(texts, "text") if info.is_video else OddTexts(node)
    bare = frozenset(node["not_base64"][:].tolist()) if "not_base64" in node else frozenset()
    end = len(node["timestamps"]) if stop is None else stop
    rows = block_rows(info)
    for first in range(start, end, rows):
        last = min(first + rows, end)
        stamps = np.asarray(node["timestamps"][first:last], dtype=np.float64)
        if info.is_video:
            yield Block(stamps, _frames(node, odd, bare, first, last))
        elif info.is_string:
            yield Block(stamps, _texts(node, odd, first, last, info.channel_count))
        else:
            yield Block(stamps, np.asarray(node["samples"][first:last], dtype=info.dtype))


def _frames(
    node: h5py.Group, odd: OddTexts, bare: frozenset[int], first: int, last: int
) -> list[list[bytes]]:
    """Return frames as their source sent them: base64, or bare where they were none."""
    edges = node["packet_offsets"][first : last + 1].astype(np.int64)
    data = packet_bytes(node, int(edges[0]), int(edges[-1]))
    packets = [data[a:b] for a, b in itertools.pairwise((edges - edges[0]).tolist())]
    return [
        [odd.get(i, packet if i in bare else base64.b64encode(packet))]
        for i, packet in enumerate(packets, start=first)
    ]


def _texts(node: h5py.Group, odd: OddTexts, first: int, last: int, width: int) -> list[list[bytes]]:
    flat = np.asarray(node["samples"][first:last], dtype=object).reshape(-1).tolist()
    exact = [odd.get(first * width + i, _as_bytes(value)) for i, value in enumerate(flat)]
    return [exact[i : i + width] for i in range(0, len(exact), width)]


def _as_bytes(value: bytes | str) -> bytes:
    return value.encode("utf-8") if isinstance(value, str) else value


def write_payload(node: h5py.Group, info: StreamInfo, samples: Iterable[Block]) -> str:
    """Write the samples of a stream into its group; return their digest.

    The group must hold none of :data:`PAYLOAD` yet; whatever else it holds stays as it is.
    """
    digest = Digest()
    fresh = node.create_group(FRESH)
    stamps = growing(fresh, "timestamps", np.float64)
    writer = writer_for(fresh, info)
    for block in samples:
        extend(stamps, block.stamps)
        writer.write([block.values])
        digest.add(block)
    writer.finish()
    for name in PAYLOAD:
        if name in fresh:
            node.move(f"{FRESH}/{name}", name)
    del node[FRESH]
    return digest.text


def write_odd_frames(node: h5py.Group, samples: Iterable[Block]) -> int:
    """Keep the texts of frames that are no plain base64; return how many there are.

    Parameters
    ----------
    node : h5py.Group
        Receives ``text_index``, ``text_bytes`` and ``text_offsets`` where there are any.
    samples : iterable of Block
        All of a video stream.
    """
    index: list[int] = []
    texts: list[bytes] = []
    n = 0
    for block in samples:
        for row in block.values:
            if not is_plain_base64(row[0]):
                index.append(n)
                texts.append(bytes(row[0]))
            n += 1
    if index:
        ends: npt.NDArray[Any] = np.cumsum([0, *map(len, texts)]).astype(np.uint64)
        node.create_dataset("text_index", data=np.array(index, dtype=np.uint64))
        node.create_dataset("text_bytes", data=np.frombuffer(b"".join(texts), dtype=np.uint8))
        node.create_dataset("text_offsets", data=ends)
    return len(index)


def is_plain_base64(text: bytes) -> bool:
    """Whether encoding what a text decodes to gives the very text again."""
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)) == text
    except ValueError:
        return False


class Digest:
    """Running digest of stamps and values, the same however they are cut into blocks."""

    def __init__(self) -> None:
        self._stamps = hashlib.blake2b(digest_size=16)
        self._values = hashlib.blake2b(digest_size=16)
        self.n = 0

    def add(self, block: Block) -> None:
        """Take some samples in."""
        self.n += len(block.stamps)
        self._stamps.update(np.ascontiguousarray(block.stamps, dtype="<f8").tobytes())
        if isinstance(block.values, np.ndarray):
            little_endian = block.values.dtype.newbyteorder("<")
            self._values.update(np.ascontiguousarray(block.values, little_endian).tobytes())
        else:
            self._values.update(texts_as_bytes(block.values))

    @property
    def text(self) -> str:
        """Number of samples and digests of stamps and values."""
        return f"{self.n}:{self._stamps.hexdigest()}:{self._values.hexdigest()}"


def digest_of(samples: Iterable[Block]) -> str:
    """Return the digest of all samples."""
    digest = Digest()
    for block in samples:
        digest.add(block)
    return digest.text
