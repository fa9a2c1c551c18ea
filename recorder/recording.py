"""Read a session file: streams on one clock, decoded events, protocol, stimuli and answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd

from duchenne.protocols.markers import decode
from duchenne.recorder.certificate import StreamCertificate
from duchenne.recorder.clock import correct, dejitter, fit_offsets
from duchenne.recorder.journal import Segment
from duchenne.recorder.session_file import FORMAT, FORMAT_VERSION
from duchenne.recorder.streams import Channel, StreamInfo
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    import numpy.typing as npt

EVENT_FIELDS = ("event", "block", "stimulus", "presentation_id", "phase")
PACKET_BATCH = 64


@dataclass(frozen=True)
class Stream:
    """One recorded stream; data are read from the file when asked for.

    Attributes
    ----------
    key : str
        Name of its group under ``/streams``.
    info : StreamInfo
    start_lsl_s : float
        LSL time that `times_s` counts from.
    """

    key: str
    info: StreamInfo
    start_lsl_s: float
    _node: h5py.Group

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self._node["timestamps"])

    @property
    def timestamps(self) -> npt.NDArray[np.float64]:
        """Stamps as received, shape (n,), seconds on the sender's LSL clock."""
        return np.asarray(self._node["timestamps"][:], dtype=np.float64)

    @property
    def lsl_times_s(self) -> npt.NDArray[np.float64]:
        """Times on the recorder's LSL clock, shape (n,), as derived when the file was sealed."""
        return np.asarray(self._node["times"][:], dtype=np.float64)

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """Times in seconds from ``session_start``, shape (n,), on the recorder's clock."""
        return self.lsl_times_s - self.start_lsl_s

    @property
    def clock_offsets(self) -> npt.NDArray[np.float64]:
        """Clock measurements, shape (m, 2): collection time and offset, seconds."""
        return np.asarray(self._node["clock_offsets"][:], dtype=np.float64)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Appearances of the stream, first to last."""
        return tuple(
            Segment(int(row["start_index"]), _text(row["uid"]), float(row["time"]))
            for row in self._node["segments"][:]
        )

    @property
    def _received(self) -> npt.NDArray[np.float64] | None:
        """Chunk starts and arrival times, shape (c, 2); None in files that do not have them."""
        return self._node["received"][:] if "received" in self._node else None

    def derive_times_s(self, *, smooth: bool | None = None) -> npt.NDArray[np.float64]:
        """Derive the times again from the stamps and the clock offsets.

        Parameters
        ----------
        smooth : bool, optional
            Dejitter; by default only where the source drops no samples.

        Returns
        -------
        ndarray, shape (n,)
            Seconds from ``session_start``.
        """
        uncertainty = self._node["clock_offset_uncertainty"][:]
        measured = np.column_stack([self.clock_offsets, uncertainty])
        times = correct(self.timestamps, fit_offsets(measured), self._received)
        if smooth if smooth is not None else not self.info.can_drop_samples:
            starts = tuple(segment.start_index for segment in self.segments)
            times = dejitter(times, self.info.nominal_srate_hz, boundaries=starts)
        return times - self.start_lsl_s

    def samples(self) -> npt.NDArray[Any]:
        """Return all samples: numeric (n, channels), or text (n,) or (n, channels).

        Raises
        ------
        DuchenneError
            For a video stream; use :meth:`packets`.
        """
        if self.info.is_video:
            raise DuchenneError(f"stream {self.key} holds encoded frames, not samples.")
        data = self._node["samples"]
        return np.asarray(data.asstr()[:] if self.info.is_string else data[:])

    def column(self, label: str) -> npt.NDArray[Any]:
        """Return one channel by its label, shape (n,).

        Raises
        ------
        DuchenneError
            If the stream has no such channel.
        """
        labels = [channel.label for channel in self.info.channels]
        if label not in labels:
            raise DuchenneError(
                f"stream {self.key} has no channel {label}; it has {', '.join(labels)}."
            )
        return np.asarray(self._node["samples"][:, labels.index(label)])

    def packet(self, index: int) -> bytes:
        """Return one encoded frame."""
        start, stop = self._node["packet_offsets"][index : index + 2]
        return bytes(self._node["packets"][int(start) : int(stop)].tobytes())

    def packets(self) -> Iterator[bytes]:
        """Yield the encoded frames in order, reading some at a time."""
        offsets = self._node["packet_offsets"][:].astype(np.int64)
        for first in range(0, len(offsets) - 1, PACKET_BATCH):
            edges = offsets[first : first + PACKET_BATCH + 1]
            block = self._node["packets"][edges[0] : edges[-1]].tobytes()
            for start, stop in zip((edges[:-1] - edges[0]), (edges[1:] - edges[0]), strict=True):
                yield bytes(block[start:stop])


class Recording:
    """A session file, open for reading.

    Use :meth:`open` in a ``with`` statement.

    Attributes
    ----------
    path : Path
    attrs : dict
        Root attributes as plain values.
    streams : dict of str to Stream
        By group name.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
        self.attrs: dict[str, Any] = {key: _plain(value) for key, value in file.attrs.items()}
        self.streams: dict[str, Stream] = {}
        start = self.start_lsl_s
        for key, node in file["streams"].items():
            self.streams[key] = Stream(key, _info_of(node), start, node)

    @classmethod
    def open(cls, path: Path) -> Recording:
        """Open a session file.

        Raises
        ------
        DuchenneError
            If the file is missing, truncated, of another program, or of a newer format.
        """
        if not path.is_file():
            raise DuchenneError(f"{path} does not exist: name a session file (….h5).")
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            raise DuchenneError(
                f"{path} is not a readable HDF5 file: it is truncated or of another program. "
                f"If its .journal is still there, run `duchenne recover` on that."
            ) from error
        problem = _problem_of(file)
        if problem:
            file.close()
            raise DuchenneError(f"{path} {problem}")
        return cls(path, file)

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def participant(self) -> str:
        """Pseudonymous label, without ``sub-``."""
        return str(self.attrs["participant"])

    @property
    def session(self) -> str:
        """Session label, without ``ses-``."""
        return str(self.attrs["session"])

    @property
    def task(self) -> str:
        """Task label."""
        return str(self.attrs["task"])

    @property
    def run(self) -> str:
        """Run label, such as ``01``."""
        return str(self.attrs["run"])

    @cached_property
    def start_lsl_s(self) -> float:
        """LSL time of ``session_start`` on the recorder's clock.

        Without that marker, the first sample of any stream; NaN in an empty file.
        """
        events = self._file["events"]
        starts = np.flatnonzero(events["event"].asstr()[:] == "session_start")
        if len(starts):
            return float(events["time"][int(starts[0])])
        firsts = [node["times"][0] for node in self._file["streams"].values() if len(node["times"])]
        return float(min(firsts)) if firsts else float("nan")

    @cached_property
    def events(self) -> pd.DataFrame:
        """Decoded markers in order of time.

        Columns: ``time_s`` (from ``session_start``), ``lsl_time_s``, ``event``, ``trial`` (Int64),
        ``block``, ``stimulus``, ``presentation_id``, ``phase`` (None where the marker has none),
        ``fields`` (dict of the whole marker).
        """
        group = self._file["events"]
        lsl = np.asarray(group["time"][:], dtype=np.float64)
        trial = pd.array(group["trial"][:], dtype="Int64")
        trial[np.flatnonzero(group["trial"][:] < 0)] = pd.NA
        columns: dict[str, Any] = {"time_s": lsl - self.start_lsl_s, "lsl_time_s": lsl}
        for field in EVENT_FIELDS:
            texts = group[field].asstr()[:]
            columns[field] = pd.Series([text or None for text in texts], dtype=object)
        columns["fields"] = [decode(text) for text in group["json"].asstr()[:]]
        frame = pd.DataFrame(columns)
        frame.insert(3, "trial", trial)
        return frame

    def of_type(self, kind: str) -> list[Stream]:
        """Return the streams of an LSL type, such as ``Gaze``."""
        return [stream for stream in self.streams.values() if stream.info.type == kind]

    @property
    def certificate(self) -> dict[str, StreamCertificate]:
        """The alignment certificate, by group name."""
        return {
            key: StreamCertificate.from_json(json.loads(value))
            for key, value in self._file["certificate"].attrs.items()
        }

    @property
    def protocol_name(self) -> str:
        """Name of the protocol; empty for a plain recording."""
        return str(self._file["protocol"].attrs["name"])

    @property
    def protocol_yaml(self) -> str:
        """The protocol file as it was run; empty for a plain recording."""
        return _text(self._file["protocol"]["yaml"][()])

    @property
    def screen(self) -> dict[str, Any] | None:
        """Declared screen: px, cm, distance and refresh rate; None for a plain recording."""
        screen: dict[str, Any] | None = json.loads(self._file["protocol"].attrs["screen"])
        return screen

    @property
    def schedule(self) -> dict[str, Any]:
        """The schedule that was run; empty for a plain recording."""
        text = _text(self._file["protocol"]["schedule"][()])
        return dict(json.loads(text)) if text else {}

    @property
    def stimuli(self) -> pd.DataFrame:
        """Manifest rows of the stimuli used; empty for a plain recording."""
        group = self._file["stimuli"]
        columns: dict[str, Any] = {}
        for name, data in group.items():
            if h5py.check_string_dtype(data.dtype):
                columns[name] = pd.Series([text or None for text in data.asstr()[:]], dtype=object)
            else:
                columns[name] = data[:]
        return pd.DataFrame(columns)

    @property
    def stimuli_source(self) -> str:
        """``bundled`` or the manifest's path when the session was run; empty if unknown."""
        return str(self._file["stimuli"].attrs.get("source", ""))

    @property
    def participant_answers(self) -> dict[str, Any]:
        """What the protocol asked the participant."""
        return dict(json.loads(self._file["participant"].attrs["answers"]))

    @property
    def log(self) -> pd.DataFrame:
        """What happened to the recording: ``lsl_time_s``, ``kind``, ``detail``."""
        group = self._file["log"]
        return pd.DataFrame(
            {
                "lsl_time_s": group["time"][:],
                "kind": list(group["kind"].asstr()[:]),
                "detail": list(group["detail"].asstr()[:]),
            }
        )


def _problem_of(file: h5py.File) -> str | None:
    if file.attrs.get("format") != FORMAT:
        return "is an HDF5 file of another program, not a Duchenne session."
    if int(file.attrs["format_version"]) > FORMAT_VERSION:
        return f"has format version {file.attrs['format_version']}: update Duchenne to read it."
    if not file.attrs.get("sealed", False):
        return "was not sealed: run `duchenne recover` on its .journal."
    return None


def _info_of(node: h5py.Group) -> StreamInfo:
    attrs = node.attrs
    channels = tuple(Channel(**channel) for channel in json.loads(attrs["channels"]))
    return StreamInfo(
        name=attrs["name"],
        type=attrs["type"],
        source_id=attrs["source_id"],
        uid=attrs["uid"],
        hostname=attrs["hostname"],
        channel_format=attrs["channel_format"],
        nominal_srate_hz=float(attrs["nominal_srate_hz"]),
        channel_count=len(channels),
        channels=channels,
        info_xml=attrs["info_xml"],
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
