"""Looks for the participant's face in the pictures a few times a second, and says what to improve."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.face.frames import FaceFrames, Image
    from duchenne.analysis.face.landmarks import FaceTracker

LOOK_EVERY_S = 0.3
WIDTH_PX = 640
ENOUGH = 0.6
"""Share of a measure of quality below which there is advice."""
FULL_GREY = 255.0
ADVICE = {
    "size": "the face is small: move the camera closer",
    "inside": "the face is cut off: point the camera at it",
    "brightness": "the face is dark: more light from the front",
    "clipped": "the light is too hard: soften it or close the curtain",
    "sharpness": "the picture is blurred: focus the camera, or more light",
    "covered": "something covers the face",
}


@dataclass(frozen=True)
class FaceLook:
    """What was seen in one picture; positions are shares of it.

    Attributes
    ----------
    at_s : float
        When the picture was captured, on the sender's LSL clock.
    found : bool
    box : tuple (x, y, width, height) or None
    pose_deg : tuple (pitch, yaw, roll)
        NaN where there is no face.
    brightness, sharpness, confidence : float
        0 to 1.
    advice : tuple of str
    """

    at_s: float
    found: bool = False
    box: tuple[float, float, float, float] | None = None
    pose_deg: tuple[float, float, float] = (float("nan"),) * 3
    brightness: float = float("nan")
    sharpness: float = float("nan")
    confidence: float = 0.0
    advice: tuple[str, ...] = ("no face in the picture",)

    def to_json(self) -> dict[str, Any]:
        """Return it as pages get it, without ages."""
        pitch, yaw, roll = self.pose_deg
        return {
            "found": self.found,
            "box": self.box,
            "yaw_deg": yaw,
            "pitch_deg": pitch,
            "roll_deg": roll,
            "brightness": self.brightness,
            "sharpness": self.sharpness,
            "confidence": self.confidence,
            "advice": list(self.advice),
            "ok": self.found and not self.advice,
        }


def face_look(faces: FaceFrames, at_s: float) -> FaceLook:
    """Return what is worth telling of a picture.

    Parameters
    ----------
    faces : FaceFrames
        Of this one picture.
    at_s : float
        When it was captured.
    """
    from duchenne.analysis.face.quality import confidence, shares_by_reason  # noqa: PLC0415

    if not faces.found[0]:
        return FaceLook(at_s)
    width, height = faces.size_px[0]
    points = faces.landmarks[0, :, :2] / [width, height]
    low, high = points.min(axis=0), points.max(axis=0)
    shares = {name: float(value[0]) for name, value in shares_by_reason(faces).items()}
    surface = np.full(4, np.nan) if faces.surface is None else faces.surface[0]
    pitch, yaw, roll = (float(angle) for angle in faces.pose_deg[0])
    return FaceLook(
        at_s,
        True,
        (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])),
        (pitch, yaw, roll),
        float(surface[0]) / FULL_GREY,
        shares.get("sharpness", float("nan")),
        float(confidence(faces)[0]),
        tuple(advice_for(shares, pitch, yaw)),
    )


def advice_for(shares: Mapping[str, float], pitch_deg: float, yaw_deg: float) -> list[str]:
    """Return what to improve, from the shares that make the confidence of a face.

    Examples
    --------
    >>> advice_for({"size": 0.2, "yaw": 0.5}, 0.0, 31.0)
    ['the face is small: move the camera closer', 'the face is turned by 31° to one side: turn the camera']
    """
    found = [text for name, text in ADVICE.items() if shares.get(name, 1.0) < ENOUGH]
    if shares.get("yaw", 1.0) < ENOUGH:
        found.append(f"the face is turned by {abs(yaw_deg):.0f}° to one side: turn the camera")
    if shares.get("pitch", 1.0) < ENOUGH:
        found.append(f"the face is tilted by {abs(pitch_deg):.0f}°: set the camera at eye height")
    return found


@dataclass
class FaceWatch:
    """Looks at the newest picture in a thread of its own; what comes too fast is passed over.

    Attributes
    ----------
    newest : FaceLook or None
    found_s : float
        When a face was last found, on the sender's LSL clock; NaN before.
    """

    newest: FaceLook | None = None
    found_s: float = float("nan")
    failed: str = ""
    _picture: tuple[bytes | Image, float] | None = None
    _wake: threading.Event = field(default_factory=threading.Event)
    _over: bool = False
    _thread: threading.Thread | None = None

    @staticmethod
    def unavailable() -> str | None:
        """Return what is missing on this machine."""
        needed = ("cv2", "mediapipe")  # one that is just being imported cannot be looked for
        missing = [name for name in needed if name not in sys.modules and find_spec(name) is None]
        return f"needs {', '.join(missing)}: pip install 'duchenne[analysis]'" if missing else None

    def offer(self, picture: bytes | Image, at_s: float) -> None:
        """Hand over a picture, as JPEG or RGB; the first one starts the thread."""
        if self._over or self.unavailable() is not None:
            return
        self._picture = (picture, at_s)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="console-face", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """End the thread."""
        self._over = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10.0)

    def _work(self) -> None:
        from duchenne.analysis.console.courtesy import step_back  # noqa: PLC0415
        from duchenne.analysis.face.landmarks import FaceTracker  # noqa: PLC0415

        step_back()
        try:
            with FaceTracker(still=True) as tracker:
                while not self._over:
                    self._wake.wait()
                    self._wake.clear()
                    self._look(tracker)
        except Exception as error:  # noqa: BLE001 -- the console goes on without
            self.failed = f"{type(error).__name__}: {error}"

    def _look(self, tracker: FaceTracker) -> None:
        picture, self._picture = self._picture, None
        if picture is None:
            return
        begun = time.monotonic()
        image = decoded(picture[0]) if isinstance(picture[0], bytes) else picture[0]
        look = FaceLook(picture[1])
        if image is not None:
            look = face_look(tracker.track([(0, picture[1], image)]), picture[1])
        self.newest = look
        if look.found:
            self.found_s = look.at_s
        while not self._over and time.monotonic() - begun < LOOK_EVERY_S:
            time.sleep(0.02)


def decoded(jpeg: bytes, width_px: int = WIDTH_PX) -> Image | None:
    """Return a JPEG picture as RGB, made smaller while it is decoded; None where it is damaged."""
    import cv2  # noqa: PLC0415 -- heavy, and belongs to the extra [camera]

    try:
        small = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    if small is None:
        return None
    if small.shape[1] > width_px:
        height = round(small.shape[0] * width_px / small.shape[1])
        small = cv2.resize(small, (width_px, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)
