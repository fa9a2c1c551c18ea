"""Eye samples of PsychoPy's ioHub as rows of a Gaze stream. Pure: nothing here needs PsychoPy.

ioHub gives one dictionary per event. Four kinds carry samples; gaze is in pixels from the middle of
the screen, y up, because the source asks for pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MONOCULAR, BINOCULAR, SIMPLE, GAZEPOINT = 51, 52, 59, 60
SAMPLE_TYPES = frozenset({MONOCULAR, BINOCULAR, SIMPLE, GAZEPOINT})
LEFT_EYE = 21
EYES = ("left", "right")
_LOST: Mapping[str, int] = {"left": 20, "right": 2}
"""Status of a two-eyed sample: 20 left eye missing, 2 right eye missing, 22 both."""

PUPILS: Mapping[int, tuple[str, str]] = {
    70: ("Area", "arbitrary"),
    71: ("Diameter", "arbitrary"),
    72: ("Width", "arbitrary"),
    73: ("Height", "arbitrary"),
    74: ("MajorAxis", "arbitrary"),
    75: ("MinorAxis", "arbitrary"),
    76: ("Radius", "arbitrary"),
    77: ("Diameter", "mm"),
    78: ("Width", "mm"),
    79: ("Height", "mm"),
    80: ("MajorAxis", "mm"),
    81: ("MinorAxis", "mm"),
    82: ("Radius", "mm"),
}
"""ioHub's codes of what the pupil number is: measure and unit, as the device gives them."""


@dataclass(frozen=True)
class Layout:
    """What the samples of a tracker hold, told by its first ones.

    Attributes
    ----------
    size_px : tuple of int
        Screen, width and height.
    pupil : tuple of str
        Measure and unit of the pupil.
    """

    size_px: tuple[int, int]
    pupil: tuple[str, str]

    @property
    def channels(self) -> tuple[tuple[str, str, str, str], ...]:
        """Label, type, unit, eye of each channel."""
        measure, unit = self.pupil
        rows: list[tuple[str, str, str, str]] = []
        for eye in EYES:
            rows += [(f"{eye}_{axis}", f"Screen{axis.upper()}", "normalized", eye) for axis in "xy"]
        rows += [(f"{eye}_pupil", measure, unit, eye) for eye in EYES]
        rows += [(f"{eye}_valid", "Validity", "bool", eye) for eye in EYES]
        rows += [(f"{eye}_raw_{axis}", "Raw", "arbitrary", eye) for eye in EYES for axis in "xy"]
        rows += [
            ("device_time", "DeviceTime", "s", "both"),
            ("iohub_time", "SystemTime", "s", "both"),
            ("delay", "Delay", "s", "both"),
            ("confidence_interval", "TimeUncertainty", "s", "both"),
            ("status", "Status", "code", "both"),
        ]
        return tuple(rows)

    def row(self, sample: Mapping[str, Any]) -> list[float]:
        """Return the values of a sample in the order of `channels`; NaN where the eye was not seen."""
        values = dict.fromkeys((label for label, _, _, _ in self.channels), math.nan)
        for eye in EYES:
            values[f"{eye}_valid"] = 0.0
        for eye, prefix in _eyes_of(sample):
            values |= self._eye(eye, prefix, sample)
        values["device_time"] = float(sample.get("device_time", math.nan))
        values["iohub_time"] = float(sample["time"])
        values["delay"] = float(sample.get("delay", math.nan))
        values["confidence_interval"] = float(sample.get("confidence_interval", math.nan))
        values["status"] = float(sample.get("status", math.nan))
        return list(values.values())

    def _eye(self, eye: str, prefix: str, sample: Mapping[str, Any]) -> dict[str, float]:
        if sample["type"] == SIMPLE:
            x, y, pupil = sample["x"], sample["y"], sample["pupil"]
        else:
            x, y = sample[f"{prefix}gaze_x"], sample[f"{prefix}gaze_y"]
            pupil = sample[f"{prefix}pupil_measure1"]
        width, height = self.size_px
        seen = _is_seen(eye, int(sample.get("status", 0)), two_eyes=bool(prefix))
        seen = seen and math.isfinite(x) and math.isfinite(y)
        raw = [float(sample.get(f"{prefix}raw_{axis}", math.nan)) for axis in "xy"]
        return {
            f"{eye}_x": float(x) / width + 0.5 if seen else math.nan,
            f"{eye}_y": 0.5 - float(y) / height if seen else math.nan,
            f"{eye}_pupil": float(pupil) if seen and pupil > 0 else math.nan,
            f"{eye}_valid": float(seen),
            f"{eye}_raw_x": raw[0] if seen else math.nan,
            f"{eye}_raw_y": raw[1] if seen else math.nan,
        }


def _eyes_of(sample: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the eyes in a sample and how their fields begin."""
    if sample["type"] in {BINOCULAR, GAZEPOINT}:
        return [("left", "left_"), ("right", "right_")]
    if sample["type"] == MONOCULAR and int(sample.get("eye", 0)) == LEFT_EYE:
        return [("left", "")]
    return [("right", "")]


def _is_seen(eye: str, status: int, *, two_eyes: bool) -> bool:
    if not two_eyes:
        return status == 0
    return status not in {_LOST[eye], sum(_LOST.values())}


def samples_of(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the samples among events, in the order of their time."""
    found = [event for event in events if event["type"] in SAMPLE_TYPES]
    return sorted(found, key=lambda event: float(event["time"]))


def layout_of(samples: Iterable[Mapping[str, Any]], size_px: tuple[int, int]) -> Layout:
    """Tell from the first samples what the tracker measures of the pupil."""
    for sample in samples:
        for key in ("pupil_measure1_type", "left_pupil_measure1_type", "right_pupil_measure1_type"):
            code = int(sample.get(key, 0) or 0)
            if code in PUPILS:
                return Layout(size_px, PUPILS[code])
    return Layout(size_px, ("Diameter", "arbitrary"))


def message_text(fields: Mapping[str, Any], lsl_time_s: float, most: int = 120) -> str:
    """Return a marker as a message for the tracker's own file: one short line of printable ASCII.

    Parameters
    ----------
    fields : mapping
        What the marker says; empty values are left out.
    lsl_time_s : float
        Its time stamp: the message itself arrives some milliseconds later.
    most : int
        An EyeLink takes no more than 128 characters.
    """
    said = " ".join(f"{key}={value}" for key, value in fields.items() if value not in {None, ""})
    text = f"LSL {lsl_time_s:.6f} {said}"
    return "".join(char if " " <= char <= "~" else "?" for char in text)[:most]
