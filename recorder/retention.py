"""How long a study may be kept: ``retention`` of its ``study.yaml``."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = "retention: {until: 2031-12-31} or retention: {years: 10}"
SHOWN = 5


def retention_warnings(study: Path, today: date | None = None) -> list[str]:
    """Return what has been kept longer than ``study.yaml`` allows, one sentence each.

    Parameters
    ----------
    study : Path
        With ``retention: {until: DATE}`` or ``{years: N}`` (from the day of each recording) in its
        ``study.yaml``; without it there is nothing to warn of.
    today : date, optional
    """
    try:
        content = yaml.safe_load((study / "study.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []
    entry = _entry(content)
    if entry is None:
        return []
    now = today or datetime.now().astimezone().date()
    until, years = _parts(entry)
    if until is None and years is None:
        return [f"{study / 'study.yaml'}: retention cannot be read; write {ENTRY}."]
    found = []
    if until is not None and now > until:
        found.append(
            f"RETENTION: this study was to be kept until {until.isoformat()} (study.yaml). Delete it, "
            "or change the date if your ethics board agreed."
        )
    if years is not None and (old := _older_than(study, years, now)):
        shown = ", ".join(f"sub-{label}" for label in old[:SHOWN])
        more = f" and {len(old) - SHOWN} more" if len(old) > SHOWN else ""
        found.append(
            f"RETENTION: recordings of {shown}{more} are older than {years:g} years (study.yaml): "
            "`duchenne forget LABEL --study STUDY --reason retention` removes a participant."
        )
    return found


def _entry(content: Any) -> Any:
    if not isinstance(content, dict):
        return None
    until = content.get("retention_until")
    return content.get("retention") or (None if until is None else {"until": until})


def _parts(entry: Any) -> tuple[date | None, float | None]:
    if not isinstance(entry, dict):
        return None, None
    until, years = entry.get("until"), entry.get("years")
    if isinstance(until, datetime):
        until = until.date()
    if isinstance(until, str):
        try:
            until = date.fromisoformat(until)
        except ValueError:
            until = None
    if isinstance(years, bool) or not isinstance(years, int | float) or years < 0:
        years = None
    return until if isinstance(until, date) else None, years


def _older_than(study: Path, years: float, today: date) -> list[str]:
    """Return the labels of participants of whom there is a recording older than that."""
    found: set[str] = set()
    for file in sorted((study / "sourcedata").glob("sub-*/ses-*/*_session.h5")):
        day = _day_of(file)
        if day is not None and (today - day).days > years * 365.2425:
            found.add(file.parent.parent.name.removeprefix("sub-"))
    return sorted(found)


def _day_of(file: Path) -> date | None:
    import h5py  # noqa: PLC0415 -- only where a study has a limit

    try:
        with h5py.File(file, "r") as content:
            told = str(content.attrs.get("created_utc", ""))
        return datetime.fromisoformat(told.replace("Z", "+00:00")).date()
    except (OSError, ValueError):
        return None
