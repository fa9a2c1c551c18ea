"""Find damage that SQLite does not tell: in the write-ahead log of a journal, and an end that is missing."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from duchenne.recorder.journal_format import APPLICATION_ID

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"SQLite format 3\0"
MAX_CHECKED_BYTES = 64 << 20
MAX_MENDED = 1000
"""A header that tells of so many times more pages than there are is damaged itself."""
_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_MAGIC = (0x377F0682, 0x377F0683)
_MASK = 0xFFFFFFFF


def _header(journal: Path) -> bytes:
    """Return the first 100 bytes of a journal, none where it is no journal of ours."""
    with journal.open("rb") as file:
        head = file.read(100)
    (application,) = struct.unpack(">I", head[68:72]) if len(head) == 100 else (0,)
    return head if head.startswith(MAGIC) and application == APPLICATION_ID else b""


def is_journal(path: Path) -> bool:
    """Whether a file begins as a journal does, however damaged the rest is."""
    try:
        return bool(_header(path))
    except OSError:
        return False


def mend_end(journal: Path) -> str | None:
    """Fill up a journal whose end is missing with zeros, so that SQLite reads what is there.

    Only where there is no write-ahead log, which would hold the rest.

    Returns
    -------
    str or None
        What is missing; None if nothing is.

    Raises
    ------
    OSError
        If the file cannot be read or changed.
    """
    log = journal.with_name(f"{journal.name}-wal")
    head = _header(journal)
    if not head or (log.exists() and log.stat().st_size):
        return None
    page_bytes, n_pages = struct.unpack(">H", head[16:18])[0], struct.unpack(">I", head[28:32])[0]
    size, whole = journal.stat().st_size, (page_bytes if page_bytes > 1 else 65536) * n_pages
    if not page_bytes or size >= whole or n_pages > MAX_MENDED * (size // page_bytes + 1):
        return None
    with journal.open("rb+") as file:
        file.truncate(whole)
    return f"end of the file: {whole - size} of {whole} bytes are missing"


def damage_in_log(journal: Path) -> str | None:
    """Return what is damaged in the log of a journal that a crash left, None if nothing is.

    Every frame of the log carries a checksum over all before it (https://sqlite.org/fileformat2.html, section
    4); SQLite stops at the first that is wrong. Where frames of the same age stand at that place or behind
    it, commits are lost. A log of more than 64 MB is checked so far.

    Parameters
    ----------
    journal : Path
    """
    try:
        with journal.with_name(f"{journal.name}-wal").open("rb") as log:
            content = log.read(MAX_CHECKED_BYTES)
    except OSError:
        return None
    if len(content) < _HEADER_BYTES + _FRAME_HEADER_BYTES:
        return None
    magic, _, page_bytes, _, *salts, sum_1, sum_2 = struct.unpack(">8I", content[:_HEADER_BYTES])
    order = ">u4" if magic & 1 else "<u4"
    if magic not in _MAGIC or _checksum(content[:24], order, (0, 0)) != (sum_1, sum_2):
        return "write-ahead log: its header is damaged, so the last commits are missing"
    sums = (sum_1, sum_2)
    size = _FRAME_HEADER_BYTES + page_bytes
    n_frames = (len(content) - _HEADER_BYTES) // size
    for number in range(n_frames):
        start = _HEADER_BYTES + number * size
        head = struct.unpack(">6I", content[start : start + _FRAME_HEADER_BYTES])
        page = content[start + _FRAME_HEADER_BYTES : start + size]
        sums = _checksum(page, order, _checksum(content[start : start + 8], order, sums))
        if [*head[2:4]] != salts or head[4:] != sums:
            return _told(content, size, number, n_frames, salts)
    return None


def _told(content: bytes, size: int, bad: int, n_frames: int, salts: list[int]) -> str | None:
    """Tell how many frames of this log cannot be used; those of an older log do not count."""
    lost = 0
    for number in range(bad, n_frames):
        start = _HEADER_BYTES + number * size
        lost += [*struct.unpack(">2I", content[start + 8 : start + 16])] == salts
    if not lost:
        return None
    return (
        f"write-ahead log: damaged at page {bad}, so {lost} pages with the last commits are missing"
    )


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    words = np.frombuffer(data, dtype=order).tolist()
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
