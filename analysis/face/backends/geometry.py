"""The ``geometry`` backend: landmarks, blendshapes and skin folds through a small trained network.

What is measured is the difference from the person's neutral face; ``docs/models/geometry.md`` says how
the network was made and how far each Action Unit can be trusted.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.geometry.measures import measures
from duchenne.analysis.face.geometry.model import GeometryModel, read_model

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray

_SIDED = ("AU12", "AU14")
# The first features: whether the neutral face is a stranger's (0 in every frame), and the head's pose.
REFERENCE, POSE = 0, slice(1, 4)
MAX_INTENSITY = 5.0


class GeometryBackend:
    """Trained estimator; reads pixels around the face, measures both sides of the mouth apart.

    AU12 and AU14 may act on one side only; their intensity is that of the stronger side, and
    ``AU12L`` … ``AU14R`` give the sides.

    Parameters
    ----------
    model : GeometryModel, optional
        The model that is shipped where absent.

    Examples
    --------
    >>> backend = GeometryBackend()
    >>> backend.au_names[:3]
    ('AU01', 'AU02', 'AU04')
    """

    name = "geometry"
    needs_images = True

    def __init__(self, model: GeometryModel | None = None) -> None:
        self._model = _shipped_model() if model is None else model
        self.au_names: tuple[str, ...] = tuple(self._model.card["reliability"])
        self.reliability: dict[str, float] = {
            au: float(row["pcc"]) for au, row in self._model.card["reliability"].items()
        }
        n = self._model.map.shape[1]
        self.feature_names: tuple[str, ...] = (
            "reference_is_a_stranger",
            *("pose_pitch", "pose_yaw", "pose_roll"),
            *(f"feature_{i:03d}" for i in range(n)),
        )
        self.typical_neutral: FloatArray = np.concatenate(
            [[1.0, 0.0, 0.0, 0.0], self._model.typical]
        )
        self.personal: BoolArray = np.arange(4 + n) > REFERENCE

    def features(self, frames: FaceFrames) -> FloatArray:
        """Return 0, the head's pose in units of 20 degrees, and the mapped measures: (n, 4 + f)."""
        raw = measures(frames, self._model.reference)
        return np.column_stack([np.zeros(len(raw)), raw[:, :3], raw @ self._model.map])

    def intensities(self, features: FloatArray, neutral: FloatArray) -> FloatArray:
        """Return intensities, 0 to 5, in the order of ``au_names``; NaN where features are NaN."""
        values = dict(zip(self._model.outputs, self._outputs(features, neutral).T, strict=True))
        for au in _SIDED:
            values[au] = np.maximum(values[f"{au}L"], values[f"{au}R"])
        return np.column_stack([values[au] for au in self.au_names])

    def _outputs(self, features: FloatArray, neutral: FloatArray) -> FloatArray:
        model = self._model
        own = features[:, 4:] - neutral[4:]
        if neutral[REFERENCE] < 0.5:
            return model.calibrated(np.column_stack([features[:, POSE], own]))
        is_habitual = float(np.any(neutral[POSE] != 0.0))
        return model.uncalibrated(
            np.column_stack(
                [
                    features[:, POSE],
                    own,
                    features[:, 4:] - model.typical,
                    np.full(len(features), is_habitual),
                ]
            )
        )


@cache
def _shipped_model() -> GeometryModel:
    return read_model(files(__package__).joinpath("geometry_model.json").read_text("utf-8"))
