"""MediaPipe's C library called directly: the same inference without the Python layer around it.

MediaPipe's Python package turns every landmark into an object and loads matplotlib when it is imported;
called directly, start-up takes a second less and each frame a millisecond less. The memory layouts below
are those of the public C headers in the versions named in ``TESTED``; any other version is used through
its Python package.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FloatArray

TESTED = ("1.2.2",)
_IMAGE_MODE, _VIDEO_MODE = 1, 2
_CPU, _PYTHON_HOST = 0, 3
_SRGB = 1
_LIBRARY = {"darwin": "libmediapipe.dylib", "win32": "libmediapipe.dll"}


class _BaseOptions(ctypes.Structure):
    _fields_ = (
        ("model_asset_buffer", ctypes.c_char_p),
        ("model_asset_buffer_count", ctypes.c_uint),
        ("model_asset_path", ctypes.c_char_p),
        ("file_descriptor", ctypes.c_int),
        ("delegate", ctypes.c_int),
        ("host_environment", ctypes.c_int),
        ("host_system", ctypes.c_int),
        ("host_version", ctypes.c_char_p),
        ("ca_bundle_path", ctypes.c_char_p),
        ("app_id", ctypes.c_char_p),
        ("app_version", ctypes.c_char_p),
    )


class _LandmarkerOptions(ctypes.Structure):
    _fields_ = (
        ("base_options", _BaseOptions),
        ("running_mode", ctypes.c_int),
        ("num_faces", ctypes.c_int),
        ("min_face_detection_confidence", ctypes.c_float),
        ("min_face_presence_confidence", ctypes.c_float),
        ("min_tracking_confidence", ctypes.c_float),
        ("output_face_blendshapes", ctypes.c_bool),
        ("output_facial_transformation_matrixes", ctypes.c_bool),
        ("result_callback", ctypes.c_void_p),
    )


class _Landmark(ctypes.Structure):
    _fields_ = (
        ("x", ctypes.c_float),
        ("y", ctypes.c_float),
        ("z", ctypes.c_float),
        ("has_visibility", ctypes.c_bool),
        ("visibility", ctypes.c_float),
        ("has_presence", ctypes.c_bool),
        ("presence", ctypes.c_float),
        ("name", ctypes.c_char_p),
    )


class _Landmarks(ctypes.Structure):
    _fields_ = (("landmarks", ctypes.POINTER(_Landmark)), ("landmarks_count", ctypes.c_uint32))


class _Category(ctypes.Structure):
    _fields_ = (
        ("index", ctypes.c_int),
        ("score", ctypes.c_float),
        ("category_name", ctypes.c_char_p),
        ("display_name", ctypes.c_char_p),
    )


class _Categories(ctypes.Structure):
    _fields_ = (("categories", ctypes.POINTER(_Category)), ("categories_count", ctypes.c_uint32))


class _Matrix(ctypes.Structure):
    _fields_ = (
        ("rows", ctypes.c_uint32),
        ("cols", ctypes.c_uint32),
        ("data", ctypes.POINTER(ctypes.c_float)),
    )


class _LandmarkerResult(ctypes.Structure):
    _fields_ = (
        ("face_landmarks", ctypes.POINTER(_Landmarks)),
        ("face_landmarks_count", ctypes.c_uint32),
        ("face_blendshapes", ctypes.POINTER(_Categories)),
        ("face_blendshapes_count", ctypes.c_uint32),
        ("matrixes", ctypes.POINTER(_Matrix)),
        ("matrixes_count", ctypes.c_uint32),
    )


class _DetectorOptions(ctypes.Structure):
    _fields_ = (
        ("base_options", _BaseOptions),
        ("running_mode", ctypes.c_int),
        ("min_detection_confidence", ctypes.c_float),
        ("min_suppression_threshold", ctypes.c_float),
        ("result_callback", ctypes.c_void_p),
    )


class _Rectangle(ctypes.Structure):
    _fields_ = (
        ("left", ctypes.c_int),
        ("top", ctypes.c_int),
        ("bottom", ctypes.c_int),
        ("right", ctypes.c_int),
    )


class _Detection(ctypes.Structure):
    _fields_ = (
        ("categories", ctypes.POINTER(_Category)),
        ("categories_count", ctypes.c_uint32),
        ("bounding_box", _Rectangle),
        ("keypoints", ctypes.c_void_p),
        ("keypoints_count", ctypes.c_uint32),
    )


class _Detections(ctypes.Structure):
    _fields_ = (("detections", ctypes.POINTER(_Detection)), ("detections_count", ctypes.c_uint32))


@cache
def library() -> Any | None:
    """Return MediaPipe's C library; None where it is absent or of a version that was not tested."""
    try:
        known = version("mediapipe") in TESTED
    except PackageNotFoundError:
        return None
    spec = find_spec("mediapipe")
    if not known or spec is None or not spec.submodule_search_locations:
        return None
    name = _LIBRARY.get(sys.platform, "libmediapipe.so")
    path = Path(spec.submodule_search_locations[0]) / "tasks" / "c" / name
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError:
        return None
    loaded.MpErrorFree.argtypes = [ctypes.c_void_p]
    loaded.MpErrorFree.restype = None
    return loaded


