"""From what an importer read to the rows of a manifest: files found, measured, put into cells."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from duchenne.stimuli.checks import file_sha256
from duchenne.stimuli.databases import REGISTRY
from duchenne.stimuli.databases.base import (
    AUDIO_SUFFIXES,
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Database,
    Entry,
    Source,
    find_norms,
)
from duchenne.stimuli.databases.cells import Cells
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.facts import file_facts
from duchenne.stimuli.suggest import did_you_mean
from duchenne.stimuli.writing import refuse_existing, write_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

NOTES_FILE = "import-notes.txt"
Files = Literal["in place", "copy", "link"]


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    manifest : Path
        The manifest written.
    rows : tuple of mapping
        Its rows.
    notes : tuple of str
        What was left out and why, one line each, with the place.
    """

    manifest: Path
    rows: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]


def import_set(
    database: str,
    folder: Path,
    *,
    out: Path | None = None,
    norms: Path | None = None,
    columns: Mapping[str, str] | None = None,
    sample: str = "",
    cells: Cells | None = None,
    files: Files = "in place",
    scale: tuple[float, float] | None = None,
    redistributable: bool | None = None,
    replace: bool = False,
    progress: bool = False,
) -> Imported:
    """Turn a lab's folder into a stimulus set.

    Parameters
    ----------
    database : str
        Name in the registry.
    folder : Path
        The lab's copy.
    out : Path, optional
        Folder of the set; `folder` by default. It must hold `folder`, unless files are copied or linked.
    norms : Path, optional
        Table of norms; looked for by default.
    columns : mapping of str to str, optional
        Name in the manifest → column of the table.
    sample : str
        Whose norms to take, where a database has several.
    cells : Cells, optional
        How categories are formed.
    files : {"in place", "copy", "link"}
        Whether media files stay where they are, are copied, or hard-linked.
    scale : (float, float), optional
        Ends of the norms' scale, where the database does not fix it.
    redistributable : bool, optional
        Overrides what the database says.
    replace : bool
        Replace a manifest that is there.
    progress : bool
        Show a progress bar.

    Raises
    ------
    DuchenneError
        Unknown database, no files, no norms, unreadable table, no file with norms.
    """
    about, read = _find(database)
    if not folder.is_dir():
        raise DuchenneError(f"{folder}: no such folder; give the folder that holds the media files")
    target = (out or folder).resolve()
    if files == "in place" and not folder.resolve().is_relative_to(target):
        raise UsageError(
            f"--out {target} does not hold {folder}, and a manifest may not point outside its "
            "folder; "
            "add --copy or --link"
        )
    refuse_existing(target, replace=replace)
    tables = find_norms(about, folder, norms)
    found = _media(folder, about.suffixes, tables)
    if not found:
        raise DuchenneError(f"{folder}: no media files of {about.title} ({_kinds(about)})")
    source = Source(folder, found, tables, columns or {}, sample)
    entries = read(source)
    if not entries:
        raise DuchenneError(
            f"{tables[0] if tables else folder}: nothing of {about.title} found in it"
        )
    pairs, notes = _paired(entries, source)
    if not pairs:
        raise DuchenneError(
            f"{folder}: none of {len(entries)} entries has a file here (first: "
            f"{entries[0].keys[0]}, "
            f"{entries[0].where}); is this the folder of the media files?"
        )
    builder = _Builder(
        about,
        folder,
        target,
        cells=cells or Cells(),
        files=files,
        scale=scale,
        redistributable=redistributable,
        replace=replace,
    )
    rows, faults = builder.rows(pairs, progress=progress)
    if not rows:
        raise DuchenneError(f"no usable stimulus: {faults[0]}" if faults else f"{folder}: nothing")
    manifest = write_set(target, rows, builder.codebook(rows, source))
    return Imported(manifest, tuple(rows), (*notes, *faults))


def _find(name: str) -> tuple[Database, Any]:
    try:
        return REGISTRY[name.casefold()]
    except KeyError:
        hint = did_you_mean(name, REGISTRY, most=20)
        raise UsageError(f"no importer for {name!r}{hint}") from None


def _kinds(about: Database) -> str:
    return " ".join(sorted(about.suffixes))


