"""How long the disk will last while a session is being recorded."""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duchenne.analysis.console.alarms import Problem, disk_problem

if TYPE_CHECKING:
    from pathlib import Path

GROWTH_WINDOW_S = 30.0
SHORTEST_S = 3.0
ROOM_AGAIN_BYTES = 500e6
TAKES_AGAIN = "disk takes data again"


@dataclass
class DiskWatch:
    """Free room and growth of the journal.

    Parameters
    ----------
    study, journal : Path

    Attributes
    ----------
    free_bytes, bytes_per_s : float
        Room, and by how much the journal grows.
    refusal : str
        What the recorder said where the disk does not take what it writes.
    """

    study: Path
    journal: Path
    free_bytes: float = math.nan
    bytes_per_s: float = 0.0
    refusal: str = ""
    _sizes: list[tuple[float, int]] = field(default_factory=list)

    def measure(self) -> None:
        """Look at both; about once a second."""
        with contextlib.suppress(OSError):
            self.free_bytes = float(shutil.disk_usage(self.study).free)
        size, now_s = self.journal_bytes(), time.monotonic()
        self._sizes = [row for row in self._sizes if row[0] > now_s - GROWTH_WINDOW_S]
        self._sizes.append((now_s, size))
        if (
            self.free_bytes > ROOM_AGAIN_BYTES
            and len(self._sizes) > 1
            and size > self._sizes[-2][1]
        ):
            self.refusal = ""  # somebody has made room, and it is being used
        first_s, first = self._sizes[0]
        if now_s - first_s > SHORTEST_S and size > first:
            self.bytes_per_s = (size - first) / (now_s - first_s)

    def journal_bytes(self) -> int:
        """Return how much has been recorded; the log beside the journal is used again and does not count."""
        with contextlib.suppress(OSError):
            return self.journal.stat().st_size
        return 0

    def hear(self, line: str) -> None:
        """Take in what the recorder told the session."""
        if line.startswith(TAKES_AGAIN):
            self.refusal = ""
        elif line.startswith("disk"):
            self.refusal = line

    def problem(self, remaining_s: float) -> Problem | None:
        """Return what is wrong, where a session goes on for so many seconds (NaN: nobody knows)."""
        if self.refusal:
            return Problem("disk", "alarm", self.refusal)
        return disk_problem(self.free_bytes, self.bytes_per_s, remaining_s)

    def to_json(self, remaining_s: float) -> dict[str, Any]:
        """Return it as pages get it."""
        problem = self.problem(remaining_s)
        return {
            "free_bytes": self.free_bytes,
            "needed_bytes": 2
            * self.bytes_per_s
            * (0.0 if math.isnan(remaining_s) else remaining_s),
            "lasts_s": self.free_bytes / self.bytes_per_s / 2 if self.bytes_per_s > 0 else None,
            "level": "ok"
            if problem is None
            else {"warning": "warn", "alarm": "alarm"}[problem.level],
        }
