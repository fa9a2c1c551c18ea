"""Importers: from a folder that a lab already has to a manifest.

One module per database; each registers itself with `importer`. The formats are those of the
published files as named in each module's docstring; column names are looked for without regard to
case, spaces and punctuation.
"""

from __future__ import annotations

from duchenne.stimuli.databases import (
    bass,
    deap,
    emdb,
    filmstim,
    gaped,
    iaps,
    kdef,
    naps,
    oasis,
    plain,
    rafd,
)
from duchenne.stimuli.databases.base import REGISTRY, Database, Entry, Source, importer

__all__ = ["REGISTRY", "Database", "Entry", "Source", "importer"]
assert all((bass, deap, emdb, filmstim, gaped, iaps, kdef, naps, oasis, plain, rafd))
