"""What every export shares: who may leave the study, the registry, and writing aside before renaming."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from duchenne.analysis.export.private import PrivateNames, chosen_fields, chosen_names
from duchenne.analysis.paths import AnalysisPaths, analysis_paths, session_files
from duchenne.analysis.privacy.ledger import note_export
from duchenne.analysis.privacy.scopes import Scopes, scopes_of
from duchenne.recorder.recording import Recording
from duchenne.recorder.retention import retention_warnings
from duchenne.recorder.tombstones import forgotten_labels
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    Progress = Callable[[str, int, int], None]
    Exporter = Callable[["Job"], None]

MARK = ".duchenne-export"
"""Empty file that tells a folder written here from one of somebody's own."""
MODULES = {"bids": "bids", "csv": "flat", "parquet": "flat", "duckdb": "duckdb_file"}
"""Which module of this package registers a format."""
EXPORTERS: dict[str, Exporter] = {}
VIDEOS = ("none", "deidentified", "original")
METHODS = ("avatar", "blur", "pixelate")
STYLES = ("tidy", "imotions", "openface")


@dataclass(frozen=True)
class ExportOptions:
    """What the user may choose.

    Parameters
    ----------
    na : str
        What stands for a missing value in CSV.
    with_text : bool
        Export what participants typed; without it, such answers are left empty.
    video : {"none", "deidentified", "original"}
        Face video: none; one in which nobody is known again, where the participant agreed that measures are
        passed on; as recorded, where the participant agreed that it is (the others de-identified).
    method : {"avatar", "blur", "pixelate"}
        How faces are hidden.
    style : {"tidy", "imotions", "openface"}
        CSV: besides the tables, one file per session in the column names of another program.
    asked_only : bool
        Leave out whoever was never asked whether measures may be passed on.
    """

    na: str = "NA"
    with_text: bool = False
    video: str = "none"
    method: str = "avatar"
    style: str = "tidy"
    asked_only: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (
            ("video", self.video, VIDEOS),
            ("method", self.method, METHODS),
            ("style", self.style, STYLES),
        ):
            if value not in known:
                raise UsageError(f"--{name} {value}: it is one of {', '.join(known)}.")


@dataclass(frozen=True)
class ExportSession:
    """One analysed session that may leave the study.

    Attributes
    ----------
    file : Path
    paths : AnalysisPaths
    participant, session, task, run : str
        Labels without ``sub-`` and the like.
    chosen : frozenset of str
        Names of ratings whose answers are chosen from what is given, not typed.
    chosen_fields : frozenset of str
        The same of forms, as ``FORM.FIELD``.
    scopes : Scopes
        What the participant agreed to.
    """

    file: Path
    paths: AnalysisPaths
    participant: str
    session: str
    task: str
    run: str
    chosen: frozenset[str] = frozenset()
    chosen_fields: frozenset[str] = frozenset()
    scopes: Scopes = field(default_factory=Scopes)


@dataclass(frozen=True)
class Job:
    """What an exporter gets.

    Attributes
    ----------
    study : Path
    out : Path
        An empty folder to write to.
    format_name : str
    sessions : tuple of ExportSession
        At least one.
    private : PrivateNames
        What must not leave.
    options : ExportOptions
    tell : callable
        Told ``(what, done, total)``.
    notes : list of str
        Grows: what was left out, and why, one sentence each.
    """

    study: Path
    out: Path
    format_name: str
    sessions: tuple[ExportSession, ...]
    private: PrivateNames
    options: ExportOptions
    tell: Progress
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ExportResult:
    """What an export wrote: its folder, how many sessions, and what it left out."""

    path: Path
    n_sessions: int
    notes: tuple[str, ...]


def exporter(*names: str) -> Callable[[Exporter], Exporter]:
    """Register a function as the exporter of some formats."""

    def register(function: Exporter) -> Exporter:
        EXPORTERS.update(dict.fromkeys(names, function))
        return function

    return register


