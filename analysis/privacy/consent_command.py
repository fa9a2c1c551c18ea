"""The command ``duchenne consent``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import Annotated

import typer

from duchenne.stimuli.errors import DuchenneError, UsageError

CONSENT_EPILOG = "Example: duchenne consent study --participant P07 --withdraw share_video"


def consent(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Study folder.")],
    participant: Annotated[str | None, typer.Option(help="Label, such as P07.")] = None,
    withdraw: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="A scope that the participant does not agree to any more; repeatable.",
        ),
    ] = None,
) -> None:
    """Show what participants agreed to; note what one of them withdrew after the session."""
    from duchenne.analysis.privacy.consent_table import withdraw as note  # noqa: PLC0415

    if withdraw:
        if participant is None:
            raise UsageError("--withdraw: say whose with --participant.")
        label = participant.removeprefix("sub-")
        path = note(study, label, withdraw)
        typer.echo(f"sub-{label} withdrew {', '.join(withdraw)}: {path}")
        return
    _show(study, participant)


def _show(study: Path, participant: str | None) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from duchenne.analysis.paths import session_files  # noqa: PLC0415
    from duchenne.analysis.privacy.scopes import scopes_of  # noqa: PLC0415
    from duchenne.protocols.answers import SCOPES  # noqa: PLC0415
    from duchenne.recorder.recording import Recording  # noqa: PLC0415

    table = Table(box=None, padding=(0, 1))
    for name in ("session", *SCOPES):
        table.add_column(name, overflow="fold")
    wanted = participant.removeprefix("sub-") if participant else None
    n_shown = 0
    for file in session_files(study):
        try:
            with Recording.open(file) as recording:
                scopes, label = scopes_of(recording), recording.participant
        except DuchenneError as error:
            typer.echo(f"{file.name}: {error}", err=True)
            continue
        if wanted not in {None, label}:
            continue
        n_shown += 1
        cells = [_cell(getattr(scopes, name), asked=name in scopes.asked) for name in SCOPES]
        reason = f" ({scopes.withdrawn})" if scopes.withdrawn else ""
        table.add_row(f"{file.name.removesuffix('_session.h5')}{reason}", *cells)
    if not n_shown:
        raise DuchenneError(f"{study} holds no session of sub-{wanted}.")
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)
    typer.echo("In brackets: never asked, the default counts.")
    typer.echo(f"{n_shown} sessions: {study}")


def _cell(granted: bool, *, asked: bool) -> str:
    word = "yes" if granted else "no"
    return word if asked else f"({word})"
