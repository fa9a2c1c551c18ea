"""Draws what the face tracker found onto the frames of a film, as a small MP4 or single pictures."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.surface import OUTLINE

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from duchenne.analysis.face.frames import FloatArray, Image

# Lines through landmarks: eyes, brows, lips (outer and inner), bridge of the nose.
# fmt: off
_CLOSED = (
    OUTLINE,
    (33, 160, 159, 158, 133, 153, 145, 144), (362, 385, 386, 387, 263, 373, 374, 380),
    (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91),
    (78, 81, 13, 311, 308, 402, 14, 178),
)
_OPEN = ((70, 63, 105, 66, 107), (336, 296, 334, 293, 300), (168, 6, 4), (129, 2, 358))
# fmt: on
_MEASURED, _NOT_MEASURED = (120, 220, 255), (255, 70, 60)
MAX_WIDTH_PX = 480
MAX_VIDEO_S = 120.0


def draw_face(image: Image, landmarks: FloatArray | None, *, usable: bool) -> Image:
    """Return a picture of at most 480 px width with the lines of the face, red where not usable.

    Parameters
    ----------
    image : (height, width, 3) uint8 RGB
    landmarks : (478, 3) float64, or None
        In pixels of the picture.
    usable : bool
        Whether the frame was measured; the picture has a red rim where not.
    """
    import cv2  # noqa: PLC0415  (heavy)

    scale = min(1.0, MAX_WIDTH_PX / image.shape[1])
    size = (2 * round(image.shape[1] * scale / 2), 2 * round(image.shape[0] * scale / 2))
    drawn = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    colour = _MEASURED if usable else _NOT_MEASURED
    if landmarks is not None and np.isfinite(landmarks[0, 0]):
        points = np.round(landmarks[:, :2] * scale * 16).astype(np.int32)
        for lines, closed in ((_CLOSED, True), (_OPEN, False)):
            curves = [points[list(line)] for line in lines]
            cv2.polylines(drawn, curves, closed, colour, 1, cv2.LINE_AA, shift=4)
    if not usable:
        cv2.rectangle(drawn, (0, 0), (size[0] - 1, size[1] - 1), _NOT_MEASURED, 4)
    return np.asarray(drawn, np.uint8)


def overlay_film(
    frames: Iterable[tuple[int, float, Image | None]],
    usable: Sequence[bool],
    *,
    stills: Container[int] = (),
    film: bool = True,
) -> tuple[bytes | None, dict[int, bytes]]:
    """Track a film and draw on its frames.

    Parameters
    ----------
    frames : iterable of (frame index, time in seconds, picture or None)
    usable : sequence of bool
        For each frame, whether it was measured.
    stills : container of int
        Frames to give as JPEG pictures too.
    film : bool, default True
        Whether to make a film.

    Returns
    -------
    (bytes or None, dict of int to bytes)
        An MP4 (H.264) whose frames have the times given, and the pictures by frame.
    """
    import cv2  # noqa: PLC0415  (heavy)

    pictures: dict[int, bytes] = {}
    writer = _Writer() if film else None
    with FaceTracker() as tracker:
        for frame in frames:
            faces = tracker.track([frame])
            index, time_s, image = frame
            if image is None:
                continue
            is_usable = index < len(usable) and bool(usable[index])
            drawn = draw_face(image, faces.landmarks[0], usable=is_usable)
            if writer is not None:
                writer.add(drawn, time_s)
            if index in stills:
                encoded = cv2.imencode(".jpg", drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
                pictures[index] = encoded.tobytes()
    return (writer.finish() if writer is not None else None), pictures


class _Writer:
    """An MP4 in memory; frames keep their times to the millisecond."""

    def __init__(self) -> None:
        import av  # noqa: PLC0415  (heavy)

        self._file = io.BytesIO()
        self._film = av.open(self._file, "w", format="mp4")
        self._stream: Any = None
        self._last = -1

    def add(self, image: Image, time_s: float) -> None:
        import av  # noqa: PLC0415  (heavy)

        if self._stream is None:
            self._stream = self._film.add_stream("libx264", rate=Fraction(1000, 1))
            self._stream.height, self._stream.width = image.shape[:2]
            self._stream.pix_fmt = "yuv420p"
            self._stream.time_base = Fraction(1, 1000)
            self._stream.codec_context.time_base = Fraction(1, 1000)
            self._stream.options = {"crf": "28", "preset": "veryfast", "bf": "0"}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        self._last = max(self._last + 1, round(time_s * 1000))
        frame.pts, frame.time_base = self._last, Fraction(1, 1000)
        self._film.mux(self._stream.encode(frame))

    def finish(self) -> bytes | None:
        if self._stream is None:
            return None
        self._film.mux(self._stream.encode())
        self._film.close()
        return self._file.getvalue()
