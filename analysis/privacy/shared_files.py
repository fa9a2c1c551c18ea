"""Files of a study that speak of many participants, and how one of them is taken out."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duchenne.recorder.study_folder import BYTE_ORDER_MARK, replace_file
from duchenne.recorder.tombstones import FOLDER as TOMBSTONES

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = {".tsv": b"\t", ".csv": b","}
ALLOCATION = "allocation.tsv"
"""Keeps the number of a label for the counterbalancing, without the time."""
LEDGER = "exports.tsv"
STALE = "stale.json"
KEPT = frozenset({ALLOCATION, LEDGER, STALE})
OPAQUE = frozenset(
    {
        ".duckdb",
        ".gz",
        ".pdf",
        ".zip",
        ".xlsx",
        ".docx",
        ".odt",
        ".ods",
        ".sav",
        ".rds",
        ".rdata",
        ".pkl",
    }
)
"""What cannot be searched for a label."""


@dataclass(frozen=True)
class Mentions:
    """How a label is found in texts."""

    label: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """The label as a word of its own, with or without ``sub-``."""
        return re.compile(rf"(?<![A-Za-z0-9]){re.escape(self.label)}(?![A-Za-z0-9])")

    def in_text(self, text: str) -> bool:
        """Whether a text names it."""
        return self.pattern.search(text) is not None

    def in_file(self, path: Path) -> bool:
        """Whether a file names it; a file that cannot be searched might."""
        if path.suffix == ".parquet":
            return any(_parquet_rows(path, self))
        if path.suffix.lower() in OPAQUE:
            return True
        return self.in_text(path.read_bytes().decode("latin-1"))

    def is_cell(self, value: str) -> bool:
        """Whether a cell of a table is the label."""
        return value.strip(' "').removeprefix("sub-") == self.label


def shared_files(study: Path) -> Iterator[Path]:
    """Yield the files of a study that lie in no participant's folder; links are not followed."""
    for root, folders, files in os.walk(study):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith("sub-")
            and not (root == str(study) and name in {TOMBSTONES, "sourcedata"})
        )
        here = Path(root)
        yield from (here / name for name in sorted(files) if not (here / name).is_symlink())


def without_rows(path: Path, label: str) -> int:
    """Take a participant's rows out of a table; return how many. Other rows stay byte for byte."""
    if path.suffix == ".parquet":
        return _without_parquet_rows(path, label)
    gap = TABLES[path.suffix]
    content = path.read_bytes()
    mark = BYTE_ORDER_MARK if content.startswith(BYTE_ORDER_MARK) else b""
    lines = content.removeprefix(mark).splitlines(keepends=True)
    if not lines:
        return 0
    header = lines[0].decode("utf-8", "replace").rstrip("\r\n").split(gap.decode())
    places = [i for i, name in enumerate(header) if "participant" in name.lower()]
    mentions = Mentions(label)
    kept = [lines[0]]
    for line in lines[1:]:
        cells = line.decode("utf-8", "replace").rstrip("\r\n").split(gap.decode())
        if not any(mentions.is_cell(cells[i]) for i in places if i < len(cells)):
            kept.append(line)
    removed = len(lines) - len(kept)
    if removed:
        replace_file(path, mark + b"".join(kept))
    return removed


def _without_parquet_rows(path: Path, label: str) -> int:
    import pyarrow as pa  # noqa: PLC0415 -- belongs to the extra [analysis]
    import pyarrow.parquet as pq  # noqa: PLC0415

    gone = _parquet_rows(path, Mentions(label))
    if any(gone):
        kept = pq.read_table(path).filter(pa.array([not is_gone for is_gone in gone]))
        sink = pa.BufferOutputStream()
        pq.write_table(kept, sink, compression="zstd")
        replace_file(path, sink.getvalue().to_pybytes())
    return sum(gone)


def _parquet_rows(path: Path, mentions: Mentions) -> list[bool]:
    """Return which rows of a Parquet file are a participant's."""
    import pyarrow.parquet as pq  # noqa: PLC0415 -- belongs to the extra [analysis]

    file = pq.ParquetFile(path)
    names = [name for name in file.schema_arrow.names if "participant" in name.lower()]
    gone = [False] * file.metadata.num_rows
    for values in file.read(names).columns if names else ():
        found = {
            v for v in values.unique().to_pylist() if isinstance(v, str) and mentions.is_cell(v)
        }
        if found:
            cells = values.to_pylist()
            gone = [old or cell in found for old, cell in zip(gone, cells, strict=True)]
    return gone


def without_time(path: Path, label: str) -> int:
    """Blank all of a participant's row in the table of numbers but label and number; return how many."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    header = lines[0].rstrip("\r\n").split("\t") if lines else []
    if "assigned_utc" not in header or "participant" not in header:
        return 0
    place, who = header.index("assigned_utc"), header.index("participant")
    changed = 0
    for number, line in enumerate(lines[1:], start=1):
        cells = line.rstrip("\r\n").split("\t")
        if (
            len(cells) == len(header)
            and Mentions(label).is_cell(cells[who])
            and cells[place] != "n/a"
        ):
            cells[place] = "n/a"
            lines[number] = "\t".join(cells) + line[len(line.rstrip("\r\n")) :]
            changed += 1
    if changed:
        replace_file(path, "".join(lines).encode())
    return changed


def without_entries(path: Path, label: str) -> bool:
    """Take what names a participant out of a JSON file; False where it is no JSON or still names it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError):
        return False
    mentions = Mentions(label)
    text = json.dumps(_pruned(value, mentions), indent=2, ensure_ascii=False) + "\n"
    replace_file(path, text.encode())
    return not mentions.in_text(text)


def _pruned(value: Any, mentions: Mentions) -> Any:
    if isinstance(value, dict):
        return {
            key: _pruned(part, mentions)
            for key, part in value.items()
            if not mentions.in_text(key) and not _speaks_of(part, mentions)
        }
    if isinstance(value, list):
        return [_pruned(part, mentions) for part in value if not _speaks_of(part, mentions)]
    return value


def _speaks_of(part: Any, mentions: Mentions) -> bool:
    """Whether a value is a text that names the participant, or a record of the participant."""
    if isinstance(part, str):
        return mentions.in_text(part)
    if isinstance(part, dict):
        return any(
            isinstance(value, str) and "participant" in str(key).lower() and mentions.is_cell(value)
            for key, value in part.items()
        )
    return False