def _media(folder: Path, suffixes: Iterable[str], tables: Sequence[Path]) -> tuple[Path, ...]:
    wanted, norms = frozenset(suffixes), {t.resolve() for t in tables}
    return tuple(
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.casefold() in wanted
        and path.is_file()
        and path.name != NOTES_FILE
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.resolve() not in norms
    )


def _paired(entries: Sequence[Entry], source: Source) -> tuple[list[tuple[Entry, Path]], list[str]]:
    """Find the file of every entry; list what stays alone on either side."""
    names: dict[str, list[Path]] = defaultdict(list)
    for path in source.files:
        relative = path.relative_to(source.folder).as_posix().casefold()
        for name in {relative, path.name.casefold(), path.stem.casefold()}:
            names[name].append(path)
        leading = re.match(r"\d+(?=\D)", path.stem)
        if leading:
            names[leading[0]].append(path)
    pairs: list[tuple[Entry, Path]] = []
    notes: list[str] = []
    used: dict[Path, Entry] = {}
    for entry in entries:
        found, note = _file_of(entry, names)
        if found is not None and found not in used:
            used[found] = entry
            pairs.append((entry, found))
            continue
        if found is not None:
            note = f"the file {found.name} is used before, by {used[found].where}"
        notes.append(f"{entry.where}: {entry.keys[0]!r} left out: {note}")
    notes += [f"{p}: left out: no norms for this file" for p in source.files if p not in used]
    return pairs, notes


def _file_of(entry: Entry, names: Mapping[str, list[Path]]) -> tuple[Path | None, str]:
    for key in entry.keys:
        name = key.replace("\\", "/").casefold()
        found = names.get(name) or names.get(name.rpartition("/")[2], [])
        if len(found) > 1:
            places = ", ".join(str(path) for path in found[:2])
            return None, f"{len(found)} files are called so ({places}); keep one"
        if found:
            return found[0], ""
    return None, "no file of that name in the folder"


