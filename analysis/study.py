"""The analysis of a study: every session, and one table of all presentations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from duchenne.analysis.paths import AnalysisPaths, derivatives_of, session_files, session_folder
from duchenne.analysis.session import DEFAULT_AU_BACKEND, analyze_session
from duchenne.analysis.summary import summary_codebook
from duchenne.analysis.tables import read_table, write_parquet
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from duchenne.analysis.session import Progress

__all__ = ["AnalysisPaths", "StudyResult", "analyze_session", "analyze_study"]


@dataclass(frozen=True)
class StudyResult:
    """What the analysis of a study wrote.

    Attributes
    ----------
    summary : Path or None
        One row per presentation of all sessions, as Parquet; None where no session succeeded.
    sessions : tuple of AnalysisPaths
        The sessions that were analysed.
    failed : tuple of (Path, str)
        The session files that were not, each with the reason.
    """

    summary: Path | None
    sessions: tuple[AnalysisPaths, ...]
    failed: tuple[tuple[Path, str], ...]


def analyze_study(
    study: Path,
    out_dir: Path | None = None,
    *,
    au_backend: str = DEFAULT_AU_BACKEND,
    progress: Callable[[Path], Progress | None] | None = None,
) -> StudyResult:
    """Analyse every session of a study; a session that fails does not stop the others.

    Parameters
    ----------
    study : Path
        Folder with ``sourcedata/sub-…/ses-…/…_session.h5``.
    out_dir : Path, optional
        Folder to write to instead of ``STUDY/derivatives/duchenne``.
    au_backend : str
        Which backend measures Action Units.
    progress : callable, optional
        Called with each session file before it is analysed; returns who to tell of its stages.

    Returns
    -------
    StudyResult
        Where everything is, and what failed.

    Raises
    ------
    DuchenneError
        If the folder holds no session.
    """
    root = out_dir or derivatives_of(study)
    done: list[AnalysisPaths] = []
    failed: list[tuple[Path, str]] = []
    for file in session_files(study):
        tell = progress(file) if progress else None
        try:
            folder = session_folder(root, file)
            done.append(analyze_session(file, folder, au_backend=au_backend, progress=tell))
        except DuchenneError as error:
            failed.append((file, str(error)))
        except Exception as error:  # noqa: BLE001 -- one bad session never stops the rest
            failed.append((file, f"{file}: unexpected {type(error).__name__}: {error}"))
    summary = write_study_summary(done, root / "summary.parquet") if done else None
    return StudyResult(summary, tuple(done), tuple(failed))


def write_study_summary(sessions: Sequence[AnalysisPaths], path: Path) -> Path:
    """Write the summaries of several sessions as one table, with its codebook beside it.

    Parameters
    ----------
    sessions : sequence of AnalysisPaths
        Sessions whose analysis is complete.
    path : Path
        The Parquet file.
    """
    tables = [read_table(session.summary) for session in sessions]
    filled = [table for table in tables if len(table)] or tables[:1]
    names = list(dict.fromkeys(str(name) for table in filled for name in table.columns))
    aus = [name.removesuffix("_mean") for name in names if _is_plain_mean(name)]
    book = summary_codebook(aus=aus)
    ordered = [name for name in book if name in names]
    together = pd.concat(filled, ignore_index=True).reindex(columns=ordered)
    return write_parquet(together, path, book)


def _is_plain_mean(name: str) -> bool:
    return name.startswith("AU") and name.endswith("_mean") and not name.endswith("_change_mean")
