"""A Tobii tracker that is not there: answers behind the SDK's lowest Python seam.

The real ``tobii_research`` calls one compiled function for everything, ``call_function(name,
arguments, callback)``. This module answers in its place, so that the real ``EyeTracker``, its
exceptions, subscriptions and notifications run over data of the recorded shape.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OK, INVALID_PARAMETER, LICENSE, NOT_SUPPORTED, CONNECTION, STARTED, NOT_STARTED, FAILED = (
    0, 10, 201, 202, 204, 210, 211, 214,
)  # fmt: skip
GAZE, SIGNAL, SYNC, ERRORS, NOTIFY, IMAGES, POSITION, OPENNESS = range(1, 9)
ALL = (
    "capability_has_gaze_data",
    "capability_has_external_signal",
    "capability_can_set_display_area",
    "capability_can_do_screen_based_calibration",
    "capability_has_eye_openness_data",
)
TICK_S = 0.004


def gaze_data(device_us: int, system_us: int, *, valid: bool = True) -> dict[str, Any]:
    """One gaze sample, shaped as the SDK gives it: eyes 650 mm from the screen, gaze on a circle."""
    angle = device_us * 1e-6
    x, y = 0.5 + 0.2 * math.cos(angle), 0.5 + 0.2 * math.sin(angle)
    nan = math.nan
    data: dict[str, Any] = {"device_time_stamp": device_us, "system_time_stamp": system_us}
    for eye, side in (("left", -1), ("right", 1)):
        data |= {
            f"{eye}_gaze_point_on_display_area": (x, y) if valid else (nan, nan),
            f"{eye}_gaze_point_in_user_coordinate_system": (
                (x * 527 - 263.5, 20 + (1 - y) * 296, 0.0) if valid else (nan,) * 3
            ),
            f"{eye}_gaze_point_validity": int(valid),
            f"{eye}_gaze_origin_in_user_coordinate_system": (
                (side * 31.0, 180.0, 650.0) if valid else (nan,) * 3
            ),
            f"{eye}_gaze_origin_validity": int(valid),
            f"{eye}_pupil_diameter": 3.25 + 0.1 * side if valid else nan,
            f"{eye}_pupil_validity": int(valid),
        }
    return data


def openness_data(device_us: int, system_us: int, *, valid: bool = True) -> dict[str, Any]:
    """Eye openness at the same device time."""
    return {
        "device_time_stamp": device_us,
        "system_time_stamp": system_us,
        "left_eye_openness_value": 9.5 if valid else math.nan,
        "left_eye_validity": int(valid),
        "right_eye_openness_value": 9.25 if valid else math.nan,
        "right_eye_validity": int(valid),
    }


POSITION_DATA: dict[str, Any] = {
    "left_user_position": (0.55, 0.5, 0.45),
    "left_user_position_validity": 1,
    "right_user_position": (0.45, 0.5, 0.45),
    "right_user_position_validity": 1,
}


@dataclass
class StandIn:
    """A tracker whose clock is ahead and drifts, and that can be made to fail.

    Attributes
    ----------
    rate_hz : float
    ahead_s, drift_ppm : float
        Device clock against the computer's.
    dropped : set of int
        Numbers of samples that never arrive.
    is_silent : bool
        Whether samples are held back, as when the cable is out.
    """

    address: str = "tobii-prp://STANDIN-1"
    serial: str = "STANDIN-1"
    rate_hz: float = 600.0
    rates: tuple[float, ...] = (60.0, 120.0, 150.0, 300.0, 600.0, 1200.0)
    ahead_s: float = 1000.0
    drift_ppm: float = 30.0
    capabilities: tuple[str, ...] = ALL
    calibration: bytes = b"calibration made in the morning"
    license_result: int = 0
    gaze_status: int = OK
    area: dict[str, tuple[float, float, float]] = field(
        default_factory=lambda: {
            "top_left": (-263.5, 316.0, 0.0),
            "top_right": (263.5, 316.0, 0.0),
            "bottom_left": (-263.5, 20.0, 0.0),
        }
    )
    dropped: set[int] = field(default_factory=set)
    blinks: set[int] = field(default_factory=set)
    is_silent: bool = False
    n_sent: int = 0
    callbacks: dict[int, Callable[[dict[str, Any]], None]] = field(default_factory=dict)
    pending: deque[tuple[int, dict[str, Any]]] = field(default_factory=deque)
    start_us: int = 0
    _points: list[tuple[float, float]] = field(default_factory=list)
    _calibrating: bool = False
    fails_at: set[tuple[float, float]] = field(default_factory=set)

    def device_us(self, system_us: float) -> int:
        """The device's clock at a time of the computer's, microseconds."""
        since = system_us - self.start_us
        return round(system_us + self.ahead_s * 1e6 + since * self.drift_ppm * 1e-6)

    def facts(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "device_name": "stand-in",
            "serial_number": self.serial,
            "model": "Tobii Pro Spectrum",
            "firmware_version": "2.6.1",
            "runtime_version": "",
            "device_capabilities": self.capabilities,
            "core_eyetracker": id(self),
        }

    def notify(self, kind: str, **fields: Any) -> None:
        """Send a notification."""
        data = {"notification_type": f"eyetracker_notification_{kind}", "system_time_stamp": 1}
        self.pending.append((NOTIFY, data | fields))

    def pump(self, system_us: int) -> None:
        """Deliver the samples that are due."""
        while self.pending:
            self._deliver(*self.pending.popleft())
        period_us = 1e6 / self.rate_hz
        while (at_us := self.start_us + round(self.n_sent * period_us)) <= system_us - 3000:
            number, self.n_sent = self.n_sent, self.n_sent + 1
            device_us = self.device_us(at_us)
            if not self.is_silent and number not in self.dropped:
                valid = number not in self.blinks
                self._deliver(GAZE, gaze_data(device_us, at_us, valid=valid))
                self._deliver(OPENNESS, openness_data(device_us, at_us, valid=valid))
                if number % 10 == 0:
                    self._deliver(POSITION, POSITION_DATA)
            if number % round(self.rate_hz / 4) == 0 and not self.is_silent:
                self._deliver(SYNC, {
                    "system_request_time_stamp": at_us,
                    "device_time_stamp": self.device_us(at_us + 150),
                    "system_response_time_stamp": at_us + 300,
                })  # fmt: skip

    def _deliver(self, stream: int, data: dict[str, Any]) -> None:
        callback = self.callbacks.get(stream)
        if callback is not None:
            callback(data)

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Answer a call that concerns this tracker; the first of the answer is the status."""
        rest = arguments[1:]
        if name in _ANSWERS:
            return _ANSWERS[name](self, *rest)
        raise AssertionError(f"the stand-in does not know {name}{arguments}")

    def _collect(self, x: float, y: float) -> tuple[int]:
        if not self._calibrating:
            return (NOT_STARTED,)
        if (x, y) in self.fails_at:
            return (FAILED,)
        self._points.append((x, y))
        return (OK,)

    def _enter(self) -> tuple[int]:
        if self._calibrating:
            return (STARTED,)
        self._calibrating, self._points = True, []
        return (OK,)

    def _leave(self) -> tuple[int]:
        was, self._calibrating = self._calibrating, False
        return (OK if was else NOT_STARTED,)

    def _compute(self) -> tuple[int]:
        if len(self._points) < 2:
            return (FAILED,)
        self.calibration = f"calibration of {len(self._points)} points".encode()
        return (OK,)

    def _discard(self, x: float, y: float) -> tuple[int]:
        self._points = [point for point in self._points if point != (x, y)]
        return (OK,)

    def _results(self) -> tuple[int, list[dict[str, Any]]]:
        return OK, [
            {
                "position": (x, y),
                "left_sample_position": (x + 0.01, y),
                "left_validity": 1,
                "right_sample_position": (x, y + 0.02),
                "right_validity": 1 if n else -1,
            }
            for x, y in self._points
            for n in range(3)
        ]

    def _set_rate(self, rate_hz: float) -> tuple[int]:
        if rate_hz not in self.rates:
            return (INVALID_PARAMETER,)
        self.rate_hz = rate_hz
        return (OK,)

    def _apply(self, data: bytes) -> tuple[int]:
        self.calibration = data
        return (OK,)

    def _subscribe(self, stream: int, callback: Callable[[dict[str, Any]], None]) -> tuple[int]:
        if stream == GAZE and self.gaze_status != OK:
            return (self.gaze_status,)
        self.callbacks[stream] = callback
        if stream == SIGNAL:
            self.signal(0, "initial_value")
        return (OK,)

    def signal(self, value: int, change: str = "value_changed") -> int:
        """Change the external signal port; return the system time of the change, microseconds."""
        system_us = round(time.monotonic() * 1e6)
        data = {
            "value": value,
            "change_type": f"external_signal_change_type_{change}",
            "device_time_stamp": self.device_us(system_us),
            "system_time_stamp": system_us,
        }
        self.pending.append((SIGNAL, data))
        return system_us


