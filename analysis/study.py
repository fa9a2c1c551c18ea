"""The analysis of a study: what is new or changed of its sessions, and the tables over all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from duchenne.analysis.affect.registry import DEFAULT_AFFECT_BACKEND
from duchenne.analysis.exclusions import read_exclusions
from duchenne.analysis.exclusions_lock import known_lock, lock_exclusions
from duchenne.analysis.gaze.aoi_files import read_aoi_file
from duchenne.analysis.gaze.aoi_session import AUTO
from duchenne.analysis.inputs import inputs_of
from duchenne.analysis.paths import (
    AnalysisPaths,
    analysis_paths,
    derivatives_of,
    session_files,
    session_folder,
)
from duchenne.analysis.session import DEFAULT_AU_BACKEND, analyze_session
from duchenne.analysis.settings import AnalysisSettings
from duchenne.analysis.study_checks import unsealed_journals
from duchenne.analysis.study_cluster import run_on_cluster
from duchenne.analysis.study_plan import read_plan
from duchenne.analysis.study_pool import run_here, run_in_processes
from duchenne.analysis.study_state import FileHashes, SessionState
from duchenne.analysis.study_task import NOTHING, SessionTask
from duchenne.analysis.study_together import Place, Rules, StudyResult, put_together
from duchenne.analysis.window_plan import read_window_plan
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from duchenne.analysis.session import Progress
    from duchenne.analysis.study_task import SessionOutcome

__all__ = ["AnalysisPaths", "StudyResult", "analyze_session", "analyze_study"]


def analyze_study(
    study: Path,
    out_dir: Path | None = None,
    *,
    au_backend: str = DEFAULT_AU_BACKEND,
    affect_backend: str = DEFAULT_AFFECT_BACKEND,
    aois: Path | str | None = None,
    eye: str = "both",
    leave_out_speech: bool = True,
    workers: int = 1,
    scheduler: str | None = None,
    force: bool = False,
    report: bool = True,
    lock: bool = True,
    progress: Callable[[Path], Progress | None] | None = None,
) -> StudyResult:
    """Analyse what is new or changed of a study; a session that fails does not stop the others.

    Parameters
    ----------
    study : Path
        Folder with ``sourcedata/sub-…/ses-…/…_session.h5``.
    out_dir : Path, optional
        Folder to write to instead of ``STUDY/derivatives/duchenne``.
    au_backend : str
        Which backend measures Action Units.
    affect_backend : str
        What tells valence and arousal; see `analyze_session`.
    aois : Path or str, optional
        File of areas of interest, or ``auto``; see `analyze_session`.
    eye : {"both", "cyclopean", "left", "right"}
        What gaze rests on.
    leave_out_speech : bool
        See `analyze_session`.
    workers : int, default 1
        Processes that analyse sessions; 1: this one.
    scheduler : str, optional
        Address of a dask.distributed scheduler whose workers analyse the sessions instead.
    force : bool, default False
        Analyse all sessions anew.
    report : bool, default True
        Draw the reports of the sessions.
    lock : bool, default True
        Lock the exclusion rules, and write the default ones where there are none; False: leave the study
        folder as it is.
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
        If the folder holds no session, a file of the study (areas, exclusions, windows) cannot be read,
        or the scheduler cannot be reached or is lost; what was done until then stays.
    """
    if aois is not None and str(aois) != AUTO:
        read_aoi_file(Path(aois))
    if workers < 1:
        raise UsageError(f"--workers is a number from 1, not {workers}.")
    files, journals = _files(study)
    if ":" in au_backend and len(files) > 1:
        from duchenne.analysis.face.command import check_backend  # noqa: PLC0415  (heavy)

        check_backend(au_backend, len(files), several=True)
    read_plan(study)  # what is wrong with it is told before anything is measured
    if lock:
        exclusions, locked = lock_exclusions(study)
    else:
        exclusions = read_exclusions(study)
        locked = known_lock(study, exclusions)
    plan = Rules(
        AnalysisSettings(
            au_backend, None if aois is None else str(aois), eye, leave_out_speech, affect_backend
        ),
        exclusions,
        locked,
        read_window_plan(study / "study.yaml"),
        report,
        force,
    )
    root = (out_dir or derivatives_of(study)).resolve()
    failed = list(journals)
    tasks, places, todo = _tasks(study.resolve(), root, files, plan, failed)
    bars: dict[str, Progress | None] = {}

    def tell(task: SessionTask, stage: str, done: int, total: int) -> None:
        if task.file not in bars:
            bars[task.file] = progress(places[task.file].file) if progress else None
        bar = bars[task.file]
        if bar is not None:
            bar(stage, done, total)

    by_file = {task.file: task for task in todo}
    ended: dict[str, SessionOutcome] = {}
    for outcome in _run(todo, tell, workers, scheduler):
        ended[outcome.file] = outcome
        tell(by_file[outcome.file], "ended", 1, 1)
    sessions: list[tuple[Place, SessionState]] = []
    for task in tasks:
        place, end = places[task.file], ended.get(task.file)
        if end is not None and end.failure is not None:
            failed.append((place.file, end.failure))
            continue
        notes = end.notes if end is not None else ()
        place = replace(place, paths=replace(place.paths, notes=notes))
        sessions.append((place, SessionState.read(place.paths)))
    done = tuple(places[name].paths.stem for name in ended if ended[name].failure is None)
    peak = max((outcome.peak_mb for outcome in ended.values()), default=0.0)
    result = put_together(root, sessions, plan, failed, progress)
    told = _statistics(study, root, progress, lock=lock) if result.summary is not None else ()
    notes = (*locked.notes, *result.notes, *told)
    return replace(result, done=done, notes=notes, peak_mb=peak)


def _statistics(
    study: Path, root: Path, progress: Callable[[Path], Progress | None] | None, *, lock: bool
) -> tuple[str, ...]:
    """Work out what the study declares; return what there is to say of it."""
    from duchenne.analysis.statistics.study import in_words, write_statistics  # noqa: PLC0415

    tell = progress(root / "contrasts.tsv") if progress else None
    found = write_statistics(study, root, lock=lock, progress=tell)
    return () if found is None else in_words(found)


def _files(study: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return the session files, and the recordings that were not sealed with what to do."""
    journals = unsealed_journals(study)
    try:
        return session_files(study), journals
    except DuchenneError:
        if journals:
            return [], journals
        raise


