"""Scores of held-out faces, and tables of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from au_geometry_faces import OUTPUTS, SIDED, UNITS, Faces, as_frames

from duchenne.analysis.face.agreement import icc_3_1
from duchenne.analysis.face.backends.blendshapes import BlendshapeBackend
from duchenne.analysis.face.quality import DEFAULT_LIMITS

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.face.backends.geometry import GeometryBackend

DISFA = tuple(f"AU{unit:02d}" for unit in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26))
REPORTED = (*(f"AU{u:02d}" for u in UNITS if u not in (16, 22)), *SIDED)
# Where the confidence passes 0.5.
MOST_CLIPPED = sum(DEFAULT_LIMITS.clipped) / 2
MODES = ("own neutral face", "habitual face", "typical face")


@dataclass(frozen=True)
class Held:
    """Held-out faces with the features of one backend: (n, v, f)."""

    backend: Any
    features: np.ndarray
    truth: np.ndarray
    person: np.ndarray
    kind: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray
    clipped: np.ndarray

    def measured(self, mode: str, view: int = 0) -> np.ndarray:
        """Return intensities in the order of ``REPORTED``, each person against the face of the mode.

        NaN in pictures so much over- or underexposed that they are not usable, which do not count for
        the neutral face either.
        """
        columns = [self.backend.au_names.index(au) for au in REPORTED]
        values = np.full((len(self.truth), len(REPORTED)), np.nan)
        typical = self.backend.typical_neutral
        for p in range(self.person.max() + 1):
            rows = np.flatnonzero(self.person == p)
            own = self.features[rows, view]
            fair = self.clipped[rows, view] <= MOST_CLIPPED
            rest = fair & (self.kind[rows] == 0)
            neutral = {
                "own neutral face": np.median(own[rest], axis=0),
                "habitual face": np.where(
                    self.backend.personal, np.median(own[fair], axis=0), typical
                ),
                "typical face": typical,
            }[mode]
            found = self.backend.intensities(own, neutral)[:, columns]
            values[rows] = np.where(fair[:, None], found, np.nan)
        return values


def seen(backend: GeometryBackend, faces: Faces) -> Held:
    """Return faces as the trained backend sees them."""
    raw = faces.measures.astype(np.float64)
    features = np.stack([backend.mapped(raw[:, j]) for j in range(raw.shape[1])], axis=1)
    columns = [OUTPUTS.index(au) for au in REPORTED]
    return Held(
        backend, features, faces.truth[:, columns], faces.person, faces.kind, faces.pose, faces.gaze,
        faces.clipped,
    )  # fmt: skip


def blendshape_held(like: Held, data: Path, split: str, *, first: int = 0, every: int = 1) -> Held:
    """Return the same faces as the blendshape map sees them."""
    backend = BlendshapeBackend()
    rows = []
    for path in sorted(data.glob(f"{split}_*.npz"))[first::every]:
        with np.load(path) as shard:
            names = ("landmarks", "blendshapes", "rotation")
            views = range(shard["landmarks"].shape[1])
            rows.append(
                np.stack(
                    [backend.features(as_frames(*(shard[n][:, j] for n in names))) for j in views],
                    1,
                )
            )
    return replace(like, backend=backend, features=np.concatenate(rows))


def pcc(truth: np.ndarray, values: np.ndarray) -> float:
    """Return Pearson's correlation of what was measured; NaN for a constant."""
    known = np.isfinite(values)
    truth, values = truth[known], values[known]
    if truth.std() == 0 or values.std() == 0:
        return float("nan")
    return float(np.corrcoef(truth, values)[0, 1])


def scores(truth: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Return correlation, ICC and mean absolute errors where the unit is present and absent."""
    known = np.isfinite(values)
    truth, values = truth[known], values[known]
    present = truth >= 0.5
    error = np.abs(values - truth)
    return {
        "pcc": pcc(truth, values),
        "icc": icc_3_1(truth, values),
        "mae_present": float(error[present].mean()) if present.any() else float("nan"),
        "mae_absent": float(error[~present].mean()),
    }


def table(rows: list[list[Any]], head: list[str]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [f"{c:.2f}" if isinstance(c, float) else str(c) for c in row]
        lines.append("| " + " | ".join("–" if c == "nan" else c for c in cells) + " |")
    return "\n".join(lines)