def exporter_of(name: str) -> Exporter:
    """Return the exporter of a format.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name not in EXPORTERS and name in MODULES:
        import_module(f"duchenne.analysis.export.{MODULES[name]}")
    if name not in EXPORTERS:
        raise UsageError(
            f"--format {name}: there is no such format; it is one of {', '.join(MODULES)}."
        )
    return EXPORTERS[name]


def export_study(
    study: Path,
    out: Path,
    format_name: str,
    *,
    options: ExportOptions | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> ExportResult:
    """Write a study in another format.

    Everything is written to a hidden folder beside `out`, which is renamed when it is complete: a full disk
    or an interruption leaves what was there before.

    Parameters
    ----------
    study : Path
        An analysed study.
    out : Path
        Folder to make.
    format_name : str
        ``bids``, ``csv``, ``parquet`` or ``duckdb``.
    options : ExportOptions, optional
    replace : bool
        Replace an earlier export in `out`.
    progress : callable, optional
        Told ``(what, done, total)``.

    Returns
    -------
    ExportResult

    Raises
    ------
    UsageError
        The format is not known, or `out` exists, or lies where it would destroy the study.
    DuchenneError
        No session may be exported, or the disk is full.
    """
    write = exporter_of(format_name)
    options = options or ExportOptions()
    _refuse_place(study, out, replace=replace)
    sessions, private, notes = exportable_sessions(study, asked_only=options.asked_only)
    notes += retention_warnings(study)
    tell = progress or (lambda _what, _done, _total: None)
    with _aside(out) as folder:
        job = Job(study, folder, format_name, sessions, private, options, tell, notes)
        write(job)
        (folder / MARK).touch()
    try:
        note_export(study, format_name, options.video, out, (s.participant for s in sessions))
    except OSError as error:
        job.notes.append(
            f"exports.tsv of the study could not be written: {error.strerror or error}."
        )
    return ExportResult(out, len(sessions), tuple(job.notes))


def exportable_sessions(
    study: Path, *, asked_only: bool = False
) -> tuple[tuple[ExportSession, ...], PrivateNames, list[str]]:
    """Return the sessions that may leave the study, what must not, and who stays and why.

    A pilot session stays; of a participant who withdrew or is forgotten every session stays; so does a
    session whose participant did not agree that measures are passed on, and one that is damaged or not
    analysed. With `asked_only`, whoever was never asked stays, too.

    Raises
    ------
    DuchenneError
        None is left.
    """
    found: list[ExportSession] = []
    withdrawn: dict[str, str] = {}
    hosts: set[str] = set()
    notes: list[str] = []
    forgotten = forgotten_labels(study)
    for file in session_files(study):
        try:
            with Recording.open(file) as recording:
                hosts |= {stream.info.hostname for stream in recording.streams.values()}
                session = _session(file, recording)
                if session.scopes.withdrawn:
                    withdrawn[session.participant] = session.scopes.withdrawn
                elif recording.attrs.get("pilot", False):
                    notes.append(f"{file.name}: left out, a pilot session.")
                else:
                    found.append(session)
        except DuchenneError as error:
            notes.append(f"{file.name}: left out, {error}")
    sessions = []
    for session in found:
        if session.participant in withdrawn:
            continue
        why = _why_not(session, forgotten, asked_only=asked_only)
        if why is None:
            sessions.append(session)
        else:
            notes.append(f"{session.file.name}: left out, {why}.")
    notes += [f"sub-{who}: left out, {why}." for who, why in sorted(withdrawn.items())]
    if not sessions:
        raise DuchenneError(f"Nothing to export from {study}: {' '.join(notes)}")
    unasked = len({s.participant for s in sessions if s.scopes.never_asked})
    if unasked:
        people = "participant was" if unasked == 1 else "participants were"
        notes.append(
            f"{unasked} {people} never asked whether measures may be passed on (scope share_derived): "
            "what your consent form says counts; --asked-only leaves them out."
        )
    return tuple(sessions), PrivateNames.of(study, hosts), notes


def _why_not(
    session: ExportSession, forgotten: Mapping[str, bool], *, asked_only: bool
) -> str | None:
    """Return why a session does not leave the study; None if it may."""
    label, scopes = session.participant, session.scopes
    if label in forgotten:
        return f"sub-{label} was forgotten: call `duchenne forget {label}` again"
    if not scopes.share_derived:
        return "the participant did not agree that measures are passed on"
    if asked_only and scopes.never_asked:
        return "the participant was never asked whether measures may be passed on"
    return None if session.paths.complete else "not analyzed yet (duchenne analyze)"


def _session(file: Path, recording: Recording) -> ExportSession:
    return ExportSession(
        file,
        analysis_paths(file),
        recording.participant,
        recording.session,
        recording.task,
        recording.run,
        chosen_names(recording.protocol_yaml),
        chosen_fields(recording.protocol_yaml),
        scopes_of(recording),
    )


def grouped_notes(notes: Iterable[str]) -> list[str]:
    """Return notes with those that say the same of several sessions in one line.

    Parameters
    ----------
    notes : iterable of str
        ``STEM: what there is to say``, or about the whole study.
    """
    about: dict[str, list[str]] = {}
    for note in notes:
        stem, found, text = note.partition(": ")
        of_session = bool(found) and stem.startswith("sub-")
        about.setdefault(text if of_session else note, []).append(stem if of_session else "")
    lines = []
    for text, stems in about.items():
        if not stems[0]:
            lines.append(text)
        elif len(stems) == 1:
            lines.append(f"{stems[0]}: {text}")
        else:
            lines.append(f"{len(stems)} sessions: {text}")
    return lines


def _refuse_place(study: Path, out: Path, *, replace: bool) -> None:
    here, there = study.resolve(), out.resolve()
    inner = (here / "sourcedata", here / "derivatives")
    if (
        there == here
        or there in here.parents
        or any(there == part or part in there.parents for part in inner)
    ):
        raise UsageError(f"--out {out} would overwrite the study: name a folder of its own.")
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"--out {out} is a file: name a folder.")
    if not any(out.iterdir()):
        return
    if not replace:
        raise UsageError(f"--out {out} exists: add --replace, or name another folder.")
    if not (out / MARK).is_file():
        raise UsageError(f"--out {out} holds no export of Duchenne: it is not replaced.")


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """Give a folder to write to; put it in the place of `out` if all went well, remove it if not."""
    there = out.resolve()
    part = there.with_name(f".{there.name}.{os.getpid()}.part")
    old = there.with_name(f".{there.name}.{os.getpid()}.old")
    try:
        part.mkdir(parents=True)
        yield part
        if there.exists():
            there.rename(old)
        try:
            part.rename(there)
        except OSError:
            with suppress(OSError):
                old.rename(there)
            raise
    except DuchenneError as error:
        raise type(error)(str(error).replace(str(part), str(out))) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DuchenneError(
            f"{out} could not be written ({reason}); what was there is as it was."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if there.exists():
            shutil.rmtree(old, ignore_errors=True)