class _Builder:
    """Makes the rows and the codebook of a set."""

    def __init__(
        self,
        about: Database,
        folder: Path,
        target: Path,
        *,
        cells: Cells,
        files: Files,
        scale: tuple[float, float] | None,
        redistributable: bool | None,
        replace: bool,
    ) -> None:
        self._about, self._folder, self._target = about, folder, target
        self._cells, self._files, self._scale = cells, files, scale
        self._redistributable, self._replace = redistributable, replace
        self._ids: Counter[str] = Counter()

    def rows(
        self, pairs: Sequence[tuple[Entry, Path]], *, progress: bool
    ) -> tuple[list[dict[str, Any]], list[str]]:
        from rich.progress import track  # noqa: PLC0415 - slow to import

        rows, faults = [], []
        shown = track(pairs, description="Importing", transient=True, disable=not progress)
        for entry, path in shown:
            try:
                rows.append(self._row(entry, path))
            except DuchenneError as error:
                faults.append(f"left out: {error}")
        self._cells.fill(rows)
        without = [row["id"] for row in rows if not row.get("category")]
        for row in rows:
            row["category"] = row.get("category") or "uncategorised"
        if without:
            faults.append(
                f"{len(without)} stimuli without norms are in the category 'uncategorised' "
                f"(first: {without[0]})"
            )
        return rows, faults

    def _row(self, entry: Entry, path: Path) -> dict[str, Any]:
        about, kind = self._about, entry.kind or kind_of(path)
        has_norm = any(v is not None for v in (entry.valence, entry.arousal, entry.dominance))
        low, high = self._scale or (about.norm_min, about.norm_max)
        low = entry.norm_min if entry.norm_min is not None else low
        high = entry.norm_max if entry.norm_max is not None else high
        if has_norm and (low is None or high is None):
            raise DuchenneError(
                f"{entry.where}: norms without a scale; add --scale MIN MAX or map norm_min "
                "and norm_max"
            )
        for name in ("valence", "arousal", "dominance"):
            value = getattr(entry, name)
            if value is not None and not (low or 0) <= value <= (high or 0):
                raise DuchenneError(
                    f"{entry.where}: {name} {value:g} is outside its scale {low:g} to {high:g}"
                )
        facts = file_facts(path, kind)
        share = entry.redistributable if self._redistributable is None else self._redistributable
        row: dict[str, Any] = {
            "id": self._unique(entry.id or path.stem),
            "file": self._placed(path),
            "kind": kind,
            "category": entry.category,
            "valence": entry.valence,
            "arousal": entry.arousal,
            "dominance": entry.dominance,
            "norm_min": low if has_norm else None,
            "norm_max": high if has_norm else None,
            "target_expression": entry.target_expression,
            "licence": entry.licence or about.licence or None,
            "redistributable": about.redistributable if share is None else share,
            "description": entry.description,
            **facts,
        }
        return row | dict(entry.texts) | dict(entry.numbers)

    def _unique(self, wanted: str) -> str:
        name = "_".join(wanted.split())
        self._ids[name] += 1
        return name if self._ids[name] == 1 else f"{name}-{self._ids[name]}"

    def _placed(self, path: Path) -> str:
        if self._files == "in place":
            return path.resolve().relative_to(self._target).as_posix()
        relative = path.relative_to(self._folder)
        place = self._target / relative
        if place.exists() and place.samefile(path):
            return relative.as_posix()
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.exists():
                if not self._replace and file_sha256(place) != file_sha256(path):
                    raise DuchenneError(
                        f"{place}: another file of this name is here; move it away or add --replace"
                    )
                place.unlink()
            if self._files == "copy":
                shutil.copyfile(path, place)
            else:
                os.link(path.resolve(), place)
        except OSError as error:
            hint = "; use --copy" if self._files == "link" else ""
            raise DuchenneError(f"{place}: cannot be made ({error.strerror}){hint}") from None
        return relative.as_posix()

    def codebook(self, rows: Sequence[Mapping[str, Any]], source: Source) -> dict[str, Any]:
        about = self._about
        tables = ", ".join(path.name for path in source.norms)
        facts = {
            "Name": about.name if about.name != "csv" else self._folder.resolve().name,
            "Description": f"{len(rows)} stimuli of {about.title}",
            "Norms": about.norms + (f" ({tables})" if tables else ""),
            "Sample": source.sample or None,
            "License": f"{about.licence}: {about.terms}" if about.licence else about.terms,
            "Citation": about.citation or None,
            "Categories": self._cells.description,
            "Importer": f"duchenne stimuli import {about.name}",
        }
        entries: dict[str, Any] = {"StimulusSet": {k: v for k, v in facts.items() if v}}
        if self._cells.column is None:
            entries["category"] = {
                "Description": f"Cell of the design. {self._cells.description}",
                "Levels": {**self._cells.levels, **about.levels},
            }
        for name in {key for row in rows for key in row}:
            described = _described(name)
            if described:
                entries[name] = described
        return entries


def kind_of(path: Path) -> str:
    """Return how a file is presented, by its suffix."""
    suffix = path.suffix.casefold()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    return "audio" if suffix in AUDIO_SUFFIXES else "text"


_STATISTICS = {"mean": "Mean", "sd": "Standard deviation", "n": "Number of raters"}
_OTHERS = {
    "quadrant": "Quadrant of valence and arousal: H above the middle of the scale, L at or below it",
    "octant": "Quadrant with dominance added: H above the middle of the scale, L at or below it",
    "black_px": "Number of black pixels, as published",
    "white_px": "Number of white pixels, as published",
    "black_share": "Share of black pixels, 0 to 1",
    "keywords": "Keywords, as published",
    "source": "Where the picture comes from, as published",
    "content": "The database's own division by content",
    "theme": "Name of the picture in the database",
    "expression": "Expression that was posed",
    "view": "View of the head",
    "model": "Person shown",
    "camera_deg": "Angle of the camera; 90 is frontal",
    "highlight_start_s": "Where the excerpt begins in the whole video",
    "n_ratings": "Number of ratings",
}


def _described(name: str) -> dict[str, Any] | None:
    parts = name.split("_")
    if len(parts) > 1 and parts[1] in _STATISTICS:
        who = f", sample {' '.join(parts[2:])}" if parts[2:] else ""
        return {
            "Description": f"{_STATISTICS[parts[1]]} of {parts[0]}{who}, on the scale of the norms"
        }
    text = _OTHERS.get(name)
    if text is None:
        return None
    units = {"camera_deg": "degrees", "highlight_start_s": "s"}.get(name)
    return {"Description": text} | ({"Units": units} if units else {})
