"""Reading a manifest: every row becomes a stimulus or a problem with its line."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from duchenne.stimuli.checks import Problem, value_problems
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.stimulus import COLUMNS, KINDS, REQUIRED_COLUMNS, Kind, Stimulus
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MISSING = ("", "n/a")
_NUMBERS = (
    "valence",
    "arousal",
    "dominance",
    "norm_min",
    "norm_max",
    "duration_s",
    "luminance",
)
_INTEGERS = ("width_px", "height_px")
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Manifest:
    """A manifest as read.

    Attributes
    ----------
    name : str
        Name of the set, from the codebook, else that of the folder.
    folder : Path
        Absolute folder of the manifest.
    stimuli : tuple of Stimulus
        The rows that could be read.
    problems : tuple of Problem
        What is wrong with the rows, in their order; the media files were not opened.
    places : mapping of str to str
        Name of the file and line of each stimulus, by id.
    """

    name: str
    folder: Path
    stimuli: tuple[Stimulus, ...]
    problems: tuple[Problem, ...]
    places: Mapping[str, str]


class _RowError(ValueError):
    """A cell that cannot be read."""


def read_manifest(path: Path) -> Manifest:
    """Read a manifest and collect what is wrong with its rows.

    Parameters
    ----------
    path : Path
        A `manifest.tsv`, or the folder that holds one.

    Raises
    ------
    DuchenneError
        There is no such file, it is not UTF-8 text, it lacks a required column, or it has no rows.
    """
    manifest = manifest_file(path)
    rows = _rows(manifest, _text(manifest))
    folder = manifest.parent.resolve()
    measured = _measure_columns([row for _, row in rows])
    stimuli: list[Stimulus] = []
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    for line, row in rows:
        where = f"{manifest}:{line}"
        try:
            stimulus = _stimulus(row, folder, measured)
        except _RowError as error:
            problems.append(Problem(row.get("id") or "?", str(error), where))
            continue
        if stimulus.id in lines:
            what = f"the id was used before, in line {lines[stimulus.id]}; ids must be unique"
            problems.append(Problem(stimulus.id, what, where))
            continue
        lines[stimulus.id] = line
        stimuli.append(stimulus)
        problems += value_problems([stimulus], where=where)
    places = {stimulus_id: f"{manifest.name}:{line}" for stimulus_id, line in lines.items()}
    return Manifest(_set_name(manifest), folder, tuple(stimuli), tuple(problems), places)


def read_cells(path: Path) -> tuple[Path, list[dict[str, str]]]:
    """Return the file of a manifest and its rows as written, by column, for writing it again.

    Parameters
    ----------
    path : Path
        A `manifest.tsv`, or the folder that holds one.

    Raises
    ------
    DuchenneError
        As `read_manifest`.
    """
    manifest = manifest_file(path)
    return manifest, [row for _, row in _rows(manifest, _text(manifest))]


def read_codebook(manifest: Path) -> dict[str, Any]:
    """Return the codebook beside a manifest; empty where there is none.

    Raises
    ------
    DuchenneError
        It is no JSON.
    """
    codebook = manifest.with_suffix(".json")
    if not codebook.is_file():
        return {}
    try:
        content = json.loads(codebook.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DuchenneError(
            f"{codebook}: not a JSON codebook ({error}); correct it or remove it"
        ) from None
    return content if isinstance(content, dict) else {}


def empty_categories(manifest: Manifest, path: Path) -> list[Problem]:
    """Return the categories that the codebook declares but no stimulus has."""
    entry = read_codebook(path).get("category")
    levels = entry.get("Levels") if isinstance(entry, dict) else None
    present = {s.category for s in manifest.stimuli}
    where = str(path.with_suffix(".json"))
    return [
        Problem(
            str(name), "this category of the codebook has no stimulus; add some or remove it", where
        )
        for name in levels or ()
        if str(name) not in present
    ]


def manifest_file(path: Path) -> Path:
    """Return the `manifest.tsv` that a path means.

    Raises
    ------
    DuchenneError
        There is none.
    """
    manifest = path / "manifest.tsv" if path.is_dir() else path
    if not manifest.is_file():
        raise DuchenneError(
            f"no stimulus manifest at {manifest}; give a manifest.tsv or the folder that holds one"
        )
    return manifest


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DuchenneError(
            f"{path}:{line}: not UTF-8 text (byte 0x{content[error.start]:02x}); "
            "save the manifest as UTF-8 with tabs between columns"
        ) from None


def _rows(manifest: Path, text: str) -> list[tuple[int, dict[str, str]]]:
    reader = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = [name.strip() for name in next(reader, [])]
    for name in REQUIRED_COLUMNS:
        if name not in header:
            hint = did_you_mean(name, set(header) - set(COLUMNS), most=0)
            tabs = "" if len(header) > 1 else "; columns are separated by tabs"
            raise DuchenneError(f"{manifest}:1: the column {name!r} is missing{hint or tabs}")
    rows = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise DuchenneError(
                f"{manifest}:{reader.line_num}: {len(cells)} cells under {len(header)} columns; "
                "separate cells by one tab each"
            )
        rows.append((reader.line_num, {n: c.strip() for n, c in zip(header, cells, strict=True)}))
    if not rows:
        raise DuchenneError(f"{manifest}: no stimuli in the manifest; add one row for each")
    return rows


def _measure_columns(rows: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the columns, other than our own, that hold nothing but numbers."""
    others = [name for name in rows[0] if name and name not in COLUMNS]
    return tuple(name for name in others if _all_numbers([row[name] for row in rows]))


def _all_numbers(cells: Sequence[str]) -> bool:
    given = [cell for cell in cells if cell not in MISSING]
    try:
        return bool(given) and all(math.isfinite(float(cell)) for cell in given)
    except ValueError:
        return False


def _stimulus(row: Mapping[str, str], folder: Path, measured: Sequence[str] = ()) -> Stimulus:
    given = {name: row[name] for name in COLUMNS if row.get(name, "") not in MISSING}
    for name in REQUIRED_COLUMNS:
        if name not in given:
            raise _RowError(f"no value for {name}")
    values: dict[str, Any] = dict(given)
    values |= {name: _number(name, given[name]) for name in _NUMBERS if name in given}
    values |= {name: _integer(name, given[name]) for name in _INTEGERS if name in given}
    if "redistributable" in given:
        values["redistributable"] = _flag("redistributable", given["redistributable"])
    values["kind"] = _kind(given["kind"])
    values["sha256"] = given["sha256"].lower()
    values["measures"] = {name: float(row[name]) for name in measured if row[name] not in MISSING}
    file = given["file"].replace("\\", "/")
    return Stimulus(**{**values, "file": file, "path": folder / PurePosixPath(file)})


def _kind(text: str) -> Kind:
    for kind in KINDS:
        if text == kind:
            return kind
    raise _RowError(f"unknown kind {text!r}{did_you_mean(text, KINDS)}")


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _RowError(
            f"{name} is {text!r}, which is no number; leave it empty or write n/a if unknown"
        )
    return value


def _integer(name: str, text: str) -> int:
    value = _number(name, text)
    if value != int(value):
        raise _RowError(f"{name} is {text!r}, which is no whole number")
    return int(value)


def _flag(name: str, text: str) -> bool:
    try:
        return _FLAGS[text.casefold()]
    except KeyError:
        raise _RowError(f"{name} is {text!r}; write true or false") from None


def _set_name(manifest: Path) -> str:
    fallback = manifest.resolve().parent.name
    about = read_codebook(manifest).get("StimulusSet")
    name = about.get("Name") if isinstance(about, dict) else None
    return name if isinstance(name, str) and name else fallback