_ANSWERS: dict[str, Callable[..., Any]] = {
    "get_all_gaze_output_frequencies": lambda device: (OK, list(device.rates)),
    "get_gaze_output_frequency": lambda device: (OK, device.rate_hz),
    "set_gaze_output_frequency": StandIn._set_rate,
    "get_display_area": lambda device: (OK, device.area),
    "calibration_retrieve": lambda device: (OK, device.calibration),
    "calibration_apply": StandIn._apply,
    "apply_licenses": lambda device, keys: (OK, [device.license_result for _ in keys]),
    "calibration_enter_calibration_mode": StandIn._enter,
    "calibration_leave_calibration_mode": StandIn._leave,
    "screen_based_calibration_collect_data": StandIn._collect,
    "screen_based_calibration_discard_data": StandIn._discard,
    "calibration_compute_and_apply": StandIn._compute,
    "screen_based_calibration_get_calibration_points": StandIn._results,
}


class Seam:
    """What the SDK calls instead of its compiled part, for any number of stand-ins."""

    def __init__(self, real: Callable[..., int], devices: list[StandIn]) -> None:
        self._real = real
        self.devices = devices
        self._stop = threading.Event()
        self._pump = threading.Thread(target=self._run, name="tobii-stand-in")

    def __call__(self, name: str, arguments: tuple[Any, ...], result: Callable[[Any], None]) -> int:
        answer = self._answer(name, arguments)
        if answer is None:
            return self._real(name, arguments, result)
        result(answer)
        return OK

    def _answer(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name == "find_all_eyetrackers":
            return OK, [device.facts() for device in self.devices]
        if name == "get_device":
            found = [device for device in self.devices if device.address == arguments[0]]
            return (OK, found[0].facts()) if found else (CONNECTION, None)
        if name == "subscribe_to":
            stream, core, callback = arguments
            return self._by_core(core)._subscribe(stream, callback)
        if name == "unsubscribe_from":
            self._by_core(arguments[1]).callbacks.pop(arguments[0], None)
            return (OK,)
        if arguments and any(id(device) == arguments[0] for device in self.devices):
            return self._by_core(arguments[0]).call(name, arguments)
        return None

    def _by_core(self, core: int) -> StandIn:
        return next(device for device in self.devices if id(device) == core)

    def _run(self) -> None:
        while not self._stop.wait(TICK_S):
            now_us = round(time.monotonic() * 1e6)
            for device in self.devices:
                device.pump(now_us)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Deliver samples for the time of the ``with``."""
        begun_us = round(time.monotonic() * 1e6)
        for device in self.devices:
            device.start_us = begun_us
        self._pump.start()
        try:
            yield
        finally:
            self._stop.set()
            self._pump.join()
