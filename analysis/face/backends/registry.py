"""Finds Action Unit backends by name among the entry points ``duchenne.au_backends``."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from duchenne.analysis.face.backends.base import AUBackend

GROUP = "duchenne.au_backends"


def backend_names() -> tuple[str, ...]:
    """Return the names of the installed backends, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load_backend(name: str) -> AUBackend:
    """Return a new backend of the given name.

    Raises
    ------
    UsageError
        When there is none of this name.
    """
    for point in entry_points(group=GROUP):
        if point.name == name:
            backend: AUBackend = point.load()()
            return backend
    known = ", ".join(backend_names()) or "none; install the package with pip"
    raise UsageError(f"There is no AU backend '{name}'; there are: {known}.")
