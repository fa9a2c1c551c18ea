"""A second reader of session files, written from docs/session-format.md alone.

It imports nothing of Duchenne: h5py, numpy and the standard library are enough. Where this reader and the
recorder disagree, the file, the page or one of the two is wrong.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FORMATS = {
    "float32": np.dtype("<f4"),
    "double64": np.dtype("<f8"),
    "int8": np.dtype("i1"),
    "int16": np.dtype("<i2"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
}
ROOT = {
    "format": str,
    "format_version": np.integer,
    "participant": str,
    "session": str,
    "task": str,
    "run": str,
    "created_utc": str,
    "software_version": str,
    "sealed": np.bool_,
    "recovered": np.bool_,
}
EVENT_TEXTS = ("event", "block", "stimulus", "presentation_id", "phase", "stream", "json")
GAP_PERIODS = 1.9
STEP_S, STEP_FLOOR_S, SLEW_PPM, SLOW_FACTOR = 0.1, 0.005, 500.0, 5.0


class NotAsDescribed(Exception):  # noqa: N818 -- reads as a sentence
    """The file breaks a MUST of the page."""


@dataclass(frozen=True)
class Stream:
    """One group of ``/streams``; exactly one of samples, texts and frames is there."""

    group: str
    name: str
    type: str
    source_id: str
    uid: str
    hostname: str
    channel_format: str
    nominal_srate_hz: float
    channels: list[dict[str, Any]]
    info_xml: str
    timestamps: NDArray[np.float64]
    times: NDArray[np.float64]
    method: str
    samples: NDArray[Any] | None  # (n, channels)
    texts: list[list[bytes]] | None  # n rows of channels, byte for byte
    readable: list[list[str]] | None  # the same, as a person reads it
    frames: list[bytes] | None
    not_base64: list[int]
    clock_offsets: NDArray[np.float64]  # (m, 2)
    uncertainty: NDArray[np.float64]  # (m,)
    received: NDArray[np.float64]  # (c, 2)
    segments: list[tuple[int, str, float]]
    n_checksums: int


@dataclass(frozen=True)
class Session:
    """All that the page describes, as plain values."""

    attributes: dict[str, Any]
    streams: dict[str, Stream]
    events: dict[str, Any]
    protocol: dict[str, Any]
    stimuli: dict[str, Any]
    stimuli_source: str
    answers: dict[str, Any]
    certificate: dict[str, dict[str, Any]]
    calibration: list[str]
    log: list[tuple[float, str, str]]


def read(path: Path) -> Session:
    """Read a session file whole and check every MUST and every checksum."""
    with h5py.File(path, "r") as file:
        return Session(
            attributes=_root(file),
            streams={group: _stream(group, file["streams"][group]) for group in file["streams"]},
            events=_events(file["events"]),
            protocol=_protocol(file["protocol"]),
            stimuli={key: _column(file["stimuli"][key]) for key in file["stimuli"]},
            stimuli_source=str(file["stimuli"].attrs["source"]),
            answers=json.loads(file["participant"].attrs["answers"]),
            certificate={key: json.loads(text) for key, text in file["certificate"].attrs.items()},
            calibration=sorted(file["calibration"]),
            log=_log(file["log"]),
        )


def group_name(name: str) -> str:
    """Return the group that the first stream of this name gets."""
    if not name:
        return "unnamed"
    if set(name) == {"."}:
        return "%2E" * len(name)
    return name.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise NotAsDescribed(what)


def _root(file: h5py.File) -> dict[str, Any]:
    attributes = dict(file.attrs)
    _need(attributes.get("format") == "duchenne-session", "format")
    _need(attributes["format_version"] == 1, "format_version")
    for key, kind in ROOT.items():
        _need(isinstance(attributes.get(key), kind), f"root attribute {key}")
    _need(bool(attributes["sealed"]), "sealed")
    return attributes


def _stream(group: str, g: h5py.Group) -> Stream:
    a = g.attrs
    stamps, times = g["timestamps"][()], g["times"][()]
    n = len(stamps)
    _need(stamps.dtype == times.dtype == np.dtype("<f8"), f"{group}: type of stamps")
    _need(len(times) == n, f"{group}: times")
    channels = json.loads(a["channels"])
    for channel in channels:
        _need({"label", "type", "unit", "eye"} <= set(channel), f"{group}: channels")
    samples = texts = readable = frames = None
    if a["type"] == "VideoCompressed":
        frames = _frames(g)
        _need(len(frames) == n, f"{group}: frames")
    elif a["channel_format"] == "string":
        readable, texts = _texts(g, len(channels))
        _need(len(texts) == n, f"{group}: texts")
    else:
        samples = g["samples"][()]
        _need(samples.shape == (n, len(channels)), f"{group}: shape {samples.shape}")
        _need(samples.dtype == FORMATS[a["channel_format"]], f"{group}: type {samples.dtype}")
    offsets, uncertainty = g["clock_offsets"][()], g["clock_offset_uncertainty"][()]
    _need(offsets.shape == (len(uncertainty), 2), f"{group}: clock_offsets")
    received = g["received"][()]
    _need(received.ndim == 2 and received.shape[1] == 2, f"{group}: received")
    return Stream(
        group=group,
        name=a["name"],
        type=a["type"],
        source_id=a["source_id"],
        uid=a["uid"],
        hostname=a["hostname"],
        channel_format=a["channel_format"],
        nominal_srate_hz=float(a["nominal_srate_hz"]),
        channels=channels,
        info_xml=a["info_xml"],
        timestamps=stamps,
        times=times,
        method=g["times"].attrs["method"],
        samples=samples,
        texts=texts,
        readable=readable,
        frames=frames,
        not_base64=[int(i) for i in g["not_base64"][()]] if "not_base64" in g else [],
        clock_offsets=offsets,
        uncertainty=uncertainty,
        received=received,
        segments=[(int(i), uid.decode(), float(t)) for i, uid, t in g["segments"][()]],
        n_checksums=sum(_checked(g[key]) for key in g),
    )


def _frames(g: h5py.Group) -> list[bytes]:
    packets, offsets = g["packets"][()], g["packet_offsets"][()]
    _need(packets.dtype == np.uint8 and offsets.dtype == np.uint64, "packets")
    whole = packets.tobytes()
    _need(int(offsets[0]) == 0 and int(offsets[-1]) == len(whole), "packet_offsets")
    frames = [whole[int(a) : int(b)] for a, b in pairwise(offsets)]
    odd = len(g["not_base64"]) if "not_base64" in g else 0
    _need(int(g.attrs["n_not_base64"]) == odd, "not_base64")
    return frames


def _texts(g: h5py.Group, channels: int) -> tuple[list[list[str]], list[list[bytes]]]:
    values = g["samples"][()]
    _need(values.ndim in {1, 2}, "shape of texts")
    flat: list[bytes] = list(values.reshape(-1))
    readable = [value.decode("utf-8") for value in flat]
    if "raw_index" in g:
        raw, offsets = g["raw_bytes"][()].tobytes(), g["raw_offsets"][()]
        for i, index in enumerate(g["raw_index"][()]):
            flat[int(index)] = raw[int(offsets[i]) : int(offsets[i + 1])]
    n = len(values)
    _need(len(flat) == n * channels, "channels of texts")
    rows = [slice(i * channels, (i + 1) * channels) for i in range(n)]
    return [readable[row] for row in rows], [flat[row] for row in rows]


def _checked(dataset: h5py.Dataset) -> bool:
    """Compare a dataset with its CRC-32; False where it has none."""
    if "crc32" not in dataset.attrs:
        return False
    values = dataset[()]
    columns = [values[name] for name in values.dtype.names or ()] or [values]
    content = b""
    for column in columns:
        if column.dtype == object:
            content += b"".join(text + b"\0" for text in column.reshape(-1))
        else:
            content += column.astype(column.dtype.newbyteorder("<")).tobytes()
    plain = values.dtype != object and values.dtype.names is None
    _need(not (plain and values.size) or dataset.fletcher32, f"Fletcher-32 of {dataset.name}")
    _need(zlib.crc32(content) == int(dataset.attrs["crc32"]), f"crc32 of {dataset.name}")
    return True


def _column(dataset: h5py.Dataset) -> Any:
    values = dataset[()]
    if values.dtype == object:
        return [value.decode("utf-8") for value in values]
    _need(values.dtype == np.dtype("<f8"), f"type of {dataset.name}")
    return values


def _events(g: h5py.Group) -> dict[str, Any]:
    events: dict[str, Any] = {"time": g["time"][()], "trial": g["trial"][()]}
    events |= {key: [text.decode("utf-8") for text in g[key][()]] for key in EVENT_TEXTS}
    _need(len({len(column) for column in events.values()}) == 1, "events of unequal length")
    for key in g:
        _checked(g[key])
    dated = events["time"][~np.isnan(events["time"])]
    _need(bool(np.all(dated[1:] >= dated[:-1])), "events out of order")
    _need(not np.isnan(events["time"][: len(dated)]).any(), "events without a time come last")
    _need(events["trial"].dtype.kind == "i", "type of trial")
    return events


def _protocol(g: h5py.Group) -> dict[str, Any]:
    schedule = g["schedule"][()].decode("utf-8")
    return {
        "yaml": g["yaml"][()].decode("utf-8"),
        "schedule": json.loads(schedule) if schedule else None,
        "name": g.attrs["name"],
        "hash": g.attrs["hash"],
        "screen": json.loads(g.attrs["screen"]),
    }


def _log(g: h5py.Group) -> list[tuple[float, str, str]]:
    rows = zip(g["time"][()], g["kind"][()], g["detail"][()], strict=True)
    return [(float(time), kind.decode(), detail.decode()) for time, kind, detail in rows]


def derive_times(stream: Stream, *, dejitter: bool = True) -> NDArray[np.float64]:
    """Derive ``times`` anew from the stamps, the way the page says, with straight lines.

    Good for recordings up to the two minutes after which the page lets a line bend. Slow answers are only
    left out, not weighed, so that answers of very unequal quality give a slightly other line.
    """
    stretches = _stretches(stream.clock_offsets, stream.uncertainty)
    if not stretches:
        return stream.timestamps.copy()
    lines = [_line(stretch) for stretch in stretches]
    arrival = _arrivals(stream)
    choice = np.zeros(len(arrival), int)
    for later in range(1, len(stretches)):
        ends, begins = stretches[later - 1][-1, 0], stretches[later][0, 0]
        choice[arrival >= begins] = later
        between = (arrival > ends) & (arrival < begins)
        for i in np.flatnonzero(between):
            misfit = [
                abs(arrival[i] - _apply(lines[k], stream.timestamps[i])) for k in (later - 1, later)
            ]
            choice[i] = later - 1 + int(misfit[1] < misfit[0])
    times = np.empty(len(arrival))
    for k, line in enumerate(lines):
        here = choice == k
        times[here] = _apply(line, stream.timestamps[here])
    regular = stream.nominal_srate_hz > 0 and stream.type != "VideoCompressed"
    return _smooth(times, 1 / stream.nominal_srate_hz) if regular and dejitter else times


def _stretches(offsets: NDArray[np.float64], round_trips: NDArray[np.float64]) -> list[Any]:
    usual = np.nanmedian(round_trips) if np.isfinite(round_trips).any() else np.inf
    keep = ~(round_trips > SLOW_FACTOR * usual)
    offsets, half = offsets[keep], np.nan_to_num(round_trips[keep], nan=np.inf) / 2
    keep = np.ones(len(offsets), bool)
    for i in range(1, len(offsets) - 1):
        odd = _step(offsets, half, i - 1, i) and _step(offsets, half, i, i + 1)
        keep[i] = not (odd and not _step(offsets, half, i - 1, i + 1))
    offsets, half = offsets[keep], half[keep]
    cuts = [i for i in range(1, len(offsets)) if _step(offsets, half, i - 1, i)]
    return [part for part in np.split(offsets, cuts) if len(part)]


def _step(offsets: NDArray[np.float64], half: NDArray[np.float64], i: int, j: int) -> bool:
    change = abs(offsets[j, 1] - offsets[i, 1])
    slewed = SLEW_PPM * 1e-6 * (offsets[j, 0] - offsets[i, 0])
    return bool(change > STEP_S or change > max(half[i] + half[j] + slewed, STEP_FLOOR_S))


def _line(stretch: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return middle, offset there and drift, of the recorder's time."""
    middle = float(stretch[:, 0].mean())
    if len(stretch) == 1:
        return middle, float(stretch[0, 1]), 0.0
    drift, offset = np.polyfit(stretch[:, 0] - middle, stretch[:, 1], 1)
    return middle, float(offset), float(drift)


def _apply(line: tuple[float, float, float], stamps: Any) -> Any:
    """Solve time = stamp + offset(time)."""
    middle, offset, drift = line
    return middle + (stamps + offset - middle) / (1 - drift)


def _arrivals(stream: Stream) -> NDArray[np.float64]:
    first = stream.received[:, 0].astype(int)
    lengths = np.diff(np.append(first, len(stream.timestamps)))
    return np.repeat(stream.received[:, 1], lengths)


def _smooth(times: NDArray[np.float64], period_s: float) -> NDArray[np.float64]:
    cuts = np.flatnonzero(np.abs(np.diff(times)) > GAP_PERIODS * period_s) + 1
    parts = []
    for part in np.split(times, cuts):
        index = np.arange(len(part)) - (len(part) - 1) / 2
        drift = float(index @ (part - part.mean()) / (index @ index)) if len(part) > 1 else 0.0
        parts.append(part.mean() + drift * index if len(part) else part)
    return np.concatenate(parts)
