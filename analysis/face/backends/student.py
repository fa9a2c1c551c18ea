"""The ``student`` backend: Action Units from the pixels of the face, by a small network.

``student:FOLDER`` runs another one, that ``duchenne models export`` wrote. ``docs/models/student.md`` says
how the shipped one was made and how far each Action Unit can be trusted.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.backends.pixels import grey_crops, student_inputs
from duchenne.analysis.face.backends.student_model import OWN, STRANGE, read_student
from duchenne.analysis.face.geometry.measures import POSE_UNIT_DEG
from duchenne.analysis.face.geometry.model import turned
from duchenne.analysis.face.landmarks import BLENDSHAPE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duchenne.analysis.face.backends.student_model import StudentModel
    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray, Image

# The first features: whether the neutral face is a stranger's (0 in every frame), the head's pose, gaze.
REFERENCE, POSE, GAZE, N_FIRST = 0, slice(1, 4), slice(4, 6), 6


class StudentBackend:
    """Runs the student on the grey crop of each face; needs ONNX Runtime and nothing of the training.

    Parameters
    ----------
    file : str
        Folder of an exported student; the shipped one where empty.
    model : StudentModel, optional
        Instead of a folder.

    Attributes
    ----------
    resting_threshold : (n_aus,) float64
        What resting faces of persons whose neutral face is not known reach.

    Raises
    ------
    DuchenneError
        When there is no student, or it is not for this backend.
    ModuleNotFoundError
        Without ONNX Runtime.
    """

    name = "student"
    needs_images = True

    def __init__(self, file: str = "", *, model: StudentModel | None = None) -> None:
        if find_spec("onnxruntime") is None:
            raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")
        self._model = model or read_student(Path(file) if file else None)
        self._answers = {kind: self._model.answer(kind) for kind in (OWN, STRANGE)}
        self.au_names: tuple[str, ...] = self._model.units
        rows = self._model.card.get("reliability", {}).get("student", {})
        self.reliability: dict[str, float] = {au: float(row["pcc"]) for au, row in rows.items()}
        resting = self._model.card.get("resting_threshold", {})
        self.resting_threshold: FloatArray = np.array(
            [float(resting.get(au, 0.0)) for au in self.au_names]
        )
        self.feature_names: tuple[str, ...] = (
            "reference_is_a_stranger",
            *("pose_pitch", "pose_yaw", "pose_roll", "gaze_across", "gaze_up"),
            *(f"output_{au}" for au in self.au_names),
        )
        first = np.zeros(N_FIRST)
        first[REFERENCE] = 1.0
        self.typical_neutral: FloatArray = np.concatenate([first, self._model.typical])
        # What the network answers to the median of a recording in which somebody laughs half of the time is
        # no resting face: without a neutral phase its outputs are compared with a typical one.
        places = np.arange(len(self.feature_names))
        self.personal: BoolArray = (places > REFERENCE) & (places < N_FIRST)

    @property
    def card(self) -> Mapping[str, Any]:
        """Return the model card: reliability, how the student was made and calibrated."""
        return self._model.card

    def features(self, frames: FaceFrames) -> FloatArray:
        """Return 0, the head's pose in units of 20 degrees, gaze and the network's outputs: (n, 6 + k).

        NaN where there is no face or no picture, but for the first.

        Raises
        ------
        DuchenneError
            When the network's file is missing or damaged.
        """
        return self.of_crops(frames, *grey_crops(frames))

    def of_crops(
        self, frames: FaceFrames, rows: Sequence[int], crops: Sequence[Image]
    ) -> FloatArray:
        """Return :meth:`features` of frames whose faces, those of ``rows``, are cut out already."""
        card = self._model.card
        pictures = student_inputs(crops, int(card["stored_px"]), int(card["input_px"]))
        return joined(frames, rows, self._model.outputs(pictures))

    def intensities(self, features: FloatArray, neutral: FloatArray) -> FloatArray:
        """Return intensities, 0 to 5, in the order of ``au_names``; NaN where features are NaN."""
        away = features - neutral
        context = turned(away[:, POSE], away[:, GAZE])
        answer = self._answers[OWN if neutral[REFERENCE] < 0.5 else STRANGE]
        return answer(features[:, N_FIRST:], neutral[N_FIRST:], context)


def joined(frames: FaceFrames, rows: Sequence[int], outputs: FloatArray) -> FloatArray:
    """Return the features of a batch from the network's outputs for some of its frames."""
    n = len(frames)
    found = np.full((n, N_FIRST + outputs.shape[1]), np.nan)
    found[:, REFERENCE] = 0.0
    found[:, POSE] = frames.pose_deg / POSE_UNIT_DEG
    found[:, GAZE] = gaze(frames.blendshapes)
    found[list(rows), N_FIRST:] = outputs
    return found


def gaze(blendshapes: FloatArray) -> FloatArray:
    """Return how far the eyes look to the participant's left and up, about −1 to 1: (n, 2)."""
    names = ("eyeLookOutLeft", "eyeLookInRight", "eyeLookInLeft", "eyeLookOutRight")
    left, left_too, right, right_too = (blendshapes[:, BLENDSHAPE_NAMES.index(n)] for n in names)
    up, down = (
        (blendshapes[:, BLENDSHAPE_NAMES.index(f"eyeLook{way}Left")]
         + blendshapes[:, BLENDSHAPE_NAMES.index(f"eyeLook{way}Right")]) / 2
        for way in ("Up", "Down")
    )  # fmt: skip
    return np.column_stack([(left + left_too - right - right_too) / 2, up - down])
