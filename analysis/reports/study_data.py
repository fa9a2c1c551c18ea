"""The tables that a study's report is drawn from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from duchenne.analysis.paths import AnalysisPaths, analysis_paths, derivatives_of
from duchenne.analysis.tables import read_table
from duchenne.analysis.values import records, text
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

KEYS = ("participant", "session", "task", "run")
_PROVENANCE = "_provenance.json"


@dataclass(frozen=True)
class StudySession:
    """One analysed session of a study.

    Parameters
    ----------
    paths : AnalysisPaths
    key : tuple of str
        Participant, session, task and run.
    quality : pandas.DataFrame
        One row per stream.
    provenance : dict
        Versions and configuration.
    file : Path or None
        The session file; None where it is not here.
    counted : bool
        Whether its presentations are in the table of the study (those of tries are not).
    """

    paths: AnalysisPaths
    key: tuple[str, str, str, str]
    quality: pd.DataFrame
    provenance: dict[str, Any]
    file: Path | None
    counted: bool

    @property
    def participant(self) -> str:
        """Label of the participant."""
        return self.key[0]

    @property
    def label(self) -> str:
        """The session in words."""
        return f"{self.key[1]}, {self.key[2]}, run {self.key[3]}"


@dataclass(frozen=True)
class StudyData:
    """A study as its tables tell it.

    Attributes
    ----------
    name : str
    root : Path
        Folder of the results.
    sessions : tuple of StudySession
    summary : pandas.DataFrame
        One row per presentation of all counted sessions.
    not_analyzed : tuple of str
        Names of session files without results.
    unreadable : tuple of str
        Sessions whose results cannot be read, each with the reason.
    people : pandas.DataFrame
        ``participants.tsv``; empty where there is none.
    plan : dict
        ``study.yaml`` as plain values.
    """

    name: str
    root: Path
    sessions: tuple[StudySession, ...]
    summary: pd.DataFrame
    not_analyzed: tuple[str, ...]
    unreadable: tuple[str, ...]
    people: pd.DataFrame
    plan: dict[str, Any]

    @classmethod
    def read(cls, study: Path, out: Path | None = None) -> StudyData:
        """Read the tables of a study.

        Parameters
        ----------
        study : Path
            Its folder.
        out : Path, optional
            Folder of the results, where they are not in ``STUDY/derivatives/duchenne``.

        Raises
        ------
        DuchenneError
            If no session of the study has been analysed, or a table cannot be read.
        """
        root = out or derivatives_of(study)
        found = sorted(root.glob(f"sub-*/ses-*/*{_PROVENANCE}"))
        if not found:
            raise DuchenneError(
                f"No results in {root}. Run `duchenne analyze {study.name}` first, then the report."
            )
        files = {
            analysis_paths(file).stem: file
            for file in sorted(study.glob("sourcedata/sub-*/ses-*/*_session.h5"))
        }
        paths = [AnalysisPaths(f.parent, f.name.removesuffix(_PROVENANCE)) for f in found]
        paths = [one for one in paths if one.complete]
        summary = _summary(root, paths)
        counted = {tuple(map(str, row)) for row in summary[list(KEYS)].drop_duplicates().to_numpy()}
        sessions, unreadable = _sessions(paths, files, counted)
        done = {one.stem for one in paths}
        plan = _plan(study)
        return cls(
            name=str(plan.get("title") or plan.get("name") or study.resolve().name),
            root=root,
            sessions=sessions,
            summary=summary,
            unreadable=unreadable,
            not_analyzed=tuple(file.name for stem, file in files.items() if stem not in done),
            people=_people(study),
            plan=plan,
        )

    @cached_property
    def used(self) -> pd.DataFrame:
        """The presentations that no rule excludes."""
        chosen: pd.DataFrame = self.summary[~excluded(self.summary)]
        return chosen

    @property
    def counted(self) -> list[StudySession]:
        """The sessions that are in the tables of the study; all of them where none is."""
        return [session for session in self.sessions if session.counted] or list(self.sessions)

    @property
    def participants(self) -> list[str]:
        """Labels of all participants with an analysed session, in order."""
        return sorted({session.participant for session in self.sessions})

    @property
    def categories(self) -> list[str]:
        """Categories of the stimuli, in order of their names; neutral last."""
        names = {name for name in map(text, self.summary["category"]) if name}
        return sorted(names, key=lambda name: (name == "neutral", name))

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a table of the study by its name; None where it was not made or is empty."""
        path = self.root / f"{name}.tsv"
        if not path.is_file():
            return None
        frame = read_table(path)
        return frame if len(frame) else None


def excluded(summary: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows of a summary are excluded."""
    return summary["excluded"].fillna(value=False).astype(bool)


def _summary(root: Path, paths: list[AnalysisPaths]) -> pd.DataFrame:
    path = root / "summary.parquet"
    if path.is_file():
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise DuchenneError(
                f"{path} cannot be read: {error}. Run `duchenne analyze` again."
            ) from error
    tables = [read_table(one.summary) for one in paths]
    filled = [table for table in tables if len(table)] or tables[:1]
    if not filled:
        raise DuchenneError(f"No complete results in {root}. Run `duchenne analyze` on the study.")
    return pd.concat(filled, ignore_index=True)


def _sessions(
    all_paths: list[AnalysisPaths], files: dict[str, Path], counted: set[tuple[str, ...]]
) -> tuple[tuple[StudySession, ...], tuple[str, ...]]:
    """Return the sessions that can be read, and why others cannot: one never stops the rest."""
    sessions, unreadable = [], []
    for paths in all_paths:
        try:
            sessions.append(_session(paths, files.get(paths.stem), counted))
        except DuchenneError as error:
            unreadable.append(f"{paths.stem}: {error}")
    return tuple(sessions), tuple(unreadable)


def _session(
    paths: AnalysisPaths, file: Path | None, counted: set[tuple[str, ...]]
) -> StudySession:
    try:
        provenance = dict(json.loads(paths.provenance.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DuchenneError(
            f"{paths.provenance} cannot be read: {error}. Analyze again."
        ) from error
    quality = read_table(paths.quality)
    rows = records(quality)[:1] or records(read_table(paths.summary))[:1]
    key = tuple(str(rows[0].get(name) or "") for name in KEYS) if rows else _key_of(paths.stem)
    participant, session, task, run = key
    return StudySession(
        paths, (participant, session, task, run), quality, provenance, file, key in counted
    )


def _key_of(stem: str) -> tuple[str, ...]:
    parts = dict(part.partition("-")[::2] for part in stem.split("_") if "-" in part)
    return tuple(parts.get(name, "") for name in ("sub", "ses", "task", "run"))


def _people(study: Path) -> pd.DataFrame:
    path = study / "participants.tsv"
    return read_table(path) if path.is_file() else pd.DataFrame()


def _plan(study: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415

    path = study / "study.yaml"
    if not path.is_file():
        return {}
    try:
        plan = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return plan if isinstance(plan, dict) else {}
