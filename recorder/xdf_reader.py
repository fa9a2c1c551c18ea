"""Read XDF files of any writer without loss: every chunk as it lies in the file, whatever is damaged.

pyxdf is what others read XDF with and what our tests compare with. It does not serve here: it loads whole
files, replaces bytes that are not UTF-8, and keeps of each header a dictionary instead of the text.
"""

from __future__ import annotations

import html
import mmap
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from duchenne.recorder.streams import NUMERIC_FORMATS, STRING_FORMAT, StreamInfo, channels_of
from duchenne.recorder.xdf_chunks import (
    BOUNDARY_MARK,
    MAGIC,
    STREAM_TAGS,
    DamagedError,
    SampleDecoder,
    Tag,
    unpack_length,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    import numpy.typing as npt

    from duchenne.recorder.xdf_chunks import Block

GZIP_MAGIC = b"\x1f\x8b"
COPY_BYTES = 1 << 20
GZIP_WBITS = 31
"""Tells zlib that a gzip file is to come."""


@dataclass
class XdfStream:
    """One stream of an XDF file; its samples are read by :meth:`XdfFile.samples`.

    Attributes
    ----------
    id : int
        Number of the stream in the file.
    info : StreamInfo
        From the header; `info_xml` is its text.
    header : bytes
        The header as it lies in the file.
    footer : bytes or None
        The footer as it lies in the file; None in a file that breaks off.
    clock_offsets : list of (float, float)
        Collection time on the sender's clock, and seconds to add to it, in the order of the file.
    """

    id: int
    info: StreamInfo
    header: bytes
    footer: bytes | None = None
    clock_offsets: list[tuple[float, float]] = field(default_factory=list)
    starts: array[int] = field(default_factory=lambda: array("q"))
    stops: array[int] = field(default_factory=lambda: array("q"))


class XdfFile:
    """An XDF file, open for reading; use :meth:`open` in a ``with`` statement.

    Attributes
    ----------
    header : bytes
        Content of the FileHeader chunk; empty where there is none.
    streams : dict of int to XdfStream
        In the order of their headers.
    damaged : list of str
        What could not be read; grows while samples are read.
    offset_places : list of (int, float)
        Place in the file and recorder time of each clock offset.
    """

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.header = b""
        self.streams: dict[int, XdfStream] = {}
        self.damaged: list[str] = []
        self.offset_places: list[tuple[int, float]] = []
        self._data = data
        self._view = memoryview(data)
        self._orphans: dict[int, int] = {}
        self._scan()

    @classmethod
    def open(cls, path: Path, scratch: Path) -> XdfFile:
        """Open a file and find its chunks.

        Parameters
        ----------
        path : Path
            ``.xdf``, or packed with gzip (``.xdfz``, ``.xdf.gz``).
        scratch : Path
            Folder in which a packed file is unpacked.

        Raises
        ------
        DuchenneError
            If the file is missing, or no XDF file.
        """
        if not path.is_file():
            raise DuchenneError(f"{path} does not exist: name an XDF file.")
        plain, broken = _unpacked(path, scratch)
        with plain.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise DuchenneError(f"{path} is no XDF file: it does not begin with 'XDF:'.")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        found = cls(path, data)
        found.damaged += [broken] if broken else []
        return found

    def __enter__(self) -> XdfFile:
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
        self._view.release()
        self._data.close()

    @property
    def size_bytes(self) -> int:
        """Size of the (unpacked) file."""
        return len(self._view)

    def samples(
        self, stream_id: int, *, tell: Callable[[int], None] | None = None
    ) -> Iterator[tuple[int, Block]]:
        """Yield the samples of a stream in order, each block with its chunk's place in the file.

        Samples that cannot be decoded are left out and told in `damaged`.

        Parameters
        ----------
        stream_id : int
        tell : callable, optional
            Called with the size of each chunk in bytes, once it is done.
        """
        stream = self.streams[stream_id]
        decoder = SampleDecoder(stream.info)
        for start, stop in zip(stream.starts, stream.stops, strict=True):
            with self._view[start:stop] as content:
                try:
                    for block in decoder.decode(content):
                        yield start, block
                except DamagedError as error:
                    problem = f"samples of stream {stream.info.name} at byte {start}: {error}"
                    if problem not in self.damaged:
                        self.damaged.append(problem)
            if tell is not None:
                tell(stop - start)

    def _scan(self) -> None:
        position = len(MAGIC)
        while position < len(self._view):
            try:
                position = self._read_chunk(position)
            except DamagedError as error:
                position = self._behind_damage(position, str(error))
        for stream_id, n in self._orphans.items():
            self.damaged.append(f"{n} chunks of stream {stream_id}, whose header is missing")

    def _read_chunk(self, position: int) -> int:
        """Take one chunk in; return where the next one begins."""
        length, start = unpack_length(self._view, position)
        stop = start + length
        if length < 2 or stop > len(self._view):
            raise DamagedError("a chunk that is not whole")
        (tag,) = struct.unpack_from("<H", self._view, start)
        if tag in STREAM_TAGS:
            if length < 6:
                raise DamagedError("a chunk without its stream")
            (stream_id,) = struct.unpack_from("<I", self._view, start + 2)
            self._take(Tag(tag), stream_id, start + 6, stop)
        elif tag == Tag.FILE_HEADER:
            self.header = self.header or bytes(self._view[start + 2 : stop])
        return stop

    def _take(self, tag: Tag, stream_id: int, start: int, stop: int) -> None:
        stream = self.streams.get(stream_id)
        if tag is Tag.STREAM_HEADER:
            if stream is None:
                header = bytes(self._view[start:stop])
                self.streams[stream_id] = XdfStream(stream_id, info_from_header(header), header)
        elif stream is None:
            self._orphans[stream_id] = self._orphans.get(stream_id, 0) + 1
        elif tag is Tag.SAMPLES:
            stream.starts.append(start)
            stream.stops.append(stop)
        elif tag is Tag.STREAM_FOOTER:
            stream.footer = bytes(self._view[start:stop])
        elif stop - start == 16:
            time_s, offset_s = struct.unpack_from("<dd", self._view, start)
            stream.clock_offsets.append((time_s, offset_s))
            self.offset_places.append((start, time_s + offset_s))
        else:
            raise DamagedError("a clock offset that is not 16 bytes long")

    def _behind_damage(self, position: int, problem: str) -> int:
        """Tell of a damaged place; return where the next chunk behind it begins, or the end."""
        mark = self._data.find(BOUNDARY_MARK, position)
        if mark >= 0:
            behind = mark + len(BOUNDARY_MARK)
            self.damaged.append(f"bytes {position} to {behind}: {problem}")
            return behind
        self.damaged.append(f"the file breaks off at byte {position}: {problem}")
        self._salvage(position)
        return len(self._view)

    def _salvage(self, position: int) -> None:
        """Keep the whole samples of a chunk in which the file ends."""
        try:
            _, start = unpack_length(self._view, position)
            tag, stream_id = struct.unpack_from("<HI", self._view, start)
        except (DamagedError, struct.error):
            return
        if tag == Tag.SAMPLES and stream_id in self.streams:
            self.streams[stream_id].starts.append(start + 6)
            self.streams[stream_id].stops.append(len(self._view))


def info_from_header(header: bytes) -> StreamInfo:
    """Describe a stream from the XML of its XDF header, also where that is malformed.

    Raises
    ------
    DamagedError
        Where it does not say how many channels of which format there are.
    """
    text = header.decode("utf-8", "replace").replace("\0", "\N{SYMBOL FOR NULL}")
    fields = _fields_of(text)
    kind = fields.get("channel_format", "").strip().lower()
    try:
        count = int(fields.get("channel_count", ""))
        rate_hz = float(fields.get("nominal_srate") or 0.0)
    except ValueError:
        count, rate_hz = -1, 0.0
    if count < 1 or (kind not in NUMERIC_FORMATS and kind != STRING_FORMAT):
        raise DamagedError("a stream header that names no channels or no known format")
    return StreamInfo(
        name=fields.get("name", ""),
        type=fields.get("type", ""),
        source_id=fields.get("source_id", ""),
        uid=fields.get("uid", ""),
        hostname=fields.get("hostname", ""),
        channel_format=kind,
        nominal_srate_hz=rate_hz if np.isfinite(rate_hz) and rate_hz > 0 else 0.0,
        channel_count=count,
        channels=channels_of(text),
        info_xml=text,
    )


def _fields_of(text: str) -> dict[str, str]:
    try:
        root = ET.fromstring(text)  # noqa: S314 -- expat of Python >= 3.10 bounds entity expansion
        return {node.tag: node.text or "" for node in root if node.tag != "desc"}
    except (ET.ParseError, ValueError):
        pairs = re.findall(r"<(\w+)>([^<]*)</\1>", text.partition("<desc")[0])
        return {key: html.unescape(value) for key, value in pairs}


def footer_offsets(footer: bytes) -> npt.NDArray[np.float64]:
    """Return the clock offsets that a stream footer lists, shape (m, 2); empty where it is malformed."""
    try:
        root = ET.fromstring(footer)  # noqa: S314 -- expat of Python >= 3.10 bounds entity expansion
        rows = [
            (float(node.findtext("time", "nan")), float(node.findtext("value", "nan")))
            for node in root.iterfind("clock_offsets/offset")
        ]
    except (ET.ParseError, ValueError):
        rows = []
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def _unpacked(path: Path, scratch: Path) -> tuple[Path, str]:
    """Return the file, unpacked if it is packed, and what was wrong with the packing."""
    with path.open("rb") as file:
        if file.read(2) != GZIP_MAGIC:
            return path, ""
    plain = scratch / "unpacked.xdf"
    unpacker = zlib.decompressobj(wbits=GZIP_WBITS)
    with path.open("rb") as packed, plain.open("wb") as out:
        try:
            while data := packed.read(COPY_BYTES):
                while data:
                    if unpacker.eof:
                        unpacker = zlib.decompressobj(wbits=GZIP_WBITS)
                    out.write(unpacker.decompress(data))
                    data = unpacker.unused_data
        except zlib.error as error:
            return plain, f"the packed file breaks off: {error}"
    return plain, "" if unpacker.eof else "the packed file breaks off"
