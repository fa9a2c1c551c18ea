"""Which exclusion rules results were made with, since when, and when they were changed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from duchenne.analysis.exclusions import DEFAULT_TEXT, EXCLUSIONS_FILE, Exclusions, read_exclusions
from duchenne.analysis.tables import replacing, write_json
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOCK_FILE = "exclusions.lock.json"


@dataclass(frozen=True)
class ExclusionsLock:
    """The rules that are in force.

    Attributes
    ----------
    sha256 : str
        Of the rules; see `Exclusions.sha256`.
    locked_utc : str
        When results were first made with any rules; empty where nothing is locked.
    changes : tuple of dict
        ``utc``, ``from_sha256``, ``to_sha256`` of every change since.
    notes : tuple of str
        What there is to tell now, one sentence each.
    """

    sha256: str
    locked_utc: str = ""
    changes: tuple[dict[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return what the provenance of every table holds."""
        about = asdict(self)
        del about["notes"]
        return about | {"changes": [dict(change) for change in self.changes]}


def write_default_exclusions(study: Path, *, replace: bool = False) -> Path:
    """Write ``exclusions.yaml`` with the default rules and what they rest on.

    Raises
    ------
    DuchenneError
        If it is there already (unless `replace`), or cannot be written.
    """
    path = study / EXCLUSIONS_FILE
    if path.exists() and not replace:
        raise DuchenneError(f"{path} is there already: edit it, or move it away first.")
    with replacing(path) as aside:
        aside.write_text(DEFAULT_TEXT, encoding="utf-8")
    return path


def lock_exclusions(
    study: Path, *, now: Callable[[], datetime] | None = None
) -> tuple[Exclusions, ExclusionsLock]:
    """Read the rules of a study and lock them, at its first analysis, by their hash.

    Where the study has no ``exclusions.yaml``, the default rules are written into it. Where the rules
    differ from those that results were made with, that is noted and recorded with its date: they are
    applied all the same.

    Parameters
    ----------
    study : Path
    now : callable, optional
        Gives the present time.

    Raises
    ------
    DuchenneError
        If the rules, or the record of them, cannot be read.
    """
    told: list[str] = []
    path = study / EXCLUSIONS_FILE
    if not path.exists():
        try:
            write_default_exclusions(study)
            told.append(
                f"Wrote {EXCLUSIONS_FILE} with the default exclusion rules: decide on them before you look "
                "at results."
            )
        except DuchenneError as error:
            told.append(f"The default exclusion rules apply: {error}")
    exclusions = read_exclusions(study)
    record = study / LOCK_FILE
    known = _read(record)
    when = (now or _now)().strftime("%Y-%m-%dT%H:%M:%SZ")
    if known is None:
        lock = ExclusionsLock(exclusions.sha256, when)
    elif known.sha256 == exclusions.sha256:
        lock = known
    else:
        change = {"utc": when, "from_sha256": known.sha256, "to_sha256": exclusions.sha256}
        lock = ExclusionsLock(exclusions.sha256, known.locked_utc, (*known.changes, change))
        told.append(
            f"{EXCLUSIONS_FILE} was changed after results were made with other rules (locked "
            f"{known.locked_utc}): the change is recorded in {LOCK_FILE} and in the provenance of every "
            "table. Say so where you report the results."
        )
    if lock != known:
        try:
            write_json(lock.to_dict(), record)
        except DuchenneError as error:
            told.append(f"The exclusion rules could not be locked: {error}")
    return exclusions, ExclusionsLock(lock.sha256, lock.locked_utc, lock.changes, tuple(told))


def known_lock(study: Path | None, exclusions: Exclusions) -> ExclusionsLock:
    """Return what is known of the rules in force, without locking anything."""
    known = None if study is None else _read(study / LOCK_FILE)
    if known is not None and known.sha256 == exclusions.sha256:
        return known
    return ExclusionsLock(exclusions.sha256)


def _read(record: Path) -> ExclusionsLock | None:
    if not record.is_file():
        return None
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        changes = tuple({str(k): str(v) for k, v in c.items()} for c in content["changes"])
        return ExclusionsLock(str(content["sha256"]), str(content["locked_utc"]), changes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DuchenneError(
            f"{record} cannot be read ({error}): it records the exclusion rules in force. Restore it, or "
            "remove it to lock anew."
        ) from error


def _now() -> datetime:
    return datetime.now(timezone.utc)
