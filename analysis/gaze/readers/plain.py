"""Plain tables: CSV, TSV or Parquet with any column names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.gaze.plain_table import read_plain_recordings
from duchenne.analysis.gaze.readers.base import (
    GazeRecording,
    Head,
    Presentation,
    Reader,
    ReadOptions,
)

if TYPE_CHECKING:
    from pathlib import Path


def recognise(head: Head) -> str | None:
    """Return None: a plain table is what no other reader knows."""
    del head
    return None


def read(path: Path, options: ReadOptions) -> list[GazeRecording]:
    """Read a plain table; columns ``participant``, ``recording`` and ``stimulus`` split it."""
    parts = read_plain_recordings(path, options.columns, options.time_unit or "s")
    return [
        GazeRecording(
            part.times_s,
            part.columns,
            options.position_unit or "normalized",
            part.participant,
            part.recording,
            presentations=tuple(Presentation(*run) for run in part.stimuli),
        )
        for part in parts
    ]


READER = Reader("plain", "a plain table", recognise, read)
