"""Which pictures stand for the neutral face of a person.

The rule: pictures that are known to be neutral (`Faces.from_neutral` is 0), one of them at a time and never
the shown picture itself while there is another. Who has none is compared with the median, pixel by pixel, of
up to nine pictures: those of the quarter that is nearest to neutral, or some from all over where nothing is
known of that. Who has a single picture is compared with itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.training.prepared import Faces

LARGEST_MEDIAN = 9


class NeutralFaces:
    """The neutral pictures of everybody.

    Parameters
    ----------
    faces : Faces
    """

    def __init__(self, faces: Faces) -> None:
        departure = faces.from_neutral()
        if departure is None:
            departure = np.full(len(faces), np.nan, np.float32)
        self._neutral: dict[str, NDArray[np.intp]] = {}
        self._low: dict[str, NDArray[np.intp]] = {}
        self._subject = faces.subject
        order = np.argsort(faces.subject, kind="stable")
        names, firsts = np.unique(faces.subject[order], return_index=True)
        for name, rows in zip(names.tolist(), np.split(order, firsts[1:]), strict=True):
            self._neutral[name] = rows[departure[rows] == 0]
            self._low[name] = _low(rows, departure[rows])

    def of(self, row: int, rng: np.random.Generator | None = None) -> NDArray[np.intp]:
        """Return the pictures whose median is the neutral face for a shown one.

        Parameters
        ----------
        row : int
            The shown picture.
        rng : Generator, optional
            Draws one of several neutral pictures; the middle one where absent.
        """
        name = str(self._subject[row])
        neutral = self._neutral[name]
        if len(neutral):
            others = neutral[neutral != row]
            some = others if len(others) else neutral
            chosen = len(some) // 2 if rng is None else int(rng.integers(len(some)))
            return some[chosen : chosen + 1]
        return self._low[name]


def _low(rows: NDArray[np.intp], departure: NDArray[np.float32]) -> NDArray[np.intp]:
    known = np.isfinite(departure)
    if known.any():
        ordered = rows[known][np.argsort(departure[known], kind="stable")]
        lowest: NDArray[np.intp] = ordered[: min(max(1, len(ordered) // 4), LARGEST_MEDIAN)]
        return lowest
    spread = np.linspace(0, len(rows) - 1, LARGEST_MEDIAN).astype(np.intp)
    some: NDArray[np.intp] = rows[np.unique(spread)]
    return some
