"""The analysis of a study: every session, and one table of all presentations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from duchenne.analysis.gaze.aoi_files import read_aoi_file
from duchenne.analysis.gaze.aoi_session import AUTO
from duchenne.analysis.gaze.scanpath_study import write_similarity
from duchenne.analysis.gaze.synchrony_study import write_synchrony
from duchenne.analysis.paths import AnalysisPaths, derivatives_of, session_files, session_folder
from duchenne.analysis.presentations import other_rating_columns
from duchenne.analysis.session import DEFAULT_AU_BACKEND, analyze_session
from duchenne.analysis.summary import summary_codebook
from duchenne.analysis.tables import read_table, write_parquet
from duchenne.analysis.values import records
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from duchenne.analysis.session import Progress

__all__ = ["AnalysisPaths", "StudyResult", "analyze_session", "analyze_study"]


@dataclass(frozen=True)
class StudyResult:
    """What the analysis of a study wrote.

    Attributes
    ----------
    summary : Path or None
        One row per presentation of all sessions but pilot ones, as Parquet; None where no such session
        succeeded.
    sessions : tuple of AnalysisPaths
        The sessions that were analysed.
    failed : tuple of (Path, str)
        The session files that were not, each with the reason.
    synchrony : Path or None
        One row per participant and film; None where no film was shown.
    scanpath_similarity : Path or None
        One row per participant and picture; None without the extra ``peers``, or where no picture was
        shown to two participants.
    """

    summary: Path | None
    sessions: tuple[AnalysisPaths, ...]
    failed: tuple[tuple[Path, str], ...]
    synchrony: Path | None = None
    scanpath_similarity: Path | None = None


def analyze_study(
    study: Path,
    out_dir: Path | None = None,
    *,
    au_backend: str = DEFAULT_AU_BACKEND,
    aois: Path | str | None = None,
    eye: str = "both",
    leave_out_speech: bool = True,
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
    aois : Path or str, optional
        File of areas of interest, or ``auto``; see `analyze_session`.
    eye : {"both", "cyclopean", "left", "right"}
        What gaze rests on.
    leave_out_speech : bool
        See `analyze_session`.
    progress : callable, optional
        Called with each session file before it is analysed, and with each table of the study before
        it is made; returns who to tell of its stages.

    Returns
    -------
    StudyResult
        Where everything is, and what failed.

    Raises
    ------
    DuchenneError
        If the folder holds no session, or the file of areas cannot be read.
    """
    if aois is not None and str(aois) != AUTO:
        read_aoi_file(Path(aois))
    root = out_dir or derivatives_of(study)
    done: list[AnalysisPaths] = []
    pilots: list[bool] = []
    failed: list[tuple[Path, str]] = []
    for file in session_files(study):
        tell = progress(file) if progress else None
        try:
            folder = session_folder(root, file)
            paths = analyze_session(
                file,
                folder,
                au_backend=au_backend,
                aois=aois,
                eye=eye,
                leave_out_speech=leave_out_speech,
                progress=tell,
            )
            pilots.append(is_pilot(file))
            done.append(paths)
        except DuchenneError as error:
            failed.append((file, str(error)))
        except Exception as error:  # noqa: BLE001 -- one bad session never stops the rest
            failed.append((file, f"{file}: unexpected {type(error).__name__}: {error}"))
    if not done:
        return StudyResult(None, (), tuple(failed))
    counted = [paths for paths, pilot in zip(done, pilots, strict=True) if not pilot]
    if not counted:
        return StudyResult(None, tuple(done), tuple(failed))
    summary = write_study_summary(counted, root / "summary.parquet")
    made = {}
    for write, name in ((write_synchrony, "synchrony"), (write_similarity, "scanpath_similarity")):
        path = root / f"{name}.tsv"
        made[name] = write(counted, path, progress=progress(path) if progress else None)
    return StudyResult(summary, tuple(done), tuple(failed), **made)


def is_pilot(file: Path) -> bool:
    """Return whether a session was a try, which enters no table of the study."""
    with Recording.open(file) as recording:
        return bool(recording.attrs.get("pilot", False))


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
    ratings = other_rating_columns(row for table in filled for row in records(table))
    book = summary_codebook(aus=aus, ratings=ratings)
    ordered = [name for name in book if name in names]
    together = pd.concat(filled, ignore_index=True).reindex(columns=ordered)
    return write_parquet(together, path, book)


def _is_plain_mean(name: str) -> bool:
    return name.startswith("AU") and name.endswith("_mean") and not name.endswith("_change_mean")
