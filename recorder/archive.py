"""Seal a journal into ``session.h5``, and recover one that a crash left behind.

The session file is written beside its final name, verified against the journal, and renamed only then;
the journal is removed last. Killed at any moment, sealing can be repeated from the journal.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import h5py

from duchenne.recorder.integrity import changed_datasets
from duchenne.recorder.journal_format import journal_path_for
from duchenne.recorder.journal_head import mend_head
from duchenne.recorder.journal_reader import JournalReader
from duchenne.recorder.lock import locked
from duchenne.recorder.log_check import damage_in_log, mend_end
from duchenne.recorder.reserve import reserve_path_for
from duchenne.recorder.sealed_image import SealedImage
from duchenne.recorder.session_file import FORMAT, write_session
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["journal_path_for", "recover", "remove_journal", "seal"]


def session_path_for(journal: Path) -> Path:
    """Return the session file that a journal seals into: ``x.journal`` gives ``x.h5``."""
    return journal.with_suffix(".h5")


def recover(
    journal: Path, *, keep_journal: bool = False, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Seal a journal that a crash left behind.

    Parameters
    ----------
    journal : Path
        The ``.journal`` file.
    keep_journal : bool
        Keep it after the session file was verified.
    progress : callable, optional
        Called with samples written and samples in all.

    Returns
    -------
    Path
        The session file.

    Raises
    ------
    DuchenneError
        If the journal is missing or in use by another process, or another session file has its name.
    """
    if not journal.is_file():
        raise DuchenneError(f"{journal} does not exist: name the .journal file of a recording.")
    return seal(journal, keep_journal=keep_journal, recovered=True, progress=progress)


