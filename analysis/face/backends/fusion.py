"""The ``fusion`` backend: shape of the face and pixels together, Action Unit by Action Unit.

Each Action Unit is a weighted sum of what ``geometry`` and ``student`` say, with weights that were fitted
on faces that neither was trained on, and with a dead zone of its own. What pixels add nothing to, and what
they do not measure (the sides of the mouth), is taken from ``geometry``. ``fusion.json`` beside the
student's weights holds the weights and, for each Action Unit, which backend measured it best.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.backends.geometry import GeometryBackend
from duchenne.analysis.face.backends.pixels import grey_crops
from duchenne.analysis.face.backends.student import GAZE, POSE, REFERENCE, StudentBackend
from duchenne.analysis.face.backends.student_model import OWN, SHIPPED
from duchenne.analysis.face.geometry.measures import join_measures
from duchenne.analysis.face.geometry.model import beyond, turned
from duchenne.analysis.face.geometry.texture import REGIONS, contrast, points_in_crop
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray

FORMAT = "duchenne-fusion-1"
TABLE = "fusion.json"
HABITUAL, TYPICAL = "habitual", "typical"
REFERENCES = (OWN, HABITUAL, TYPICAL)
"""Each has weights of its own: without a neutral phase, pixels tell more of a stranger's face than shape."""


class FusionBackend:
    """Combines ``geometry`` and ``student``; measures what ``geometry`` measures.

    Parameters
    ----------
    file : str
        Folder with ``student.json`` and ``fusion.json``; the shipped one where empty.

    Attributes
    ----------
    best : dict of str to str
        For each Action Unit the backend that measured it best on faces that were kept aside.
    resting_threshold : (n_aus,) float64
        What resting faces of persons whose neutral face is not known reach.

    Raises
    ------
    DuchenneError
        When there is no table of weights, or it belongs to another student.
    """

    name = "fusion"
    needs_images = True

    def __init__(self, file: str = "") -> None:
        folder = Path(file) if file else SHIPPED
        self._shape = GeometryBackend()
        self._pixels = StudentBackend(str(folder))
        self.card = read_table(folder / TABLE, self._pixels.card)
        self.au_names: tuple[str, ...] = self._shape.au_names
        rows = self.card["reliability"]
        self.reliability: dict[str, float] = {au: float(row["pcc"]) for au, row in rows.items()}
        self.best: dict[str, str] = dict(self.card["best"])
        resting = self.card.get("resting_threshold", {})
        self.resting_threshold: FloatArray = np.array(
            [float(resting.get(au, 0.0)) for au in self.au_names]
        )
        self._n = len(self._shape.feature_names)
        self.feature_names: tuple[str, ...] = (
            *self._shape.feature_names,
            *(f"pixels_{name}" for name in self._pixels.feature_names),
        )
        self.typical_neutral: FloatArray = np.concatenate(
            [self._shape.typical_neutral, self._pixels.typical_neutral]
        )
        self.personal: BoolArray = np.concatenate([self._shape.personal, self._pixels.personal])
        self._mixes = {kind: _Mix(self.card[kind], self.au_names) for kind in REFERENCES}
        self._places = [
            self._pixels.au_names.index(au) if au in self._pixels.au_names else -1
            for au in self.au_names
        ]

    def features(self, frames: FaceFrames) -> FloatArray:
        """Return the features of both backends, side by side; each face is cut out once for both."""
        rows, crops = grey_crops(frames)
        fine = np.full((len(frames), len(REGIONS)), np.nan)
        for i, crop in zip(rows, crops, strict=True):
            fine[i] = contrast(crop, points_in_crop(frames.landmarks[i]))
        shape = self._shape.mapped(join_measures(frames, fine, self._shape.model.reference))
        return np.column_stack([shape, self._pixels.of_crops(frames, rows, crops)])

    def intensities(self, features: FloatArray, neutral: FloatArray) -> FloatArray:
        """Return intensities, 0 to 5, in the order of ``au_names``; NaN where features are NaN."""
        shape, pixels = features[:, : self._n], features[:, self._n :]
        shape_rest, pixels_rest = neutral[: self._n], neutral[self._n :]
        from_shape = self._shape.intensities(shape, shape_rest)
        from_pixels = self._pixels.intensities(pixels, pixels_rest)
        away = pixels - pixels_rest
        context = turned(away[:, POSE], away[:, GAZE])
        mix = self._mixes[_kind_of(pixels_rest)]
        padded = np.column_stack([from_pixels, np.zeros(len(features))])
        return mix(from_shape, padded[:, self._places], context)


def _kind_of(neutral: FloatArray) -> str:
    """Return which reference a neutral face is; a typical one looks straight ahead."""
    if neutral[REFERENCE] < 0.5:
        return OWN
    return HABITUAL if bool(np.any(neutral[POSE] != 0.0)) else TYPICAL


class _Mix:
    """Weights and dead zones for one reference, in the order of some Action Units."""

    def __init__(self, table: Mapping[str, Any], names: tuple[str, ...]) -> None:
        alone = {"geometry": 1.0, "student": 0.0, "zone": None}
        rows = [table.get(name, alone) for name in names]
        self._shape = np.array([float(row["geometry"]) for row in rows])
        self._pixels = np.array([float(row["student"]) for row in rows])
        self._mixed = np.array([row["zone"] is not None for row in rows])
        zones = [row["zone"] or [0.0] * 7 for row in rows]
        self._zone = np.array(zones, np.float64).T

    def __call__(
        self, from_shape: FloatArray, from_pixels: FloatArray, context: FloatArray
    ) -> FloatArray:
        raw = self._shape * from_shape + self._pixels * from_pixels
        left = beyond(raw, self._zone[0] + context @ self._zone[1:])
        return np.asarray(np.where(self._mixed, left, from_shape), np.float64)


def read_table(path: Path, student: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights of the fusion.

    Parameters
    ----------
    path : Path
        Of ``fusion.json``.
    student : mapping
        Card of the student that they must belong to.

    Raises
    ------
    DuchenneError
        When there are none, or they belong to another student.
    """
    try:
        table: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DuchenneError(
            f"{path} cannot be read ({error}): the fusion needs weights that were fitted with this student; "
            "the backend student runs without."
        ) from error
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise DuchenneError(f"{path} is no table of the format {FORMAT}.")
    if table["student_sha256"] != student["checkpoint_sha256"]:
        raise DuchenneError(f"{path} belongs to another student than the one beside it.")
    return table
