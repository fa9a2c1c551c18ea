"""Which number in the counterbalancing each participant of a study has: ``allocation.tsv``.

A number is assigned once and kept. Who takes the place of a participant that had to be replaced inherits
the number, and with it the cell of the design.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from duchenne.protocols.counterbalance import participant_number
from duchenne.recorder.study_folder import BYTE_ORDER_MARK, replace_file
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILE_NAME = "allocation.tsv"
COLUMNS = ("participant", "number", "replaces", "assigned_utc")
MISSING = "n/a"


@dataclass(frozen=True)
class Allocation:
    """One row of the table.

    Attributes
    ----------
    participant : str
        Label without ``sub-``.
    number : int
        From 1.
    replaces : str or None
        Whose place was taken.
    assigned_utc : str
        When, ISO 8601.
    """

    participant: str
    number: int
    replaces: str | None = None
    assigned_utc: str = ""


def read_allocations(table: Path) -> tuple[Allocation, ...]:
    """Read the table; empty where there is none.

    Raises
    ------
    DuchenneError
        It cannot be read, lacks a column, or holds what is no number; with the line.
    """
    try:
        content = table.read_bytes() if table.exists() else b""
        text = content.removeprefix(BYTE_ORDER_MARK).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DuchenneError(f"{table}: cannot be read as UTF-8 text ({error})") from None
    rows = list(csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows:
        return ()
    missing = [name for name in COLUMNS[:2] if name not in rows[0]]
    if missing:
        raise DuchenneError(f"{table}:1: no column {missing[0]} (tab-separated)")
    found = []
    for line, cells in enumerate(rows[1:], start=2):
        if any(cell.strip() for cell in cells):
            found.append(_row(dict(zip(rows[0], cells, strict=False)), f"{table}:{line}"))
    return tuple(found)


def _row(cells: dict[str, str], where: str) -> Allocation:
    number = cells.get("number", "").strip()
    if not number.isascii() or not number.isdigit() or int(number) < 1:
        raise DuchenneError(f"{where}: number is {number!r}, not a whole number from 1")
    replaces = cells.get("replaces", MISSING).strip()
    return Allocation(
        cells["participant"].strip().removeprefix("sub-"),
        int(number),
        None if replaces in ("", MISSING) else replaces.removeprefix("sub-"),
        cells.get("assigned_utc", "").strip(),
    )


def allocated(
    allocations: Sequence[Allocation], participant: str, replaces: str | None = None
) -> Allocation:
    """Return the participant's row: the one there is, or a new one.

    A new participant gets the number in the label (7 for ``P07``) where nobody has it, or else the
    smallest one that nobody has.

    Parameters
    ----------
    allocations : sequence of Allocation
        What has been assigned.
    participant : str
    replaces : str, optional
        Whose number to inherit; of a chain of replacements, anyone.

    Raises
    ------
    DuchenneError
        Nobody of that label has a number, the participant has another one already, or the place has
        been taken by somebody else.
    """
    mine = next((row for row in allocations if row.participant == participant), None)
    if replaces is None:
        return mine or Allocation(participant, _free_number(allocations, participant))
    theirs = next((row for row in allocations if row.participant == replaces), None)
    if replaces == participant:
        raise DuchenneError(f"participant {participant} cannot replace itself")
    if theirs is None:
        known = ", ".join(row.participant for row in allocations) or "nobody yet"
        raise DuchenneError(f"--replaces {replaces}: has no number in {FILE_NAME} (it has {known})")
    if mine is not None:
        if mine.replaces == replaces:
            return mine
        raise DuchenneError(
            f"participant {participant} has the number {mine.number} already ({FILE_NAME}); take another "
            "label for who replaces somebody"
        )
    heir = next((row for row in allocations if row.replaces == replaces), None)
    if heir is not None:
        raise DuchenneError(
            f"--replaces {replaces}: {heir.participant} has taken that place; replace {heir.participant}"
        )
    return Allocation(participant, theirs.number, replaces)


def _free_number(allocations: Sequence[Allocation], participant: str) -> int:
    taken = {row.number for row in allocations}
    try:
        wanted = participant_number(participant)
    except DuchenneError:
        wanted = 0
    if wanted and wanted not in taken:
        return wanted
    return next(n for n in range(1, len(taken) + 2) if n not in taken)


def allocate(study: Path, participant: str, replaces: str | None = None) -> Allocation:
    """Return the participant's number, and write it down where it is new.

    Raises
    ------
    DuchenneError
        As `allocated`, or the table cannot be read or written; it is then as it was.
    """
    table = study / FILE_NAME
    before = read_allocations(table)
    row = allocated(before, participant, replaces)
    if row in before:
        return row
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    row = Allocation(row.participant, row.number, row.replaces, now)
    try:
        study.mkdir(parents=True, exist_ok=True)
        content = table.read_bytes() if table.exists() else b""
        if not content.removeprefix(BYTE_ORDER_MARK).strip():
            content = ("\t".join(COLUMNS) + "\n").encode()
        header = content.removeprefix(BYTE_ORDER_MARK).splitlines()[0].decode().split("\t")
        values = {
            "participant": row.participant,
            "number": str(row.number),
            "replaces": row.replaces or MISSING,
            "assigned_utc": row.assigned_utc,
        }
        line = "\t".join(values.get(name.strip(), MISSING) for name in header) + "\n"
        gap = b"" if content.endswith((b"\n", b"\r")) else b"\n"
        replace_file(table, content + gap + line.encode())
    except OSError as error:
        raise DuchenneError(f"{table}: cannot be written ({error})") from None
    return row
