"""Face tracking with MediaPipe's FaceLandmarker: 478 landmarks, 52 blendshapes and the head's pose.

Pose signs, as written to every table: pitch is positive when the face looks up, yaw is positive
when it turns to the participant's own left (the right of an unmirrored image), roll is positive
when the head tilts towards the participant's own right shoulder (the crown moves to the left of the
image). All are zero for MediaPipe's canonical face looking straight into the camera; the resting
pitch of a person differs from zero by a few degrees.

References
----------
Grishchenko et al. (2020), Attention Mesh: High-fidelity face mesh prediction in real-time.
Grishchenko et al. (2022), Blendshapes GHUM: real-time monocular facial blendshape prediction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.frames import (
    N_BLENDSHAPES,
    N_LANDMARKS,
    FaceFrames,
    FloatArray,
    Image,
)
from duchenne.analysis.face.model import create_landmarker, face_model_path, quiet_native_logs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = ["BLENDSHAPE_NAMES", "FaceTracker", "face_model_path", "pose_from_rotation"]

# fmt: off
BLENDSHAPE_NAMES: tuple[str, ...] = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft",
    "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft",
    "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen",
    "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)
# fmt: on

_NO_FACE = (
    np.full((N_LANDMARKS, 3), np.nan),
    np.full(N_BLENDSHAPES, np.nan),
    np.full((3, 3), np.nan),
)

# The landmark model works on 256 px; a larger picture costs time and brings nothing.
MAX_SIDE_PX = 1920
# Bystanders are looked for this often, and at most this many faces are told apart.
SCAN_S = 0.5
MAX_FACES = 4
# A face that jumps by more than this share of its own size between frames is another face.
MAX_JUMP = 1.0
# After this long without the followed face, the largest face is taken again.
FORGET_S = 2.0
# A bystander is blackened with this much of the face's size around the middle of the face.
COVER = 0.8


def pose_from_rotation(rotation: FloatArray) -> FloatArray:
    """Return pitch, yaw and roll of the head in degrees, with the signs of this module.

    Parameters
    ----------
    rotation : (n, 3, 3) float64
        Head to camera coordinates (x to the image's right, y up, z towards the camera). The head is
        turned first about its own vertical axis (yaw), then pitch, then roll.

    Returns
    -------
    (n, 3) float64
        Pitch (-90 to 90), yaw and roll (-180 to 180); NaN where the rotation is NaN.
    """
    pitch = -np.arcsin(np.clip(-rotation[:, 1, 2], -1.0, 1.0))
    yaw = np.arctan2(rotation[:, 0, 2], rotation[:, 2, 2])
    roll = np.arctan2(rotation[:, 1, 0], rotation[:, 1, 1])
    return np.asarray(np.degrees(np.column_stack([pitch, yaw, roll])), np.float64)


class FaceTracker:
    """Follows the participant's face through the frames of one video.

    The participant is the largest face when tracking begins, and then the face that continues from
    frame to frame; after two seconds without it, the largest face is taken again. MediaPipe
    smooths landmarks only when it tracks a single face (their jitter is a quarter), so that it is
    given one: all faces are looked for twice a second, and those of bystanders are blackened.

    Parameters
    ----------
    still : bool, default False
        Treat each frame as a picture of its own (no tracking, largest face).

    Examples
    --------
    >>> with FaceTracker() as tracker:                                        # doctest: +SKIP
    ...     faces = tracker.track([(0, 0.0, image)])
    """

    def __init__(self, *, still: bool = False) -> None:
        self._still = still
        self._scanner: Any = None
        self._tracker: Any = None
        self._warm = False
        self._clock = _RunningClock()
        self._last_ms = -1
        self._next_scan_s = -np.inf
        self._bystanders: list[FloatArray] = []
        self._last_box: FloatArray | None = None
        self._last_seen_s = -np.inf

    def __enter__(self) -> FaceTracker:
        path = face_model_path()
        self._scanner = create_landmarker(path, video=False, max_faces=MAX_FACES)
        if not self._still:
            self._tracker = create_landmarker(path, video=True, max_faces=1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with quiet_native_logs():
            for task in (self._scanner, self._tracker):
                if task is not None:
                    task.close()
        self._scanner = self._tracker = None

    def track(
        self, frames: Iterable[tuple[int, float, Image | None]], *, keep_images: bool = False
    ) -> FaceFrames:
        """Find the participant's face in consecutive frames.

        Parameters
        ----------
        frames : iterable of (frame index, time in seconds, (height, width, 3) uint8 RGB or None)
            None stands for a frame that could not be decoded. Where time goes back (a camera's clock
            was set), tracking goes on as if it had not.
        keep_images : bool, default False
            Keep the pictures, for backends that read pixels.

        Returns
        -------
        FaceFrames
            NaN where no face was found.
        """
        places: list[tuple[int, float]] = []
        sizes: list[tuple[float, float]] = []
        found: list[tuple[FloatArray, FloatArray, FloatArray]] = []
        images: list[Image | None] = []
        for index, time_s, image in frames:
            places.append((index, time_s))
            sizes.append(
                (image.shape[1], image.shape[0]) if image is not None else (np.nan, np.nan)
            )
            running_s = self._clock.at(time_s)
            face = None if image is None else self._face(image, running_s)
            found.append(face or _NO_FACE)
            images.append(image if keep_images else None)
        n = len(places)
        rotation = np.array([face[2] for face in found]).reshape(n, 3, 3)
        return FaceFrames(
            frame=np.array([index for index, _ in places], np.int64),
            time_s=np.array([time_s for _, time_s in places], np.float64),
            size_px=np.array(sizes, np.float64).reshape(n, 2),
            landmarks=np.array([face[0] for face in found]).reshape(n, N_LANDMARKS, 3),
            blendshapes=np.array([face[1] for face in found]).reshape(n, N_BLENDSHAPES),
            rotation=rotation,
            pose_deg=pose_from_rotation(rotation),
            images=images,
        )

    def _face(
        self, image: Image, time_s: float
    ) -> tuple[FloatArray, FloatArray, FloatArray] | None:
        """Return landmarks in pixels, blendshapes and rotation of the participant's face."""
        if self._scanner is None:
            raise RuntimeError("use the tracker as a context manager")
        fitted = _fit(image)
        if not self._warm:
            with quiet_native_logs():  # the first inference of each task writes messages
                self._scan(fitted, time_s)
                found = self._find(fitted, time_s)
            self._warm = True
        else:
            if time_s >= self._next_scan_s and not self._still:
                self._scan(fitted, time_s)
            found = self._find(fitted, time_s)
        if found is None:
            return None
        result, choice = found
        width, height = image.shape[1], image.shape[0]
        return (
            _points(result.face_landmarks[choice]) * [width, height, width],
            np.array([shape.score for shape in result.face_blendshapes[choice]], np.float64),
            np.asarray(result.facial_transformation_matrixes[choice], np.float64)[:3, :3],
        )

    def _find(self, image: NDArray[np.uint8], time_s: float) -> tuple[Any, int] | None:
        if self._still:
            result = self._scanner.detect(_picture(image))
            boxes = _boxes(result, image)
            return (result, int(np.argmax(boxes[:, 2]))) if len(boxes) else None
        # Time stamps must increase; those that repeat are moved on by 1 ms.
        self._last_ms = max(self._last_ms + 1, round(time_s * 1000))
        covered = _cover(image, self._bystanders)
        result = self._tracker.detect_for_video(_picture(covered), self._last_ms)
        boxes = _boxes(result, image)
        if not len(boxes):
            return None
        if self._following(time_s) and self._jumps(boxes)[0] > MAX_JUMP:
            self._next_scan_s = -np.inf
            return None
        self._last_box, self._last_seen_s = boxes[0], time_s
        return result, 0

    def _scan(self, image: NDArray[np.uint8], time_s: float) -> None:
        """Look for all faces; remember those that are not the participant's."""
        boxes = _boxes(self._scanner.detect(_picture(image)), image)
        self._next_scan_s = time_s + SCAN_S
        if not len(boxes):
            self._bystanders = []
            return
        largest = int(np.argmax(boxes[:, 2]))
        following = self._following(time_s)
        chosen = int(np.argmin(self._jumps(boxes))) if following else largest
        if following and self._jumps(boxes)[chosen] > MAX_JUMP:
            chosen = -1  # the participant is not to be seen now: all these are bystanders
        own = boxes[chosen] if chosen >= 0 else None
        self._bystanders = [
            box
            for i, box in enumerate(boxes)
            if i != chosen and (own is None or np.hypot(*(box[:2] - own[:2])) > own[2] / 2)
        ]

    def _following(self, time_s: float) -> bool:
        return self._last_box is not None and time_s - self._last_seen_s <= FORGET_S

    def _jumps(self, boxes: FloatArray) -> FloatArray:
        """Return how far each face is from the participant's last place, in its own size."""
        assert self._last_box is not None
        distance = np.hypot(*(boxes[:, :2] - self._last_box[:2]).T)
        return np.asarray(distance / self._last_box[2], np.float64)


class _RunningClock:
    """Times that never go back: a step back counts as one more step as long as the last one."""

    def __init__(self) -> None:
        self._last_s = -np.inf
        self._step_s = 0.0
        self._shift_s = 0.0

    def at(self, time_s: float) -> float:
        """Return the running time of the next frame."""
        running_s = time_s + self._shift_s
        if running_s < self._last_s:
            self._shift_s += self._last_s + self._step_s - running_s
            running_s = self._last_s + self._step_s
        elif np.isfinite(self._last_s):
            self._step_s = running_s - self._last_s
        self._last_s = running_s
        return running_s


def _picture(image: NDArray[np.uint8]) -> Any:
    import mediapipe as mp  # noqa: PLC0415  (heavy; loaded when the first face is sought)

    return mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(image, np.uint8))


