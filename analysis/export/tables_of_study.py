"""The tables of many sessions as one: the same columns in every part, in the order of the codebook."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from duchenne.analysis.paths import derivatives_of
from duchenne.analysis.presentations import column_part
from duchenne.analysis.study_summary import flagged
from duchenne.analysis.tables import Column, read_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.export.base import ExportSession, Job

MOST_LEVELS = 60
"""A text column of the summary with at most so many values is a factor, and its levels are listed."""
FACTORS = ("participant", "session", "task", "run", "block", "stimulus_id", "category", "kind")
GAZE = "gaze"
EXCLUDING = ("summary", "windows")
"""Tables whose rows are flagged where a rule on participants applies."""
TYPES = {"number": "float64", "integer": "Int64", "boolean": "boolean", "string": "string"}


@dataclass(frozen=True)
class StudyTable:
    """One kind of table over all sessions.

    Attributes
    ----------
    name : str
        Such as ``summary`` or ``fixations``.
    parts : tuple of (ExportSession, Path)
        The files, in the order of the sessions.
    book : dict of str to Column
        Every column that a part has.
    """

    name: str
    parts: tuple[tuple[ExportSession, Path], ...]
    book: dict[str, Column]

    def frames(self, job: Job) -> Iterator[pd.DataFrame]:
        """Yield the parts, each with all the columns and their declared types, cleaned of what is private."""
        reasons = participant_reasons(job.study) if self.name in EXCLUDING else {}
        for session, path in self.parts:
            frame = pd.read_parquet(path) if path.suffix == ".parquet" else read_table(path)
            frame = _with_identity(frame, session)
            frame = withhold_text(frame, session, with_text=job.options.with_text)
            frame = frame.reindex(columns=list(self.book))
            frame = flagged(frame, reasons.get(session.participant))
            frame = job.private.clean_table(frame, self.book)
            yield pd.DataFrame({n: typed(frame[n], c.kind) for n, c in self.book.items()})

    def whole(self, job: Job) -> pd.DataFrame:
        """Return all parts in one table."""
        return pd.concat(list(self.frames(job)), ignore_index=True)


def study_tables(job: Job, *, samples: bool) -> list[StudyTable]:
    """Return every table that the sessions have.

    Parameters
    ----------
    job : Job
    samples : bool
        Gaze samples as well.
    """
    found: dict[str, list[tuple[ExportSession, Path]]] = {}
    for session in job.sessions:
        stem = f"{session.paths.stem}_"
        for suffix in ("tsv", "parquet"):
            for path in sorted(session.paths.folder.glob(f"{stem}*.{suffix}")):
                name = path.stem.removeprefix(stem)
                if name != GAZE and path.with_suffix(".json").is_file():
                    found.setdefault(name, []).append((session, path))
        if samples and session.paths.gaze.is_file():
            if session.scopes.share_signals:
                found.setdefault(GAZE, []).append((session, session.paths.gaze))
            else:
                job.notes.append(
                    f"{session.paths.stem}: no samples, the participant did not agree to pass them on."
                )
    names = sorted(found, key=lambda name: (name != "summary", name))
    return [StudyTable(n, tuple(found[n]), _book([p for _, p in found[n]])) for n in names]


def read_codebook(path: Path) -> dict[str, Column]:
    """Read the codebook beside a table.

    Raises
    ------
    DuchenneError
        If it is missing or no codebook.
    """
    book = path.with_suffix(".json")
    try:
        entries = json.loads(book.read_text(encoding="utf-8"))
        return {
            name: Column(
                entry["Description"],
                entry.get("Units"),
                entry.get("Levels"),
                bool(entry.get("Derivative", False)),
                entry.get("LongName"),
                entry.get("Format"),
            )
            for name, entry in entries.items()
        }
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DuchenneError(
            f"{book} is not a codebook ({error}): run `duchenne analyze` on the study again."
        ) from error


def participant_reasons(study: Path) -> dict[str, str]:
    """Return why the analysis of a study flagged participants; those alone that it flagged."""
    path = derivatives_of(study) / "exclusions.tsv"
    if not path.is_file():
        return {}
    table = read_table(path)
    rows = table[table["exclusion_reason"].notna()]
    return dict(zip(rows["participant"], rows["exclusion_reason"], strict=True))


def withhold_text(frame: pd.DataFrame, session: ExportSession, *, with_text: bool) -> pd.DataFrame:
    """Return a table without answers in words, except those that were chosen from what the protocol gives."""
    if with_text:
        return frame
    kept = frame.copy(deep=False)
    names = [f"rating_{column_part(name)}" for name in session.chosen]
    chosen = {*names, *(f"{name}_word" for name in names)}
    for name in kept.columns:
        if str(name).startswith("rating_") and name not in chosen:
            kept[name] = _numbers_alone(kept[name])
    for name in {"value", "response"} & set(kept.columns if "scale" in kept.columns else ()):
        may_stay = kept["scale"].isin(session.chosen | session.chosen_fields)
        kept[name] = kept[name].where(may_stay, _numbers_alone(kept[name]))
    return kept


def _numbers_alone(values: pd.Series) -> pd.Series:
    return values.where(pd.to_numeric(values, errors="coerce").notna())


def with_levels(frame: pd.DataFrame, book: dict[str, Column]) -> dict[str, Column]:
    """Return the codebook with the values of factors as their levels, where these are not all declared."""
    described = dict(book)
    for name in FACTORS:
        if name not in described:
            continue
        values = sorted({str(value) for value in frame[name].dropna()})
        declared = described[name].levels
        if declared is not None and set(values) <= set(declared):
            continue
        if len(values) <= MOST_LEVELS:
            known = {level: what for level, what in (declared or {}).items() if level in values}
            described[name] = replace(
                described[name], levels=known | {v: "" for v in values if v not in known}
            )
    return described


def typed(values: pd.Series, kind: str | None) -> pd.Series:
    """Return a column in the type that its codebook declares; as it is where it has that type."""
    if str(values.dtype) == TYPES.get(kind or "string"):
        return values
    if kind == "number":
        return pd.to_numeric(values).astype("float64")
    if kind == "integer":
        return pd.to_numeric(values).astype("Int64")
    if kind == "boolean":
        return values.astype("boolean")
    return values.astype("string")


def _with_identity(frame: pd.DataFrame, session: ExportSession) -> pd.DataFrame:
    identity = {"participant": session.participant, "session": session.session, "run": session.run}
    missing = {name: value for name, value in identity.items() if name not in frame.columns}
    return frame.assign(**missing) if missing else frame


def _book(paths: list[Path]) -> dict[str, Column]:
    book: dict[str, Column] = {}
    kinds: dict[str, set[str | None]] = {}
    for path in paths:
        for name, column in read_codebook(path).items():
            book.setdefault(name, column)
            kinds.setdefault(name, set()).add(column.kind)
    for name, label in (("participant", "participant"), ("session", "session"), ("run", "run")):
        book.setdefault(name, Column(f"Label of the {label}.", kind="string"))
    return {
        name: column if len(kinds.get(name, {column.kind})) == 1 else column.of_kind("string")
        for name, column in book.items()
    }
