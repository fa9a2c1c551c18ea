"""The command ``duchenne analyze``: sessions and studies, anew or only what changed, and the check."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from duchenne.analysis.affect.registry import DEFAULT_AFFECT_BACKEND, with_known_file
from duchenne.analysis.face.backends.files import with_whole_path
from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND
from duchenne.analysis.gaze import cli as gaze_cli
from duchenne.analysis.privacy.encrypt_command import KeyToRead, use_key, warn_of_retention
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from duchenne.analysis.paths import AnalysisPaths
    from duchenne.analysis.reproduce import Comparison
    from duchenne.analysis.study import StudyResult

EPILOG = "Example: duchenne analyze study --workers 4   (then: duchenne analyze study --check)"
MOST_DIFFERENCES = 20

Target = Annotated[
    Path,
    typer.Argument(metavar="FILE.h5 | STUDY", help="A session file, or the folder of a study."),
]


def folder_option(what: str) -> Any:
    """Return the option that names a folder of results instead of the usual one."""
    return typer.Option(help=f"{what}; by default the study's derivatives, or beside the file.")


Out = Annotated[Path | None, folder_option("Folder to write to")]
Backend = Annotated[
    str, typer.Option("--au-backend", metavar="NAME", help="What measures Action Units.")
]
Affect = Annotated[
    str,
    typer.Option(
        "--affect-backend",
        metavar="NAME",
        help="What tells valence and arousal: rule, or checkpoint:FILE of a model of yours (FILE@5: five "
        "frames per second).",
    ),
]
Aois = Annotated[
    str | None,
    typer.Option(
        metavar="FILE | auto",
        help="Areas of interest; `auto` finds eyes, mouth and face in the stimuli. By default aois.tsv "
        "or aois.json beside the manifest.",
    ),
]
Eye = Annotated[
    str,
    typer.Option(
        metavar="both | left | right",
        help="What gaze rests on: the mean of both eyes (also called cyclopean), or one of them.",
    ),
]
KeepSpeech = Annotated[
    bool,
    typer.Option(
        "--keep-speech",
        help="Count the mouth's Action Units in the summary also while the participant speaks.",
    ),
]
Workers = Annotated[
    int, typer.Option(metavar="N", help="Of a study: sessions analyzed at the same time.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="tcp://HOST:PORT",
        help="Of a study: analyze on the workers of this dask.distributed scheduler, which see the study "
        "under the same path.",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Of a study: analyze all sessions, unchanged ones as well.")
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Write nothing: analyze again with the recorded settings, compare with the tables cell by "
        "cell, and fail where they differ.",
    ),
]
Reports = Annotated[
    bool,
    typer.Option("--report/--no-report", help="Draw the reports of the sessions and of the study."),
]
Exports = Annotated[
    list[str] | None,
    typer.Option(
        "--export",
        metavar="bids | csv | parquet | duckdb",
        help="Of a study: export it too, to STUDY-FORMAT beside it, in place of an earlier export; may be "
        "repeated.",
    ),
]
WriteExclusions = Annotated[
    bool,
    typer.Option(
        "--write-exclusions",
        help="Only write exclusions.yaml with the default rules into the study, to be edited before the "
        "first analysis.",
    ),
]


def analyze(
    target: Target,
    out: Out = None,
    au_backend: Backend = DEFAULT_BACKEND,
    aois: Aois = None,
    eye: Eye = "both",
    *,
    affect_backend: Affect = DEFAULT_AFFECT_BACKEND,
    keep_speech: KeepSpeech = False,
    workers: Workers = 1,
    scheduler: Scheduler = None,
    force: Force = False,
    check: Check = False,
    reports: Reports = True,
    export: Exports = None,
    write_exclusions: WriteExclusions = False,
    key: KeyToRead = None,
) -> None:
    """Analyze a session, or what is new or changed of a study: tables, codebooks and reports."""
    use_key(key)
    warn_of_retention(target)
    gaze_cli.check_eye(eye)
    if workers < 1:
        raise UsageError(f"--workers is a number from 1, not {workers}.")
    if write_exclusions:
        _write_exclusions(target)
        return
    if check:
        _check(target, out, aois, workers, scheduler)
        return
    options: dict[str, Any] = {"au_backend": with_whole_path(au_backend), "aois": aois, "eye": eye}
    options["affect_backend"] = with_known_file(affect_backend)
    if target.is_dir():
        from duchenne.analysis.study import analyze_study  # noqa: PLC0415
        from duchenne.analysis.study_progress import study_progress  # noqa: PLC0415

        begun = time.monotonic()
        with study_progress(target) as start:
            result = analyze_study(
                target,
                out,
                **options,
                leave_out_speech=not keep_speech,
                workers=workers,
                scheduler=scheduler,
                force=force,
                report=reports,
                progress=start,
            )
            page = _study_report(target, out, result, start) if reports else None
        _tell_study(result, page, time.monotonic() - begun)
        for name in export or ():
            _export(target, name)
        if result.failed:
            raise typer.Exit(1)
        return
    if export:
        raise UsageError("--export is for a study: name its folder, not a session file.")
    from duchenne.analysis.command_progress import progress_bars  # noqa: PLC0415
    from duchenne.analysis.session import analyze_session  # noqa: PLC0415

    with progress_bars() as start:
        paths = analyze_session(
            target,
            out,
            **options,
            leave_out_speech=not keep_speech,
            report=reports,
            progress=start(target),
        )
    say_notes(paths)
    typer.echo(f"{'Tables and report' if reports else 'Tables'}: {paths.folder}")


def say_notes(paths: AnalysisPaths) -> None:
    """Say what a session's analysis could not do."""
    for note in paths.notes:
        typer.echo(f"{paths.stem}: {note}", err=True)


