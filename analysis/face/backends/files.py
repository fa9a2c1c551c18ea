"""What Action Unit backends measure with: the files behind a name, by their content."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from duchenne.analysis.provenance import sha256_of

_FOLDER = Path(__file__).parent
WITH_WEIGHTS = ("student", "fusion")
"""What reads the shipped student, whose next version is nothing to the other backends."""
Stamps = tuple[tuple[str, int, int], ...]
"""Name, size and time of change of each file: what says that a hash is to be worked out anew."""


def backend_hash(asked: str) -> str:
    """Return the SHA-256 of what a backend measures with; another one, another measurement.

    Parameters
    ----------
    asked : str
        ``NAME`` (the models that are shipped), ``NAME:FILE``, or ``NAME:FOLDER`` (its files, but not those of
        folders in it).

    Returns
    -------
    str
        Empty where the file or folder is not there.
    """
    plain, _, given = asked.partition(":")
    if not given:
        return _digest({"backend": plain, "models": _hashes(_FOLDER, _stamps(_shipped(plain)))})
    path = Path(given)
    if path.is_dir():
        return _digest(_hashes(path, _stamps(_files(path))))
    return sha256_of(path) if path.is_file() else ""


def without_folder(asked: str) -> str:
    """Return what was asked for with the name of its file or folder alone, as it may be told to others."""
    plain, _, given = asked.partition(":")
    return f"{plain}:{Path(given).name}" if given else asked


def with_whole_path(asked: str) -> str:
    """Return what was asked for with the whole path of its file or folder, for other processes."""
    plain, _, given = asked.partition(":")
    return f"{plain}:{Path(given).resolve()}" if given else asked


def _shipped(plain: str) -> list[Path]:
    weights = _files(_FOLDER / "weights") if plain in WITH_WEIGHTS else []
    return [*_FOLDER.glob("*.json"), *weights]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.is_file()]


def _stamps(files: list[Path]) -> Stamps:
    found = ((str(path), path.stat()) for path in sorted(files))
    return tuple((name, about.st_size, about.st_mtime_ns) for name, about in found)


@lru_cache(maxsize=8)
def _hashes(folder: Path, stamps: Stamps) -> dict[str, str]:
    return {Path(name).relative_to(folder).as_posix(): sha256_of(Path(name)) for name, *_ in stamps}


def _digest(hashes: object) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
