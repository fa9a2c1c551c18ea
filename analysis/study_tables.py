"""The tables over all participants that an analysis of a study writes after the sessions.

To add one, append a `StudyTable`. Its function is given the results of the sessions that count (no
pilots), the path of its table, and whom to tell of progress; it returns the path, or None where there is
nothing to write (and then removes what an earlier analysis wrote).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from duchenne.analysis.paths import AnalysisPaths

    Writer = Callable[..., "Path | None"]


@dataclass(frozen=True)
class StudyTable:
    """One table over all participants.

    Attributes
    ----------
    name : str
        Of the file, which is ``NAME.tsv``.
    module, function : str
        Where its writer is; imported on use.
    of_measurement : bool
        It rests on what was measured alone, not on exclusion rules and windows: where only these changed,
        it stays as it is.
    """

    name: str
    module: str
    function: str
    of_measurement: bool = False

    def write(self, sessions: Sequence[AnalysisPaths], path: Path, **options: Any) -> Path | None:
        """Write the table; see the module."""
        from importlib import import_module  # noqa: PLC0415

        writer: Writer = getattr(import_module(self.module), self.function)
        return writer(sessions, path, **options)


STUDY_TABLES: list[StudyTable] = [
    StudyTable(
        "synchrony",
        "duchenne.analysis.gaze.synchrony_study",
        "write_synchrony",
        of_measurement=True,
    ),
    StudyTable(
        "scanpath_similarity",
        "duchenne.analysis.gaze.scanpath_study",
        "write_similarity",
        of_measurement=True,
    ),
    StudyTable(
        "signal_synchrony",
        "duchenne.analysis.crossmodal.synchrony_study",
        "write_signal_synchrony",
        of_measurement=True,
    ),
]
