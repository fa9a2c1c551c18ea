"""DuckDB: one file with a table of each kind, views for what counts, and the codebook as a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd

from duchenne.analysis.export.base import exporter
from duchenne.analysis.export.shared_tables import shared_tables
from duchenne.analysis.export.tables_of_study import study_tables
from duchenne.analysis.export.videos import write_videos
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.export.base import Job
    from duchenne.analysis.export.shared_tables import SharedTable
    from duchenne.analysis.export.tables_of_study import StudyTable

FILE = "study.duckdb"
TYPES = {"number": "DOUBLE", "integer": "BIGINT", "boolean": "BOOLEAN", "string": "VARCHAR"}
VIEWS = {
    "summary_valid": "SELECT * FROM summary WHERE NOT coalesce(excluded, false)",
    "exclusion_counts": "SELECT participant, session, count(*) AS n_presentations, "
    "count(*) FILTER (WHERE coalesce(excluded, false)) AS n_excluded, "
    "string_agg(DISTINCT exclusion_reason, '; ') AS reasons FROM summary GROUP BY ALL ORDER BY ALL",
}


@exporter("duckdb")
def export_duckdb(job: Job) -> None:
    """Write ``study.duckdb``."""
    import duckdb  # noqa: PLC0415

    own = study_tables(job, samples=True)
    shared = shared_tables(job, frozenset(table.name for table in own))
    tables: list[StudyTable | SharedTable] = [*own, *shared]
    try:
        with duckdb.connect(str(job.out / FILE)) as base:
            for done, table in enumerate(tables):
                job.tell(table.name, done, len(tables))
                columns = ", ".join(
                    f"{_quoted(name)} {TYPES[column.kind or 'string']}"
                    for name, column in table.book.items()
                )
                base.execute(f"CREATE TABLE {_quoted(table.name)} ({columns})")
                for frame in table.frames(job):
                    base.register("part", _arrow(frame))
                    base.execute(f"INSERT INTO {_quoted(table.name)} SELECT * FROM part")  # noqa: S608
                    base.unregister("part")
            base.register("part", _arrow(_codebook(tables)))
            base.execute("CREATE TABLE codebook AS SELECT * FROM part")
            base.unregister("part")
            for name, query in VIEWS.items():
                base.execute(f"CREATE VIEW {name} AS {query}")
    except duckdb.Error as error:
        first = str(error).partition("\n")[0]
        raise DuchenneError(f"the DuckDB file could not be written: {first}") from error
    write_videos(job, lambda session, kind: f"videos/{session.paths.stem}_desc-{kind}_video.mp4")
    job.tell("tables", len(tables), len(tables))


def _codebook(tables: Sequence[StudyTable | SharedTable]) -> pd.DataFrame:
    rows = [
        {
            "table_name": table.name,
            "column_name": name,
            "description": column.description,
            "unit": column.unit,
            "levels": None if column.levels is None else json.dumps(dict(column.levels)),
        }
        for table in tables
        for name, column in table.book.items()
    ]
    return pd.DataFrame(rows).astype("string")


def _arrow(frame: pd.DataFrame) -> object:
    import pyarrow as pa  # noqa: PLC0415

    return pa.Table.from_pandas(frame, preserve_index=False)


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
