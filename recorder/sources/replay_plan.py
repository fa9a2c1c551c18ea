"""What a replay does: which samples of a recording, when each is due, and how its stream is described."""

from __future__ import annotations

import heapq
import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl

from duchenne.recorder.xdf_chunks import Block
from duchenne.recorder.xdf_payload import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import h5py
    import numpy.typing as npt

    from duchenne.recorder.recording import Stream
    from duchenne.recorder.streams import StreamInfo

LSL_FORMATS = {
    "float32": pylsl.cf_float32,
    "double64": pylsl.cf_double64,
    "string": pylsl.cf_string,
    "int8": pylsl.cf_int8,
    "int16": pylsl.cf_int16,
    "int32": pylsl.cf_int32,
    "int64": pylsl.cf_int64,
}
ONLY_STEP_S = 1.0
"""From the last sample of a pass to the first of the next where no stream has a rate."""


@dataclass(frozen=True)
class Part:
    """Samples of one recorded stream that are replayed.

    Attributes
    ----------
    key : str
        Group name.
    info : StreamInfo
    node : h5py.Group
    times_s : ndarray, shape (n,)
        Of all its samples, on the recorder's LSL clock.
    first, stop : int
        First sample of the replay, and the one behind the last.
    """

    key: str
    info: StreamInfo
    node: h5py.Group
    times_s: npt.NDArray[np.float64]
    first: int
    stop: int


@dataclass(frozen=True)
class Due:
    """Samples that are due together.

    Attributes
    ----------
    due_s : float
        Recorder time of the earliest; never goes back.
    number : int
        Of the part.
    times_s : ndarray, shape (n,)
        Their times on the recorder's clock.
    block : Block
    """

    due_s: float
    number: int
    times_s: npt.NDArray[np.float64]
    block: Block


def part_of(stream: Stream, node: h5py.Group, start_s: float | None, end_s: float | None) -> Part:
    """Choose the samples of a stream between two times, in seconds from the start of the session."""
    times = stream.lsl_times_s
    origin = stream.start_lsl_s
    order = np.maximum.accumulate(np.where(np.isfinite(times), times, -np.inf))
    first = 0 if start_s is None else int(np.searchsorted(order, origin + start_s))
    stop = len(times) if end_s is None else int(np.searchsorted(order, origin + end_s))
    return Part(stream.key, stream.info, node, times, first, max(first, stop))


def span_s(parts: list[Part]) -> tuple[float, float]:
    """Return the first recorder time of a replay, and how long one pass of it lasts, in seconds.

    A pass ends one sampling interval behind its last sample, so that the next follows without a gap.
    """
    chosen = [part.times_s[part.first : part.stop] for part in parts]
    finite = [times[np.isfinite(times)] for times in chosen]
    kept = [times for times in finite if times.size]
    if not kept:
        return math.nan, 0.0
    begin = min(float(times.min()) for times in kept)
    ends = [
        float(times.max()) + (1 / part.info.nominal_srate_hz if part.info.nominal_srate_hz else 0)
        for part, times in zip(parts, finite, strict=True)
        if times.size
    ]
    return begin, (max(ends) - begin) or ONLY_STEP_S


def dues(parts: list[Part], slice_s: float) -> Iterator[Due]:
    """Yield the samples of all parts in order of time, in slices of at most so many recorder seconds."""
    each = [_dues_of(number, part, slice_s) for number, part in enumerate(parts)]
    return heapq.merge(*each, key=lambda due: due.due_s)


def _dues_of(number: int, part: Part, slice_s: float) -> Iterator[Due]:
    done, due_s = part.first, -math.inf
    for block in blocks(part.node, part.info, start=part.first, stop=part.stop):
        times = part.times_s[done : done + len(block.stamps)]
        done += len(times)
        begin = 0
        while begin < len(times):
            here = times[begin:]
            due_s = max(due_s, float(here[0])) if math.isfinite(here[0]) else due_s
            late = np.flatnonzero(here >= due_s + slice_s)
            n = max(1, int(late[0])) if len(late) else len(here)
            piece = slice(begin, begin + n)
            yield Due(due_s, number, times[piece], Block(times[piece], block.values[piece]))
            begin += n


def describe_replay(
    info: StreamInfo, *, name: str, source_id: str, speed: float, facts: Mapping[str, str]
) -> pylsl.StreamInfo:
    """Describe the outlet of a replayed stream: as it was recorded, and what the replay makes of it.

    Parameters
    ----------
    info : StreamInfo
        Of the recorded stream.
    name, source_id : str
        Of the outlet.
    speed : float
        The declared rate is the recorded one times `speed`.
    facts : mapping of str to str
        Go under ``desc/replay``.
    """
    described = pylsl.StreamInfo(
        name,
        info.type,
        info.channel_count,
        info.nominal_srate_hz * speed,
        LSL_FORMATS[info.channel_format],
        source_id,
    )
    desc = described.desc()
    recorded = _desc_of(info.info_xml)
    if recorded is not None:
        _copy(recorded, desc)
    elif any(channel.label for channel in info.channels):
        channels = desc.append_child("channels")
        for channel in info.channels:
            node = channels.append_child("channel")
            for key in ("label", "type", "unit", "eye"):
                node.append_child_value(key, getattr(channel, key))
    note = desc.append_child("replay")
    for key, value in facts.items():
        note.append_child_value(key, value)
    return described


def _desc_of(xml: str) -> ET.Element | None:
    try:
        desc = ET.fromstring(xml).find("desc")  # noqa: S314 -- expat of Python >= 3.10 bounds entity expansion
    except (ET.ParseError, ValueError):
        return None
    return desc if desc is not None and len(desc) else None


def _copy(source: ET.Element, target: Any) -> None:
    """Copy the elements below one of a recorded description into one of LSL."""
    for child in source:
        text = (child.text or "").strip()
        if len(child) and not text:
            _copy(child, target.append_child(child.tag))
        elif len(child):
            node = target.append_child(child.tag)
            node.append_child_value("text", text)
            _copy(child, node)
        else:
            target.append_child_value(child.tag, child.text or "")
