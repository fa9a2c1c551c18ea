"""The seam of the importers: what a database is, and what it says of each stimulus."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from duchenne.stimuli.databases.tables import Table, read_table
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".wmv", ".mpg", ".mpeg", ".m4v", ".webm"}
)
AUDIO_SUFFIXES = frozenset({".wav", ".mp3", ".flac", ".ogg", ".m4a", ".aac", ".aif", ".aiff"})
TEXT_SUFFIXES = frozenset({".txt"})


@dataclass(frozen=True)
class Database:
    """A published set of stimuli.

    Attributes
    ----------
    name : str
        As the command line calls it.
    title : str
        Its full name.
    citation : str
        What to cite for it.
    licence : str
        Short name or SPDX identifier of its terms.
    redistributable : bool
        Whether its pictures may be shown in reports that are passed on.
    terms : str
        What the licence allows, in a sentence.
    norm_min, norm_max : float or None
        Ends of the scale of its norms.
    norm_files : tuple of str
        Patterns of the names of its norm tables, tried in this order; ``|`` joins those that
        belong together.
    suffixes : frozenset of str
        Of its media files.
    needs_norms : bool
        Whether it has a norm table at all.
    norms : str
        Who rated, on what scale, in a sentence.
    levels : mapping of str to str
        What its own categories mean.
    """

    name: str
    title: str
    citation: str
    licence: str
    redistributable: bool
    terms: str
    norm_min: float | None = None
    norm_max: float | None = None
    norm_files: tuple[str, ...] = ()
    suffixes: frozenset[str] = IMAGE_SUFFIXES
    needs_norms: bool = True
    norms: str = ""
    levels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """What a database says of one stimulus.

    Attributes
    ----------
    keys : tuple of str
        Names its file may have, with or without suffix; the first one that is found counts.
    where : str
        File and line that say so.
    valence, arousal, dominance : float or None
        Norms on their original scale.
    norm_min, norm_max : float or None
        Ends of that scale, where they differ from those of the database.
    category : str or None
        Cell of the database's own division, used where there is no quadrant.
    target_expression, description, kind, id, licence : str or None
        As in the manifest.
    redistributable : bool or None
        As in the manifest.
    numbers : mapping of str to float
        Further numbers: standard deviations, norms by sex, measures of the picture.
    texts : mapping of str to str
        Further words: theme, content, model, view.
    """

    keys: tuple[str, ...]
    where: str
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    norm_min: float | None = None
    norm_max: float | None = None
    category: str | None = None
    target_expression: str | None = None
    description: str | None = None
    kind: str | None = None
    id: str | None = None
    licence: str | None = None
    redistributable: bool | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """What an importer works on.

    Attributes
    ----------
    folder : Path
        Folder of the lab's copy.
    files : tuple of Path
        Its media files.
    norms : tuple of Path
        Its norm tables; empty where the database has none.
    columns : mapping of str to str
        What the user said with ``--map``: name in the manifest → column of the table.
    sample : str
        Which sample's norms to take, where there are several; empty for the database's default.
    """

    folder: Path
    files: tuple[Path, ...]
    norms: tuple[Path, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    sample: str = ""

    def table(self, *keys: str) -> Table:
        """Read the first norm table; its header holds one of `keys`."""
        mapped = [column for column in self.columns.values() if column]
        return read_table(self.norms[0], [*keys, *mapped] if keys else ())

    def names(self, what: str, *columns: str) -> tuple[str, ...]:
        """Return the columns to look for, what the user named coming first."""
        named = self.columns.get(what)
        return (named, *columns) if named else columns

    def choose_sample(self, known: Collection[str], default: str) -> str:
        """Return the sample asked for.

        Raises
        ------
        UsageError
            The database has no such sample.
        """
        if self.sample and self.sample not in known:
            raise UsageError(
                f"no sample {self.sample!r} in this database{did_you_mean(self.sample, known)}"
            )
        return self.sample or default


REGISTRY: dict[str, tuple[Database, Callable[[Source], Sequence[Entry]]]] = {}


def importer(
    database: Database,
) -> Callable[[Callable[[Source], Sequence[Entry]]], Callable[[Source], Sequence[Entry]]]:
    """Register the function that reads a database.

    Parameters
    ----------
    database : Database
        What it reads.
    """

    def register(
        read: Callable[[Source], Sequence[Entry]],
    ) -> Callable[[Source], Sequence[Entry]]:
        REGISTRY[database.name] = (database, read)
        return read

    return register


def find_norms(database: Database, folder: Path, given: Path | None) -> tuple[Path, ...]:
    """Return the norm tables of a database.

    Raises
    ------
    DuchenneError
        None is there, or the one named is not.
    """
    if given is not None:
        if not given.is_file():
            raise DuchenneError(f"{given}: no such file of norms; correct --norms")
        return (given,)
    if not database.norm_files:
        if database.needs_norms:
            raise UsageError(f"{database.name} needs --norms FILE: the table that names the files")
        return ()
    for place in (folder, folder.parent):
        for pattern in database.norm_files:
            parts = pattern.split("|")
            seen = [
                p for part in parts for p in (place.rglob if place == folder else place.glob)(part)
            ]
            found = tuple(sorted(p for p in seen if p.is_file()))
            if found:
                return found
    if not database.needs_norms:
        return ()
    raise DuchenneError(
        f"no norms of {database.title} in {folder} (looked for {', '.join(database.norm_files)}); "
        "name the file with --norms"
    )
