"""Draws the sheet of attention maps: one line per output, a face and the map on it side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_FACE_INCH, _STRENGTH = 0.95, 0.65


@dataclass(frozen=True)
class Row:
    """One line of the sheet.

    Parameters
    ----------
    label : str
    pictures : (n, px, px, 3) float32
        0 to 1.
    maps : (n, px, px) float32
        0 to 1.
    truth : (n,) float32
    map_name : str
        What the map is of, where that is not the label.
    """

    label: str
    pictures: NDArray[np.float32]
    maps: NDArray[np.float32]
    truth: NDArray[np.float32]
    map_name: str


def overlaid(pictures: NDArray[np.float32], maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return grey pictures with the maps on them, in colour where they are high: (n, px, px, 3)."""
    grey = pictures.mean(axis=3, keepdims=True).repeat(3, axis=3)
    colour = np.asarray(colormaps["inferno"](maps)[..., :3], np.float32)
    share = _STRENGTH * maps[..., None]
    return np.asarray(grey * (1 - share) + colour * share, np.float32)


def draw_sheet(path: Path, title: str, rows: Sequence[Row]) -> None:
    """Draw the lines one below the other; two columns of them where there are many.

    Parameters
    ----------
    path : Path
        Of a .png.
    title : str
    rows : sequence of Row
    """
    n_faces = max(len(row.pictures) for row in rows)
    n_blocks = 2 if len(rows) > 8 else 1
    per_block = -(-len(rows) // n_blocks)
    columns = n_blocks * 2 * n_faces
    figure = Figure(
        figsize=(_FACE_INCH * columns + 0.9 * n_blocks, (_FACE_INCH + 0.2) * per_block + 0.5),
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(per_block, columns, squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    for number, row in enumerate(rows):
        block, line = divmod(number, per_block)
        shown = overlaid(row.pictures, row.maps)
        for i in range(len(row.pictures)):
            at = 2 * (block * n_faces + i)
            panels[line, at].imshow(row.pictures[i].clip(0, 1))
            panels[line, at + 1].imshow(shown[i].clip(0, 1))
            if np.isfinite(row.truth[i]):
                panels[line, at].set_title(f"{row.truth[i]:.1f}", fontsize=7, pad=2)
            if i == 0:
                text = row.label if row.map_name == row.label else f"{row.label}\n{row.map_name}"
                panels[line, at].text(
                    -0.08, 0.5, text.replace(" (", "\n("), fontsize=7, ha="right", va="center",
                    transform=panels[line, at].transAxes,
                )  # fmt: skip
    figure.suptitle(f"{title}  (true intensity above each face)", fontsize=10)
    figure.savefig(path, dpi=110)
