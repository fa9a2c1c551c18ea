"""Draws calibration and robustness."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from duchenne.analysis.reports.style import BLUE, MUTED, VERMILLION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.training.curves import Bin

_COLUMNS = 5


def draw_calibration(
    stem: Path,
    name: str,
    curves: Mapping[str, tuple[list[Bin], float]],
    *,
    of_intensity: bool,
) -> None:
    """Draw one small diagram per output: what was found against what was true.

    Parameters
    ----------
    stem : Path
        Gets .png and .svg.
    name : str
        Of the system.
    curves : mapping
        Bins and calibration error of each output.
    of_intensity : bool
        Whether intensities (0 to 5) or probabilities are drawn.
    """
    n_columns = min(_COLUMNS, len(curves))
    n_rows = ceil(len(curves) / n_columns)
    top = 5.0 if of_intensity else 1.0
    figure = Figure(figsize=(1.9 * n_columns + 0.5, 1.9 * n_rows + 0.9), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    for panel in panels.flat[len(curves) :]:
        panel.set_visible(False)
    for panel, (output, (bins, ece)) in zip(panels.flat, curves.items(), strict=False):
        panel.plot([0, top], [0, top], color=MUTED, linewidth=0.8, linestyle=":")
        truth = np.array([b.truth for b in bins])
        found = np.array([b.found for b in bins])
        if of_intensity:
            low, high = ([b.low for b in bins], [b.high for b in bins])
            panel.fill_between(truth, low, high, color=BLUE, alpha=0.2, linewidth=0)
            panel.plot(truth, found, color=BLUE, marker="o", markersize=3)
        else:
            sizes = 6 + 60 * np.array([b.n for b in bins]) / max((b.n for b in bins), default=1)
            panel.plot(found, truth, color=BLUE, linewidth=1)
            panel.scatter(found, truth, s=sizes, color=BLUE, linewidths=0)
        panel.set_title(output if np.isnan(ece) else f"{output}  ECE {ece:.3f}", fontsize=8)
        panel.set_xlim(-0.03 * top, 1.03 * top)
        panel.set_ylim(-0.03 * top, 1.03 * top)
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("true intensity" if of_intensity else "probability", fontsize=9)
    figure.supylabel(
        "found (mean, 10th to 90th percentile)" if of_intensity else "share that occurs", fontsize=9
    )
    figure.suptitle(f"{name}: calibration", fontsize=10)
    _save(figure, stem)


def draw_robustness(stem: Path, title: str, held: pd.DataFrame) -> None:
    """Draw how figures change over the conditions: the mean in bold, every output thin.

    Parameters
    ----------
    stem : Path
        Gets .png and .svg.
    title : str
    held : pandas.DataFrame
        Of `robustness`.
    """
    metrics = [m for m in ("pcc", "mae", "auc") if held[m].notna().any()]
    levels = list(dict.fromkeys(held["condition"]))
    figure = Figure(figsize=(3.3 * len(metrics) + 0.3, 3.2), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    counts = held[held["output"] == "mean"].set_index("condition")["n"]
    for panel, metric in zip(panels, metrics, strict=True):
        for output, part in held.groupby("output"):
            values = part.set_index("condition")[metric].reindex(levels)
            is_mean = output == "mean"
            panel.plot(
                range(len(levels)), values, zorder=3 if is_mean else 1,
                color=VERMILLION if is_mean else MUTED, linewidth=2.2 if is_mean else 0.6,
                marker="o" if is_mean else None, markersize=4, alpha=1 if is_mean else 0.5,
            )  # fmt: skip
        panel.set_title({"pcc": "PCC", "mae": "MAE", "auc": "AUC"}[metric], fontsize=9)
        labels = [f"{level}\n{counts.get(level, 0)}" for level in levels]
        slanted = max(map(len, levels)) > 8 or len(levels) > 6
        panel.set_xticks(
            range(len(levels)), labels, fontsize=7, rotation=45 if slanted else 0,
            ha="right" if slanted else "center",
        )  # fmt: skip
        panel.tick_params(axis="y", labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title}  (mean bold, each output thin; number of pictures below)", fontsize=9)
    _save(figure, stem)


def draw_confusion(stem: Path, title: str, counts: NDArray[np.int64], names: Sequence[str]) -> None:
    """Draw which class was taken for which: shares of each true class, with the number of faces.

    Parameters
    ----------
    stem : Path
        Gets .png and .svg.
    title : str
    counts : (n, n) int64
        True classes in rows.
    names : sequence of str
    """
    n = counts.sum(axis=1, keepdims=True)
    shares = np.where(n > 0, counts / np.maximum(n, 1), np.nan)
    side = 0.62 * len(names) + 1.8
    figure = Figure(figsize=(side + 0.4, side), layout="constrained")
    panel = figure.subplots()
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(shares):
        for j, share in enumerate(row):
            if np.isfinite(share):
                panel.text(
                    j, i, f"{share:.2f}", ha="center", va="center", fontsize=8,
                    color="white" if share > 0.55 else "black",
                )  # fmt: skip
    known = [f"{name} ({int(many)})" for name, many in zip(names, n[:, 0], strict=True)]
    panel.set_yticks(range(len(names)), known, fontsize=8)
    panel.set_xticks(range(len(names)), names, fontsize=8, rotation=45, ha="right")
    panel.set_xlabel("found")
    panel.set_ylabel("true (number of faces)")
    figure.suptitle(title, fontsize=10)
    _save(figure, stem)


def _save(figure: Figure, stem: Path) -> None:
    FigureCanvasAgg(figure)
    for suffix in (".png", ".svg"):
        figure.savefig(stem.with_name(stem.name + suffix), dpi=130)
