"""Remove everything that a study holds of one participant, and leave a tombstone.

The tombstone is written first, and completed last: what broke off is seen, and calling it again completes it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from duchenne.analysis.privacy.ledger import exports_with
from duchenne.analysis.privacy.shared_files import (
    ALLOCATION,
    KEPT,
    OPAQUE,
    TABLES,
    Mentions,
    shared_files,
    without_entries,
    without_rows,
    without_time,
)
from duchenne.analysis.privacy.stale import mark_stale
from duchenne.recorder.lock import locked
from duchenne.recorder.study_folder import replace_file
from duchenne.recorder.tombstones import DONE, Tombstone, read_tombstone, tombstone_path
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duchenne.recorder.keyring import KeyRing

JOURNAL_SUFFIX = ".journal"
REASONS = {
    "withdrawal": "the participant asked for it",
    "retention": "the time for which it may be kept is over",
    "mistake": "it should not have been recorded",
    "other": "another reason, documented elsewhere",
}


@dataclass(frozen=True)
class Plan:
    """What is there of a participant.

    Attributes
    ----------
    label : str
    folders : tuple of Path
        The participant's own.
    files : tuple of Path
        Named after the participant, elsewhere.
    tables : tuple of Path
        Tables of the study that have rows of the participant.
    made_again : tuple of Path
        Results over participants that name the participant: they are removed, an analysis makes them again.
    only_told : tuple of Path
        Files that name the participant and are not touched: somebody's own.
    n_files, n_bytes : int
        In `folders` and `files`.
    """

    label: str
    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    tables: tuple[Path, ...]
    made_again: tuple[Path, ...]
    only_told: tuple[Path, ...]
    n_files: int
    n_bytes: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not (self.folders or self.files or self.tables or self.made_again)


@dataclass(frozen=True)
class Forgotten:
    """What was done, and what somebody has to do by hand."""

    tombstone: Tombstone
    path: Path
    to_do: tuple[str, ...]


def plan_of(study: Path, label: str) -> Plan:
    """Return what a study holds of a participant; nothing is changed.

    Raises
    ------
    DuchenneError
        There is no such study.
    """
    if not study.is_dir():
        raise DuchenneError(f"No study at {study}.")
    folders = tuple(_folders(study, label))
    mentions = Mentions(label)
    named, tables, again, told = [], [], [], []
    derivatives = study / "derivatives"
    for path in shared_files(study):
        if mentions.in_text(path.name):
            named.append(path)
        elif path.name in KEPT or not mentions.in_file(path):
            continue
        elif path.suffix in TABLES or path.suffix == ".parquet":
            tables.append(path)
        elif derivatives in path.parents and path.suffix.lower() not in OPAQUE - {".duckdb"}:
            again.append(path)
        else:
            told.append(path)
    sizes = [path.lstat().st_size for folder in folders for path in _files_in(folder)]
    sizes += [path.lstat().st_size for path in named]
    return Plan(
        label,
        folders,
        tuple(named),
        tuple(tables),
        tuple(again),
        tuple(told),
        len(sizes),
        sum(sizes),
    )


def forget(
    study: Path, label: str, *, reason: str = "withdrawal", ring: KeyRing | None = None
) -> Forgotten:
    """Remove a participant from a study.

    Parameters
    ----------
    study : Path
    label : str
        Without ``sub-``.
    reason : str
        One of `REASONS`.
    ring : KeyRing, optional
        Key file in which the participant's key is destroyed, so that copies of encrypted face video cannot be
        read either.

    Raises
    ------
    DuchenneError
        There is no such participant, one of the recordings is going on, or something could not be removed:
        calling it again goes on.
    """
    before = read_tombstone(study, label)
    plan = plan_of(study, label)
    _refuse(study, plan, before, ring)
    path = tombstone_path(study, label)
    stone = _begun(before, plan, reason)
    try:
        _write(path, stone)
        if ring is not None and label in ring.keys:
            ring.without(label).write(_passphrase_of(ring))
            stone = replace(stone, key_destroyed=True)
            _write(path, stone)
        for folder in plan.folders:
            _remove_folder(folder)
        for file in plan.files:
            file.unlink(missing_ok=True)
        rows = dict(stone.rows)
        for table in plan.tables:
            name = table.relative_to(study).as_posix()
            rows[name] = rows.get(name, 0) + without_rows(table, label)
        if (study / ALLOCATION).is_file():
            without_time(study / ALLOCATION, label)
        for file in plan.made_again:
            if file.suffix != ".json" or not without_entries(file, label):
                file.unlink(missing_ok=True)
        mark_stale(study, label)
        stone = replace(stone, rows={name: n for name, n in rows.items() if n}, state=DONE)
        _write(path, stone)
    except OSError as error:
        raise DuchenneError(
            f"sub-{label} could not be removed completely ({error.strerror or error}: {error.filename}): "
            "call the same command again."
        ) from error
    return Forgotten(stone, path, tuple(_to_do(study, plan, ring)))


def _refuse(study: Path, plan: Plan, before: Tombstone | None, ring: KeyRing | None) -> None:
    if plan.is_empty and before is None:
        known = sorted(p.name for p in (study / "sourcedata").glob("sub-*") if p.is_dir())
        raise DuchenneError(
            f"{study} holds nothing of sub-{plan.label}; it has {', '.join(known) or 'no participant'}."
        )
    if plan.is_empty and before is not None and before.is_done:
        is_left = ring is not None and plan.label in ring.keys
        if not is_left:
            raise DuchenneError(
                f"sub-{plan.label} was forgotten on {before.date} already; nothing is left of it here."
            )
    for folder in plan.folders:
        for file in _files_in(folder):
            if file.suffix == JOURNAL_SUFFIX:
                with locked(file):
                    pass


def _begun(before: Tombstone | None, plan: Plan, reason: str) -> Tombstone:
    today = datetime.now().astimezone().date().isoformat()
    if before is None:
        return Tombstone(plan.label, today, reason, n_files=plan.n_files, n_bytes=plan.n_bytes)
    if not before.is_done:
        return before
    return replace(
        before,
        state="begun",
        n_files=before.n_files + plan.n_files,
        n_bytes=before.n_bytes + plan.n_bytes,
    )


def _to_do(study: Path, plan: Plan, ring: KeyRing | None) -> Iterator[str]:
    label = plan.label
    for line in exports_with(study, label):
        yield f"An export holds sub-{label}: {line}. Delete it, and ask whoever got it to delete it."
    for path in plan.only_told:
        yield f"{path} names {label}, or may: look at it, it was not changed."
    if plan.made_again or plan.tables:
        yield "Results over participants: run `duchenne analyze` and `duchenne report` on the study again."
    if ring is None:
        yield (
            f"If face video was encrypted: `--key FILE` destroys the key of sub-{label}, which makes copies "
            "of it unreadable too."
        )
    yield f"The key table (`duchenne participants`) may still say who {label} is: remove it there."
    yield "Backups, other copies and deleted blocks of this disk are not covered."


def _folders(study: Path, label: str) -> Iterator[Path]:
    for root, folders, _ in os.walk(study):
        here = Path(root)
        if f"sub-{label}" in folders:
            yield here / f"sub-{label}"
        folders[:] = [name for name in folders if not name.startswith("sub-")]


def _files_in(folder: Path) -> list[Path]:
    if folder.is_symlink():
        return [folder]
    return [Path(root) / name for root, _, files in os.walk(folder) for name in files]


def _remove_folder(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _write(path: Path, stone: Tombstone) -> None:
    path.parent.mkdir(exist_ok=True)
    replace_file(path, stone.to_text().encode())


def _passphrase_of(ring: KeyRing) -> str | None:
    from duchenne.recorder.locked_file import PASSPHRASE_VARIABLE, is_locked  # noqa: PLC0415

    return os.environ.get(PASSPHRASE_VARIABLE) if is_locked(ring.path) else None
