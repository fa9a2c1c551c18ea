"""The statistics of a whole study: worked out after its tables, kept beside them, read by its report."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from duchenne.analysis.paths import AnalysisPaths
from duchenne.analysis.statistics.declared import Declarations
from duchenne.analysis.statistics.files import (
    key_of,
    read_files,
    remove_files,
    units_in,
    write_files,
)
from duchenne.analysis.statistics.results import StudyStatistics
from duchenne.analysis.statistics.sample import CannotTell
from duchenne.analysis.study_plan import WHOLE, read_plan
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from duchenne.analysis.statistics.results import (
        ContrastResult,
        CurveResult,
        ParticipantDifference,
        Specification,
        SpecificationSummary,
    )
    from duchenne.analysis.study_plan import StudyPlan

    Progress = Callable[[str, int, int], None]

STAGE = "statistics"


def write_statistics(
    study: Path,
    root: Path,
    *,
    lock: bool = True,
    progress: Progress | None = None,
) -> StudyStatistics | None:
    """Work out the statistics of a study and write them beside its tables.

    Nothing is worked out again where neither the study file nor a table has changed.

    Parameters
    ----------
    study : Path
        Folder of the study, with its ``study.yaml``.
    root : Path
        Folder of its results, with ``summary.parquet`` and, for windows, ``windows.parquet``.
    lock : bool, default True
        Note in the study's folder what is declared for the first time; False leaves it as it is.
    progress : callable, optional
        Told the stage, what is done, and how much there is.

    Returns
    -------
    StudyStatistics or None
        None where there is no table of the study, or neither ratings nor anything declared.

    Raises
    ------
    DuchenneError
        ``study.yaml`` is not as it should be, or a file cannot be read or written.
    """
    plan = read_plan(study)
    summary_file = root / "summary.parquet"
    if not summary_file.is_file():
        return None
    notes: list[str] = []
    try:
        declarations = Declarations.of_study(study, write=lock)
    except DuchenneError as error:
        declarations = Declarations()
        notes.append(f"It is not known when the comparisons were declared: {error}")
    sessions = sessions_in(root) if plan.curves else ()
    key = key_of(study, root, plan, sessions, declarations)
    known = read_files(root)
    if known is not None and known[0] == key:
        return known[1]
    work = _Work(study, root, plan, declarations, progress)
    found = replace(work.all(sessions), notes=tuple(notes))
    if not (found.contrasts or found.curves or found.manipulation):
        remove_files(root)
        return None
    write_files(root, key, found, plan, lambda window: work.table(None, window))
    return found


def sessions_in(root: Path) -> tuple[AnalysisPaths, ...]:
    """Return the sessions that are in the summary of a study, such as no pilots.

    Parameters
    ----------
    root : Path
        Folder of the study's results.
    """
    columns = ["participant", "session", "task", "run"]
    summary = pd.read_parquet(root / "summary.parquet")
    if not set(columns) <= set(summary.columns):
        return ()
    found = []
    for who, session, task, run in summary[columns].drop_duplicates().itertuples(index=False):
        stem = f"sub-{who}_ses-{session}_task-{task}_run-{run}"
        found.append(AnalysisPaths(root / f"sub-{who}" / f"ses-{session}", stem))
    return tuple(found)


def in_words(found: StudyStatistics) -> tuple[str, ...]:
    """Return what a command says of the statistics, one sentence each."""
    said = list(found.notes)
    if found.contrasts:
        fitted = [one for one in found.contrasts if one.significant is not None]
        sure = [one.name for one in fitted if one.significant]
        said.append(
            f"{len(fitted)} of {len(found.contrasts)} contrasts worked out, {found.declaration.status}; "
            f"significant after correction: {', '.join(sure) or 'none'}."
        )
        said += _together("Contrast", [(one.name, one.note) for one in found.contrasts])
    said += _together("Curve", [(one.name, one.note) for one in found.curves])
    said += [f"{change}." for change in found.declaration.changes]
    odd = [one for one in found.manipulation_participants if one.follows_norm is False]
    said += [f"Participant {one.participant}, {one.rating}: {one.note}" for one in odd]
    return tuple(said)


def _together(what: str, notes: Sequence[tuple[str, str]]) -> list[str]:
    """Return each sentence of some notes once, with the names that it is about."""
    about: dict[str, list[str]] = {}
    for name, note in notes:
        for sentence in re.split(r"(?<=\.) ", note) if note else ():
            about.setdefault(sentence, []).append(name)
    return [
        f"{what}{'s' if len(names) > 1 else ''} {', '.join(names)}: {sentence}"
        for sentence, names in about.items()
    ]


def read_statistics(root: Path) -> StudyStatistics | None:
    """Read what `write_statistics` wrote; None where there is nothing that this version can read.

    Parameters
    ----------
    root : Path
        Folder of a study's results.
    """
    known = read_files(root)
    return None if known is None else known[1]


class _Work:
    """The statistics of one study, as they are worked out."""

    def __init__(
        self,
        study: Path,
        root: Path,
        plan: StudyPlan,
        declarations: Declarations,
        progress: Progress | None,
    ) -> None:
        self.plan, self.declarations = plan, declarations
        self._study, self._root = study, root
        self._progress = progress
        self._tables: dict[tuple[Path, str], pd.DataFrame] = {}
        self._units = units_in(root / "summary.json")
        self._total = len(plan.contrasts) + len(plan.curves) + len(plan.multiverse) + 1
        self._done = 0

    def all(self, sessions: Sequence[AnalysisPaths]) -> StudyStatistics:
        """Work out everything."""
        from duchenne.analysis.statistics.manipulation import (  # noqa: PLC0415 (scipy)
            ratings_by_category,
            ratings_of_participants,
        )

        summary = self.table(None, WHOLE)
        self._tell(0)
        by_category = ratings_by_category(summary)
        of_participants = ratings_of_participants(summary)
        self._tell(1)
        contrasts, participants = self._contrasts()
        curves = self._curves(sessions, summary)
        specs, together = self._multiverse()
        return StudyStatistics(
            study=self.plan.name or self._study.resolve().name,
            declaration=self.declarations.together(),
            contrasts=contrasts,
            participants=participants,
            curves=curves,
            manipulation=by_category,
            manipulation_participants=of_participants,
            multiverse=specs,
            multiverse_summary=together,
        )

    def table(self, folder: str | None, window: str) -> pd.DataFrame:
        """Return the rows of a window, from the study's own results or another folder of it.

        Raises
        ------
        CannotTell
            There is no such table or window.
        """
        root = self._root if folder is None else self._study / folder
        name = "summary.parquet" if window == WHOLE else "windows.parquet"
        path = root / name
        key = (path, window)
        if key not in self._tables:
            if not path.is_file():
                where = name if folder is None else f"{folder}/{name}"
                raise CannotTell(f"there is no {where}")
            filters = None if window == WHOLE else [("window", "==", window)]
            table = pd.read_parquet(path, filters=filters)
            if window != WHOLE and not len(table):
                raise CannotTell(f"no window {window} was measured; declare it under windows")
            if window == "sliding":
                raise CannotTell("sliding windows are many: declare the one that is meant")
            self._tables[key] = table
        return self._tables[key]

    def unit(self, measure: str) -> str | None:
        """Return the unit of a column; of the pupil the device's, where it is the same everywhere."""
        if measure.startswith("pupil"):
            summary = self.table(None, WHOLE)
            if "pupil_unit" in summary.columns:
                units = summary["pupil_unit"].dropna().unique()
                if len(units) == 1:
                    return str(units[0])
        return self._units.get(measure)

    def _contrasts(self) -> tuple[tuple[ContrastResult, ...], tuple[ParticipantDifference, ...]]:
        from duchenne.analysis.statistics.contrasts import (  # noqa: PLC0415 (scipy)
            contrast_result,
            participant_differences,
            with_corrections,
        )

        results: list[ContrastResult] = []
        people: list[ParticipantDifference] = []
        for contrast in self.plan.contrasts:
            declared, when = self.declarations.about("contrasts", contrast.name, contrast.window)
            try:
                table, missing = self.table(None, contrast.window), ""
            except CannotTell as reason:
                table, missing = self.table(None, WHOLE).iloc[:0], f"{reason}."
            one = contrast_result(
                table,
                contrast,
                self.plan.statistics,
                unit=self.unit(contrast.measure),
                declared=declared,
                declared_utc=when,
            )
            results.append(replace(one, note=missing) if missing else one)
            people += participant_differences(table, contrast)
            self._tell(1)
        return with_corrections(results, self.plan.statistics.alpha), tuple(people)

    def _curves(
        self, sessions: Sequence[AnalysisPaths], summary: pd.DataFrame
    ) -> tuple[CurveResult, ...]:
        if not self.plan.curves:
            return ()
        from duchenne.analysis.statistics.curves import (  # noqa: PLC0415 (scipy)
            correct_curves,
            curve_result,
            read_courses,
        )

        courses = read_courses(sessions, self.plan.curves)
        results = []
        for curve in self.plan.curves:
            declared, _ = self.declarations.about("curves", curve.name)
            column = "pupil_change_mean" if curve.measure == "pupil" else f"{curve.measure}_mean"
            results.append(
                curve_result(
                    curve,
                    courses[curve.name],
                    summary,
                    self.plan.statistics,
                    unit=self.unit(column),
                    declared=declared,
                )
            )
            self._tell(1)
        return correct_curves(results)

    def _multiverse(
        self,
    ) -> tuple[tuple[Specification, ...], tuple[SpecificationSummary, ...]]:
        if not self.plan.multiverse:
            return (), ()
        from duchenne.analysis.statistics.multiverse import (  # noqa: PLC0415 (scipy)
            specifications,
            summarised,
        )

        rows: list[Specification] = []
        together = []
        for one in self.plan.multiverse:
            contrast = self.plan.contrast(one.contrast)
            found = specifications(one, contrast, self.table)
            rows += found
            together.append(summarised(contrast, found, self.plan.statistics.alpha))
            self._tell(1)
        return tuple(rows), tuple(together)

    def _tell(self, more: int) -> None:
        self._done += more
        if self._progress is not None:
            self._progress(STAGE, self._done, self._total)
