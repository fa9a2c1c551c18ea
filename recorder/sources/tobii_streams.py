"""The LSL streams of a Tobii tracker: the description of Gaze, and the three beside it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl

from duchenne.recorder.sources.paired_clocks import DeviceClock
from duchenne.recorder.sources.tobii_gaze import (
    CHANNELS,
    SIGNAL_CHANNELS,
    SYNC_CHANNELS,
    US,
    signal_row,
)
from duchenne.recorder.streams import gaze_description

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duchenne.recorder.sources.paired_clocks import ClockMap
    from duchenne.recorder.sources.tobii_device import Calibration
    from duchenne.recorder.sources.tobii_gaze import Plane


def describe_gaze(
    tracker: Any,
    *,
    name: str,
    source_id: str,
    rate_hz: float,
    plane: Plane,
    calibration: Calibration,
    clock: ClockMap,
    sdk_version: str,
) -> pylsl.StreamInfo:
    """Describe the Gaze stream of a tracker: device, display area, clock, and calibration with its data.

    Parameters
    ----------
    tracker : tobii_research.EyeTracker
    name, source_id : str
    rate_hz : float
    plane : Plane
    calibration : Calibration
        In force when the stream begins.
    clock : ClockMap
        SDK's system clock to LSL's.
    sdk_version : str
    """
    info = gaze_description(
        source_id=source_id,
        sampling_rate_hz=rate_hz,
        name=name,
        manufacturer="Tobii",
        model=tracker.model,
        channels=CHANNELS,
    )
    desc = info.desc()
    device = desc.append_child("device")
    device.append_child_value("serial_number", tracker.serial_number)
    device.append_child_value("firmware_version", tracker.firmware_version)
    device.append_child_value("sdk_version", sdk_version)
    area = desc.append_child("display_area")
    width_mm, height_mm = plane.size_mm
    area.append_child_value("width_mm", f"{width_mm:.3f}")
    area.append_child_value("height_mm", f"{height_mm:.3f}")
    for corner in ("top_left", "top_right", "bottom_left"):
        text = " ".join(f"{value:.3f}" for value in getattr(plane, corner))
        area.append_child_value(f"{corner}_mm", text)
    clocks = desc.append_child("clock")
    clocks.append_child_value("stamps", "capture")
    clocks.append_child_value("lsl_minus_system_s", f"{clock.offset_s:.9f}")
    clocks.append_child_value("uncertainty_s", f"{clock.uncertainty_s:.9f}")
    node = desc.append_child("calibration")
    node.append_child_value("number", str(calibration.number))
    node.append_child_value("id", calibration.id)
    node.append_child_value("retrieved_lsl_s", f"{pylsl.local_clock():.6f}")
    node.append_child_value("data_base64", calibration.base64)
    return info


class SideStreams:
    """The outlets beside Gaze: ``TobiiSignals``, ``TobiiTimeSync``, ``TobiiEvents``.

    Parameters
    ----------
    source_id : str
        That of the Gaze stream; the others add ``-signals``, ``-timesync``, ``-events``.
    """

    def __init__(self, source_id: str) -> None:
        self._device_clock = DeviceClock()
        self._last_gaze = (math.nan, math.nan)
        self._signals = _numbers_outlet(
            "TobiiSignals", "TTL", f"{source_id}-signals", SIGNAL_CHANNELS
        )
        self._sync = _numbers_outlet(
            "TobiiTimeSync", "Clock", f"{source_id}-timesync", SYNC_CHANNELS
        )
        self._events = pylsl.StreamOutlet(
            pylsl.StreamInfo(
                "TobiiEvents",
                "DeviceEvents",
                1,
                pylsl.IRREGULAR_RATE,
                pylsl.cf_string,
                f"{source_id}-events",
            )
        )

    def note_gaze(self, device_s: float, system_s: float) -> None:
        """Remember the two times that the SDK gave to the latest gaze sample."""
        self._last_gaze = (device_s, system_s)

    def add_sync(self, data: Mapping[str, Any], clock: ClockMap) -> float:
        """Take a time synchronisation reading in; return the jump of the device's clock, usually 0."""
        request_s = int(data["system_request_time_stamp"]) * US
        device_s = int(data["device_time_stamp"]) * US
        response_s = int(data["system_response_time_stamp"]) * US
        jump_s = self._device_clock.add(request_s, device_s, response_s)
        fit = self._device_clock.fit
        if fit is not None:
            gaze_device_s, gaze_system_s = self._last_gaze
            row = [request_s, device_s, response_s, fit.offset_s, fit.drift_ppm, fit.uncertainty_s]
            row += [gaze_system_s - fit.to_system_s(gaze_device_s)]
            row += [clock.offset_s, clock.uncertainty_s]
            _push(self._sync, row, clock.to_lsl_s(response_s))
        return jump_s

    def add_signal(self, data: Mapping[str, Any], clock: ClockMap) -> None:
        """Push a change of the external signal port at its own time."""
        row = signal_row(data)
        _push(self._signals, row, clock.to_lsl_s(row[-1]))

    def add_event(self, event: str, **fields: Any) -> None:
        """Push an event of the device, stamped now."""
        text = json.dumps({"event": event, **fields}, ensure_ascii=False, allow_nan=True)
        self._events.push_chunk([text.encode()], [pylsl.local_clock()])


def _push(outlet: pylsl.StreamOutlet, row: Sequence[float], stamp_s: float) -> None:
    outlet.push_chunk(np.array([row], dtype=np.float64), [stamp_s])


def _numbers_outlet(
    name: str, kind: str, source_id: str, channels: Sequence[tuple[str, str]]
) -> pylsl.StreamOutlet:
    info = pylsl.StreamInfo(
        name, kind, len(channels), pylsl.IRREGULAR_RATE, pylsl.cf_double64, source_id
    )
    node = info.desc().append_child("channels")
    for label, unit in channels:
        channel = node.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", unit)
    return pylsl.StreamOutlet(info)
