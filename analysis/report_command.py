"""The command ``duchenne report``: reports of sessions and studies, and the Methods of a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duchenne.analysis.analyze_command import Target, folder_option, say_failures, say_notes
from duchenne.analysis.privacy.encrypt_command import KeyToRead, use_key
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


EPILOG = "Example: duchenne report study   (then: duchenne report study --methods)"

Out = Annotated[Path | None, folder_option("Folder of the results")]
MethodsOnly = Annotated[
    bool,
    typer.Option(
        "--methods",
        help="Print a Methods paragraph with every setting and a reporting checklist of the study, and "
        "write them to methods.md beside the report.",
    ),
]
Pdf = Annotated[bool, typer.Option("--pdf", help="Print each page to PDF too; needs Chromium.")]
Sessions = Annotated[
    bool | None,
    typer.Option(
        "--sessions/--no-sessions",
        help="Of a study: draw the reports of all sessions again, or of none; by default of those whose "
        "report is missing or older than their tables.",
    ),
]


def report(
    target: Target,
    out: Out = None,
    *,
    methods: MethodsOnly = False,
    pdf: Pdf = False,
    sessions: Sessions = None,
    key: KeyToRead = None,
) -> None:
    """Draw reports from the tables: of a session, or of a study and all its sessions.

    Sessions that were not analyzed yet are analyzed first.
    """
    use_key(key)
    if target.is_dir():
        if methods:
            _methods(target, out)
            return
        _report_study(target, out, pdf=pdf, sessions=sessions)
        return
    if methods:
        raise UsageError("--methods describes a study: name its folder, not a session file.")
    from duchenne.analysis.command_progress import progress_bars  # noqa: PLC0415
    from duchenne.analysis.session import report_session  # noqa: PLC0415

    with progress_bars() as start:
        paths = report_session(target, out, progress=start(target))
    say_notes(paths)
    if pdf:
        _print(paths.report)
    typer.echo(f"Report: {paths.report}")


def _report_study(study: Path, out: Path | None, *, pdf: bool, sessions: bool | None) -> None:
    from duchenne.analysis.command_progress import progress_bars  # noqa: PLC0415
    from duchenne.analysis.paths import derivatives_of  # noqa: PLC0415
    from duchenne.analysis.reports.study import REPORT, write_study_report  # noqa: PLC0415

    failed: list[tuple[Path, str]] = []
    with progress_bars() as start:
        chosen = _stale_sessions(study, out, every=bool(sessions)) if sessions is not False else []
        written = _report_sessions(chosen, failed, start)
        page = (out or derivatives_of(study)) / REPORT
        path = write_study_report(study, out, progress=start(page))
    say_failures(failed)
    for one in written:
        typer.echo(f"Report: {one}")
    if pdf:
        for one in (*written, path):
            _print(one)
    typer.echo(f"Report of the study: {path}")
    if failed:
        raise typer.Exit(1)


def _stale_sessions(
    study: Path, out: Path | None, *, every: bool
) -> list[tuple[Path, Path | None]]:
    """Return session files with the folders of their results, where a report is to be drawn."""
    from duchenne.analysis.paths import analysis_paths, session_files, session_folder  # noqa: PLC0415

    if not (study / "sourcedata").is_dir():
        return []
    chosen = []
    for file in session_files(study):
        folder = session_folder(out, file) if out else None
        paths = analysis_paths(file, folder)
        fresh = (
            paths.complete
            and paths.report.is_file()
            and paths.report.stat().st_mtime >= paths.provenance.stat().st_mtime
        )
        if every or not fresh:
            chosen.append((file, folder))
    return chosen


def _report_sessions(
    chosen: list[tuple[Path, Path | None]],
    failed: list[tuple[Path, str]],
    start: Callable[[Path], Callable[[str, int, int], None]],
) -> list[Path]:
    from duchenne.analysis.session import report_session  # noqa: PLC0415

    written = []
    for file, folder in chosen:
        try:
            written.append(report_session(file, folder, progress=start(file)).report)
        except DuchenneError as error:
            failed.append((file, str(error)))
    return written


def _methods(study: Path, out: Path | None) -> None:
    from duchenne.analysis.reports.methods import METHODS, methods_of, write_methods  # noqa: PLC0415
    from duchenne.analysis.reports.study import statistics_of  # noqa: PLC0415
    from duchenne.analysis.reports.study_data import StudyData  # noqa: PLC0415

    data = StudyData.read(study, out)
    made = methods_of(data, study, statistics_of(data.root))
    path = write_methods(made, data.root / METHODS)
    typer.echo(made.markdown())
    typer.echo(f"Methods: {path}")


def _print(page: Path) -> None:
    from duchenne.analysis.reports.pdf import print_to_pdf  # noqa: PLC0415

    typer.echo(f"PDF: {print_to_pdf(page)}")
