"""Read a session file: streams on one clock, decoded events, protocol, stimuli and answers."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd

from duchenne.protocols.answers import answers_of, withdrawal_of
from duchenne.protocols.markers import decode
from duchenne.recorder.certificate import StreamCertificate
from duchenne.recorder.certifying import (
    Calibration,
    alignment_of,
    calibrations_of,
    certify_stream,
    recording_interval,
)
from duchenne.recorder.integrity import changed_datasets
from duchenne.recorder.recorded_stream import Stream, as_text, damage_told, info_of, read
from duchenne.recorder.session_file import FORMAT, FORMAT_VERSION
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    import numpy.typing as npt

    from duchenne.protocols.alignment import Alignment
    from duchenne.recorder.clock import ClockSettings

__all__ = ["EVENT_FIELDS", "Recording", "Stream"]

MAX_CHECKED_BYTES = 64 << 20
EVENT_FIELDS = ("event", "block", "stimulus", "presentation_id", "phase")
GROUPS = ("streams", "events", "protocol", "stimuli", "participant", "certificate", "log")
STREAM_DATASETS = ("timestamps", "times", "clock_offsets", "clock_offset_uncertainty", "segments")


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
    clock_settings : ClockSettings or None
        How times are derived; None: as they were when the file was sealed.
    """

    def __init__(
        self, path: Path, file: h5py.File, clock_settings: ClockSettings | None = None
    ) -> None:
        self.path = path
        self.clock_settings = clock_settings
        self._file = file
        self.attrs: dict[str, Any] = {key: _plain(value) for key, value in file.attrs.items()}
        self.streams: dict[str, Stream] = {
            key: Stream(key, info_of(node), float("nan"), node, clock_settings)
            for key, node in file["streams"].items()
        }
        start = self.start_lsl_s
        for key, stream in self.streams.items():
            self.streams[key] = replace(stream, start_lsl_s=start)

    @classmethod
    def open(cls, path: Path, clock_settings: ClockSettings | None = None) -> Recording:
        """Open a session file; nothing but its description is read yet.

        Parameters
        ----------
        path : Path
        clock_settings : ClockSettings, optional
            Derive the times of streams and events again, in this way, instead of taking those that were
            derived when the file was sealed.

        Raises
        ------
        DuchenneError
            If the file is missing, truncated, damaged, of another program, or of a newer format.
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
        try:
            with damage_told(path):
                _refuse_damage(path, file)
                return cls(path, file, clock_settings)
        except BaseException:
            file.close()
            raise

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
        names = read(self._file["events"], "event", text=True)
        starts = np.flatnonzero(names == "session_start")
        if len(starts):
            return float(self._event_lsl_s[int(starts[0])])
        firsts = [s.lsl_times_s[0] for s in self.streams.values() if s.n]
        known = [first for first in firsts if np.isfinite(first)]
        return float(min(known)) if known else float("nan")

    @cached_property
    def _event_lsl_s(self) -> npt.NDArray[np.float64]:
        """Times of the events, in the order of the file."""
        events = self._file["events"]
        times = np.array(read(events, "time"), dtype=np.float64)
        if self.clock_settings is None:
            return times
        senders = read(events, "stream", text=True)
        for key in sorted(set(senders) & set(self.streams)):
            rows = np.flatnonzero(senders == key)
            sealed = read(self._file["streams"][key], "times")
            if len(sealed) == len(rows):  # the file has them in the order of these times
                times[rows] = self.streams[key].lsl_times_s[np.argsort(sealed, kind="stable")]
        return times

    @property
    def interval_lsl_s(self) -> tuple[float, float]:
        """When the recording began and ended, on the recorder's clock; NaN if unknown."""
        return recording_interval(self._file)

    @cached_property
    def events(self) -> pd.DataFrame:
        """Decoded markers in order of time.

        Columns: ``time_s`` (from ``session_start``), ``lsl_time_s``, ``event``, ``trial`` (Int64),
        ``block``, ``stimulus``, ``presentation_id``, ``phase`` (None where the marker has none),
        ``fields`` (dict of the whole marker).
        """
        group = self._file["events"]
        lsl = self._event_lsl_s
        numbers = read(group, "trial")
        trial = pd.array(numbers, dtype="Int64")
        trial[np.flatnonzero(numbers < 0)] = pd.NA
        columns: dict[str, Any] = {"time_s": lsl - self.start_lsl_s, "lsl_time_s": lsl}
        for field in EVENT_FIELDS:
            texts = read(group, field, text=True)
            columns[field] = pd.Series([text or None for text in texts], dtype=object)
        columns["fields"] = [decode(text) for text in read(group, "json", text=True)]
        frame = pd.DataFrame(columns)
        frame.insert(3, "trial", trial)
        if self.clock_settings is not None:
            frame = frame.sort_values("lsl_time_s", kind="stable", ignore_index=True)
        return frame

    def of_type(self, kind: str) -> list[Stream]:
        """Return the streams of an LSL type, such as ``Gaze``."""
        return [stream for stream in self.streams.values() if stream.info.type == kind]

    @property
    def certificate(self) -> dict[str, StreamCertificate]:
        """The alignment certificate, by group name, as made when the file was sealed.

        A stream that could not be certified is not in it.
        """
        return {
            key: StreamCertificate.from_json(json.loads(value))
            for key, value in self._file["certificate"].attrs.items()
        }

    def certify(self, alignment: Alignment | None = None) -> dict[str, StreamCertificate]:
        """Make the certificate again, of the times as this recording was opened.

        Parameters
        ----------
        alignment : Alignment, optional
            Another budget than that of the protocol.
        """
        return {
            key: certify_stream(
                self._file,
                key,
                stream.info,
                times_s=stream.lsl_times_s,
                alignment=alignment,
            )
            for key, stream in self.streams.items()
        }

    @property
    def alignment(self) -> Alignment:
        """The alignment budget of the protocol; the default where there is none."""
        return alignment_of(self._file)

    @property
    def calibrations(self) -> list[Calibration]:
        """Calibrations of the eye tracker, first to last."""
        return calibrations_of(self._file)

    def latency_known(self, key: str) -> bool:
        """Whether it is known how late a stream's device stamps its samples.

        Where it is not, every latency computed from the stream contains that of the device, which for USB
        cameras is 36 to 150 ms and differs at each start. An unknown stream counts as not known.
        """
        stream = self.streams.get(key)
        return stream is not None and stream.info.latency_source != "unknown"

    @property
    def protocol_name(self) -> str:
        """Name of the protocol; empty for a plain recording."""
        return str(self._file["protocol"].attrs["name"])

    @property
    def protocol_yaml(self) -> str:
        """The protocol file as it was run; empty for a plain recording."""
        return as_text(read(self._file["protocol"], "yaml", ()))

    @property
    def screen(self) -> dict[str, Any] | None:
        """Declared screen: px, cm, distance and refresh rate; None for a plain recording."""
        screen: dict[str, Any] | None = json.loads(self._file["protocol"].attrs["screen"])
        return screen

    @property
    def schedule(self) -> dict[str, Any]:
        """The schedule that was run; empty for a plain recording."""
        text = as_text(read(self._file["protocol"], "schedule", ()))
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
        """What the participant answered to forms and consent screens, by form and field."""
        stored = dict(json.loads(self._file["participant"].attrs["answers"]))
        return answers_of(self.events["fields"]) | stored

    @property
    def withdrawn(self) -> str | None:
        """Why the participant does not want the data used; None if there is no such wish."""
        return withdrawal_of(self.events["fields"])

    @property
    def log(self) -> pd.DataFrame:
        """What happened to the recording: ``lsl_time_s``, ``kind``, ``detail``."""
        group = self._file["log"]
        return pd.DataFrame(
            {
                "lsl_time_s": read(group, "time"),
                "kind": list(read(group, "kind", text=True)),
                "detail": list(read(group, "detail", text=True)),
            }
        )

    def changed_datasets(self, *, thorough: bool = False) -> list[str]:
        """Return what does not fit its checksum or cannot be read, in words.

        Parameters
        ----------
        thorough : bool, default False
            Read datasets of more than 64 MB too.
        """
        return list(changed_datasets(self._file, max_bytes=None if thorough else MAX_CHECKED_BYTES))


