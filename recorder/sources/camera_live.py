"""Push the pictures of an open camera, count what it lost, and say when its rate is not its own."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING

import numpy as np
import pylsl

from duchenne.recorder.sources.camera_grabber import CameraGoneError
from duchenne.recorder.sources.notices import notice
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from duchenne.recorder.sources.base import Outlet
    from duchenne.recorder.sources.camera_encode import Encoder
    from duchenne.recorder.sources.camera_grabber import FrameGrabber, Grabbed

GRAB_TIMEOUT_S = 0.2
SILENCE_S = 3.0
RATE_AFTER_S = 3.0
RATE_TOLERANCE = 0.1
LOW_LIGHT_RATIO = 0.7
LEAST_STEP_S = 1e-6
NUMBER_CHANNEL = ("frame_number", "count")
LIVE_CHANNELS = (("device_time", "s"), ("damaged", "bool"))
LEAST_FRAMES = 3


class RateCheck:
    """Compares the measured frame rate with the declared one, once, after three seconds.

    Parameters
    ----------
    name : str
        Of the stream, for the message.
    nominal_hz : float
    tell : callable
        Receives the line.
    """

    def __init__(self, name: str, nominal_hz: float, tell: Callable[[str], None]) -> None:
        self._name, self._nominal_hz, self._tell = name, nominal_hz, tell
        self._stamps: list[float] = []
        self._done = False
        self.measured_hz = math.nan

    def add(self, time_s: float) -> None:
        """Take the time of a frame."""
        if self._done:
            return
        self._stamps.append(time_s)
        if time_s - self._stamps[0] < RATE_AFTER_S or len(self._stamps) < 3:
            return
        self._done = True
        self.measured_hz = float(1 / np.median(np.diff(self._stamps)))
        ratio = self.measured_hz / self._nominal_hz
        if abs(ratio - 1) <= RATE_TOLERANCE:
            return
        why = (
            "more light or a shorter exposure_ms raises it"
            if ratio < LOW_LIGHT_RATIO
            else "ask for the rate it keeps (--set rate_hz=…)"
        )
        self._tell(
            f"{self._name}: the camera delivers {self.measured_hz:.1f} frames per second, not "
            f"{self._nominal_hz:g}; {why}."
        )


class Losses:
    """Counts the frames that the camera's own numbers say are missing."""

    def __init__(self) -> None:
        self._last: int | None = None
        self.n_lost = 0

    def add(self, number: int | None) -> None:
        """Take the number of a frame; None where the camera does not count."""
        if number is None:
            return
        if self._last is not None:
            self.n_lost += max(number - self._last - 1, 0)
        self._last = number


class LiveCamera:
    """An open camera between its grabber and LSL.

    Parameters
    ----------
    name : str
        Of the stream.
    device : str
        For messages.
    grabber : FrameGrabber
    encoder : Encoder
    tell : callable, optional
    """

    def __init__(
        self,
        name: str,
        device: str,
        grabber: FrameGrabber,
        encoder: Encoder,
        tell: Callable[[str], None] = notice,
    ) -> None:
        self._device, self._grabber, self._encoder = device, grabber, encoder
        self._rate = RateCheck(name, grabber.mode.rate_hz, tell)
        self._losses = Losses()
        self._last_s = -math.inf
        self._counts = False
        self.n = 0
        self.n_damaged = 0

    @property
    def channels(self) -> tuple[tuple[str, str], ...]:
        """Label and unit of what is told of each frame; known once the camera has settled."""
        return (NUMBER_CHANNEL, *LIVE_CHANNELS) if self._counts else LIVE_CHANNELS

    @property
    def n_lost(self) -> int:
        """Frames missing by the camera's own count."""
        return self._losses.n_lost

    def settle(self, duration_s: float) -> None:
        """Let the camera run for a while, for three pictures at least.

        Raises
        ------
        DuchenneError
            Where no picture comes.
        """
        begun_s = seen_s = pylsl.local_clock()
        n = 0
        while n < LEAST_FRAMES or pylsl.local_clock() - begun_s < duration_s:
            grabbed = self._next()
            if grabbed is not None:
                n, seen_s = n + 1, pylsl.local_clock()
                self._counts = grabbed.frame_number is not None
            elif pylsl.local_clock() - seen_s > SILENCE_S:
                raise DuchenneError(
                    f"Camera {self._device} gives no picture; another program may be using it."
                )

    def run(self, outlet: Outlet, told: pylsl.StreamOutlet | None, stop: threading.Event) -> None:
        """Push pictures until `stop` is set; their numbers go to `told` with the same stamps.

        Raises
        ------
        DuchenneError
            Where the camera stops delivering.
        """
        begun_s = seen_s = pylsl.local_clock()
        while not stop.is_set():
            grabbed = self._next()
            if grabbed is None:
                if pylsl.local_clock() - seen_s > SILENCE_S:
                    raise self._gone()
                continue
            seen_s = pylsl.local_clock()
            if grabbed.time_s >= begun_s:  # not what waited in the buffers
                self._push(grabbed, outlet, told)

    def _next(self) -> Grabbed | None:
        try:
            return self._grabber.grab(GRAB_TIMEOUT_S)
        except CameraGoneError:
            raise self._gone() from None

    def _gone(self) -> DuchenneError:
        return DuchenneError(
            f"Camera {self._device} stopped delivering after {self.n} frames; check its cable and "
            "whether another program took it."
        )

    def _push(self, grabbed: Grabbed, outlet: Outlet, told: pylsl.StreamOutlet | None) -> None:
        time_s = max(grabbed.time_s, self._last_s + LEAST_STEP_S)
        self._last_s = time_s
        self._losses.add(grabbed.frame_number)
        self._rate.add(time_s)
        outlet.push_chunk([base64.b64encode(self._encoder.encode(grabbed))], [time_s])
        if told is not None:
            number = math.nan if grabbed.frame_number is None else float(grabbed.frame_number)
            row = [number, grabbed.device_time_s, float(grabbed.damaged)]
            told.push_chunk(np.array([row[-len(self.channels) :]]), [time_s])
        self.n += 1
        self.n_damaged += grabbed.damaged
