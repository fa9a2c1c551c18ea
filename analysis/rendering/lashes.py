"""Lashes and the shade of the lids, from the model's strips of polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.rendering.head import Float32, HeadModel, Int
    from duchenne.analysis.rendering.mesh import Eyes

_LASH_PARTS = ("lashes_l", "lashes_r")
_SHADE_PARTS = ("eye_occl_l", "eye_occl_r")
_STRIP_COLUMNS, _STRIP_ROWS = 2, 6
# The strips lie in this tile of the texture, at this many to its height.
_TILE, _ROWS_PER_TILE = 6.0, 5.85
_LOWER_LID_BELOW = 3.32
_SHADE, _ROOT_AT_0, _ROOT_AT_1 = 1.0, 0.0, 0.3


@dataclass(frozen=True)
class Lashes:
    """Corners of the triangles of the lashes, then those of the shade.

    Parameters
    ----------
    rows : (k,) int32
        Vertices of the head.
    uv : (k, 2) float32
        Along and out of each strip, 0 to 1.
    kind : (k, 2) float32
        0 or 0.3 for lashes whose root is at 0 or 1, 1 for the shade; 1 for the lower lid.
    n_lashes : int
        How many of the corners are of lashes.
    """

    rows: Int
    uv: Float32
    kind: Float32
    n_lashes: int


def lashes_of(head: HeadModel, eyes: Eyes) -> Lashes:
    """Return the lashes of a head; none where the model has none."""
    rows, places, kinds = [], [], []
    for i, part in enumerate((*_LASH_PARTS, *_SHADE_PARTS)):
        corners, uv_corners = head.triangles(part)
        uv = head.uv[uv_corners.ravel()].copy()
        kind = np.full(len(uv), _SHADE, np.float32)
        if part in _LASH_PARTS and len(uv):
            out = np.linalg.norm(head.vertices[corners.ravel()] - eyes.centres[i], axis=1)
            uv, kind = _strips(uv, out)
        rows.append(corners.ravel())
        places.append(uv)
        kinds.append(kind)
    all_rows = np.concatenate(rows).astype(np.int32)
    lower = head.vertices[all_rows, 1] < _LOWER_LID_BELOW
    return Lashes(
        rows=all_rows,
        uv=np.concatenate(places).astype(np.float32),
        kind=np.stack([np.concatenate(kinds), lower], axis=1).astype(np.float32),
        n_lashes=len(rows[0]) + len(rows[1]),
    )


def _strips(uv: Float32, out: NDArray[np.float64]) -> tuple[Float32, Float32]:
    """Scale each strip to 0 to 1, and find on which of its sides the roots are."""
    column = (uv[:, 0] - _TILE > 0.5).astype(int)
    row = (uv[:, 1] * _ROWS_PER_TILE).astype(int).clip(0, _STRIP_ROWS - 1)
    scaled, kind = uv.copy(), np.zeros(len(uv), np.float32)
    for strip in range(_STRIP_COLUMNS * _STRIP_ROWS):
        own = (column == strip // _STRIP_ROWS) & (row == strip % _STRIP_ROWS)
        if own.sum() > 3:
            low, high = uv[own].min(axis=0), uv[own].max(axis=0)
            scaled[own] = (uv[own] - low) / (high - low + 1e-9)
            grows_out = np.corrcoef(scaled[own, 1], out[own])[0, 1] > 0
            kind[own] = _ROOT_AT_0 if grows_out else _ROOT_AT_1
    return scaled, kind
