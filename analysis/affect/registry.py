"""Finds affect backends by name among the entry points ``duchenne.affect_backends``.

A backend is named ``NAME``, ``NAME:FILE`` or ``NAME:FILE@HZ``: the last measures so many frames per second
at most, for models that are slow here.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duchenne.analysis.affect.base import RULE
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from duchenne.analysis.affect.base import AffectBackend

GROUP = "duchenne.affect_backends"
DEFAULT_AFFECT_BACKEND = RULE
CHECKPOINT = "checkpoint"
_IN_FOLDERS = ("best.safetensors", "affect.safetensors")
"""What a folder of `duchenne train` and of `duchenne models export` is taken for."""
_RATE = re.compile(r"^(?P<file>.+)@(?P<rate>\d+(?:\.\d+)?)$")


@dataclass(frozen=True)
class AffectSpec:
    """What was asked for.

    Parameters
    ----------
    name : str
    file : str
        Empty where the backend reads none.
    rate_hz : float or None
        None: every frame.
    """

    name: str
    file: str = ""
    rate_hz: float | None = None

    @classmethod
    def parse(cls, text: str) -> AffectSpec:
        """Return the parts of ``NAME:FILE@HZ``.

        A folder with weights in it stands for these, and weights or such a folder alone for
        ``checkpoint:FILE``.

        Raises
        ------
        UsageError
            When the rate is 0.
        """
        name, _, file = text.partition(":")
        if not file and name not in affect_backend_names() and _is_there(text):
            name, file = CHECKPOINT, text
        found = None if Path(file).exists() else _RATE.match(file)
        if found is None:
            return cls(name, weights_in(file))
        rate_hz = float(found["rate"])
        if rate_hz <= 0:
            raise UsageError(
                f"--affect-backend {text}: the rate must be above 0 frames per second."
            )
        return cls(name, weights_in(found["file"]), rate_hz)

    def __str__(self) -> str:
        file = f":{self.file}" if self.file else ""
        return f"{self.name}{file}" + (f"@{self.rate_hz:g}" if self.rate_hz else "")


def _is_there(text: str) -> bool:
    rated = _RATE.match(text)
    return Path(text).exists() or (rated is not None and Path(rated["file"]).exists())


def weights_in(file: str) -> str:
    """Return the weights in a folder of a training or an export; the file itself where it is none."""
    if not file or not Path(file).is_dir():
        return file
    there = (Path(file) / name for name in _IN_FOLDERS)
    return next((str(path) for path in there if path.is_file()), file)


def affect_backend_names() -> tuple[str, ...]:
    """Return the names of the installed backends, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)} | {RULE, CHECKPOINT}))


def load_affect_backend(asked: str) -> AffectBackend:
    """Return a new backend.

    Parameters
    ----------
    asked : str
        ``rule``, ``checkpoint:FILE.safetensors``, or that of another package.

    Raises
    ------
    UsageError
        When there is none of this name, or it needs a file or takes none.
    DuchenneError
        When its file cannot be read or is of a system that does not answer affect.
    """
    spec = AffectSpec.parse(asked)
    make = _maker(spec.name)
    if make is None:
        known = ", ".join(affect_backend_names())
        raise UsageError(f"There is no affect backend '{spec.name}'; there are: {known}.")
    takes = inspect.signature(make).parameters
    if spec.file and "file" not in takes:
        raise UsageError(f"The affect backend {spec.name} takes no file.")
    if "file" in takes and takes["file"].default is inspect.Parameter.empty and not spec.file:
        raise UsageError(
            f"The affect backend {spec.name} needs its file: {spec.name}:FILE.safetensors."
        )
    given: dict[str, Any] = {"file": spec.file} if spec.file else {}
    if spec.rate_hz is not None:
        given["rate_hz"] = spec.rate_hz
    backend: AffectBackend = make(**given)
    return backend


def _maker(name: str) -> Any:
    for point in entry_points(group=GROUP):
        if point.name == name:
            return point.load()
    if name == RULE:
        from duchenne.analysis.affect.rule import RuleBackend  # noqa: PLC0415

        return RuleBackend
    if name == CHECKPOINT:
        from duchenne.analysis.affect.checkpoint import CheckpointBackend  # noqa: PLC0415 (torch)

        return CheckpointBackend
    return None


def affect_hash(asked: str) -> str:
    """Return the SHA-256 of the file that a backend reads; empty where it reads none."""
    from duchenne.analysis.provenance import sha256_of  # noqa: PLC0415

    file = AffectSpec.parse(asked).file
    return sha256_of(Path(file)) if file and Path(file).is_file() else ""


def without_folder(asked: str) -> str:
    """Return what was asked for with the name of its file alone, as it may be told to others."""
    spec = AffectSpec.parse(asked)
    return str(AffectSpec(spec.name, Path(spec.file).name, spec.rate_hz)) if spec.file else asked


def with_known_file(asked: str) -> str:
    """Return what was asked for with the whole path of its file, so that other processes find it.

    Raises
    ------
    UsageError
        When there is no such file or backend.
    """
    spec = AffectSpec.parse(asked)
    if spec.name not in affect_backend_names():
        load_affect_backend(asked)  # says which there are
    if not spec.file:
        if spec.name == CHECKPOINT:
            load_affect_backend(asked)  # says that it needs a file
        return asked
    if not Path(spec.file).is_file():
        raise UsageError(f"There is no checkpoint {spec.file}.")
    return str(AffectSpec(spec.name, str(Path(spec.file).resolve()), spec.rate_hz))
