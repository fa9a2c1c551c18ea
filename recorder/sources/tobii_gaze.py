"""What a Tobii tracker says, as rows of a Gaze stream. Pure: nothing here needs the SDK.

The SDK hands out one dictionary per gaze sample, another one for eye openness and a third for the
position in the track box; times in them are in microseconds.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from duchenne.recorder.streams import GAZE_CHANNELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

US = 1e-6
OPENNESS_WAIT_S = 0.05
"""A gaze sample waits so long for the eye openness of the same moment."""
EYES = ("left", "right")


def _extra_channels() -> Iterator[tuple[str, str, str, str]]:
    for eye in EYES:
        for axis in "xyz":
            yield f"{eye}_gaze3d_{axis}", f"Gaze3D{axis.upper()}", "mm", eye
        for axis in "xyz":
            yield f"{eye}_origin_{axis}", f"Origin{axis.upper()}", "mm", eye
        for axis in "xyz":
            yield f"{eye}_trackbox_{axis}", f"TrackBox{axis.upper()}", "normalized", eye
        yield f"{eye}_openness", "Openness", "mm", eye
        for what in ("pupil", "origin", "openness", "trackbox"):
            yield f"{eye}_{what}_valid", "Validity", "bool", eye
    yield "system_time", "SystemTime", "s", "both"
    yield "sample_number", "SampleNumber", "count", "both"
    yield "calibration", "CalibrationNumber", "count", "both"


CHANNELS: tuple[tuple[str, str, str, str], ...] = (*GAZE_CHANNELS, *_extra_channels())
"""Channels of a Tobii ``Gaze`` stream: label, type, unit, eye. The first ones are everybody's."""

SIGNAL_CHANNELS: tuple[tuple[str, str], ...] = (
    ("value", "none"),
    ("change", "code"),
    ("device_time", "s"),
    ("system_time", "s"),
)
"""Channels of ``TobiiSignals``. ``change``: 0 value at the start, 1 changed, 2 value after a reconnection."""

CHANGES: Mapping[str, int] = {
    "external_signal_change_type_initial_value": 0,
    "external_signal_change_type_value_changed": 1,
    "external_signal_change_type_connection_restored": 2,
}

SYNC_CHANNELS: tuple[tuple[str, str], ...] = (
    ("system_request", "s"),
    ("device_time", "s"),
    ("system_response", "s"),
    ("device_offset", "s"),
    ("device_drift", "ppm"),
    ("device_uncertainty", "s"),
    ("sdk_difference", "s"),
    ("lsl_offset", "s"),
    ("lsl_uncertainty", "s"),
)
"""Channels of ``TobiiTimeSync``; see docs/how-to/tobii.md."""


@dataclass(frozen=True)
class Plane:
    """The display area in the tracker's user coordinates.

    Attributes
    ----------
    top_left, top_right, bottom_left : tuple of float
        Corners, mm.
    """

    top_left: tuple[float, float, float]
    top_right: tuple[float, float, float]
    bottom_left: tuple[float, float, float]

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height."""
        return math.dist(self.top_left, self.top_right), math.dist(self.top_left, self.bottom_left)

    @cached_property
    def _normal(self) -> tuple[float, float, float]:
        """Unit vector across the plane; NaN for a flat area."""
        a = [q - p for p, q in zip(self.top_left, self.top_right, strict=True)]
        b = [q - p for p, q in zip(self.top_left, self.bottom_left, strict=True)]
        across = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
        length = math.hypot(*across) or math.nan
        return across[0] / length, across[1] / length, across[2] / length

    def distance_mm(self, point: Sequence[float]) -> float:
        """Return how far a point is from the display's plane; NaN for a flat area or a NaN point."""
        pairs = zip(point, self.top_left, self._normal, strict=True)
        return abs(sum((p - corner) * n for p, corner, n in pairs))


@dataclass(frozen=True)
class Sample:
    """A gaze sample with what belongs to it.

    Attributes
    ----------
    gaze : mapping
        The SDK's dictionary of gaze data.
    openness : mapping or None
        That of eye openness at the same device time.
    position : mapping or None
        The latest position guide (track box), which has no time stamp of its own.
    """

    gaze: Mapping[str, Any]
    openness: Mapping[str, Any] | None = None
    position: Mapping[str, Any] | None = None

    @property
    def device_us(self) -> int:
        """Device time in microseconds."""
        return int(self.gaze["device_time_stamp"])

    @property
    def system_s(self) -> float:
        """The SDK's estimate of the computer's time of capture, seconds."""
        return int(self.gaze["system_time_stamp"]) * US


def gaze_row(sample: Sample, plane: Plane | None, number: int, calibration: int) -> list[float]:
    """Return the values of one sample in the order of `CHANNELS`.

    Parameters
    ----------
    sample : Sample
    plane : Plane or None
        For the distance to the screen; None: the distance along the tracker's z axis.
    number : int
        Counts samples of the device, lost ones included.
    calibration : int
        Number of the calibration in force.

    Returns
    -------
    list of float
        Coordinates, pupils and distances are NaN where the device calls them invalid.
    """
    values: dict[str, float] = {}
    for eye in EYES:
        values |= _eye_values(eye, sample, plane)
    values["device_time"] = sample.device_us * US
    values["system_time"] = sample.system_s
    values["sample_number"] = float(number)
    values["calibration"] = float(calibration)
    return [values[label] for label, _, _, _ in CHANNELS]


