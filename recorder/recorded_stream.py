"""One stream of a session file: its data are read when asked for, in part where a part is asked for."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.clock import ClockSettings
from duchenne.recorder.derivation import derive_times
from duchenne.recorder.journal_format import Segment
from duchenne.recorder.streams import Channel, StreamInfo
from duchenne.recorder.video_encryption import EncryptedPackets, encrypted_packets, is_encrypted
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import h5py
    import numpy.typing as npt

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
    settings : ClockSettings or None
        How times are derived; None: as they were when the file was sealed.
    """

    key: str
    info: StreamInfo
    start_lsl_s: float
    _node: h5py.Group
    settings: ClockSettings | None = None

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self._node["timestamps"])

    @property
    def timestamps(self) -> npt.NDArray[np.float64]:
        """Stamps as received, shape (n,), seconds on the sender's LSL clock."""
        return np.asarray(read(self._node, "timestamps"), dtype=np.float64)

    @property
    def lsl_times_s(self) -> npt.NDArray[np.float64]:
        """Times on the recorder's LSL clock, shape (n,).

        As derived when the file was sealed, or with the settings that the recording was opened with.
        """
        if self.settings is not None:
            return self._derived.copy()
        return np.asarray(read(self._node, "times"), dtype=np.float64)

    @cached_property
    def _derived(self) -> npt.NDArray[np.float64]:
        return self._derive(self.settings or ClockSettings())

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """Times in seconds from ``session_start``, shape (n,), on the recorder's clock."""
        return self.lsl_times_s - self.start_lsl_s

    @property
    def clock_offsets(self) -> npt.NDArray[np.float64]:
        """Clock measurements, shape (m, 2): collection time and offset, seconds."""
        return np.asarray(read(self._node, "clock_offsets"), dtype=np.float64)

    @property
    def round_trips_s(self) -> npt.NDArray[np.float64]:
        """Round-trip time of each clock measurement, shape (m,), seconds; NaN unknown."""
        return np.asarray(read(self._node, "clock_offset_uncertainty"), dtype=np.float64)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Appearances of the stream, first to last."""
        return tuple(
            Segment(int(row["start_index"]), as_text(row["uid"]), float(row["time"]))
            for row in read(self._node, "segments")
        )

    @property
    def _received(self) -> npt.NDArray[np.float64] | None:
        """Chunk starts and arrival times, shape (c, 2); None in files that do not have them."""
        return read(self._node, "received") if "received" in self._node else None

    def times(self, settings: ClockSettings | None = None) -> npt.NDArray[np.float64]:
        """Derive the times again from the stamps and the clock offsets.

        Parameters
        ----------
        settings : ClockSettings, optional
            How; the defaults if not given.

        Returns
        -------
        ndarray, shape (n,)
            Seconds from ``session_start``; NaN where the stamp is.
        """
        return self._derive(settings or ClockSettings()) - self.start_lsl_s

    def _derive(self, settings: ClockSettings) -> npt.NDArray[np.float64]:
        times, _ = derive_times(
            self.timestamps,
            np.column_stack([self.clock_offsets, self.round_trips_s]),
            nominal_srate_hz=self.info.nominal_srate_hz,
            can_drop_samples=self.info.can_drop_samples,
            received=self._received,
            starts=[segment.start_index for segment in self.segments],
            settings=settings,
        )
        return times

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
        return self.times(ClockSettings(smooth=smooth))

    def samples(self, start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
        """Return samples: numeric (n, channels), or text (n,) or (n, channels).

        Parameters
        ----------
        start, stop : int
            First sample and the one after the last; all of them by default.

        Raises
        ------
        DuchenneError
            For a video stream; use :meth:`packets`.
        """
        if self.info.is_video:
            raise DuchenneError(f"stream {self.key} holds encoded frames, not samples.")
        return np.asarray(read(self._node, "samples", np.s_[start:stop], text=self.info.is_string))

    def column(self, label: str, start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
        """Return one channel by its label, shape (n,).

        Parameters
        ----------
        label : str
        start, stop : int
            First sample and the one after the last; all of them by default.

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
        text = self.info.is_string
        if text and len(labels) == 1:
            return self.samples(start, stop)
        where = np.s_[start:stop, labels.index(label)]
        return np.asarray(read(self._node, "samples", where, text=text))

    def packet(self, index: int) -> bytes:
        """Return one encoded frame."""
        start, stop = read(self._node, "packet_offsets", np.s_[index : index + 2])
        return self._packed(int(start), int(stop))

    @property
    def is_encrypted(self) -> bool:
        """Whether its frames are encrypted: then reading them takes the key (`recorder.keyring`)."""
        return is_encrypted(self._node)

    @cached_property
    def _encrypted(self) -> EncryptedPackets:
        return encrypted_packets(self._node)

    def check_key(self) -> None:
        """Make sure that the frames can be read.

        Raises
        ------
        MissingKeyError
            They are encrypted, and their key is not at hand.
        """
        if self.is_encrypted:
            _ = self._encrypted

    def _packed(self, start: int, stop: int) -> bytes:
        if self.is_encrypted:
            return self._encrypted.read(start, stop)
        return bytes(read(self._node, "packets", np.s_[start:stop]).tobytes())

    @property
    def packet_sizes(self) -> npt.NDArray[np.int64]:
        """Bytes of each encoded frame, shape (n,)."""
        return np.diff(read(self._node, "packet_offsets").astype(np.int64))

    @property
    def n_not_base64(self) -> int:
        """How many frames were kept as received because they could not be unpacked."""
        return int(self._node.attrs.get("n_not_base64", 0))

    def packets(self) -> Iterator[bytes]:
        """Yield the encoded frames in order, reading some at a time."""
        offsets = read(self._node, "packet_offsets").astype(np.int64)
        for first in range(0, len(offsets) - 1, PACKET_BATCH):
            edges = offsets[first : first + PACKET_BATCH + 1]
            block = self._packed(int(edges[0]), int(edges[-1]))
            for start, stop in zip((edges[:-1] - edges[0]), (edges[1:] - edges[0]), strict=True):
                yield bytes(block[start:stop])


def info_of(node: h5py.Group) -> StreamInfo:
    """Return the description of a stream's group.

    Raises
    ------
    DuchenneError
        If it is not complete.
    """
    try:
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
    except (KeyError, TypeError, ValueError) as error:
        raise DuchenneError(
            f"{node.file.filename}: the description of {node.name} is damaged ({error})."
        ) from error


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn what a file of another layout makes Python raise into one line that names the file.

    Raises
    ------
    DuchenneError
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, OSError) as error:
        raise DuchenneError(
            f"{path} is damaged, or was changed by another program: {type(error).__name__}: {error}"
        ) from error


def read(node: h5py.Group, name: str, where: Any = np.s_[:], *, text: bool = False) -> Any:
    """Read a dataset, or a part of it.

    Raises
    ------
    DuchenneError
        If it is not there or damaged; in one line with the file and the dataset.
    """
    try:
        data = node[name]
        return data.asstr()[where] if text else data[where]
    except (KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        cause = "it is not there" if isinstance(error, KeyError) else str(error)
        raise DuchenneError(
            f"{node.file.filename}: {node.name.rstrip('/')}/{name} cannot be read: {cause}. "
            "The rest of the file may be whole."
        ) from error


def as_text(value: Any) -> str:
    """Return a string that HDF5 may give as bytes."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
