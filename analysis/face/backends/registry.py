"""Finds Action Unit backends by name among the entry points ``duchenne.au_backends``."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from duchenne.analysis.face.backends.base import AUBackend

GROUP = "duchenne.au_backends"
DEFAULT_BACKEND = "geometry"


def backend_names() -> tuple[str, ...]:
    """Return the names of the installed backends, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load_backend(name: str) -> AUBackend:
    """Return a new backend of the given name.

    Parameters
    ----------
    name : str
        ``NAME``, or ``NAME:FILE`` for a backend that reads a file, such as
        ``openface-csv:FILE.csv``.

    Raises
    ------
    UsageError
        When there is none of this name, or it takes no file.
    DuchenneError
        When its file cannot be read.
    """
    plain, _, file = name.partition(":")
    for point in entry_points(group=GROUP):
        if point.name == plain:
            make = point.load()
            backend: AUBackend = make(file) if file and _takes_file(make, plain) else make()
            return backend
    known = ", ".join(backend_names()) or "none; install the package with pip"
    raise UsageError(f"There is no AU backend '{name}'; there are: {known}.")


def _takes_file(make: Any, name: str) -> bool:
    if "file" in inspect.signature(make).parameters:
        return True
    raise UsageError(f"The AU backend {name} takes no file.")
