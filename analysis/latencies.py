"""Which latencies of a session contain the unknown one of a device, said in the codebook."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from duchenne.analysis.tables import Codebook, Column
    from duchenne.recorder.recording import Recording

MARKS = ("latency", "time_to_")
"""Parts of the names of columns that count from a stimulus to what a device saw."""
FACE_MARKS = (*MARKS, "_onset_s", "_apex_s", "_peak_s")
FACE_COLUMNS = ("AU", "face_", "expression", "smile")
NOTE = (
    " latency_unknown: how late the device of {stream} stamps its samples was neither declared nor "
    "measured; this value contains it (USB cameras: 36 to 150 ms, different at each start)."
)


def unknown_latencies(recording: Recording, keys: Collection[str | None]) -> tuple[str, ...]:
    """Return those of some streams whose device latency is unknown.

    Parameters
    ----------
    recording : Recording
    keys : collection of str or None
        Names of stream groups that were analysed; None is left out.
    """
    return tuple(key for key in keys if key is not None and not recording.latency_known(key))


def with_latency_notes(
    book: Codebook, *, gaze: str | None = None, face: str | None = None
) -> Mapping[str, Column]:
    """Return a codebook that flags the latencies computed from streams of unknown device latency.

    Parameters
    ----------
    book : mapping of str to Column
    gaze, face : str, optional
        Names of the gaze and of the face stream, where its latency is unknown.
    """
    flagged = dict(book)
    for name, column in book.items():
        of_face = name.startswith(FACE_COLUMNS)
        stream, marks = (face, FACE_MARKS) if of_face else (gaze, MARKS)
        if stream is not None and any(mark in name for mark in marks):
            note = NOTE.format(stream=stream)
            flagged[name] = replace(column, description=column.description + note)
    return flagged