def _boxes(result: Any, image: NDArray[np.uint8]) -> FloatArray:
    """Return centre x, centre y and size in pixels of the faces that were found: (n, 3)."""
    size_px = np.array([image.shape[1], image.shape[0]], np.float64)
    faces = [_box(_points(face)[:, :2] * size_px) for face in result.face_landmarks]
    return np.array(faces, np.float64).reshape(-1, 3)


def _cover(image: NDArray[np.uint8], boxes: Iterable[FloatArray]) -> NDArray[np.uint8]:
    boxes = list(boxes)
    if not boxes:
        return image
    image = image.copy()
    for x, y, size in boxes:
        half = COVER * size
        left, top = max(0, round(x - half)), max(0, round(y - half))
        image[top : max(0, round(y + half)), left : max(0, round(x + half))] = 0
    return image


def _points(face: Any) -> FloatArray:
    return np.array([(p.x, p.y, p.z) for p in face], np.float64)


def _box(points: FloatArray) -> FloatArray:
    """Return centre x, centre y and size of a face, in the unit of its points."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.array([*(low + high) / 2, float(np.max(high - low))])


def _fit(image: Image) -> NDArray[np.uint8]:
    longest = max(image.shape[:2])
    if longest <= MAX_SIDE_PX:
        return image
    import cv2  # noqa: PLC0415  (heavy; only for very large pictures)

    scale = MAX_SIDE_PX / longest
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
