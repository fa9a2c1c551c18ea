"""What readers share: finding parts, numbered pictures, and tables with a sentence where they are damaged."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from duchenne.analysis.face.decode import IMAGE_SUFFIXES, VIDEO_SUFFIXES, frame_count
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell

_NUMBER = re.compile(r"\d+")
_UNIT = re.compile(r"\W*AU[\s_]*0*(\d+)((?:_?[LR])?)\W*", re.IGNORECASE)


def part(source: Path, *names: str) -> Path:
    """Return the first of some folders or files that is there.

    Raises
    ------
    DuchenneError
        When none is, with their names.
    """
    for name in names:
        if (source / name).exists():
            return source / name
    raise DuchenneError(f"{source} has no {' or '.join(names)}: is this part of the data missing?")


def folders(path: Path) -> list[Path]:
    """Return the folders in a folder, by name."""
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))


def images(path: Path, *, below: bool = False) -> list[Path]:
    """Return the pictures in a folder (and below it), by name."""
    found = path.rglob("*") if below else path.iterdir()
    return sorted(p for p in found if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != ".")


def is_film(path: Path) -> bool:
    """Tell whether a name is that of a film."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def numbered(path: Path) -> dict[int, Path]:
    """Return the pictures of a folder by the last number in their names; none where it is not there."""
    if not path.is_dir():
        return {}
    found = {}
    for image in images(path):
        numbers = _NUMBER.findall(image.stem)
        if numbers:
            found[int(numbers[-1])] = image
    return found


def unit(text: str) -> str | None:
    """Return the label of an Action Unit (``AU 6``, ``au06``, ``AU12_L`` → ``AU06``, ``AU12L``), or None."""
    match = _UNIT.fullmatch(text)
    if match is None:
        return None
    return f"AU{int(match[1]):02d}{match[2].strip('_').upper()}"


def unit_of(number: float) -> str:
    """Return the label of an Action Unit's number."""
    return f"AU{int(number):02d}"


def read_table(path: Path, **how: Any) -> pd.DataFrame:
    """Read a table of text, CSV or Excel.

    Raises
    ------
    DuchenneError
        When it is missing, damaged or empty.
    """
    try:
        if path.suffix.lower() in {".xlsx", ".xls"}:
            sheet: pd.DataFrame = pd.read_excel(path, **how)
            return sheet
        table: pd.DataFrame = pd.read_csv(path, **how)
    except FileNotFoundError as error:
        raise DuchenneError(f"there is no {path}: is this part of the data missing?") from error
    except ImportError as error:
        raise DuchenneError(
            f"{path} is an Excel file, and openpyxl (or xlrd, for .xls) is not installed: save it as CSV."
        ) from error
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise DuchenneError(f"{path} cannot be read as a table: {error}") from error
    return table


def read_numbers(path: Path, **how: Any) -> pd.DataFrame:
    """Read a table without headings whose cells are all numbers; an empty file gives an empty table.

    Raises
    ------
    DuchenneError
        When it is missing or a cell is no number.
    """
    if path.is_file() and not path.read_text("utf-8", errors="replace").strip():
        return pd.DataFrame()
    table = read_table(path, header=None, **how)
    try:
        return table.astype(float)
    except ValueError as error:
        raise DuchenneError(f"{path} holds something that is no number: {error}") from error


def read_lines(path: Path) -> list[list[float]]:
    """Read the numbers of each line of a small text file, separated by blanks.

    Raises
    ------
    DuchenneError
        When it is missing or holds something else.
    """
    try:
        lines = [line.split() for line in path.read_text("utf-8").splitlines()]
        return [[float(word) for word in words] for words in lines if words]
    except (OSError, ValueError) as error:
        raise DuchenneError(f"{path} holds something that is no number: {error}") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    DuchenneError
        When it is missing or damaged.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DuchenneError(f"{path} cannot be read: {error}") from error


def known(labels: Mapping[str, float], missing: Iterable[float] = ()) -> dict[str, float]:
    """Return the labels that are known: no NaN, none of the codes for missing."""
    codes = set(missing)
    return {k: float(v) for k, v in labels.items() if not math.isnan(v) and float(v) not in codes}


def frames_of(film: Path, tell: Tell) -> Iterator[int]:
    """Yield the numbers of all frames of a film; none, and tell, where it does not open."""
    n = frame_count(film) if film.is_file() else None
    if not n:
        tell(f"{film.name} is missing or no film")
        return
    yield from range(n)


def column(table: pd.DataFrame, *names: str) -> str | None:
    """Return the heading of a column whatever its case and surrounding blanks, or None."""
    by_name = {str(c).strip().lower(): str(c) for c in table.columns}
    return next((by_name[n.lower()] for n in names if n.lower() in by_name), None)


def need_columns(table: pd.DataFrame, path: Path, *names: str) -> pd.DataFrame:
    """Return the table with these headings, stripped and in lower case.

    Raises
    ------
    DuchenneError
        When one is missing.
    """
    table = table.rename(columns=lambda c: str(c).strip().lower())
    missing = [n for n in names if n not in table.columns]
    if missing:
        raise DuchenneError(
            f"{path} has no column {', '.join(missing)}; it has: {', '.join(map(str, table.columns))}"
        )
    return table
