"""The two streams of the live measurement: what their channels are called and mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pylsl

from duchenne.analysis.face.emotion import EXPRESSIONS, LABELS
from duchenne.analysis.face.live_measure import prototype_code
from duchenne.analysis.face.live_neutral import REFERENCES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duchenne.analysis.face.frames import FloatArray
    from duchenne.analysis.face.live_measure import LiveFrame

AU_TYPE, AFFECT_TYPE = "ActionUnits", "Affect"
AFFECT_CHANNELS: tuple[tuple[str, str, str], ...] = (
    ("expr_valence", "Valence", "-1 to 1"),
    ("expr_arousal", "Arousal", "-1 to 1"),
    ("expr_prototype", "Prototype", "code"),
    *((f"expr_{name}", "PrototypeMatch", "0 to 1") for name in EXPRESSIONS),
    ("confidence", "Confidence", "0 to 1"),
    ("usable", "Validity", "bool"),
    ("pose_pitch_deg", "HeadPitch", "deg"),
    ("pose_yaw_deg", "HeadYaw", "deg"),
    ("pose_roll_deg", "HeadRoll", "deg"),
    ("reference", "Reference", "code"),
    ("latency_s", "Latency", "s"),
)
"""Label, type and unit of the channels of the affect stream."""


def au_description(
    *,
    name: str,
    source_id: str,
    rate_hz: float,
    au_names: Sequence[str],
    backend: str,
    reliability: Mapping[str, float],
    origin: str,
) -> pylsl.StreamInfo:
    """Describe the stream of intensities: one channel per Action Unit, 0 to 5, NaN = not measured.

    Parameters
    ----------
    name, source_id : str
    rate_hz : float
        Of the camera.
    au_names : sequence of str
        Labels of the channels, such as ``AU12`` or ``AU12L``.
    backend : str
        What measures them.
    reliability : mapping
        Correlation with the truth on rendered faces, written into each channel.
    origin : str
        Where the pictures come from.
    """
    channels = [(au, "Intensity", "0 to 5") for au in au_names]
    info = _description(
        name, AU_TYPE, source_id=source_id, rate_hz=rate_hz, channels=channels, origin=origin
    )
    info.desc().child("acquisition").append_child_value("model", backend)
    node = info.desc().child("channels").first_child()
    for au in au_names:
        if au in reliability and np.isfinite(reliability[au]):
            node.append_child_value("reliability_rendered", f"{reliability[au]:.3f}")
        node = node.next_sibling()
    return info


def affect_description(
    *, name: str, source_id: str, rate_hz: float, backend: str, origin: str
) -> pylsl.StreamInfo:
    """Describe the stream of valence, prototypes and quality; see :data:`AFFECT_CHANNELS`."""
    info = _description(
        name,
        AFFECT_TYPE,
        source_id=source_id,
        rate_hz=rate_hz,
        channels=AFFECT_CHANNELS,
        origin=origin,
    )
    info.desc().child("acquisition").append_child_value("model", backend)
    levels = {"expr_prototype": LABELS, "reference": REFERENCES}
    node = info.desc().child("channels").first_child()
    for label, _, _ in AFFECT_CHANNELS:
        for code, meaning in enumerate(levels.get(label, ())):
            level = node.append_child("level")
            level.append_child_value("code", str(code))
            level.append_child_value("meaning", meaning)
        node = node.next_sibling()
    info.desc().append_child_value(
        "note", "Prototypes say what the face did, not what was felt; arousal is not measured."
    )
    return info


def affect_row(frame: LiveFrame, reference: int, latency_s: float) -> FloatArray:
    """Return the values of one frame in the order of :data:`AFFECT_CHANNELS`: (1, n) float64."""
    return np.array(
        [
            [
                frame.valence,
                frame.arousal,
                prototype_code(frame.prototype),
                *frame.scores,
                frame.confidence,
                float(frame.is_usable),
                *frame.pose_deg,
                float(reference),
                latency_s,
            ]
        ]
    )


def _description(
    name: str,
    kind: str,
    *,
    source_id: str,
    rate_hz: float,
    channels: Sequence[tuple[str, str, str]],
    origin: str,
) -> pylsl.StreamInfo:
    # A sample comes for each picture that was measured in time, so the stream is irregular by design.
    info = pylsl.StreamInfo(
        name, kind, len(channels), pylsl.IRREGULAR_RATE, pylsl.cf_double64, source_id
    )
    desc = info.desc()
    acquisition = desc.append_child("acquisition")
    acquisition.append_child_value("manufacturer", "Duchenne")
    acquisition.append_child_value("origin", origin)
    acquisition.append_child_value("camera_rate_hz", f"{rate_hz:g}")
    node = desc.append_child("channels")
    for label, channel_type, unit in channels:
        channel = node.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("type", channel_type)
        channel.append_child_value("unit", unit)
    synchronization = desc.append_child("synchronization")
    synchronization.append_child_value("can_drop_samples", "true")
    synchronization.append_child_value("time_stamps", "capture of the picture")
    return info