def _eye_values(eye: str, sample: Sample, plane: Plane | None) -> dict[str, float]:
    gaze, openness, position = sample.gaze, sample.openness or {}, sample.position or {}
    seen = bool(gaze[f"{eye}_gaze_point_validity"])
    origin_seen = bool(gaze[f"{eye}_gaze_origin_validity"])
    pupil_seen = bool(gaze[f"{eye}_pupil_validity"])
    open_seen = bool(openness.get(f"{eye}_eye_validity", 0))
    position_seen = bool(position.get(f"{eye}_user_position_validity", 0))
    x, y = _numbers(gaze[f"{eye}_gaze_point_on_display_area"], 2, seen)
    point = _numbers(gaze[f"{eye}_gaze_point_in_user_coordinate_system"], 3, seen)
    origin = _numbers(gaze[f"{eye}_gaze_origin_in_user_coordinate_system"], 3, origin_seen)
    place = _numbers(position.get(f"{eye}_user_position", ()), 3, position_seen)
    values = {
        f"{eye}_x": x,
        f"{eye}_y": y,
        f"{eye}_pupil": float(gaze[f"{eye}_pupil_diameter"]) if pupil_seen else math.nan,
        f"{eye}_valid": float(seen),
        f"{eye}_distance": origin[2] if plane is None else plane.distance_mm(origin),
        f"{eye}_openness": float(openness[f"{eye}_eye_openness_value"]) if open_seen else math.nan,
        f"{eye}_pupil_valid": float(pupil_seen),
        f"{eye}_origin_valid": float(origin_seen),
        f"{eye}_openness_valid": float(open_seen),
        f"{eye}_trackbox_valid": float(position_seen),
    }
    for index, axis in enumerate("xyz"):
        values[f"{eye}_gaze3d_{axis}"] = point[index]
        values[f"{eye}_origin_{axis}"] = origin[index]
        values[f"{eye}_trackbox_{axis}"] = place[index]
    return values


def _numbers(given: Sequence[float], count: int, valid: bool) -> tuple[float, ...]:
    if not valid or len(given) != count:
        return (math.nan,) * count
    return tuple(float(value) for value in given)


def signal_row(signal: Mapping[str, Any]) -> list[float]:
    """Return one change of the external signal port in the order of `SIGNAL_CHANNELS`."""
    return [
        float(signal["value"]),
        float(CHANGES.get(str(signal["change_type"]), math.nan)),
        int(signal["device_time_stamp"]) * US,
        int(signal["system_time_stamp"]) * US,
    ]


class OpennessJoin:
    """Puts the eye openness to the gaze sample of the same device time, in order.

    Parameters
    ----------
    expected : bool
        Whether the device delivers eye openness; if not, samples pass at once.
    """

    def __init__(self, *, expected: bool) -> None:
        self._expected = expected
        self._waiting: deque[tuple[Mapping[str, Any], float]] = deque()
        self._openness: dict[int, Mapping[str, Any]] = {}
        self._heard_us = -1

    def add_gaze(self, gaze: Mapping[str, Any], now_s: float) -> None:
        """Take a gaze sample in at a time of any steady clock, in seconds."""
        self._waiting.append((gaze, now_s))

    def add_openness(self, openness: Mapping[str, Any]) -> None:
        """Take an eye openness sample in."""
        device_us = int(openness["device_time_stamp"])
        self._openness[device_us] = openness
        self._heard_us = max(self._heard_us, device_us)

    def ready(self, now_s: float) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
        """Yield the samples that need not wait any longer."""
        while self._waiting:
            gaze, since_s = self._waiting[0]
            device_us = int(gaze["device_time_stamp"])
            openness = self._openness.pop(device_us, None)
            waited = now_s - since_s >= OPENNESS_WAIT_S
            if self._expected and openness is None and self._heard_us < device_us and not waited:
                break
            self._waiting.popleft()
            yield gaze, openness
        oldest_us = self._heard_us - int(2e6)
        for device_us in [us for us in self._openness if us < oldest_us]:
            del self._openness[device_us]


class SampleCount:
    """Numbers samples by the device's clock, so that lost ones leave a hole in the numbers.

    Parameters
    ----------
    rate_hz : float

    Attributes
    ----------
    n, n_lost : int
        Samples seen, and those that the device's clock says are missing between them.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._last_us: int | None = None
        self._number = -1
        self.n = 0
        self.n_lost = 0

    def add(self, device_us: int) -> int:
        """Return the number of a sample; a device clock that went back continues with the next one."""
        step = 1
        if self._last_us is not None and device_us > self._last_us:
            step = max(round((device_us - self._last_us) * US * self._rate_hz), 1)
        self._last_us = device_us
        self._number += step
        self.n += 1
        self.n_lost += step - 1
        return self._number
