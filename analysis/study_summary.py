"""The summaries and windows of all sessions as one table each, put together without holding them all."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.exclusions import WITHDREW
from duchenne.analysis.summary import measured_aus, summary_codebook
from duchenne.analysis.tables import Column, read_table, write_parquet, write_table
from duchenne.analysis.windows import windows_codebook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from duchenne.analysis.exclusions import Exclusions
    from duchenne.analysis.paths import AnalysisPaths

ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class StudySession:
    """One session that enters the tables of the study.

    Attributes
    ----------
    paths : AnalysisPaths
    about : mapping
        Its provenance.
    """

    paths: AnalysisPaths
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def participant(self) -> str:
        """Label of the participant."""
        return str(self.about["session"]["participant"])


PARTICIPANTS: dict[str, Column] = {
    "participant": Column("Label of the participant.", kind="string"),
    "n_sessions": Column("Sessions in the tables of the study.", kind="integer"),
    "n_presentations": Column("Presentations of all of them.", kind="integer"),
    "n_usable": Column("Presentations that no rule flags.", kind="integer"),
    "usable_fraction": Column("n_usable divided by n_presentations.", "1", kind="number"),
    "excluded": Column(
        "A rule on participants flags all presentations of this one.", kind="boolean"
    ),
    "exclusion_reason": Column("Which, in words; n/a: none.", kind="string"),
}


def participant_reasons(
    sessions: Sequence[StudySession], exclusions: Exclusions
) -> tuple[dict[str, str], pd.DataFrame]:
    """Return why participants are flagged, and one row per participant.

    Parameters
    ----------
    sessions : sequence of StudySession
    exclusions : Exclusions

    Returns
    -------
    (dict of str to str, pandas.DataFrame)
        Reasons of those that are flagged; the columns of `PARTICIPANTS`.
    """
    shown: dict[str, Counter[str]] = defaultdict(Counter)
    usable: dict[str, Counter[str]] = defaultdict(Counter)
    n_sessions: Counter[str] = Counter()
    for session in sessions:
        n_sessions[session.participant] += 1
        shown[session.participant].update(session.about["summary"]["shown"])
        usable[session.participant].update(session.about["summary"]["usable"])
    withdrew = Counter(s.participant for s in sessions if s.about["summary"].get("withdrawn"))
    reasons: dict[str, str] = {}
    rows = []
    for label in n_sessions:
        reason = exclusions.participant.reason(shown[label], usable[label])
        if 0 < withdrew[label] < n_sessions[label]:
            reason = f"{WITHDREW} in another session"
        if reason is not None:
            reasons[label] = reason
        n, kept = shown[label].total(), usable[label].total()
        rows.append(
            {
                "participant": label,
                "n_sessions": n_sessions[label],
                "n_presentations": n,
                "n_usable": kept,
                "usable_fraction": kept / n if n else float("nan"),
                "excluded": reason is not None,
                "exclusion_reason": reason,
            }
        )
    return reasons, pd.DataFrame(rows, columns=list(PARTICIPANTS))


def write_participants(table: pd.DataFrame, path: Path) -> Path:
    """Write who was flagged, one row per participant."""
    return write_table(table, path, PARTICIPANTS)


def write_study_summary(
    sessions: Sequence[StudySession],
    path: Path,
    exclusions: Exclusions,
    reasons: Mapping[str, str],
) -> Path:
    """Write the summaries of several sessions as one table, with its codebook beside it.

    Parameters
    ----------
    sessions : sequence of StudySession
        Sessions whose analysis is complete.
    path : Path
        The Parquet file.
    exclusions : Exclusions
        The rules that the codebook states.
    reasons : mapping of str to str
        Participants all of whose presentations are flagged, with the reason.
    """
    columns = _columns(sessions)
    ratings: dict[str, str] = {}
    for session in sessions:
        for name, kind in session.about["summary"]["ratings"].items():
            ratings[name] = "object" if "object" in {kind, ratings.get(name)} else kind
    aus = measured_aus(columns)
    known = summary_codebook(exclusions.presentation, aus=aus, affect=columns)
    own = {name: kind for name, kind in ratings.items() if name not in known}
    book = summary_codebook(exclusions.presentation, aus=aus, ratings=own, affect=columns)
    book = {name: column for name, column in book.items() if name in columns}

    def tables() -> Iterator[pd.DataFrame]:
        for session in sessions:
            table = read_table(session.paths.summary).reindex(columns=list(book))
            yield flagged(table, reasons.get(session.participant))

    return write_parquet(_batches(tables()), path, book)


def write_study_windows(
    sessions: Sequence[StudySession], path: Path, reasons: Mapping[str, str]
) -> Path | None:
    """Write the windows of several sessions as one table; parameters as for `write_study_summary`.

    Returns
    -------
    Path or None
        None where no session has windows.
    """
    sessions = [session for session in sessions if session.paths.windows.is_file()]
    if not sessions:
        return None
    columns = _columns(sessions)
    book = windows_codebook(measured_aus(columns), columns)

    def tables() -> Iterator[pd.DataFrame]:
        for session in sessions:
            table = pd.read_parquet(session.paths.windows).reindex(columns=list(book))
            yield flagged(table, reasons.get(session.participant))

    return write_parquet(_batches(tables()), path, book)


def _columns(sessions: Sequence[StudySession]) -> list[str]:
    """Return the columns of all summaries; of those without rows only where all are without."""
    filled = [s for s in sessions if sum(s.about["summary"]["shown"].values())] or sessions
    return list(dict.fromkeys(n for s in filled for n in s.about["summary"]["columns"]))


def flagged(table: pd.DataFrame, reason: str | None) -> pd.DataFrame:
    """Return a table whose rows are all excluded, for this reason too; as it is where there is none."""
    if reason is None or not len(table):
        return table
    said = table["exclusion_reason"]
    both = [f"{own}; {reason}" if isinstance(own, str) else reason for own in said]
    return table.assign(
        excluded=pd.array([True] * len(table), dtype="boolean"),
        exclusion_reason=pd.Series(both, index=table.index, dtype=object),
    )


def _batches(tables: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Yield the rows of many small tables in parts of some size; one empty part where there are none."""
    waiting: list[pd.DataFrame] = []
    n, given = 0, False
    empty: pd.DataFrame | None = None
    for table in tables:
        empty = table.iloc[:0]
        if not len(table):
            continue
        waiting.append(table)
        n += len(table)
        if n >= ROWS_AT_ONCE:
            yield _joined(waiting)
            waiting, n, given = [], 0, True
    if waiting:
        yield _joined(waiting)
    elif not given and empty is not None:
        yield empty


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return tables of the same columns as one, whatever columns are wholly missing in some of them."""
    first = tables[0]
    made: dict[str, Any] = {}
    for name in first.columns:
        parts = [table[name] for table in tables]
        known = [part for part in parts if not part.isna().all()] or parts[:1]
        # A scale that took numbers in one session and words in another is text.
        mixed = len({pd.api.types.is_numeric_dtype(part.dtype) for part in known}) > 1
        kind = np.dtype(object) if mixed else known[0].dtype
        made[str(name)] = pd.concat([part.astype(kind) for part in parts], ignore_index=True)
    return pd.DataFrame(made)


__all__ = [
    "PARTICIPANTS",
    "StudySession",
    "participant_reasons",
    "write_participants",
    "write_study_summary",
    "write_study_windows",
]
