"""Files as BIDS wants them: names, JSON sidecars, and compressed tables without a header."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import pandas as pd

from duchenne.analysis.provenance import plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from duchenne.analysis.export.base import ExportSession

MISSING = "n/a"


@dataclass(frozen=True)
class BidsName:
    """Labels of a run, as BIDS allows them: letters and digits alone."""

    participant: str
    session: str
    task: str
    run: str

    @classmethod
    def of(cls, session: ExportSession) -> BidsName:
        """Return the name of a session's run."""
        return cls(
            label(session.participant),
            label(session.session),
            label(session.task),
            label(session.run),
        )

    @property
    def folder(self) -> str:
        """Folder of the run's files, relative to the data set."""
        return f"sub-{self.participant}/ses-{self.session}"

    @property
    def stem(self) -> str:
        """What the names of the run's files begin with."""
        return f"sub-{self.participant}_ses-{self.session}_task-{self.task}_run-{self.run}"


def label(text: str) -> str:
    """Return a label of letters and digits."""
    return re.sub(r"[^A-Za-z0-9]", "", text) or "x"


def write_json(value: dict[str, Any], path: Path) -> None:
    """Write a sidecar; what is None is left out."""
    kept = {key: plain(part) for key, part in value.items() if part is not None}
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_tsv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table with a header; missing values are ``n/a``."""
    _lower_booleans(frame).to_csv(
        path, sep="\t", index=False, na_rep=MISSING, lineterminator="\n", encoding="utf-8"
    )


def write_tsv_gz(parts: Iterable[pd.DataFrame], path: Path) -> None:
    """Write a compressed table without a header; the archive holds no file name and no date."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
        TextIOWrapper(packed, encoding="utf-8", newline="") as text,
    ):
        for part in parts:
            _lower_booleans(part).to_csv(
                text, sep="\t", index=False, header=False, na_rep=MISSING, lineterminator="\n"
            )


def _lower_booleans(frame: pd.DataFrame) -> pd.DataFrame:
    changed = frame.copy(deep=False)
    for name in frame.columns:
        if pd.api.types.is_bool_dtype(frame[name]):
            changed[name] = frame[name].map({True: "true", False: "false"})
    return changed