def _tasks(
    study: Path,
    root: Path,
    files: Sequence[Path],
    plan: Rules,
    failed: list[tuple[Path, str]],
) -> tuple[list[SessionTask], dict[str, Place], list[SessionTask]]:
    """Return a task for each session, where each belongs, and those that there is something to do for."""
    hashes = FileHashes(root)
    tasks: list[SessionTask] = []
    places: dict[str, Place] = {}
    names: set[str] = set()
    for file in files:
        paths = analysis_paths(file, session_folder(root, file))
        name = f"{file.parent.parent.name}/{file.parent.name}/{file.name}"
        names.add(name)
        try:
            digest = hashes.of(file, name)
        except OSError as error:
            failed.append((file, f"{file} cannot be read: {error.strerror or error}"))
            continue
        inputs = inputs_of(
            file, plan.settings, plan.exclusions, plan.windows,
            study=study, lock=plan.lock, session_sha256=digest,
        )  # fmt: skip
        todo = SessionState.read(paths).todo(paths, inputs, report=plan.report, force=plan.force)
        absolute = str(file.resolve())
        places[absolute] = Place(file, paths)
        tasks.append(
            SessionTask(
                absolute,
                str(paths.folder),
                todo,
                plan.settings.to_dict(),
                plan.exclusions.model_dump(mode="json"),
                plan.windows.model_dump(mode="json"),
                inputs.to_dict(),
                plan.report,
            )
        )
    hashes.keep(names)
    return tasks, places, [task for task in tasks if task.todo != NOTHING]


def _run(
    tasks: Sequence[SessionTask],
    tell: Callable[[SessionTask, str, int, int], None],
    workers: int,
    scheduler: str | None,
) -> Iterator[SessionOutcome]:
    """Do the tasks wherever they are to be done: the only place that knows of it."""
    if not tasks:
        return iter(())
    if scheduler is not None:
        return run_on_cluster(tasks, tell, scheduler)
    if workers > 1:
        return run_in_processes(tasks, tell, min(workers, len(tasks)))
    return run_here(tasks, tell)
