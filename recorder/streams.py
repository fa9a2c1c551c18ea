"""What a stream is: its description, its channels, and the conventions for gaze and face video.

The metadata follow the XDF recommendations (``channels/channel/{label,eye,type,unit}`` for gaze,
``encoding`` and ``synchronization`` for video), so that other tools read our streams too.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

STRING_FORMAT = "string"
NUMERIC_FORMATS: Mapping[str, npt.DTypeLike] = {
    "float32": np.float32,
    "double64": np.float64,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
}
_FORMAT_NAMES = {
    pylsl.cf_float32: "float32",
    pylsl.cf_double64: "double64",
    pylsl.cf_string: STRING_FORMAT,
    pylsl.cf_int8: "int8",
    pylsl.cf_int16: "int16",
    pylsl.cf_int32: "int32",
    pylsl.cf_int64: "int64",
}
VIDEO_TYPE = "VideoCompressed"

GAZE_CHANNELS: tuple[tuple[str, str, str, str], ...] = (
    ("left_x", "ScreenX", "normalized", "left"),
    ("left_y", "ScreenY", "normalized", "left"),
    ("right_x", "ScreenX", "normalized", "right"),
    ("right_y", "ScreenY", "normalized", "right"),
    ("left_pupil", "Diameter", "mm", "left"),
    ("right_pupil", "Diameter", "mm", "right"),
    ("left_valid", "Validity", "bool", "left"),
    ("right_valid", "Validity", "bool", "right"),
    ("left_distance", "Distance", "mm", "left"),
    ("right_distance", "Distance", "mm", "right"),
    ("device_time", "DeviceTime", "s", "both"),
)
"""Channels of a ``Gaze`` stream: label, XDF type, unit, eye."""


@dataclass(frozen=True)
class Channel:
    """One channel of a stream.

    Parameters
    ----------
    label, type, unit, eye : str
        As the source describes them; empty where it does not.
    """

    label: str
    type: str = ""
    unit: str = ""
    eye: str = ""


@dataclass(frozen=True)
class StreamInfo:
    """Description of one stream as its source gave it.

    Parameters
    ----------
    name, type, source_id, uid, hostname : str
        LSL identity. `uid` changes each time the outlet is created, `source_id` does not.
    channel_format : str
        One of ``float32 double64 int8 int16 int32 int64 string``.
    nominal_srate_hz : float
        Declared sampling rate in hertz; 0 for an irregular stream.
    channel_count : int
    channels : tuple of Channel
        As many as `channel_count`; labels are numbered where the source gives none.
    info_xml : str
        The whole LSL description.
    """

    name: str
    type: str
    source_id: str = ""
    uid: str = ""
    hostname: str = ""
    channel_format: str = "float32"
    nominal_srate_hz: float = 0.0
    channel_count: int = 1
    channels: tuple[Channel, ...] = field(default=())
    info_xml: str = ""

    def __post_init__(self) -> None:
        if len(self.channels) != self.channel_count:
            named = self.channels[: self.channel_count]
            rest = tuple(Channel(f"channel_{i + 1}") for i in range(len(named), self.channel_count))
            object.__setattr__(self, "channels", named + rest)

    @property
    def is_string(self) -> bool:
        """Whether samples are strings."""
        return self.channel_format == STRING_FORMAT

    @property
    def is_video(self) -> bool:
        """Whether samples are encoded frames."""
        return self.type == VIDEO_TYPE and self.is_string and self.channel_count == 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """Numpy type of one value; object for strings."""
        return np.dtype(NUMERIC_FORMATS.get(self.channel_format, np.object_))

    @property
    def can_drop_samples(self) -> bool:
        """Whether the source declares that it may drop samples, as cameras do."""
        try:
            root = ET.fromstring(self.info_xml)  # noqa: S314 -- expat of Python >= 3.10 bounds entity expansion
        except ET.ParseError:
            return self.type == VIDEO_TYPE
        flag = root.findtext("desc/synchronization/can_drop_samples")
        return self.type == VIDEO_TYPE if flag is None else flag.strip().lower() == "true"

    def to_json(self) -> dict[str, Any]:
        """Return the description as plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StreamInfo:
        """Rebuild a description from :meth:`to_json`."""
        channels = tuple(Channel(**channel) for channel in values["channels"])
        return cls(**{**values, "channels": channels})


