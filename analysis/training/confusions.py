"""What is taken for what: classes of expression, and quadrants of valence and arousal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.training.datasets.base import EXPRESSIONS
from duchenne.analysis.training.scoring import truth_of
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.scoring import Answered, System


def confused(truth: NDArray[np.int64], found: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return how often each class was taken for each: (n, n), true classes in rows.

    Parameters
    ----------
    truth, found : (m,) int64
        Classes; negative ones are left out.
    n : int
        Classes that there are.
    """
    known = (truth >= 0) & (found >= 0)
    counts = np.bincount(truth[known] * n + found[known], minlength=n * n)
    return counts.reshape(n, n).astype(np.int64)


def write_confusion(
    folder: Path, system: System, answer: Answered, faces: Faces, rows: NDArray[np.intp]
) -> None:
    """Write which class, or which quadrant of valence and arousal, was taken for which.

    Parameters
    ----------
    folder : Path
        Gets ``NAME-classes`` or ``NAME-quadrants`` (of systems of affect that tell classes too, both), each
        .png, .svg and .tsv.
    system : System
    answer : Answered
    faces : Faces
        May say the names of the classes.
    rows : (n,) int
        Of the faces that were asked about.

    Raises
    ------
    DuchenneError
        When the folder cannot be written.
    """
    from duchenne.analysis.affect.quadrants import LABELS, quadrant_numbers  # noqa: PLC0415

    truth = truth_of(system.labels, faces)[rows]
    if system.entry.task == "affect":
        pair = [system.labels.index(name) for name in ("valence", "arousal")]
        true, said = (quadrant_numbers(*values[:, pair].T) for values in (truth, answer.values))
        _write(folder, system.name, "quadrants", confused(true, said, len(LABELS)), LABELS)
    if "expression" in answer.heads and "expression" in faces.names:
        shown = faces.truth[rows, faces.names.index("expression")]
        true = np.where(np.isfinite(shown), np.nan_to_num(shown), -1).astype(np.int64)
        said = answer.heads["expression"].argmax(axis=1).astype(np.int64)
        if (true >= 0).any():
            names = _class_names(faces, int(max(true.max(initial=0), said.max(initial=0))) + 1)
            _write(folder, system.name, "classes", confused(true, said, len(names)), names)


def _class_names(faces: Faces, n: int) -> tuple[str, ...]:
    known = tuple(faces.about.get("classes") or EXPRESSIONS)
    return known[:n] if len(known) >= n else tuple(map(str, range(n)))


def _write(
    folder: Path, system: str, kind: str, counts: NDArray[np.int64], names: tuple[str, ...]
) -> None:
    from duchenne.analysis.training.curve_figures import draw_confusion  # noqa: PLC0415

    stem = folder / f"{system}-{kind}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame(counts, index=pd.Index(names, name="true"), columns=list(names))
        table.to_csv(f"{stem}.tsv", sep="\t")
        draw_confusion(stem, f"{system}: {kind}", counts, names)
    except OSError as error:
        raise DuchenneError(f"{folder} cannot be written ({error.strerror or error}).") from error
