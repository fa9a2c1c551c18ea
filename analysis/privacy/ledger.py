"""What left a study, when and where to: ``exports.tsv``."""

from __future__ import annotations

import csv
from datetime import datetime
from typing import TYPE_CHECKING

from duchenne.analysis.privacy.shared_files import LEDGER
from duchenne.recorder.study_folder import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COLUMNS = ("date", "format", "video", "folder", "labels")


def note_export(
    study: Path, format_name: str, video: str, out: Path, labels: Iterable[str]
) -> None:
    """Append one line.

    Raises
    ------
    OSError
        If the study cannot be written.
    """
    path = study / LEDGER
    content = path.read_bytes() if path.exists() else ("\t".join(COLUMNS) + "\n").encode()
    today = datetime.now().astimezone().date().isoformat()
    cells = (today, format_name, video, str(out.resolve()), " ".join(sorted(set(labels))))
    line = "\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in cells) + "\n"
    replace_file(path, content + line.encode())


def exports_with(study: Path, label: str) -> list[str]:
    """Return the exports that a participant is part of, in words."""
    path = study / LEDGER
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        f"{row['format']} of {row['date']} in {row['folder']}"
        for row in rows
        if label in (row.get("labels") or "").split()
    ]
