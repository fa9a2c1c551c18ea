"""Writing a manifest and its codebook, whole or not at all."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.stimulus import COLUMNS, EXPRESSIONS, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "id": {"Description": "Unique name of the stimulus"},
    "file": {"Description": "Path of the file, relative to this folder"},
    "kind": {"Description": "How it is presented", "Levels": list(KINDS)},
    "category": {"Description": "Cell of the design"},
    "sha256": {"Description": "SHA-256 of the file, hexadecimal"},
    "valence": {"Description": "Mean valence, unpleasant to pleasant, on the scale of the norms"},
    "arousal": {"Description": "Mean arousal, calm to excited, on the scale of the norms"},
    "dominance": {
        "Description": "Mean dominance, controlled to in control, on the scale of the norms"
    },
    "norm_min": {"Description": "Lower end of the scale of the norms"},
    "norm_max": {"Description": "Upper end of the scale of the norms"},
    "duration_s": {"Description": "Length of a film or sound", "Units": "s"},
    "width_px": {"Description": "Width", "Units": "pixels"},
    "height_px": {"Description": "Height", "Units": "pixels"},
    "luminance": {
        "Description": "Mean relative luminance of linearised sRGB pixels, 0 to 1; of a film, over its frames"
    },
    "target_expression": {
        "Description": "What the simulated participant shows in response; no claim about people",
        "Levels": list(EXPRESSIONS),
    },
    "media_type": {"Description": "MIME type of the file"},
    "licence": {"Description": "Terms under which the file may be used"},
    "redistributable": {"Description": "Whether it may be shown in what is passed on"},
    "description": {"Description": "What is to be seen or heard"},
    "has_sound": {"Description": "Whether a film has sound", "Levels": {"1": "yes", "0": "no"}},
}


def cell(value: Any) -> str:
    """Return a value as a cell of a manifest: ``n/a`` where unknown, without tabs and line breaks."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "n/a"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(value, ".10g")
    return " ".join(str(value).split()) or "n/a"


def table_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as tab-separated text with a header."""
    lines = ["\t".join(columns)]
    lines += ["\t".join(cell(row.get(name)) for name in columns) for row in rows]
    return "\n".join(lines) + "\n"


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns of a manifest: our own first, then others in order of appearance."""
    others = dict.fromkeys(name for row in rows for name in row)
    return [*COLUMNS, *(name for name in others if name not in COLUMNS)]


def refuse_existing(folder: Path, *, replace: bool) -> None:
    """Refuse a folder that has a manifest, unless it is to be replaced.

    Raises
    ------
    DuchenneError
        There is one.
    """
    if not replace and (folder / "manifest.tsv").exists():
        raise DuchenneError(
            f"{folder / 'manifest.tsv'} exists; add --replace (it is kept as "
            "manifest.tsv.bak) or choose "
            "another --out"
        )


def write_set(folder: Path, rows: Sequence[Mapping[str, Any]], codebook: Mapping[str, Any]) -> Path:
    """Write a manifest and its codebook; what was there is kept as ``.bak``.

    Parameters
    ----------
    folder : Path
        Of the set; made if it is not there.
    rows : sequence of mapping
        One for each stimulus, by column; None and NaN become ``n/a``.
    codebook : mapping
        Its ``StimulusSet`` and the descriptions of columns beyond our own.

    Returns
    -------
    Path
        The manifest.
    """
    columns = columns_of(rows)
    entries = {
        name: codebook.get(name, DESCRIPTIONS.get(name, {"Description": name})) for name in columns
    }
    entries["category"] = _category_entry(entries["category"], rows)
    content = {"StimulusSet": codebook["StimulusSet"], **entries}
    write_manifest(folder, table_text(columns, rows), content)
    return folder / "manifest.tsv"


def write_manifest(folder: Path, table: str, codebook: Mapping[str, Any]) -> None:
    """Put the two files of a set in place, each at once; older ones are kept as ``.bak``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("manifest.json", json.dumps(codebook, indent=2, ensure_ascii=False) + "\n"),
            ("manifest.tsv", table),
        ):
            if (folder / name).is_file():
                keep(folder / name)
            write_text(folder / name, text)
    except OSError as error:
        raise DuchenneError(f"{folder}: cannot be written ({error.strerror})") from None


def keep(path: Path) -> Path:
    """Copy a file to the first free of ``.bak``, ``.bak2``, … and return that."""
    number = 1
    while (backup := path.with_name(f"{path.name}.bak{number if number > 1 else ''}")).exists():
        number += 1
    backup.write_bytes(path.read_bytes())
    return backup


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, making its folder if it is not there.

    Raises
    ------
    DuchenneError
        It cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)
    except OSError as error:
        raise DuchenneError(f"{path}: cannot be written ({error.strerror})") from None


def _category_entry(entry: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Describe the categories that there are, and no others."""
    present = list(dict.fromkeys(str(row["category"]) for row in rows))
    given = dict(entry) if isinstance(entry, dict) else {}
    levels = given.get("Levels")
    if isinstance(levels, dict):
        given["Levels"] = {name: levels.get(name, name) for name in present}
    else:
        given["Levels"] = present
    return given