def say_failures(failed: Sequence[tuple[Path, str]]) -> None:
    """Say which files failed, and why."""
    for file, reason in failed:
        typer.echo(f"FAILED {file.name}: {reason}", err=True)


def _tell_study(result: StudyResult, page: Path | None, seconds: float) -> None:
    said: dict[str, list[str]] = {}
    for paths in result.sessions:
        for note in paths.notes:
            said.setdefault(note, []).append(paths.stem)
    for note, stems in said.items():
        who = stems[0] if len(stems) == 1 else f"{len(stems)} sessions"
        typer.echo(f"{who}: {note}", err=True)
    for note in result.notes:
        typer.echo(note, err=True)
    say_failures(result.failed)
    n, total = len(result.sessions), len(result.sessions) + len(result.failed)
    unchanged = len(result.sessions) - len(result.done)
    same = f", {unchanged} of them unchanged" if unchanged else ""
    typer.echo(f"{n} of {total} sessions analyzed{same}; {seconds:.0f} s.")
    for name, table in (result.tables or {}).items():
        if name != "summary":
            what = "Windows of time" if name == "windows" else "Over participants"
            typer.echo(f"{what}: {table}")
    if page is not None:
        typer.echo(f"Report of the study: {page}")
    if result.summary is not None:
        typer.echo(f"Summary of the study: {result.summary}")


def _study_report(
    study: Path, out: Path | None, result: StudyResult, start: Callable[[Path], Any]
) -> Path | None:
    if result.summary is None:
        return None
    from duchenne.analysis.reports.study import REPORT, write_study_report  # noqa: PLC0415

    return write_study_report(study, out, progress=start(result.summary.with_name(REPORT)))


def _export(study: Path, format_name: str) -> None:
    from duchenne.analysis.export.base import (  # noqa: PLC0415
        ExportOptions,
        export_study,
        grouped_notes,
    )

    folder = study.resolve()
    out = folder.with_name(f"{folder.name}-{format_name}")
    found = export_study(study, out, format_name, options=ExportOptions(), replace=True)
    for note in grouped_notes(found.notes):
        typer.echo(note, err=True)
    typer.echo(f"Export of {found.n_sessions} sessions: {found.path}")


def _check(
    target: Path, out: Path | None, aois: str | None, workers: int, scheduler: str | None
) -> None:
    from duchenne.analysis.reproduce import check_session, check_study  # noqa: PLC0415

    if target.is_dir():
        from duchenne.analysis.study_progress import study_progress  # noqa: PLC0415

        with study_progress(target) as start:
            found = check_study(
                target, out, aois=aois, workers=workers, scheduler=scheduler, progress=start
            )
    else:
        from duchenne.analysis.command_progress import progress_bars  # noqa: PLC0415

        with progress_bars() as start:
            found = check_session(target, out, aois=aois, progress=start(target))
    _tell_check(found)


def _tell_check(found: Comparison) -> None:
    for difference in found.differences[:MOST_DIFFERENCES]:
        typer.echo(difference, err=True)
    if len(found.differences) > MOST_DIFFERENCES:
        typer.echo(f"and {len(found.differences) - MOST_DIFFERENCES} more", err=True)
    compared = f"{len(found.tables)} tables, {found.cells} cells compared"
    if found.differences:
        typer.echo(f"Not the same: {compared}, {len(found.differences)} differences.")
        raise typer.Exit(1)
    typer.echo(f"The same, made again: {compared}.")


def _write_exclusions(target: Path) -> None:
    from duchenne.analysis.exclusions_lock import write_default_exclusions  # noqa: PLC0415

    if not target.is_dir():
        raise UsageError("--write-exclusions is for a study: name its folder.")
    typer.echo(f"Exclusion rules: {write_default_exclusions(target)}")
