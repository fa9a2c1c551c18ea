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

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.frames import (
    N_BLENDSHAPES,
    N_LANDMARKS,
    FaceFrames,
    FloatArray,
    Image,
)
from duchenne.analysis.face.identity import box_of, choose, prominence
from duchenne.analysis.face.model import (
    detected,
    face_model_path,
    open_detector,
    open_landmarker,
    quiet_native_logs,
)
from duchenne.analysis.face.participant import Participant, first_looks
from duchenne.analysis.face.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from duchenne.analysis.face.model import Detector, Landmarker

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
_Face = tuple[FloatArray, FloatArray, FloatArray]
_Frame = tuple[int, float, Image | None]

# The landmark model works on 256 px; a larger picture costs time and brings nothing.
MAX_SIDE_PX = 1920
# At most this many faces of a picture are told apart.
MAX_FACES = 4
# The participant is chosen over this long, or as many pictures as take this much memory.
CHOICE_S = 1.0
MAX_KEPT_BYTES = 64_000_000
# Light, sharpness and what covers the face are looked at in every second frame.
LOOK_EVERY = 2
# A bystander is blackened with this much of the face's size around the middle of the face.
COVER = 0.7


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

    The participant is the largest and most central face of the first second, and then the face that
    continues from frame to frame (:mod:`duchenne.analysis.face.participant`). MediaPipe smooths
    landmarks only when it tracks a single face (their jitter is a quarter), so that it is given one:
    faces are looked for by the small detector twice a second, and those of bystanders are blackened.

    Parameters
    ----------
    still : bool, default False
        Treat each frame as a picture of its own (no tracking, the largest and most central face).

    Examples
    --------
    >>> with FaceTracker() as tracker:                                        # doctest: +SKIP
    ...     faces = tracker.track([(0, 0.0, image)])
    """

    def __init__(self, *, still: bool = False) -> None:
        self._still = still
        self._detector: Detector | None = None
        self._landmarker: Landmarker | None = None
        self._participant: Participant | None = None
        self._surface = Surface(every=1 if still else LOOK_EVERY)
        self._warm = False
        self._clock = _RunningClock()
        self._last_ms = -1

    def __enter__(self) -> FaceTracker:
        path = face_model_path()
        max_faces = MAX_FACES if self._still else 1
        self._landmarker = open_landmarker(path, video=not self._still, max_faces=max_faces)
        if not self._still:
            self._detector = open_detector(path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with quiet_native_logs():
            for task in (self._landmarker, self._detector):
                if task is not None:
                    task.close()
        self._landmarker = self._detector = None

    def track(self, frames: Iterable[_Frame], *, keep_images: bool = False) -> FaceFrames:
        """Find the participant's face in consecutive frames.

        Parameters
        ----------
        frames : iterable of (frame index, time in seconds, (height, width, 3) uint8 RGB or None)
            None stands for a frame that could not be decoded. Where time goes back (a camera's clock
            was set), tracking goes on as if it had not.
        keep_images : bool, default False
            Keep the pictures, for backends that read pixels. From an iterator, no more frames are
            then taken at once than 64 MB hold; the others stay in it.

        Returns
        -------
        FaceFrames
            NaN where no face was found.
        """
        if self._landmarker is None:
            raise RuntimeError("use the tracker as a context manager")
        places: list[tuple[int, float]] = []
        sizes: list[tuple[float, float]] = []
        found: list[_Face] = []
        surfaces: list[FloatArray] = []
        images: list[Image | None] = []
        limited = keep_images and iter(frames) is frames
        kept_bytes = 0
        for index, time_s, image in self._from_the_beginning(frames):
            places.append((index, time_s))
            sizes.append(
                (image.shape[1], image.shape[0]) if image is not None else (np.nan, np.nan)
            )
            running_s = self._clock.at(time_s)
            face = None if image is None else self._face(image, running_s)
            found.append(face or _NO_FACE)
            surfaces.append(self._surface.of(image, None if face is None else face[0]))
            images.append(image if keep_images else None)
            kept_bytes += 0 if image is None else image.nbytes
            if limited and kept_bytes > MAX_KEPT_BYTES:
                break
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
            surface=self._surface.finish(surfaces),
            still=self._still,
        )

    def _from_the_beginning(self, frames: Iterable[_Frame]) -> Iterable[_Frame]:
        """Choose the participant from the first second, then give all frames in their order."""
        if self._still or self._participant is not None:
            return frames
        rest = iter(frames)
        first = _first_second(rest)
        pictures = [image for _, _, image in first if image is not None]
        if pictures and self._detector is not None:
            with quiet_native_logs():  # the first inference writes messages
                looks = [_looked(self._detector, pictures[i]) for i in first_looks(len(pictures))]
            height, width = pictures[0].shape[:2]
            self._participant = Participant(choose(looks, (width, height)))
        return chain(first, rest)

    def _face(self, image: Image, time_s: float) -> _Face | None:
        """Return landmarks in pixels, blendshapes and rotation of the participant's face."""
        if self._warm:
            return self._find(image, time_s)
        with quiet_native_logs():  # each model writes messages when it is used first
            found = self._find(image, time_s)
        self._warm = found is not None
        return found

    def _find(self, image: Image, time_s: float) -> _Face | None:
        assert self._landmarker is not None
        size_px = (image.shape[1], image.shape[0])
        fitted = _fit(image)
        if self._still:
            faces = [_in_pixels(face, size_px) for face in self._landmarker.find(fitted)]
            if not faces:
                return None
            boxes = np.array([box_of(face[0][:, :2]) for face in faces])
            return faces[int(np.argmax(prominence(boxes, size_px)))]
        participant = self._participant = self._participant or Participant()
        assert self._detector is not None
        if participant.wants_scan(time_s):
            participant.scan(_looked(self._detector, image), time_s, size_px)
        # Time stamps must increase; those that repeat are moved on by 1 ms.
        self._last_ms = max(self._last_ms + 1, round(time_s * 1000))
        scale = fitted.shape[1] / image.shape[1]
        bystanders = [box * scale for box in participant.bystanders]
        place = None if participant.place is None else participant.place * scale
        found = self._landmarker.find(_cover(fitted, bystanders, place), self._last_ms)
        if not found:
            return None
        face = _in_pixels(found[0], size_px)
        box = box_of(face[0][:, :2])
        pose_deg = pose_from_rotation(face[2][None])[0]
        return face if participant.accept(box, face[0], pose_deg, time_s) else None


