"""What a stream is: its description, its channels, and the conventions for gaze and face video.

The metadata follow the XDF recommendations (``channels/channel/{label,eye,type,unit}`` for gaze,
``encoding`` and ``synchronization`` for video), so that other tools read our streams too.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

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
LatencySource = Literal["photodiode", "camera_flash", "declared", "unknown"]
"""How the latency of a device is known: measured with a photodiode or a flash, told by its maker, or not."""
MAX_LATENCY_S = 10.0

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

    def described(self, path: str) -> str | None:
        """Return a text of the description, such as ``acquisition/model``; None where it is not there."""
        try:
            root = ET.fromstring(self.info_xml)  # noqa: S314 -- expat of Python >= 3.10 bounds entity expansion
        except ET.ParseError:
            return None
        text = root.findtext(f"desc/{path}")
        return None if text is None else text.strip()

    @property
    def can_drop_samples(self) -> bool:
        """Whether the source declares that it may drop samples, as cameras do."""
        flag = self.described("synchronization/can_drop_samples")
        return self.type == VIDEO_TYPE if flag is None else flag.lower() == "true"

    @property
    def device_latency_s(self) -> float:
        """Seconds from what happened to the stamp of its sample; NaN where nobody said or measured it."""
        text = self.described("acquisition/device_latency_s") or ""
        try:
            seconds = float(text)
        except ValueError:
            return float("nan")
        return seconds if abs(seconds) <= MAX_LATENCY_S else float("nan")

    @property
    def latency_source(self) -> LatencySource:
        """How `device_latency_s` is known; ``unknown`` where it is not."""
        said = self.described("acquisition/latency_source")
        if not np.isfinite(self.device_latency_s) or said == "unknown":
            return "unknown"
        return next((source for source in get_args(LatencySource) if source == said), "declared")

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
        channels=channels_of(xml),
        info_xml=xml,
    )


def channels_of(xml: str) -> tuple[Channel, ...]:
    """Return the channels that an LSL description names; none where its XML is malformed."""
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


def declare_latency(
    info: pylsl.StreamInfo, seconds: float | None, source: LatencySource = "declared"
) -> None:
    """Write into a description how much later than its event a sample is stamped.

    To be called before the outlet is made. It adds ``acquisition/device_latency_s`` and
    ``acquisition/latency_source``.

    Parameters
    ----------
    info : pylsl.StreamInfo
        Of an outlet to be made.
    seconds : float or None
        Latency in seconds, -10 to 10; None where it is not known.
    source : {"photodiode", "camera_flash", "declared", "unknown"}
        How it is known.

    Raises
    ------
    ValueError
        The latency is out of range or the source is not one of these.
    """
    if source not in get_args(LatencySource):
        raise ValueError(
            f"latency source {source!r} is none of {', '.join(get_args(LatencySource))}"
        )
    if seconds is not None and not abs(seconds) <= MAX_LATENCY_S:
        raise ValueError(f"a latency of {seconds} s is no latency: give seconds, up to 10")
    acquisition = info.desc().child("acquisition")
    if acquisition.empty():
        acquisition = info.desc().append_child("acquisition")
    known = seconds is not None and source != "unknown"
    if known:
        acquisition.append_child_value("device_latency_s", f"{seconds:.6g}")
    acquisition.append_child_value("latency_source", source if known else "unknown")
