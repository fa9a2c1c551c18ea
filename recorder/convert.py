"""Convert between XDF and session files; nothing is overwritten, nothing half done is left."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from duchenne.recorder.session_to_xdf import session_to_xdf
from duchenne.recorder.xdf_to_session import xdf_to_session
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

XDF_ENDINGS = (".xdf", ".xdfz", ".xdf.gz")
ROOM_FACTOR = 3
"""Times the size of the source that intermediate files and the result need, at most about."""


@dataclass(frozen=True)
class Conversion:
    """What a conversion wrote.

    Attributes
    ----------
    path : Path
    damaged : tuple of str
        What of the source could not be read.
    """

    path: Path
    damaged: tuple[str, ...] = ()


def convert(
    source: Path,
    target: Path,
    *,
    plain: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Convert an XDF file to a session file, or a session file to XDF.

    The new file is written beside its final name, compared with the source, and renamed only then.

    Parameters
    ----------
    source : Path
        ``.xdf``, ``.xdfz``, ``.xdf.gz`` or ``.h5``.
    target : Path
        ``.h5`` for an XDF source, ``.xdf`` for a session file.
    plain : bool
        Leave out of an XDF file the stream that carries what XDF has no place for.
    progress : callable, optional
        Called with work done and work in all.

    Raises
    ------
    UsageError
        If the endings do not fit.
    DuchenneError
        If the source cannot be read, the target exists or cannot be written, or the two do not agree.
    """
    to_session = source.name.lower().endswith(XDF_ENDINGS) and target.suffix == ".h5"
    if not to_session and not (source.suffix == ".h5" and target.suffix == ".xdf"):
        raise UsageError(
            f"cannot convert {source.name} to {target.name}: give an .xdf (or .xdfz) and an .h5 file, "
            "or an .h5 and an .xdf file."
        )
    if to_session and plain:
        raise UsageError("--plain is for writing XDF files: leave it out.")
    if not source.is_file():
        raise DuchenneError(f"{source} does not exist.")
    if target.exists():
        raise DuchenneError(f"{target} exists and is never overwritten: choose another name.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_room(source, target.parent)
        with tempfile.TemporaryDirectory(prefix=".converting-", dir=target.parent) as folder:
            scratch = Path(folder)
            part = scratch / f"new{target.suffix}"
            damaged: tuple[str, ...] = ()
            if to_session:
                damaged = xdf_to_session(source, part, scratch, progress=progress)
            else:
                session_to_xdf(source, part, scratch, plain=plain, progress=progress)
            _publish(part, target)
    except OSError as error:
        raise DuchenneError(f"cannot write {target}: {error}. {source} is untouched.") from error
    return Conversion(target, damaged)


def _check_room(source: Path, folder: Path) -> None:
    """Refuse to begin where the disk would become full on the way."""
    needed = ROOM_FACTOR * source.stat().st_size
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DuchenneError(
            f"converting {source.name} needs about {needed / 1e9:.1f} GB in {folder}, but {free / 1e9:.1f} "
            "GB are free: make room or choose another folder."
        )


def _publish(part: Path, target: Path) -> None:
    """Give a finished file its name; never replace a file that came meanwhile."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    try:
        os.link(part, target)
    except FileExistsError:
        raise DuchenneError(f"{target} came while it was converted; choose another name.") from None
    except OSError:  # a file system without links
        if target.exists():
            raise DuchenneError(
                f"{target} came while it was converted; choose another name."
            ) from None
        part.rename(target)