def _refuse_damage(path: Path, file: h5py.File) -> None:
    problem = _problem_of(file) or _damage_of(file)
    if problem:
        raise DuchenneError(f"{path} {problem}")


def _problem_of(file: h5py.File) -> str | None:
    if file.attrs.get("format") != FORMAT:
        return "is an HDF5 file of another program, not a Duchenne session."
    try:
        version = int(file.attrs["format_version"])
    except (KeyError, TypeError, ValueError):
        return "is damaged: it has no format version."
    if version > FORMAT_VERSION:
        return f"has format version {version}: update Duchenne to read it."
    if not file.attrs.get("sealed", False):
        return "was not sealed: run `duchenne recover` on its .journal."
    return None


def _damage_of(file: h5py.File) -> str | None:
    for name in GROUPS:
        if not isinstance(file.get(name), h5py.Group):
            return f"is damaged: it has no group /{name}."
    for key, node in file["streams"].items():
        problem = _stream_problem(node)
        if problem:
            return f"is damaged: stream {key} {problem}."
    return None


def _stream_problem(node: Any) -> str | None:
    if not isinstance(node, h5py.Group):
        return "is no group"
    for name in STREAM_DATASETS:
        if not isinstance(node.get(name), h5py.Dataset):
            return f"has no {name}"
    n = len(node["timestamps"])
    if len(node["times"]) != n:
        return f"has {n} stamps but {len(node['times'])} times"
    payload = node.get("packet_offsets", node.get("samples"))
    if not isinstance(payload, h5py.Dataset):
        return "has no samples"
    n_payload = len(payload) - ("packet_offsets" in node)
    return None if n_payload == n else f"has {n} stamps but {n_payload} samples"


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