class _Task:
    """One MediaPipe task behind a handle; ``prefix`` names its functions in the library."""

    def __init__(self, prefix: str, options: ctypes.Structure, result: type[Any]) -> None:
        self._lib = library()
        self._prefix = prefix
        self._result = result
        self._handle: ctypes.c_void_p | None = ctypes.c_void_p()
        self._call("Create", ctypes.byref(options), ctypes.byref(self._handle))

    def _call(self, name: str, *arguments: Any) -> None:
        message = ctypes.c_char_p()
        function = getattr(self._lib, f"{self._prefix}{name}")
        if function(*arguments, ctypes.byref(message)) != 0:
            told = (message.value or b"no reason was given").decode("utf-8", "replace")
            _library().MpErrorFree(message)
            raise RuntimeError(f"MediaPipe: {told}")

    def _run(self, name: str, image: NDArray[np.uint8], *arguments: Any) -> Any:
        """Return the result structure of one picture; it must be given back with ``_free``."""
        picture = _image(image)
        result = self._result()
        try:
            self._call(name, self._handle, picture, None, *arguments, ctypes.byref(result))
        finally:
            _library().MpImageFree(picture)
        return result

    def _free(self, result: Any) -> None:
        getattr(self._lib, f"{self._prefix}CloseResult")(ctypes.byref(result))

    def close(self) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            self._call("Close", handle)


class NativeLandmarker(_Task):
    """The FaceLandmarker: landmarks, blendshapes and rotations as arrays.

    Parameters
    ----------
    path : Path
        The model file.
    video : bool
        Track from frame to frame, or treat each picture by itself.
    max_faces : int
        Faces told apart.
    """

    def __init__(self, path: Path, *, video: bool, max_faces: int) -> None:
        self._video = video
        options = _LandmarkerOptions(
            base_options=_base_options(model_asset_path=str(path).encode("utf-8")),
            running_mode=_VIDEO_MODE if video else _IMAGE_MODE,
            num_faces=max_faces,
            min_face_detection_confidence=0.5,
            min_face_presence_confidence=0.5,
            min_tracking_confidence=0.5,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        super().__init__("MpFaceLandmarker", options, _LandmarkerResult)

    def find(
        self, image: NDArray[np.uint8], time_ms: int = 0
    ) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        """Return landmarks (478, 3) in shares of the picture, blendshapes (52,), rotation (3, 3)."""
        if self._video:
            result = self._run("DetectForVideo", image, ctypes.c_int64(time_ms))
        else:
            result = self._run("DetectImage", image)
        try:
            return [_face(result, i) for i in range(result.face_landmarks_count)]
        finally:
            self._free(result)


class NativeDetector(_Task):
    """The short-range face detector, a fifth of the landmarker's cost.

    Parameters
    ----------
    model : bytes
        Content of the model file.
    """

    def __init__(self, model: bytes) -> None:
        options = _DetectorOptions(
            base_options=_base_options(
                model_asset_buffer=model, model_asset_buffer_count=len(model)
            ),
            running_mode=_IMAGE_MODE,
            min_detection_confidence=0.5,
            min_suppression_threshold=0.3,
        )
        super().__init__("MpFaceDetector", options, _Detections)

    def find(self, image: NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
        """Return left, top, right and bottom of each face, in pixels."""
        result = self._run("DetectImage", image)
        try:
            boxes = [result.detections[i].bounding_box for i in range(result.detections_count)]
            return [(box.left, box.top, box.right, box.bottom) for box in boxes]
        finally:
            self._free(result)


def _library() -> Any:
    loaded = library()
    if loaded is None:
        raise RuntimeError("MediaPipe's C library is not here")
    return loaded


def _base_options(**given: Any) -> _BaseOptions:
    return _BaseOptions(file_descriptor=-1, delegate=_CPU, host_environment=_PYTHON_HOST, **given)


def _image(image: NDArray[np.uint8]) -> ctypes.c_void_p:
    image = np.ascontiguousarray(image, np.uint8)
    picture, message = ctypes.c_void_p(), ctypes.c_char_p()
    status = _library().MpImageCreateFromUint8Data(
        _SRGB,
        image.shape[1],
        image.shape[0],
        ctypes.c_void_p(image.ctypes.data),
        image.size,
        ctypes.byref(picture),
        ctypes.byref(message),
    )
    if status != 0:
        _library().MpErrorFree(message)
        raise RuntimeError("MediaPipe took no picture")
    return picture


def _face(result: Any, i: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    points = result.face_landmarks[i]
    n = points.landmarks_count
    words = ctypes.sizeof(_Landmark) // 4
    raw = ctypes.cast(points.landmarks, ctypes.POINTER(ctypes.c_float))
    landmarks = np.ctypeslib.as_array(raw, (n, words))[:, :3].astype(np.float64)
    shapes = result.face_blendshapes[i]
    scores = ctypes.cast(shapes.categories, ctypes.POINTER(ctypes.c_float))
    step = ctypes.sizeof(_Category) // 4
    blendshapes = np.ctypeslib.as_array(scores, (shapes.categories_count, step))[:, 1]
    matrix = result.matrixes[i]
    columns = np.ctypeslib.as_array(matrix.data, (matrix.cols, matrix.rows))
    return landmarks, blendshapes.astype(np.float64), columns.T[:3, :3].astype(np.float64)
