"""From the sessions recorded to the presentations counted: what was left out on the way, and why."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.analysis.reports.study_data import excluded
from duchenne.analysis.values import text

if TYPE_CHECKING:
    from duchenne.analysis.reports.study_data import StudyData

_NUMBERS = re.compile(r"(\d+(\.\d+)?) ?% of")


@dataclass(frozen=True)
class Step:
    """One box of the flow.

    Parameters
    ----------
    count : int
    what : str
    left_out : tuple of (int, str)
        What leaves after this step: how many, and why.
    """

    count: int
    what: str
    left_out: tuple[tuple[int, str], ...] = ()


def exclusion_flow(data: StudyData) -> list[Step]:
    """Return the flow from session files to counted presentations.

    A presentation with several reasons is counted once, under all of them together.
    """
    recorded = len(data.sessions) + len(data.not_analyzed)
    tries = sum(not session.counted for session in data.sessions)
    reasons = reasons_of(data)
    used = data.used
    left = [(len(data.not_analyzed), "not analysed")] if data.not_analyzed else []
    left += [(tries, "not in the table of the study (tries)")] if tries else []
    return [
        Step(recorded, "sessions recorded", tuple(left)),
        Step(
            len(data.summary),
            f"presentations in {recorded - len(data.not_analyzed) - tries} sessions",
            tuple((n, why) for why, n in reasons.most_common()),
        ),
        Step(
            len(used),
            f"presentations of {used['participant'].nunique()} participants are used",
        ),
    ]


def reasons_of(data: StudyData) -> Counter[str]:
    """Return how many presentations each reason excludes, values of single presentations left out."""
    rows = data.summary[excluded(data.summary)]
    return Counter(
        general(text(reason) or "no reason given") for reason in rows["exclusion_reason"]
    )


def general(reason: str) -> str:
    """Return a reason without the value of the single presentation, such as ``gaze valid …, less than 50%``.

    Examples
    --------
    >>> general("gaze valid in 31.2% of the stimulus, less than 50%")
    'gaze valid in too little of the stimulus, less than 50%'
    """
    return _NUMBERS.sub("too little of", reason)


def excluded_by_participant(data: StudyData) -> dict[str, tuple[int, int]]:
    """Return how many presentations of each participant are excluded, and of how many."""
    flags = excluded(data.summary)
    found = {}
    for name, rows in data.summary.groupby("participant"):
        found[str(name)] = (int(flags[rows.index].sum()), len(rows))
    return found
