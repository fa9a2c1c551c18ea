"""Files of areas of interest: ``aois.tsv`` or ``aois.json`` for the stimuli of a set."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.gaze.aoi import OUTSIDE, static_aois
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

COLUMNS = ("stimulus", "aoi", "shape", "coordinates")
SHAPES = ("rect", "ellipse", "polygon", "auto")
AUTO_NAMES = ("eyes", "mouth", "face")
"""What is found in a stimulus itself, in order of precedence: a gaze on the eyes is not one on the face."""
EVERY_STIMULUS = "*"
ELLIPSE_CORNERS = 64
_SEPARATORS = re.compile(r"[\s,;]+")
_EXAMPLE = "rect 0.3 0.3 0.7 0.45"


@dataclass(frozen=True)
class AoiEntry:
    """One line of a file: an area of a stimulus.

    Parameters
    ----------
    stimulus : str
        Id in the manifest, or ``*`` for every picture and film.
    name : str
        Of the area. Several entries of one name are one area in several parts.
    polygon : ndarray, shape (k, 2), or None
        Corners, 0–1 in the stimulus; None: found in the stimulus itself.
    where : str
        File and line.
    """

    stimulus: str
    name: str
    polygon: Floats | None
    where: str


@dataclass(frozen=True)
class AoiPlan:
    """The areas that were asked for.

    Parameters
    ----------
    entries : tuple of AoiEntry
        In the order of the file, which decides where areas overlap.
    source : str
        The file, or ``auto``.
    margin_deg : float, optional
        The margin that the file asks for.
    """

    entries: tuple[AoiEntry, ...]
    source: str
    margin_deg: float | None = None

    def of(self, stimulus: str) -> tuple[AoiEntry, ...]:
        """Return the areas of one stimulus, in order of precedence; an automatic face comes last."""
        mine = [entry for entry in self.entries if entry.stimulus in {stimulus, EVERY_STIMULUS}]
        return tuple(sorted(mine, key=lambda e: e.polygon is None and e.name == "face"))


def automatic_plan() -> AoiPlan:
    """Return the plan of ``--aois auto``: eyes, mouth and face in every picture and film."""
    entries = (AoiEntry(EVERY_STIMULUS, name, None, "auto") for name in AUTO_NAMES)
    return AoiPlan(tuple(entries), "auto")


def aoi_file_of(folder: Path) -> Path | None:
    """Return the file of areas beside a manifest; ``aois.tsv`` before ``aois.json``; None: neither."""
    for name in ("aois.tsv", "aois.json"):
        if (folder / name).is_file():
            return folder / name
    return None


def read_aoi_file(path: Path, *, known: Collection[str] = ()) -> AoiPlan:
    """Read the areas of interest of a stimulus set.

    Parameters
    ----------
    path : Path
        ``.tsv`` with the columns ``stimulus aoi shape coordinates``, or ``.json`` with ``aois``, a list
        of objects with these names, and optionally ``margin_deg``. Coordinates are 0–1 in the
        stimulus, origin top left, y down: ``rect`` left top right bottom; ``ellipse`` centre x, centre
        y, half width, half height; ``polygon`` x y of each corner; ``auto`` none.
    known : collection of str, optional
        Ids of the stimulus set; others are refused.

    Raises
    ------
    DuchenneError
        Naming file and line of what is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DuchenneError(
            f"{path}: cannot read areas of interest ({error.strerror or error})."
        ) from None
    except UnicodeDecodeError:
        raise DuchenneError(f"{path}: not UTF-8 text; save it as UTF-8.") from None
    margin = None
    if path.suffix.lower() == ".tsv":
        rows = list(_tsv_rows(path, text))
    elif path.suffix.lower() == ".json":
        rows, margin = _json_rows(path, text)
    else:
        raise DuchenneError(f"{path}: areas of interest are read from .tsv or .json files.")
    if not rows:
        raise DuchenneError(f"{path}: holds no areas of interest; a row says {_EXAMPLE}.")
    entries = tuple(_entry(where, row, known) for where, row in rows)
    _refuse_mixed(entries)
    return AoiPlan(entries, str(path), margin)


