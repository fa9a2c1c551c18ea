"""What is taken for what: classes of expression, and quadrants of valence and arousal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.analysis.training.metrics import Floats
    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.scoring import System


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
    folder: Path, system: System, truth: Floats, found: Floats, faces: Faces
) -> None:
    """Write which class, or which quadrant of valence and arousal, was taken for which.

    Parameters
    ----------
    folder : Path
        Gets ``NAME-classes`` or ``NAME-quadrants``, each .png, .svg and .tsv.
    system : System
    truth, found : (n, k) float64
    faces : Faces
        May say the names of the classes.

    Raises
    ------
    DuchenneError
        When the folder cannot be written.
    """
    from duchenne.analysis.affect.quadrants import LABELS, quadrant_numbers  # noqa: PLC0415
    from duchenne.analysis.training.curve_figures import draw_confusion  # noqa: PLC0415
    from duchenne.analysis.training.datasets.base import EXPRESSIONS  # noqa: PLC0415

    if system.entry.task == "affect":
        names: tuple[str, ...] = LABELS
        kind = "quadrants"
        pair = [system.labels.index(name) for name in ("valence", "arousal")]
        true, said = (quadrant_numbers(*values[:, pair].T) for values in (truth, found))
    else:
        kind = "classes"
        true = np.where(np.isfinite(truth[:, 0]), np.nan_to_num(truth[:, 0]), -1).astype(np.int64)
        said = found[:, 0].astype(np.int64)
        n = int(max(true.max(initial=0), said.max(initial=0))) + 1
        known = tuple(faces.about.get("classes") or EXPRESSIONS)
        names = known[:n] if len(known) >= n else tuple(map(str, range(n)))
    counts = confused(true, said, len(names))
    stem = folder / f"{system.name}-{kind}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame(counts, index=pd.Index(names, name="true"), columns=list(names))
        table.to_csv(stem.with_suffix(".tsv"), sep="\t")
        draw_confusion(stem, f"{system.name}: {kind}", counts, names)
    except OSError as error:
        raise DuchenneError(f"{folder} cannot be written ({error.strerror or error}).") from error
