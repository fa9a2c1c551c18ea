"""How alike the scan paths of a study's participants are on each picture (MultiMatch, optional)."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.codebooks import IDENTITY
from duchenne.analysis.gaze.scanpath import MULTIMATCH_MIN_FIXATIONS, multimatch
from duchenne.analysis.study_films import identity_of, of_presentation, shown_of_kind, write_rows
from duchenne.analysis.tables import Column, read_table
from duchenne.analysis.values import number, records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.paths import AnalysisPaths

    Progress = Callable[[str, int, int], None]

MAX_OTHERS = 20
"""Compared with each participant, drawn by chance where there are more: pairs grow with the square."""
_PARTS = ("shape", "direction", "length", "position", "duration")
_MEANINGS = {
    "shape": "difference of the saccades as vectors",
    "direction": "difference of the saccades' directions",
    "length": "difference of the saccades' amplitudes",
    "position": "distance of the fixations",
    "duration": "difference of the fixations' durations",
}

SIMILARITY: dict[str, Column] = (
    IDENTITY
    | {
        "presentation_id": Column("Presentation: the key to the other tables.", kind="string"),
        "stimulus_id": Column("The picture, by its identifier in the manifest.", kind="string"),
        "n_fixations": Column("Fixations on the screen that make the scan path.", kind="integer"),
        "n_others": Column(
            f"Other participants that the scan path was compared with, at most {MAX_OTHERS}, drawn by "
            "chance.",
            kind="integer",
        ),
    }
    | {
        f"multimatch_{part}": Column(
            f"Mean likeness to the others, 0 to 1 (the same): {_MEANINGS[part]} along the two paths.",
            "1",
            kind="number",
        )
        for part in _PARTS
    }
    | {"reason": Column("Why measures are n/a; n/a where they are not.", kind="string")}
)


@dataclass(frozen=True)
class _Path:
    identity: Mapping[str, Any]
    fixations: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    size_px: tuple[int, int]

    @property
    def n(self) -> int:
        return int(self.fixations[0].size)


def multimatch_installed() -> bool:
    """Return whether multimatch-gaze is there (extra ``peers``)."""
    return importlib.util.find_spec("multimatch_gaze") is not None


def write_similarity(
    sessions: Sequence[AnalysisPaths], path: Path, *, progress: Progress | None = None
) -> Path | None:
    """Compare scan paths over participants and write one row per participant and picture.

    Parameters
    ----------
    sessions : sequence of AnalysisPaths
        Sessions whose analysis is complete.
    path : Path
        The ``.tsv`` file. Removed where it cannot be made.
    progress : callable, optional
        Called with the name of the stage, what is done, and how much there is.

    Returns
    -------
    Path or None
        None where multimatch-gaze is not installed, or no picture was shown to two participants.
    """
    tell = progress or (lambda _stage, _done, _total: None)
    pictures: dict[str, dict[str, _Path]] = defaultdict(dict)
    if multimatch_installed():
        for session in sessions:
            for name, person, found in _paths_of(session):
                pictures[name].setdefault(person, found)
    rows: list[dict[str, Any]] = []
    for done, name in enumerate(sorted(pictures)):
        tell("scan paths", done, len(pictures))
        if len(pictures[name]) > 1:
            rows += picture_similarity(list(pictures[name].values()))
    return write_rows(rows, path, SIMILARITY)


def picture_similarity(people: Sequence[_Path]) -> list[dict[str, Any]]:
    """Return one row per participant of one picture."""
    usable = [i for i, person in enumerate(people) if person.n >= MULTIMATCH_MIN_FIXATIONS]
    found: dict[int, list[list[float]]] = defaultdict(list)
    for i, j in pairs(usable):
        # Each in the shape of its own stimulus on the screen; the first one's size makes the scale.
        alike = asdict(multimatch(people[i].fixations, people[j].fixations, people[i].size_px))
        for mine in (i, j):
            found[mine].append([alike[part] for part in _PARTS])
    rows = []
    for i, person in enumerate(people):
        row = dict(person.identity) | {"n_fixations": person.n, "n_others": len(found[i])}
        if found[i]:
            means = np.mean(found[i], axis=0)
            row |= {f"multimatch_{part}": float(m) for part, m in zip(_PARTS, means, strict=True)}
        elif person.n < MULTIMATCH_MIN_FIXATIONS:
            row["reason"] = f"{person.n} fixations; {MULTIMATCH_MIN_FIXATIONS} are needed"
        else:
            row["reason"] = "nobody else has a scan path on the picture"
        rows.append(row)
    return rows


def pairs(people: Sequence[int], seed: int = 0) -> Iterator[tuple[int, int]]:
    """Yield who is compared with whom, each pair once, so that all have nearly as many others."""
    order = np.random.default_rng(seed).permutation(np.asarray(people, dtype=int))
    n = order.size
    if n <= MAX_OTHERS + 1:
        yield from ((int(order[i]), int(order[j])) for i in range(n) for j in range(i + 1, n))
        return
    for i in range(n):
        for step in range(1, MAX_OTHERS // 2 + 1):
            yield int(order[i]), int(order[(i + step) % n])


def _paths_of(session: AnalysisPaths) -> Iterator[tuple[str, str, _Path]]:
    if not session.fixations.is_file():
        return
    fixations = read_table(session.fixations)
    sizes = _sizes(read_table(session.events))
    fixations = fixations[fixations["phase"] == "stimulus"].sort_values("onset")
    for row in shown_of_kind(session, "image"):
        name = row["presentation_id"]
        if name not in sizes:
            continue
        width, height = sizes[name]
        mine = of_presentation(fixations, row, "onset")
        values = tuple(
            mine[column].to_numpy(dtype=np.float64) * scale
            for column, scale in (("x_stim", width), ("y_stim", height), ("duration", 1.0))
        )
        known = np.isfinite(values).all(axis=0)
        path = (values[0][known], values[1][known], values[2][known])
        size = (round(width), round(height))
        yield str(row["stimulus_id"]), str(row["participant"]), _Path(identity_of(row), path, size)


def _sizes(events: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return width and height of each stimulus on the screen, by presentation."""
    sizes = {}
    for row in records(events[events["trial_type"] == "stimulus"]):
        width = number(row.get("stim_right_px")) - number(row.get("stim_left_px"))
        height = number(row.get("stim_bottom_px")) - number(row.get("stim_top_px"))
        if width > 0 and height > 0:
            sizes[str(row["presentation_id"])] = (width, height)
    return sizes
