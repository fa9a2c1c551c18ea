"""The command ``duchenne forget``."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from duchenne.analysis.privacy.encrypt_command import secret
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from duchenne.analysis.privacy.forget import Plan

FORGET_EPILOG = "Example: duchenne forget P07 --study study --key /media/stick/study-keys.json"
SHOWN = 6


def forget(
    participant: Annotated[str, typer.Argument(metavar="LABEL", help="Such as P07.")],
    *,
    study: Annotated[Path, typer.Option(metavar="DIR", help="Study folder.")],
    reason: Annotated[
        str,
        typer.Option(
            metavar="withdrawal | retention | mistake | other", help="Code for the tombstone."
        ),
    ] = "withdrawal",
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Key file: the participant's key is destroyed in it, too."
        ),
    ] = None,
    video_only: Annotated[
        bool,
        typer.Option(
            "--video-only",
            help="Only destroy the key of the encrypted face video; everything else stays.",
        ),
    ] = False,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for the passphrase of the key file.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a participant from a study, for good, and leave a tombstone.

    Recordings, results and rows are deleted; the label is never used again. Interrupted, call it again.
    Backups and exports are named or told, not touched.
    """
    from duchenne.analysis.privacy.forget import REASONS, plan_of  # noqa: PLC0415
    from duchenne.analysis.privacy.forget import forget as work  # noqa: PLC0415
    from duchenne.protocols.labels import check_label  # noqa: PLC0415
    from duchenne.recorder.keyring import KeyRing  # noqa: PLC0415

    label = check_label("participant", participant.removeprefix("sub-"))
    if reason not in REASONS:
        raise UsageError(f"--reason {reason}: it is one of {', '.join(REASONS)}.")
    if passphrase:
        os.environ["DUCHENNE_PASSPHRASE"] = secret()
    ring = KeyRing.read(key) if key else None
    if video_only:
        _video_only(study, label, ring, ask=not yes)
        return
    plan = plan_of(study, label)
    for line in _plan_lines(plan):
        typer.echo(line, err=True)
    if not yes and not plan.is_empty:
        _ask(f"Delete all this of sub-{label}? It cannot be undone.")
    done = work(study, label, reason=reason, ring=ring)
    for line in done.to_do:
        typer.echo(f"- {line}", err=True)
    typer.echo(
        f"sub-{label}: {done.tombstone.n_files} files and {sum(done.tombstone.rows.values())} rows of "
        f"tables removed. Tombstone: {done.path}"
    )


def _video_only(study: Path, label: str, ring: object, *, ask: bool) -> None:
    from duchenne.analysis.privacy.forget_video import destroy_key  # noqa: PLC0415
    from duchenne.recorder.keyring import KeyRing  # noqa: PLC0415

    if not isinstance(ring, KeyRing):
        raise UsageError("--video-only destroys a key: name the key file with --key.")
    if ask:
        _ask(f"Destroy the key of sub-{label}? The face video can never be seen again.")
    n_videos = destroy_key(study, label, ring)
    typer.echo(
        f"sub-{label}: the key is destroyed, {n_videos} face videos cannot be read any more: {ring.path}"
    )


def _ask(question: str) -> None:
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise DuchenneError("nothing was removed (--yes answers the question).")


def _plan_lines(plan: Plan) -> list[str]:
    groups = (
        ("folders", plan.folders),
        ("files", plan.files),
        ("tables with rows", plan.tables),
        ("results over participants", plan.made_again),
    )
    lines = [f"sub-{plan.label}: {plan.n_files} files, {plan.n_bytes / 1e6:.1f} MB"]
    for name, paths in groups:
        shown = [str(path) for path in paths[:SHOWN]] + ["…"] * (len(paths) > SHOWN)
        lines += [f"  {name}: {', '.join(shown)}"] if shown else []
    return lines
