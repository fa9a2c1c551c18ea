"""Certify the streams of a session file that is being written, or of one that is read again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.protocols.alignment import Alignment
from duchenne.protocols.schema import parse_protocol
from duchenne.recorder.certificate import StreamCertificate, certify
from duchenne.recorder.gaps import Count, count, counter_of
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import h5py
    import numpy.typing as npt

    from duchenne.recorder.streams import StreamInfo

START_ATTRIBUTE = "recording_start_lsl_s"
END_ATTRIBUTE = "recording_end_lsl_s"
GAZE = "Gaze"
NO_CALIBRATION = "n/a"
GAZE_CALIBRATIONS = (None, "calibration")
"""Kinds of ``calibration_end`` that calibrate the eye tracker; others validate it, or serve pupil or face."""


@dataclass(frozen=True)
class Calibration:
    """A calibration of the eye tracker.

    Attributes
    ----------
    name : str
    end_lsl_s : float
        When it was done, on the recorder's clock.
    """

    name: str
    end_lsl_s: float


def certify_stream(
    file: h5py.File,
    key: str,
    info: StreamInfo,
    *,
    times_s: npt.NDArray[np.float64] | None = None,
    alignment: Alignment | None = None,
) -> StreamCertificate:
    """Measure one stream of an open session file.

    Parameters
    ----------
    file : h5py.File
        With streams, events and protocol.
    key : str
        Name of the group under ``/streams``.
    info : StreamInfo
    times_s : ndarray, shape (n,), optional
        Times on the recorder's clock other than those of the file.
    alignment : Alignment, optional
        The budget; by default that of the protocol in the file.
    """
    node = file["streams"][key]
    times = node["times"] if times_s is None else times_s
    starts = [int(row["start_index"]) for row in node["segments"][:]] or [0]
    budget = alignment if alignment is not None else alignment_of(file)
    return certify(
        info,
        node["timestamps"],
        np.column_stack([node["clock_offsets"][:], node["clock_offset_uncertainty"][:]]),
        times_s=times,
        received=node["received"][:] if "received" in node else None,
        starts=starts,
        recording=recording_interval(file),
        counted=counted_by_source(file, key, info),
        calibrations=calibration_names(file, info, times, starts),
        limits=budget.for_type(info.type),
    )


def alignment_of(file: h5py.File) -> Alignment:
    """Return the budget of the protocol in a session file; the default where there is none."""
    text = file["protocol"]["yaml"][()] if "protocol" in file else b""
    text = text.decode("utf-8") if isinstance(text, bytes) else str(text)
    if not text:
        return Alignment()
    try:
        return parse_protocol(text).alignment
    except DuchenneError:  # of a newer version, say; the recording is certified all the same
        return Alignment()


def recording_interval(file: h5py.File) -> tuple[float, float]:
    """Return when the recording began and ended, on the recorder's clock; NaN if unknown."""
    attrs = file.attrs
    return float(attrs.get(START_ATTRIBUTE, np.nan)), float(attrs.get(END_ATTRIBUTE, np.nan))


def counted_by_source(file: h5py.File, key: str, info: StreamInfo) -> Count | None:
    """Return what the source counted of a stream; for a video, in its companion ``<name>Frames``."""
    if not info.is_video:
        channel = counter_of(info)
        labels = [c.label for c in info.channels]
        return None if channel is None else _count(file, key, channel.label, labels)
    for other, node in file["streams"].items():
        if node.attrs["type"] == "VideoFrames" and node.attrs["name"] == f"{info.name}Frames":
            labels = [str(channel["label"]) for channel in json.loads(node.attrs["channels"])]
            label = next((label for label in labels if label in _FRAME_COUNTERS), None)
            return None if label is None else _count(file, other, label, labels)
    return None


_FRAME_COUNTERS = ("frame_number", "device_frame", "sequence", "frame")


def _count(file: h5py.File, key: str, label: str, labels: Sequence[str]) -> Count | None:
    samples = file["streams"][key]["samples"]
    return count(label, samples[:, labels.index(label)]) if len(samples) else None


def calibrations_of(file: h5py.File) -> list[Calibration]:
    """Return the calibrations of a session, from its markers and from ``/calibration``, first to last.

    A marker ``calibration_end`` names its calibration in the field ``calibration``, ``name`` or ``id``;
    else it is numbered. An entry of ``/calibration`` is known by its name, and by its attribute
    ``time`` (LSL time on the recorder's clock).
    """
    found: list[Calibration] = []
    if "events" in file:
        events = file["events"]
        names = events["event"].asstr()[:]
        for at in np.flatnonzero(names == "calibration_end").tolist():
            content = _object(events["json"].asstr()[at])
            if content.get("kind") not in GAZE_CALIBRATIONS or content.get("calibrated") is False:
                continue
            said = next((content[k] for k in ("calibration", "name", "id") if content.get(k)), None)
            name = str(said) if said is not None else f"calibration {len(found) + 1}"
            found.append(Calibration(name, float(events["time"][at])))
    for name, entry in file["calibration"].items() if "calibration" in file else ():
        if "time" in entry.attrs and name not in {known.name for known in found}:
            found.append(Calibration(str(name), float(entry.attrs["time"])))
    return sorted(found, key=lambda calibration: calibration.end_lsl_s)


def _object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def calibration_names(
    file: h5py.File,
    info: StreamInfo,
    times_s: npt.NDArray[np.float64] | h5py.Dataset,
    starts: Sequence[int],
) -> list[str]:
    """Return the calibration that each appearance of a gaze stream was made with, ``n/a`` if unknown.

    The last one that was done before the appearance began, and those that were done during it, joined with
    commas.
    """
    if info.type != GAZE:
        return []
    known = calibrations_of(file)
    names = []
    for number, start in enumerate(starts):
        stop = starts[number + 1] if number + 1 < len(starts) else len(times_s)
        own = times_s[start:stop]
        own = own[np.isfinite(own)]
        if not len(own):
            names.append(NO_CALIBRATION)
            continue
        before = [c.name for c in known if c.end_lsl_s <= own[0]][-1:]
        during = [c.name for c in known if own[0] < c.end_lsl_s <= own[-1]]
        names.append(", ".join([*before, *during]) or NO_CALIBRATION)
    return names
