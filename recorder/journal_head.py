"""Put back the first page of a journal, which is nearly the same in every journal, where it is damaged."""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from contextlib import closing
from pathlib import Path

from duchenne.recorder.chunk_search import ChunkSearch
from duchenne.recorder.journal import make_tables
from duchenne.recorder.log_check import MAGIC

PAGE_BYTES = 8192
HEADER_BYTES = 100
MAX_WRONG = 3
"""So many bytes of the header may differ; a file of another program differs in the four of its mark."""
_OWN = frozenset({*range(24, 44), *range(60, 64), *range(92, 100)})
"""What differs from journal to journal: counters, numbers of pages, versions of the journal and of SQLite."""
_N_PAGES, _VERSION = slice(28, 32), slice(60, 64)


def mend_head(journal: Path) -> str | None:
    """Put back the first page of a journal if it is damaged: it names the tables and where they begin.

    Only where there is no write-ahead log, which would hold a newer one.

    Returns
    -------
    str or None
        What was done; None if the page is whole, or the file is not certain to be a journal.

    Raises
    ------
    OSError
        If the file cannot be read or changed.
    """
    log = journal.with_name(f"{journal.name}-wal")
    if log.exists() and log.stat().st_size:
        return None
    with journal.open("rb") as file:
        found = file.read(PAGE_BYTES)
    if len(found) < PAGE_BYTES:
        return None
    with tempfile.TemporaryDirectory(prefix="duchenne-") as folder:
        fresh = Path(folder) / "fresh.journal"
        with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
            make_tables(connection)
        expected = bytearray(fresh.read_bytes()[:PAGE_BYTES])
        wrong = sum(found[i] != expected[i] for i in range(HEADER_BYTES) if i not in _OWN)
        if wrong <= MAX_WRONG:
            is_newer = found[_VERSION] != expected[_VERSION]
            if is_newer or (not wrong and _tables(journal) <= _tables(fresh)):
                return None
            for place in _OWN:
                expected[place] = found[place]
        elif found.startswith(MAGIC) or not ChunkSearch(journal, PAGE_BYTES).finds_any():
            return None  # of another program
        else:
            expected[_N_PAGES] = struct.pack(">I", journal.stat().st_size // PAGE_BYTES)
    with journal.open("rb+") as file:
        file.write(expected)
    return "first page: damaged, and put back as it is in every journal"


def _tables(journal: Path) -> set[tuple[object, ...]]:
    """Return the tables and indices that a journal names; something that no journal has if it is damaged."""
    query = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master"
    try:
        where = f"{journal.resolve().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(where, uri=True)) as connection:
            return set(connection.execute(query).fetchall()) or {("none",)}
    except (sqlite3.Error, UnicodeDecodeError):
        return {("damaged",)}
