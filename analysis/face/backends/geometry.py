"""The ``geometry`` backend: landmarks, blendshapes and skin folds through a small trained network.

What is measured is the difference from the person's neutral face; ``docs/models/geometry.md`` says how
the network was made and how far each Action Unit can be trusted.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.geometry.measures import measures
from duchenne.analysis.face.geometry.model import GeometryModel, read_model, turned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray

# The first features: whether the neutral face is a stranger's (0 in every frame), the head's pose,
# gaze, and the smile of both sides.
REFERENCE, POSE, GAZE, SMILE, N_FIRST = 0, slice(1, 4), slice(4, 6), slice(6, 8), 8


class GeometryBackend:
    """Trained estimator; reads pixels around the face, measures both sides of the mouth apart.

    AU12 and AU14 may act on one side only; their intensity is that of the stronger side, and
    ``AU12L`` … ``AU14R`` give the sides, each estimated by itself.

    Parameters
    ----------
    model : GeometryModel, optional
        The model that is shipped where absent.

    Attributes
    ----------
    resting_threshold : (n_aus,) float64
        What resting faces of persons whose neutral face is not known reach.

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
        self._places = [self._model.outputs.index(au) for au in self.au_names]
        resting = self._model.card.get("resting_threshold", {})
        self.resting_threshold: FloatArray = np.array(
            [float(resting.get(au, 0.0)) for au in self.au_names]
        )
        n, n_strange = self._model.map.shape[1], self._model.strange_map.shape[1]
        self._own, self._strange = slice(N_FIRST, N_FIRST + n), slice(N_FIRST + n, None)
        self.feature_names: tuple[str, ...] = (
            "reference_is_a_stranger",
            *("pose_pitch", "pose_yaw", "pose_roll"),
            *("gaze_across", "gaze_up", "smile_L", "smile_R"),
            *(f"feature_{i:03d}" for i in range(n)),
            *(f"strange_{i:03d}" for i in range(n_strange)),
        )
        model = self._model
        self.typical_neutral: FloatArray = np.concatenate(
            [[1.0, 0.0, 0.0, 0.0], model.typical_context, model.typical, model.typical_strange]
        )
        self.personal: BoolArray = np.arange(len(self.feature_names)) > REFERENCE

    @property
    def model(self) -> GeometryModel:
        """Return what was learnt."""
        return self._model

    @property
    def card(self) -> Mapping[str, Any]:
        """Return the model card: reliability, cross-talk, how the model was made."""
        return self._model.card

    def features(self, frames: FaceFrames) -> FloatArray:
        """Return 0, the head's pose in units of 20 degrees, gaze, smile and features: (n, 8 + f + g)."""
        return self.mapped(measures(frames, self._model.reference))

    def mapped(self, rows: FloatArray) -> FloatArray:
        """Return :meth:`features` of faces that are measured already: (n, 8 + f + g)."""
        model = self._model
        maps = (model.context, model.map, model.strange_map)
        return np.column_stack([np.zeros(len(rows)), rows[:, :3], *(rows @ m for m in maps)])

    def intensities(self, features: FloatArray, neutral: FloatArray) -> FloatArray:
        """Return intensities, 0 to 5, in the order of ``au_names``; NaN where features are NaN."""
        model, pose = self._model, features[:, POSE]
        away = features - neutral
        context = turned(away[:, POSE], away[:, GAZE])
        own = away[:, self._own]
        if neutral[REFERENCE] < 0.5:
            found = model.calibrated(np.column_stack([pose, own]), context)
            return found[:, self._places]
        is_habitual = float(np.any(neutral[POSE] != 0.0))
        strange = features[:, self._strange] - model.typical_strange
        known = np.full(len(features), is_habitual)
        raw = model.uncalibrated.raw(np.column_stack([pose, is_habitual * own, strange, known]))
        raw = model.with_smile(raw, features[:, SMILE])
        return model.uncalibrated.answered(raw, context)[:, self._places]


@cache
def _shipped_model() -> GeometryModel:
    return read_model(files(__package__).joinpath("geometry_model.json").read_text("utf-8"))
