"""The ``blendshapes`` backend: a linear map from blendshapes and landmark distances to Action Units.

Each Action Unit is a weighted sum of a few cues, each taken as its difference from the neutral
face, clipped to 0–5::

    AU = clip(Σ weight · (cue − neutral cue), 0, 5)

The rows are in ``blendshape_map.json``; ``docs/reference/action-units.md`` shows and explains them.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.cues import CUE_NAMES, landmark_cues
from duchenne.analysis.face.landmarks import BLENDSHAPE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray

MAX_INTENSITY = 5.0
PITCH = "head_pitch_deg"
_FEATURES = (*BLENDSHAPE_NAMES, *CUE_NAMES, PITCH)
# At rest these differ between persons: distances are a matter of anatomy, and some blendshapes
# follow the shape of brows and lips.
_PERSONAL_BLENDSHAPES = ("brow", "mouthShrug", "mouthPucker", "mouthPress")


class BlendshapeBackend:
    """Documented linear map; needs no pixels, measures both sides of the mouth apart.

    AU12 and AU14 may act on one side only; their intensity is that of the stronger side, as FACS
    scores a unilateral action, and ``AU12L`` … ``AU14R`` give the sides.

    Examples
    --------
    >>> backend = BlendshapeBackend()
    >>> backend.au_names[:3]
    ('AU01', 'AU02', 'AU04')
    """

    name = "blendshapes"
    needs_images = False
    feature_names: tuple[str, ...] = _FEATURES

    def __init__(self) -> None:
        table = json.loads(files(__package__).joinpath("blendshape_map.json").read_text("utf-8"))
        rows: Mapping[str, Mapping[str, float]] = {
            au: row["weights"] for au, row in table["action_units"].items()
        }
        self._sided = tuple(au for au, row in table["action_units"].items() if row["sided"])
        self._whole = tuple(au for au in rows if au not in self._sided)
        weights = {au: _expand(rows[au]) for au in self._whole}
        for au in self._sided:
            weights |= {f"{au}{side}": _expand(rows[au], side) for side in "LR"}
        self._measured = tuple(weights)
        self._weights = np.column_stack(list(weights.values()))
        self.au_names: tuple[str, ...] = (*sorted(rows), *(m for m in weights if m[-1] in "LR"))
        self.reliability: dict[str, float] = {
            au: float(table["action_units"][au[:4]]["pcc_rendered"]) for au in self.au_names
        }
        self.typical_neutral: FloatArray = np.array(
            [table["typical_neutral"].get(name, 0.0) for name in _FEATURES]
        )
        self.personal: BoolArray = np.array([_is_personal(name) for name in _FEATURES])

    def features(self, frames: FaceFrames) -> FloatArray:
        """Return blendshapes, landmark distances and head pitch: (n, 70) float64."""
        return np.column_stack([frames.blendshapes, landmark_cues(frames), frames.pose_deg[:, 0]])

    def intensities(self, features: FloatArray, neutral: FloatArray) -> FloatArray:
        """Return intensities, 0 to 5, in the order of ``au_names``; NaN where features are NaN."""
        measured = np.clip((features - neutral) @ self._weights, 0.0, MAX_INTENSITY)
        columns = dict(zip(self._measured, measured.T, strict=True))
        for au in self._sided:
            columns[au] = np.maximum(columns[f"{au}L"], columns[f"{au}R"])
        return np.column_stack([columns[au] for au in self.au_names])


def _is_personal(feature: str) -> bool:
    if feature in BLENDSHAPE_NAMES:
        return feature.startswith(_PERSONAL_BLENDSHAPES)
    return feature != "lip_gap"


def _expand(weights: Mapping[str, float], side: str | None = None) -> FloatArray:
    """Spread the weights of one row over the features.

    A cue that exists for both sides is their mean, or the named side alone.
    """
    vector = np.zeros(len(_FEATURES))
    for cue, weight in weights.items():
        names = _sided_names(cue, side)
        for name in names:
            vector[_FEATURES.index(name)] += weight / len(names)
    return vector


def _sided_names(cue: str, side: str | None) -> tuple[str, ...]:
    if cue in _FEATURES:
        return (cue,)
    if f"{cue}Left" in _FEATURES:
        names = {"L": f"{cue}Left", "R": f"{cue}Right"}
    else:
        names = {"L": f"{cue}_L", "R": f"{cue}_R"}
    return (names[side],) if side else tuple(names.values())
