"""Exposure, gain, white balance, focus and mains filter of a camera on Linux."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.recorder.sources import v4l2_layout as v4l2
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from duchenne.recorder.sources.camera_grabber import Controls
    from duchenne.recorder.sources.v4l2_device import VideoDevice

EXPOSURE_UNITS_PER_MS = 1e-3 / v4l2.EXPOSURE_UNIT_S
POWER_LINE = {0: 0, 50: 1, 60: 2}


@dataclass(frozen=True)
class _Automatic:
    """A value, the control that makes it automatic, and the setting that does not."""

    label: str
    unit: str
    scale: float
    value: int
    automatic: int
    manual: int


_EXPOSURE = _Automatic(
    "exposure",
    " ms",
    EXPOSURE_UNITS_PER_MS,
    v4l2.CID_EXPOSURE_ABSOLUTE,
    v4l2.CID_EXPOSURE_AUTO,
    v4l2.EXPOSURE_MANUAL,
)
_GAIN = _Automatic("gain", "", 1.0, v4l2.CID_GAIN, v4l2.CID_AUTOGAIN, 0)
_WHITE_BALANCE = _Automatic(
    "white balance", " K", 1.0, v4l2.CID_WHITE_BALANCE_TEMPERATURE, v4l2.CID_AUTO_WHITE_BALANCE, 0
)
_FOCUS = _Automatic("focus", "", 1.0, v4l2.CID_FOCUS_ABSOLUTE, v4l2.CID_FOCUS_AUTO, 0)


def apply(device: VideoDevice, controls: Controls) -> list[str]:
    """Set what is given; return what the camera has no control for, one line each.

    Raises
    ------
    DuchenneError
        Where a value is outside of the camera's range.
    """
    missing = []
    given = (
        (_EXPOSURE, "exposure_ms", controls.exposure_ms),
        (_GAIN, "gain", controls.gain),
        (_WHITE_BALANCE, "white_balance_k", controls.white_balance_k),
    )
    for control, option, value in given:
        if value is not None and not _set_manual(device, control, option, value):
            missing.append(f"the camera has no control for {option}")
    if controls.power_line_hz is not None:
        setting = POWER_LINE[controls.power_line_hz]
        if not _set(device, v4l2.CID_POWER_LINE_FREQUENCY, setting):
            missing.append("the camera has no control for power_line_hz")
    if controls.constant_rate:
        _set(device, v4l2.CID_EXPOSURE_AUTO_PRIORITY, 0)
    return missing


def lock(device: VideoDevice, controls: Controls) -> list[str]:
    """Hold the present values; return them as text, such as ``exposure 15.6 ms``.

    Values that are set already stay as they are. A camera without a manual setting keeps its
    automatic one, and the value is then not among the result.
    """
    given = {
        _EXPOSURE: controls.exposure_ms,
        _GAIN: controls.gain,
        _WHITE_BALANCE: controls.white_balance_k,
        _FOCUS: None,
    }
    held = []
    for control, value in given.items():
        now = _get(device, control.value)
        if now is None:
            continue
        if value is None:
            automatic = _query(device, control.automatic)
            if automatic is not None:
                if not _set(device, control.automatic, control.manual):
                    continue
                _set(device, control.value, now)
        read = _get(device, control.value)
        held.append(
            f"{control.label} {(now if read is None else read) / control.scale:g}{control.unit}"
        )
    return held


def _set_manual(device: VideoDevice, control: _Automatic, option: str, value: float) -> bool:
    _set(device, control.automatic, control.manual)
    limits = _query(device, control.value)
    if limits is None:
        return False
    wanted = round(value * control.scale)
    if not limits.minimum <= wanted <= limits.maximum:
        low, high = limits.minimum / control.scale, limits.maximum / control.scale
        raise DuchenneError(f"{option}={value:g}: the camera takes {low:g} to {high:g}.")
    return _set(device, control.value, wanted)


def _query(device: VideoDevice, control: int) -> v4l2.ControlQuery | None:
    query = v4l2.ControlQuery(id=control)
    try:
        device.ioctl(v4l2.QUERYCTRL, query)
    except OSError:
        return None
    return None if query.flags & v4l2.CONTROL_DISABLED else query


def _get(device: VideoDevice, control: int) -> int | None:
    asked = v4l2.Control(id=control)
    try:
        device.ioctl(v4l2.G_CTRL, asked)
    except OSError:
        return None
    return int(asked.value)


def _set(device: VideoDevice, control: int, value: int) -> bool:
    try:
        device.ioctl(v4l2.S_CTRL, v4l2.Control(id=control, value=value))
    except OSError:
        return False
    return True
