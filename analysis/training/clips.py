"""Films cut into clips of pictures that follow each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.training.prepared import Faces

_NUMBERED = re.compile(r"^(.*?)(\d+)(?:\.[A-Za-z]\w*)?$")
NOTHING = -1
"""Stands for a picture that a clip lacks at its end."""


def film_and_frame(source: str) -> tuple[str, int]:
    """Return the film and the number of the frame of a source such as ``a.mp4#12`` or ``a/0012.png``.

    The last number counts, before the ending of a file; a source without any is a film of one frame.
    """
    found = _NUMBERED.match(source)
    return (found[1], int(found[2])) if found else (source, 0)


def runs(faces: Faces, rows: NDArray[np.intp], largest_gap: float = 5.0) -> list[NDArray[np.intp]]:
    """Return the pictures of each film in the order of their frames, apart where frames are missing.

    Parameters
    ----------
    faces : Faces
        Pictures of one subject whose sources differ in their frame alone are of one film; without sources,
        the pictures of a subject are one film in the order they have.
    rows : (n,) int
        The pictures to look at.
    largest_gap : float
        In usual steps from frame to frame (their median in that film).
    """
    films: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in rows.tolist():
        film, frame = ("", row) if faces.source is None else film_and_frame(str(faces.source[row]))
        films.setdefault((str(faces.subject[row]), film), []).append((frame, row))
    found: list[NDArray[np.intp]] = []
    for pictures in films.values():
        pictures.sort()
        frames, numbers = (np.array(column) for column in zip(*pictures, strict=True))
        steps = np.diff(frames)
        usual = max(float(np.median(steps)), 1.0) if len(steps) else 1.0
        found += np.split(numbers.astype(np.intp), np.flatnonzero(steps > largest_gap * usual) + 1)
    return found


def cut(
    run: NDArray[np.intp], n_frames: int, every: int, *, whole: bool = False
) -> NDArray[np.intp]:
    """Return the clips of a run: (m, n_frames), `NOTHING` after the end of a short one.

    Parameters
    ----------
    run : (n,) int
        Pictures in their order.
    n_frames, every : int
        Pictures in a clip, and from the start of one to the start of the next.
    whole : bool
        Let the last clip begin earlier so that it is full, which shows every picture to the end; otherwise
        what remains at the end of a run that is long enough for a clip is left out.
    """
    if len(run) <= n_frames:
        rest = np.full(n_frames - len(run), NOTHING, np.intp)
        padded: NDArray[np.intp] = np.concatenate([run, rest])[None]
        return padded
    starts = list(range(0, len(run) - n_frames + 1, every))
    if whole and starts[-1] + n_frames < len(run):
        starts.append(len(run) - n_frames)
    return np.stack([run[start : start + n_frames] for start in starts])
