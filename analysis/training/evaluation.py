"""One evaluation of one or more systems, as a plain document that becomes JSON, Markdown and a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.training.checkpoint import learnt_from
from duchenne.analysis.training.metrics import differences
from duchenne.analysis.training.published import published_rows
from duchenne.analysis.training.scoring import Figures, images_per_s, is_graded, size_of
from duchenne.analysis.training.splits import Split, same_people
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.analysis.training.metrics import Score
    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.scoring import System

FORMAT = "duchenne-evaluation-1"
BATCHES = (1, 32)


def scored_rows(
    part: str, faces: Faces, splits: Sequence[Split], data: Path
) -> tuple[NDArray[np.intp], list[str]]:
    """Return the rows that every system may be scored on, and what must be told about them.

    Parameters
    ----------
    part : {"test", "all"}
    faces : Faces
    splits : sequence of Split
        Of each system.
    data : Path
        Named in errors.

    Raises
    ------
    DuchenneError
        When nobody of the part is there, or somebody who was learnt from would be scored.
    """
    told_of = {name for split in splits for name in (*split.train, *split.validation)}
    learnt = same_people(told_of, faces.subjects)
    if part == "all":
        known = learnt
        if known:
            raise DuchenneError(
                f"{len(known)} subjects of {data} were learnt from ({', '.join(sorted(known)[:5])} …): "
                "score the test part, or other data."
            )
        return np.arange(len(faces)), []
    tested = same_people((name for split in splits for name in split.test), faces.subjects)
    fair = tested - learnt
    rows = np.flatnonzero(np.isin(faces.subject, sorted(fair)))
    if not len(rows):
        raise DuchenneError(
            f"nobody of the test part is in {data}: score other data with --part all."
        )
    told = []
    if len(fair) < len(tested):
        told.append(
            f"{len(tested) - len(fair)} subjects of one system's test part were learnt from by another: "
            f"the {len(fair)} that nobody learnt from are scored."
        )
    return rows, told


def split_of(system: System) -> Split:
    """Return who was for training, validation and test of a system.

    Whom its teacher or its initial weights learnt from counts as for training.
    """
    train, validation, test = (
        tuple(system.about["split"][name]) for name in ("train", "validation", "test")
    )
    before = learnt_from(system.about) - {*train, *validation, *test}
    return Split((*train, *sorted(before)), validation, test)


def notes(systems: Sequence[System], faces: Faces) -> list[str]:
    """Return what a reader must know: labels that are missing, other alignments, scales."""
    told = []
    for system in systems:
        missing = [
            name
            for name in system.labels
            if name not in faces.names
            or not np.isfinite(faces.truth[:, faces.names.index(name)]).any()
        ]
        if missing:
            told.append(
                f"{system.name}: the faces have no labels {', '.join(missing)}; these are n/a."
            )
        if "imported" in system.about:
            told.append(
                f"{system.name} was imported: whom it learnt from is not known, and may be among these."
            )
        if system.settings.paper_protocol:
            told.append(
                f"{system.name}: its weights were chosen on its test part (paper protocol), so its figures "
                "are too high."
            )
        then = system.about.get("data", {}).get("alignment")
        now = faces.about.get("alignment")
        if then and now and then != now:
            told.append(
                f"{system.name} learnt faces aligned by {then}; these are aligned by {now}."
            )
    kinds = {system.entry.task for system in systems}
    graded = is_graded(faces.truth, faces.names)
    if "occurrence" in kinds and graded:
        told.append(
            "An Action Unit occurs from intensity 2. Of systems that tell occurrence, pcc correlates the "
            "probability with the true intensity; icc, ccc, mae and mse do not exist."
        )
    if "intensity" in kinds:
        told.append(
            "An intensity that was found counts as occurrence from 2 on; auc uses all values."
        )
    return told


def common_labels(systems: Sequence[System], faces: Faces) -> tuple[str, ...]:
    """Return what every system answers and the faces have the truth of, in the order of the first."""
    first = systems[0].labels
    there = {name for i, name in enumerate(faces.names) if np.isfinite(faces.truth[:, i]).any()}
    return tuple(
        name for name in first if name in there and all(name in system.labels for system in systems)
    )


def document(
    systems: Sequence[System],
    found: Sequence[Figures],
    faces: Faces,
    rows: NDArray[np.intp],
    *,
    data: Path,
    part: str,
    n_draws: int,
    told: Sequence[str],
    with_speed: bool,
    folds: Sequence[Figures] = (),
) -> dict[str, Any]:
    """Return the whole evaluation as a plain document; NaN is None in it.

    Parameters
    ----------
    systems : sequence of System
    found : sequence of Figures
        One of each system; of ``folds`` the pooled one.
    faces : Faces
    rows : (n,) int
        What was scored.
    data : Path
    part : str
    n_draws : int
    told : sequence of str
        What a reader must know.
    with_speed : bool
        Measure faces per second.
    folds : sequence of Figures
        Of each part, where the systems were the parts of one.
    """
    over = common_labels(systems, faces)
    names = sorted({system.entry.name for system in systems})
    return {
        "format": FORMAT,
        "data": {
            "folder": data.name,
            "from": faces.about.get("from", ""),
            "alignment": faces.about.get("alignment", ""),
            "data_sha256": faces.digest(),
            "pictures": len(rows),
            "subjects": len(np.unique(faces.subject[rows])),
            "part": part,
            "graded": is_graded(faces.truth, faces.names),
        },
        "draws": n_draws,
        "mean_of": list(over),
        "notes": list(told),
        "systems": [
            _system(system, figures, with_speed=with_speed)
            for system, figures in zip(systems, found, strict=True)
        ],
        "folds": _folds(folds),
        "folds_by_output": _by_output(folds),
        "differences": _differences(systems, found),
        "published": published_rows(names),
    }


def _system(system: System, found: Figures, *, with_speed: bool) -> dict[str, Any]:
    measured = {str(n): images_per_s(system, n) for n in BATCHES} if with_speed else {}
    speed = {n: round(value, 2) for n, value in measured.items() if value is not None}
    return {
        "name": system.name,
        "model": system.entry.name,
        "learns": system.entry.task,
        "labels": list(system.labels),
        "input_px": system.task.px,
        "parameters": size_of(system),
        "images_per_s": speed,
        "epoch": system.about.get("epoch"),
        "trained_on_sha256": system.about.get("data_sha256"),
        "git_revision": system.about.get("git_revision"),
        "landmarks": {name: plain(score) for name, score in found.landmarks.items()},
        "scores": plain_scores(found.scores),
        "heads": plain_scores(found.heads),
        "members": [member.name for member in system.members],
        "missing_in_mean": {m: s.n_missing for m, s in found.scores["mean"].items() if s.n_missing},
    }


def _differences(systems: Sequence[System], found: Sequence[Figures]) -> list[dict[str, Any]]:
    first = (found[0].scores, found[0].drawn)
    return [
        {
            "system": system.name,
            "less": systems[0].name,
            "scores": plain_scores(differences(first, (figures.scores, figures.drawn))),
        }
        for system, figures in zip(systems[1:], found[1:], strict=True)
    ]


def _by_output(folds: Sequence[Figures]) -> dict[str, dict[str, list[float | None]]]:
    """Return of each output and figure its value in each part, and last their mean where all have one."""
    if not folds:
        return {}
    found: dict[str, dict[str, list[float | None]]] = {}
    for name, figures in folds[0].scores.items():
        found[name] = {}
        for metric in figures:
            values = [part.scores[name][metric].value for part in folds]
            found[name][metric] = [_known(v) for v in (*values, float(np.mean(values)))]
    return found


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def _folds(folds: Sequence[Figures]) -> list[dict[str, float | None]]:
    """Return the means of each part, and the mean of the parts as the last."""
    rows = [
        {metric: score.value for metric, score in figures.scores["mean"].items()}
        for figures in folds
    ]
    if not rows:
        return []
    mean = {metric: float(np.mean([row[metric] for row in rows])) for metric in rows[0]}
    return [{m: _known(v) for m, v in row.items()} for row in (*rows, mean)]


def plain_scores(scores: dict[str, dict[str, Score]]) -> dict[str, dict[str, list[float | None]]]:
    """Return every score as a list of value, low and high."""
    return {
        name: {metric: plain(score) for metric, score in row.items()}
        for name, row in scores.items()
    }


def plain(score: Score) -> list[float | None]:
    """Return value, low and high; None where one does not exist."""
    return [
        None if math.isnan(value) else round(value, 6)
        for value in (score.value, score.low, score.high)
    ]
