"""The commands ``duchenne encrypt`` and ``duchenne decrypt``."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duchenne.analysis.privacy.encryption import Changed

ENCRYPT_EPILOG = "Example: duchenne encrypt study --key /media/stick/study-keys.json"
DECRYPT_EPILOG = "Example: duchenne decrypt study --key /media/stick/study-keys.json"

Target = Annotated[
    Path, typer.Argument(metavar="STUDY | FILE.h5", help="A study, or one session file.")
]
KeyFile = Annotated[
    Path,
    typer.Option(
        "--key",
        metavar="FILE",
        envvar="DUCHENNE_KEY",
        help="Key file outside the study: one key per participant.",
    ),
]
Passphrase = Annotated[
    bool,
    typer.Option(
        "--passphrase", help="Ask for the passphrase of the key file (else DUCHENNE_PASSPHRASE)."
    ),
]


def use_key(key: Path | None) -> Path | None:
    """Name a key file to everything that this process and its workers read from now on."""
    if key is not None:
        os.environ["DUCHENNE_KEY"] = str(key.resolve())
    return key


def warn_of_retention(study: Path) -> None:
    """Say on the error stream what a study keeps longer than its ``study.yaml`` allows."""
    from duchenne.recorder.retention import retention_warnings  # noqa: PLC0415

    for warning in retention_warnings(study) if study.is_dir() else ():
        typer.echo(warning, err=True)


KeyToRead = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        envvar="DUCHENNE_KEY",
        help="Key file of encrypted face video.",
    ),
]
"""The option of every command that reads face video."""


def encrypt(target: Target, key: KeyFile, passphrase: Passphrase = False) -> None:
    """Encrypt the face video of sessions; the key file is made where it is missing.

    Each file is written anew, read back and compared before it replaces the old one. Lose the key file, and
    the videos are lost.
    """
    from duchenne.analysis.privacy.encryption import encrypt_file  # noqa: PLC0415
    from duchenne.analysis.privacy.places import refuse_inside_study  # noqa: PLC0415
    from duchenne.recorder.keyring import KeyRing  # noqa: PLC0415

    refuse_inside_study(key, "a key file", [target] if target.is_dir() else [])
    told, lock = passphrases(key, ask=passphrase)
    ring = KeyRing.read(key, told) if key.exists() else KeyRing(key)
    files = _files(target)
    labels = {file: _participant(file) for file in files}
    fresh = ring
    for label in labels.values():
        fresh = fresh.with_key_of(label)
    if fresh != ring:
        fresh.write(lock)
        if KeyRing.read(key, told).keys != fresh.keys:
            raise DuchenneError(f"{key} does not hold what was written: nothing was encrypted.")
    _do(files, lambda file, tell: encrypt_file(file, fresh.keys[labels[file]], tell), "encrypted")
    typer.echo(f"Keys: {key}")


def decrypt(target: Target, key: KeyFile, passphrase: Passphrase = False) -> None:
    """Decrypt the face video of sessions; the key file stays."""
    from duchenne.analysis.privacy.encryption import decrypt_file  # noqa: PLC0415
    from duchenne.recorder.keyring import KeyRing  # noqa: PLC0415

    ring = KeyRing.read(key, secret() if passphrase else None)
    _do(_files(target), lambda file, tell: decrypt_file(file, ring, tell), "decrypted")


def secret(*, confirm: bool = False) -> str:
    """Ask for a passphrase on the terminal; nothing is shown."""
    return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))


def passphrases(path: Path, *, ask: bool) -> tuple[str | None, str | None]:
    """Return what a private file is read with, and what it is written with (None: it stays unlocked).

    Parameters
    ----------
    path : Path
        A key file or a key table; it may not be there yet.
    ask : bool
        Ask on the terminal; else the environment variable ``DUCHENNE_PASSPHRASE`` counts.
    """
    from duchenne.recorder.locked_file import is_locked  # noqa: PLC0415

    is_new = not path.exists()
    told = secret(confirm=is_new) if ask else os.environ.get("DUCHENNE_PASSPHRASE")
    return told, told if ask or is_new or is_locked(path) else None


def _files(target: Path) -> list[Path]:
    from duchenne.analysis.paths import session_files  # noqa: PLC0415

    return session_files(target) if target.is_dir() else [target]


def _participant(file: Path) -> str:
    from duchenne.recorder.recording import Recording  # noqa: PLC0415

    with Recording.open(file) as recording:
        return recording.participant


def _do(
    files: list[Path], change: Callable[[Path, Callable[[int, int], object]], Changed], word: str
) -> None:
    failed: list[str] = []
    n_changed = 0
    for file in files:
        try:
            with _bar(file.name) as tell:
                result = change(file, tell)
        except DuchenneError as error:
            failed.append(str(error))
            continue
        n_changed += result.n_videos > 0
        if not result.n_videos:
            typer.echo(f"{file.name}: no video to be {word}", err=True)
    for line in failed:
        typer.echo(f"FAILED {line}", err=True)
    typer.echo(f"{n_changed} of {len(files)} session files {word}")
    if failed:
        raise typer.Exit(1)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], object]]:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
