"""What tables over a study's participants share: who saw which film, who can be measured, the file.

`duchenne.analysis.study_tables` says which tables there are.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import pandas as pd

from duchenne.analysis.codebooks import IDENTITY
from duchenne.analysis.tables import read_table, remove_table, write_table
from duchenne.analysis.values import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from duchenne.analysis.paths import AnalysisPaths
    from duchenne.analysis.tables import Column

    Floats = NDArray[np.float64]
    Progress = Callable[[str, int, int], None]

GRID_HZ = 25.0
MIN_PARTICIPANTS = 3
ROUNDED_S = 1e-6
"""Tables hold times to the microsecond."""
MIN_KNOWN = 0.5
"""Least share of a film with a signal for a participant to be measured and to be among the others."""


class OfSomebody(Protocol):
    """What was measured of one presentation to one participant."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """``participant session task run presentation_id stimulus_id``."""


V = TypeVar("V", bound=OfSomebody)


@dataclass(frozen=True)
class Usable:
    """Which participants of a film can be measured, and among whom.

    Attributes
    ----------
    share : ndarray, shape (people,)
        Of the film, with a signal; 0 where the film has no length.
    who : ndarray of int
        Those with enough of it.
    """

    share: Floats
    who: NDArray[np.intp]

    @classmethod
    def of(cls, known: NDArray[np.bool_]) -> Usable:
        """Judge by what is known; people by samples of the film."""
        share = known.mean(axis=1) if known.shape[1] else np.zeros(len(known))
        return cls(share, np.flatnonzero(share >= MIN_KNOWN))

    @property
    def enough(self) -> bool:
        """Whether there are enough people to compare with each other."""
        return self.who.size >= MIN_PARTICIPANTS

    def n_others(self, person: int) -> int:
        """Return how many others can be compared with."""
        return int(np.count_nonzero(self.who != person))

    def reason_against(self, person: int, measured: str, signal: str) -> str:
        """Return why a person cannot be measured, empty where that is possible.

        Parameters
        ----------
        person : int
        measured, signal : str
            How the two reasons call it, such as "gaze" and "usable gaze".
        """
        if self.share[person] < MIN_KNOWN:
            return f"{measured} in {100 * self.share[person]:.0f}% of the film, less than 50%"
        if not self.enough:
            n = self.who.size
            seen = "1 participant" if n == 1 else f"{n} participants"
            return f"{seen} with {signal}; {MIN_PARTICIPANTS} are needed"
        return ""


def shown_of_kind(session: AnalysisPaths, kind: str) -> list[dict[str, Any]]:
    """Return the rows of a session's summary whose stimulus is of a kind, such as ``video``."""
    return [row for row in records(read_table(session.summary)) if row.get("kind") == kind]


def identity_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return who was shown what: the columns that a table over participants begins with."""
    return {name: row.get(name) for name in (*IDENTITY, "presentation_id", "stimulus_id")}


def of_presentation(
    table: pd.DataFrame, row: Mapping[str, Any], time_column: str = "time"
) -> pd.DataFrame:
    """Return the rows of a table from the onset of a presentation to its end.

    Where a stimulus was interrupted and shown again under the same identifier, those of the other attempt are
    not among them.

    Parameters
    ----------
    table : pandas.DataFrame
        With ``presentation_id`` and a time.
    row : mapping
        Of the summary: ``presentation_id onset duration``.
    time_column : str
    """
    times = table[time_column].to_numpy(np.float64)
    onset = float(row["onset"]) - ROUNDED_S
    inside = (times >= onset) & (times < onset + float(row["duration"]))
    inside &= (table["presentation_id"] == row["presentation_id"]).to_numpy(np.bool_)
    return table.loc[inside]


def rows_of_films(
    sessions: Sequence[AnalysisPaths],
    viewings_of: Callable[[AnalysisPaths], Iterable[V]],
    measured: Callable[[Sequence[V]], list[dict[str, Any]]],
    progress: Progress | None,
) -> list[dict[str, Any]]:
    """Return the rows of all films, by the name of the film.

    Parameters
    ----------
    sessions : sequence of AnalysisPaths
    viewings_of : callable
        Returns what is needed of the films of a session.
    measured : callable
        Returns the rows of a film, given what is needed of each presentation of it.
    progress : callable or None
        Called with ``synchrony``, what is done, and how much there is.
    """
    tell = progress or (lambda _stage, _done, _total: None)
    films: dict[str, list[V]] = defaultdict(list)
    for done, session in enumerate(sessions):
        tell("synchrony", done, len(sessions))
        for viewing in viewings_of(session):
            films[str(viewing.identity["stimulus_id"])].append(viewing)
    rows: list[dict[str, Any]] = []
    for done, name in enumerate(sorted(films)):
        tell("synchrony", done, len(films))
        rows += measured(films.pop(name))
    return rows


def first_of_each(viewings: Sequence[V]) -> list[V]:
    """Return the first presentation to each participant."""
    first: dict[str, V] = {}
    for viewing in viewings:
        first.setdefault(str(viewing.identity["participant"]), viewing)
    return list(first.values())


def standardised(traces: ArrayLike) -> Floats:
    """Return each row less its mean, in its standard deviations; NaN where it does not vary."""
    values = np.asarray(traces, dtype=np.float64)
    known = np.isfinite(values)
    n = np.maximum(known.sum(axis=1, keepdims=True), 1)
    centred = values - np.where(known, values, 0.0).sum(axis=1, keepdims=True) / n
    spread = np.sqrt((np.where(known, centred, 0.0) ** 2).sum(axis=1, keepdims=True) / n)
    return np.asarray(centred / np.where(spread > 0, spread, np.nan))


def write_rows(
    rows: Sequence[Mapping[str, Any]], path: Path, codebook: Mapping[str, Column]
) -> Path | None:
    """Write a table with the columns of its codebook; without rows, remove it and return None."""
    if not rows:
        remove_table(path)
        return None
    return write_table(pd.DataFrame(rows).reindex(columns=list(codebook)), path, codebook)
