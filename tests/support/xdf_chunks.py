"""Write the plainest XDF file there is, to compare with what pyxdf makes of the same stamps."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

FILE_HEADER, STREAM_HEADER, SAMPLES, CLOCK_OFFSET, STREAM_FOOTER = 1, 2, 3, 4, 6


def write_plain_xdf(path: Path, stamps: Any, offsets: Any, *, srate_hz: float) -> Path:
    """Write one float64 stream of one channel: stamps (n,), offsets (m, 2) of time and offset.

    Times of offsets are given on the recorder's clock; XDF counts them on the sender's, as LabRecorder does.
    """
    stream = struct.pack("<I", 1)
    info = (
        "<?xml version='1.0'?><info><name>S</name><type>X</type><channel_count>1</channel_count>"
        f"<nominal_srate>{srate_hz}</nominal_srate><channel_format>double64</channel_format></info>"
    )
    parts = [
        b"XDF:",
        _chunk(FILE_HEADER, b"<?xml version='1.0'?><info><version>1.0</version></info>"),
    ]
    parts.append(_chunk(STREAM_HEADER, stream + info.encode()))
    for first in range(0, len(stamps), 200):
        block = stamps[first : first + 200]
        rows = b"".join(struct.pack("<Bdd", 8, stamp, first + i) for i, stamp in enumerate(block))
        parts.append(_chunk(SAMPLES, stream + _length(len(block)) + rows))
    for time_s, offset_s in np.asarray(offsets)[:, :2]:
        parts.append(_chunk(CLOCK_OFFSET, stream + struct.pack("<dd", time_s - offset_s, offset_s)))
    footer = f"<?xml version='1.0'?><info><sample_count>{len(stamps)}</sample_count></info>"
    parts.append(_chunk(STREAM_FOOTER, stream + footer.encode()))
    path.write_bytes(b"".join(parts))
    return path


def _length(n: int) -> bytes:
    return struct.pack("<BI", 4, n)


def _chunk(tag: int, content: bytes) -> bytes:
    return _length(len(content) + 2) + struct.pack("<H", tag) + content
