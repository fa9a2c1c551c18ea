"""Cameras through OpenCV, where there is no V4L2: Windows and macOS."""

from __future__ import annotations

import math
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl

from duchenne.recorder.sources.camera_grabber import (
    CameraGoneError,
    CameraMode,
    Controls,
    Grabbed,
    Wanted,
)

if TYPE_CHECKING:
    import numpy.typing as npt

USUAL_RATE_HZ = 30.0
N_FAILURES = 5
RETRY_S = 0.02
POWER_LINE_MISSING = "OpenCV has no control for power_line_hz: set it in the camera's own program"


class OpenCvGrabber:
    """A camera, or anything else that OpenCV opens; pictures come decoded and are encoded again.

    The time stamp is when the picture was grabbed. There is no frame number.

    Parameters
    ----------
    device : str
        Number or path.
    wanted : Wanted

    Raises
    ------
    OSError
        Where OpenCV cannot open it or gets no picture from it.
    """

    stamps = "grabbed"

    def __init__(self, device: str, wanted: Wanted) -> None:
        # OpenCV reads this once, when it is loaded; its own 10 s would hold up the end where a
        # camera hangs.
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")
        import cv2  # noqa: PLC0415 -- belongs to the extra [camera]

        silence_opencv(cv2)
        self._cv2: Any = cv2
        self.name = f"camera {device}" if device.isdigit() else device
        self._capture = cv2.VideoCapture(
            int(device) if device.isdigit() else device, _backend(cv2, device)
        )
        if wanted.pixel_format in {"auto", "MJPG"} and self._capture.isOpened():
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        asked = {
            cv2.CAP_PROP_FRAME_WIDTH: wanted.width_px,
            cv2.CAP_PROP_FRAME_HEIGHT: wanted.height_px,
            cv2.CAP_PROP_FPS: wanted.rate_hz,
        }
        for key, value in asked.items():
            if self._capture.isOpened() and value is not None:
                self._capture.set(key, value)
        ok, picture = self._capture.read() if self._capture.isOpened() else (False, None)
        if not ok or picture is None:
            self.close()
            raise OSError(f"OpenCV gets no picture from {device}")
        rate_hz = float(self._capture.get(cv2.CAP_PROP_FPS))
        height, width = picture.shape[:2]
        given = rate_hz if 1 <= rate_hz <= 1000 else wanted.rate_hz or USUAL_RATE_HZ
        self.mode = CameraMode(width, height, given, wanted.pixel_format)
        self._n_failures = 0

    def grab(self, timeout_s: float) -> Grabbed | None:
        """Return the next picture; OpenCV itself decides how long it waits for one."""
        ok = self._capture.grab()
        now_s = pylsl.local_clock()
        picture = None
        if ok:
            ok, picture = self._capture.retrieve()
        if not ok or picture is None:
            self._n_failures += 1
            if self._n_failures >= N_FAILURES and not self._capture.isOpened():
                raise CameraGoneError("the device was closed")
            time.sleep(min(timeout_s, RETRY_S))
            return None
        self._n_failures = 0
        pixels: npt.NDArray[np.uint8] = np.asarray(picture, np.uint8)
        return Grabbed(now_s, None, math.nan, None, lambda: pixels)

    def apply(self, controls: Controls) -> list[str]:
        """Set the sensor; return what the camera did not take."""
        cv2, refused = self._cv2, []
        if controls.exposure_ms is not None:
            self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL_EXPOSURE)
            if not self._capture.set(cv2.CAP_PROP_EXPOSURE, exposure_value(controls.exposure_ms)):
                refused.append("the camera did not take exposure_ms")
        if controls.gain is not None and not self._capture.set(cv2.CAP_PROP_GAIN, controls.gain):
            refused.append("the camera did not take gain")
        if controls.white_balance_k is not None:
            self._capture.set(cv2.CAP_PROP_AUTO_WB, 0)
            if not self._capture.set(cv2.CAP_PROP_WB_TEMPERATURE, controls.white_balance_k):
                refused.append("the camera did not take white_balance_k")
        if controls.power_line_hz is not None:
            refused.append(POWER_LINE_MISSING)
        return refused

    def lock(self, controls: Controls) -> list[str]:
        """Switch the automatic controls off; return what is held, as far as the camera tells."""
        cv2, held = self._cv2, []
        pairs = (
            ("exposure", cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL_EXPOSURE, cv2.CAP_PROP_EXPOSURE),
            ("white balance", cv2.CAP_PROP_AUTO_WB, 0.0, cv2.CAP_PROP_WB_TEMPERATURE),
            ("focus", cv2.CAP_PROP_AUTOFOCUS, 0.0, cv2.CAP_PROP_FOCUS),
        )
        given = {"exposure": controls.exposure_ms, "white balance": controls.white_balance_k}
        for label, automatic, manual, value in pairs:
            now = self._capture.get(value)
            if given.get(label) is None and not self._capture.set(automatic, manual):
                continue
            if given.get(label) is None:
                self._capture.set(value, now)
            held.append(f"{label} {self._capture.get(value):g}")
        return held

    def close(self) -> None:
        """Let the camera go."""
        self._capture.release()


_MANUAL_EXPOSURE = 0.25
"""What DirectShow's automatic exposure takes for "manual"."""


def exposure_value(exposure_ms: float) -> float:
    """Return an exposure as DirectShow takes it: the power of two of the seconds, e.g. -6 for 1/64 s."""
    return round(math.log2(exposure_ms / 1000))


def _backend(cv2: Any, device: str) -> int:
    if not device.isdigit() and not device.startswith("/dev/"):
        return int(cv2.CAP_ANY)
    known = {"win32": "CAP_DSHOW", "darwin": "CAP_AVFOUNDATION", "linux": "CAP_V4L2"}
    return int(getattr(cv2, known.get(sys.platform, "CAP_ANY")))


def silence_opencv(cv2: Any) -> None:
    """Keep OpenCV from writing its own warnings to standard error."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
