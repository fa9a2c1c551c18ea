"""Coding sheets for Datavyu (.opf): one column per Action Unit, with one cell over the whole clip.

An ``.opf`` file is a ZIP archive of two texts: ``db``, the spreadsheet (format ``#4``), and ``project``,
a YAML document that names it. The clip is opened by the coder, as the name of the player in a project
differs between systems.
"""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

from duchenne.analysis.face.validation_codes import CODED
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DATABASE, PROJECT = "db", "project"
MADE = (2000, 1, 1, 0, 0, 0)
_COLUMN = re.compile(
    r"^(?P<name>.+?) \((?P<kind>[A-Z]+),(?:true|false),.*?\)(?:-(?P<arguments>.*))?$"
)
_CELL = re.compile(r"^\d+:\d\d:\d\d:\d\d\d,\d+:\d\d:\d\d:\d\d\d,(?P<values>.*)$")


def write_datavyu(path: Path, duration_s: float, au_names: Sequence[str]) -> None:
    """Write an empty coding sheet.

    Parameters
    ----------
    path : Path
        Ends with ``.opf``.
    duration_s : float
    au_names : sequence of str
    """
    lines = ["#4"]
    for name in (CODED, *au_names):
        argument = "yes" if name == CODED else "intensity"
        lines.append(f"{name} (MATRIX,true,)-{argument}|NOMINAL")
        lines.append(f"{_clock(0.0)},{_clock(duration_s)},()")
    project = (
        f"!project\ndbFile: {DATABASE}\nname: {path.stem}\norigpath: ''\n"
        "version: 5\nviewerSettings: []\n"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in ((DATABASE, "\n".join(lines) + "\n"), (PROJECT, project)):
            archive.writestr(zipfile.ZipInfo(name, MADE), text.encode("utf-8"))


def read_datavyu(path: Path) -> dict[str, list[str]]:
    """Return what coders entered: column name to the first value of each cell, empty ones left out.

    Raises
    ------
    DuchenneError
        When the file is no Datavyu project.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            lines = archive.read(DATABASE).decode("utf-8").splitlines()
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, OSError):
        raise DuchenneError(f"{path} cannot be read as a Datavyu file.") from None
    entered: dict[str, list[str]] = {}
    column: list[str] | None = None
    for line in lines:
        cell, heading = _CELL.match(line), _COLUMN.match(line)
        if cell is not None and column is not None:
            value = cell["values"].strip().removeprefix("(").removesuffix(")").split(",")[0]
            if value.strip():
                column.append(value.replace("\\", "").strip())
        elif heading is not None:
            column = entered.setdefault(heading["name"].replace("\\", "").strip(), [])
    return entered


def _clock(seconds: float) -> str:
    total = round(seconds * 1000)
    minutes, milliseconds = divmod(total, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}:{milliseconds % 1000:03d}"