def seal(
    journal: Path,
    out: Path | None = None,
    *,
    keep_journal: bool = False,
    recovered: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the session file of a journal, verify it, then remove the journal.

    Parameters
    ----------
    journal : Path
        Of a recorder that has ended.
    out : Path, optional
        Session file; by default the journal's name with ``.h5``.
    keep_journal, recovered : bool
        Keep the journal; mark the file as recovered after a crash.
    progress : callable, optional
        Called with samples written and samples in all.

    Returns
    -------
    Path
        The session file.

    Raises
    ------
    DuchenneError
        If the journal is in use, or `out` is another file, cannot be written, or does not hold what the
        journal holds. The journal stays. An `out` that holds it already is left as it is.
    """
    target = out or session_path_for(journal)
    if target == journal:
        raise DuchenneError(f"{journal} is no journal: name the .journal file of a recording.")
    with locked(journal):
        reserve_path_for(journal).unlink(missing_ok=True)
        if target.exists() and not (journal.exists() and _session_of(journal, target)):
            raise DuchenneError(
                f"{target} already exists and is not overwritten: move it away, then run "
                f"`duchenne recover {journal}` again."
            )
        if target.exists():  # sealed before, and whole
            damaged = damage_in_log(journal) is not None
        else:
            damaged = _seal_locked(journal, target, recovered=recovered, progress=progress)
        if not (keep_journal or damaged):
            remove_journal(journal)
    return target


def _seal_locked(
    journal: Path,
    target: Path,
    *,
    recovered: bool,
    progress: Callable[[int, int], None] | None,
) -> bool:
    """Write, verify and publish the session file; return whether the journal was damaged."""
    part = target.with_name(target.name + ".part")
    with _readable(journal) as reader:
        try:
            if not reader.streams and reader.damaged:
                raise DuchenneError(
                    f"{journal} is damaged: no stream can be read ({reader.damaged[0]}). It is kept as "
                    "it is."
                )
            written = _write(part, reader, recovered=recovered, progress=progress)
            _verify(part, reader, written)
            _publish(part, target)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise DuchenneError(
                f"cannot write {target}: {error.strerror or error}. The recording is safe in {journal}; "
                f"make room, then run `duchenne recover {journal}`."
            ) from error
        except sqlite3.Error as error:
            raise DuchenneError(
                f"{journal} cannot be read: {error}. It is kept as it is."
            ) from error
        return bool(reader.damaged)


def _readable(journal: Path) -> JournalReader:
    """Open a journal, with its log folded in where the disk allows that and the log is whole."""
    with suppress(OSError):
        mended = [damage for mend in (mend_head, mend_end) if (damage := mend(journal)) is not None]
        if mended:
            reader = JournalReader(journal)
            reader.damaged += mended
            return reader
    damage = damage_in_log(journal)
    if damage is None:
        with suppress(DuchenneError):
            return JournalReader(journal, read_only=False)
    reader = JournalReader(journal)
    reader.damaged += [damage] if damage else []
    return reader


def _write(
    part: Path,
    reader: JournalReader,
    *,
    recovered: bool,
    progress: Callable[[int, int], None] | None,
) -> dict[int, int]:
    """Write the session file; an error of the disk ends it without disturbing HDF5."""
    image = SealedImage(part)

    def tell(done: int, total: int) -> None:
        image.check()
        if progress is not None:
            progress(done, total)

    try:
        with h5py.File(image, "w", libver=("earliest", "v110")) as file:
            return write_session(file, reader, recovered=recovered, progress=tell)
    finally:
        image.close()


def remove_journal(journal: Path) -> None:
    """Delete a journal with its write-ahead log and the room kept back for it."""
    for suffix in ("-wal", "-shm", ""):
        Path(f"{journal}{suffix}").unlink(missing_ok=True)
    reserve_path_for(journal).unlink(missing_ok=True)


def _session_of(journal: Path, target: Path) -> bool:
    """Whether a session file holds what a journal does: a crash came between sealing and clearing away."""
    try:
        with JournalReader(journal) as reader, h5py.File(target, "r") as file:
            sealed = bool(file.attrs.get("sealed", False)) and file.attrs.get("format") == FORMAT
            uids = {stream.info.uid for stream in reader.streams}
            same = uids == {node.attrs["uid"] for node in file["streams"].values()}
            holds_all = _missing(file, reader, reader.counts()) is None
            return sealed and same and holds_all and not reader.damaged
    except (OSError, LookupError, AttributeError, TypeError, RuntimeError):  # of another layout
        return False
    except (DuchenneError, sqlite3.Error):
        return False


def _missing(file: h5py.File, reader: JournalReader, expected: Mapping[int, int]) -> str | None:
    """Return what a session file lacks of the samples expected of each stream, None if nothing."""
    for stream in reader.streams:
        node = file["streams"][stream.group_name]
        n = len(node["timestamps"])
        payload = len(node["packet_offsets"]) - 1 if stream.info.is_video else len(node["samples"])
        if not n == payload == len(node["times"]) == expected.get(stream.id, 0):
            return f"stream {stream.info.name} holds {n} of {expected.get(stream.id, 0)} samples"
    return None


def _verify(path: Path, reader: JournalReader, written: Mapping[int, int]) -> None:
    """Compare the file on the disk with the journal, or with what could be read of a damaged one.

    The numbers of samples come from the journal, the checksums from what was read of it (each chunk of
    which has a checksum of its own).
    """
    expected = written if reader.damaged else reader.counts()
    with h5py.File(path, "r") as file:
        missing = _missing(file, reader, expected) or next(changed_datasets(file), None)
    if missing:
        raise DuchenneError(
            f"{path}: {missing}. The recording is safe in {reader.path}; "
            f"run `duchenne recover {reader.path}`."
        )


def _publish(part: Path, target: Path) -> None:
    """Give a finished file its name; never replace a file that came meanwhile."""
    try:
        os.link(part, target)
        part.unlink()
    except FileExistsError:
        raise DuchenneError(
            f"{target} came while it was sealed; the other copy is {part}."
        ) from None
    except OSError:  # a file system without links
        if target.exists():
            raise DuchenneError(
                f"{target} came while it was sealed; the other copy is {part}."
            ) from None
        part.rename(target)
    if os.name == "posix":
        with suppress(OSError):  # some network disks cannot, and the file has its name already
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
