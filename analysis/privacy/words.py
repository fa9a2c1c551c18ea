"""Words of an analysis that are shown to others: without hosts, users and folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.export.private import PrivateNames
from duchenne.analysis.paths import study_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duchenne.recorder.recording import Recording


def shown_notes(recording: Recording, notes: Iterable[str]) -> list[str]:
    """Return notes on a session as a report may show them: paths are reduced to the name of the file.

    Parameters
    ----------
    recording : Recording
    notes : iterable of str
    """
    hosts = {stream.info.hostname for stream in recording.streams.values()}
    names = PrivateNames.of(study_of(recording.path) or recording.path.parent, hosts)
    return [names.clean(str(note)) for note in notes]
