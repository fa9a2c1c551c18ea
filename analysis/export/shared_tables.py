"""Tables over participants: synchrony, similarity, contrasts, whatever lies in the results of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from duchenne.analysis.export.tables_of_study import GAZE, read_codebook, typed
from duchenne.analysis.paths import derivatives_of
from duchenne.analysis.privacy.stale import stale_tables
from duchenne.analysis.statistics.manipulation import ALL
from duchenne.analysis.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.export.base import Job
    from duchenne.analysis.tables import Column

OWN = frozenset({"summary", GAZE})
"""Made from the sessions' tables by the export itself."""
WITH_MEANS = "manipulation_check"
"""Its rows of the participant `ALL` are means over its participants."""
VISIT = ("participant", "session", "run")


@dataclass(frozen=True)
class SharedTable:
    """One table over participants.

    Attributes
    ----------
    name : str
    path : Path
    book : dict of str to Column
    """

    name: str
    path: Path
    book: dict[str, Column]

    def frames(self, job: Job) -> Iterator[pd.DataFrame]:
        """Yield the table: rows of whoever is exported alone, cleaned of what is private."""
        yield self.whole(job)

    def whole(self, job: Job) -> pd.DataFrame:
        """Return the table: rows of whoever is exported alone, cleaned of what is private."""
        is_parquet = self.path.suffix == ".parquet"
        frame = pd.read_parquet(self.path) if is_parquet else read_table(self.path)
        kept = _are_exported(frame, job)
        if self.name == WITH_MEANS:
            means = frame["participant"] == ALL
            if kept[~means].all():
                kept |= means
            else:
                kept &= ~means
                job.notes.append(
                    f"{self.path.name}: the means over participants ({ALL}) are left out, some of these "
                    "participants are not exported."
                )
        frame = frame[kept].reset_index(drop=True).reindex(columns=list(self.book))
        frame = job.private.clean_table(frame, self.book)
        return pd.DataFrame({name: typed(frame[name], c.kind) for name, c in self.book.items()})


def shared_tables(job: Job, taken: frozenset[str] = frozenset()) -> list[SharedTable]:
    """Return the tables over participants that have a codebook.

    Parameters
    ----------
    job : Job
    taken : frozenset of str
        Names of tables that are put together from those of the sessions.
    """
    root = derivatives_of(job.study)
    stale = stale_tables(job.study)
    found: dict[str, SharedTable] = {}
    for path in sorted(root.glob("*")):
        name = path.stem
        if path.suffix not in {".tsv", ".parquet"} or name in OWN | taken or not path.is_file():
            continue
        if name.startswith(".") or not path.with_suffix(".json").is_file():
            continue
        if path.name in stale:
            job.notes.append(
                f"{path.name}: left out, it was made before sub-{stale[path.name]} was forgotten "
                "(run `duchenne analyze` and `duchenne report` again)."
            )
            continue
        table = SharedTable(name, path, read_codebook(path))
        if not any("participant" in column for column in table.book):
            job.notes.append(
                f"{path.name}: over all participants of the study, those left out here among them."
            )
        found.setdefault(name, table)
    return list(found.values())


def rows_of_exported(frame: pd.DataFrame, job: Job) -> pd.DataFrame:
    """Return the rows that are of exported participants, and, where it names them, of exported sessions."""
    return frame[_are_exported(frame, job)].reset_index(drop=True)


def _are_exported(frame: pd.DataFrame, job: Job) -> pd.Series:
    labels = {session.participant for session in job.sessions}
    kept = pd.Series(True, index=frame.index)
    for name in frame.columns:
        if "participant" in str(name) and pd.api.types.is_string_dtype(frame[name].dropna()):
            values = frame[name].astype("string").str.removeprefix("sub-")
            kept &= values.isna() | values.isin(labels)
    keys = [name for name in VISIT if name in frame.columns]
    if "participant" in keys:
        visits = {tuple(getattr(session, key) for key in keys) for session in job.sessions}
        rows = zip(*(frame[key].astype("string") for key in keys), strict=True)
        kept &= pd.Series(
            [pd.isna(row[0]) or row in visits for row in rows], index=frame.index, dtype=bool
        )
    return kept