def _tsv_rows(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    header: list[str] | None = None
    for line, cells in enumerate(reader, 1):
        if not "".join(cells).strip() or cells[0].startswith("#"):
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                raise DuchenneError(
                    f"{path}:{line}: lacks the column {', '.join(missing)}; the columns are "
                    f"{', '.join(COLUMNS)}, with tabs between them."
                )
            continue
        if len(cells) > len(header):
            raise DuchenneError(
                f"{path}:{line}: {len(cells)} cells under {len(header)} columns; separate "
                "coordinates by spaces, columns by tabs."
            )
        padded = [*cells, *[""] * (len(header) - len(cells))]
        yield f"{path}:{line}", {n: c.strip() for n, c in zip(header, padded, strict=True)}


def _json_rows(path: Path, text: str) -> tuple[list[tuple[str, dict[str, Any]]], float | None]:
    try:
        content = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise DuchenneError(f"{path}:{line}: not JSON ({getattr(error, 'msg', error)}).") from None
    if not isinstance(content, dict) or not isinstance(content.get("aois"), list):
        raise DuchenneError(f'{path}:1: needs "aois", a list of objects with {", ".join(COLUMNS)}.')
    margin = content.get("margin_deg")
    if margin is not None and (not isinstance(margin, int | float) or not 0 <= margin < 90):
        raise DuchenneError(f"{path}:1: margin_deg is {margin!r}, not degrees from 0 up.")
    lines = list(_lines_of_entries(text))
    rows = []
    for i, row in enumerate(content["aois"]):
        where = f"{path}:{lines[i] if i < len(lines) else 1}"
        if not isinstance(row, dict):
            raise DuchenneError(f"{where}: an area is an object with {', '.join(COLUMNS)}.")
        rows.append((where, row))
    return rows, None if margin is None else float(margin)


def _lines_of_entries(text: str) -> Iterator[int]:
    """Yield the line on which each entry of the list ``aois`` begins."""
    begin = re.search(r'"aois"\s*:\s*\[', text)
    decoder, at = json.JSONDecoder(), begin.end() if begin else len(text)
    while True:
        while at < len(text) and (text[at].isspace() or text[at] == ","):
            at += 1
        if at >= len(text) or text[at] == "]":
            return
        yield text.count("\n", 0, at) + 1
        try:
            _, at = decoder.raw_decode(text, at)
        except ValueError:
            return


def _entry(where: str, row: Mapping[str, Any], known: Collection[str]) -> AoiEntry:
    stimulus, name, shape = (str(row.get(key) or "").strip() for key in COLUMNS[:3])
    for key, value in (("stimulus", stimulus), ("aoi", name)):
        if value in {"", "n/a"}:
            raise DuchenneError(f"{where}: the area has no {key}.")
    if name == OUTSIDE:
        raise DuchenneError(f"{where}: an area cannot be called {name}: that is gaze beside all.")
    if known and stimulus != EVERY_STIMULUS and stimulus not in known:
        hint = did_you_mean(stimulus, known)
        raise DuchenneError(f"{where}: no stimulus {stimulus!r} in the manifest{hint}")
    if shape not in SHAPES:
        raise DuchenneError(f"{where}: shape is {shape!r}, not one of {', '.join(SHAPES)}.")
    if shape == "auto":
        if name not in AUTO_NAMES:
            raise DuchenneError(
                f"{where}: {name!r} cannot be found automatically, only {', '.join(AUTO_NAMES)}."
            )
        return AoiEntry(stimulus, name, None, where)
    numbers = _numbers(where, row.get("coordinates"))
    try:
        polygon = _corners(shape, numbers)
        checked = static_aois({name: polygon}).aois[0].polygon
    except DuchenneError as error:
        raise DuchenneError(f"{where}: {error}.") from None
    return AoiEntry(stimulus, name, checked, where)


def _numbers(where: str, given: Any) -> list[float]:
    parts: Sequence[Any] = []
    if isinstance(given, str):
        parts = [part for part in _SEPARATORS.split(given) if part not in {"", "n/a"}]
    elif isinstance(given, list):
        parts = [x for part in given for x in (part if isinstance(part, list) else [part])]
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        raise DuchenneError(
            f"{where}: coordinates are {given!r}, not numbers such as {_EXAMPLE[5:]}."
        ) from None
    if not np.isfinite(numbers).all():
        raise DuchenneError(f"{where}: coordinates are {given!r}; they must be finite.")
    return numbers


def _corners(shape: str, numbers: list[float]) -> Floats:
    if shape == "polygon":
        if len(numbers) < 6 or len(numbers) % 2:
            raise DuchenneError(
                f"a polygon needs x and y of at least 3 corners, not {len(numbers)} numbers"
            )
        return np.array(numbers).reshape(-1, 2)
    if len(numbers) != 4:
        what = "left top right bottom" if shape == "rect" else "centre x y, half width and height"
        raise DuchenneError(f"{shape} needs 4 numbers ({what}), not {len(numbers)}")
    a, b, c, d = numbers
    if shape == "rect":
        if c <= a or d <= b:
            raise DuchenneError("rect is left top right bottom: right > left, bottom > top")
        return np.array([[a, b], [c, b], [c, d], [a, d]])
    if c <= 0 or d <= 0:
        raise DuchenneError("half width and half height of an ellipse must be above 0")
    turn = 2 * np.pi * np.arange(ELLIPSE_CORNERS) / ELLIPSE_CORNERS
    return np.column_stack([a + c * np.cos(turn), b + d * np.sin(turn)])


def _refuse_mixed(entries: Sequence[AoiEntry]) -> None:
    """Refuse an area that is both drawn and to be found."""
    automatic = [entry for entry in entries if entry.polygon is None]
    for drawn in entries:
        for found in automatic:
            together = drawn.stimulus == found.stimulus or EVERY_STIMULUS in {
                drawn.stimulus,
                found.stimulus,
            }
            if drawn.polygon is not None and together and drawn.name == found.name:
                raise DuchenneError(
                    f"{drawn.where}: {drawn.name} is also found automatically ({found.where}); give "
                    "one of them another name."
                )
