"""Write XDF 1.0 files by the conventions of LabRecorder: boundaries, clock offsets, footers and all."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

import numpy as np

from duchenne.recorder.xdf_chunks import BOUNDARY_MARK, MAGIC, Tag, pack_length, pack_samples

if TYPE_CHECKING:
    from duchenne.recorder.streams import StreamInfo
    from duchenne.recorder.xdf_chunks import Block

DECLARATION = '<?xml version="1.0"?>'
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass
class _Sums:
    """What the footer of a stream says."""

    n: int = 0
    first_s: float = float("nan")
    last_s: float = float("nan")
    offsets: list[tuple[float, float]] = field(default_factory=list)


class XdfWriter:
    """Writes the chunks of an XDF file, in the order in which its methods are called.

    Parameters
    ----------
    file : binary file
        New and empty.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sums: dict[int, _Sums] = {}
        file.write(MAGIC)

    def file_header(self, xml: bytes) -> None:
        """Write the FileHeader, which must come first."""
        self._chunk(Tag.FILE_HEADER, xml)

    def stream_header(self, stream_id: int, xml: bytes) -> None:
        """Write the header of a stream, before anything else of it."""
        self._sums[stream_id] = _Sums()
        self._chunk(Tag.STREAM_HEADER, xml, stream_id)

    def samples(self, stream_id: int, block: Block) -> None:
        """Write samples, each with its stamp."""
        if not len(block.stamps):
            return
        sums = self._sums[stream_id]
        if not sums.n:
            sums.first_s = float(block.stamps[0])
        sums.last_s = float(block.stamps[-1])
        sums.n += len(block.stamps)
        self._chunk(Tag.SAMPLES, pack_samples(block), stream_id)

    def clock_offset(self, stream_id: int, time_s: float, offset_s: float) -> None:
        """Write a clock measurement.

        Parameters
        ----------
        stream_id : int
        time_s : float
            When it was made, on the sender's clock.
        offset_s : float
            Added to the sender's time it gives the recorder's.
        """
        self._sums[stream_id].offsets.append((time_s, offset_s))
        self._chunk(Tag.CLOCK_OFFSET, struct.pack("<dd", time_s, offset_s), stream_id)

    def boundary(self) -> None:
        """Write a Boundary, from which a reader of a damaged file can go on."""
        self._chunk(Tag.BOUNDARY, BOUNDARY_MARK)

    def stream_footer(self, stream_id: int, xml: bytes | None = None) -> None:
        """Write the footer of a stream: the one given, or what was written of the stream."""
        self._chunk(
            Tag.STREAM_FOOTER, _footer(self._sums[stream_id]) if xml is None else xml, stream_id
        )

    def _chunk(self, tag: Tag, content: bytes, stream_id: int | None = None) -> None:
        head = struct.pack("<H", tag)
        if stream_id is not None:
            head += struct.pack("<I", stream_id)
        self._file.write(pack_length(len(head) + len(content)) + head)
        self._file.write(content)


def file_header_xml(created: str, writer: str) -> bytes:
    """Return the FileHeader of a new file."""
    root = ET.Element("info")
    ET.SubElement(root, "version").text = "1.0"
    ET.SubElement(root, "datetime").text = _legal(created)
    ET.SubElement(root, "writer").text = _legal(writer)
    return _document(root)


def stream_header_xml(info: StreamInfo) -> bytes:
    """Return the StreamHeader of a stream: its LSL description where that says the same, else a new one."""
    if _describes(info.info_xml, info):
        return info.info_xml.encode("utf-8")
    root = ET.Element("info")
    for key, value in (
        ("name", info.name),
        ("type", info.type),
        ("channel_count", str(info.channel_count)),
        ("channel_format", info.channel_format),
        ("source_id", info.source_id),
        ("nominal_srate", repr(info.nominal_srate_hz)),
        ("version", "1.1"),
        ("uid", info.uid),
        ("hostname", info.hostname),
    ):
        ET.SubElement(root, key).text = _legal(value)
    desc = ET.SubElement(root, "desc")
    channels = ET.SubElement(desc, "channels")
    for channel in info.channels:
        node = ET.SubElement(channels, "channel")
        for key in ("label", "type", "unit", "eye"):
            ET.SubElement(node, key).text = _legal(getattr(channel, key))
    drops = ET.SubElement(ET.SubElement(desc, "synchronization"), "can_drop_samples")
    drops.text = str(info.can_drop_samples).lower()
    return _document(root)


def _describes(xml: str, info: StreamInfo) -> bool:
    """Whether an LSL description is well-formed and says of the samples what the stream does."""
    try:
        root = ET.fromstring(xml)  # noqa: S314 -- expat of Python >= 3.10 bounds entity expansion
        return (
            (root.findtext("name") or "") == info.name
            and (root.findtext("channel_format") or "") == info.channel_format
            and int(root.findtext("channel_count") or "-1") == info.channel_count
            and float(root.findtext("nominal_srate") or "nan") == info.nominal_srate_hz
        )
    except (ET.ParseError, ValueError):
        return False


def _footer(sums: _Sums) -> bytes:
    root = ET.Element("info")
    ET.SubElement(root, "first_timestamp").text = repr(sums.first_s if sums.n else 0.0)
    ET.SubElement(root, "last_timestamp").text = repr(sums.last_s if sums.n else 0.0)
    ET.SubElement(root, "sample_count").text = str(sums.n)
    span_s = sums.last_s - sums.first_s
    rate = (sums.n - 1) / span_s if np.isfinite(span_s) and span_s > 0 else 0.0
    ET.SubElement(root, "measured_srate").text = repr(rate)
    offsets = ET.SubElement(root, "clock_offsets")
    for time_s, offset_s in sums.offsets:
        node = ET.SubElement(offsets, "offset")
        ET.SubElement(node, "time").text = repr(time_s)
        ET.SubElement(node, "value").text = repr(offset_s)
    return _document(root)


def _document(root: ET.Element) -> bytes:
    return (DECLARATION + ET.tostring(root, encoding="unicode")).encode("utf-8")


def _legal(text: str) -> str:
    """Return a text without the characters that XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
