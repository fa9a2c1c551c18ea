"""CSV and Parquet: every table of the study as one file, and the summary with one row per participant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from duchenne.analysis.export.base import exporter
from duchenne.analysis.export.factors import write_factors
from duchenne.analysis.export.shared_tables import shared_tables
from duchenne.analysis.export.styles import write_style
from duchenne.analysis.export.tables_of_study import study_tables, with_levels
from duchenne.analysis.export.videos import write_videos
from duchenne.analysis.tables import Column, write_codebook, write_parquet
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from duchenne.analysis.export.base import ExportSession, Job
    from duchenne.analysis.export.shared_tables import SharedTable
    from duchenne.analysis.export.tables_of_study import StudyTable
    from duchenne.analysis.tables import Codebook

NOT_MEASURED = ("trial", "onset", "duration", "planned_duration_s")
CONDITION = "category"


@exporter("csv", "parquet")
def export_flat(job: Job) -> None:
    """Write each table as CSV or Parquet with its codebook, and ``summary_wide``."""
    is_csv = job.format_name == "csv"
    own = study_tables(job, samples=not is_csv)
    shared = shared_tables(job, frozenset(table.name for table in own))
    tables: list[StudyTable | SharedTable] = [*own, *shared]
    books: dict[str, Codebook] = {}
    for done, table in enumerate(tables):
        job.tell(table.name, done, len(tables))
        books[table.name] = table.book
        if table.name != "summary":
            _write(table.frames(job), job.out / table.name, table.book, job)
            continue
        whole = table.whole(job)
        books["summary"] = with_levels(whole, table.book)
        _write([whole], job.out / "summary", books["summary"], job)
        wide, books["summary_wide"] = wide_summary(whole, table.book)
        _write([wide], job.out / "summary_wide", books["summary_wide"], job)
    if is_csv:
        write_factors(books, job.out, job.options.na)
        write_style(job)
    write_videos(job, _place_of_video)
    job.tell("tables", len(tables), len(tables))


def _place_of_video(session: ExportSession, kind: str) -> str:
    if kind == "original":
        return f"videos/{session.paths.stem}_video.mp4"
    return f"videos/{session.paths.stem}_desc-{kind}_video.mp4"


def wide_summary(summary: pd.DataFrame, book: Codebook) -> tuple[pd.DataFrame, dict[str, Column]]:
    """Return the summary with one row per participant and columns such as ``AU12_mean_HVHA``.

    Parameters
    ----------
    summary : DataFrame
        One row per presentation.
    book : mapping of str to Column
        Its codebook.

    Returns
    -------
    DataFrame
        A row per participant, or per participant and session where somebody came more than once. Each
        measure is the mean over the presentations of a category that are not excluded (NaN: none has a
        value); ``n_valid_CATEGORY`` and ``n_excluded_CATEGORY`` count them.
    dict of str to Column
        What the columns mean.
    """
    one_session = bool((summary.groupby("participant")["session"].nunique() <= 1).all())
    keys = ["participant"] if one_session else ["participant", "session"]
    measures = [
        name
        for name, column in book.items()
        if column.kind in {"number", "integer"} and name not in NOT_MEASURED
    ]
    excluded = summary["excluded"].fillna(False).astype(bool)
    rows = summary.drop_duplicates(keys)[keys].reset_index(drop=True)
    described = {name: book[name] for name in keys}
    columns: dict[str, pd.Series] = {}
    for condition, suffix in _suffixes(summary[CONDITION].dropna().unique()).items():
        here = summary[CONDITION] == condition
        about = f"presentations of category {condition}"
        means = summary[here & ~excluded].groupby(keys)[measures].mean()
        for what, rule in (("valid", ~excluded), ("excluded", excluded)):
            counts = summary[here & rule].groupby(keys).size()
            name = f"n_{what}_{suffix}"
            columns[name] = _aligned(rows, keys, counts).fillna(0).astype("Int64")
            described[name] = Column(f"Number of {what} {about}.", kind="integer")
        for measure in measures:
            name = f"{measure}_{suffix}"
            columns[name] = _aligned(rows, keys, means[measure]).astype("float64")
            described[name] = Column(
                f"Mean over the valid {about} of: {book[measure].description}",
                book[measure].unit,
                kind="number",
                derivative=True,
            )
    return pd.concat([rows, pd.DataFrame(columns, index=rows.index)], axis=1), described


def write_csv(
    frames: Iterable[pd.DataFrame], path: Path, book: Codebook, *, na: str = "NA"
) -> None:
    """Write a table as CSV that R, JASP and jamovi read as it is, with its codebook beside it.

    UTF-8, commas, ``TRUE``/``FALSE``; text is quoted where it must be.

    Raises
    ------
    UsageError
        If a text of the table reads like a missing value.
    """
    kinds: dict[str, str] = {}
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        for number, frame in enumerate(frames):
            kinds = {str(name): book[str(name)].kind or "string" for name in frame.columns}
            shown = frame.copy(deep=False)
            for name, kind in kinds.items():
                if kind == "boolean":
                    shown[name] = frame[name].map({True: "TRUE", False: "FALSE"}).astype("string")
                elif kind == "string" and na and bool((frame[name] == na).any()):
                    raise UsageError(
                        f"--na {na}: the column {name} of {path.stem} holds this as a value: choose another."
                    )
            shown.to_csv(file, index=False, header=number == 0, na_rep=na, lineterminator="\n")
    write_codebook(book, path.with_suffix(".json"), kinds)


def _write(frames: Iterable[pd.DataFrame], path: Path, book: Codebook, job: Job) -> None:
    if job.format_name == "csv":
        write_csv(frames, path.with_suffix(".csv"), book, na=job.options.na)
    else:
        write_parquet(iter(frames), path.with_suffix(".parquet"), book)


def _aligned(rows: pd.DataFrame, keys: list[str], values: pd.Series) -> pd.Series:
    index = pd.Index(rows[keys[0]]) if len(keys) == 1 else pd.MultiIndex.from_frame(rows[keys])
    return values.reindex(index).reset_index(drop=True)


def _suffixes(conditions: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for condition in sorted(str(c) for c in conditions):
        plain = re.sub(r"\W+", "_", condition).strip("_") or "none"
        name, number = plain, 2
        while name in found.values():
            name, number = f"{plain}_{number}", number + 1
        found[condition] = name
    return found
