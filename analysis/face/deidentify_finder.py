"""Finds every face in a picture with MediaPipe's detector, small ones in overlapping squares of it."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.model import face_model_path, quiet_native_logs
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from types import TracebackType

    from duchenne.analysis.face.frames import Image

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""

DETECTOR = "face_detector.tflite"
LOW_CONFIDENCE = 0.2
CHECK_CONFIDENCE = 0.3
"""In the original the detector is asked for all that could be a face, in the result for a little less,
as below 0.3 it takes any blot for one. MediaPipe's own default is 0.5."""
TILE_SIDE = 0.625
TILE_CONFIDENCE = 0.5
TILES_EVERY = 3
"""Small faces are looked for in every third frame, with the usual confidence."""


class FaceFinder:
    """Finds all faces, also small ones: in the whole picture and in overlapping squares of it.

    Parameters
    ----------
    confidence : float
        From which something in the whole picture counts as a face; in a square it takes 0.5.
    """

    def __init__(self, confidence: float = LOW_CONFIDENCE) -> None:
        self._confidence = confidence
        self._detector: Any = None
        self._picture: Any = None

    def __enter__(self) -> FaceFinder:
        try:
            import mediapipe as mp  # noqa: PLC0415  (heavy)
            from mediapipe.tasks.python import BaseOptions, vision  # noqa: PLC0415  (heavy)
        except ImportError as error:
            raise DuchenneError(
                "Finding faces needs mediapipe: install it with 'pip install \"duchenne[analysis]\"'."
            ) from error
        with zipfile.ZipFile(face_model_path()) as models:
            model = models.read(DETECTOR)
        options = vision.FaceDetectorOptions(
            base_options=BaseOptions(model_asset_buffer=model),
            min_detection_confidence=self._confidence,
        )
        with quiet_native_logs():
            self._detector = vision.FaceDetector.create_from_options(options)
            self._picture = lambda image: mp.Image(
                image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(image)
            )
            self.find(np.zeros((64, 64, 3), np.uint8))  # the first inference writes messages
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with quiet_native_logs():
            self._detector.close()
        self._detector = None

    def find(self, image: Image, *, tiles: bool = True) -> list[Box]:
        """Return the boxes of all that could be a face.

        Parameters
        ----------
        image : (height, width, 3) uint8 RGB
        tiles : bool
            Look into overlapping squares as well, for faces that are small in the picture.
        """
        if self._detector is None:
            raise RuntimeError("use the finder as a context manager")
        height, width = image.shape[:2]
        boxes = []
        places = _tiles(width, height) if tiles else [(0, 0, width, height)]
        for i, (left, top, right, bottom) in enumerate(places):
            part = image[top:bottom, left:right]
            for found in self._detector.detect(self._picture(part)).detections:
                if i > 0 and found.categories[0].score < TILE_CONFIDENCE:
                    continue
                box = found.bounding_box
                x, y = left + box.origin_x, top + box.origin_y
                boxes.append((float(x), float(y), float(x + box.width), float(y + box.height)))
        return boxes


def with_tiles(index: int) -> bool:
    """Return whether small faces are looked for in a frame."""
    return index % TILES_EVERY == 0


def _tiles(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Return the whole picture and overlapping squares of it: left, top, right, bottom."""
    side = round(TILE_SIDE * min(width, height))
    squares = [
        (x, y, x + side, y + side) for y in _starts(height, side) for x in _starts(width, side)
    ]
    return [(0, 0, width, height), *squares]


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles begin that cover a length and overlap by a fifth at least."""
    n = max(1, int(np.ceil((length - side) / (0.8 * side))) + 1)
    return [round(float(start)) for start in np.linspace(0, length - side, n)]
