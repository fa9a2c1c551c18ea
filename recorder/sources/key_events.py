"""Keys and buttons as a stream: one JSON text per change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pylsl

if TYPE_CHECKING:
    from collections.abc import Sequence


def encode_press(kind: str, name: str, state: str, **fields: Any) -> bytes:
    """Return the text of one press or release.

    Parameters
    ----------
    kind : {"key", "button"}
        What was pressed.
    name : str
        Which one.
    state : {"down", "up"}
        What it did.
    **fields
        Anything more that JSON can hold.

    Examples
    --------
    >>> encode_press("key", "a", "down")
    b'{"event":"key","key":"a","state":"down"}'
    """
    content = {"event": kind, kind: name, "state": state, **fields}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def encode_start(device: str, **fields: Any) -> bytes:
    """Return the text that a stream of presses begins with: its device, and that it is there."""
    content = {"event": "source_start", "device": device, **fields}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def press_description(source_id: str, name: str, kind: str, model: str = "") -> pylsl.StreamInfo:
    """Describe a stream of presses: one irregular string channel, of type Keyboard or Buttons."""
    info = pylsl.StreamInfo(name, kind, 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, source_id)
    desc = info.desc()
    desc.append_child("acquisition").append_child_value("model", model)
    channel = desc.append_child("channels").append_child("channel")
    channel.append_child_value("label", name.lower())
    channel.append_child_value("type", kind)
    channel.append_child_value("unit", "json")
    desc.append_child("synchronization").append_child_value("can_drop_samples", "false")
    return info


class RisingStamps:
    """Keeps the stamps of one stream from going back; ties are moved apart by a microsecond."""

    def __init__(self) -> None:
        self._last_s = 0.0

    def of(self, times_s: Sequence[float]) -> list[float]:
        """Return the times, each later than the one before."""
        rising = []
        for time_s in times_s:
            self._last_s = max(time_s, self._last_s + 1e-6)
            rising.append(self._last_s)
        return rising