def _first_second(frames: Iterator[_Frame]) -> list[_Frame]:
    first: list[_Frame] = []
    n_bytes = 0
    for frame in frames:
        first.append(frame)
        n_bytes += 0 if frame[2] is None else frame[2].nbytes
        passed_s = frame[1] - first[0][1]
        if not 0 <= passed_s < CHOICE_S or n_bytes > MAX_KEPT_BYTES:
            break
    return first


def _looked(detector: Detector, image: Image) -> FloatArray:
    fitted = _fit(image)
    scale = image.shape[1] / fitted.shape[1]
    return np.asarray(detected(detector, fitted) * scale, np.float64)


def _in_pixels(face: _Face, size_px: tuple[int, int]) -> _Face:
    width, height = size_px
    return face[0] * [width, height, width], face[1], face[2]


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


def _cover(image: Image, boxes: Iterable[FloatArray], own: FloatArray | None) -> Image:
    """Blacken bystanders; the participant's own place stays as it is."""
    boxes = list(boxes)
    if not boxes:
        return image
    covered = image.copy()
    for box in boxes:
        covered[_square(box, COVER)] = 0
    if own is not None:
        square = _square(own, 0.5)
        if not any(np.hypot(*(box[:2] - own[:2])) < own[2] / 2 for box in boxes):
            covered[square] = image[square]
    return covered


def _square(box: FloatArray, share: float) -> tuple[slice, slice]:
    x, y, size = box
    half = share * size
    return (
        slice(max(0, round(y - half)), max(0, round(y + half))),
        slice(max(0, round(x - half)), max(0, round(x + half))),
    )


def _fit(image: Image) -> Image:
    longest = max(image.shape[:2])
    if longest <= MAX_SIDE_PX:
        return image
    import cv2  # noqa: PLC0415  (heavy; only for very large pictures)

    scale = MAX_SIDE_PX / longest
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