def describe(info: pylsl.StreamInfo) -> StreamInfo:
    """Turn a pylsl description into ours, tolerating malformed XML.

    Parameters
    ----------
    info : pylsl.StreamInfo
        From a resolver, or from ``StreamInlet.info()`` for the channel labels.
    """
    xml = info.as_xml()
    return StreamInfo(
        name=info.name(),
        type=info.type(),
        source_id=info.source_id(),
        uid=info.uid(),
        hostname=info.hostname(),
        channel_format=_FORMAT_NAMES[info.channel_format()],
        nominal_srate_hz=float(info.nominal_srate()),
        channel_count=info.channel_count(),
        channels=_channels_of(xml),
        info_xml=xml,
    )


def _channels_of(xml: str) -> tuple[Channel, ...]:
    try:
        root = ET.fromstring(xml)  # noqa: S314 -- expat of Python >= 3.10 bounds entity expansion
    except ET.ParseError:
        return ()
    return tuple(
        Channel(
            label=(node.findtext("label") or f"channel_{index + 1}").strip(),
            type=(node.findtext("type") or "").strip(),
            unit=(node.findtext("unit") or "").strip(),
            eye=(node.findtext("eye") or "").strip(),
        )
        for index, node in enumerate(root.findall("desc/channels/channel"))
    )


def gaze_description(
    *,
    source_id: str,
    sampling_rate_hz: float,
    name: str = "Gaze",
    manufacturer: str = "",
    model: str = "",
    channels: tuple[tuple[str, str, str, str], ...] = GAZE_CHANNELS,
) -> pylsl.StreamInfo:
    """Describe a gaze outlet.

    Parameters
    ----------
    source_id : str
        Stable identity of the device, so that a restarted source continues its stream.
    sampling_rate_hz : float
        Declared rate.
    name, manufacturer, model : str
        Stream name and the device behind it.
    channels : tuple of (label, type, unit, eye)
        Channels in the order of the samples.

    Returns
    -------
    pylsl.StreamInfo
        float64 samples, so that device time keeps its microseconds.
    """
    info = pylsl.StreamInfo(
        name, "Gaze", len(channels), sampling_rate_hz, pylsl.cf_double64, source_id
    )
    desc = info.desc()
    acquisition = desc.append_child("acquisition")
    acquisition.append_child_value("manufacturer", manufacturer)
    acquisition.append_child_value("model", model)
    node = desc.append_child("channels")
    for label, kind, unit, eye in channels:
        channel = node.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("type", kind)
        channel.append_child_value("unit", unit)
        channel.append_child_value("eye", eye)
    desc.append_child("synchronization").append_child_value("can_drop_samples", "false")
    return info


def video_description(
    *,
    source_id: str,
    frame_rate_hz: float,
    width_px: int,
    height_px: int,
    name: str = "FaceVideo",
    codec: str = "MJPG",
    model: str = "",
) -> pylsl.StreamInfo:
    """Describe a video outlet: each sample is the base64 text of one encoded frame.

    Parameters
    ----------
    source_id : str
        Stable identity of the camera.
    frame_rate_hz : float
        Declared rate; cameras may drop frames and the stream says so.
    width_px, height_px : int
        Size of the picture.
    name, codec, model : str
        Stream name, four-character codec, and the device behind it.
    """
    info = pylsl.StreamInfo(name, VIDEO_TYPE, 1, frame_rate_hz, pylsl.cf_string, source_id)
    desc = info.desc()
    encoding = desc.append_child("encoding")
    encoding.append_child_value("codec", codec)
    encoding.append_child_value("container", "base64")
    encoding.append_child_value("width", str(width_px))
    encoding.append_child_value("height", str(height_px))
    desc.append_child("acquisition").append_child_value("model", model)
    desc.append_child("synchronization").append_child_value("can_drop_samples", "true")
    return info
